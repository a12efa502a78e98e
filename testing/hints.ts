/**
 * What the rows do not tell of what handlers and hooks look at, as data: by backend, or by backend and configuration,
 * where that has hints of its own.
 */

export interface Hints {
  /** Words as the row's field reads them, by name without 'R_…_'. One of them is put at the place, or none. */
  readonly words?: Readonly<Record<string, readonly number[]>>;
  /** Rows that make little sense alone: one in eight of those that would be. */
  readonly seldom?: RegExp;
  /** Of ten groups, so many are recipes. Default 3. */
  readonly often?: number;
  /** What GP, TOC or GOT in a formula is: a section's address (default, the start of the text region), cut, and this. */
  readonly pointer?: { readonly section?: string; readonly plus: bigint; readonly align?: bigint };
  /** The only addends of a row: it writes at a place that the addend names. */
  readonly addends?: Readonly<Record<string, readonly number[]>>;
  /** Of 40 symbols from outside, so many are the module's own data instead: a handler reads what is there. */
  readonly own?: number;
  /** Rows that take only defined symbols: most are absolute then. */
  readonly defined?: RegExp;
  /** Values of st_other with a meaning. */
  readonly others?: readonly number[];
  /** What values a row that decides by the word it finds is about: relative to P, both ends included. */
  readonly reach?: Readonly<Record<string, readonly (readonly [lo: bigint, hi: bigint])[]>>;
  /** A place or a symbol that is not there is refused, not used. */
  readonly bounded?: true;
  /** An undefined symbol's value is the address of what the handler reads: of 40 from outside, so many point to data. */
  readonly descriptors?: number;
  /** Types of symbols that a hook defines. */
  readonly symbolTypes?: readonly number[];
  /** Sections whose being there is all that a handler asks. */
  readonly also?: readonly string[];
  /** A file without a symbol table is refused by the hook that looks for one. */
  readonly needsSymtab?: true;
  /** Undefined symbols that the hook defines, by name. */
  readonly names?: readonly string[];
  /** The hook takes a dot in front of undefined symbols away. */
  readonly dotted?: true;
  /** SHT_NOBITS sections that the kernel fills. */
  readonly filled?: readonly string[];
  /** Bits of a second addend above the type in r_info. */
  readonly typeData?: Readonly<Record<string, number>>;
  /** The CPU reads words anywhere: places need no alignment. */
  readonly unaligned?: true;
}

const thumbCalls = [0xf7ff_fffe, 0xf000_d000, 0xf000_f800];
const armCalls = [0xebff_fffe, 0x0bff_fffe, 0xea00_0000, 0xeb00_0000];
/** add and sub of pc with a rotated 8-bit number; ldr up and down. */
const [aluPc, ldrPc] = [
  [0xe28f_0000, 0xe24f_0000, 0xe28f_1a10, 0xe24f_2f02],
  [0xe59f_0000, 0xe51f_0000, 0xe59f_0ffc],
];
const movw = [0xe300_0000, 0xe340_1234, 0xe30f_cfff];
const thumbMovw = [0xf240_0000, 0xf2c0_0c00, 0xf64f_7cff];

const xtensaCall = [0x05, 0x15, 0x25, 0x35, 0x50_0000, 0x51_0000];

const powerpc64: Hints = {
  descriptors: 10,
  others: [0x60, 0x20, 0x40, 0x80],
  pointer: { section: '.toc', plus: 0x8000n, align: 0x100n },
  own: 15,
  often: 4,
  words: { REL24: [0x4800_0001, 0x4800_0000], REL24_NOTOC: [0x4800_0001], ENTRY: [0] },
};

export const hints: Readonly<Record<string, Hints>> = {
  x86_64: { unaligned: true },
  x86_32: { unaligned: true },
  riscv: {
    often: 6,
    seldom: /^(ADD|SUB|SET|PCREL_LO12)/,
  },
  loongarch: {
    often: 5,
    seldom: /^SOP|PCADD_LO12/,
  },
  arm: {
    needsSymtab: true,
    bounded: true,
    words: {
      PC24: armCalls,
      CALL: armCalls,
      JUMP24: [0xea00_0000, ...armCalls],
      V4BX: [0xe12f_ff1e, 0x012f_ff13],
      THM_CALL: thumbCalls,
      THM_JUMP24: thumbCalls,
      MOVW_ABS_NC: movw,
      MOVT_ABS: movw,
      MOVW_PREL_NC: movw,
      MOVT_PREL: movw,
      THM_MOVW_ABS_NC: thumbMovw,
      THM_MOVT_ABS: thumbMovw,
      THM_MOVW_PREL_NC: thumbMovw,
      THM_MOVT_PREL: thumbMovw,
      ALU_PC_G0_NC: aluPc,
      ALU_PC_G1_NC: aluPc,
      LDR_PC_G2: ldrPc,
      PREL31: [0, 0x8000_0000, 0x7fff_fff8],
    },
  },
  arm64: {
    needsSymtab: true,
    words: {
      ADR_PREL_PG_HI21: [0x9000_0000, 0x9000_0001, 0xf000_001e],
      ADR_PREL_PG_HI21_NC: [0x9000_0000, 0x9000_0002],
      CALL26: [0x9400_0000],
      JUMP26: [0x1400_0000],
    },
  },
  mips: {
    often: 4,
  },
  alpha: {
    needsSymtab: true,
    others: [0x88, 0x80],
    defined: /^BRSGP/,
    addends: { GPDISP: [4, 8, 6] },
    pointer: { section: '.got', plus: 0x8000n },
  },
  powerpc64: { ...powerpc64, names: ['.TOC.'], dotted: true },
  // Without a TOC.
  'powerpc64 pcrel': { ...powerpc64, filled: ['.mygot'] },
  powerpc32: {
    words: { REL24: [0x4800_0001] },
  },
  s390: {
    needsSymtab: true,
    names: ['_GLOBAL_OFFSET_TABLE_'],
    pointer: { plus: 0n },
    unaligned: true,
  },
  sparc: {
    needsSymtab: true,
    symbolTypes: [13],
    typeData: { OLO10: 24 },
  },
  xtensa: {
    words: { SLOT0_OP: [...xtensaCall, 0x21, 0xa1, 0x10_0000, 0x12_3456, 0x06, 0x02, 0x60_0000] },
    often: 2,
    // Calls, and l32r.
    reach: {
      SLOT0_OP: [
        [-0x80000n + 4n, 0x7ffffn + 4n],
        [-0x40000n, -1n],
      ],
    },
  },
  csky: {
    words: { PCRELJSR_IMM26BY2: [0xe0, 0xea] },
  },
  sh: { unaligned: true },
  hexagon: { also: ['.plt', '.got.plt', '.rela.plt'] },
};
