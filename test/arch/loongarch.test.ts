import test from 'ava';
import * as fc from 'fast-check';
import { acceptsHeader, extableOf } from '../../arch/index.ts';
import { loongarch32, loongarch64 } from '../../arch/loongarch.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { sortByInfo, sortEntries } from '../../relocs/sort.ts';
import { type Given, type GivenReloc, type GivenSection, type Outcome, relocate } from './relocate.ts';

const TEXT = 0xffff_8000_0200_8000n;
const DATA = TEXT + 0x10_0000n;
const tables = {
  '.got': { addr: TEXT + 0x20_0000n, data: '00' },
  '.plt': { addr: TEXT + 0x20_1000n, data: '00' },
  '.plt.idx': { addr: TEXT + 0x20_2000n, data: '00' },
} satisfies Record<string, GivenSection>;
const tables32 = {
  '.got': { addr: 0xc220_0000n, data: '00' },
  '.plt': { addr: 0xc220_1000n, data: '00' },
  '.plt.idx': { addr: 0xc220_2000n, data: '00' },
};
const le32 = (v: bigint): string => Buffer.from(Uint32Array.of(Number(BigInt.asUintN(32, v))).buffer).toString('hex');
const words = (o: Outcome, section = '.text'): bigint[] =>
  o
    .hex(section)
    .match(/.{8}/g)!
    .map((w) => BigInt(Buffer.from(w, 'hex').readUInt32LE()));

const PLACE = TEXT + 8n;
/** One relocation at .text+8, or at .data+8 of stack entries, which text would tear apart. */
function one(type: string | number, bytes: string, S: bigint, more: Partial<Given> & { A?: bigint } = {}): Outcome {
  const { A = 0n, arch = loongarch64, ...rest } = more;
  const addr = arch.is64 ? TEXT : 0xc200_8000n;
  return relocate({
    arch,
    sections: {
      '.text': { addr, data: `0011223344556677 ${bytes} 8899aabbccddeeff` },
      ...(arch.is64 ? tables : tables32),
    },
    symbols: { foo: BigInt.asUintN(arch.is64 ? 64 : 32, S) },
    relocs: { '.text': [[8, type, 'foo', A]] },
    ...rest,
  });
}
const patched = (o: Outcome): string => `${o.errno ?? o.crash ?? ''}${o.log.join()}${o.hex('.text').slice(16, -16)}`;

// Words and pairs

test('words', (t) => {
  t.is(patched(one('R_LARCH_32', 'ffffffff', 0x1_1234_5678n)), '78563412');
  t.is(patched(one('R_LARCH_64', 'ffffffffffffffff', TEXT, { A: -1n })), 'ff7f00020080ffff');
  t.is(patched(one('R_LARCH_32_PCREL', 'ffffffff', PLACE + (1n << 32n) - 2n)), 'feffffff', 'wraps');
  t.is(patched(one('R_LARCH_64_PCREL', 'ffffffffffffffff', 0x10n)), '0880fffdff7f0000');
  for (const type of ['R_LARCH_NONE', 'R_LARCH_MARK_LA', 'R_LARCH_MARK_PCREL'])
    t.is(patched(one(type, '12345678', 1n)), '12345678');
});

test('ADD and SUB work on the word that is there', (t) => {
  t.is(patched(one('R_LARCH_ADD32', 'ffffffff', 2n, { A: 1n })), '02000000');
  t.is(patched(one('R_LARCH_SUB32', '02000000', 3n)), 'ffffffff');
  t.is(patched(one('R_LARCH_ADD64', 'ffffffffffffffff', 2n)), '0100000000000000');
  t.is(patched(one('R_LARCH_SUB64', '0000000000000000', 1n)), 'ffffffffffffffff');
});

test('PCALA: the parts of any address', (t) => {
  const address = fc.bigInt({ min: 0n, max: (1n << 64n) - 4096n });
  fc.assert(
    fc.property(address, (a) => {
      const o = relocate({
        arch: loongarch64,
        sections: { '.text': { addr: TEXT, data: 'ffffffff'.repeat(4) }, ...tables },
        symbols: { a },
        relocs: {
          '.text': [
            [0, 'R_LARCH_PCALA_HI20', 'a'],
            [4, 'R_LARCH_PCALA_LO12', 'a'],
            [8, 'R_LARCH_PCALA64_LO20', 'a'],
            [12, 'R_LARCH_PCALA64_HI12', 'a'],
          ],
        },
      });
      t.is(o.errno, undefined);
      const [hi20, lo12, lo20, hi12] = words(o) as [bigint, bigint, bigint, bigint];
      const pcala = (TEXT & ~0xfffn) + BigInt.asIntN(32, ((hi20 >> 5n) & 0xf_ffffn) << 12n);
      const upper = (((lo20 >> 5n) & 0xf_ffffn) << 32n) | (((hi12 >> 10n) & 0xfffn) << 52n);
      const sum = BigInt.asUintN(64, pcala + BigInt.asIntN(12, (lo12 >> 10n) & 0xfffn));
      t.is(sum & 0xffff_ffffn, a & 0xffff_ffffn);
      t.is(upper >> 32n, BigInt.asUintN(64, a - pcala) >> 32n);
      for (const word of [hi20, lo20]) t.is(word & 0xfe00_001fn, 0xfe00_001fn);
      for (const word of [lo12, hi12]) t.is(word & 0xffc0_03ffn, 0xffc0_03ffn);
    }),
    { numRuns: 200 },
  );
});

test('PCALA_HI20 rounds, and wraps beyond 2 GiB', (t) => {
  const hi = (S: bigint): string => patched(one('R_LARCH_PCALA_HI20', '0400001a', S));
  t.is(hi(TEXT + 0x7ffn), '0400001a');
  t.is(hi(TEXT + 0x800n), '2400001a');
  t.is(hi(TEXT - 0x801n), 'e4ffff1b');
  t.is(hi(TEXT + 0x7fff_f000n), 'e4ffff1a');
  t.is(hi(TEXT + 0x8000_0000n), hi(TEXT - 0x8000_0000n));
});

// B26 and the PLT

test('B26 reaches 128 MiB', (t) => {
  t.is(patched(one('R_LARCH_B26', '00000054', PLACE + 0x1000n)), '00001054');
  t.is(patched(one('R_LARCH_B26', '00000054', PLACE + 0x7ff_fffcn)), 'fffdff57');
  t.is(patched(one('R_LARCH_B26', '00000054', PLACE - 0x800_0000n)), '00020054');
  t.is(patched(one('R_LARCH_B26', '00000054', PLACE - 4n)), 'ffffff57');
  const far = one('R_LARCH_B26', '00000054', PLACE + 0x800_0000n);
  const offset = tables['.plt'].addr - PLACE;
  t.is(patched(far), le32(0x5400_0000n | (((offset >> 2n) & 0xffffn) << 10n) | (offset >> 18n)));
  t.is(far.section('.plt').sh_size, 32);
});

test('B26 wants a multiple of 4, and prints the distance', (t) => {
  for (const [S, distance] of [
    [PLACE + 2n, '2'],
    [PLACE - 1n, 'ffffffffffffffff'],
  ] as const) {
    const line = `kmod: module fix: jump offset = 0x${distance} unaligned! dangerous R_LARCH_B26 (66) relocation`;
    t.is(patched(one('R_LARCH_B26', '00000054', S)), `ENOEXEC${line}00000054`);
  }
});

test('a call out of reach goes through the PLT', (t) => {
  const far = 0x9012_3456_789a_bcd4n;
  const o = relocate({
    arch: loongarch64,
    sections: { '.text': { addr: TEXT, data: '00000054'.repeat(3) }, ...tables, '.ftrace_trampoline': { addr: 1n } },
    symbols: { far, other: far + 8n, near: TEXT },
    relocs: {
      '.text': [
        [0, 'R_LARCH_B26', 'far'],
        [4, 'R_LARCH_B26', 'far'],
        [8, 'R_LARCH_B26', 'other'],
      ],
    },
  });
  t.is(o.errno, undefined);
  t.is(o.section('.plt').sh_size, 3 * 16);
  t.is(o.section('.plt').sh_flags, SHF_ALLOC | SHF_EXECINSTR);
  t.is(o.section('.plt.idx').sh_size, 3 * 8);
  t.is(o.section('.got').sh_size, 8);
  for (const name of ['.got', '.plt', '.plt.idx']) {
    const { sh_type, sh_addralign } = o.section(name);
    t.deepEqual([sh_type, sh_addralign], [SHT_NOBITS, 64]);
  }
  const tramp = o.section('.ftrace_trampoline');
  t.deepEqual([tramp.sh_type, tramp.sh_size, tramp.sh_addralign], [SHT_NOBITS, 32, 4]);
  // lu12i.w $t1, 0x789ab; lu32i.d $t1, 0x23456; lu52i.d $t1, $t1, 0x901; jirl $zero, $t1, 0xcd4
  t.deepEqual(words(o, '.plt').slice(0, 4), [0x14f1_356dn, 0x1646_8acdn, 0x0324_05adn, 0x4c0c_d5a0n]);
  t.is(o.hex('.plt.idx').slice(0, 32), 'd4bc9a7856341290dcbc9a7856341290');
  const distance = (i: number): bigint => {
    const insn = words(o)[i]!;
    return TEXT + BigInt(4 * i) + BigInt.asIntN(28, (((insn >> 10n) & 0xffffn) << 2n) | ((insn & 0x3ffn) << 18n));
  };
  t.deepEqual([0, 1, 2].map(distance), [tables['.plt'].addr, tables['.plt'].addr, tables['.plt'].addr + 16n]);
});

test('a PLT entry for an odd address breaks, since 6.2 with a line', (t) => {
  for (const version of versions) {
    const o = one('R_LARCH_B26', '00000054', 0x9000_0000_0000_0002n, { version });
    t.is(o.errno, undefined);
    t.deepEqual(o.log, version === '6.1' ? [] : ['The generated jirl instruction is out of range.']);
    t.is(words(o, '.plt')[3], version === '6.1' ? 0x4c00_01a0n : 0x002a_0000n);
  }
});

test('a PLT entry that was not counted is a BUG, a GOT entry refused', (t) => {
  const data = (type: string): Outcome =>
    relocate({
      arch: loongarch64,
      sections: { '.data': { addr: DATA, data: 8 }, ...tables },
      symbols: { far: 0x9000_0000_0000_0000n },
      relocs: { '.data': [[0, type, 'far']] },
    });
  t.is(data('R_LARCH_B26').crash, 'BUG');
  t.is(data('R_LARCH_SOP_PUSH_PLT_PCREL').crash, 'BUG');
  for (const type of ['R_LARCH_GOT_PC_HI20', 'R_LARCH_GOT_PC_LO12', 'R_LARCH_GOT_PCADD_HI20']) {
    const o = data(type);
    t.is(o.errno, 'EINVAL');
    t.deepEqual(o.log, ['fix: module contains bad GOT relocation']);
    t.is(o.hex('.got'), '0000000000000090', 'the spare slot is written');
    t.is(o.hex('.data'), '00'.repeat(8));
  }
});

test('what is counted is enough for what is emitted', (t) => {
  const types = fc.constantFrom('R_LARCH_B26', 'R_LARCH_GOT_PC_HI20', 'R_LARCH_GOT_PC_LO12', 'R_LARCH_GOT_PCADD_HI20');
  const reloc = fc.record({
    type: types,
    at: fc.integer({ min: 0, max: 15 }),
    sym: fc.integer({ min: 0, max: 3 }),
    A: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(reloc, { maxLength: 24 }), (relocs) => {
      // Every GOT_PC_LO12 has its HI20, or there is one entry too few.
      const all = relocs.flatMap(({ type, at, sym, A }): GivenReloc[] => {
        const entry = (name: string): GivenReloc => [4 * at, name, `s${sym}`, 4n * BigInt(A)];
        return type === 'R_LARCH_GOT_PC_LO12' ? [entry('R_LARCH_GOT_PC_HI20'), entry(type)] : [entry(type)];
      });
      const symbols = { s0: TEXT, s1: 0x9000_0000_0000_0000n, s2: 0x9000_0000_0000_0004n, s3: 8n };
      const o = relocate({
        arch: loongarch64,
        sections: { '.text': { addr: TEXT, data: 64 }, ...tables },
        symbols,
        relocs: { '.text': all },
      });
      t.is(o.errno ?? o.crash, undefined);
      const targets = new Set(
        all.filter(([, name]) => name !== 'R_LARCH_B26').map(([, , s, A]) => symbols[s as 's0'] + A!),
      );
      const got = o
        .hex('.got')
        .match(/.{16}/g)!
        .map((w) => Buffer.from(w, 'hex').readBigUInt64LE());
      const sorted = (values: Iterable<bigint>): bigint[] => [...values].toSorted((a, b) => (a < b ? -1 : 1));
      t.deepEqual(sorted(got.slice(0, targets.size)), sorted(targets));
    }),
    { numRuns: 100 },
  );
});

test('a module without its sections is refused', (t) => {
  for (const version of versions) {
    for (const [name, what] of [
      ['.got', 'GOT'],
      ['.plt', 'PLT'],
      ['.plt.idx', 'PLT.IDX'],
    ] as const) {
      const sections = Object.fromEntries(Object.entries(tables).filter(([n]) => n !== name));
      const o = relocate({ arch: loongarch64, version, sections });
      t.is(o.errno, 'ENOEXEC');
      t.deepEqual(o.log, [`fix: module ${what} section(s) missing`]);
    }
  }
});

test('the trampoline is left alone before 6.2', (t) => {
  const o = relocate({
    arch: loongarch64,
    version: '6.1',
    sections: { ...tables, '.ftrace_trampoline': { addr: 1n, data: '00' } },
  });
  t.is(o.section('.ftrace_trampoline').sh_size, 1);
});

test('GOT entries are words of the value, found again', (t) => {
  const o = relocate({
    arch: loongarch64,
    sections: { '.text': { addr: TEXT, data: 16 }, ...tables },
    symbols: { a: 0x9000_0000_0000_1000n, b: 0x9000_0000_0000_1004n },
    relocs: {
      '.text': [
        [0, 'R_LARCH_GOT_PC_HI20', 'a', 4n],
        [4, 'R_LARCH_GOT_PC_LO12', 'a', 4n],
        [8, 'R_LARCH_GOT_PC_HI20', 'b'],
        [12, 'R_LARCH_GOT_PC_LO12', 'b'],
      ],
    },
  });
  t.is(o.hex('.got'), '0410000000000090'.padEnd(48, '0'));
  const pages = (tables['.got'].addr - (TEXT & ~0xfffn)) >> 12n;
  t.deepEqual(words(o), [pages << 5n, 0n, pages << 5n, 0n]);
});

// PCADD

const pcadd = (relocs: readonly GivenReloc[], symbols: Given['symbols'] = {}): Outcome =>
  relocate({
    arch: loongarch32,
    sections: { '.text': { addr: 0xc200_8000n, data: 32 }, ...tables32 },
    symbols: { a: 0xc200_9923n, b: 0xc200_8456n, hi: 0xc200_8008n, ...symbols },
    relocs: { '.text': relocs },
  });

test('PCADD: the low half counts from the high one', (t) => {
  const o = pcadd([
    [8, 'R_LARCH_PCADD_HI20', 'a'],
    [16, 'R_LARCH_PCADD_LO12', 'hi'],
  ]);
  const [hi, lo] = [words(o)[2]! >> 5n, words(o)[4]! >> 10n];
  t.is(0xc200_8008n + (hi << 12n) + BigInt.asIntN(12, lo), 0xc200_9923n);
});

test('PCADD: through the GOT, and when the low half comes first', (t) => {
  const o = pcadd([
    [16, 'R_LARCH_GOT_PCADD_LO12', 'hi'],
    [8, 'R_LARCH_GOT_PCADD_HI20', 'a'],
  ]);
  const [hi, lo] = [words(o)[2]! >> 5n, words(o)[4]! >> 10n];
  t.is(0xc200_8008n + (hi << 12n) + BigInt.asIntN(12, lo), tables32['.got'].addr);
  t.is(o.hex('.got'), '239900c200000000');
});

test('PCADD: a low half wants a high half of its own kind', (t) => {
  for (const [hi, lo] of [
    ['R_LARCH_GOT_PCADD_HI20', 'R_LARCH_PCADD_LO12'],
    ['R_LARCH_PCADD_HI20', 'R_LARCH_GOT_PCADD_LO12'],
  ]) {
    const o = pcadd([
      [8, hi!, 'a'],
      [16, lo!, 'hi'],
    ]);
    t.is(o.errno, 'EINVAL');
    t.deepEqual(o.log, ['kmod: fix: Can not find HI20 relocation information']);
  }
});

// The stack

/** Entries at .data+0, in order, on 0xffffffff. */
const sop = (
  relocs: readonly (readonly [type: string | number, value?: bigint])[],
  more: Partial<Given> = {},
): Outcome => {
  const values = relocs.map(([, value = 0n]) => value);
  return relocate({
    arch: loongarch64,
    sections: { '.data': { addr: more.arch === loongarch32 ? 0xc210_0000n : DATA, data: 'ffffffff' }, ...tables },
    symbols: Object.fromEntries(values.map((_, i) => [`s${i}`, 0x10_0000n])),
    relocs: { '.data': relocs.map(([type], i): GivenReloc => [0, type, `s${i}`, values[i]! - 0x10_0000n]) },
    ...more,
  });
};
const PUSH = 'R_LARCH_SOP_PUSH_ABSOLUTE';
const pop = (type: string, value: bigint): Outcome => sop([[PUSH, value], [type]]);
const said = (o: Outcome): string => `${o.errno ?? o.crash ?? ''}${o.log.join()}`;

// biome-ignore format: table
const POPS: readonly [type: string, number: number, lo: bigint, hi: bigint, step: bigint, mask: bigint, low: bigint][] = [
  //                                                                        step  bits          the lowest value's
  ['R_LARCH_SOP_POP_32_U_10_12',          39, 0n,           0xfffn,       1n, 0x003f_fc00n, 0n],
  ['R_LARCH_SOP_POP_32_S_10_12',          40, -0x800n,      0x7ffn,       1n, 0x003f_fc00n, 0x0020_0000n],
  ['R_LARCH_SOP_POP_32_S_10_16',          41, -0x8000n,     0x7fffn,      1n, 0x03ff_fc00n, 0x0200_0000n],
  ['R_LARCH_SOP_POP_32_S_10_16_S2',       42, -0x2_0000n,   0x1_fffcn,    4n, 0x03ff_fc00n, 0x0200_0000n],
  ['R_LARCH_SOP_POP_32_S_5_20',           43, -0x8_0000n,   0x7_ffffn,    1n, 0x01ff_ffe0n, 0x0100_0000n],
  ['R_LARCH_SOP_POP_32_S_0_5_10_16_S2',   44, -0x40_0000n,  0x3f_fffcn,   4n, 0x03ff_fc1fn, 0x0000_0010n],
  ['R_LARCH_SOP_POP_32_S_0_10_10_16_S2',  45, -0x800_0000n, 0x7ff_fffcn,  4n, 0x03ff_ffffn, 0x0000_0200n],
  ['R_LARCH_SOP_POP_32_U',                46, 0n,           0xffff_ffffn, 1n, 0xffff_ffffn, 0n],
];
for (const [type, number, lo, hi, step, mask, low] of POPS) {
  test(`${type} accepts both ends and refuses one beyond`, (t) => {
    const others = 0xffff_ffffn & ~mask;
    t.is(words(pop(type, lo), '.data')[0], others | low);
    t.is(words(pop(type, hi), '.data')[0], 0xffff_ffffn & ~low);
    const line = (v: bigint, what: string): string =>
      `ENOEXECkmod: module fix: opr1 = 0x${BigInt.asUintN(64, v).toString(16)} ${what}! dangerous apply_r_larch_sop_imm_field (${number}) relocation`;
    for (const v of [lo - step, hi + step]) {
      const o = pop(type, v);
      t.is(said(o), line(v, 'overflow'));
      t.is(o.hex('.data'), 'ffffffff');
    }
    if (step === 4n) for (const v of [lo + 1n, hi + 6n]) t.is(said(pop(type, v)), line(v, 'unaligned'));
  });
}

test('operations', (t) => {
  const [a, b] = [0x1234n, 5n];
  const result = (type: string, ...values: bigint[]): bigint =>
    words(sop([...values.map((v) => [PUSH, v] as const), [type], ['R_LARCH_SOP_POP_32_U']]), '.data')[0]!;
  t.is(result('R_LARCH_SOP_SUB', a, b), a - b);
  t.is(result('R_LARCH_SOP_ADD', a, b), a + b);
  t.is(result('R_LARCH_SOP_AND', a, b), a & b);
  t.is(result('R_LARCH_SOP_SL', a, b), a << b);
  t.is(result('R_LARCH_SOP_SR', a, b), a >> b);
  t.is(result('R_LARCH_SOP_SL', a, b + 64n), a << b, 'the processor takes the amount modulo 64');
  t.is(result('R_LARCH_SOP_IF_ELSE', 1n, a, b), a);
  t.is(result('R_LARCH_SOP_IF_ELSE', 0n, a, b), b);
  t.is(said(sop([[PUSH, -8n], [PUSH, 1n], ['R_LARCH_SOP_SR'], ['R_LARCH_SOP_POP_32_S_10_12']])), '');
  const twice = sop([[PUSH, a], ['R_LARCH_SOP_PUSH_DUP'], ['R_LARCH_SOP_ADD'], ['R_LARCH_SOP_POP_32_U']]);
  t.is(words(twice, '.data')[0], 2n * a);
});

test('PUSH_PCREL and PUSH_PLT_PCREL push a distance', (t) => {
  for (const type of ['R_LARCH_SOP_PUSH_PCREL', 'R_LARCH_SOP_PUSH_PLT_PCREL'])
    t.is(words(sop([[type, DATA + 12n], ['R_LARCH_SOP_POP_32_U']]), '.data')[0], 12n);
  const far = sop([['R_LARCH_SOP_PUSH_PCREL', DATA + 0x800_0000n], ['R_LARCH_SOP_POP_32_U']]);
  t.is(words(far, '.data')[0], 0x800_0000n);
  // In text it may take a PLT entry; sorted by symbol, a lone PUSH does no harm.
  const o = one('R_LARCH_SOP_PUSH_PLT_PCREL', '00000000', PLACE + 0x800_0000n);
  t.is(said(o), '');
  t.not(o.hex('.plt').slice(0, 32), '00'.repeat(16));
});

test('the stack has room for 16 and ends with its section', (t) => {
  const pushes = (n: number) => Array.from({ length: n }, () => [PUSH, 1n] as const);
  t.is(said(sop(pushes(16))), '');
  t.is(said(sop(pushes(17))), 'ENOEXEC');
  t.is(said(sop([...pushes(16), ['R_LARCH_SOP_PUSH_DUP']])), 'ENOEXEC');
  for (const type of ['R_LARCH_SOP_POP_32_U', 'R_LARCH_SOP_PUSH_DUP', 'R_LARCH_SOP_ADD', 'R_LARCH_SOP_POP_32_S_10_5'])
    t.is(said(sop([[type]])), 'ENOEXEC', type);
  t.is(said(sop([...pushes(1), ['R_LARCH_SOP_ADD']])), 'ENOEXEC');
  t.is(said(sop([...pushes(2), ['R_LARCH_SOP_IF_ELSE']])), 'ENOEXEC');
  const apart = relocate({
    arch: loongarch64,
    sections: { '.data': { addr: DATA, data: 4 }, '.data.b': { addr: DATA + 64n, data: 4 }, ...tables },
    symbols: { a: 1n },
    relocs: { '.data': [[0, PUSH, 'a']], '.data.b': [[0, 'R_LARCH_SOP_POP_32_U', 'a']] },
  });
  t.is(said(apart), 'ENOEXEC');
});

test('in text the sort tears a push from its pop', (t) => {
  const o = relocate({
    arch: loongarch64,
    sections: { '.text': { addr: TEXT, data: 8 }, ...tables },
    symbols: { none: 0n, a: 1n, b: 2n },
    relocs: {
      '.text': [
        [0, PUSH, 'b'],
        [0, 'R_LARCH_SOP_POP_32_U', 'none'],
        [4, PUSH, 'a'],
        [4, 'R_LARCH_SOP_POP_32_U', 'none'],
      ],
    },
  });
  t.is(said(o), 'ENOEXEC');
});

test('entries of text are sorted as the kernel sorts them, entries of data are not', (t) => {
  const entry = fc.record({
    at: fc.integer({ min: 0, max: 30 }),
    sym: fc.integer({ min: 0, max: 3 }),
    type: fc.constantFrom(0, 20, 21),
    A: fc.constantFrom(-1n, 0n, 1n, 1n << 60n, (1n << 60n) + 1n),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), fc.constantFrom<Version>(...versions), (list, version) => {
      const view = new DataView(new ArrayBuffer(24 * list.length));
      list.forEach(({ at, sym, type, A }, i) => {
        view.setBigUint64(24 * i, BigInt(at), true);
        view.setBigUint64(24 * i + 8, (BigInt(sym) << 32n) | BigInt(type), true);
        view.setBigInt64(24 * i + 16, A, true);
      });
      const format = { is64: true, little: true };
      const [fast, slow] = [0, 1].map(() => new Entries(format, true, new Uint8Array(view.buffer.slice(0)))) as [
        Entries,
        Entries,
      ];
      sortByInfo(version, fast);
      const key = (i: number): bigint => (slow.r_info(i) << 64n) + slow.r_addend(i);
      sortEntries(version, slow, (i, j) => (key(i) < key(j) ? -1 : key(i) > key(j) ? 1 : 0));
      t.deepEqual(fast.bytes, slow.bytes);
    }),
    { numRuns: 200 },
  );
  const relocs: GivenReloc[] = [
    [4, 20, 'b'],
    [0, 20, 'a'],
  ];
  const sections = { '.text': { addr: TEXT, data: 8 }, '.data': { addr: DATA, data: 8 }, ...tables };
  const o = relocate({
    arch: loongarch64,
    sections,
    symbols: { a: 0n, b: 0n },
    relocs: { '.text': relocs, '.data': relocs },
  });
  t.is(o.hex('.rela.text').slice(0, 2), '00');
  t.is(o.hex('.rela.data').slice(0, 2), '04');
});

// Types and symbols

test('types that are refused', (t) => {
  const long = (type: number) => `EINVALkmod: fix: Unsupport relocation type ${type}, please add its support.`;
  const short = (type: number) => `EINVALkmod: fix: Unsupport relocation type ${type}`;
  const unknown = (type: number) => `EINVALkmod: fix: Unknown relocation type ${type}`;
  const refusal = (type: number, version: Version, arch = loongarch64): string =>
    said(one(type, '0000000000000000', 0x1000n, { version, arch }));
  for (const version of versions) {
    for (const type of [3, 12, 19, 25, 30, 31, 47, 48, 49, 57, 67, 77, 98, 100, 108])
      t.is(refusal(type, version), long(type));
    for (const type of [52, 53, 54]) t.is(refusal(type, version), short(type));
    for (const type of [140, 255, 0x1_0000]) t.is(refusal(type, version), unknown(type));
    for (const type of [110, 127, 132, 139]) t.is(refusal(type, version), (version === '7.2' ? long : unknown)(type));
    t.is(said(sop([[PUSH, 0n], [38]], { version })), short(38));
  }
  for (const type of [99, 109]) t.is(refusal(type, '6.1'), long(type));
  for (const type of [128, 129, 130, 131])
    for (const version of ['6.1', '6.12'] as const) t.is(refusal(type, version), unknown(type));
  for (const type of [2, 109]) t.is(refusal(type, '7.2', loongarch32), long(type));
  for (const type of [51, 56, 73, 74]) t.is(refusal(type, '7.2', loongarch32), short(type));
  t.regex(one(99, '00000000', 0x1000n, { version: '6.1' }).reason, /R_LARCH_32_PCREL is handled since 6\.2/);
  t.regex(one(128, '00000000', 0x1000n, { version: '6.12' }).reason, /R_LARCH_PCADD_HI20 is handled since 6\.19/);
});

test('an unresolved symbol is refused if it was not weak', (t) => {
  for (const version of versions) {
    for (const S of [-1n, -4095n])
      t.is(said(one('R_LARCH_NONE', '00000000', S, { version })), 'ENOENTkmod: fix: Unknown symbol foo');
    t.is(patched(one('R_LARCH_32', '00000000', -4096n, { version })), '00f0ffff');
    const symbols = { foo: { value: BigInt.asUintN(64, -1n), weak: true } };
    t.is(patched(one(255, '12345678', 0n, { version, symbols })), '12345678');
  }
  t.is(said(one('R_LARCH_32', '00000000', -1n, { arch: loongarch32 })), 'ENOENTkmod: fix: Unknown symbol foo');
});

test('32 bits: words of GOT and PLT, and a POP_32_U that never fits', (t) => {
  const o = one('R_LARCH_B26', '00000054', 0xa123_4568n, { arch: loongarch32 });
  t.is(said(o), '');
  t.is(o.section('.plt').sh_size, 16);
  // lu12i.w $t1, 0xa1234; jirl $zero, $t1, 0x568
  t.deepEqual(words(o, '.plt').slice(0, 2), [0x1542_468dn, 0x4c05_69a0n]);
  t.is(o.hex('.plt.idx'), '684523a100000000');
  const u = sop([[PUSH, 0n], ['R_LARCH_SOP_POP_32_U']], { arch: loongarch32 });
  t.is(said(u), 'ENOEXECkmod: module fix: opr1 = 0x0 overflow! dangerous apply_r_larch_sop_imm_field (46) relocation');
});

test('headers and exception tables', (t) => {
  const header = { is64: true, little: true, e_machine: 258, e_flags: 0, e_entry: 0n };
  t.true(acceptsHeader(loongarch64, header, {}));
  t.false(acceptsHeader(loongarch32, header, {}));
  t.true(acceptsHeader(loongarch32, { ...header, is64: false }, {}));
  t.false(acceptsHeader(loongarch64, { ...header, e_machine: 243 }, {}));
  t.deepEqual(extableOf(loongarch64, '6.1'), { size: 16, relative: false });
  t.deepEqual(extableOf(loongarch64, '7.2'), { size: 12, relative: true });
});
