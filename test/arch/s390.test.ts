import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { acceptsHeader } from '../../arch/index.ts';
import { s390x } from '../../arch/s390.ts';
import { SHN_ABS, SHN_UNDEF } from '../../relocs/elf.ts';
import { versions } from '../../relocs/module-view.ts';
import { type Given, type GivenReloc, type Outcome, relocate } from './relocate.ts';

const BASE = 0x3ff_8000_0000n;
const P = BASE + 0x4008n;
const region = (o: Outcome) => o.module.memory[o.module.version === '6.1' ? 'core' : 'text']!;
const head = (o: Outcome): string => Buffer.from(region(o).bytes).toString('hex');

function one(type: string | number, bytes: string, foo: bigint, more: Partial<Given> & { A?: bigint } = {}): Outcome {
  const { A = 0n, ...rest } = more;
  return relocate({
    arch: s390x,
    text: BASE,
    sections: { '.text': { addr: P - 8n, data: `0011223344556677 ${bytes} 8899aabbccddeeff` } },
    symbols: { foo },
    relocs: { '.text': [[8, type, 'foo', A]] },
    ...rest,
  });
}
const patched = (o: Outcome): string => (o.errno ?? o.crash ?? '') + o.log.join() + o.hex('.text').slice(16, -16);
const error = (type: number, value: bigint): string =>
  `ENOEXECmodule fix: relocation error for symbol foo (r_type ${type}, value 0x${BigInt.asUintN(64, value).toString(16)})`;

/** Both ends are taken, and one step beyond either is refused with nothing written. `from`: the symbol for value 0. */
function ends(
  t: ExecutionContext,
  type: number,
  from: bigint,
  lo: readonly [bigint, string],
  hi: readonly [bigint, string],
  step = 1n,
): void {
  const before = '0'.repeat(lo[1].length);
  t.is(patched(one(type, before, from + lo[0])), lo[1], `${type} lowest`);
  t.is(patched(one(type, before, from + hi[0])), hi[1], `${type} highest`);
  for (const value of [lo[0] - step, hi[0] + step])
    t.is(patched(one(type, before, from + value)), error(type, value) + before);
}

test('absolute fields of 8 to 64 bits, unsigned but for the one of 20', (t) => {
  ends(t, 1, 0n, [0n, '00'], [0xffn, 'ff']);
  ends(t, 2, 0n, [0n, '0000'], [0xfffn, '0fff']);
  ends(t, 3, 0n, [0n, '0000'], [0xffffn, 'ffff']);
  ends(t, 4, 0n, [0n, '00000000'], [0xffff_ffffn, 'ffffffff']);
  ends(t, 57, 0n, [-0x8_0000n, '00008000'], [0x7_ffffn, '0fff7f00']);
  t.is(patched(one('R_390_64', '0000000000000000', 0n, { A: -2n })), 'fffffffffffffffe');
  t.is(patched(one('R_390_NONE', '1234', 1n)), '1234');
});

test('the other bits of the word stay', (t) => {
  t.is(patched(one('R_390_12', 'ffff', 0n)), 'f000');
  t.is(patched(one('R_390_20', 'ffffffff', 0n)), 'f00000ff');
  t.is(patched(one('R_390_20', '00000000', 0x1_2345n)), '03451200');
});

test('relative fields, signed; DBL counts halfwords and wants them', (t) => {
  ends(t, 16, P, [-0x8000n, '8000'], [0x7fffn, '7fff']);
  ends(t, 5, P, [-0x8000_0000n, '80000000'], [0x7fff_ffffn, '7fffffff']);
  ends(t, 17, P, [-0x1_0000n, '8000'], [0xfffen, '7fff'], 2n);
  ends(t, 19, P, [-0x1_0000_0000n, '80000000'], [0xffff_fffen, '7fffffff'], 2n);
  t.is(patched(one('R_390_PC32DBL', '00000000', P + 3n)), `${error(19, 3n)}00000000`);
  t.is(patched(one('R_390_PC64', '0000000000000000', P - 1n)), 'ffffffffffffffff');
});

test('GOT slots: of a symbol, not of an addend; the value once, at the start of text', (t) => {
  for (const version of versions) {
    const o = relocate({
      arch: s390x,
      version,
      text: BASE,
      sections: { '.text': { addr: BASE + 0x1000n, data: 32 } },
      symbols: { a: 0x1111n, b: 0x2222n, never: 0x3333n },
      relocs: {
        '.text': [
          [0, 'R_390_GOTENT', 'b', 2n],
          [4, 'R_390_GOT12', 'a', 1n],
          [6, 'R_390_GOTPLT12', 'b'],
          [8, 'R_390_GOT20', 'a', -9n],
          [12, 'R_390_GOT32', 'a'],
          [16, 'R_390_GOT64', 'b', -1n],
          [24, 'R_390_GOTPLTENT', 'a'],
          [28, 'R_390_GOT16', 'a'],
          [30, 'R_390_PC16', 'never', -0x3333n + BASE + 0x101en],
        ],
      },
    });
    t.is(o.errno, undefined);
    t.is(head(o), '0000000000002222 0000000000001111'.replaceAll(' ', ''));
    t.is(
      o.hex('.text'),
      'fffff801 0009 0000 0fffff00 00000008 ffffffffffffffff fffff7f8 0008 0000'.replaceAll(' ', ''),
    );
  }
});

test('a GOT offset that does not fit is refused after its slot is filled', (t) => {
  const o = one('R_390_GOT12', '0000', 0x42n, { A: 0x1000n });
  t.is(patched(o), `${error(6, 0x1000n)}0000`);
  t.is(head(o), '0000000000000042');
  t.is(patched(one('R_390_GOTENT', '00000000', 0x42n, { A: 1n })), `${error(26, 1n + BASE - P)}00000000`);
});

test('GOTOFF and GOTPC count from the GOT, GOTOFF unsigned', (t) => {
  ends(t, 27, BASE, [0n, '0000'], [0xffffn, 'ffff']);
  ends(t, 13, BASE, [0n, '00000000'], [0xffff_ffffn, 'ffffffff']);
  t.is(patched(one('R_390_GOTOFF64', '0000000000000000', BASE - 1n)), 'ffffffffffffffff');
  t.is(patched(one('R_390_GOTPC', '00000000', 0x1234n, { A: 4n })), 'ffffbffc');
  t.is(patched(one('R_390_GOTPCDBL', '00000000', 0x1234n, { A: 2n })), 'ffffdffd');
});

const ENTRY = '0d10e310 100c0004 07f1 00000000'.replaceAll(' ', '');
const FAR = 0x10_0000n;

test('a branch out of reach goes by the PLT', (t) => {
  for (const version of versions) {
    const o = one('R_390_PLT32DBL', '00000000', FAR, { version, A: 2n });
    t.is(patched(o), 'ffffdffd');
    t.is(head(o), `${ENTRY}0000000000100000`);
  }
});

test('a branch in reach goes straight, though its entry is there', (t) => {
  const S = P + 0x100n;
  const o = one('R_390_PLT32DBL', '00000000', S, { A: 2n });
  t.is(patched(o), '00000081');
  t.is(head(o), ENTRY + S.toString(16).padStart(16, '0'));
  t.is(patched(one('R_390_PLT16DBL', '0000', S, { A: 2n })), '0081');
});

test('reach is looked at without the addend, which may then not fit', (t) => {
  t.is(patched(one('R_390_PLT32DBL', '00000000', P + 0xffff_fffen)), '7fffffff');
  t.is(patched(one('R_390_PLT32DBL', '00000000', P + 0xffff_fffen, { A: 2n })), `${error(20, 0x1_0000_0000n)}00000000`);
  t.is(patched(one('R_390_PLT32DBL', '00000000', P + 0xffff_ffffn)), 'ffffdffc');
  t.is(patched(one('R_390_PLT32DBL', '00000000', P - 0xffff_fffen)), '80000001');
  t.is(patched(one('R_390_PLT32DBL', '00000000', P - 0x1_0000_0000n)), 'ffffdffc', 'though it would reach');
});

test('the short branch takes targets up to 0x1efffe ahead for reachable, and is refused for them', (t) => {
  t.is(patched(one('R_390_PLT16DBL', '0000', P + 0xfffen)), '7fff');
  t.is(patched(one('R_390_PLT16DBL', '0000', P + 0x1_0000n)), `${error(18, 0x1_0000n)}0000`);
  t.is(patched(one('R_390_PLT16DBL', '0000', P + 0x1e_fffen)), `${error(18, 0x1e_fffen)}0000`);
  t.is(patched(one('R_390_PLT16DBL', '0000', P + 0x1e_ffffn)), 'dffc', 'by the PLT');
  t.is(patched(one('R_390_PLT16DBL', '0000', P - 0xfffen)), '8001');
  t.is(patched(one('R_390_PLT16DBL', '0000', P - 0x1_0000n)), 'dffc', 'by the PLT, though it would reach');
});

test('PLT32 never goes straight and is unsigned: an entry behind its place only', (t) => {
  t.is(patched(one('R_390_PLT32', '00000000', P + 4n)), `${error(8, BASE - P)}00000000`);
  t.is(patched(one('R_390_PLT32', '00000000', P + 4n, { text: P + 0x100n })), '00000100');
  t.is(patched(one('R_390_PLT64', '0000000000000000', P + 4n)), 'ffffffffffffbff8');
});

test('PLTOFF counts from the GOT to the entry', (t) => {
  const o = relocate({
    arch: s390x,
    text: BASE,
    sections: { '.text': { addr: P, data: 16 } },
    symbols: { a: 1n, b: 2n },
    relocs: {
      '.text': [
        [0, 'R_390_PLTOFF16', 'a'],
        [4, 'R_390_PLTOFF32', 'b', 1n],
        [8, 'R_390_PLTOFF64', 'b', -1n],
        [2, 'R_390_GOT16', 'b'],
      ],
    },
  });
  t.is(o.hex('.text'), '00080000 0000001f 000000000000001d'.replaceAll(' ', ''));
  t.is(head(o), `0000000000000002${ENTRY}0000000000000001${ENTRY}0000000000000002`);
});

test('with expolines an entry branches by the thunk, which finalize writes behind the last', (t) => {
  const expoline = (config: Given['config']): Outcome =>
    relocate({
      arch: s390x,
      text: BASE,
      config: { EXPOLINE: true, ...config },
      sections: { '.text': { addr: P, data: 8 } },
      symbols: { a: FAR, b: FAR + 2n },
      relocs: {
        '.text': [
          [0, 'R_390_PLT32DBL', 'a'],
          [4, 'R_390_PLT32DBL', 'b'],
        ],
      },
    });
  const o = expoline({});
  const entry = (thunk: string, target: string): string => `0d10e310100c0004c0f4${thunk}0000000000${target}`;
  const entries = entry('00000012', '100000') + entry('00000007', '100002');
  t.is(head(o), entries + '00'.repeat(22));
  s390x.finalize!(o.module);
  t.is(head(o), `${entries}c60000000005a7f4000007f1${'00'.repeat(10)}`);
  const off = expoline({ EXPOLINE_OFF: true });
  s390x.finalize!(off.module);
  t.is(head(off), `${ENTRY}0000000000100000${ENTRY}0000000000100002`);
  const unused = one('R_390_GOT16', '0000', 0n, { config: { EXPOLINE: true } });
  s390x.finalize!(unused.module);
  t.is(head(unused), '00'.repeat(8), 'no thunk without a PLT');
});

test('the room counted is the room used, one slot for a symbol, whatever section asks', (t) => {
  const types = [6, 7, 15, 24, 26, 29, 30, 31, 32, 33, 58, 59, 8, 18, 20, 25, 34, 35, 36];
  const reloc = fc.tuple(fc.constantFrom(...types, 22, 19), fc.integer({ min: 0, max: 5 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(reloc, { maxLength: 40 }), fc.boolean(), (relocs, EXPOLINE) => {
      const of = (inText: boolean): GivenReloc[] =>
        relocs.filter((r) => r[2] === inText).map(([type, sym], i): GivenReloc => [8 * i, type, `s${sym}`]);
      const o = relocate({
        arch: s390x,
        text: BASE,
        config: { EXPOLINE },
        // Below the entries, within reach of every field.
        sections: { '.text': { addr: BASE - 0x800n, data: 400 }, '.data': { addr: BASE - 0x400n, data: 400 } },
        symbols: Object.fromEntries([0, 1, 2, 3, 4, 5].map((i) => [`s${i}`, BASE + BigInt(2 * i)])),
        relocs: { '.text': of(true), '.data': of(false) },
      });
      t.is(o.errno ?? o.crash, undefined);
      const symbols = (lo: number, hi: number) =>
        new Set(relocs.filter(([type]) => types.indexOf(type) >= lo && types.indexOf(type) < hi).map((r) => r[1]));
      const [gots, plts] = [symbols(0, 12), symbols(12, 99)];
      t.is(region(o).size, 8 * gots.size + 22 * (plts.size + (EXPOLINE && plts.size > 0 ? 1 : 0)));
      const bytes = Buffer.from(region(o).bytes);
      const values = [...gots].map((_, i) => bytes.readBigUInt64BE(8 * i));
      t.deepEqual(
        values,
        [...new Set(order(relocs, types.slice(0, 12)))].map((i) => BASE + BigInt(2 * i)),
      );
      const targets = [...plts].map((_, i) => bytes.readBigUInt64BE(8 * gots.size + 22 * i + 14));
      t.deepEqual(
        targets,
        [...new Set(order(relocs, types.slice(12)))].map((i) => BASE + BigInt(2 * i)),
      );
    }),
    { numRuns: 150 },
  );
});

/** Symbols in the order in which their relocations are counted: .text before .data. */
const order = (relocs: readonly (readonly [number, number, boolean])[], types: readonly number[]): number[] =>
  [true, false].flatMap((inText) => relocs.filter((r) => r[2] === inText && types.includes(r[0])).map((r) => r[1]));

test('types of shared objects are refused without a word, others as unknown', (t) => {
  for (const version of versions) {
    for (const type of [9, 10, 11, 12]) {
      const o = one(type, '00000000', 0n, { version });
      t.is(patched(o), 'ENOEXEC00000000');
      t.regex(o.reason, /this type is for shared objects; s390 refuses it without a word/);
    }
    for (const type of [37, 56, 60, 61, 300])
      t.is(patched(one(type, '00000000', 0n, { version })), `ENOEXECmodule fix: unknown relocation: ${type}00000000`);
  }
});

test('the GOT is defined where it is only referred to; a symbol table is needed', (t) => {
  const undef = { value: 0n, shndx: SHN_UNDEF };
  const o = relocate({ arch: s390x, sections: {}, symbols: { _GLOBAL_OFFSET_TABLE_: undef, foo: undef } });
  t.deepEqual(
    [1, 2].map((i) => o.module.symtab!.st_shndx(i)),
    [SHN_ABS, SHN_UNDEF],
  );
  const stripped = relocate({ arch: s390x, sections: {}, stripped: true });
  t.deepEqual([stripped.errno, stripped.log], ['ENOEXEC', ['module fix: no symbol table']]);
});

test('the header: two machine numbers, 64 bits', (t) => {
  const header = { is64: true, little: false, e_machine: 22, e_flags: 0, e_entry: 0n };
  t.true(acceptsHeader(s390x, header, {}));
  t.true(acceptsHeader(s390x, { ...header, e_machine: 0xa390 }, {}));
  t.false(acceptsHeader(s390x, { ...header, is64: false }, {}));
  t.false(acceptsHeader(s390x, { ...header, e_machine: 21 }, {}));
});
