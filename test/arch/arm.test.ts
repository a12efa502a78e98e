import test from 'ava';
import * as fc from 'fast-check';
import { arm } from '../../arch/arm.ts';
import { acceptsHeader, configOf } from '../../arch/index.ts';
import { SHF_ALLOC, SHF_EXECINSTR, STT_FUNC } from '../../relocs/elf.ts';
import { versions } from '../../relocs/module-view.ts';
import { type Given, type GivenReloc, type GivenSymbol, type Outcome, relocate } from './relocate.ts';

const P = 0xbf00_0008n;
const [PLT, INIT_PLT] = [0xbf10_0000n, 0xbf20_0000n];
const PLAIN = { R_ARM_CALL: 'feffffeb', R_ARM_JUMP24: 'feffffea', R_ARM_PC24: 'feffff0b' };

/** One word at P, little-endian, with words around it and tables beside it. */
function one(type: string | number, word: string, S: bigint | GivenSymbol, more: Partial<Given> = {}): Outcome {
  return relocate({
    arch: arm,
    sections: {
      '.text': { addr: P - 8n, data: `0011223344556677 ${word} 8899aabbccddeeff` },
      '.plt': { addr: PLT, data: 1 },
      '.init.plt': { addr: INIT_PLT, data: 1 },
    },
    symbols: { foo: typeof S === 'bigint' ? { value: S, shndx: 0 } : { shndx: 0, ...S } },
    relocs: { '.text': [[8, type, 'foo']] },
    ...more,
  });
}
const at = (o: Outcome): string => o.hex('.text').slice(16, -16);
const noPlts = { config: { ARM_MODULE_PLTS: false } };
const thumb = { config: { THUMB2_KERNEL: true, ARM_MODULE_PLTS: false } };
const outOfRange = (type: number, S: bigint): string =>
  `fix: section 4 reloc 0 sym 'foo': relocation ${type} out of range (0x${P.toString(16)} -> 0x${S.toString(16)})`;

// biome-ignore format: table
const VALUES: readonly [type: string, word: string, S: bigint, bytes: string, more?: Partial<Given>][] = [
  ['R_ARM_ABS32',            '04000000', 0xffff_fffen,     '02000000'],            // 4 - 2, wraps
  ['R_ARM_TARGET1',          '04000000', 0x1234_5678n,     '7c563412'],
  ['R_ARM_REL32',            '04000000', P - 8n,           'fcffffff'],
  ['R_ARM_V4BX',             '1eff2f01', 0n,               '0ef0a001'],            // bxeq lr: moveq pc, lr
  ['R_ARM_PREL31',           '00000080', P + 0x3fff_ffffn, 'ffffffbf'],            // bit 31 stays
  ['R_ARM_PREL31',           'ffffff7f', P + 1n,           '00000000'],            // the addend is -1
  ['R_ARM_PREL31',           '00000000', P - 0x4000_0000n, '00000040'],
  ['R_ARM_MOVW_ABS_NC',      '003000e3', 0x1234_5678n,     '783605e3'],
  ['R_ARM_MOVT_ABS',         '003040e3', 0x1234_5678n,     '343241e3'],
  ['R_ARM_MOVT_ABS',         'ff3f4fe3', 0x1234_0000n,     '333241e3'],            // the addend is -1, of the low half
  ['R_ARM_MOVT_ABS',         '003048e3', 0x1234_8000n,     '343241e3'],            // and here -0x8000
  ['R_ARM_MOVW_PREL_NC',     '003000e3', P + 0x1_0008n,    '083000e3'],
  ['R_ARM_MOVT_PREL',        '003040e3', P + 0x1_0008n,    '013040e3'],
  ['R_ARM_CALL',             'feffffeb', P + 0x1000n,      'fe0300eb'],
  ['R_ARM_CALL',             '000000eb', P + 0x1ff_fffcn,  'ffff7feb', noPlts],
  ['R_ARM_CALL',             '000000eb', P - 0x1ff_fffcn,  '010080eb', noPlts],
  ['R_ARM_ALU_PC_G0_NC',     '08f08fe2', P + 0x12_3456n,   '48f98fe2'],            // of 0x12345e the top byte, 0x48 << 14
  ['R_ARM_ALU_PC_G0_NC',     '00008fe2', P - 0x100n,       '400f4fe2'],            // ADD becomes SUB
  ['R_ARM_ALU_PC_G0_NC',     '00004fe2', P,                '00008fe2'],
  ['R_ARM_ALU_PC_G1_NC',     '00008fe2', P + 0x1234n,      '34008fe2'],
  ['R_ARM_ALU_PC_G1_NC',     '00008fe2', P + 0xffn,        '00008fe2'],
  ['R_ARM_LDR_PC_G2',        '00009fe5', P + 0xffff_fffn,  'ff0f9fe5'],            // 28 bits
  ['R_ARM_LDR_PC_G2',        '00009fe5', P - 4n,           '00001fe5'],            // all of it is group 0's; the U bit goes
  ['R_ARM_THM_CALL',         'fff7feff', P + 0x101n,       '00f07ef8', thumb],
  ['R_ARM_THM_JUMP24',       '00f000b8', P + 0xff_fffen,   'fff3ff97', thumb],
  ['R_ARM_THM_JUMP24',       '00f000b8', P - 0xff_fffen,   '00f40190', thumb],
  ['R_ARM_THM_MOVW_ABS_NC',  '40f20003', 0x1234_5678n,     '45f27863', thumb],
  ['R_ARM_THM_MOVT_ABS',     'c0f20003', 0x1234_5678n,     'c1f23423', thumb],
  ['R_ARM_THM_MOVT_ABS',     'cff6ff73', 0x1234_0000n,     'c1f23323', thumb],     // the addend is -1
  ['R_ARM_THM_MOVW_PREL_NC', '40f20003', P + 0x1_08ffn,    '40f6ff03', thumb],
  ['R_ARM_THM_MOVT_PREL',    'c0f20003', P + 0x1_08ffn,    'c0f20103', thumb],
];
test('values, and the bits around them', (t) => {
  for (const [type, word, S, bytes, more] of VALUES) {
    const o = one(type, word, S, more);
    t.deepEqual(o.log, [], type);
    t.is(o.hex('.text'), `0011223344556677${bytes}8899aabbccddeeff`, `${type} 0x${S.toString(16)}`);
  }
});

// biome-ignore format: table
const BEYOND: readonly [type: string, word: string, S: bigint, more?: Partial<Given>][] = [
  ['R_ARM_PREL31',     '00000000', P + 0x4000_0000n],
  ['R_ARM_PREL31',     '00000000', P - 0x4000_0001n],
  ['R_ARM_CALL',       '000000eb', P + 0x200_0000n,  noPlts],
  ['R_ARM_JUMP24',     '000000ea', P - 0x200_0000n,  noPlts],
  ['R_ARM_PC24',       '000000eb', P + 0x200_0000n,  noPlts],
  ['R_ARM_LDR_PC_G2',  '00009fe5', P + 0x1fff_ffffn],          // groups 0 and 1 leave 0x3fff
  ['R_ARM_THM_CALL',   '00f000f8', P + 0x100_0000n,  thumb],
  ['R_ARM_THM_JUMP24', '00f000b8', P - 0x100_0000n,  thumb],
];
test('one past the range is refused, and nothing is written', (t) => {
  for (const [type, word, S, more] of BEYOND) {
    const o = one(type, word, S, more);
    const number = [...arm.rules.rows].find(([, rows]) => rows[0]!.name === type)![0];
    t.is(o.errno, 'ENOEXEC', type);
    t.deepEqual(o.log, [outOfRange(number, S)], type);
    t.is(at(o), word);
  }
});

test('a branch to the other instruction set is refused', (t) => {
  const line = (way: string): string => `fix: section 4 reloc 0 sym 'foo': unsupported interworking call (${way})`;
  for (const S of [P + 1n, P + 2n]) t.deepEqual(one('R_ARM_CALL', PLAIN.R_ARM_CALL, S).log, [line('ARM -> Thumb')]);
  const func = (value: bigint): GivenSymbol => ({ value, type: STT_FUNC });
  t.deepEqual(one('R_ARM_THM_CALL', 'fff7feff', func(P), thumb).log, [line('Thumb -> ARM')]);
  t.is(one('R_ARM_THM_CALL', 'fff7feff', func(P + 1n), thumb).errno, undefined);
  t.is(one('R_ARM_THM_CALL', 'fff7feff', P, thumb).errno, undefined, 'what is no function may be either');
});

test('types that no kernel, or not this one, handles', (t) => {
  for (const version of versions) {
    for (const type of [4, 11, 58, 160, 255]) {
      const o = one(type, '00000000', P, { version });
      t.is(o.errno, 'ENOEXEC');
      t.deepEqual(o.log, [`fix: unknown relocation: ${type}`]);
    }
    const o = one('R_ARM_THM_CALL', 'fff7feff', P + 1n, { version });
    t.deepEqual(o.log, ['fix: unknown relocation: 10']);
    t.regex(o.reason, /R_ARM_THM_CALL needs THUMB2_KERNEL/);
  }
  const o = one('R_ARM_ALU_PC_G0_NC', '00008fe2', P, { config: { ARM_HAS_GROUP_RELOCS: false } });
  t.deepEqual(o.log, ['fix: unknown relocation: 57']);
  t.is(at(one('R_ARM_NONE', '01020304', 0n)), '01020304');
});

test('symbol numbers and offsets are looked at before the type', (t) => {
  const symbol = (sym: number): Outcome => one(0, '00000000', 0n, { info: (_, type) => (BigInt(sym) << 8n) | type });
  t.deepEqual(symbol(3).log, ['fix: section 4 reloc 0: bad relocation sym offset']);
  t.is(symbol(2).errno, undefined, 'two symbols, and number 2 passes');
  const offset = (r_offset: number): Outcome =>
    one('R_ARM_NONE', '00000000', 0n, { relocs: { '.text': [[r_offset, 0, 'foo']] } });
  t.is(offset(16).errno, undefined);
  for (const [r_offset, printed] of [
    [17, 17],
    [20, 20],
    [0xffff_fffc, -4],
  ] as const) {
    const o = offset(r_offset);
    t.is(o.errno, 'ENOEXEC');
    t.deepEqual(o.log, [`fix: section 4 reloc 0 sym 'foo': out of bounds relocation, offset ${printed} size 20`]);
  }
});

/** Calls from `.text` and `.init.text`, one a word, to symbols of other sections. */
function calls(
  targets: readonly string[],
  symbols: Record<string, bigint>,
  more: Partial<Given> = {},
  words?: string,
): Outcome {
  return relocate({
    arch: arm,
    sections: {
      '.text': { addr: P, data: words ?? PLAIN.R_ARM_CALL.repeat(targets.length) },
      '.plt': { addr: PLT, data: 1 },
      '.init.plt': { addr: INIT_PLT, data: 1 },
    },
    symbols: Object.fromEntries(Object.entries(symbols).map(([name, value]) => [name, { value, shndx: 0 }])),
    relocs: { '.text': targets.map((name, i): GivenReloc => [4 * i, 'R_ARM_CALL', name]) },
    ...more,
  });
}
const FAR = { a: 0x8000_0000n, b: 0x9000_0000n };

test('a PLT entry is a load and a literal, a cache line of each; calls to one symbol share it', (t) => {
  const o = calls(['a', 'b', 'a'], FAR);
  t.deepEqual(o.log, []);
  const plt = o.section('.plt');
  t.like(plt, { sh_size: 128, sh_addralign: 64, sh_flags: SHF_ALLOC | SHF_EXECINSTR });
  t.is(o.hex('.plt'), `${'38f09fe5'.repeat(16)}0000008000000090${'00'.repeat(56)}`);
  t.is(o.section('.init.plt').sh_size, 0);
  const call = (i: number): string => {
    const word = Buffer.from(o.section('.text').bytes).readInt32LE(4 * i);
    return (P + 8n + BigInt(4 * i) + BigInt((word << 8) >> 6)).toString(16);
  };
  t.deepEqual([0, 1, 2].map(call), ['bf100000', 'bf100004', 'bf100000']);
});

test('lines of 32 bytes, ftrace, and Thumb', (t) => {
  const small = calls(['a'], FAR, { config: { ARM_L1_CACHE_SHIFT: 5 } });
  t.is(small.hex('.plt'), `${'18f09fe5'.repeat(8)}00000080${'00'.repeat(28)}`);
  const traced = calls(
    ['a', '__gnu_mcount_nc'],
    { ...FAR, __gnu_mcount_nc: 0xa000_0000n },
    { config: { DYNAMIC_FTRACE: true } },
  );
  t.is(traced.hex('.plt').slice(128, 152), '00000000000000a000000080', 'two entries are ftrace’s own');
  t.is(traced.section('.init.plt').sh_size, 128);
  const thumbs = one('R_ARM_THM_CALL', 'fff7feff', 0x8000_0001n, { config: { THUMB2_KERNEL: true } });
  t.is(thumbs.hex('.plt').slice(0, 8), 'dff83cf0');
  t.is(thumbs.hex('.plt').slice(128, 136), '01000080');
});

test('more than was counted is a BUG', (t) => {
  // Local targets are not counted, and one that is far may still be: an absolute place in the same section.
  const local = (n: number): Outcome =>
    relocate({
      arch: arm,
      sections: {
        '.text': { addr: P, data: PLAIN.R_ARM_CALL.repeat(n) },
        '.plt': { addr: PLT, data: 1 },
        '.init.plt': { addr: INIT_PLT, data: 1 },
      },
      symbols: { here: { value: 0x8000_0000n, shndx: 1 } },
      relocs: { '.text': Array.from({ length: n }, (_, i): GivenReloc => [4 * i, 'R_ARM_CALL', 'here']) },
    });
  t.is(local(1).crash, 'BUG');
  t.regex(local(1).reason, /\.plt was sized for 0 entries/);
});

test('counting gives at least what is emitted', (t) => {
  const target = fc.constantFrom('a', 'b', 'c');
  const addend = fc.constantFrom('feffffeb', '000000eb', 'ffffffeb');
  const property = fc.property(
    fc.array(fc.tuple(target, addend), { minLength: 1, maxLength: 60 }),
    fc.constantFrom(...versions),
    (list, version) => {
      const o = calls(
        list.map(([name]) => name),
        { ...FAR, c: 0xa000_0000n },
        { version },
        list.map(([, word]) => word).join(''),
      );
      return o.crash === undefined && o.errno === undefined;
    },
  );
  fc.assert(property, { numRuns: 200 });
  t.pass();
});

test('big-endian kernels: the literal is big-endian, the code is if it is BE-32', (t) => {
  const big = (be8: boolean, words: string): Outcome =>
    calls(['a'], FAR, { little: false, config: { CPU_ENDIAN_BE8: be8 } }, words);
  const be8 = big(true, 'feffffeb');
  t.is(be8.hex('.plt').slice(0, 8) + be8.hex('.plt').slice(128, 136), '38f09fe580000000');
  t.is(be8.hex('.text'), 'fcff03eb');
  const be32 = big(false, 'ebfffffe');
  t.is(be32.hex('.plt').slice(0, 8) + be32.hex('.plt').slice(128, 136), 'e59ff03880000000');
  t.is(be32.hex('.text'), 'eb03fffc');
});

test('the sections it must have', (t) => {
  const sections = { '.text': { addr: P, data: 4 }, '.plt': { addr: PLT, data: 1 } };
  const o = relocate({ arch: arm, sections, symbols: {} });
  t.is(o.errno, 'ENOEXEC');
  t.deepEqual(o.log, ['fix: module PLT section(s) missing']);
  const stripped = calls(['a'], FAR, { stripped: true });
  t.is(stripped.errno, 'ENOEXEC');
  t.deepEqual(stripped.log, ['fix: module symtab section missing']);
  t.is(relocate({ arch: arm, sections, symbols: {}, ...noPlts }).errno, undefined);
});

test('unwind tables go with the text from 7.2 on, where lowmem is not 3 GiB', (t) => {
  const flags = (version: (typeof versions)[number], split: boolean): number => {
    const o = calls(['a'], FAR, {
      version,
      config: { VMSPLIT_3G: split },
      sections: {
        '.text': { addr: P, data: PLAIN.R_ARM_CALL },
        '.plt': { addr: PLT, data: 1 },
        '.init.plt': { addr: INIT_PLT, data: 1 },
        '.ARM.extab.x': { addr: P + 64n, data: 4, flags: SHF_ALLOC },
      },
    });
    return o.section('.ARM.extab.x').sh_flags & SHF_EXECINSTR;
  };
  t.is(flags('7.2', false), SHF_EXECINSTR);
  t.is(flags('7.2', true), 0);
  t.is(flags('6.12', false), 0);
});

test('headers and sections', (t) => {
  const header = (e_flags: number, e_entry = 0n): boolean =>
    acceptsHeader(arm, { is64: false, little: true, e_machine: 40, e_flags, e_entry }, configOf(arm, '7.2'));
  t.true(header(0x0500_0000));
  t.true(header(0x0500_0008), 'with an EABI the bit means something else');
  t.false(header(0x8), 'APCS-26');
  t.true(header(0x400), 'VFP');
  t.true(header(0x0500_0000, 1n));
  t.false(header(0x0500_0000, 2n));
  for (const name of ['.init.text', '.ARM.exidx.init.text', '.ARM.extab.init.text']) t.true(arm.isInitSection!(name));
  for (const name of ['.text', '.ARM.exidx', '.ARM.exidx.text', 'x.init']) t.false(arm.isInitSection!(name));
  t.true(arm.isExitSection!('.ARM.exidx.exit.text'));
});
