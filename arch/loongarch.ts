/**
 * LoongArch, 64 and 32 bits (LoongArch ELF psABI; arch/loongarch/kernel/module.c and module-sections.c).
 *
 * Two generations of relocations. The old one is a stack machine: PUSH, arithmetic and POP entries at one place, with a
 * stack of 16 longs that lives for one relocation section. The new one is a pair: pcalau12i has the 4 KiB page, rounded
 * because the low half is signed, and the second instruction the low 12 bits of the address. LA32 has no pcalau12i but
 * pcaddu12i, so there the low half needs the place of the high one, which its symbol names.
 *
 * Calls reach ±128 MiB and go through `.plt` beyond, found again by `.plt.idx`; modules are far from the kernel, so all
 * calls out of a module do. Before layout the kernel sorts the entries of executable sections by symbol and type, which
 * tears stack sequences there apart.
 *
 * Read in 6.1, 6.12 and 7.2; versions between them (6.2, 6.5, 6.19) are those of mainline's changes.
 */
import { add, inPlace, sub } from '../relocs/accumulate.ts';
import { hex, page, signExtend } from '../relocs/bits.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { aligned, dont, saying, signed, unsigned } from '../relocs/check.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA, STB_WEAK, sizeofAddr } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { insn32, nothing, word32, word64 } from '../relocs/field.ts';
import {
  type Calculation,
  type Check,
  howto,
  ignore,
  type Row,
  type RowOptions,
  refuse,
  type Verdict,
} from '../relocs/howto.ts';
import { compareVersions, type ModuleView, type Version } from '../relocs/module-view.ts';
import { lowPart } from '../relocs/pairs.ts';
import type { Run, Site } from '../relocs/site.ts';
import { countEntries, Slots, sizeTable, tableSection } from '../relocs/slots.ts';
import { sortByInfo } from '../relocs/sort.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

// biome-ignore format: value[hi:lo] → bit of the instruction
const [SI12, SI16, SI16_S2, SI20, SI21_S2, SI26_S2, HI20, HI20_ROUND, LO20_64, HI12_64] = [
  insn32([[11, 0, 10]]), insn32([[15, 0, 10]]), insn32([[17, 2, 10]]), insn32([[19, 0, 5]]),
  insn32([[17, 2, 10], [22, 18, 0]]), insn32([[17, 2, 10], [27, 18, 0]]),
  insn32([[31, 12, 5]]), insn32([[31, 12, 5]], { round: 0x800n }),
  insn32([[51, 32, 5]]), insn32([[63, 52, 10]]),
];
const [PUSH_PLT, B26, GOT_PC_HI20, GOT_PCADD_HI20, LAST_61, LAST] = [29, 66, 75, 130, 109, 139];

const since = (version: string, m: ModuleView): boolean => compareVersions(m.version, version) >= 0;
const v = (r: Site): bigint => r.word(r.S + r.A);
const kmod = (errno: 'EINVAL' | 'ENOEXEC', text: string): Verdict => ({ errno, log: [`kmod: ${text}`] });
const unsupported = (r: Site): Verdict => kmod('EINVAL', `${r.module.name}: Unsupport relocation type ${r.type}`);

// GOT and PLT

/** `got` may go on beyond `maxGot`: what is one too many is refused where somebody looks at it. */
const tables = new StateOf<ModuleView, { got: Slots; maxGot: number; plt: Slots; pltIdx: Slots }>(() => {
  throw new Error('frobSections() sizes the GOT and the PLT before anything is relocated');
});

function putWord(slots: Slots, i: number, value: bigint): void {
  if (slots.entrySize === 8) slots.bytes(i).setBigUint64(0, value, true);
  else slots.bytes(i).setUint32(0, Number(value), true);
}

/** module_emit_got_entry(); 0 when there are more than were counted, after a line in the log. */
function gotEntry(m: ModuleView, value: bigint): bigint {
  const { got, maxGot } = tables.of(m);
  const old = got.find(value);
  if (old !== undefined) return got.addressOf(old);
  const i = got.take(value);
  if (i <= maxGot) putWord(got, i, value); // one has room; the next lie in other sections
  if (i < maxGot) return got.addressOf(i);
  m.log(`${m.name}: module contains bad GOT relocation`);
  return 0n;
}

/** emit_plt_entry(): lu12i.w t1; lu32i.d t1; lu52i.d t1, t1; jirl zero, t1. LA32 has the first and the last. */
function pltInsns(m: ModuleView, value: bigint): bigint[] {
  let jirl = SI16_S2.insert(0x4c00_01a0n, value & 0xfffn);
  if ((value & 3n) !== 0n && since('6.2', m)) {
    m.log('The generated jirl instruction is out of range.');
    jirl = 0x002a_0000n; // break
  }
  const lu12i = HI20.insert(0x1400_000dn, value);
  if (!m.format.is64) return [lu12i, jirl];
  return [lu12i, LO20_64.insert(0x1600_000dn, value), HI12_64.insert(0x0300_01adn, value), jirl];
}

/** module_emit_plt_entry() */
function pltEntry(m: ModuleView, value: bigint): bigint {
  const { plt, pltIdx } = tables.of(m);
  const old = plt.find(value);
  if (old !== undefined) return plt.addressOf(old);
  const insns = pltInsns(m, value); // may say something, even before there is one too many
  const i = plt.take(value);
  insns.forEach((insn, n) => plt.bytes(i).setUint32(4 * n, Number(insn), true));
  putWord(pltIdx, i, value);
  return plt.addressOf(i);
}

/** module_frob_arch_sections() */
function frobSections(m: ModuleView): void {
  const [got, plt, pltIdx] = [tableSection(m, '.got'), tableSection(m, '.plt'), tableSection(m, '.plt.idx')];
  for (const s of m.sections) {
    if (s.sh_type !== SHT_RELA || !((m.sections[s.sh_info]?.sh_flags ?? 0) & SHF_EXECINSTR)) continue;
    sortByInfo(m.version, new Entries(m.format, true, s.bytes));
  }
  const kindOf = (type: number) =>
    type === PUSH_PLT || type === B26
      ? 'plt'
      : type === GOT_PC_HI20 || (type === GOT_PCADD_HI20 && since('6.19', m))
        ? 'got'
        : undefined;
  const counts = countEntries(m, kindOf, 'section');
  const long = sizeofAddr(m.format);
  const insns = m.format.is64 ? 16 : 8;
  const maxGot = counts.got ?? 0;
  sizeTable(got, long, maxGot, SHF_ALLOC);
  tables.set(m, {
    got: new Slots(got, long, Number.POSITIVE_INFINITY),
    maxGot,
    plt: sizeTable(plt, insns, counts.plt ?? 0, SHF_EXECINSTR | SHF_ALLOC),
    pltIdx: sizeTable(pltIdx, long, counts.plt ?? 0, SHF_ALLOC),
  });
  const tramp = since('6.2', m) ? m.sections.findLast((s) => s.name === '.ftrace_trampoline') : undefined;
  if (tramp === undefined) return;
  Object.assign(tramp, {
    sh_type: SHT_NOBITS,
    sh_flags: SHF_EXECINSTR | SHF_ALLOC,
    sh_addralign: 4,
    sh_size: 2 * insns,
  });
}

const M128 = 1n << 27n;
const viaPlt: Calculation = {
  formula: 'S + A - P, or PLT(S + A) - P',
  plain: 'pcrel',
  plainWithin: [-M128, M128 - 1n],
  value: (r) => {
    const offset = r.long(v(r) - r.P);
    return offset >= M128 || offset < -M128 ? pltEntry(r.module, v(r)) - r.P : offset;
  },
};
function gotOf(r: Site): bigint {
  const entry = gotEntry(r.module, v(r));
  if (entry === 0n) throw r.refusal('EINVAL', [], `${r.where()} needs a GOT entry that was not counted`);
  return entry;
}
const hi20 = (r: Site, target: bigint): bigint => page(target + 0x800n) - page(r.P);
const pcala = calculation('Page(S + A + 0x800) - Page(P)', (r) => hi20(r, v(r)));
const gotPcala = calculation('Page(GOT(S + A) + 0x800) - Page(P)', (r) => hi20(r, gotOf(r)));
const gotAbs = calculation('GOT(S + A)', gotOf);
const gotPcrel = calculation('GOT(S + A) - P', (r) => gotOf(r) - r.P);
/** What the pair of 32 bits leaves, seen from this instruction and not from the pcalau12i. */
const rest = calculation(
  'S + A - Page(P) - signed32(Page(S + A + 0x800) - Page(P))',
  (r) => v(r) - page(r.P) - signExtend(hi20(r, v(r)), 32),
);
const lo12 = lowPart({
  formula: 'lo12 of the HI20 at S',
  pairs: (high, low) => high === low - 1,
  target: (m, high, value) => (high === GOT_PCADD_HI20 ? gotEntry(m, value) : value),
  circular: () => true,
  missing: (r) => kmod('EINVAL', `${r.module.name}: Can not find HI20 relocation information`),
});

// The stack

const stacks = new StateOf<Run, bigint[]>(() => []);
function push(r: Site, value: bigint): void {
  const stack = stacks.of(r.run);
  if (stack.length >= 16) throw r.refusal('ENOEXEC', [], `${r.where()} pushes a 17th value`);
  stack.push(r.long(value));
}
function pop(r: Site): bigint {
  const value = stacks.of(r.run).pop();
  if (value === undefined) throw r.refusal('ENOEXEC', [], `${r.where()} pops from an empty stack`);
  return value;
}
const popped = calculation('pop()', pop);
const pushed = (type: number, calc: Calculation): Row => howto(type, calc, nothing, dont, { write: push });
/** A shift by more than a word has is the processor's: the low bits of the amount. */
const amount = (r: Site, n: bigint): bigint => n & (r.format.is64 ? 63n : 31n);
const binary = (type: number, op: string, value: (a: bigint, b: bigint, r: Site) => bigint): Row =>
  pushed(
    type,
    calculation(`pop() ${op} pop()`, (r) => {
      const b = pop(r);
      return value(pop(r), b, r);
    }),
  );
const ifElse = calculation('pop() ? pop() : pop()', (r) => {
  const [c, b, a] = [pop(r), pop(r), pop(r)];
  return a !== 0n ? b : c;
});
const dup = calculation('top, twice', (r) => {
  const top = pop(r);
  push(r, top);
  return top;
});

// Checks

const wrong =
  (what: 'overflow' | 'unaligned') =>
  (r: Site, value: bigint): Verdict => {
    const branch = r.type === B26;
    const at = `${branch ? 'jump offset' : 'opr1'} = 0x${hex(branch ? BigInt.asUintN(64, value) : r.word(value))}`;
    const by = branch ? 'R_LARCH_B26' : 'apply_r_larch_sop_imm_field';
    return kmod('ENOEXEC', `module ${r.module.name}: ${at} ${what}! dangerous ${by} (${r.type}) relocation`);
  };
const by4 = saying(aligned(4n), wrong('unaligned'));
/** apply_r_larch_sop_imm_field() takes its operand before it finds that it cannot place it. */
const poppedAndUnsupported = (r: Site): Verdict => {
  pop(r);
  return unsupported(r);
};
/** 1UL << 32 is 0 where a long has 32 bits. */
const nothing32: Check = { name: 'never', passes: () => false };

const from = (version: string): RowOptions => ({ since: version });
// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                                        type  calculation  field       overflow
  R_LARCH_NONE:                       ignore(0),
  R_LARCH_32:                          howto(1,   abs,         word32,     dont),
  R_LARCH_MARK_LA:                    ignore(20),
  R_LARCH_MARK_PCREL:                 ignore(21),
  R_LARCH_SOP_PUSH_PCREL:             pushed(22,  pcrel),
  R_LARCH_SOP_PUSH_ABSOLUTE:          pushed(23,  abs),
  R_LARCH_SOP_PUSH_DUP:               pushed(24,  dup),
  R_LARCH_SOP_PUSH_PLT_PCREL:         pushed(29,  viaPlt),
  R_LARCH_SOP_SUB:                    binary(32,  '-',  (a, b) => a - b),
  R_LARCH_SOP_SL:                     binary(33,  '<<', (a, b, r) => a << amount(r, b)),
  R_LARCH_SOP_SR:                     binary(34,  '>>', (a, b, r) => a >> amount(r, b)),
  R_LARCH_SOP_ADD:                    binary(35,  '+',  (a, b) => a + b),
  R_LARCH_SOP_AND:                    binary(36,  '&',  (a, b) => a & b),
  R_LARCH_SOP_IF_ELSE:                pushed(37,  ifElse),
  R_LARCH_SOP_POP_32_S_10_5:          refuse(38,  poppedAndUnsupported),
  R_LARCH_SOP_POP_32_U_10_12:          howto(39,  popped,      SI12,       unsigned),
  R_LARCH_SOP_POP_32_S_10_12:          howto(40,  popped,      SI12,       signed),
  R_LARCH_SOP_POP_32_S_10_16:          howto(41,  popped,      SI16,       signed),
  R_LARCH_SOP_POP_32_S_10_16_S2:       howto(42,  popped,      SI16_S2,    [by4, signed]),
  R_LARCH_SOP_POP_32_S_5_20:           howto(43,  popped,      SI20,       signed),
  R_LARCH_SOP_POP_32_S_0_5_10_16_S2:   howto(44,  popped,      SI21_S2,    [by4, signed]),
  R_LARCH_SOP_POP_32_S_0_10_10_16_S2:  howto(45,  popped,      SI26_S2,    [by4, signed]),
  R_LARCH_SOP_POP_32_U:                howto(46,  popped,      word32,     unsigned),
  R_LARCH_ADD32:                     inPlace(50,  add,         word32),
  R_LARCH_ADD64:                     inPlace(51,  add,         word64),
  R_LARCH_SUB8:                       refuse(52,  unsupported),
  R_LARCH_SUB16:                      refuse(53,  unsupported),
  R_LARCH_SUB24:                      refuse(54,  unsupported),
  R_LARCH_SUB32:                     inPlace(55,  sub,         word32),
  R_LARCH_SUB64:                     inPlace(56,  sub,         word64),
  R_LARCH_B26:                         howto(66,  viaPlt,      SI26_S2,    [by4, signed]),
  R_LARCH_PCALA_HI20:                  howto(71,  pcala,       HI20,       dont),        // wraps, nobody is told
  R_LARCH_PCALA_LO12:                  howto(72,  abs,         SI12,       dont),
  R_LARCH_PCALA64_LO20:                howto(73,  rest,        LO20_64,    dont),
  R_LARCH_PCALA64_HI12:                howto(74,  rest,        HI12_64,    dont),
  R_LARCH_GOT_PC_HI20:                 howto(75,  gotPcala,    HI20,       dont),
  R_LARCH_GOT_PC_LO12:                 howto(76,  gotAbs,      SI12,       dont),
  R_LARCH_32_PCREL:                    howto(99,  pcrel,       word32,     dont, from('6.2')),
  R_LARCH_64_PCREL:                    howto(109, pcrel,       word64,     dont, from('6.5')),
  R_LARCH_PCADD_HI20:                  howto(128, pcrel,       HI20_ROUND, dont, from('6.19')),
  R_LARCH_PCADD_LO12:                  howto(129, lo12,        SI12,       dont, from('6.19')),
  R_LARCH_GOT_PCADD_HI20:              howto(130, gotPcrel,    HI20_ROUND, dont, from('6.19')),
  R_LARCH_GOT_PCADD_LO12:              howto(131, lo12,        SI12,       dont, from('6.19')),
};

const common = {
  backend: 'loongarch',
  psABI: 'https://github.com/loongson/la-abi-specs/blob/release/laelf.adoc',
  e_machine: [258],
  orders: ['little'],
  forms: ['RELA'],
  pageSize: 16384,
  /** 6.1 has asm-generic's pair of addresses. */
  extable: (version: Version) => (version === '6.1' ? undefined : { size: 12, relative: true }),
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false, MODVERSIONS: false },
  unknown: (r: Site) => {
    const known = r.type <= (since('6.19', r.module) ? LAST : LAST_61);
    const text = known
      ? `Unsupport relocation type ${r.type}, please add its support.`
      : `Unknown relocation type ${r.type}`;
    return kmod('EINVAL', `${r.module.name}: ${text}`);
  },
  overflow: wrong('overflow'),
  /** IS_ERR_VALUE(st_value): an unresolved symbol, if it was not weak. */
  before: (r: Site) => {
    if (r.S < r.word(-4095n)) return undefined;
    if (r.bind === STB_WEAK) return 'skip';
    throw r.refusal('ENOENT', `kmod: ${r.module.name}: Unknown symbol ${r.symbolName}`);
  },
  beforeConcerns: 'errValues',
  frobSections,
} satisfies Partial<ArchSpec>;

/** vm_map_base + PCI_IOSIZE + 2 pages, where vm_map_base is -2^47. */
const MODULES = 0xffff_8000_0200_8000n;

export const loongarch64: Arch = defineArch({
  ...common,
  name: 'loongarch64',
  is64: true,
  relocs: { ...relocs, R_LARCH_64: howto(2, abs, word64, dont) },
  accepts: (h) => h.e_machine === 258 && h.is64,
  moduleArea: (version) => ({
    text: [MODULES, MODULES + 0x1000_0000n],
    ...(version !== '6.1' && { data: [MODULES + 0x1000_0000n, MODULES + 0x8000_0000n] as const }),
    kernel: 0x9000_0000_0020_0000n,
  }),
});

const { R_LARCH_64_PCREL: _, ...without64 } = relocs;
export const loongarch32: Arch = defineArch({
  ...common,
  name: 'loongarch32',
  is64: false,
  since: '6.19',
  relocs: {
    ...without64,
    R_LARCH_SOP_POP_32_U: howto(46, popped, word32, nothing32),
    R_LARCH_ADD64: refuse(51, unsupported),
    R_LARCH_SUB64: refuse(56, unsupported),
    R_LARCH_PCALA64_LO20: refuse(73, unsupported),
    R_LARCH_PCALA64_HI12: refuse(74, unsupported),
  },
  accepts: (h) => h.e_machine === 258 && !h.is64,
  moduleArea: () => ({ text: [0xc200_8000n, 0xff80_0000n], kernel: 0xa020_0000n }),
});
