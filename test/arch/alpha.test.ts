import test from 'ava';
import * as fc from 'fast-check';
import { alpha } from '../../arch/alpha.ts';
import { acceptsHeader } from '../../arch/index.ts';
import { SHF_ALLOC, SHF_WRITE, SHT_NOBITS } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import { versions } from '../../relocs/module-view.ts';
import { type Given, type GivenReloc, type GivenSymbol, type Outcome, relocate } from './relocate.ts';

const TEXT = 0xffff_fffc_0000_0000n;
const GOT = TEXT + 0x2_0000n;
const GP = GOT + 0x8000n;
const P = TEXT + 8n;
const got = { addr: GOT, flags: SHF_ALLOC | SHF_WRITE | 0x1000_0000 };
const none = [0, 'R_ALPHA_NONE', 'foo'] as const;

/** One relocation at .text+8 against `foo`. */
function one(
  type: string | number,
  bytes: string,
  foo: bigint | GivenSymbol,
  more: Partial<Given> & { A?: bigint } = {},
): Outcome {
  const { A = 0n, ...rest } = more;
  return relocate({
    arch: alpha,
    sections: { '.text': { addr: TEXT, data: `0011223344556677 ${bytes} 8899aabbccddeeff` }, '.got': got },
    symbols: { foo },
    relocs: { '.text': [none, [8, type, 'foo', A]] },
    ...rest,
  });
}
const patched = (o: Outcome): string => (o.errno ?? o.crash ?? '') + o.log.join() + o.hex('.text').slice(16, -16);
const refused = (type: number, against = 'foo'): string =>
  `ENOEXECmodule fix: Relocation (type ${type}) overflow vs ${against}`;

test('words', (t) => {
  t.is(patched(one('R_ALPHA_REFLONG', 'ffffffff', 0x1_1234_5678n)), '78563412');
  t.is(patched(one('R_ALPHA_REFQUAD', 'ffffffffffffffff', TEXT, { A: -1n })), 'fffffffffbffffff');
  t.is(patched(one('R_ALPHA_SREL64', 'ffffffffffffffff', 0n)), 'f8ffffff03000000');
  for (const type of ['R_ALPHA_NONE', 'R_ALPHA_LITUSE', 'R_ALPHA_HINT'])
    t.is(patched(one(type, '12345678', 1n)), '12345678');
});

test('SREL32 and GPREL32 hold what is signed', (t) => {
  for (const [type, name, from] of [
    [10, 'R_ALPHA_SREL32', P],
    [3, 'R_ALPHA_GPREL32', GP],
  ] as const) {
    t.is(patched(one(name, '00000000', from + 0x7fff_ffffn)), 'ffffff7f');
    t.is(patched(one(name, '00000000', from - 0x8000_0000n)), '00000080');
    for (const S of [from + 0x8000_0000n, from - 0x8000_0001n])
      t.is(patched(one(name, '12345678', S)), `${refused(type)}12345678`);
  }
});

test('GPREL16 and GPRELHIGH hold what is signed, GPRELLOW everything', (t) => {
  t.is(patched(one('R_ALPHA_GPREL16', '00001d20', GP + 0x7fffn)), 'ff7f1d20');
  t.is(patched(one('R_ALPHA_GPREL16', '00001d20', GP - 0x8000n)), '00801d20');
  for (const S of [GP + 0x8000n, GP - 0x8001n])
    t.is(patched(one('R_ALPHA_GPREL16', '00001d20', S)), `${refused(19)}00001d20`);
  t.is(patched(one('R_ALPHA_GPRELHIGH', '00001d24', GP + 0x7fffn)), '00001d24');
  t.is(patched(one('R_ALPHA_GPRELHIGH', '00001d24', GP + 0x8000n)), '01001d24');
  t.is(patched(one('R_ALPHA_GPRELHIGH', '00001d24', GP + 0x7fff_7fffn)), 'ff7f1d24');
  t.is(patched(one('R_ALPHA_GPRELHIGH', '00001d24', GP - 0x8000_8000n)), '00801d24');
  for (const S of [GP + 0x7fff_8000n, GP - 0x8000_8001n])
    t.is(patched(one('R_ALPHA_GPRELHIGH', '00001d24', S)), `${refused(17)}00001d24`);
  t.is(patched(one('R_ALPHA_GPRELLOW', '00001d20', GP + 0x1_8000n)), '00801d20');
});

test('GPDISP splits the way to GP over two instructions, the second at P + A', (t) => {
  const pair = '0000bb27 11111111 0000bd23';
  const to = (distance: bigint): Outcome =>
    one('R_ALPHA_GPDISP', pair, 0n, {
      A: 8n,
      sections: {
        '.text': { addr: GP - distance - 8n, data: `0011223344556677 ${pair} 8899aabbccddeeff` },
        '.got': got,
      },
    });
  t.is(patched(to(0x1_7fffn)), '0100bb2711111111ff7fbd23');
  t.is(patched(to(0x1_8000n)), '0200bb27111111110080bd23');
  t.is(patched(to(-1n)), '0000bb2711111111ffffbd23');
  t.is(patched(to(0x7fff_7fffn)), 'ff7fbb2711111111ff7fbd23');
  t.is(patched(to(-0x8000_8000n)), '0080bb27111111110080bd23');
  for (const d of [0x7fff_8000n, -0x8000_8001n]) t.is(patched(to(d)), `${refused(6)}0000bb27111111110000bd23`);
});

test('branches count words from the next instruction; the range is twice what 21 bits hold', (t) => {
  const next = P + 4n;
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next)), '0000e0c3');
  t.is(patched(one('R_ALPHA_BRADDR', 'ffffffff', next)), '0000e0ff');
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next + 0x3f_fffcn)), 'ffffefc3');
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next - 0x40_0000n)), '0000f0c3');
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next + 0x40_0000n)), '0000f0c3', 'goes 4 MiB back');
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next + 0x7f_fffcn)), 'ffffffc3', 'goes one word back');
  t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', next - 0x80_0000n)), '0000e0c3');
  for (const S of [next + 0x80_0000n, next - 0x80_0004n, next + 1n, next + 2n])
    t.is(patched(one('R_ALPHA_BRADDR', '0000e0c3', S)), `${refused(7)}0000e0c3`);
});

test('BRSGP wants a symbol of its own module, and passes over the prologue that loads GP', (t) => {
  const at = (st_other: number, shndx = 1): GivenSymbol => ({ value: P + 4n, shndx, st_other });
  t.is(patched(one('R_ALPHA_BRSGP', '000040d3', at(0))), '000040d3');
  t.is(patched(one('R_ALPHA_BRSGP', '000040d3', at(0x80))), '000040d3');
  t.is(patched(one('R_ALPHA_BRSGP', '000040d3', at(0x88))), '020040d3');
  t.is(patched(one('R_ALPHA_BRSGP', '000040d3', at(0xff))), '020040d3');
  t.is(patched(one('R_ALPHA_BRSGP', '000040d3', at(0, 0))), `${refused(28)}000040d3`);
});

test('an overflow against a section names its number', (t) => {
  const section = { value: 0n, shndx: 2, type: 3 };
  t.is(patched(one('R_ALPHA_GPREL16', '0000', section)), `${refused(19, 'section 2')}0000`);
});

/** LITERALs of the symbols `names`, 4 bytes apart. */
const literals = (names: readonly (readonly [name: string, addend?: bigint])[], more: Partial<Given> = {}): Outcome => {
  const relocs = names.map(([name, addend = 0n], i): GivenReloc => [4 * i, 'R_ALPHA_LITERAL', name, addend]);
  return relocate({
    arch: alpha,
    sections: { '.text': { addr: TEXT, data: 4 * names.length }, '.got': got },
    symbols: VALUES,
    relocs: { '.text': relocs },
    ...more,
  });
};
const VALUES: Readonly<Record<string, bigint>> = { a: 0x11n, b: 0x22n, c: 0x33n };
const quad = (v: number): string => `${v.toString(16).padStart(2, '0')}00000000000000`;

test('a LITERAL has a slot for its symbol and addend, the first of all two of them', (t) => {
  const o = literals([['a'], ['b'], ['a'], ['a'], ['b', 4n], ['b'], ['b', 4n]]);
  t.is(o.errno, undefined);
  const { sh_size, sh_type, sh_addralign } = o.section('.got');
  t.deepEqual({ sh_size, sh_type, sh_addralign }, { sh_size: 32, sh_type: SHT_NOBITS, sh_addralign: 8 });
  t.is(o.hex('.got'), [0x11, 0x22, 0x11, 0x26].map(quad).join(''));
  t.is(o.hex('.text'), '00800000 08800000 10800000 10800000 18800000 08800000 18800000'.replaceAll(' ', ''));
});

test('the offset of the slot is kept in r_info, above the type', (t) => {
  const o = literals([['a'], ['b'], ['c', -1n]]);
  const entries = new Entries(o.module.format, true, o.section('.rela.text').bytes);
  t.deepEqual(
    [0, 1, 2].map((i) => entries.r_info(i) & 0xffff_ffffn),
    [4n, 0x804n, 0x1004n],
  );
});

test('as many slots are counted as are filled, whatever the relocations', (t) => {
  const literal = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.bigInt({ min: -1n, max: 2n }));
  fc.assert(
    fc.property(fc.array(literal, { minLength: 1, maxLength: 40 }), (names) => {
      const o = literals(names);
      t.is(o.errno ?? o.crash, undefined);
      const distinct = new Set(names.map(String)).size;
      const again = names.slice(1).some((n) => String(n) === String(names[0]));
      t.is(o.section('.got').sh_size, 8 * (distinct + (again ? 1 : 0)));
      const bytes = Buffer.from(o.hex('.got'), 'hex');
      names.forEach(([name, addend], i) => {
        const slot = Buffer.from(o.hex('.text'), 'hex').readInt16LE(4 * i) + 0x8000;
        t.is(bytes.readBigUInt64LE(slot), VALUES[name]! + addend);
      });
    }),
    { numRuns: 200 },
  );
});

test('the GOT ends where 16 bits do', (t) => {
  const full = literals(Array.from({ length: 0x2000 }, (_, i) => ['a', BigInt(i)] as const));
  t.is(full.errno, undefined);
  t.is(full.hex('.text').slice(-8), 'f87f0000');
  const more = literals(Array.from({ length: 0x2001 }, (_, i) => ['a', BigInt(i)] as const));
  t.is(more.errno, 'ENOEXEC');
  t.deepEqual(more.log, ['module fix: Relocation (type 4) overflow vs a']);
  t.is(more.hex('.text').slice(-16), 'f87f000000000000');
});

test('bits above the type that are there already are an offset nobody counted', (t) => {
  const o = one(0x1004, '0000', 1n);
  t.is(o.crash, 'signal 11');
  t.regex(o.reason, /fills slot 16 of a GOT of 0 bytes/);
  t.is(patched(one(0x1001, 'ffffffff', 1n)), '01000000');
});

test('a module needs a symbol table, then a .got', (t) => {
  const text = { '.text': { addr: TEXT, data: 8 } };
  for (const version of versions) {
    const o = relocate({ arch: alpha, version, sections: text });
    t.deepEqual([o.errno, o.log], ['ENOEXEC', ['module fix: no got section']]);
    const stripped = relocate({ arch: alpha, version, sections: text, stripped: true });
    t.deepEqual([stripped.errno, stripped.log], ['ENOEXEC', ['module fix: no symbol table']]);
  }
});

test('other types are unknown', (t) => {
  for (const version of versions)
    for (const type of [9, 24, 29, 255])
      t.is(patched(one(type, '12345678', 0n, { version })), `ENOEXECmodule fix: Unknown relocation: ${type}12345678`);
  t.is(patched(one(0x309, '12345678', 0n)), 'ENOEXECmodule fix: Unknown relocation: 912345678');
});

test('32-bit address space is refused by the header', (t) => {
  const header = { is64: true, little: true, e_machine: 0x9026, e_flags: 0, e_entry: 0n };
  t.true(acceptsHeader(alpha, header, {}));
  t.false(acceptsHeader(alpha, { ...header, e_flags: 1 }, {}));
  t.false(acceptsHeader(alpha, { ...header, e_machine: 41 }, {}));
});
