import test, { type ExecutionContext } from 'ava';
import {
  type KoReloc,
  type KoSection,
  type KoSymbol,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  STB_WEAK,
  buildKo,
} from '../../fixtures/build.ts';
import { LinkError, findLld, linkAtAddresses } from '../../oracle/lld.ts';
import { SHT_NOBITS, SHT_NOTE } from '../../relocs/elf.ts';

const lld = await findLld();
const linked = (title: string, body: (t: ExecutionContext) => Promise<void>): void => {
  if (lld === undefined) {
    console.log(`skipped, no ld.lld here (node scripts/debian/tools.ts lld): ${title}`);
    test.skip(title, body);
  } else test(title, body);
};

const link = (machine: number, sections: KoSection[], symbols: KoSymbol[], relocs: Record<string, KoReloc[]>) => {
  const { image, sections: placed } = buildKo({ machine, sections, symbols, relocs });
  return (addresses: Record<string, bigint>, values: Record<string, bigint> = {}) =>
    linkAtAddresses({
      ko: image,
      addresses: new Map(
        Object.entries(addresses).map(([name, address]) => [
          name.startsWith('#') ? Number(name.slice(1)) : (placed.find((s) => s.name === name)?.index ?? -1),
          address,
        ]),
      ),
      symbols: new Map(Object.entries(values)),
      ...(lld === undefined ? {} : { lld }),
    });
};

/** Asserts a section's bytes; blanks in `expected` set its fields apart. */
const same = (t: ExecutionContext, bytes: Uint8Array | undefined, expected: string): void => {
  t.is(bytes === undefined ? 'absent' : Buffer.from(bytes).toString('hex'), expected.replaceAll(' ', ''));
};

const TEXT = SHF_ALLOC | SHF_EXECINSTR;
const X86_64 = 62;
const AARCH64 = 183;
const RISCV = 243;

linked('x86_64: PC32, PLT32, 64 and 32S at the addresses given', async (t) => {
  const run = link(
    X86_64,
    [
      { name: '.text', flags: TEXT, data: [0xe8, 0, 0, 0, 0, 0x48, 0xc7, 0xc0, 0, 0, 0, 0, 0xc3] },
      { name: '.data', flags: SHF_WRITE | SHF_ALLOC, size: 20 },
    ],
    [{ name: '_printk' }, { name: 'datum', section: '.data', value: 4 }],
    {
      '.text': [
        { offset: 1, type: 4, symbol: '_printk', addend: -4 },
        { offset: 8, type: 11, symbol: 'datum', addend: 1 },
      ],
      '.data': [
        { offset: 1, type: 1, symbol: 'datum', addend: 0x10 },
        { offset: 12, type: 2, symbol: '.text', addend: 0 },
      ],
    },
  );
  const { sections, messages, thunks, spare } = await run(
    { '.text': 0xffff_ffff_c000_0003n, '.data': 0xffff_ffff_c100_0001n },
    { _printk: 0xffff_ffff_8123_4567n },
  );
  t.deepEqual(messages, []);
  t.deepEqual(thunks, []);
  t.is(spare, undefined);
  // 0xffffffff81234567 - 4 - 0xffffffffc0000004, then 0xffffffffc1000005 + 1.
  same(t, sections.get(1), 'e8 5f4523c1 48c7c0 060000c1 c3');
  // 0xffffffffc1000005 + 0x10 at offset 1; 0xffffffffc0000003 - 0xffffffffc100000d at offset 12.
  same(t, sections.get(2), '00 150000c1ffffffff 000000 f6fffffe 00000000');
});

linked('arm64: CALL26, ADRP and LO12, ABS64', async (t) => {
  const run = link(
    AARCH64,
    [
      { name: '.text', flags: TEXT, data: [0, 0, 0, 0x94, 0, 0, 0, 0x90, 0, 0, 0, 0x91] },
      { name: '.data', flags: SHF_WRITE | SHF_ALLOC, size: 8 },
    ],
    [{ name: 'f' }, { name: 'datum', section: '.data' }],
    {
      '.text': [
        { offset: 0, type: 283, symbol: 'f' },
        { offset: 4, type: 275, symbol: 'datum' },
        { offset: 8, type: 277, symbol: 'datum' },
      ],
      '.data': [{ offset: 0, type: 257, symbol: 'f', addend: -1 }],
    },
  );
  const place = { '.text': 0xffff_8000_7800_0000n, '.data': 0xffff_8000_7800_3128n };
  const near = await run(place, { f: 0xffff_8000_7fff_fffcn });
  t.deepEqual(near.messages, []);
  same(t, near.sections.get(1), 'ffffff95 000000f0 00a00491');
  same(t, near.sections.get(2), 'fbffff7f0080ffff');
  // One instruction further a thunk is needed: reported, and the section keeps its size.
  const far = await run(place, { f: 0xffff_8000_8000_0000n });
  t.deepEqual(far.thunks, [1]);
  t.is(far.sections.get(1)?.length, 12);
});

linked('riscv64: CALL_PLT, PCREL pair, ADD32 and SUB32, no relaxation', async (t) => {
  const run = link(
    RISCV,
    [
      {
        name: '.text',
        flags: TEXT,
        data: [0x97, 0, 0, 0, 0xe7, 0x80, 0, 0, 0x17, 5, 0, 0, 0x13, 5, 5, 0],
      },
      { name: '.data', flags: SHF_WRITE | SHF_ALLOC, size: 12 },
    ],
    [{ name: 'f' }, { name: 'hi', section: '.text', value: 8 }, { name: 'datum', section: '.data' }],
    {
      '.text': [
        { offset: 0, type: 19, symbol: 'f' },
        { offset: 0, type: 51, symbol: 0 },
        { offset: 8, type: 23, symbol: 'datum' },
        { offset: 12, type: 24, symbol: 'hi' },
      ],
      '.data': [
        { offset: 0, type: 2, symbol: 'datum', addend: 8 },
        { offset: 8, type: 35, symbol: 'hi' },
        { offset: 8, type: 39, symbol: '.text', addend: 2 },
      ],
    },
  );
  const { sections, messages } = await run(
    { '.text': 0xffff_ffff_0100_0000n, '.data': 0xffff_ffff_0100_2800n },
    { f: 0xffff_ffff_0100_0800n },
  );
  t.deepEqual(messages, []);
  // auipc ra, 1; jalr ra, -0x800(ra); auipc a0, 2; addi a0, a0, 0x7f8.
  same(t, sections.get(1), '97100000 e7800080 17250000 1305857f');
  same(t, sections.get(2), '08280001ffffffff 06000000');
});

linked('equal strings, equal names, odd notes and unwind tables come out as they went in', async (t) => {
  const strings = 'same\0same\0me\0';
  const note = [4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0x47, 0x4e, 0x55, 0];
  const run = link(
    X86_64,
    [
      { name: '.rodata.str1.1', flags: SHF_ALLOC | 0x30, data: strings, entsize: 1 },
      { name: '.text', flags: TEXT, data: [1], align: 64 },
      { name: '.text', flags: TEXT, data: [2], align: 64 },
      { name: '.eh_frame', flags: SHF_ALLOC, data: [0xff, 0xff, 0, 0, 7] },
      { name: '.note.gnu.property', type: SHT_NOTE, flags: SHF_ALLOC, data: note, align: 8 },
      { name: '.bss', type: SHT_NOBITS, flags: SHF_WRITE | SHF_ALLOC, size: 0x100000 },
      { name: '.init_array', type: 14, flags: SHF_WRITE | SHF_ALLOC, size: 8 },
      { name: '.empty', flags: SHF_ALLOC, data: [] },
    ],
    [
      { name: 'tail', section: '.rodata.str1.1', value: 10 },
      { name: 'zero', section: '.bss', value: 8 },
      { name: 'none', section: '.empty' },
    ],
    {
      '.init_array': [{ offset: 0, type: 1, symbol: 'zero' }],
      '#3': [],
    },
  );
  const { sections, messages } = await run({
    '#1': 0xffff_ffff_c000_0001n,
    '#2': 0xffff_ffff_c000_0101n,
    '#3': 0xffff_ffff_c000_0102n,
    '#4': 0xffff_ffff_9000_0000n,
    '#5': 0xffff_ffff_f000_0001n,
    '#6': 0x1000n,
    '#7': 0xffff_ffff_c000_0203n,
    '#8': 0xffff_ffff_c000_0300n,
  });
  t.deepEqual(messages, []);
  same(t, sections.get(1), Buffer.from(strings).toString('hex'));
  same(t, sections.get(2), '01');
  same(t, sections.get(3), '02');
  same(t, sections.get(4), 'ffff000007');
  same(t, sections.get(5), Buffer.from(note).toString('hex'));
  t.false(sections.has(6));
  same(t, sections.get(7), '0810000000000000');
  t.is(sections.get(8)?.length, 0);
});

linked('a symbol in an empty section has that section’s address', async (t) => {
  const run = link(
    X86_64,
    [
      { name: '.empty', flags: SHF_ALLOC, data: [] },
      { name: '.data', flags: SHF_WRITE | SHF_ALLOC, size: 8 },
    ],
    [{ name: 'nothing', section: '.empty' }],
    { '.data': [{ offset: 0, type: 1, symbol: 'nothing' }] },
  );
  const { sections, messages } = await run({ '.empty': 0xffff_ffff_c000_0007n, '.data': 0xffff_ffff_c000_1000n });
  t.deepEqual(messages, []);
  same(t, sections.get(2), '070000c0ffffffff');
});

linked('what does not fit is reported by name and linked all the same', async (t) => {
  const run = link(X86_64, [{ name: '.text', flags: TEXT, data: [0, 0, 0, 0, 0xc3] }], [{ name: 'far_away' }], {
    '.text': [{ offset: 0, type: 2, symbol: 'far_away' }],
  });
  const limit = 0xffff_ffff_c000_0000n - 0x8000_0000n;
  const fits = await run({ '.text': 0xffff_ffff_c000_0000n }, { far_away: limit });
  t.deepEqual(fits.messages, []);
  same(t, fits.sections.get(1), '00000080c3');
  const far = await run({ '.text': 0xffff_ffff_c000_0000n }, { far_away: limit - 1n });
  t.is(far.messages.length, 1);
  t.regex(far.messages[0] ?? '', /relocation R_X86_64_PC32 out of range: -2147483649 is not in/);
  t.regex(far.messages[0] ?? '', /references 'far_away'/);
  same(t, far.sections.get(1), 'ffffff7fc3');
});

linked('an undefined symbol without a value is reported when strong and 0 when weak', async (t) => {
  const run = link(
    X86_64,
    [{ name: '.data', flags: SHF_WRITE | SHF_ALLOC, size: 16 }],
    [{ name: 'strong' }, { name: 'weak', bind: STB_WEAK }],
    {
      '.data': [
        { offset: 0, type: 1, symbol: 'strong' },
        { offset: 8, type: 1, symbol: 'weak', addend: 3 },
      ],
    },
  );
  const without = await run({ '.data': 0x1000n });
  t.is(without.messages.length, 1);
  t.regex(without.messages[0] ?? '', /undefined symbol: strong/);
  same(t, without.sections.get(1), '0000000000000000 0300000000000000');
  const given = await run({ '.data': 0x1000n }, { strong: 0xffff_ffff_8000_0000n, weak: 0x10n });
  t.deepEqual(given.messages, []);
  same(t, given.sections.get(1), '00000080ffffffff 1300000000000000');
});

test('a program that is not there is a LinkError', async (t) => {
  const { image } = buildKo({ machine: X86_64, sections: [{ name: '.text', flags: TEXT, data: [0xc3] }] });
  const error = await t.throwsAsync(
    linkAtAddresses({ ko: image, addresses: new Map([[1, 0x1000n]]), symbols: new Map(), lld: '/nonexistent/ld.lld' }),
    { instanceOf: LinkError },
  );
  t.regex(error.message, /nonexistent\/ld\.lld/);
});

test('nothing to place is linked without a linker', async (t) => {
  const { image } = buildKo({ machine: X86_64, sections: [{ name: '.text', flags: TEXT, data: [0xc3] }] });
  const result = await linkAtAddresses({ ko: image, addresses: new Map(), symbols: new Map(), lld: '/nonexistent' });
  t.is(result.sections.size, 0);
});
