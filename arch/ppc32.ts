/**
 * PowerPC, 32 bits (System V psABI, Power Architecture 32-bit supplement). 7.2: arch/powerpc/kernel/module_32.c.
 *
 * A branch reaches ±32 MiB and goes through a stub of four instructions in `.plt` or `.init.plt` where it does not; the
 * two are sized by counting REL24 over all relocation sections, which are sorted for it, by the names of these sections:
 * any `.init` in the name counts for `.init.plt`. A stub is found by its instructions, and the table has no end that
 * anybody looks at. The 16-bit types patch the lower halfword of the aligned word, wherever in it they point.
 * Feature fixups depend on the CPU, and where ftrace_caller lies no file tells: left alone.
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { SHT_RELA } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { type Field, insn32, word32 } from '../relocs/field.ts';
import { type Calculation, howto } from '../relocs/howto.ts';
import { memoryAt } from '../relocs/memory-at.ts';
import type { ModuleView, Version } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Site } from '../relocs/site.ts';
import { sortByKeys } from '../relocs/sort.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, defineArch } from './arch.ts';

const REL24 = 10;

/** relacmp(): whole sections, by r_info and then addend, downwards. */
export function sortDownwards(version: Version, rels: Entries): void {
  const key = (of: (i: number) => number): Float64Array => Float64Array.from({ length: rels.count }, (_, i) => -of(i));
  const info = [key((i) => rels.infoHigh(i)), key((i) => rels.infoLow(i))];
  sortByKeys(
    version,
    rels,
    ...info,
    key((i) => rels.addendHigh(i)),
    key((i) => rels.addendLow(i)),
  );
}

/**
 * count_relocs(): how often symbol or addend change. It starts from symbol 0 with addend 0, which are not counted. The
 * addend is remembered in 32 bits, unsigned, so with 64 bits a negative one differs from itself.
 */
export function countRuns(m: ModuleView, rels: Entries, counts: (i: number, sym: number) => boolean): number {
  let [count, sym, addend] = [0, 0, 0n];
  for (let i = 0; i < rels.count; i++) {
    const here = m.format.is64 ? rels.infoHigh(i) : rels.infoLow(i) >>> 8;
    if (!counts(i, here)) continue;
    const r_addend = m.format.is64 ? rels.r_addend(i) : BigInt.asUintN(32, rels.r_addend(i));
    if (here === sym && r_addend === addend) continue;
    count++;
    [sym, addend] = [here, BigInt.asUintN(32, r_addend)];
  }
  return count;
}

/** get_plt_size(): 16 bytes a stub; ftrace wants one more for every section that is counted. */
function pltSize(m: ModuleView, isInit: boolean): number {
  let size = 0;
  for (const s of m.sections) {
    if (s.index === 0 || s.name.includes('.init') !== isInit || s.name.includes('.debug') || s.sh_type !== SHT_RELA)
      continue;
    const rels = new Entries(m.format, true, s.bytes);
    sortDownwards(m.version, rels);
    size +=
      16 * (countRuns(m, rels, (i) => (rels.infoLow(i) & 0xff) === REL24) + (m.config.DYNAMIC_FTRACE === true ? 1 : 0));
  }
  return size;
}

interface Plt {
  readonly section: Section;
  /** Stubs by where they go, so that they need not be searched. */
  readonly stubs: Map<bigint, bigint>;
  /** Before it there are none that are empty. */
  next: bigint | undefined;
}
const plts = new StateOf<ModuleView, { core: Plt; init: Plt }>(() => {
  throw new Error('frobSections() finds the tables before anything is relocated');
});

function frobSections(m: ModuleView): void {
  const [core, init] = ['.plt', '.init.plt'].map((name) => m.sections.findLast((s) => s.index > 0 && s.name === name));
  if (core === undefined || init === undefined) {
    m.log("module_32: Module doesn't contain .plt or .init.plt sections.");
    throw new Refusal('ENOEXEC', 'a module gets .plt and .init.plt from asm/module.h when it is compiled for 32 bits');
  }
  core.sh_size = pltSize(m, false);
  init.sh_size = pltSize(m, true);
  const plt = (section: Section): Plt => ({ section, stubs: new Map(), next: undefined });
  plts.set(m, { core: plt(core), init: plt(init) });
}

const [LIS_R12, ADDI_R12_R12, MTCTR_R12, BCTR] = [0x3d80_0000, 0x398c_0000, 0x7d89_03a6, 0x4e80_0420];
const lo = (v: bigint): number => Number(v & 0xffffn);
const ha = (v: bigint): number => Number(((v + 0x8000n) >> 16n) & 0xffffn);

/** do_plt_call(): address of the stub that goes to `val`, or of the first place that is 0, made one. */
function pltCall(r: Site, val: bigint): bigint {
  const m = r.module;
  const plt = plts.of(m)[m.withinInit(r.P) ? 'init' : 'core'];
  const known = plt.stubs.get(val);
  if (known !== undefined) return known;
  const { little } = m.format;
  const insns = [(LIS_R12 | ha(val)) >>> 0, (ADDI_R12_R12 | lo(val)) >>> 0, MTCTR_R12, BCTR];
  for (let at = plt.next ?? plt.section.sh_addr; ; at += 16n) {
    const stub = memoryAt(m, at, 16, `a stub for ${r.where()}`);
    const first = stub.getUint32(0, little);
    const matches = first === insns[0] && stub.getUint32(4, little) === insns[1];
    if (first !== 0 && !matches) continue;
    if (!matches) insns.forEach((insn, n) => stub.setUint32(4 * n, insn, little));
    plt.next = at;
    plt.stubs.set(val, at);
    return at;
  }
}

const viaPlt: Calculation = {
  formula: 'S + A - P, or PLT(S + A) - P out of reach',
  value: (r) => {
    const distance = r.long(r.S + r.A - r.P);
    return distance >= -0x200_0000n && distance < 0x200_0000n ? distance : pltCall(r, r.word(r.S + r.A)) - r.P;
  },
};

const LI = insn32([[25, 2, 2]]);
/** Halves, in the lower half of the word. */
const [LO, HI] = [insn32([[15, 0, 0]]), insn32([[31, 16, 0]])];
const HA = insn32([[31, 16, 0]], { round: 0x8000n });
/** patch_location_16() */
const half = (place: Field): { write: (r: Site, v: bigint) => void } => ({
  write: (r, v) => {
    const back = -Number(r.P & 3n);
    r.write(4, place.insert(r.read(4, 'insn', back), v), 'insn', back);
  },
});

export const ppc32: Arch = defineArch({
  name: 'ppc32',
  backend: 'powerpc32',
  psABI: 'https://github.com/ryanarn/powerabi',
  e_machine: [20],
  is64: false,
  orders: ['big'],
  forms: ['RELA'],
  extable: { size: 8, relative: true },
  /** pmac32_defconfig and its like: BOOK3S_32. */
  config: { LIVEPATCH: false, ARCH_WANTS_MODULES_DATA_IN_VMALLOC: true, HAVE_STATIC_CALL_INLINE: true },
  // biome-ignore format: table
  relocs: {
    //                       type  calculation  field   overflow
    R_PPC_ADDR32:      howto(1,    abs,         word32, dont),
    R_PPC_ADDR16_LO:   howto(4,    abs,         LO,     dont, half(LO)),
    R_PPC_ADDR16_HI:   howto(5,    abs,         HI,     dont, half(HI)),
    R_PPC_ADDR16_HA:   howto(6,    abs,         HA,     dont, half(HA)),
    R_PPC_REL24:       howto(10,   viaPlt,      LI,     dont),      // nor is the distance to the stub checked
    R_PPC_REL32:       howto(26,   pcrel,       word32, dont),
  },
  unknown: (r) => ({ errno: 'ENOEXEC', log: [`module_32: ${r.module.name}: unknown ADD relocation: ${r.type}`] }),
  overflow: () => ({ errno: 'ENOEXEC', log: [] }),
  frobSections,
  replayConfig: ({ live }) => ({ DYNAMIC_FTRACE: live }),
  /** 64 MiB below PAGE_OFFSET, what is within 32 MiB of _etext first; data in vmalloc. */
  moduleArea: () => ({
    text: [0xbe80_0000n, 0xc000_0000n],
    fallback: [0xbc00_0000n, 0xc000_0000n],
    data: [0xf100_0000n, 0xff00_0000n],
    kernel: 0xc000_0000n,
  }),
});
