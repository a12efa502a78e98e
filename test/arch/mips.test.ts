import test from 'ava';
import * as fc from 'fast-check';
import { acceptsHeader, configOf } from '../../arch/index.ts';
import { mips, mips64 } from '../../arch/mips.ts';
import { applyOne } from '../../relocs/apply.ts';
import { versions } from '../../relocs/module-view.ts';
import { Site } from '../../relocs/site.ts';
import { one as oneAt, patched, refused } from './one.ts';
import { type Given, type GivenReloc, move, type Outcome, relocate, runsOf, unloaded } from './relocate.ts';

const P = 0xc000_0008n;
const P64 = 0xffff_ffff_c000_0008n;
/** Elf64_Mips_Rel: symbol word, then special symbol and types 3, 2 and 1 in bytes; the first three are not looked at. */
const composed =
  (little: boolean) =>
  (sym: bigint, type: bigint): bigint =>
    little ? sym | (0x51_8205n << 32n) | (type << 56n) : (sym << 32n) | (0x05_8251n << 8n) | type;
type Machine = Pick<Given, 'arch'> & Partial<Given> & { readonly P: bigint };
// biome-ignore format: table
const machines: Readonly<Record<'mips' | 'mipsel' | 'mips64' | 'mips64el' | 'mips64rel', Machine>> = {
  mips:      { arch: mips,   P,      little: false },
  mipsel:    { arch: mips,   P,      little: true },
  mips64:    { arch: mips64, P: P64, little: false, info: composed(false) },
  mips64el:  { arch: mips64, P: P64, little: true,  info: composed(true) },
  mips64rel: { arch: mips64, P: P64, little: true,  info: composed(true), form: 'REL' },
};
const every = Object.values(machines);
const { mipsel, mips64el, mips64rel } = machines;

const isRel = (m: Machine): boolean => (m.form ?? m.arch.forms[0]) === 'REL';
/** An instruction as it lies in memory. */
const insn = (m: Machine, word: bigint): string => {
  const bytes = Buffer.from(BigInt.asUintN(32, word).toString(16).padStart(8, '0'), 'hex');
  return (m.little ? bytes.reverse() : bytes).toString('hex');
};
const one = (m: Machine, type: string | number, word: bigint, S: bigint, A = 0n): Outcome =>
  oneAt({ ...m, A }, type, insn(m, word), BigInt.asUintN(m.arch.is64 ? 64 : 32, S));

test('words', (t) => {
  for (const m of every) {
    t.is(patched(t, one(m, 'R_MIPS_NONE', 0x1234_5678n, 1n)), insn(m, 0x1234_5678n));
    t.is(patched(t, one(m, 'R_MIPS_32', isRel(m) ? 0xffff_fff0n : 0x55n, 0x8000_0000n, -16n)), insn(m, 0x7fff_fff0n));
  }
  const wide = (S: bigint) => oneAt({ ...mips64el, A: -1n }, 'R_MIPS_64', 'ffffffffffffffff', S);
  t.is(patched(t, wide(0x1234_5678_9abc_def0n)), 'efdebc9a78563412');
  t.is(patched(t, oneAt(machines.mips64, 'R_MIPS_64', '0000000000000000', 0x1234n)), '0000000000001234');
});

test('HIGHER and HIGHEST round for the parts below', (t) => {
  const m = mips64el;
  for (const [type, S, bits] of [
    ['R_MIPS_HIGHER', 0x1234_5678_7fff_7fffn, 0x5678n],
    ['R_MIPS_HIGHER', 0x1234_5678_7fff_8000n, 0x5679n],
    ['R_MIPS_HIGHEST', 0x1234_7fff_7fff_7fffn, 0x1234n],
    ['R_MIPS_HIGHEST', 0x1234_7fff_7fff_8000n, 0x1235n],
    ['R_MIPS_HIGHEST', 0xffff_7fff_7fff_8000n, 0n],
    ['R_MIPS_HI16', 0x1234_7fffn, 0x1234n],
    ['R_MIPS_HI16', 0x1234_8000n, 0x1235n],
    ['R_MIPS_LO16', 0x1234_8000n, 0x8000n],
  ] as const)
    t.is(patched(t, one(m, type, 0x3c02_ffffn, S)), insn(m, 0x3c02_0000n | bits), `${type} ${S.toString(16)}`);
});

test('types without an addend of their own are refused in SHT_REL, with a WARN', (t) => {
  for (const m of [mips64rel, mipsel, machines.mips]) {
    for (const type of [18, 28, 29]) {
      const o = oneAt(m, type, '1122334455667788', 0x10n);
      refused(t, o, '1122334455667788', 'EINVAL');
      t.is(o.warns, 1);
    }
  }
  t.is(one(mips64el, 28, 0n, 0x10n).warns, 0);
});

test('26 jumps within the 256 MiB of its delay slot', (t) => {
  for (const m of every) {
    const high = m.P & ~0xfff_ffffn;
    const field = (S: bigint): string => patched(t, one(m, 'R_MIPS_26', 0x0c00_0000n, S));
    t.is(field(high), insn(m, 0x0c00_0000n));
    t.is(field(high + 0xfff_fffcn), insn(m, 0x0fff_ffffn));
    for (const S of [high - 4n, high + 0x1000_0000n])
      refused(
        t,
        one(m, 'R_MIPS_26', 0x0c00_0000n, S),
        insn(m, 0x0c00_0000n),
        'ENOEXEC',
        'module fix: relocation overflow',
      );
    for (const S of [high + 1n, high + 2n, high + 0x1000_0002n])
      refused(
        t,
        one(m, 'R_MIPS_26', 0x0c00_0000n, S),
        insn(m, 0x0c00_0000n),
        'ENOEXEC',
        'module fix: dangerous R_MIPS_26 relocation',
      );
  }
});

test('26: the addend in place is not checked, and wraps; an explicit one is', (t) => {
  const high = P & ~0xfff_ffffn;
  t.is(patched(t, one(mipsel, 'R_MIPS_26', 0x0fff_fffen, high + 0x10n)), insn(mipsel, 0x0c00_0002n));
  t.is(one(mips64el, 'R_MIPS_26', 0x0c00_0000n, P64, 1n).log[0], 'module fix: dangerous R_MIPS_26 relocation');
  t.is(one(mips64el, 'R_MIPS_26', 0x0c00_0000n, P64, 0x4000_0000n).log[0], 'module fix: relocation overflow');
});

test('26: of a 64-bit address the upper half is not looked at', (t) => {
  t.is(patched(t, one(mips64el, 'R_MIPS_26', 0x0c00_0000n, 0x1234_c000_0000n)), insn(mips64el, 0x0c00_0000n));
});

test('26 is held to the segment of the delay slot, not of the jump', (t) => {
  const last = { ...mipsel, P: 0xcfff_fffcn };
  t.is(patched(t, one(last, 'R_MIPS_26', 0x0c00_0000n, 0xd000_0000n)), insn(mipsel, 0x0c00_0000n));
  t.is(one(last, 'R_MIPS_26', 0x0c00_0000n, 0xc000_0000n).errno, 'ENOEXEC');
});

for (const [type, bits] of [
  ['R_MIPS_PC16', 16],
  ['R_MIPS_PC21_S2', 21],
  ['R_MIPS_PC26_S2', 26],
] as const) {
  test(`${type} counts words and is checked`, (t) => {
    const mask = (1n << BigInt(bits)) - 1n;
    const half = 1n << BigInt(bits + 1);
    for (const m of every) {
      // All in place is -1: one word back, where the addend is there.
      const from = m.P + (isRel(m) ? 4n : 0n);
      const op = isRel(m) ? 0xffff_ffffn : 0xffff_ffffn & ~mask;
      const at = (S: bigint): Outcome => one(m, type, op, S);
      t.is(patched(t, at(from)), insn(m, 0xffff_ffffn & ~mask));
      t.is(patched(t, at(from + half - 4n)), insn(m, (0xffff_ffffn & ~mask) | (mask >> 1n)));
      t.is(patched(t, at(from - half)), insn(m, (0xffff_ffffn & ~mask) | (mask ^ (mask >> 1n))));
      for (const S of [from + half, from - half - 4n])
        refused(t, at(S), insn(m, op), 'ENOEXEC', 'module fix: relocation overflow');
      for (const S of [from + 1n, from + half + 2n])
        refused(t, at(S), insn(m, op), 'ENOEXEC', `module fix: dangerous R_MIPS_PC${bits} relocation`);
    }
  });
}

// HI16 and LO16 of SHT_REL

/** Instructions from .text on, and relocations against symbols. */
const rel = (
  m: Machine,
  words: readonly bigint[],
  relocs: readonly GivenReloc[],
  symbols: Given['symbols'] = {},
): Outcome =>
  relocate({
    ...m,
    sections: { '.text': { addr: m.P, data: words.map((w) => insn(m, w)).join('') } },
    symbols: { a: 0x8001_2345n, b: 0x8001_2346n, ...symbols },
    relocs: { '.text': relocs },
  });
const words = (o: Outcome, m: Machine): string[] =>
  o
    .hex('.text')
    .match(/.{8}/g)!
    .map((w) => (m.little ? Buffer.from(w, 'hex').reverse().toString('hex') : w));

test('halves of an address come together', (t) => {
  const half = fc.integer({ min: 0, max: 0xffff });
  const S = fc.bigInt({ min: 0n, max: 0xffff_f000n });
  const names = fc.constantFrom('mips', 'mipsel', 'mips64rel' as const);
  fc.assert(
    fc.property(names, S, fc.array(half, { minLength: 1, maxLength: 4 }), half, (name, a, highs, low) => {
      const m = machines[name];
      const code = [...highs.map((h) => 0x3c02_0000n | BigInt(h)), 0x2442_0000n | BigInt(low)];
      const relocs = code.map((_, i): GivenReloc => [4 * i, i < highs.length ? 'R_MIPS_HI16' : 'R_MIPS_LO16', 'a']);
      const got = words(rel(m, code, relocs, { a }), m).map((w) => BigInt(`0x${w}`));
      const lo = BigInt.asIntN(16, got.at(-1)!);
      highs.forEach((h, i) => {
        t.is(got[i]! >> 16n, 0x3c02n);
        const address = ((got[i]! & 0xffffn) << 16n) + lo;
        const wanted = a + (BigInt(h) << 16n) + BigInt.asIntN(16, BigInt(low));
        t.is(BigInt.asUintN(32, address), BigInt.asUintN(32, wanted));
      });
      t.is(got.at(-1)! >> 16n, 0x2442n);
    }),
    { numRuns: 200 },
  );
});

test('a LO16 alone, and after its HI16, takes its own addend', (t) => {
  const o = rel(
    mipsel,
    [0x3c02_0001n, 0x2442_fff0n, 0x2442_0010n],
    [
      [0, 'R_MIPS_HI16', 'a'],
      [4, 'R_MIPS_LO16', 'a'],
      [8, 'R_MIPS_LO16', 'b'],
    ],
  );
  t.deepEqual(words(o, mipsel), ['3c028002', '24422335', '24422356']);
});

test('a LO16 of another value is dangerous: newer HI16 are written, it and older ones are not', (t) => {
  const o = rel(
    mipsel,
    [0x3c02_0000n, 0x3c03_0000n, 0x3c04_0000n, 0x2442_0000n],
    [
      [0, 'R_MIPS_HI16', 'a'],
      [4, 'R_MIPS_HI16', 'b'],
      [8, 'R_MIPS_HI16', 'a'],
      [12, 'R_MIPS_LO16', 'a'],
    ],
  );
  t.is(o.errno, 'ENOEXEC');
  t.deepEqual(o.log, ['module fix: dangerous R_MIPS_LO16 relocation']);
  t.regex(o.reason, /relocation 1 is a HI16 that waits for 0x80012346/);
  t.deepEqual(words(o, mipsel), ['3c020000', '3c030000', '3c048001', '24420000']);
});

test('a HI16 without a LO16 refuses the module without a word', (t) => {
  for (const m of [mipsel, machines.mips, mips64rel]) {
    const o = rel(m, [0x3c02_0000n, 0n], [[0, 'R_MIPS_HI16', 'a']]);
    t.is(o.errno, 'ENOEXEC');
    t.deepEqual(o.log, []);
    t.regex(o.reason, /\.text\+0x0 .* is an R_MIPS_HI16/);
  }
  t.is(rel(mips64el, [0x3c02_0000n, 0n], [[0, 'R_MIPS_HI16', 'a']]).errno, undefined);
});

test('the queue is of one section', (t) => {
  const o = relocate({
    ...mipsel,
    sections: { '.text': { addr: P, data: 8 }, '.text.b': { addr: P + 0x100n, data: 8 } },
    symbols: { a: 0x8001_2345n },
    relocs: { '.text': [[0, 'R_MIPS_HI16', 'a']], '.text.b': [[0, 'R_MIPS_LO16', 'a']] },
  });
  t.is(o.errno, 'ENOEXEC');
  t.is(o.hex('.text.b'), '00'.repeat(8));
});

test('two sections side by side: what waits in one is nothing to the other', (t) => {
  const sites = [0x8001_2345n, 0x8765_9abcn].map((a) => {
    const given: Given = {
      ...mipsel,
      sections: { '.text': { addr: P, data: 8 } },
      symbols: { a },
      relocs: {
        '.text': [
          [0, 'R_MIPS_HI16', 'a'],
          [4, 'R_MIPS_LO16', 'a'],
        ],
      },
    };
    const { module } = unloaded(given);
    move(module, given);
    return new Site(runsOf(module, mips)[0]!);
  });
  for (const entry of [0, 1]) {
    for (const site of sites) {
      site.moveTo(entry);
      applyOne(site);
    }
  }
  t.deepEqual(
    sites.map((site) => Buffer.from(site.run.target.bytes).toString('hex')),
    ['0180000045230000', '66870000bc9a0000'],
  );
});

test('what waits when an error comes is forgotten', (t) => {
  const broken = rel(
    mipsel,
    [0n, 0n],
    [
      [0, 'R_MIPS_HI16', 'b'],
      [4, 9, 'a'],
    ],
  );
  t.is(broken.errno, 'EINVAL');
  const next = rel(mipsel, [0x2442_0000n], [[0, 'R_MIPS_LO16', 'a']]);
  t.is(next.errno, undefined);
  t.deepEqual(words(next, mipsel), ['24422345']);
});

test('an error keeps its errno though HI16 wait', (t) => {
  const o = rel(
    mipsel,
    [0n, 0n],
    [
      [0, 'R_MIPS_HI16', 'a'],
      [4, 9, 'a'],
    ],
  );
  t.is(o.errno, 'EINVAL');
  t.deepEqual(o.log, ['fix: Unknown relocation type 9']);
});

test('a HI16 at the place of its LO16 is lost', (t) => {
  const o = rel(
    mipsel,
    [0x3c02_0000n],
    [
      [0, 'R_MIPS_HI16', 'a'],
      [0, 'R_MIPS_LO16', 'a'],
    ],
  );
  t.deepEqual(words(o, mipsel), ['3c022345']);
});

test('big-endian mips64 patches the instruction behind a HI16', (t) => {
  const m = { ...machines.mips64, form: 'REL' } as const;
  const relocs: GivenReloc[] = [
    [0, 'R_MIPS_HI16', 'a'],
    [8, 'R_MIPS_LO16', 'a'],
  ];
  const o = rel(m, [0x3c02_0000n, 0x2402_0001n, 0x2442_0000n], relocs);
  t.deepEqual(words(o, m), ['3c020000', '24028002', '24422345']);
  // The last instruction of a section: what lies behind it is not looked at.
  const last = rel(
    m,
    [0x2442_0000n, 0x3c02_0000n],
    [
      [4, 'R_MIPS_HI16', 'a'],
      [0, 'R_MIPS_LO16', 'a'],
    ],
  );
  t.deepEqual(words(last, m), ['24422345', '3c020000']);
});

// Symbols and types

test('an unresolved symbol is refused, and a weak one ends the section', (t) => {
  for (const version of versions) {
    for (const m of every) {
      const error = BigInt.asUintN(m.arch.is64 ? 64 : 32, -4095n);
      refused(t, one({ ...m, version }, 'R_MIPS_32', 0n, error), '00000000', 'ENOENT', 'fix: Unknown symbol foo');
      t.is(patched(t, one(m, 'R_MIPS_32', 0n, error - 1n)), insn(m, error - 1n));
      const weak = rel(
        { ...m, version },
        [0n, 0n, 0n],
        [
          [0, 'R_MIPS_32', 'a'],
          [4, 'R_MIPS_32', 'w'],
          [8, 'R_MIPS_32', 'a'],
          [8, 255, 'a'],
        ],
        { w: { value: error, weak: true } },
      );
      t.is(weak.errno, undefined);
      t.deepEqual(words(weak, m), ['80012345', '00000000', '00000000']);
    }
  }
});

test('a HI16 that a weak symbol keeps from its LO16', (t) => {
  const o = rel(
    mipsel,
    [0n, 0n, 0n],
    [
      [0, 'R_MIPS_HI16', 'a'],
      [4, 'R_MIPS_32', 'w'],
      [8, 'R_MIPS_LO16', 'a'],
    ],
    { w: { value: 0xffff_ffffn, weak: true } },
  );
  t.is(o.errno, 'ENOEXEC');
});

test('types nobody knows', (t) => {
  for (const m of every)
    for (const type of [1, 3, 7, 9, 11, 19, 30, 62, 248, 255])
      refused(t, one(m, type, 0n, 0x10n), '00000000', 'EINVAL', `fix: Unknown relocation type ${type}`);
});

test('the header: o32 without 64-bit registers for 32 bits, the class for 64', (t) => {
  const header = { is64: false, little: false, e_machine: 8, e_flags: 0, e_entry: 0n };
  const accepts = (e_flags: number, fp64 = true): boolean =>
    acceptsHeader(mips, { ...header, e_flags }, { ...configOf(mips, '7.2'), MIPS_O32_FP64_SUPPORT: fp64 });
  t.true(accepts(0));
  t.true(accepts(0x7000_1001));
  t.true(accepts(0x1200));
  t.false(accepts(0x1200, false));
  t.true(accepts(0x1000, false));
  t.false(accepts(0x20), 'n32');
  for (const abi of [0x2000, 0x3000, 0x4000]) t.false(accepts(abi));
  t.false(acceptsHeader(mips, { ...header, is64: true }, {}));
  t.false(acceptsHeader(mips, { ...header, e_machine: 10 }, {}));
  t.true(acceptsHeader(mips64, { ...header, is64: true, e_flags: 0x2020 }, {}));
  t.false(acceptsHeader(mips64, header, {}));
});
