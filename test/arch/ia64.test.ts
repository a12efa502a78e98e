import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { ia64 } from '../../arch/ia64.ts';
import { handledTypes } from '../../cli/arch.ts';
import { SHF_ALLOC, SHF_EXECINSTR } from '../../relocs/elf.ts';
import { type Given, type GivenReloc, type Outcome, relocate } from './relocate.ts';

const CORE = 0xa000_0002_0000_0000n;
/** Out of reach of a short branch from core. */
const INIT = CORE + 0x1000_0000n;
const SIZE = 0x10000;
/** The middle of the core. */
const GP = CORE + 0x8000n;
const TEXT = CORE + 0x100n;
const PLT = CORE + 0x1000n;
const GOT = CORE + 0x2000n;
const OPD = CORE + 0x3000n;
/** A function of the kernel: what is known of its descriptor is the address. */
const PRINTK = 0xa000_0001_0012_3450n;

const FF = 'ff'.repeat(16);
const ZERO = '00'.repeat(16);

const load = (
  relocs: Given['relocs'] & object,
  symbols: Given['symbols'] & object,
  more: Partial<Given> = {},
): Outcome =>
  relocate({
    arch: ia64,
    version: '6.1',
    sections: {
      '.text': { addr: TEXT, data: `${ZERO}${FF}${ZERO}${FF}${ZERO}` },
      '.init.text': { addr: INIT, data: 64 },
      '.data': { addr: CORE + 0x4000n, data: 'ff'.repeat(32) },
      '.core.plt': { addr: PLT, data: 1 },
      '.init.plt': { addr: INIT + 0x1000n, data: 1 },
      '.got': { addr: GOT, data: 1 },
      '.opd': { addr: OPD, data: 1 },
    },
    memory: { core: { base: CORE, size: SIZE }, init: { base: INIT, size: SIZE } },
    symbols,
    relocs,
    ...more,
  });
const text = (type: string | number, at: number, S: bigint, A?: bigint): Outcome =>
  load({ '.text': [A === undefined ? [at, type, 'foo'] : [at, type, 'foo', A]] }, { foo: S });

/** A bundle of .text, read as one number. */
const bundle = (o: Outcome, n: number, section = '.text'): bigint => {
  const bytes = o
    .section(section)
    .bytes.slice(16 * n, 16 * n + 16)
    .reverse();
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
};
const slot = (word: bigint, n: number): bigint => BigInt.asUintN(41, word >> BigInt(5 + 41 * n));
const words = (o: Outcome, section: string): string[] => {
  const { bytes } = o.section(section);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 3 }, (_, i) => view.getBigUint64(8 * i, true).toString(16));
};
const line = (t: ExecutionContext, o: Outcome, ...log: string[]): void => {
  t.is(o.errno, 'ENOEXEC');
  t.deepEqual(o.log, log);
};
const accepted = (t: ExecutionContext, o: Outcome): Outcome => {
  t.is(o.errno ?? o.crash, undefined, o.reason);
  t.deepEqual(o.log, []);
  return o;
};

test('37 types, and the kernel of 6.1 only', (t) => {
  t.is(handledTypes(ia64, '6.1'), 37);
  t.is(ia64.until, '6.1');
});

test('imm22 goes to each of the three slots, and no other bit changes', (t) => {
  for (const n of [0, 1, 2]) {
    const ones = bundle(accepted(t, text('R_IA64_IMM22', n, -1n & 0x1fffffn)), 0);
    t.is(slot(ones, n), 0x00f_ffcf_e000n, `slot ${n}`);
    t.is(ones & ~(0x1ff_ffff_ffffn << BigInt(5 + 41 * n)), 0n);
    const zeros = bundle(accepted(t, text('R_IA64_IMM22', 16 + n, 0n)), 1);
    t.is(slot(zeros, n), 0x1ff_ffff_ffffn & ~0x1f_ffcf_e000n);
  }
  t.is(slot(bundle(text('R_IA64_IMM22', 0, BigInt.asUintN(64, -0x200000n)), 0), 0), 1n << 36n);
});

test('imm22 holds 22 bits', (t) => {
  accepted(t, text('R_IA64_IMM22', 0, 0x1fffffn));
  accepted(t, text('R_IA64_IMM22', 0, 0n, -0x200000n));
  line(t, text('R_IA64_IMM22', 0, 0x200000n), 'fix: value 2097152 out of IMM22 range');
  line(t, text('R_IA64_IMM22', 0, 0n, -0x200001n), 'fix: value -2097153 out of IMM22 range');
});

test('beyond slot 2 imm22 is lost in silence', (t) => {
  t.is(bundle(accepted(t, text('R_IA64_IMM22', 3, 0x1fffffn)), 0), 0n);
});

test('movl takes 64 bits of slots 1 and 2, by either address', (t) => {
  const value = 0x8123_4567_89ab_cdefn;
  for (const at of [1, 2]) {
    const word = bundle(accepted(t, text('R_IA64_IMM64', at, value)), 0);
    t.is(slot(word, 1), BigInt.asUintN(41, value >> 22n));
    t.is(slot(word, 0), 0n);
    t.is(slot(word, 2) >> 36n, 1n);
  }
  t.is(
    bundle(accepted(t, text('R_IA64_IMM64', 1, -1n & 0xffff_ffff_ffff_ffffn)), 0),
    (0x1f_ffef_e000n << 87n) | (((1n << 41n) - 1n) << 46n),
  );
  for (const at of [0, 3]) line(t, text('R_IA64_IMM64', at, value), `fix: invalid slot number ${at} for IMM64`);
});

test('brl counts bundles, in 60 bits that reach everything', (t) => {
  const word = bundle(accepted(t, text('R_IA64_PCREL60B', 2, TEXT + 0x10n)), 0);
  t.is(word, 1n << (87n + 13n));
  const far = bundle(accepted(t, text('R_IA64_PCREL60B', 1, BigInt.asUintN(64, TEXT - 0x10n))), 0);
  t.is(far, (0x11_ffff_e000n << 87n) | (0x1ff_ffff_fffcn << 46n));
  line(t, text('R_IA64_PCREL60B', 0, TEXT), 'fix: invalid slot number 0 for IMM60');
});

test('a distance that is no multiple of 16 is rounded towards 0', (t) => {
  t.is(bundle(accepted(t, text('R_IA64_PCREL60B', 2, TEXT - 0xfn)), 0), 0n);
  t.is(bundle(accepted(t, text('R_IA64_PCREL60B', 2, TEXT + 0x1fn)), 0), 1n << (87n + 13n));
});

test('PCREL21BI wants a local symbol, 16 MiB off at most', (t) => {
  const wide = { memory: { core: { base: CORE - 0x200_0000n, size: 0x400_0000 } } };
  const far = (S: bigint): Outcome => load({ '.text': [[2, 'R_IA64_PCREL21BI', 'foo']] }, { foo: S }, wide);
  t.is(slot(bundle(accepted(t, far(TEXT + 0xff_fff0n)), 0), 2), 0xf_ffffn << 13n);
  t.is(slot(bundle(accepted(t, far(TEXT - 0x100_0000n)), 0), 2), 1n << 36n);
  line(t, far(TEXT + 0x100_0000n), 'fix: value 1048576 out of IMM21b range');
  line(t, far(TEXT - 0x100_0010n), 'fix: value -1048577 out of IMM21b range');
  line(t, text('R_IA64_PCREL21BI', 2, PRINTK), 'do_reloc: PCREL21BI reloc against non-local symbol (a000000100123450)');
});

test('words are whatever their formula says, unchecked', (t) => {
  const data = (type: string | number, S: bigint): string =>
    accepted(t, load({ '.data': [[1, type, 'foo']] }, { foo: S }))
      .hex('.data')
      .slice(2, 18);
  t.is(data('R_IA64_DIR32LSB', 0x1_2345_6789n), '89674523ffffffff');
  t.is(data('R_IA64_DIR64LSB', 0x1_2345_6789n), '8967452301000000');
  t.is(data('R_IA64_GPREL64LSB', GP - 2n), 'feffffffffffffff');
  t.is(data('R_IA64_GPREL32LSB', GP + 2n), '02000000ffffffff');
  t.is(data('R_IA64_PCREL64LSB', CORE + 0x4003n), '0200000000000000');
  t.is(data('R_IA64_PCREL32LSB', CORE + 0x4000n), 'ffffffffffffffff');
  t.is(data('R_IA64_SEGREL64LSB', 0x1_2345_6789n), '8967452301000000');
  t.is(data('R_IA64_SECREL32LSB', CORE + 0x4008n), '08000000ffffffff');
  t.is(data('R_IA64_REL64LSB', CORE + 0x123n), '2301000000000000');
  t.is(data('R_IA64_REL64LSB', INIT + 0x123n), '2301000000000000');
});

test('SUB is A - S', (t) => {
  const word = bundle(accepted(t, text('R_IA64_SUB', 2, 1n, 0x40_0001n)), 0);
  t.is(slot(word, 1), 1n); // 0x400000 >> 22
});

test('gp is the middle of the core, or of its last 4 MiB', (t) => {
  const at = (size: number, S: bigint): string =>
    load({ '.data': [[0, 'R_IA64_GPREL64LSB', 'foo']] }, { foo: S }, { memory: { core: { base: CORE, size } } })
      .hex('.data')
      .slice(0, 16);
  t.is(at(0x1001, CORE + 0x800n), '0000000000000000');
  t.is(at(0x1002, CORE + 0x808n), '0000000000000000');
  t.is(at(0x40_0000, CORE + 0x20_0000n), '0000000000000000');
  t.is(at(0x40_0010, CORE + 0x20_0010n), '0000000000000000');
});

test('GOT entries are made once, and reached from gp', (t) => {
  const o = accepted(
    t,
    load(
      {
        '.text': [
          [0, 'R_IA64_LTOFF22', 'a'],
          [1, 'R_IA64_LTOFF22', 'b'],
          [32, 'R_IA64_LTOFF22X', 'a'],
        ],
      },
      { a: PRINTK, b: 8n },
    ),
  );
  t.is(o.section('.got').sh_size, 24);
  t.deepEqual(words(o, '.got'), [PRINTK.toString(16), '8', '0']);
  t.is(slot(bundle(o, 0), 1) - slot(bundle(o, 0), 0), 8n << 13n);
  t.is(slot(bundle(o, 2), 0), slot(bundle(o, 0), 0));
});

test('LTOFF22X and LDXMOV leave the GOT out when gp reaches the symbol', (t) => {
  const near = accepted(t, text('R_IA64_LTOFF22X', 0, GP + 0x1f_ffffn));
  t.deepEqual(words(near, '.got'), ['0']);
  t.is(words(accepted(t, text('R_IA64_LTOFF22X', 0, GP + 0x20_0000n)), '.got')[0], (GP + 0x20_0000n).toString(16));
  t.deepEqual(words(accepted(t, text('R_IA64_LTOFF22X', 0, GP - 0x20_0000n)), '.got'), ['0']);
  t.is(words(accepted(t, text('R_IA64_LTOFF22X', 0, GP - 0x20_0001n)), '.got')[0], (GP - 0x20_0001n).toString(16));
  const ld8 = (S: bigint): bigint => slot(bundle(accepted(t, text('R_IA64_LDXMOV', 17, S)), 1), 1);
  t.is(ld8(GP), (0x1ff_ffff_ffffn & ~0x1ff_f80f_e000n) | (1n << 40n));
  t.is(ld8(GP + 0x20_0000n), 0x1ff_ffff_ffffn);
});

test('a call out of the module goes through a PLT entry, shared by its target', (t) => {
  const calls: GivenReloc[] = [
    [2, 'R_IA64_PCREL21B', 'f'],
    [34, 'R_IA64_PCREL21B', 'f'],
    [66, 'R_IA64_PCREL21B', 'g'],
  ];
  const o = accepted(t, load({ '.text': calls }, { f: PRINTK, g: PRINTK + 0x10n }));
  t.is(o.section('.core.plt').sh_size, 2 * 32);
  t.is(slot(bundle(o, 0), 2), ((PLT - TEXT) / 16n) << 13n);
  t.is(slot(bundle(o, 2), 2), ((PLT - TEXT - 0x20n) / 16n) << 13n);
  t.is(slot(bundle(o, 4), 2), ((PLT + 0x20n - TEXT - 0x40n) / 16n) << 13n);
  t.is(bundle(o, 0, '.core.plt'), 0x6000_0000_2000_0000_0000_0001_0000_0004n); // movl gp = 0
  const brl = bundle(o, 1, '.core.plt');
  const distance = BigInt.asIntN(
    60,
    ((slot(brl, 2) >> 36n) << 59n) | ((slot(brl, 1) >> 2n) << 20n) | BigInt.asUintN(20, slot(brl, 2) >> 13n),
  );
  t.is(PLT + 16n + 16n * distance, PRINTK);
});

test('ITANIUM has no brl: three bundles, and the target in r16', (t) => {
  const o = accepted(t, load({ '.text': [[2, 'R_IA64_PCREL21B', 'f']] }, { f: PRINTK }, { config: { ITANIUM: true } }));
  t.is(o.section('.core.plt').sh_size, 48);
  t.is(slot(bundle(o, 0, '.core.plt'), 1), BigInt.asUintN(41, PRINTK >> 22n));
  t.is(bundle(o, 2, '.core.plt'), 0x0080_0060_0003_8004_8060_0001_0000_0011n);
});

test('a call from core to init, too far for a branch, goes by a descriptor of its own', (t) => {
  const o = accepted(t, load({ '.text': [[2, 'R_IA64_PCREL21B', 'f']] }, { f: INIT + 0x20n }));
  t.deepEqual(words(o, '.opd'), [(INIT + 0x20n).toString(16), GP.toString(16)]);
  t.is(slot(bundle(o, 0), 2), ((PLT - TEXT) / 16n) << 13n);
  const near = accepted(t, load({ '.text': [[2, 'R_IA64_PCREL21B', 'f']] }, { f: TEXT + 0x40n }));
  t.is(slot(bundle(near, 0), 2), 4n << 13n);
  t.deepEqual(words(near, '.core.plt'), ['0', '0', '0', '0']);
});

test('a branch between core and init reaches 2^20 bundles back, and one less ahead', (t) => {
  const to = (f: bigint): Outcome =>
    accepted(
      t,
      load(
        { '.text': [[0, 'R_IA64_PCREL21B', 'f']] },
        { f },
        { memory: { core: { base: CORE, size: SIZE }, init: { base: f & ~0xffffn, size: 0x1_0000 } } },
      ),
    );
  const viaPlt = BigInt.asUintN(20, (PLT - TEXT) / 16n) << 13n;
  for (const [distance, imm] of [
    [0xff_fff0n, 0xf_ffffn << 13n],
    [0x100_0000n, viaPlt],
    [-0x100_0000n, 1n << 36n],
    [-0x100_0010n, viaPlt],
  ] as const)
    t.is(slot(bundle(to(TEXT + distance), 0), 0), imm, `${distance}`);
});

test('code in init has a PLT of its own, which is counted by the name of the relocation section', (t) => {
  const o = accepted(t, load({ '.init.text': [[2, 'R_IA64_PCREL21B', 'f']] }, { f: PRINTK }));
  t.is(o.section('.init.plt').sh_size, 32);
  t.is(o.section('.core.plt').sh_size, 0);
  t.is(slot(bundle(o, 0, '.init.text'), 2), 0x100n << 13n);
  const exit = load(
    { '.text': [[2, 'R_IA64_PCREL21B', 'f']] },
    { f: PRINTK },
    { memory: { init: { base: CORE, size: SIZE } } },
  );
  t.is(exit.crash, 'signal 11');
  t.regex(exit.reason, /takes an entry of \.init\.plt, which has none/);
});

test('descriptors are for functions of the module; others have theirs', (t) => {
  const relocs: GivenReloc[] = [
    [0, 'R_IA64_FPTR64LSB', 'own'],
    [8, 'R_IA64_FPTR64LSB', 'f'],
    [16, 'R_IA64_FPTR64LSB', 'own', 16n],
  ];
  const o = accepted(t, load({ '.data': relocs }, { own: TEXT, f: PRINTK }));
  t.deepEqual(
    words(o, '.data').slice(0, 3),
    [OPD, PRINTK, OPD + 16n].map((v) => v.toString(16)),
  );
  t.deepEqual(
    words(o, '.opd'),
    [TEXT, GP, TEXT + 16n, GP, 0n, 0n].map((v) => v.toString(16)),
  );
  const zero = load({ '.data': [[0, 'R_IA64_FPTR64LSB', 'zero']] }, { zero: 0n });
  t.is(zero.errno, undefined);
  t.deepEqual(zero.log, ['fix: fdesc for zero requested!']);
  t.is(zero.hex('.data').slice(0, 16), '0000000000000000');
});

test('LTOFF_FPTR and IPLT put one table before the other', (t) => {
  const o = accepted(t, text('R_IA64_LTOFF_FPTR22', 0, TEXT));
  t.deepEqual([words(o, '.opd')[0], words(o, '.got')[0]], [TEXT.toString(16), OPD.toString(16)]);
  const iplt = accepted(t, load({ '.data': [[0, 'R_IA64_IPLTLSB', 'f']] }, { f: PRINTK }));
  t.deepEqual([words(iplt, '.opd')[0], words(iplt, '.data')[0]], [PLT.toString(16), OPD.toString(16)]);
});

test('a number that nobody has named is done as its bits say', (t) => {
  const segrel = accepted(t, text(0x5a, 0, 0x1fffffn));
  t.is(slot(bundle(segrel, 0), 0), 0x00f_ffcf_e000n);
  line(t, text(0x5a, 0, 0x200000n), 'fix: value 2097152 out of IMM22 range');
  // @ltoff into a word: no GOT entry was counted for it.
  t.is(load({ '.data': [[0, 0x35, 'foo']] }, { foo: PRINTK }).crash, 'BUG');
  t.is(
    accepted(t, load({ '.data': [[0, 0x7f, 'foo']] }, { foo: CORE + 0x4010n }))
      .hex('.data')
      .slice(0, 16),
    '1000000000000000',
  );
});

test('only eight bits of the type count, though the tables are sized by all', (t) => {
  t.is(
    accepted(t, load({ '.data': [[0, 0x127, 'foo']] }, { foo: 1n }))
      .hex('.data')
      .slice(0, 16),
    '0100000000000000',
  );
  t.is(text(0x132, 0, PRINTK).crash, 'BUG');
});

test('what cannot be is refused, each in its words', (t) => {
  const refusals: [type: string | number, line: string][] = [
    ['R_IA64_NONE', 'unknown reloc 0'],
    [0x18, 'unknown reloc 18'],
    [0x8f, 'unknown reloc 8f'],
    [0xff, 'unknown reloc ff'],
    ['R_IA64_IMM14', 'format 1 needed by IMM14 reloc is not supported'],
    ['R_IA64_DIR32MSB', 'format 4 needed by DIR32MSB reloc is not supported'],
    ['R_IA64_DIR64MSB', 'format 6 needed by DIR64MSB reloc is not supported'],
    ['R_IA64_PCREL21M', 'format 10 needed by PCREL21M reloc is not supported'],
    ['R_IA64_PCREL21F', 'format 11 needed by PCREL21F reloc is not supported'],
    [0x34, 'format 4 needed by ? reloc is not supported'],
    [0x20, 'relocation ? resulted in unknown format 0'],
    ['R_IA64_COPY', 'special reloc COPY not supported'],
    [0x82, 'unknown special reloc 82'],
    ['R_IA64_TPREL22', 'TPREL22 reloc not supported'],
    ['R_IA64_LTOFF_DTPREL22', 'LTOFF_DTPREL22 reloc not supported'],
    [0x90, '? reloc not supported'],
  ];
  // Another entry has the GOT sized: what comes of 0x34 before it is refused is written there.
  for (const [type, words_] of refusals)
    line(
      t,
      load(
        {
          '.text': [
            [0, type, 'foo'],
            [16, 'R_IA64_LTOFF22', 'foo'],
          ],
        },
        { foo: TEXT },
      ),
      `fix: ${words_}`,
    );
  for (const type of ['R_IA64_LTV32LSB', 'R_IA64_LTV64MSB', 0x70]) t.is(text(type, 0, TEXT).crash, 'BUG');
});

test('a module without the four sections of the linker script is refused', (t) => {
  for (const missing of ['.core.plt', '.init.plt', '.got', '.opd']) {
    const all = ['.core.plt', '.init.plt', '.got', '.opd'].filter((name) => name !== missing);
    const o = relocate({
      arch: ia64,
      version: '6.1',
      sections: Object.fromEntries(all.map((name) => [name, { addr: CORE }])),
    });
    line(t, o, 'fix: sections missing');
  }
});

test('the tables are NOBITS, near gp or executable', (t) => {
  const o = load({}, {});
  const flags = ['.core.plt', '.init.plt', '.got', '.opd'].map((name) => [
    o.section(name).sh_flags,
    o.section(name).sh_addralign,
  ]);
  const RX = SHF_ALLOC | SHF_EXECINSTR;
  t.deepEqual(flags, [
    [RX, 16],
    [RX, 16],
    [SHF_ALLOC | ia64.smallFlag!, 8],
    [SHF_ALLOC, 8],
  ]);
});

test('what is counted is never less than what is taken', (t) => {
  const types = [
    'LTOFF22',
    'LTOFF22X',
    'LTOFF64I',
    'LTOFF_FPTR22',
    'LTOFF_FPTR64LSB',
    'FPTR64LSB',
    'FPTR32LSB',
    'PCREL21B',
    'PLTOFF22',
    'PLTOFF64LSB',
    'IPLTLSB',
  ];
  const symbols = { own: TEXT, init: INIT + 16n, f: PRINTK, g: PRINTK + 0x20n };
  const reloc = fc.record({
    section: fc.constantFrom('.text', '.init.text'),
    at: fc.integer({ min: 0, max: 3 }),
    type: fc.constantFrom(...types),
    symbol: fc.constantFrom(...Object.keys(symbols)),
    addend: fc.constantFrom(0n, 16n),
  });
  const law = fc.property(fc.array(reloc, { minLength: 1, maxLength: 12 }), (list) => {
    const relocs: Record<string, GivenReloc[]> = { '.text': [], '.init.text': [] };
    for (const { section, at, type, symbol, addend } of list) {
      // Those that begin with a descriptor must be given one.
      const of = /PLT/.test(type) && symbol in { own: 0, init: 0 } ? 'f' : symbol;
      relocs[section]!.push([16 * at + (type.endsWith('64I') ? 1 : 0), `R_IA64_${type}`, of, addend]);
    }
    const o = load(relocs, symbols);
    // A gp-relative value may be out of range, nothing else may fail.
    return o.crash === undefined && o.log.every((l) => l.includes('range'));
  });
  t.notThrows(() => fc.assert(law, { numRuns: 300 }));
});

test('module_finalize() sorts the unwind table, and entries of one address as it meets them', (t) => {
  const entry = (...values: number[]): string =>
    values.map((v) => `${v.toString(16).padStart(2, '0')}00000000000000`).join('');
  const sorted = (...entries: string[]): string => {
    const o = relocate({
      arch: ia64,
      version: '6.1',
      sections: {
        ...Object.fromEntries(['.core.plt', '.init.plt', '.got', '.opd'].map((name) => [name, { addr: CORE }])),
        '.IA_64.unwind': { addr: CORE, data: entries.join('') },
      },
    });
    ia64.finalize!(o.module);
    return o.hex('.IA_64.unwind');
  };
  t.is(sorted(entry(3, 4, 5), entry(1, 2, 6), entry(2, 3, 7)), entry(1, 2, 6, 2, 3, 7, 3, 4, 5));
  // 3, 3', 1: the first 3 goes behind the second.
  t.is(sorted(entry(3, 4, 5), entry(3, 4, 6), entry(1, 2, 7)), entry(1, 2, 7, 3, 4, 6, 3, 4, 5));
});
