/**
 * arm (ELF for the Arm Architecture, AAELF32). 7.2: arch/arm/kernel/module.c and module-plts.c.
 *
 * Addends lie in the place, in whatever pieces the instruction has for them, and the PC is 8 bytes ahead (4 in Thumb).
 * A branch reaches ±32 MiB (±16 MiB), so modules carry an empty `.plt` and `.init.plt` that the loader sizes by
 * counting the branches to other sections. An entry is one `ldr pc` and one literal, in blocks of a cache line of each;
 * it is shared with the entry made last and with no other, which is why whole relocation sections are sorted. Group
 * relocations split one offset over ADD, ADD and LDR. This is the one handler that looks at symbol numbers and offsets
 * before it uses them, although it lets the number behind the last one pass.
 *
 * Big-endian kernels from ARMv6 on (BE-8) keep instructions little-endian; older ones (BE-32) do not.
 * Unwind tables, `.pv_table` and `.alt.smp.init` depend on what was found at boot, and are left alone.
 */
import { align, hex } from '../relocs/bits.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { dont, range, signed } from '../relocs/check.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_REL, SHT_SYMTAB, STT_FUNC } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { type Field, field, insn32, type Slice, word32 } from '../relocs/field.ts';
import { type Calculation, type Check, howto, ignore, type Verdict } from '../relocs/howto.ts';
import { memoryAt } from '../relocs/memory-at.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Site } from '../relocs/site.ts';
import { sortByKeys } from '../relocs/sort.ts';
import { StateOf } from '../relocs/state.ts';
import type { Symtab } from '../relocs/symbols.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

const SHT_ARM_EXIDX = 0x7000_0001;
const [EF_ARM_EABI_MASK, EF_ARM_BE8, EF_ARM_APCS_26] = [0xff00_0000, 0x80_0000, 0x8];
const [ARM_BRANCHES, THUMB_BRANCHES] = [
  [1, 28, 29],
  [10, 30],
];
const THUMB_TYPES = [10, 30, 47, 48, 49, 50];

const hasPlts = (m: ModuleView): boolean => m.config.ARM_MODULE_PLTS === true;
const isThumb = (m: ModuleView): boolean => m.config.THUMB2_KERNEL === true;
/** A kernel knows which it is; where nobody says, the module does: `ld -r --be8` swaps its code and marks it. */
const insnLittle = (m: ModuleView): boolean =>
  m.format.little || (m.config.CPU_ENDIAN_BE8 ?? (m.e_flags & EF_ARM_BE8) !== 0) === true;

const IMM24 = insn32([[25, 2, 0]]);
const PREL31 = field(4, [[30, 0, 0]], { order: 'data' });
/** What a BX keeps of itself is its condition and its register. */
const MOV_PC: Field = {
  name: 'MOV PC, Rm',
  size: 4,
  order: 'insn',
  mask: 0x0fff_fff0n,
  hi: 31,
  lo: 0,
  round: 0n,
  insert: (word) => (word & 0xf000_000fn) | 0x01a0_f000n,
  extract: () => 0n,
};
/** MOVW's imm4:imm12. MOVT takes the upper half of a value whose addend is the lower half, sign-extended. */
const MOVW = insn32([
  [15, 12, 16],
  [11, 0, 0],
]);
const MOVT: Field = {
  ...insn32([
    [31, 28, 16],
    [27, 16, 0],
  ]),
  addend: MOVW.extract,
};

/** Two halfwords, the first with bits 31:16. */
const thumb32 = (...slices: readonly Slice[]): Field => field(4, slices, { order: 'halfwords' });
const THM_MOVW = thumb32([15, 12, 16], [11, 11, 26], [10, 8, 12], [7, 0, 0]);
const THM_MOVT: Field = {
  ...thumb32([31, 28, 16], [27, 27, 26], [26, 24, 12], [23, 16, 0]),
  addend: THM_MOVW.extract,
};
/** S:I1:I2:imm10:imm11:0. J1 and J2, which stand for I1 and I2, are inverted where S is 0. */
const THM_BRANCH: Field = ((plain: Field): Field => {
  const invert = (word: bigint): bigint => (((word >> 26n) & 1n) === 0n ? word ^ 0x2800n : word);
  return {
    ...plain,
    insert: (word, v) => invert(plain.insert(word, v)),
    extract: (word) => plain.extract(invert(word)),
  };
})(thumb32([24, 24, 26], [23, 23, 13], [22, 22, 11], [21, 12, 16], [11, 1, 0]));

const magnitude = (v: bigint): bigint => BigInt.asUintN(32, v < 0n ? -v : v);

/** get_group_rem(): what groups 0 … group-1 left over, and how far its top byte, at an even place, is from the top. */
function groupRem(group: number, v: bigint): { rem: bigint; shift: number } {
  let rem = magnitude(v);
  for (; ; group--) {
    if (rem === 0n) return { rem, shift: 32 };
    const shift = Math.clz32(Number(rem)) & ~1;
    if (group === 0) return { rem, shift };
    rem &= 0xff_ffffn >> BigInt(shift);
  }
}

const [ADD, SUB, U] = [1n << 23n, 1n << 22n, 1n << 23n];
/** The immediate of ADD or SUB, as an addend. */
const rotated = (word: bigint): bigint => {
  const rotate = (word & 0xf00n) >> 7n;
  const imm = BigInt.asIntN(32, ((word & 0xffn) >> rotate) | ((word & 0xffn) << (32n - rotate)));
  return (word & SUB) === 0n ? imm : -imm;
};
/** ADD or SUB Rd, PC, #imm8 rotated: the part of the offset that is group n's. The other parts are in other words. */
const group = (n: number): Field => ({
  name: `group ${n}`,
  size: 4,
  order: 'insn',
  mask: ADD | SUB | 0xfffn,
  hi: 31,
  lo: 0,
  round: 0n,
  insert: (word, v) => {
    const { rem, shift } = groupRem(n, v);
    // The offset is signed: -2^31, which has no magnitude, is shifted down with its sign, over the whole instruction.
    const top = BigInt.asIntN(32, rem) >> BigInt(Math.max(24 - shift, 0));
    const imm12 = shift < 24 ? top | BigInt((shift + 8) << 7) : rem;
    return BigInt.asUintN(32, (word & ~(ADD | SUB | 0xfffn)) | (v < 0n ? SUB : ADD) | imm12);
  },
  extract: rotated,
  addend: rotated,
});
/** LDR's imm12 and U bit: what groups 0 and 1 left over. */
const LDR: Field = {
  name: 'U imm12',
  size: 4,
  order: 'insn',
  mask: U | 0xfffn,
  hi: 11,
  lo: 0,
  round: 0n,
  insert: (word, v) => (word & ~(U | 0xfffn)) | (v < 0n ? 0n : U) | groupRem(2, v).rem,
  extract: (word) => ((word & U) === 0n ? -(word & 0xfffn) : word & 0xfffn),
};
const fitsLdr: Check = { name: 'group 2 in 12 bits', passes: (v) => groupRem(2, v).rem <= 0xfffn };

const at = (r: Site): string => `${r.module.name}: section ${r.run.section.index} reloc ${r.index}`;
function atSymbol(r: Site): string {
  if (r.run.symtab.holdsName(r.sym)) return `${at(r)} sym '${r.symbolName}'`;
  throw crashes('signal 11', `${r.where()} is refused, and its symbol's name, which is printed, lies behind the file`);
}

/** struct mod_plt_sec */
interface Plt {
  readonly section: Section;
  count: number;
}
const plts: StateOf<ModuleView, { core: Plt; init: Plt }> = new StateOf(countAllPlts);
/** L1_CACHE_BYTES: a block is as much of instructions, and as much of literals. */
const stride = (m: ModuleView): number => 1 << Number(m.config.ARM_L1_CACHE_SHIFT);
/** ftrace's own two entries. Where ftrace_caller lies no file tells; __gnu_mcount_nc is exported. */
const fixedPlts: StateOf<ModuleView, readonly bigint[]> = new StateOf((m) => {
  if (m.config.DYNAMIC_FTRACE !== true) return [];
  const symtab = m.symtab!;
  for (let i = 1; i < symtab.count; i++) if (symtab.name(i) === '__gnu_mcount_nc') return [0n, symtab.st_value(i)];
  return [0n, 0n];
});

/** get_module_plt(): address of the entry that jumps to `val`. */
function modulePlt(r: Site, val: bigint): bigint {
  const m = r.module;
  const plt = plts.of(m)[m.withinInit(r.P) ? 'init' : 'core'];
  const bytes = stride(m);
  const entries = bytes / 4;
  const address = (i: number): bigint =>
    plt.section.sh_addr + BigInt(Math.floor(i / entries) * 2 * bytes + (i % entries) * 4);
  const word = (where: bigint): DataView => memoryAt(m, where, 4, plt.section.name);
  const ldr = (i: number): DataView => word(address(i));
  const lit = (i: number): DataView => word(address(i) + BigInt(bytes));
  const { little } = m.format;
  const putBlock = (first: number, values: readonly bigint[]): void => {
    for (let i = 0; i < entries; i++) {
      const order = insnLittle(m);
      if (isThumb(m)) {
        ldr(first + i).setUint16(0, 0xf8df, order);
        ldr(first + i).setUint16(2, 0xf000 | (bytes - 4), order);
      } else ldr(first + i).setUint32(0, 0xe59f_f000 | (bytes - 8), order);
      lit(first + i).setUint32(0, Number(values[i] ?? 0n), little);
    }
  };
  const holds = (i: number): boolean => BigInt(lit(i).getUint32(0, little)) === val;

  const fixed = fixedPlts.of(m);
  if (fixed.length > 0 && plt.count === 0) {
    plt.count = fixed.length;
    putBlock(0, fixed);
  }
  for (const [i, value] of fixed.entries()) if (value !== 0n && holds(i)) return address(i);
  if (plt.count > 0 && holds(plt.count - 1)) return address(plt.count - 1);
  const i = plt.count++;
  if (plt.count * 8 > plt.section.sh_size)
    throw crashes('BUG', `${plt.section.name} was sized for ${plt.section.sh_size / 8} entries and one more is needed`);
  if (i % entries === 0) putBlock(i, [val]);
  else lit(i).setUint32(0, Number(val), little);
  return address(i);
}

/** A branch to S + A, or to a PLT entry for it where it does not reach; the PC is `bias` bytes ahead of the place. */
const branch = (reach: Check, bias: bigint, refuses: (r: Site) => string | undefined): Calculation => ({
  formula: 'S + A - P, or PLT(S + A) - P out of reach',
  value: (r) => {
    const why = refuses(r);
    if (why) throw r.refusal('ENOEXEC', `${atSymbol(r)}: unsupported interworking call (${why})`);
    const offset = r.long(r.S + r.A - r.P);
    if (!hasPlts(r.module) || reach.passes(offset, r.row!, r)) return offset;
    return modulePlt(r, r.word(offset + r.P + bias)) - r.P - bias;
  },
});
const [armReach, thumbReach] = [range(1n - (1n << 25n), (1n << 25n) - 1n), range(1n - (1n << 24n), (1n << 24n) - 1n)];
const toArm = branch(armReach, 8n, (r) => ((r.S & 3n) === 0n ? undefined : 'ARM -> Thumb'));
const toThumb = branch(thumbReach, 4n, (r) => (r.symbolType !== STT_FUNC || r.S & 1n ? undefined : 'Thumb -> ARM'));
const noSymbol = calculation('-', () => 0n);

/** is_zero_addend_relocation(): the addend of a branch is minus the bias. Where r_offset leads nobody has checked. */
function isZeroAddend(m: ModuleView, rels: Entries, i: number, target: Section): boolean {
  const { buffer, byteOffset } = target.bytes;
  const [where, little] = [byteOffset + Number(BigInt.asIntN(32, rels.r_offset(i))), insnLittle(m)];
  if (where < 0 || where + 4 > buffer.byteLength)
    throw crashes(
      'signal 11',
      `relocation ${i} of ${target.name} lies outside of the file, and its addend is looked at`,
    );
  const view = new DataView(buffer, where, 4);
  if (ARM_BRANCHES.includes(rels.infoLow(i) & 0xff)) return (view.getUint32(0, little) & 0xff_ffff) === 0xff_fffe;
  return (view.getUint16(0, little) & 0x7ff) === 0x7ff && (view.getUint16(2, little) & 0x2fff) === 0x2ffe;
}

/** count_plts(): the most entries a relocation section may need. It is sorted by type and symbol first. */
function countPlts(m: ModuleView, symtab: Symtab, rels: Entries, target: Section): number {
  const sym = (i: number): number => rels.infoLow(i) >>> 8;
  const key = Float64Array.from({ length: rels.count }, (_, i) => (rels.infoLow(i) & 0xff) * 2 ** 24 + sym(i));
  sortByKeys(m.version, rels, key);
  let count = 0;
  for (let i = 0; i < rels.count; i++) {
    const type = rels.infoLow(i) & 0xff;
    if (!ARM_BRANCHES.includes(type) && !THUMB_BRANCHES.includes(type)) continue;
    if (!symtab.holds(sym(i)))
      throw crashes('signal 11', `relocation ${i} of ${target.name} names symbol ${sym(i)} of ${symtab.count}`);
    if (symtab.st_shndx(sym(i)) === target.index) continue;
    const same = i > 0 && rels.infoLow(i) === rels.infoLow(i - 1);
    if (!isZeroAddend(m, rels, i, target) || !same || !isZeroAddend(m, rels, i - 1, target)) count++;
  }
  return count;
}

function countAllPlts(m: ModuleView): { core: Plt; init: Plt } {
  const missing = (what: string): Refusal => {
    m.log(`${m.name}: module ${what} missing`);
    return new Refusal('ENOEXEC', `there is no ${what}`);
  };
  const [core, init] = ['.plt', '.init.plt'].map((name) => m.sections.findLast((s) => s.name === name));
  if (m.version === '7.2' && m.config.ARM_UNWIND === true && m.config.VMSPLIT_3G !== true) markUnwindSections(m);
  if (core === undefined || init === undefined) throw missing('PLT section(s)');
  if (m.symtab === undefined) throw missing('symtab section');
  const fixed = m.config.DYNAMIC_FTRACE === true ? 2 : 0;
  const counts = { core: fixed, init: fixed };
  for (const s of m.sections) {
    const target = m.sections[s.sh_info];
    if (s.index === 0 || s.sh_type !== SHT_REL || target === undefined || (target.sh_flags & SHF_EXECINSTR) === 0)
      continue;
    const count = countPlts(m, m.symtab, new Entries(m.format, false, s.bytes), target);
    counts[m.isInitLayout(target.name) ? 'init' : 'core'] += count;
  }
  const bytes = stride(m);
  const reserve = (section: Section, entries: number): Plt => {
    const sh_size = align(entries * 8, 2 * bytes);
    Object.assign(section, { sh_type: SHT_NOBITS, sh_flags: SHF_EXECINSTR | SHF_ALLOC, sh_addralign: bytes, sh_size });
    return { section, count: 0 };
  };
  return { core: reserve(core, counts.core), init: reserve(init, counts.init) };
}

/** So that unwind tables lie near the text, in reach of PREL31. */
function markUnwindSections(m: ModuleView): void {
  for (const s of m.sections) {
    if (['.plt', '.init.plt'].includes(s.name) || s.sh_type === SHT_SYMTAB) continue;
    if (s.sh_type === SHT_ARM_EXIDX || s.name.startsWith('.ARM.extab')) s.sh_flags |= SHF_EXECINSTR;
  }
}

/** The bounds that are checked of every entry, before its type. r_offset's end wraps in sections of less than a word. */
function checkBounds(r: Site): undefined {
  const { symtab, target } = r.run;
  if (r.sym > symtab.count) throw r.refusal('ENOEXEC', `${at(r)}: bad relocation sym offset`);
  if (r.r_offset > BigInt.asUintN(32, BigInt(target.sh_size - 4))) {
    const offset = BigInt.asIntN(32, r.r_offset);
    throw r.refusal('ENOEXEC', `${atSymbol(r)}: out of bounds relocation, offset ${offset} size ${target.sh_size}`);
  }
  return undefined;
}

const enoexec = (line: string): Verdict => ({ errno: 'ENOEXEC', log: [line] });
const groups = {
  needs: { config: 'ARM_HAS_GROUP_RELOCS', when: (c: ModuleView['config']) => c.ARM_HAS_GROUP_RELOCS === true },
};
const thumb = { needs: { config: 'THUMB2_KERNEL', when: (c: ModuleView['config']) => c.THUMB2_KERNEL === true } };

// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                            type  calculation  field       overflow
  R_ARM_NONE:             ignore(0),
  R_ARM_PC24:              howto(1,   toArm,       IMM24,      armReach),
  R_ARM_ABS32:             howto(2,   abs,         word32,     dont),
  R_ARM_REL32:             howto(3,   pcrel,       word32,     dont),
  R_ARM_THM_CALL:          howto(10,  toThumb,     THM_BRANCH, thumbReach, thumb),
  R_ARM_CALL:              howto(28,  toArm,       IMM24,      armReach),
  R_ARM_JUMP24:            howto(29,  toArm,       IMM24,      armReach),
  R_ARM_THM_JUMP24:        howto(30,  toThumb,     THM_BRANCH, thumbReach, thumb),
  R_ARM_TARGET1:           howto(38,  abs,         word32,     dont),
  R_ARM_V4BX:              howto(40,  noSymbol,    MOV_PC,     dont),
  R_ARM_PREL31:            howto(42,  pcrel,       PREL31,     signed),
  R_ARM_MOVW_ABS_NC:       howto(43,  abs,         MOVW,       dont),
  R_ARM_MOVT_ABS:          howto(44,  abs,         MOVT,       dont),
  R_ARM_MOVW_PREL_NC:      howto(45,  pcrel,       MOVW,       dont),
  R_ARM_MOVT_PREL:         howto(46,  pcrel,       MOVT,       dont),
  R_ARM_THM_MOVW_ABS_NC:   howto(47,  abs,         THM_MOVW,   dont,       thumb),
  R_ARM_THM_MOVT_ABS:      howto(48,  abs,         THM_MOVT,   dont,       thumb),
  R_ARM_THM_MOVW_PREL_NC:  howto(49,  pcrel,       THM_MOVW,   dont,       thumb),
  R_ARM_THM_MOVT_PREL:     howto(50,  pcrel,       THM_MOVT,   dont,       thumb),
  R_ARM_ALU_PC_G0_NC:      howto(57,  pcrel,       group(0),   dont,       groups),
  R_ARM_ALU_PC_G1_NC:      howto(59,  pcrel,       group(1),   dont,       groups),
  R_ARM_LDR_PC_G2:         howto(63,  pcrel,       LDR,        fitsLdr,    groups),
};

export const arm: Arch = defineArch({
  name: 'arm',
  backend: 'arm',
  psABI: 'https://github.com/ARM-software/abi-aa/blob/main/aaelf32/aaelf32.rst',
  e_machine: [40],
  is64: false,
  orders: ['little', 'big'],
  forms: ['REL'],
  relocs,
  config: {
    ARM_MODULE_PLTS: true,
    ARM_HAS_GROUP_RELOCS: true,
    ARM_L1_CACHE_SHIFT: 6,
    ARM_UNWIND: true,
    VMSPLIT_3G: true,
    LIVEPATCH: false,
    KALLSYMS_ALL: false,
  },
  before: checkBounds,
  insnLittle,
  unknown: (r) => enoexec(`${r.module.name}: unknown relocation: ${r.type}`),
  overflow: (r) => enoexec(`${atSymbol(r)}: relocation ${r.type} out of range (0x${hex(r.P)} -> 0x${hex(r.S)})`),
  /** elf_check_arch() on an ARMv7 with VFP: Thumb entry points are welcome, 26-bit code is not. */
  accepts: (h) =>
    h.e_machine === 40 &&
    ((h.e_entry & 1n) !== 0n || (h.e_entry & 3n) === 0n) &&
    ((h.e_flags & EF_ARM_EABI_MASK) !== 0 || (h.e_flags & EF_ARM_APCS_26) === 0),
  frobSections: (m) => {
    if (hasPlts(m)) plts.of(m);
  },
  /** Bit 0 of a function says Thumb, and is no part of where it lies. */
  kallsymsSymbolValue: (m, type, value) => (isThumb(m) && type === STT_FUNC ? value & ~1n : value),
  isInitSection: (name) => /^(\.ARM\.ex(tab|idx))?\.init/.test(name),
  isExitSection: (name) => /^(\.ARM\.ex(tab|idx))?\.exit/.test(name),
  /**
   * A case of Thumb relocations comes from a Thumb-2 kernel, unless it is there to see them refused; a big-endian one
   * from BE-8, unless it says BE-32, which CPUs with short cache lines have.
   */
  replayConfig: ({ arch, config = '', cls = '', types, live }) => {
    const kernel = `${arch} ${config}`;
    const be32 = /be-?32/i.test(kernel);
    const refused = /unk|unsup|refus/i.test(cls);
    const thumbs = types.some((type) => THUMB_TYPES.includes(type)) && !refused;
    return {
      DYNAMIC_FTRACE: live,
      ...(cls && { CPU_ENDIAN_BE8: !be32 }),
      ...(be32 && { ARM_L1_CACHE_SHIFT: 5 }),
      THUMB2_KERNEL: /thumb|t2\b/i.test(kernel) || /thumb|thm/i.test(cls) || thumbs,
    };
  },
  /** Below PAGE_OFFSET, less 2 MiB for HIGHMEM; then, with PLTs, vmalloc behind 768 MiB of lowmem. */
  moduleArea: (_, config) => ({
    text: [config.THUMB2_KERNEL === true ? 0xbf80_0000n : 0xbf00_0000n, 0xbfe0_0000n],
    ...(config.ARM_MODULE_PLTS === true && { fallback: [0xf080_0000n, 0xff80_0000n] as const }),
    kernel: 0xc010_0000n,
  }),
});
