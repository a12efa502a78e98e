/**
 * What random cases of relocation would hardly ever come upon, as data, by backend: relocations that mean something
 * only together, or only with certain words.
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
  /** Words of 4 bytes from its start on, in the order of instructions. */
  readonly words?: readonly number[];
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

const riscvSum = (plus: string, minus: string): Recipe => recipe([part(plus, 0, 'a'), part(minus, 0, 'b')], difference);

const larchPop = 'S_10_5 U_10_12 S_10_12 S_10_16 S_10_16_S2 S_5_20 S_0_5_10_16_S2 S_0_10_10_16_S2 U'.replaceAll(
  /\S+/g,
  'SOP_POP_32_$&',
);
const larchPush = 'SOP_PUSH_PCREL SOP_PUSH_ABSOLUTE SOP_PUSH_PLT_PCREL';
const larchOp = 'SOP_SUB SOP_ADD SOP_AND';
const pushed = (pop: number): Part => ({ ...part(larchPush), fills: pop });
const constant = (n: number): Part => part('SOP_PUSH_ABSOLUTE', 0, 'none', n);

export const recipes: Readonly<Record<string, readonly Recipe[]>> = {
  riscv: [
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
    { ...riscvSum('SET_ULEB128', 'SUB_ULEB128'), ...inData },
    recipe([part('ADD64 ADD32 ADD16', 0, 'a'), part('SUB6 SET6 SUB8 SET8 SUB16 SET16 SUB32', 0, 'b')]),
    recipe([part('ADD32', 0, 'a'), part('ADD32 SUB32', 0, 'b'), part('SET8 SET16 ADD16 SUB32 SET32', 0, 'c')]),
  ],
  loongarch: [
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
  arm: [
    recipe([part('MOVW_ABS_NC', 0, 'a'), part('MOVT_ABS', 4, 'a')], {
      words: [0xe300_0000, 0xe340_0000],
    }),
    recipe([part('MOVW_PREL_NC', 0, 'a'), part('MOVT_PREL', 4, 'a')], {
      words: [0xe300_0000, 0xe340_0000],
    }),
    recipe([part('ALU_PC_G0_NC', 0, 'a'), part('ALU_PC_G1_NC', 4, 'a'), part('LDR_PC_G2', 8, 'a')], {
      words: [0xe24f_0008, 0xe240_0004, 0xe510_0000],
    }),
    recipe([part('CALL', 0, 'a'), part('CALL JUMP24', 4, 'a'), part('CALL', 8, 'b'), part('CALL', 12, 'a')], {
      ...inText,
      words: [0xebff_fffe, 0xebff_fffe, 0xebff_fffe, 0xebff_fffd],
    }),
    recipe([part('THM_CALL', 0, 'a'), part('THM_JUMP24', 4, 'a'), part('THM_CALL', 8, 'b')], {
      ...inText,
      words: [0xf7ff_fffe, 0xf7ff_bffe, 0xf7ff_fffe],
    }),
  ],
  arm64: [
    recipe([part('ADR_PREL_PG_HI21', 0, 'a'), part('ADD_ABS_LO12_NC LDST64_ABS_LO12_NC LDST8_ABS_LO12_NC', 4, 'a')], {
      words: [0x9000_0000],
    }),
    recipe([part('CALL26', 0, 'a'), part('CALL26 JUMP26', 4, 'a'), part('JUMP26', 8, 'b')], inText),
    recipe([
      part('MOVW_UABS_G0_NC', 0, 'a'),
      part('MOVW_UABS_G1_NC', 4, 'a'),
      part('MOVW_UABS_G2_NC', 8, 'a'),
      part('MOVW_UABS_G3', 12, 'a'),
    ]),
  ],
  mips: [
    recipe([part('HI16', 0, 'a', 0), part('LO16', 4, 'a', 0)], {
      words: [0x3c02_0000, 0x2442_0000],
    }),
    recipe([part('HI16', 0, 'a', 0x1000), part('LO16', 4, 'a', 0x1000)], {
      words: [0x3c02_ffff, 0x2442_8000],
    }),
    recipe([part('HI16', 0, 'a', 0), part('HI16', 4, 'a', 0), part('LO16', 8, 'a', 0), part('LO16', 12, 'a', 4)], {
      words: [0x3c02_0001, 0x3c02_7fff, 0x2442_7ffc, 0x2442_0004],
    }),
    recipe([part('HI16', 0, 'a'), part('LO16', 4, 'b')]),
    recipe([part('HIGHEST', 0, 'a'), part('HIGHER', 4, 'a'), part('HI16', 8, 'a'), part('LO16', 12, 'a')]),
  ],
  alpha: [
    recipe([part('GPDISP', 0, 'none', 4)], {
      words: [0x27bb_0000, 0x23bd_0000],
    }),
    recipe([part('LITERAL', 0, 'a', 0), part('LITUSE', 4, 'a'), part('HINT', 8, 'a')], { words: [0xa77d_0000] }),
    recipe([part('LITERAL', 0, 'a'), part('LITERAL', 4, 'a'), part('LITERAL', 8, 'b')]),
    recipe([part('GPRELHIGH', 0, 'a'), part('GPRELLOW', 4, 'a')]),
  ],
  powerpc64: [
    recipe([part('REL24', 0, 'a', 0)], {
      ...inText,
      words: [0x4800_0001, 0x6000_0000],
    }),
    recipe([part('REL24', 0, 'a', 0), part('REL24', 8, 'a', 0), part('REL24', 16, 'b', 0)], {
      ...inText,
      words: [0x4800_0001, 0x6000_0000, 0x4800_0001, 0x6000_0000, 0x4800_0001, 0x6000_0000],
    }),
    recipe([part('REL24', 0, 'a', 0)], {
      ...inText,
      words: [0x4800_0001, 0x7c08_02a6],
    }),
    recipe([part('ENTRY', 0, 'a')], {
      ...inText,
      words: [0xe84c_0010, 0x7c42_6214],
    }),
    recipe([part('TOC16_HA', 0, 'a'), part('TOC16_LO TOC16_LO_DS', 4, 'a')]),
    recipe([part('REL16_HA', 0, 'a'), part('REL16_LO', 4, 'a', 4)]),
    recipe([part('PCREL34 GOT_PCREL34', 0, 'a')], {
      ...inText,
      words: [0x0610_0000, 0x3860_0000],
    }),
  ],
  powerpc32: [
    recipe([part('ADDR16_HA', 0, 'a'), part('ADDR16_LO', 4, 'a')]),
    recipe([part('REL24', 0, 'a', 0), part('REL24', 4, 'a', 0), part('REL24', 8, 'b', 0)], inText),
  ],
  s390: [
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
  parisc: [
    recipe([part('DIR21L', 0, 'a'), part('DIR14R', 4, 'a')]),
    recipe([part('DPREL21L', 0, 'a'), part('DPREL14R', 4, 'a')]),
    recipe([part('LTOFF21L', 0, 'a'), part('LTOFF14R', 4, 'a')]),
    recipe([part('PCREL17F', 0, 'a', 0), part('PCREL22F', 4, 'a', 0), part('PCREL22F PCREL17F', 8, 'b', 0)], inText),
  ],
  sparc: [recipe([part('HI22', 0, 'a'), part('LO10', 4, 'a')])],
  csky: [
    recipe([part('PCRELJSR_IMM26BY2')], { words: [0x0000_eae0] }),
    recipe([part('ADDR_HI16', 0, 'a'), part('ADDR_LO16', 4, 'a')]),
  ],
  ia64: [recipe([part('LTOFF22X', 0, 'a'), part('LDXMOV', 1, 'a')], inText)],
};
