/**
 * What random cases of relocation would hardly ever hit on by themselves, as data, by backend: words that a handler
 * looks at before it writes, and relocations that mean something only together.
 */

/** One relocation of a recipe. */
export interface Part {
  /** Names of rows without their 'R_…_', one of which is taken. */
  readonly types: readonly string[];
  /** Bytes from where the recipe is laid. Default 0. */
  readonly at?: number;
  /** The same letter, the same symbol; a number: a label at the place of that part; 'none': symbol 0. Default 'a'. */
  readonly symbol?: 'a' | 'b' | 'c' | 'none' | number;
  /** Addend of an SHT_RELA entry; default, as it comes. */
  readonly addend?: number;
  /** The value is for the field of that part. */
  readonly fills?: number;
}

export interface Recipe {
  readonly parts: readonly Part[];
  /** Where it makes sense; default, anywhere. */
  readonly section?: '.text' | '.data';
  /** The difference of symbols a and b is what the first part's field is to hold, not an address. */
  readonly difference?: true;
  /** Words of 4 bytes in the order of instructions: offset, word. */
  readonly words?: readonly (readonly [at: number, word: number])[];
}

export interface Hints {
  /** Words as the row's field reads them, by name without 'R_…_'. One of them is put at the place, or none. */
  readonly words?: Readonly<Record<string, readonly number[]>>;
  readonly recipes?: readonly Recipe[];
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
  /** Sections without which a formula has no base. */
  readonly sections?: readonly string[];
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
  /** `config` of a case → SHT_NOBITS sections that a kernel configured so fills. */
  readonly filled?: Readonly<Record<string, readonly string[]>>;
  /** Bits of a second addend above the type in r_info. */
  readonly typeData?: Readonly<Record<string, number>>;
  /** The CPU reads words anywhere: places need no alignment. */
  readonly unaligned?: true;
}

const part = (types: string, at?: number, symbol?: Part['symbol'], addend?: number): Part => ({
  types: types.split(' '),
  ...(at !== undefined && { at }),
  ...(symbol !== undefined && { symbol }),
  ...(addend !== undefined && { addend }),
});
const recipe = (parts: readonly Part[], more: Omit<Recipe, 'parts'> = {}): Recipe => ({ parts, ...more });
const inData = { section: '.data' } as const;
const inText = { section: '.text' } as const;
const difference = { difference: true } as const;

const riscvSum = (plus: string, minus: string, more: Partial<Recipe> = difference): Recipe =>
  recipe([part(plus, 0, 'a'), part(minus, 0, 'b')], more);

const larchPop =
  'SOP_POP_32_S_10_5 SOP_POP_32_U_10_12 SOP_POP_32_S_10_12 SOP_POP_32_S_10_16 SOP_POP_32_S_10_16_S2 SOP_POP_32_S_5_20 SOP_POP_32_S_0_5_10_16_S2 SOP_POP_32_S_0_10_10_16_S2 SOP_POP_32_U';
const larchPush = 'SOP_PUSH_PCREL SOP_PUSH_ABSOLUTE SOP_PUSH_PLT_PCREL';
const larchOp = 'SOP_SUB SOP_ADD SOP_AND';
const pushed = (pop: number, symbol: Part['symbol'] = 'a'): Part => ({
  types: larchPush.split(' '),
  symbol,
  fills: pop,
});
const constant = (n: number): Part => part('SOP_PUSH_ABSOLUTE', 0, 'none', n);

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

export const hints: Readonly<Record<string, Hints>> = {
  x86_64: { unaligned: true },
  x86_32: { unaligned: true },
  riscv: {
    often: 6,
    seldom: /^(ADD|SUB|SET|PCREL_LO12)/,
    recipes: [
      recipe([part('PCREL_HI20', 0, 'a'), part('PCREL_LO12_I', 4, 0, 0)]),
      recipe([part('GOT_HI20', 0, 'a'), part('PCREL_LO12_I PCREL_LO12_S', 4, 0, 0)], inText),
      recipe([part('PCREL_HI20 GOT_HI20', 0, 'a'), part('PCREL_LO12_I', 4, 0), part('PCREL_LO12_S', 8, 0)], inText),
      recipe([part('PCREL_LO12_S', 4, 1, 0), part('PCREL_HI20', 0, 'a')]),
      recipe([part('HI20', 0, 'a'), part('LO12_I LO12_S', 4, 'a')]),
      recipe([part('CALL_PLT', 0, 'a'), part('CALL_PLT CALL', 8, 'a'), part('RELAX', 0)], inText),
      riscvSum('ADD8 SET8', 'SUB8'),
      riscvSum('ADD16 SET16', 'SUB16'),
      riscvSum('ADD32 SET32', 'SUB32'),
      riscvSum('ADD64', 'SUB64'),
      riscvSum('SET6', 'SUB6'),
      riscvSum('SET_ULEB128', 'SUB_ULEB128'),
      riscvSum('SET_ULEB128', 'SUB_ULEB128', { ...difference, ...inData }),
      recipe([part('ADD64 ADD32 ADD16', 0, 'a'), part('SUB6 SET6 SUB8 SET8 SUB16 SET16 SUB32', 0, 'b')]),
      recipe([part('ADD32', 0, 'a'), part('ADD32 SUB32', 0, 'b'), part('SET8 SET16 ADD16 SUB32 SET32', 0, 'c')]),
    ],
  },
  loongarch: {
    often: 5,
    seldom: /^SOP|PCADD_LO12/,
    recipes: [
      recipe([part('PCALA_HI20', 0, 'a'), part('PCALA_LO12', 4, 'a')]),
      recipe([
        part('PCALA_HI20', 0, 'a'),
        part('PCALA_LO12', 4, 'a'),
        part('PCALA64_LO20', 8, 'a'),
        part('PCALA64_HI12', 12, 'a'),
      ]),
      recipe([part('GOT_PC_HI20', 0, 'a'), part('GOT_PC_LO12', 4, 'a')], inText),
      recipe([part('PCADD_HI20', 0, 'a'), part('PCADD_LO12', 4, 0, 0)]),
      recipe([part('GOT_PCADD_HI20', 0, 'a'), part('GOT_PCADD_LO12', 4, 0, 0)], inText),
      recipe([part('PCADD_LO12', 4, 1, 0), part('PCADD_HI20', 0, 'a')], inData),
      recipe([pushed(1), part(larchPop)], inData),
      recipe([constant(0), part(larchPop)], inData),
      recipe([pushed(3), part('SOP_PUSH_ABSOLUTE', 0, 'b'), part(larchOp), part(larchPop)], {
        ...inData,
        ...difference,
      }),
      recipe([part(larchPush, 0, 'a'), constant(12), part('SOP_SR SOP_SL'), part(larchPop)], inData),
      recipe([part(larchPush, 0, 'a'), constant(70), part('SOP_SR SOP_SL'), part(larchPop)], inData),
      recipe([part(larchPush, 0, 'a'), part('SOP_PUSH_DUP'), part(larchOp), part(larchPop)], inData),
      recipe([constant(1), pushed(4), part('SOP_PUSH_ABSOLUTE', 0, 'b'), part('SOP_IF_ELSE'), part(larchPop)], inData),
      recipe(
        [constant(0), part(larchPush, 0, 'b'), part('SOP_PUSH_ABSOLUTE', 0, 'a'), part('SOP_IF_ELSE'), part(larchPop)],
        inData,
      ),
      recipe([part('ADD32', 0, 'a'), part('SUB32', 0, 'b')], { ...inData, ...difference }),
      recipe([part('ADD64', 0, 'a'), part('SUB64', 0, 'b')], { ...inData, ...difference }),
      recipe([part('B26', 0, 'a'), part('B26', 4, 'a'), part('B26', 8, 'b')], inText),
    ],
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
    recipes: [
      recipe([part('MOVW_ABS_NC', 0, 'a'), part('MOVT_ABS', 4, 'a')], {
        words: [
          [0, 0xe300_0000],
          [4, 0xe340_0000],
        ],
      }),
      recipe([part('MOVW_PREL_NC', 0, 'a'), part('MOVT_PREL', 4, 'a')], {
        words: [
          [0, 0xe300_0000],
          [4, 0xe340_0000],
        ],
      }),
      recipe([part('ALU_PC_G0_NC', 0, 'a'), part('ALU_PC_G1_NC', 4, 'a'), part('LDR_PC_G2', 8, 'a')], {
        words: [
          [0, 0xe24f_0008],
          [4, 0xe240_0004],
          [8, 0xe510_0000],
        ],
      }),
      recipe([part('CALL', 0, 'a'), part('CALL JUMP24', 4, 'a'), part('CALL', 8, 'b'), part('CALL', 12, 'a')], {
        ...inText,
        words: [
          [0, 0xebff_fffe],
          [4, 0xebff_fffe],
          [8, 0xebff_fffe],
          [12, 0xebff_fffd],
        ],
      }),
      recipe([part('THM_CALL', 0, 'a'), part('THM_JUMP24', 4, 'a'), part('THM_CALL', 8, 'b')], {
        ...inText,
        words: [
          [0, 0xf7ff_fffe],
          [4, 0xf7ff_bffe],
          [8, 0xf7ff_fffe],
        ],
      }),
    ],
  },
  arm64: {
    needsSymtab: true,
    words: {
      ADR_PREL_PG_HI21: [0x9000_0000, 0x9000_0001, 0xf000_001e],
      ADR_PREL_PG_HI21_NC: [0x9000_0000, 0x9000_0002],
      CALL26: [0x9400_0000],
      JUMP26: [0x1400_0000],
    },
    recipes: [
      recipe([part('ADR_PREL_PG_HI21', 0, 'a'), part('ADD_ABS_LO12_NC LDST64_ABS_LO12_NC LDST8_ABS_LO12_NC', 4, 'a')], {
        words: [[0, 0x9000_0000]],
      }),
      recipe([part('CALL26', 0, 'a'), part('CALL26 JUMP26', 4, 'a'), part('JUMP26', 8, 'b')], inText),
      recipe([
        part('MOVW_UABS_G0_NC', 0, 'a'),
        part('MOVW_UABS_G1_NC', 4, 'a'),
        part('MOVW_UABS_G2_NC', 8, 'a'),
        part('MOVW_UABS_G3', 12, 'a'),
      ]),
    ],
  },
  mips: {
    often: 4,
    recipes: [
      recipe([part('HI16', 0, 'a', 0), part('LO16', 4, 'a', 0)], {
        words: [
          [0, 0x3c02_0000],
          [4, 0x2442_0000],
        ],
      }),
      recipe([part('HI16', 0, 'a', 0x1000), part('LO16', 4, 'a', 0x1000)], {
        words: [
          [0, 0x3c02_ffff],
          [4, 0x2442_8000],
        ],
      }),
      recipe([part('HI16', 0, 'a', 0), part('HI16', 4, 'a', 0), part('LO16', 8, 'a', 0), part('LO16', 12, 'a', 4)], {
        words: [
          [0, 0x3c02_0001],
          [4, 0x3c02_7fff],
          [8, 0x2442_7ffc],
          [12, 0x2442_0004],
        ],
      }),
      recipe([part('HI16', 0, 'a'), part('LO16', 4, 'b')]),
      recipe([part('HIGHEST', 0, 'a'), part('HIGHER', 4, 'a'), part('HI16', 8, 'a'), part('LO16', 12, 'a')]),
    ],
  },
  alpha: {
    needsSymtab: true,
    others: [0x88, 0x80],
    defined: /^BRSGP/,
    addends: { GPDISP: [4, 8, 6] },
    pointer: { section: '.got', plus: 0x8000n },
    recipes: [
      recipe([part('GPDISP', 0, 'none', 4)], {
        words: [
          [0, 0x27bb_0000],
          [4, 0x23bd_0000],
        ],
      }),
      recipe([part('LITERAL', 0, 'a', 0), part('LITUSE', 4, 'a'), part('HINT', 8, 'a')], { words: [[0, 0xa77d_0000]] }),
      recipe([part('LITERAL', 0, 'a'), part('LITERAL', 4, 'a'), part('LITERAL', 8, 'b')]),
      recipe([part('GPRELHIGH', 0, 'a'), part('GPRELLOW', 4, 'a')]),
    ],
  },
  powerpc64: {
    names: ['.TOC.'],
    dotted: true,
    descriptors: 10,
    others: [0x60, 0x20, 0x40, 0x80],
    pointer: { section: '.toc', plus: 0x8000n, align: 0x100n },
    own: 15,
    sections: ['.toc'],
    filled: { pcrel: ['.mygot'] },
    often: 4,
    words: { REL24: [0x4800_0001, 0x4800_0000], REL24_NOTOC: [0x4800_0001], ENTRY: [0] },
    recipes: [
      recipe([part('REL24', 0, 'a', 0)], {
        ...inText,
        words: [
          [0, 0x4800_0001],
          [4, 0x6000_0000],
        ],
      }),
      recipe([part('REL24', 0, 'a', 0), part('REL24', 8, 'a', 0), part('REL24', 16, 'b', 0)], {
        ...inText,
        words: [
          [0, 0x4800_0001],
          [4, 0x6000_0000],
          [8, 0x4800_0001],
          [12, 0x6000_0000],
          [16, 0x4800_0001],
          [20, 0x6000_0000],
        ],
      }),
      recipe([part('REL24', 0, 'a', 0)], {
        ...inText,
        words: [
          [0, 0x4800_0001],
          [4, 0x7c08_02a6],
        ],
      }),
      recipe([part('ENTRY', 0, 'a')], {
        ...inText,
        words: [
          [0, 0xe84c_0010],
          [4, 0x7c42_6214],
        ],
      }),
      recipe([part('TOC16_HA', 0, 'a'), part('TOC16_LO TOC16_LO_DS', 4, 'a')]),
      recipe([part('REL16_HA', 0, 'a'), part('REL16_LO', 4, 'a', 4)]),
      recipe([part('PCREL34 GOT_PCREL34', 0, 'a')], {
        ...inText,
        words: [
          [0, 0x0610_0000],
          [4, 0x3860_0000],
        ],
      }),
    ],
  },
  powerpc32: {
    words: { REL24: [0x4800_0001] },
    recipes: [
      recipe([part('ADDR16_HA', 0, 'a'), part('ADDR16_LO', 4, 'a')]),
      recipe([part('REL24', 0, 'a', 0), part('REL24', 4, 'a', 0), part('REL24', 8, 'b', 0)], inText),
    ],
  },
  s390: {
    needsSymtab: true,
    names: ['_GLOBAL_OFFSET_TABLE_'],
    pointer: { plus: 0n },
    unaligned: true,
    recipes: [
      recipe(
        [part('PLT32DBL', 2, 'a', 2), part('PLT32DBL PLT16DBL PLTOFF32', 8, 'a'), part('GOTENT GOTPLTENT', 14, 'a', 2)],
        inText,
      ),
      recipe([
        part('GOT20 GOT12 GOTPLT12 GOT64', 0, 'a', 0),
        part('GOTENT', 8, 'b', 2),
        part('GOTPCDBL GOTPC', 12, 'none', 2),
      ]),
      recipe([part('GOTOFF32 GOTOFF64 GOTOFF16', 0, 'a'), part('GOTPCDBL', 8, 'none')]),
    ],
  },
  parisc: {
    recipes: [
      recipe([part('DIR21L', 0, 'a'), part('DIR14R', 4, 'a')]),
      recipe([part('DPREL21L', 0, 'a'), part('DPREL14R', 4, 'a')]),
      recipe([part('LTOFF21L', 0, 'a'), part('LTOFF14R', 4, 'a')]),
      recipe([part('PCREL17F', 0, 'a', 0), part('PCREL22F', 4, 'a', 0), part('PCREL22F PCREL17F', 8, 'b', 0)], inText),
    ],
  },
  sparc: {
    needsSymtab: true,
    symbolTypes: [13],
    typeData: { OLO10: 24 },
    recipes: [recipe([part('HI22', 0, 'a'), part('LO10', 4, 'a')])],
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
    recipes: [
      recipe([part('PCRELJSR_IMM26BY2')], { words: [[0, 0x0000_eae0]] }),
      recipe([part('ADDR_HI16', 0, 'a'), part('ADDR_LO16', 4, 'a')]),
    ],
  },
  sh: { unaligned: true },
  hexagon: { also: ['.plt', '.got.plt', '.rela.plt'] },
  ia64: {
    recipes: [recipe([part('LTOFF22X', 0, 'a'), part('LDXMOV', 1, 'a')], inText)],
  },
};
