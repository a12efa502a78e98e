import test from 'ava';
import { type KoSection, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, buildKo } from '../../fixtures/build.ts';
import { LoadInfo } from '../../loader/load-info.ts';
import { linkerScript, relinkable } from '../../oracle/relink.ts';
import {
  SHT_NOBITS,
  SHT_NOTE,
  SHT_NULL,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
} from '../../relocs/elf.ts';
import { Entries, genericInfo } from '../../relocs/entries.ts';
import { cString } from '../../relocs/symbols.ts';

const [SHF_MERGE, SHF_STRINGS, SHF_LINK_ORDER, SHF_GROUP, SHF_INFO_LINK] = [0x10, 0x20, 0x80, 0x200, 0x40];
const X86_64 = 62;
const I386 = 3;

// Everything that a linker would treat in a way of its own.
const SECTIONS: KoSection[] = [
  { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, data: [1, 2, 3, 4, 5, 6, 7, 8], align: 16 },
  { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR | SHF_GROUP, data: [9, 9, 9, 9, 9, 9, 9, 9], align: 64 },
  { name: '.rodata.str1.1', flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS, data: 'a\0a\0ba\0', entsize: 1 },
  { name: '.note.gnu.property', type: SHT_NOTE, flags: SHF_ALLOC, data: [1, 2, 3], align: 8 },
  { name: '.order', flags: SHF_WRITE | SHF_ALLOC | SHF_LINK_ORDER, data: [0, 0], link: 1 },
  { name: '.bss', type: SHT_NOBITS, flags: SHF_WRITE | SHF_ALLOC, size: 64, align: 32 },
  { name: '.debug', data: [0, 0, 0, 0, 0, 0, 0, 0] },
  { name: '.group', type: 17, data: [1, 0, 0, 0] },
];

const module = (machine: number): Uint8Array =>
  buildKo({
    machine,
    sections: SECTIONS,
    symbols: [{ name: 'here', section: '.bss' }, { name: 'needed' }, { name: 'also' }],
    relocs: { '#1': [{ offset: 0, type: 1, symbol: 'needed' }], '.debug': [{ offset: 0, type: 1, symbol: 'also' }] },
  }).image;

const everywhere = new Map(
  [1, 2, 3, 4, 5, 6].map((index) => [index, 0xffff_ffff_c000_0000n + BigInt(index) * 0x1000n]),
);

const read = (bytes: Uint8Array, is64: boolean) => {
  const info = new LoadInfo(bytes, { is64, little: true });
  const strings = info.shdrs[info.hdr.e_shstrndx];
  if (strings === undefined) throw new Error('no names');
  const names = bytes.subarray(Number(strings.sh_offset), Number(strings.sh_offset + strings.sh_size));
  return info.shdrs.map((shdr) => ({ ...shdr, name: cString(names, shdr.sh_name) }));
};

for (const [name, machine, is64] of [
  ['x86_64', X86_64, true],
  ['i386', I386, false],
] as const) {
  test(`${name}: nothing is left of what a linker would treat specially`, (t) => {
    const ko = module(machine);
    const before = read(ko, is64);
    const copy = relinkable(ko, everywhere);
    const after = read(copy.bytes, is64);
    t.is(after.length, before.length);
    for (const index of everywhere.keys()) {
      const shdr = after[index];
      const nobits = index === 6;
      t.like(shdr, { name: `.k${index}`, sh_type: nobits ? SHT_NOBITS : SHT_PROGBITS, sh_link: 0, sh_info: 0 });
      t.like(shdr, { sh_addralign: 1n, sh_entsize: 0n, sh_addr: 0n });
      t.is(shdr?.sh_flags, (before[index]?.sh_flags ?? 0n) & BigInt(SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR));
      t.is(shdr?.sh_offset, before[index]?.sh_offset);
      t.is(shdr?.sh_size, before[index]?.sh_size);
    }
    t.deepEqual([after[0]?.sh_type, after[7]?.sh_type, after[8]?.sh_type], [SHT_NULL, SHT_NULL, SHT_NULL]);
  });

  test(`${name}: contents, symbols and relocations stay where they are`, (t) => {
    const ko = module(machine);
    const before = read(ko, is64);
    const copy = relinkable(ko, everywhere);
    const table = Math.min(ko.length, Number(new LoadInfo(ko, { is64, little: true }).hdr.e_shoff));
    t.deepEqual(copy.bytes.subarray(0, table), ko.subarray(0, table));
    const after = read(copy.bytes, is64);
    for (const [index, shdr] of before.entries()) {
      const relocates = shdr.sh_type === SHT_RELA || shdr.sh_type === 9;
      if (shdr.sh_type === SHT_SYMTAB || (relocates && shdr.sh_info === 1)) {
        t.deepEqual({ ...after[index], name: '', sh_name: 0 }, { ...shdr, name: '', sh_name: 0 });
      } else if (relocates) {
        t.is(after[index]?.sh_type, SHT_NULL);
      }
    }
    t.is(after.filter((shdr) => shdr.sh_type === SHT_STRTAB).length, 2);
  });
}

test('undefined names are listed once, whoever asks for them, and defined ones are not', (t) => {
  t.deepEqual([...relinkable(module(X86_64), everywhere).undefinedNames].toSorted(), ['also', 'needed']);
});

test('a section that is not placed is left out, and so are its relocations', (t) => {
  const copy = relinkable(module(X86_64), new Map([[2, 0x1000n]]));
  t.deepEqual(copy.placed, [{ index: 2, name: '.k2', address: 0x1000n, size: 8, nobits: false }]);
  const after = read(copy.bytes, true);
  t.deepEqual(
    after.filter((shdr) => shdr.sh_type === SHT_RELA).map((shdr) => shdr.sh_info),
    [],
  );
  t.is(after[1]?.sh_type, SHT_NULL);
});

test('the relocation flag of a placed table survives', (t) => {
  t.is(
    (read(relinkable(module(X86_64), everywhere).bytes, true).find((s) => s.sh_type === SHT_RELA)?.sh_flags ?? 0n) &
      BigInt(SHF_INFO_LINK),
    BigInt(SHF_INFO_LINK),
  );
});

test('the script gives values to the undefined symbols that are listed, and addresses to sections', (t) => {
  const copy = relinkable(
    module(X86_64),
    new Map([
      [6, 0xffff_ffff_c000_1000n],
      [2, 0x20n],
    ]),
  );
  const symbols = new Map([
    ['needed', 0xffff_8000_1234_5678n],
    ['here', 1n],
    ['stranger', 2n],
  ]);
  t.is(
    linkerScript(copy, symbols, 0x5000n),
    `"needed" = 0xffff800012345678;
SECTIONS {
  .k2 0x20 : AT(0x20) { *(.k2) }
  .k6 0xffffffffc0001000 : AT(0xffffffffc0001000) { *(.k6) }
  .spare 0x5000 : AT(0x5000) { *(.got .got.plt .plt .iplt .igot.plt .branch_lt) }
}
`,
  );
});

for (const [name, machine, is64] of [
  ['x86_64', X86_64, true],
  ['i386', I386, false],
] as const) {
  test(`${name}: a type that is left out becomes NONE, the others stay`, (t) => {
    const ko = buildKo({
      machine,
      sections: SECTIONS,
      symbols: [{ name: 'needed' }],
      relocs: {
        '#1': [
          { offset: 0, type: 118, symbol: 'needed' },
          { offset: 4, type: 1, symbol: 'needed' },
        ],
      },
    }).image;
    const format = { is64, little: true };
    const typesIn = (bytes: Uint8Array): readonly number[] => {
      const type = is64 ? SHT_RELA : SHT_REL;
      const { sh_offset, sh_size } = read(bytes, is64).find(({ sh_type }) => sh_type === type)!;
      const entries = new Entries(format, is64, bytes.subarray(Number(sh_offset), Number(sh_offset + sh_size)));
      return [0, 1].map((i) => genericInfo.type(entries.r_info(i), format));
    };
    t.deepEqual(typesIn(relinkable(ko, everywhere).bytes), [118, 1]);
    t.deepEqual(typesIn(relinkable(ko, everywhere, [118]).bytes), [0, 1]);
    t.deepEqual(typesIn(ko), [118, 1]);
  });
}
