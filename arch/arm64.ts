/**
 * arm64 (ELF for the Arm 64-bit Architecture, AAELF64). 7.2: arch/arm64/kernel/module.c and module-plts.c.
 *
 * Fixed 32-bit instructions, always little-endian. A branch reaches ±128 MiB, so modules carry an empty `.plt` and
 * `.init.plt` which the loader sizes by counting CALL26 and JUMP26 to other sections; an entry is adrp, add, br over
 * x16, and is made only when a branch turns out not to reach. It is shared with the entry made last and with no other,
 * which is why the branches are moved to the front of their section and sorted. The word is always written first, and
 * overflow looked for afterwards.
 *
 * Cortex-A53 erratum 843419 (config ARM64_WORKAROUND_843419, a capability found at boot): an ADRP in the last two words
 * of a page becomes an ADR, or a branch to a veneer that lives in the same PLT; sections get more alignment so that
 * few of them need one.
 */
import { hex, page } from '../relocs/bits.ts';
import { abs, calculation, pagerel, pcrel } from '../relocs/calculations.ts';
import { dont, signed, unsigned } from '../relocs/check.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA } from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { type Field, insn32, type Slice, word16, word32, word64 } from '../relocs/field.ts';
import { type Calculation, type Check, howto, ignore, type Row, type Verdict } from '../relocs/howto.ts';
import { type Config, type ModuleView, sectionNamed } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Site } from '../relocs/site.ts';
import { Slots } from '../relocs/slots.ts';
import { sortEntries } from '../relocs/sort.ts';
import { StateOf } from '../relocs/state.ts';
import type { Symtab } from '../relocs/symbols.ts';
import { type Arch, defineArch } from './arch.ts';

/** brk #0x100: what the kernel's encoders return when they fail, and then pass through untouched. */
const FAULT = 0xd420_2000n;
const [B_INSN, ADD_INSN, ADRP_INSN, BR_X16] = [0x1400_0000n, 0x9100_0000n, 0x9000_0000n, 0xd61f_0200n];
const [PG_HI21, PG_HI21_NC, JUMP26, CALL26] = [275, 276, 282, 283];

const insn = (...slices: readonly Slice[]): Field => insn32(slices, { keeps: FAULT });
const [IMM14, IMM19, IMM26] = [insn([15, 2, 5]), insn([20, 2, 5]), insn([27, 2, 0])];
const [ADR, ADRP] = [insn([1, 0, 29], [20, 2, 5]), insn([13, 12, 29], [32, 14, 5])];
/** The imm12 of ADD, and of loads and stores of 2^lsb bytes: it has lsb bits more than the offset fills. */
const imm12 = (lsb: number): Field => insn([11 + lsb, lsb, 10]);
/** The imm16 of MOVZ and MOVK. */
const movk = (lsb: number): Field => insn([lsb + 15, lsb, 5]);
/** MOVZ, or MOVN of the complement. The opcode holds the sign, so the value has 17 bits. */
const movnz = (lsb: number): Field => {
  const { insert, extract, mask } = insn32([[lsb + 15, lsb, 5]], { keeps: FAULT, signed: false });
  const [opc, movz] = [3n << 29n, 2n << 29n];
  // biome-ignore format: what a field has
  return {
    name: `mov[nz] [${lsb + 16}:${lsb}]→5`, size: 4, order: 'insn', mask: mask | opc, hi: lsb + 16, lo: lsb, round: 0n,
    insert: (word, v) => (v < 0n ? insert(word & ~opc, ~v) : insert((word & ~opc) | movz, v)),
    extract: (word) => ((word & movz) !== 0n ? extract(word) : (~extract(word) >> BigInt(lsb)) << BigInt(lsb)),
  };
};

const fits = (v: bigint, bits: number): boolean => BigInt.asIntN(bits, v) === v;
const hasPlts = (m: ModuleView): boolean => m.version !== '6.1' || m.config.ARM64_MODULE_PLTS === true;
const erratumIn = (c: Config): boolean => c.ARM64_WORKAROUND_843419 === true;
const hasErratum = (m: ModuleView): boolean => erratumIn(m.config);
/** is_forbidden_offset_for_adrp() */
const forbidden = (m: ModuleView, at: bigint): boolean => hasErratum(m) && (at & 0xfffn) >= 0xff8n;

/** mod->arch.core and mod->arch.init; each section has room for one entry more than `max`. */
const plts: StateOf<ModuleView, { core: Slots; init: Slots }> = new StateOf(countAllPlts);
const pltFor = (r: Site): Slots => plts.of(r.module)[r.module.withinInit(r.P) ? 'init' : 'core'];

/** Writes entry `i`. The kernel may go past the section before it notices; what lies there is not ours. */
function put(plt: Slots, i: number, entry: readonly bigint[]): void {
  if (i <= plt.max) entry.forEach((word, n) => plt.bytes(i).setUint32(n * 4, Number(word), true));
}

function needsRoom(r: Site, plt: Slots): void {
  if (plt.used <= plt.max) return;
  r.module.warn(`${plt.section.name} needs more than the ${plt.max} entries that were counted`);
  throw r.refusal('ENOEXEC', [], `${r.where()} needs one more entry in ${plt.section.name} than was counted`);
}

/** __get_adrp_add_pair(). An ADRP that does not reach ±4 GiB becomes a FAULT, and nobody is told. */
function adrpAdd(dst: bigint, pc: bigint, rd: bigint): [adrp: bigint, add: bigint] {
  const pages = BigInt.asIntN(32, BigInt.asUintN(64, dst - page(pc)) >> 12n);
  const adrp = fits(pages, 21) ? ADRP.insert(ADRP_INSN | rd, pages << 12n) : FAULT;
  return [adrp, ADD_INSN | ((dst & 0xfffn) << 10n) | (rd << 5n) | rd];
}

/** aarch64_insn_gen_branch_imm(): logs and returns a FAULT, which its callers write like any instruction. */
function branch(m: ModuleView, pc: bigint, target: bigint): bigint {
  const offset = BigInt.asIntN(64, target - pc);
  const unaligned = ((pc | target) & 3n) !== 0n;
  if (!unaligned && fits(offset, 28)) return IMM26.insert(B_INSN, offset);
  m.log(`label_imm_common: ${unaligned ? 'A64 instructions must be word aligned' : 'offset out of range'}`);
  return FAULT;
}

/** plt_entries_equal(). Offsets are compared in 32 bits: targets 4 GiB apart in reach of ADRP are taken for one. */
function sameTarget(plt: Slots, i: number, mine: readonly [bigint, bigint, bigint], j: number): boolean {
  const [adrp, add, br] = [0, 4, 8].map((at) => BigInt(plt.bytes(j).getUint32(at, true)));
  if (add !== mine[1] || br !== mine[2]) return false;
  const target = (k: number, word: bigint): bigint => {
    if ((word & 0x9f00_0000n) !== ADRP_INSN)
      throw crashes('BUG', `entry ${k} of ${plt.section.name} does not reach its target, and is compared with another`);
    return BigInt.asUintN(64, page(plt.addressOf(k)) + BigInt.asIntN(32, ADRP.extract(word)));
  };
  const samePage = page(plt.addressOf(i)) === page(plt.addressOf(j));
  return (adrp === mine[0] && samePage) || target(i, mine[0]) === target(j, adrp!);
}

/** module_emit_plt_entry() */
function emitPlt(r: Site): bigint {
  const plt = pltFor(r);
  const last = plt.used - 1;
  const i = plt.used + (forbidden(r.module, plt.addressOf(plt.used)) ? 1 : 0);
  const entry = [...adrpAdd(r.S + r.A, plt.addressOf(i), 16n), BR_X16] as const;
  put(plt, i, entry);
  if (last >= 0 && sameTarget(plt, i, entry, last)) return plt.addressOf(last);
  plt.used = i + 1;
  needsRoom(r, plt);
  return plt.addressOf(i);
}

/** module_emit_veneer_for_adrp() */
function emitVeneer(r: Site, target: bigint): bigint {
  const plt = pltFor(r);
  let i = plt.used++;
  needsRoom(r, plt);
  if (forbidden(r.module, plt.addressOf(i))) i = plt.used++;
  const at = plt.addressOf(i);
  const back = branch(r.module, at + 8n, r.P + 4n);
  put(plt, i, [...adrpAdd(target, at, r.read(4, 'insn') & 31n), back]);
  return at;
}

const low12: Calculation = calculation('(S + A) & 0xfff', (r) => (r.S + r.A) & 0xfffn);
const viaPlt: Calculation = {
  formula: 'S + A - P, or PLT(S + A) - P out of reach',
  plain: 'pcrel',
  plainWithin: [-(1n << 27n), (1n << 27n) - 1n],
  value: (r) => {
    const direct = r.long(r.S + r.A - r.P);
    if (fits(direct, 28) || !hasPlts(r.module)) return direct;
    r.insert(IMM26, direct); // stays when no entry is to be had
    return emitPlt(r) - r.P;
  },
};

/** reloc_insn_adrp() */
function writeAdrp(r: Site, value: bigint): void {
  if (!forbidden(r.module, r.P)) return r.insert(ADRP, value);
  const target = page(r.S + r.A);
  const near = r.long(target - r.P);
  r.insert(ADR, near);
  const word = fits(near, 21) ? r.read(4, 'insn') & ~(1n << 31n) : branch(r.module, r.P, emitVeneer(r, target));
  r.write(4, word, 'insn');
}
const signedAdrp: Check = { ...signed, passes: (v, row, r) => forbidden(r.module, r.P) || signed.passes(v, row, r) };
/** With the erratum worked around, and without. */
const adrp = (type: number, check: Check, worked: Check): readonly Row[] => [
  howto(type, pagerel, ADRP, check, { needs: { config: 'no ARM64_WORKAROUND_843419', when: (c) => !erratumIn(c) } }),
  howto(type, pagerel, ADRP, worked, {
    needs: { config: 'ARM64_WORKAROUND_843419', when: erratumIn },
    write: writeAdrp,
  }),
];

/** Symbol numbers are not checked; what lies behind the table is unknown. */
function shndxOf(symtab: Symtab, sym: number): number {
  if (sym < symtab.count) return symtab.st_shndx(sym);
  throw crashes('signal 11', `a relocation names symbol ${sym} of ${symtab.count}, which it never checks`);
}

const isBranch = (type: number): boolean => type === JUMP26 || type === CALL26;

/** count_plts(): the most entries a relocation section may need. Sorts its branches and aligns its target. */
function countPlts(m: ModuleView, symtab: Symtab, rels: Entries, target: Section): number {
  const info = (i: number): bigint => rels.r_info(i);
  const type = (i: number): number => genericInfo.type(info(i), m.format);
  const leaves = (i: number): boolean =>
    shndxOf(symtab, genericInfo.sym(info(i), m.format)) !== target.index && isBranch(type(i));
  const compare = (i: number, j: number): number =>
    type(i) - type(j) || Number(info(i) - info(j)) || Number(rels.r_addend(i) - rels.r_addend(j));

  const looksAtBranches = m.version !== '6.1' || m.config.RANDOMIZE_BASE === true;
  let [front, back] = [0, looksAtBranches ? rels.count - 1 : 0];
  while (front < back) {
    if (leaves(front)) front++;
    else if (leaves(back)) rels.swap(front, back);
    else back--;
  }
  sortEntries(m.version, rels, compare, front);

  let count = 0;
  for (let i = 0; i < rels.count; i++) {
    if (looksAtBranches && isBranch(type(i)) && leaves(i)) {
      if (rels.r_addend(i) !== 0n || i === 0 || compare(i, i - 1) !== 0) count++;
    } else if (hasErratum(m) && (type(i) === PG_HI21 || type(i) === PG_HI21_NC)) {
      // The lowest zero bit of the offset from bit 3 up: aligned to twice that, the address has the zero too.
      const offset = rels.r_offset(i) | 7n;
      const align = (~offset & (offset + 1n)) << 1n;
      if (align > 4096n) count++;
      else target.sh_addralign = Math.max(target.sh_addralign, Number(align));
    }
  }
  return hasErratum(m) ? count + Math.ceil(count / 341) : count;
}

/** The last section of that name becomes an empty one with room for `entries`. */
function reserve(m: ModuleView, name: string, sh_addralign: number, entries: number): Slots {
  const section = m.sections.findLast((s) => s.name === name)!;
  const sh_flags = SHF_EXECINSTR | SHF_ALLOC;
  Object.assign(section, { sh_type: SHT_NOBITS, sh_flags, sh_addralign, sh_size: entries * 12 });
  return new Slots(section, 12, entries - 1);
}

function countAllPlts(m: ModuleView): { core: Slots; init: Slots } {
  const missing = (what: string): Refusal => {
    m.log(`${m.name}: module ${what} missing`);
    return new Refusal('ENOEXEC', `there is no ${what}`);
  };
  if (!sectionNamed(m, '.plt') || !sectionNamed(m, '.init.plt')) throw missing('PLT section(s)');
  if (m.symtab === undefined) throw missing('symtab section');
  let [core, init] = [0, 0];
  for (const s of m.sections) {
    const target = m.sections[s.sh_info];
    if (s.sh_type !== SHT_RELA || target === undefined || (target.sh_flags & SHF_EXECINSTR) === 0) continue;
    const count = countPlts(m, m.symtab, new Entries(m.format, true, s.bytes), target);
    if (m.isInitLayout(target.name)) init += count;
    else core += count;
  }
  // 6.1 has two entries in its trampoline, the second for saving all registers.
  for (const name of trampolines(m)) if (sectionNamed(m, name)) reserve(m, name, 4, m.version === '6.1' ? 2 : 1);
  return { core: reserve(m, '.plt', 64, core + 1), init: reserve(m, '.init.plt', 64, init + 1) };
}

const trampolines = (m: ModuleView): readonly string[] =>
  m.version === '6.1' ? ['.text.ftrace_trampoline'] : ['.text.ftrace_trampoline', '.init.text.ftrace_trampoline'];

/** pr_err() of module.c: 6.1 has no prefix. */
const err = (m: ModuleView, text: string): Verdict => ({
  errno: 'ENOEXEC',
  log: [`${m.version === '6.1' ? '' : 'Modules: '}module ${m.name}: ${text}`],
});

export const arm64: Arch = defineArch({
  name: 'arm64',
  backend: 'arm64',
  psABI: 'https://github.com/ARM-software/abi-aa/blob/main/aaelf64/aaelf64.rst',
  e_machine: [183],
  is64: true,
  orders: ['little', 'big'],
  forms: ['RELA'],
  prel32Exports: true,
  config: { RANDOMIZE_BASE: true, ARM64_MODULE_PLTS: true },
  // biome-ignore format: table
  relocs: {
    //                                    type  calculation  field       overflow
    R_ARM_NONE:                     ignore(0),
    R_AARCH64_NONE:                 ignore(256),
    R_AARCH64_ABS64:                 howto(257, abs,         word64,     dont),
    R_AARCH64_ABS32:                 howto(258, abs,         word32,     unsigned),
    R_AARCH64_ABS16:                 howto(259, abs,         word16,     unsigned),
    R_AARCH64_PREL64:                howto(260, pcrel,       word64,     dont),
    R_AARCH64_PREL32:                howto(261, pcrel,       word32,     signed),
    R_AARCH64_PREL16:                howto(262, pcrel,       word16,     signed),
    R_AARCH64_MOVW_UABS_G0:          howto(263, abs,         movk(0),    unsigned),
    R_AARCH64_MOVW_UABS_G0_NC:       howto(264, abs,         movk(0),    dont),
    R_AARCH64_MOVW_UABS_G1:          howto(265, abs,         movk(16),   unsigned),
    R_AARCH64_MOVW_UABS_G1_NC:       howto(266, abs,         movk(16),   dont),
    R_AARCH64_MOVW_UABS_G2:          howto(267, abs,         movk(32),   unsigned),
    R_AARCH64_MOVW_UABS_G2_NC:       howto(268, abs,         movk(32),   dont),
    R_AARCH64_MOVW_UABS_G3:          howto(269, abs,         movk(48),   dont),
    R_AARCH64_MOVW_SABS_G0:          howto(270, abs,         movnz(0),   signed),
    R_AARCH64_MOVW_SABS_G1:          howto(271, abs,         movnz(16),  signed),
    R_AARCH64_MOVW_SABS_G2:          howto(272, abs,         movnz(32),  signed),
    R_AARCH64_LD_PREL_LO19:          howto(273, pcrel,       IMM19,      signed),
    R_AARCH64_ADR_PREL_LO21:         howto(274, pcrel,       ADR,        signed),
    R_AARCH64_ADR_PREL_PG_HI21:      adrp(275, signed, signedAdrp),
    R_AARCH64_ADR_PREL_PG_HI21_NC:   adrp(276, dont, dont),
    R_AARCH64_ADD_ABS_LO12_NC:       howto(277, low12,       imm12(0),   dont),
    R_AARCH64_LDST8_ABS_LO12_NC:     howto(278, low12,       imm12(0),   dont),
    R_AARCH64_TSTBR14:               howto(279, pcrel,       IMM14,      signed),
    R_AARCH64_CONDBR19:              howto(280, pcrel,       IMM19,      signed),
    R_AARCH64_JUMP26:                howto(282, viaPlt,      IMM26,      signed),
    R_AARCH64_CALL26:                howto(283, viaPlt,      IMM26,      signed),
    R_AARCH64_LDST16_ABS_LO12_NC:    howto(284, low12,       imm12(1),   dont),
    R_AARCH64_LDST32_ABS_LO12_NC:    howto(285, low12,       imm12(2),   dont),
    R_AARCH64_LDST64_ABS_LO12_NC:    howto(286, low12,       imm12(3),   dont),
    R_AARCH64_MOVW_PREL_G0:          howto(287, pcrel,       movnz(0),   signed),
    R_AARCH64_MOVW_PREL_G0_NC:       howto(288, pcrel,       movk(0),    dont),
    R_AARCH64_MOVW_PREL_G1:          howto(289, pcrel,       movnz(16),  signed),
    R_AARCH64_MOVW_PREL_G1_NC:       howto(290, pcrel,       movk(16),   dont),
    R_AARCH64_MOVW_PREL_G2:          howto(291, pcrel,       movnz(32),  signed),
    R_AARCH64_MOVW_PREL_G2_NC:       howto(292, pcrel,       movk(32),   dont),
    R_AARCH64_MOVW_PREL_G3:          howto(293, pcrel,       movnz(48),  dont),
    R_AARCH64_LDST128_ABS_LO12_NC:   howto(299, low12,       imm12(4),   dont),
  },
  insnLittle: () => true,
  writesFirst: true,
  unknown: (r) => err(r.module, `unsupported RELA relocation: ${r.type}`),
  overflow: (r, value) => {
    const val = r.word(r.row!.calc === viaPlt ? r.P + value : r.S + r.A);
    return err(r.module, `overflow in relocation type ${r.type} val ${hex(val)}`);
  },
  frobSections: (m) => {
    if (hasPlts(m)) plts.of(m);
  },
  // Alternatives and shadow call stacks are the CPU's; what is left is that the trampolines must be there.
  finalize: (m) => {
    if (m.config.DYNAMIC_FTRACE !== true || !hasPlts(m)) return;
    for (const name of trampolines(m))
      if (!sectionNamed(m, name)) throw new Refusal('ENOEXEC', `DYNAMIC_FTRACE needs a section ${name}`);
  },
  replayConfig: ({ variant }) => ({ ARM64_WORKAROUND_843419: variant === 1 }),
  // With a kernel of 32 MiB: what its 128 MiB window leaves below it, then its 2 GiB window. 6.1's lies above.
  moduleArea: (version) => {
    const kernel = version === '6.1' ? 0xffff_8000_0800_0000n : 0xffff_8000_8000_0000n;
    const end = kernel + 0x200_0000n;
    const start = end - 0x800_0000n;
    const fallback =
      version === '6.1' ? ([end, start + 0x8000_0000n] as const) : ([end - 0x8000_0000n, start] as const);
    return { text: [start, kernel], fallback, kernel };
  },
});
