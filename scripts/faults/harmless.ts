/** Faults that change nothing that a module could tell, or that no module reaches, and why: Linux 7.2. */

export interface Harmless {
  readonly file: string;
  readonly function: string;
  /** Without one, all of the function. */
  readonly line?: number;
  /** With a line: the last of several. */
  readonly to?: number;
  readonly name?: string;
  /** Which of those of that name in the line. */
  readonly nth?: number;
  /** Ports that it holds for. Default: all. */
  readonly arches?: readonly string[];
  readonly why: string;
}

/** Functions that no case runs: they come after relocation, or belong to what the ports are built without. */
export const notRun: RegExp =
  /finalize|cleanup|ftrace|mprofile|clear_relocate|unwind|fixup|dedotify|dbetable|patch_sections|find_section|find_dot_toc|trampoline_target|dereference_|section_size|init_section|exit_section|elf_check_arch|percpu|pcpu|alloc\b|arch_freeing|in_module_plt|search_module|find_mod_section/;

const riscv = 'arch/riscv/kernel/module.c';
const accumulate = (bits: string): Harmless => ({
  file: riscv,
  function: `apply_${bits}_accumulation`,
  name: 'wrong errno',
  why: 'process_accumulated_relocations() passes over what it returns',
});
const swallowed = (bits: string): Harmless => ({ ...accumulate(bits), name: 'error swallowed' });
const lowHalf = 'it is about bits above the twelve that are used';
const noBits = 'the halfword is read to keep none of its bits';
const noRel = 'modules of 64 bits have SHT_RELA only';
const bitsBelow = 'the bits that are kept are below the sign';
const mips = 'arch/mips/kernel/module.c';
const mips64 = ['mips64', 'mips64el'];
const sorted = 'equal entries are equal in whatever order';
const tooMany = 'three relocations are the least that show it: A, B and A again';

export const harmless: readonly Harmless[] = [
  ...['6_bit', '8_bit', '16_bit', '32_bit'].flatMap((bits) => [accumulate(bits), swallowed(bits)]),
  ...['i', 's'].flatMap((form) =>
    ['carry forgotten', 'no sign extension', 'sign turned', 'halves swapped'].map((name) => ({
      file: riscv,
      function: `apply_r_riscv_lo12_${form}_rela`,
      name,
      why: lowHalf,
    })),
  ),
  ...['call', 'call_plt'].map((of) => ({
    file: riscv,
    function: `apply_r_riscv_${of}_rela`,
    name: 'halves swapped',
    why: lowHalf,
  })),
  {
    file: riscv,
    function: 'apply_r_riscv_hi20_rela',
    name: 'no sign extension',
    why: 'of the sum 32 bits are used',
  },
  {
    file: 'arch/riscv/kernel/module-sections.c',
    function: 'module_emit_plt_entry',
    arches: ['riscv32'],
    why: 'auipc reaches all of 32 bits: nothing asks for an entry',
  },
  {
    file: 'arch/riscv/kernel/module-sections.c',
    function: 'module_frob_arch_sections',
    line: 168,
    why: 'memory is asked for again that is there',
  },
  {
    file: 'arch/arm64/kernel/module.c',
    function: 'apply_relocate_add',
    line: 359,
    name: 'line left out',
    why: 'the top 16 bits always fit',
  },
  {
    file: 'arch/arm/kernel/module.c',
    function: 'get_group_rem',
    line: 68,
    name: 'break dropped',
    why: 'nothing is left of 0 in the rounds that follow',
  },
  {
    file: 'arch/arm/kernel/module.c',
    function: 'apply_relocate',
    line: 161,
    why: 'an entry of the table is always in reach',
  },
  {
    file: 'arch/x86/kernel/module.c',
    function: '__write_relocate_add',
    line: 130,
    name: 'no sign extension',
    why: 'the other side is extended all the same',
  },
  {
    file: 'arch/x86/kernel/module.c',
    function: 'write_relocate_add',
    line: 186,
    to: 200,
    name: 'line left out',
    why: 'only a live patch is applied to a module that is there already',
  },
  ...[860, 868, 903, 1044, 1052].map((line) => ({
    file: 'arch/powerpc/kernel/module_64.c',
    function: 'apply_relocate_add',
    line,
    name: 'wrong width',
    why: noBits,
  })),
  {
    file: 'arch/arm64/kernel/module-plts.c',
    function: 'duplicate_rel',
    line: 154,
    name: 'range off by one',
    why: 'what lies before the first entry is no entry',
  },
  {
    file: 'arch/arm/kernel/module-plts.c',
    function: 'prealloc_fixed',
    why: 'entries are fixed for the function tracer, which no port is built with',
  },
  {
    file: 'arch/arm/kernel/module-plts.c',
    function: 'is_zero_addend_relocation',
    why: 'entries come by the sixteen: it takes as many relocations to show',
  },
  {
    file: 'arch/arm/kernel/module-plts.c',
    function: 'duplicate_rel',
    line: 151,
    why: 'entries come by the sixteen: it takes as many relocations to show',
  },
  {
    file: 'arch/s390/kernel/module.c',
    function: 'apply_relocate_add',
    line: 463,
    why: 'only a live patch is applied to a module that is there already',
  },
  {
    file: 'arch/powerpc/kernel/module_64.c',
    function: '',
    line: 495,
    to: 516,
    why: 'the stub of the function tracer, which no port is built with',
  },
  {
    file: riscv,
    function: 'apply_relocate_add',
    line: 852,
    to: 853,
    name: 'halves swapped',
    arches: ['riscv32'],
    why: lowHalf,
  },
  ...['hi16', 'higher', 'highest'].map((part) => ({
    file: mips,
    function: `apply_r_mips_${part}`,
    name: 'no sign extension',
    why: bitsBelow,
  })),
  { file: mips, function: 'free_relocation_chain', arches: mips64, why: noRel },
  { file: mips, function: 'apply_r_mips_lo16', line: 105, to: 170, arches: mips64, why: noRel },
  { file: mips, function: 'apply_r_mips_hi16', line: 70, to: 87, arches: mips64, why: noRel },
  { file: mips, function: '__apply_relocate', line: 347, to: 351, arches: mips64, why: noRel },
  { file: mips, function: '__apply_relocate', line: 369, to: 372, arches: mips64, why: noRel },
  {
    file: 'arch/powerpc/kernel/module_64.c',
    function: 'create_stub',
    line: 664,
    nth: 1,
    name: 'range off by one',
    why: 'stubs and tables are aligned: their distance is never odd',
  },
  ...[
    ['apply_r_larch_sop', 176],
    ['apply_r_larch_pcadd', 348],
    ['apply_r_larch_pcala', 386],
  ].map(([place, line]) => ({
    file: 'arch/loongarch/kernel/module.c',
    function: String(place),
    line: Number(line) - 1,
    to: Number(line) + 1,
    why: 'the table has it for its own types only',
  })),
  {
    file: 'arch/loongarch/kernel/module.c',
    function: 'apply_relocate_add',
    line: 509,
    name: 'range off by one',
    why: 'behind the table lie zeros, which are no handler either',
  },
  ...[
    [298, 299],
    [318, 330],
  ].map(([line, to]) => ({
    file: 'arch/parisc/kernel/module.c',
    function: 'module_frob_arch_sections',
    line: Number(line),
    to: Number(to),
    arches: ['parisc'],
    why: 'room for tables that only 64 bits have',
  })),
  ...[196, 200].map((line) => ({
    file: 'arch/powerpc/kernel/module_64.c',
    function: 'relacmp',
    line,
    name: 'range off by one',
    why: tooMany,
  })),
  {
    file: 'arch/powerpc/kernel/module_32.c',
    function: 'count_relocs',
    line: 31,
    name: 'line left out',
    why: 'a first symbol is never 0, so its addend is not asked',
  },
  { file: 'arch/powerpc/kernel/module_32.c', function: 'relacmp', line: 63, name: 'range off by one', why: sorted },
];
