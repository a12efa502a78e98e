import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { arm64 } from '../../arch/arm64.ts';
import { arches } from '../../arch/index.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_PROGBITS } from '../../relocs/elf.ts';
import type { Config, Version } from '../../relocs/module-view.ts';
import { type HandMade, Loading, type Outcome, type Rela } from './hand-made.ts';

const TEXT = 0xffff_8000_8000_0000n;
const PLT = TEXT + 0x1_0000n;
const INIT_PLT = TEXT + 0x2_0000n;
/** 2 GiB below the module: in reach of ADRP, far out of reach of a branch. */
const FAR = TEXT - 0x8000_0000n;
const FAULT = 'd4202000';
const BR_X16 = 'd61f0200';
const NOP = 0xd503_201f;
const [ADRP, ADD_LO12, JUMP26, CALL26] = [275, 277, 282, 283];
const ERRATUM: Config = { ARM64_WORKAROUND_843419: true };

/** Instructions as bytes. */
function code(...words: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(words.length * 4));
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  return new Uint8Array(view.buffer);
}
const filled = (length: number, word: number): Uint8Array => code(...Array<number>(length).fill(word));
const overflow = (type: number, val: bigint): string =>
  `Modules: module m: overflow in relocation type ${type} val ${BigInt.asUintN(64, val).toString(16)}`;

// ---- one relocation at P -------------------------------------------------------------------------------------------

/** Not the start of a page, so that P and its page differ. */
const P = TEXT + 0x1ff0n;
type Op = 'abs' | 'prel' | 'page';

/** Applies one relocation whose calculated value is `value` to the word `word` at P. */
function one(type: number, op: Op, value: bigint, word: number, version: Version = '7.2'): [Outcome, string] {
  const target = op === 'abs' ? value : op === 'prel' ? P + value : (P & ~0xfffn) + value;
  // S + A in two parts, so that both count.
  const symbols = [{ value: target - 0x123n }];
  const section = {
    name: '.text',
    at: P - 8n,
    bytes: code(NOP, NOP, word, NOP),
    relas: [[8, type, 1, 0x123n] as const],
  };
  const m = new Loading({ arch: arm64, version, sections: [section], symbols });
  const outcome = m.relocate();
  const words = m.words('.text');
  if ([0, 1, 3].some((i) => words[i] !== 'd503201f')) throw new Error('bytes beside the word have changed');
  return [outcome, words[2]!];
}

/** Value, and the bits of the field that it makes. */
type Sample = readonly [value: bigint, bits: number];
interface InstructionCase {
  readonly op: Op;
  /** Bits of the word that may change. */
  readonly mask: number;
  readonly accepted: readonly Sample[];
  readonly refused?: readonly Sample[];
  readonly types: Readonly<Record<string, number>>;
}

// biome-ignore format: tables
const instructions: readonly InstructionCase[] = [
  { types: { TSTBR14: 279 }, op: 'prel', mask: 0x0007_ffe0,
    accepted: [[-0x8000n, 0x4_0000], [-4n, 0x7_ffe0], [0n, 0], [0x7fffn, 0x3_ffe0]],
    refused: [[-0x8001n, 0x3_ffe0], [0x8000n, 0x4_0000]] },
  { types: { LD_PREL_LO19: 273, CONDBR19: 280 }, op: 'prel', mask: 0x00ff_ffe0,
    accepted: [[-0x10_0000n, 0x80_0000], [-1n, 0xff_ffe0], [7n, 0x20], [0xf_ffffn, 0x7f_ffe0]],
    refused: [[-0x10_0001n, 0x7f_ffe0], [0x10_0000n, 0x80_0000]] },
  { types: { ADR_PREL_LO21: 274 }, op: 'prel', mask: 0x60ff_ffe0,
    accepted: [[-0x10_0000n, 0x80_0000], [-1n, 0x60ff_ffe0], [6n, 0x4000_0020], [0xf_ffffn, 0x607f_ffe0]],
    refused: [[-0x10_0001n, 0x607f_ffe0], [0x10_0000n, 0x80_0000]] },
  { types: { ADR_PREL_PG_HI21: 275 }, op: 'page', mask: 0x60ff_ffe0,
    accepted: [[-0x1_0000_0000n, 0x80_0000], [-1n, 0x60ff_ffe0], [0xfffn, 0], [0xffff_ffffn, 0x607f_ffe0]],
    refused: [[-0x1_0000_0001n, 0x607f_ffe0], [0x1_0000_0000n, 0x80_0000]] },
  { types: { ADR_PREL_PG_HI21_NC: 276 }, op: 'page', mask: 0x60ff_ffe0,
    accepted: [[-0x1_0000_0001n, 0x607f_ffe0], [0xffff_ffffn, 0x607f_ffe0], [0x1_0000_0000n, 0x80_0000]] },
  { types: { JUMP26: 282, CALL26: 283 }, op: 'prel', mask: 0x03ff_ffff,
    accepted: [[-0x800_0000n, 0x200_0000], [-4n, 0x3ff_ffff], [3n, 0], [0x7ff_ffffn, 0x1ff_ffff]] },

  // The imm12 of a wider access has room for more than its offset; the kernel makes those bits 0.
  { types: { ADD_ABS_LO12_NC: 277, LDST8_ABS_LO12_NC: 278 }, op: 'abs', mask: 0x3f_fc00,
    accepted: [[0xffff_8000_1234_5abcn, 0x2a_f000], [-1n, 0x3f_fc00], [0x1000n, 0]] },
  { types: { LDST16_ABS_LO12_NC: 284 }, op: 'abs', mask: 0x3f_fc00,
    accepted: [[0xffff_8000_1234_5abcn, 0x15_7800], [-1n, 0x1f_fc00]] },
  { types: { LDST32_ABS_LO12_NC: 285 }, op: 'abs', mask: 0x3f_fc00,
    accepted: [[0xffff_8000_1234_5abcn, 0xa_bc00], [-1n, 0xf_fc00]] },
  { types: { LDST64_ABS_LO12_NC: 286 }, op: 'abs', mask: 0x3f_fc00,
    accepted: [[0xffff_8000_1234_5abcn, 0x5_5c00], [-1n, 0x7_fc00]] },
  { types: { LDST128_ABS_LO12_NC: 299 }, op: 'abs', mask: 0x3f_fc00,
    accepted: [[0xffff_8000_1234_5abcn, 0x2_ac00], [-1n, 0x3_fc00]] },

  { types: { MOVW_UABS_G0: 263 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0n, 0], [0xffffn, 0x1f_ffe0]], refused: [[-1n, 0x1f_ffe0], [0x1_0000n, 0]] },
  { types: { MOVW_UABS_G1: 265 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0xffffn, 0], [0xffff_ffffn, 0x1f_ffe0]], refused: [[-1n, 0x1f_ffe0], [0x1_0000_0000n, 0]] },
  { types: { MOVW_UABS_G2: 267 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0xffff_ffffn, 0], [0xffff_ffff_ffffn, 0x1f_ffe0]],
    refused: [[-1n, 0x1f_ffe0], [0x1_0000_0000_0000n, 0]] },
  { types: { MOVW_UABS_G3: 269 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0x1234_ffff_ffff_ffffn, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_UABS_G0_NC: 264 }, op: 'abs', mask: 0x1f_ffe0, accepted: [[0x1_1234n, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_UABS_G1_NC: 266 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0x1_1234_0000n, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_UABS_G2_NC: 268 }, op: 'abs', mask: 0x1f_ffe0,
    accepted: [[0x1_1234_0000_0000n, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_PREL_G0_NC: 288 }, op: 'prel', mask: 0x1f_ffe0, accepted: [[0x1_1234n, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_PREL_G1_NC: 290 }, op: 'prel', mask: 0x1f_ffe0,
    accepted: [[0x1_1234_0000n, 0x2_4680], [-1n, 0x1f_ffe0]] },
  { types: { MOVW_PREL_G2_NC: 292 }, op: 'prel', mask: 0x1f_ffe0,
    accepted: [[0x1_1234_0000_0000n, 0x2_4680], [-1n, 0x1f_ffe0]] },

  // MOVZ (opcode 2) for what is not negative, MOVN (opcode 0) of the complement for what is: 17 bits.
  ...(['abs', 'prel'] as const).flatMap((op): InstructionCase[] => [
    { types: op === 'abs' ? { MOVW_SABS_G0: 270 } : { MOVW_PREL_G0: 287 }, op, mask: 0x601f_ffe0,
      accepted: [[-0x1_0000n, 0x1f_ffe0], [-1n, 0], [0n, 0x4000_0000], [0xffffn, 0x401f_ffe0]],
      refused: [[-0x1_0001n, 0], [0x1_0000n, 0x4000_0000]] },
    { types: op === 'abs' ? { MOVW_SABS_G1: 271 } : { MOVW_PREL_G1: 289 }, op, mask: 0x601f_ffe0,
      accepted: [[-0x1_0000_0000n, 0x1f_ffe0], [-1n, 0], [0xffffn, 0x4000_0000], [0xffff_ffffn, 0x401f_ffe0]],
      refused: [[-0x1_0000_0001n, 0], [0x1_0000_0000n, 0x4000_0000]] },
    { types: op === 'abs' ? { MOVW_SABS_G2: 272 } : { MOVW_PREL_G2: 291 }, op, mask: 0x601f_ffe0,
      accepted: [[-0x1_0000_0000_0000n, 0x1f_ffe0], [-1n, 0], [0xffff_ffff_ffffn, 0x401f_ffe0]],
      refused: [[-0x1_0000_0000_0001n, 0], [0x1_0000_0000_0000n, 0x4000_0000]] },
  ]),
  { types: { MOVW_PREL_G3: 293 }, op: 'prel', mask: 0x601f_ffe0,
    accepted: [[-0x8000_0000_0000_0000n, 0xf_ffe0], [-1n, 0], [0x7fff_ffff_ffff_ffffn, 0x400f_ffe0]] },
];

const hex32 = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

for (const { types, op, mask, accepted, refused = [] } of instructions)
  for (const [name, type] of Object.entries(types))
    test(`R_AARCH64_${name}`, (t) => {
      for (const word of [0, 0xffff_ffff]) {
        for (const [value, bits] of accepted)
          t.deepEqual(
            one(type, op, value, word),
            [{ result: 'ok', log: [], warns: 0 }, hex32((word & ~mask) | bits)],
            `${value}`,
          );
        for (const [value, bits] of refused) {
          const target = op === 'abs' ? value : op === 'prel' ? P + value : (P & ~0xfffn) + value;
          t.deepEqual(
            one(type, op, value, word),
            [{ result: 'ENOEXEC', log: [overflow(type, target)], warns: 0 }, hex32((word & ~mask) | bits)],
            `${value} is refused, and already written`,
          );
        }
      }
    });

test('R_ARM_NONE and R_AARCH64_NONE change nothing', (t) => {
  for (const type of [0, 256])
    t.deepEqual(one(type, 'abs', 1n, NOP), [{ result: 'ok', log: [], warns: 0 }, 'd503201f']);
});

test('the word that stands for "cannot encode" is never changed, but for the opcode of MOVN and MOVZ', (t) => {
  t.is(one(CALL26, 'prel', 0x1000n, 0xd420_2000)[1], FAULT);
  t.is(one(ADRP, 'page', 0x1000n, 0xd420_2000)[1], FAULT);
  t.is(one(263, 'abs', 0xffffn, 0xd420_2000)[1], FAULT);
  t.is(one(270, 'abs', 0xffffn, 0xf420_2000)[1], FAULT);
  t.is(one(270, 'abs', -0x1_0000n, 0xd420_2000)[1], '943fffe0');
});

// ---- data ----------------------------------------------------------------------------------------------------------

function data(little: boolean, type: number, op: Op, value: bigint): [Outcome, string] {
  const bytes = new Uint8Array(16).fill(0xaa);
  const symbols = [{ value: op === 'abs' ? value : TEXT + 4n + value }];
  const sections = [{ name: '.data', at: TEXT, bytes, flags: SHF_ALLOC | SHF_WRITE, relas: [[4, type, 1] as Rela] }];
  const m = new Loading({ arch: arm64, little, sections, symbols });
  const outcome = m.relocate();
  return [
    outcome,
    Buffer.from(m.section('.data').bytes)
      .toString('hex')
      .replace(/^a{8}|a+$/g, ''),
  ];
}

// biome-ignore format: table
const dataCases: readonly [name: string, type: number, op: Op, accepted: [bigint, string][], refused: [bigint, string][]][] = [
  ['ABS64',  257, 'abs',  [[0x8123_4567_89bc_def0n, '8123456789bcdef0'], [-1n, 'ffffffffffffffff']], []],
  ['ABS32',  258, 'abs',  [[0n, '00000000'], [0xffff_ffffn, 'ffffffff']],
                          [[-1n, 'ffffffff'], [0x1_0000_0000n, '00000000']]],
  ['ABS16',  259, 'abs',  [[0n, '0000'], [0xffffn, 'ffff']], [[-1n, 'ffff'], [0x1_0000n, '0000']]],
  ['PREL64', 260, 'prel', [[-0x8000_0000_0000_0000n, '8000000000000000'], [0x1234n, '0000000000001234']], []],
  ['PREL32', 261, 'prel', [[-0x8000_0000n, '80000000'], [0x7fff_ffffn, '7fffffff']],
                          [[-0x8000_0001n, '7fffffff'], [0x8000_0000n, '80000000']]],
  ['PREL16', 262, 'prel', [[-0x8000n, '8000'], [0x7fffn, '7fff']], [[-0x8001n, '7fff'], [0x8000n, '8000']]],
];

for (const [name, type, op, accepted, refused] of dataCases)
  test(`R_AARCH64_${name}, in both byte orders`, (t) => {
    for (const little of [true, false]) {
      const inOrder = (hex: string): string => (little ? hex.match(/../g)!.toReversed().join('') : hex);
      for (const [value, bytes] of accepted)
        t.deepEqual(data(little, type, op, value), [{ result: 'ok', log: [], warns: 0 }, inOrder(bytes)]);
      for (const [value, bytes] of refused) {
        const log = [overflow(type, op === 'abs' ? value : TEXT + 4n + value)];
        t.deepEqual(data(little, type, op, value), [{ result: 'ENOEXEC', log, warns: 0 }, inOrder(bytes)]);
      }
    }
  });

test('instructions are little-endian in a big-endian module', (t) => {
  const sections = [{ name: '.text', at: TEXT, bytes: code(0x9400_0000), relas: [[0, CALL26, 1] as Rela] }];
  const m = new Loading({ arch: arm64, little: false, sections, symbols: [{ value: TEXT + 8n }] });
  t.is(m.relocate().result, 'ok');
  t.deepEqual(m.words('.text'), ['94000002']);
});

// ---- refusals and versions -----------------------------------------------------------------------------------------

test('a type the kernel does not know', (t) => {
  for (const type of [10, 281, 294, 311, 1024]) {
    const log = [`Modules: module m: unsupported RELA relocation: ${type}`];
    t.deepEqual(one(type, 'abs', 0n, NOP), [{ result: 'ENOEXEC', log, warns: 0 }, 'd503201f']);
  }
});

test('6.1 logs without a prefix, 6.12 as 7.2', (t) => {
  const unknown = 'module m: unsupported RELA relocation: 311';
  const over = 'module m: overflow in relocation type 259 val 10000';
  t.deepEqual(one(311, 'abs', 0n, NOP, '6.1')[0].log, [unknown]);
  t.deepEqual(one(311, 'abs', 0n, NOP, '6.12')[0].log, [`Modules: ${unknown}`]);
  t.deepEqual(one(259, 'abs', 0x1_0000n, NOP, '6.1')[0].log, [over]);
  t.deepEqual(one(259, 'abs', 0x1_0000n, NOP, '6.12')[0].log, [`Modules: ${over}`]);
});

test('every handled type has a test, and no other is handled', (t) => {
  const tested = [
    ...instructions.flatMap(({ types }) => Object.entries(types)),
    ...dataCases.map(([n, type]) => [n, type]),
  ];
  const rows = [...arm64.rules.rows.values()].flat().filter((row) => row.action === 'apply');
  t.deepEqual(
    [...new Set(rows.map(({ name, type }) => `${name} ${type}`))].toSorted(),
    tested.map(([name, type]) => `R_AARCH64_${name} ${type}`).toSorted(),
  );
  t.is(arm64.rules.rows.size, 39);
  t.true(arches.includes(arm64));
});

// ---- the PLT -------------------------------------------------------------------------------------------------------

interface WithPlt extends Partial<HandMade> {
  readonly relas: readonly Rela[];
  readonly text?: bigint;
  readonly plt?: bigint;
  readonly words?: number;
}

/** A module of `.text` (section 1), `.plt` and `.init.plt`, frobbed and relocated. */
function withPlt(spec: WithPlt): { m: Loading; frob: Outcome; relocated: Outcome } {
  const { relas, text = TEXT, plt = PLT, words = 8, ...rest } = spec;
  const sections = [
    { name: '.text', at: text, bytes: filled(words, 0x9400_0000), relas },
    { name: '.plt', at: plt },
    { name: '.init.plt', at: INIT_PLT },
  ];
  const m = new Loading({
    arch: arm64,
    sections,
    symbols: [{ value: FAR + 0x124n }, { value: FAR + 0x2000n }],
    ...rest,
  });
  return { m, frob: m.frob(), relocated: m.relocate() };
}

/** adrp x16, FAR; add x16, x16, #0x124; br x16, for an entry in the page of PLT. */
const FAR_ENTRY = ['90bfff90', '91049210', BR_X16];
const FAR_2000 = ['d0bfff90', '91000210', BR_X16];

test('a branch out of reach goes through an entry of .plt', (t) => {
  for (const version of ['6.1', '6.12', '7.2'] as const) {
    const { m, frob, relocated } = withPlt({ version, relas: [[0, CALL26, 1]] });
    t.deepEqual([frob.result, relocated], ['ok', { result: 'ok', log: [], warns: 0 }]);
    t.is(m.words('.text')[0], '94004000');
    t.deepEqual(m.words('.plt'), [...FAR_ENTRY, '00000000', '00000000', '00000000']);
  }
});

test('a branch is in reach up to 128 MiB, and one byte further is not', (t) => {
  for (const [target, viaPlt] of [
    [TEXT + 0x7ff_ffffn, false],
    [TEXT + 0x800_0000n, true],
    [TEXT - 0x800_0000n, false],
    [TEXT - 0x800_0001n, true],
  ] as const) {
    const { m, relocated } = withPlt({ relas: [[0, JUMP26, 1]], symbols: [{ value: target }] });
    t.is(relocated.result, 'ok');
    t.is(m.words('.plt')[2] === BR_X16, viaPlt, target.toString(16));
  }
});

test('.plt becomes NOBITS, executable, aligned to 64, with one entry more than was counted', (t) => {
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 2],
  ];
  const { m } = withPlt({ relas });
  const header = (name: string): number[] => {
    const { sh_type, sh_flags, sh_addralign, sh_size } = m.section(name);
    return [sh_type, sh_flags, sh_addralign, sh_size];
  };
  t.deepEqual(header('.plt'), [SHT_NOBITS, SHF_EXECINSTR | SHF_ALLOC, 64, 36]);
  t.deepEqual(header('.init.plt'), [SHT_NOBITS, SHF_EXECINSTR | SHF_ALLOC, 64, 12]);
});

test('calls of one symbol share an entry, and the copy that was compared stays behind it', (t) => {
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 2],
    [8, CALL26, 1],
    [12, CALL26, 2],
    [16, ADD_LO12, 1],
  ];
  const { m, relocated } = withPlt({ relas });
  t.is(relocated.result, 'ok');
  t.deepEqual(m.words('.text').slice(0, 4), ['94004000', '94004002', '94003ffe', '94004000']);
  t.deepEqual(m.words('.plt'), [...FAR_ENTRY, ...FAR_2000, ...FAR_2000]);
});

test('entries in two pages are told to be one by where they lead, not by their bytes', (t) => {
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 1],
  ];
  const { m, relocated } = withPlt({ plt: PLT + 0xff4n, relas });
  t.is(relocated.result, 'ok');
  // The second one has been written behind the page's end, and its adrp counts a page less.
  t.not(m.words('.plt')[0], m.words('.plt')[3]);
  t.deepEqual(m.words('.text').slice(0, 2), ['940043fd', '940043fc']);
});

test('a branch that is the last entry of its section is not sorted, so it may need an entry of its own', (t) => {
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 2],
    [8, CALL26, 1],
  ];
  const { m, relocated } = withPlt({ relas });
  t.is(relocated.result, 'ok');
  t.deepEqual(m.words('.plt').slice(0, 9), [...FAR_ENTRY, ...FAR_2000, ...FAR_ENTRY]);
});

test('what is not a branch to another section moves behind, and the branches are sorted', (t) => {
  const relas: Rela[] = [
    [0, ADD_LO12, 1],
    [4, CALL26, 2],
    [8, CALL26, 3],
    [12, JUMP26, 1, 8n],
    [16, JUMP26, 1, -8n],
    [20, ADD_LO12, 2],
  ];
  const symbols = [{ value: FAR }, { value: FAR }, { value: TEXT, shndx: 1 }];
  const { m } = withPlt({ relas, symbols });
  const { bytes } = m.section('.rela.text');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets = relas.map((_, i) => Number(view.getBigUint64(i * 24, true)));
  t.deepEqual(offsets.slice(0, 3), [16, 12, 4]);
  t.deepEqual(
    offsets.slice(3).toSorted((a, b) => a - b),
    [0, 8, 20],
  );
  t.is(m.section('.plt').sh_size, 4 * 12);
});

/** sh_size of .plt for four calls of one symbol, with something behind them that is no branch. */
function fourCalls(addend: bigint): number {
  const relas = [0, 4, 8, 12].map((offset): Rela => [offset, CALL26, 1, addend]);
  return withPlt({ relas: [...relas, [16, ADD_LO12, 1]] }).m.section('.plt').sh_size;
}

test('a zero addend is counted once a symbol, another every time', (t) => {
  t.is(fourCalls(0n), 2 * 12);
  t.is(fourCalls(4n), 5 * 12);
});

test('init code has a PLT of its own', (t) => {
  const sections = [
    { name: '.init.text', at: TEXT, bytes: filled(8, 0x1400_0000), relas: [[0, JUMP26, 1] as Rela] },
    { name: '.plt', at: PLT },
    { name: '.init.plt', at: INIT_PLT },
  ];
  const { m, relocated } = withPlt({ relas: [], sections });
  t.is(relocated.result, 'ok');
  t.is(m.words('.init.text')[0], '14008000');
  t.deepEqual(m.words('.plt'), ['00000000', '00000000', '00000000']);
  t.is(m.words('.init.plt')[2], BR_X16);
});

test('relocations of a section that is not executable are not counted', (t) => {
  const sections = [
    { name: '.data', at: TEXT, bytes: filled(8, 0), flags: SHF_ALLOC | SHF_WRITE, relas: [[0, CALL26, 1] as Rela] },
    { name: '.plt', at: PLT },
    { name: '.init.plt', at: INIT_PLT },
  ];
  const { m, relocated } = withPlt({ relas: [], sections });
  t.is(m.section('.plt').sh_size, 12);
  t.deepEqual(relocated, { result: 'ENOEXEC', log: [], warns: 1 });
});

test('a branch within its section is not counted: out of reach it is a WARN, ENOEXEC and no line', (t) => {
  const symbols = [{ value: FAR + 0x124n, shndx: 1 }];
  const { m, relocated } = withPlt({ relas: [[0, CALL26, 1]], symbols });
  t.deepEqual(relocated, { result: 'ENOEXEC', log: [], warns: 1 });
  t.is(m.words('.text')[0], '94000049', 'what fits of the distance is written already');
  t.deepEqual(m.words('.plt'), FAR_ENTRY, 'and so is the entry');
});

test('a PLT out of reach is an overflow that names the entry', (t) => {
  const plt = TEXT + 0x1000_0000n;
  const { m, relocated } = withPlt({ relas: [[0, CALL26, 1]], plt });
  t.deepEqual(relocated, { result: 'ENOEXEC', log: [overflow(CALL26, plt)], warns: 0 });
  t.is(m.words('.text')[0], '94000000');
});

test('an entry that cannot reach holds a fault, and comparing it is a BUG', (t) => {
  const symbols = [{ value: TEXT + 0x2_0000_0124n }, { value: FAR + 0x124n }];
  const only = withPlt({ relas: [[0, CALL26, 1]], symbols });
  t.is(only.relocated.result, 'ok');
  t.deepEqual(only.m.words('.plt').slice(0, 3), [FAULT, '91049210', BR_X16]);
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 2],
    [8, ADD_LO12, 2],
  ];
  t.is(withPlt({ relas, symbols }).relocated.result, 'BUG');
});

test('a target 2^44 bytes further is taken for one in reach: pages are counted in 32 bits (a defect of the kernel)', (t) => {
  const { m, relocated } = withPlt({ relas: [[0, CALL26, 1]], symbols: [{ value: FAR + 0x124n + (1n << 44n) }] });
  t.is(relocated.result, 'ok');
  t.deepEqual(m.words('.plt').slice(0, 3), FAR_ENTRY);
});

test('two targets 4 GiB apart share an entry: offsets are compared in 32 bits (a defect of the kernel)', (t) => {
  const symbols = [{ value: TEXT - 0xc000_0000n }, { value: TEXT + 0x4000_0000n }];
  const relas: Rela[] = [
    [0, CALL26, 1],
    [4, CALL26, 2],
    [8, ADD_LO12, 2],
  ];
  const { m, relocated } = withPlt({ relas, symbols });
  t.is(relocated.result, 'ok');
  t.deepEqual(m.words('.text').slice(0, 2), ['94004000', '94003fff']);
});

test('sections that must be there', (t) => {
  const text = { name: '.text', bytes: filled(2, 0) };
  const none = { result: 'ENOEXEC', log: ['m: module PLT section(s) missing'], warns: 0 };
  for (const version of ['6.1', '6.12', '7.2'] as const)
    for (const name of ['.plt', '.init.plt'])
      t.deepEqual(new Loading({ arch: arm64, version, sections: [text, { name }] }).frob(), none);
  const sections = [text, { name: '.plt' }, { name: '.init.plt' }];
  const log = ['m: module symtab section missing'];
  t.deepEqual(new Loading({ arch: arm64, stripped: true, sections }).frob(), { result: 'ENOEXEC', log, warns: 0 });
});

test('a symbol number behind the table is a crash, while counting too', (t) => {
  t.is(
    withPlt({
      relas: [
        [0, CALL26, 9],
        [4, CALL26, 1],
      ],
    }).frob.result,
    'signal 11',
  );
});

test('6.1 counts branches only with RANDOMIZE_BASE', (t) => {
  const config = { RANDOMIZE_BASE: false };
  const { m, relocated } = withPlt({ version: '6.1', config, relas: [[0, CALL26, 1]] });
  t.is(m.section('.plt').sh_size, 12);
  t.deepEqual(relocated, { result: 'ENOEXEC', log: [], warns: 1 });
  t.is(withPlt({ version: '6.12', config, relas: [[0, CALL26, 1]] }).relocated.result, 'ok');
});

test('6.1 without ARM64_MODULE_PLTS has nothing but the range of the branch', (t) => {
  const config = { ARM64_MODULE_PLTS: false };
  const { m, frob, relocated } = withPlt({ version: '6.1', config, relas: [[0, CALL26, 1]] });
  t.is(frob.result, 'ok');
  t.is(m.section('.plt').sh_type, SHT_PROGBITS);
  const log = ['module m: overflow in relocation type 283 val ffff800000000124'];
  t.deepEqual(relocated, { result: 'ENOEXEC', log, warns: 0 });
  t.is(withPlt({ version: '7.2', config, relas: [[0, CALL26, 1]] }).relocated.result, 'ok');
});

// ---- ftrace trampolines --------------------------------------------------------------------------------------------

test('ftrace trampolines: sizes by version, and ENOEXEC where one is missing', (t) => {
  const load = (version: Version, names: readonly string[], config: Config): [string, ...number[]] => {
    const sections = ['.plt', '.init.plt', ...names].map((name) => ({ name }));
    const m = new Loading({ arch: arm64, version, config, sections });
    t.is(m.frob().result, 'ok');
    const { result, log } = m.finalize();
    t.deepEqual(log, []);
    return [result, ...names.map((name) => m.section(name).sh_size)];
  };
  const [text, init] = ['.text.ftrace_trampoline', '.init.text.ftrace_trampoline'];
  const on = { DYNAMIC_FTRACE: true };
  t.deepEqual(load('6.1', [text], on), ['ok', 24]);
  t.deepEqual(load('6.1', [init], on), ['ENOEXEC', 1]);
  t.deepEqual(load('6.1', [], { ...on, ARM64_MODULE_PLTS: false }), ['ok']);
  for (const version of ['6.12', '7.2'] as const) {
    t.deepEqual(load(version, [text, init], on), ['ok', 12, 12]);
    t.deepEqual(load(version, [text], on), ['ENOEXEC', 12]);
    t.deepEqual(load(version, [init], on), ['ENOEXEC', 12]);
    t.deepEqual(load(version, [], { DYNAMIC_FTRACE: false }), ['ok']);
  }
});

test('ftrace trampolines are executable and not writable, whatever the file says and whoever traces', (t) => {
  for (const version of ['6.1', '6.12', '7.2'] as const) {
    for (const DYNAMIC_FTRACE of [false, true]) {
      const names = ['.text.ftrace_trampoline', ...(version === '6.1' ? [] : ['.init.text.ftrace_trampoline'])];
      const flags = SHF_ALLOC | SHF_EXECINSTR | 1;
      const sections = ['.plt', '.init.plt', ...names].map((name) => ({ name, flags }));
      const m = new Loading({ arch: arm64, version, config: { DYNAMIC_FTRACE }, sections });
      t.is(m.frob().result, 'ok');
      for (const name of names) t.is(m.section(name).sh_flags, SHF_ALLOC | SHF_EXECINSTR, `${version} ${name}`);
    }
  }
});

// ---- erratum 843419 ------------------------------------------------------------------------------------------------

/** adrp x3 in the last word but one of a page. */
function adrpAt(
  value: bigint,
  config: Config,
  spec: Partial<WithPlt> = {},
): ReturnType<typeof withPlt> & { word: string } {
  const sections = [
    { name: '.text', at: TEXT, bytes: filled(0x400, 0x9000_0003), relas: [[0xff8, ADRP, 1] as Rela] },
    { name: '.plt', at: spec.plt ?? PLT },
    { name: '.init.plt', at: INIT_PLT },
  ];
  const loaded = withPlt({ relas: [], sections, symbols: [{ value }], config, ...spec });
  return { ...loaded, word: loaded.m.words('.text')[0x3fe]! };
}

test('without the erratum an ADRP is an ADRP anywhere, and needs no entry', (t) => {
  const { m, word, relocated } = adrpAt(TEXT + 0x5123n, {});
  t.deepEqual([relocated.result, word, m.section('.plt').sh_size], ['ok', 'b0000023', 12]);
  t.is(m.section('.text').sh_addralign, 4);
});

test('843419: an ADRP at the end of a page becomes an ADR of the page within 1 MiB', (t) => {
  // S + A's page, less P (TEXT + 0xff8), in bytes.
  t.is(adrpAt(TEXT + 0x5123n, ERRATUM).word, '10020043');
  t.is(adrpAt(TEXT + 0x10_0fffn, ERRATUM).word, '107f8043');
  t.is(adrpAt(TEXT - 0xf_f000n, ERRATUM).word, '10800043');
});

test('843419: further away it branches to a veneer that branches back', (t) => {
  for (const [value, adrp] of [
    [TEXT + 0x10_1000n, 'b0000783'],
    [TEXT - 0xf_f001n, '90fff783'],
  ] as const) {
    const { m, word, relocated } = adrpAt(value, ERRATUM);
    t.deepEqual(relocated, { result: 'ok', log: [], warns: 0 });
    t.is(word, '14003c02', 'b to the entry');
    t.deepEqual(m.words('.plt').slice(0, 3), [adrp, '91000063', '17ffc3fd']);
    t.is(m.section('.plt').sh_size, 3 * 12, 'one counted, one of slack, one spare');
  }
});

test('843419: a veneer out of reach logs, and faults are written', (t) => {
  const { m, word, relocated } = adrpAt(FAR, ERRATUM, { plt: TEXT + 0x1000_0000n });
  const line = 'label_imm_common: offset out of range';
  t.deepEqual(relocated, { result: 'ok', log: [line, line], warns: 0 });
  t.deepEqual([word, m.words('.plt')[2]], [FAULT, FAULT]);
});

test('843419: entries at the end of a page are passed over', (t) => {
  const { m, relocated } = withPlt({ relas: [[0, CALL26, 1]], config: ERRATUM, plt: PLT + 0xff8n });
  t.is(relocated.result, 'ok');
  t.is(m.words('.text')[0], '94004401');
  t.deepEqual(m.words('.plt').slice(0, 3), ['00000000', '00000000', '00000000']);
  t.is(m.words('.plt')[5], BR_X16);
  const veneer = adrpAt(FAR, ERRATUM, { plt: PLT + 0xff8n });
  t.is(veneer.word, '14004003');
  t.is(veneer.relocated.result, 'ok');
});

test('843419: alignment is raised so that an ADRP cannot be at the end of a page', (t) => {
  for (const [offset, align, entries] of [
    [0x0, 16, 1],
    [0x8, 32, 1],
    [0x18, 64, 1],
    [0x7f8, 0x1000, 1],
    [0xff4, 16, 1],
    [0xff8, 4, 3],
    [0xffc, 4, 3],
    [0x1_0000, 16, 1],
  ] as const) {
    const { m } = withPlt({ relas: [[offset, ADRP, 1]], config: ERRATUM, words: 0x4001 });
    t.is(m.section('.text').sh_addralign, align, `at 0x${offset.toString(16)}`);
    t.is(m.section('.plt').sh_size, entries * 12);
    t.is(withPlt({ relas: [[offset, ADRP, 1]], words: 0x4001 }).m.section('.text').sh_addralign, 4);
  }
});

/** Entries counted for `n` calls that are all different. */
function countedFor(n: number): number {
  const relas = Array.from({ length: n }, (_, i): Rela => [i * 4, CALL26, 1, BigInt(i + 1)]);
  return withPlt({ relas, words: n, config: ERRATUM }).m.section('.plt').sh_size / 12 - 1;
}

test('843419: slack is one entry for 341, of each section by itself', (t) => {
  t.deepEqual([0, 1, 341, 342].map(countedFor), [0, 2, 342, 344]);
});

// ---- where modules lie ----------------------------------------------------------------------------------------------

test('modules lie where a branch reaches all of the kernel, and else where ADRP does', (t) => {
  for (const version of ['6.1', '6.12', '7.2'] as const) {
    const { text, fallback, kernel } = arm64.moduleArea(version, {});
    const end = kernel! + 0x200_0000n;
    t.is(kernel, version === '6.1' ? 0xffff_8000_0800_0000n : 0xffff_8000_8000_0000n);
    t.deepEqual(text, [end - 0x800_0000n, kernel]);
    t.is(version === '6.1' ? fallback![1] - text[0] : end - fallback![0], 0x8000_0000n);
  }
  t.deepEqual(arm64.moduleArea('6.1', {}).fallback?.[0], 0xffff_8000_0a00_0000n);
});

// ---- laws ----------------------------------------------------------------------------------------------------------

const version = fc.constantFrom<Version[]>('6.1', '6.12', '7.2');
const targets = fc.array(fc.constantFrom(FAR, FAR + 0x1000n, FAR + 0x1004n, PLT, TEXT + 0x10_0000n), {
  minLength: 1,
  maxLength: 4,
});
const entries = fc.array(
  fc.record({
    page: fc.nat({ max: 3 }),
    word: fc.oneof(fc.nat({ max: 0x3ff }), fc.constantFrom(0x3fe, 0x3ff)),
    type: fc.constantFrom(CALL26, JUMP26, ADRP, 276, ADD_LO12),
    sym: fc.nat({ max: 4 }),
    addend: fc.constantFrom(0n, 0n, 0n, 4n, -4n),
  }),
  { maxLength: 60 },
);

testProp(
  'the entries counted are enough for any module laid out as it asks',
  [version, fc.boolean(), targets, entries, fc.nat({ max: 255 })],
  (t, v, erratum, values, all, shift) => {
    const relas = all.map(
      ({ page, word, type, sym, addend }): Rela => [
        page * 0x1000 + word * 4,
        type,
        // The last symbol is in the section itself, in reach of everything there.
        (sym % (values.length + 1)) + 1,
        addend,
      ],
    );
    const symbols = [...values.map((value) => ({ value })), { value: TEXT, shndx: 1 }];
    const sections = [
      { name: '.text', bytes: filled(0x1000, 0x9000_0003), relas },
      { name: '.plt' },
      { name: '.init.plt' },
    ];
    const config = { ARM64_WORKAROUND_843419: erratum };
    const m = new Loading({ arch: arm64, version: v, config, sections, symbols });
    t.is(m.frob().result, 'ok');
    const align = BigInt(m.section('.text').sh_addralign);
    const at = (name: string): bigint =>
      name === '.text' ? TEXT + align * BigInt(shift) : PLT + 0x20_0000n + BigInt(shift) * 64n;
    t.deepEqual(m.relocate(at), { result: 'ok', log: [], warns: 0 });
  },
);

testProp(
  'a branch through the PLT ends where the symbol is',
  [fc.bigInt(-0x3fff_0000n, 0x3fff_0000n)],
  (t, distance) => {
    const target = TEXT + distance * 4n;
    const { m, relocated } = withPlt({ relas: [[0, CALL26, 1]], symbols: [{ value: target }] });
    t.is(relocated.result, 'ok');
    const [bl, adrp, add] = [m.words('.text')[0]!, ...m.words('.plt')].map((word) => BigInt(`0x${word}`));
    const first = TEXT + BigInt.asIntN(28, bl! << 2n);
    if (first === target) return;
    t.is(first, PLT);
    const pages = BigInt.asIntN(21, ((adrp! >> 29n) & 3n) | (((adrp! >> 5n) & 0x7_ffffn) << 2n));
    t.is((first & ~0xfffn) + (pages << 12n) + ((add! >> 10n) & 0xfffn), target);
  },
);
