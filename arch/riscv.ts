/**
 * RISC-V, 64 and 32 bits (RISC-V ELF psABI; arch/riscv/kernel/module.c and module-sections.c).
 *
 * Instructions are little-endian whatever else is. A 32-bit displacement takes two of them: auipc adds the high 20 bits
 * to its own address and a second one adds the low 12, signed; so the high part is rounded and the pair reaches
 * [-2^31 - 2^11, 2^31 - 2^11). A PCREL_LO12 has the place of its auipc for a symbol and must find the entry there.
 * Calls out of reach go through an entry of `.plt` that loads its target from `.got.plt`; GOT_HI20 always takes an
 * entry of `.got`. The three sections come empty with the module and are sized by counting before layout.
 *
 * Linkers relax RISC-V code, so a difference of labels is never a constant but entries that add and subtract at one
 * place. 6.1 does each of them in memory; since 6.7 they are summed apart and stored after the section's last entry.
 * Displacements of branches are never checked, and the errors of sums are printed and ignored.
 *
 * Read in 6.1, 6.12 and 7.2; versions between them (6.3, 6.7, 6.10, 6.16) are those of mainline's changes.
 */
import { hex } from '../relocs/bits.ts';
import { add, inPlace, set, type Step, type Store, storeSums, sub, summed, uleb128 } from '../relocs/accumulate.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { dont, on64, range, saying, unsigned } from '../relocs/check.ts';
import { SHF_ALLOC, SHF_EXECINSTR, STB_WEAK, sizeofAddr } from '../relocs/elf.ts';
import { adjacent, type Field, field, insn16, insn32, word8, word16, word32, word64 } from '../relocs/field.ts';
import { type Calculation, type Check, howto, ignore, refuse, type Row, type Verdict } from '../relocs/howto.ts';
import { compareVersions, type ModuleView, type Version } from '../relocs/module-view.ts';
import { lowPart } from '../relocs/pairs.ts';
import type { Site } from '../relocs/site.ts';
import { countEntries, type Slots, sizeTable, tableSection } from '../relocs/slots.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

// biome-ignore format: value[hi:lo] → bit of the instruction, as in the ISA manual
const [B_TYPE, J_TYPE, U_TYPE, I_TYPE, S_TYPE, CB_TYPE, CJ_TYPE] = [
  insn32([[12, 12, 31], [10, 5, 25], [4, 1, 8], [11, 11, 7]]),
  insn32([[20, 20, 31], [10, 1, 21], [11, 11, 20], [19, 12, 12]]),
  insn32([[31, 12, 12]], { round: 0x800n }),
  insn32([[11, 0, 20]]),
  insn32([[11, 5, 25], [4, 0, 7]]),
  insn16([[8, 8, 12], [4, 3, 10], [7, 6, 5], [2, 1, 3], [5, 5, 2]]),
  insn16([[11, 11, 12], [4, 4, 11], [9, 8, 9], [10, 10, 8], [6, 6, 7], [7, 7, 6], [3, 1, 3], [5, 5, 2]]),
];
const AUIPC_JALR = adjacent(U_TYPE, I_TYPE);
const word6 = field(1, [[5, 0, 0]], { name: 'word6', order: 'data', signed: false });
const [CALL_PLT, GOT_HI20, PCREL_HI20, PLT32] = [19, 20, 23, 59];

const tables = new StateOf<ModuleView, { got: Slots; plt: Slots; gotPlt: Slots }>(() => {
  throw new Error('frobSections() sizes the GOT and the PLT before anything is relocated');
});
const since = (version: string, m: ModuleView): boolean => compareVersions(m.version, version) >= 0;
const hasTables = (m: ModuleView): boolean => m.config.MODULE_SECTIONS === true;

function putWord(slots: Slots, i: number, value: bigint): void {
  if (slots.entrySize === 8) slots.bytes(i).setBigUint64(0, value, true);
  else slots.bytes(i).setUint32(0, Number(value), true);
}

/** module_emit_got_entry() */
function gotEntry(m: ModuleView, value: bigint): bigint {
  const { got } = tables.of(m);
  return got.entry(value, (i) => putWord(got, i, value));
}

/** module_emit_plt_entry(): entry i of `.plt` belongs to entry i of `.got.plt`. */
function pltEntry(m: ModuleView, value: bigint): bigint {
  const { plt, gotPlt } = tables.of(m);
  return plt.entry(value, (i) => {
    putWord(gotPlt, i, value);
    const offset = gotPlt.addressOf(i) - plt.addressOf(i);
    // auipc t0, offset; ld t1, offset(t0); jr t1
    const insns = [U_TYPE.insert(0x0000_0297n, offset), I_TYPE.insert(0x0002_b303n, offset), 0x0003_0067n];
    insns.forEach((insn, n) => plt.bytes(i).setUint32(4 * n, Number(insn), true));
  });
}

/** module_frob_arch_sections() */
function frobSections(m: ModuleView): void {
  if (!hasTables(m)) return;
  const [plt, got, gotPlt] = [tableSection(m, '.plt'), tableSection(m, '.got'), tableSection(m, '.got.plt')];
  const plts = since('6.10', m) ? [CALL_PLT, PLT32] : [CALL_PLT];
  const kindOf = (type: number) => (plts.includes(type) ? 'plt' : type === GOT_HI20 ? 'got' : undefined);
  const counts = countEntries(m, kindOf, since('6.16', m) ? 'module' : 'section');
  const long = sizeofAddr(m.format);
  tables.set(m, {
    plt: sizeTable(plt, 12, counts.plt ?? 0, SHF_EXECINSTR | SHF_ALLOC),
    got: sizeTable(got, long, counts.got ?? 0, SHF_ALLOC),
    gotPlt: sizeTable(gotPlt, long, counts.plt ?? 0, SHF_ALLOC),
  });
}

const v = (r: Site): bigint => r.word(r.S + r.A);
const pc = (r: Site): string => `PC = ${hex(r.P, 2 * sizeofAddr(r.format))}`;
const einval = (r: Site, line: string): Verdict => ({ errno: 'EINVAL', log: [`${r.module.name}: ${line}`] });
const overflow = (r: Site): Verdict =>
  einval(r, `target ${hex(v(r), 16)} can not be addressed by the 32-bit offset from ${pc(r)}`);
const dynamic = (r: Site): Verdict => einval(r, `Dynamic linking not supported in kernel modules ${pc(r)}`);
const tls = (r: Site): Verdict => einval(r, `Thread local storage not supported in kernel modules ${pc(r)}`);
const align = (r: Site): Verdict => einval(r, `The unexpected relocation type 'R_RISCV_ALIGN' from ${pc(r)}`);

const u32 = saying(on64(unsigned), (r) => einval(r, `value ${hex(v(r), 16)} out of range for 32-bit field`));
const AUIPC_REACH = [-(1n << 31n) - 0x800n, (1n << 31n) - 0x801n] as const;
const auipc = on64(range(...AUIPC_REACH));
const reaches = (r: Site, offset: bigint): boolean => auipc.passes(offset, r.row!, r);
const orPlt: Check = {
  name: 'in reach, or through the PLT',
  passes: (offset, _, r) => hasTables(r.module) || reaches(r, offset),
};
const hasGot: Check = {
  name: 'with MODULE_SECTIONS',
  passes: (_, __, r) => hasTables(r.module),
  refusal: (r) => einval(r, `can not generate the GOT entry for symbol = ${hex(v(r), 16)} from ${pc(r)}`),
};
const medany: Check = { name: 'not with CMODEL_MEDLOW', passes: (_, __, r) => r.module.config.CMODEL_MEDLOW !== true };

const gotrel = calculation('GOT(S + A) - P', (r) => (hasTables(r.module) ? gotEntry(r.module, v(r)) : v(r)) - r.P);
const viaPlt: Calculation = {
  formula: 'S + A - P, or PLT(S + A) - P',
  plain: 'pcrel',
  plainWithin: AUIPC_REACH,
  value: (r) => {
    const offset = r.long(v(r) - r.P);
    return reaches(r, offset) || !hasTables(r.module) ? offset : pltEntry(r.module, v(r)) - r.P;
  },
};
const lo12 = lowPart({
  formula: 'lo12 of the HI20 at S',
  pairs: (high) => high === PCREL_HI20 || high === GOT_HI20,
  target: (m, high, value) => (high === GOT_HI20 && hasTables(m) ? gotEntry(m, value) : value),
  circular: (m) => since('6.7', m),
  missing: (r) => einval(r, 'Can not find HI20 relocation information'),
});

/** apply_N_bit_accumulation(): a sum that does not fit is printed and not stored, and the module loads. */
const fits =
  (place: Field): Store =>
  (r, sum) => {
    const bits = place.hi + 1;
    if (sum < 1n << BigInt(bits)) r.insert(place, sum);
    else r.log(`${r.module.name}: value ${sum} out of range for ${bits}-bit relocation.`);
  };
const sub6: Step = { formula: '(V - S - A) & 0x3f', next: (V, x) => (V - x) & 0x3fn };
const set6: Step = { formula: 'S + A', next: (V, x) => word6.insert(V, x) };
const from67 = { since: '6.7' };
const sum = (type: number, step: Step, place: Field): Row => summed(type, step, place, fits(place), from67);
/** First done in memory, from kernel `first` on, and later summed. */
const both = (type: number, step: Step, word: Field, first?: string): readonly Row[] => [
  inPlace(type, step, word, { until: '6.7', ...(first && { since: first }) }),
  sum(type, step, word),
];
const refusals = (why: (r: Site) => Verdict, types: Record<string, number>): Record<string, Row> =>
  Object.fromEntries(Object.entries(types).map(([name, type]) => [name, refuse(type, why, from67)]));

// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                           type  calculation  field       overflow
  R_RISCV_32:             howto(1,   abs,         word32,     u32),
  R_RISCV_64:             howto(2,   abs,         word64,     dont),
  R_RISCV_BRANCH:         howto(16,  pcrel,       B_TYPE,     dont),       // nor are the other branches checked
  R_RISCV_JAL:            howto(17,  pcrel,       J_TYPE,     dont),
  R_RISCV_CALL:           howto(18,  pcrel,       AUIPC_JALR, auipc),
  R_RISCV_CALL_PLT:       howto(19,  viaPlt,      AUIPC_JALR, orPlt),
  R_RISCV_GOT_HI20:       howto(20,  gotrel,      U_TYPE,     hasGot),
  R_RISCV_PCREL_HI20:     howto(23,  pcrel,       U_TYPE,     auipc),
  R_RISCV_PCREL_LO12_I:   howto(24,  lo12,        I_TYPE,     dont),
  R_RISCV_PCREL_LO12_S:   howto(25,  lo12,        S_TYPE,     dont),
  R_RISCV_HI20:           howto(26,  abs,         U_TYPE,     medany),     // the low 32 bits, unchecked
  R_RISCV_LO12_I:         howto(27,  abs,         I_TYPE,     dont),
  R_RISCV_LO12_S:         howto(28,  abs,         S_TYPE,     dont),
  R_RISCV_ADD8:             sum(33,  add,         word8),
  R_RISCV_ADD16:           both(34,  add,         word16, '6.3'),
  R_RISCV_ADD32:           both(35,  add,         word32),
  R_RISCV_ADD64:           both(36,  add,         word64),
  R_RISCV_SUB8:             sum(37,  sub,         word8),
  R_RISCV_SUB16:           both(38,  sub,         word16, '6.3'),
  R_RISCV_SUB32:           both(39,  sub,         word32),
  R_RISCV_SUB64:           both(40,  sub,         word64),
  R_RISCV_ALIGN:         refuse(43,  align),
  R_RISCV_RVC_BRANCH:     howto(44,  pcrel,       CB_TYPE,    dont),
  R_RISCV_RVC_JUMP:       howto(45,  pcrel,       CJ_TYPE,    dont),
  R_RISCV_RELAX:         ignore(51),
  R_RISCV_SUB6:             sum(52,  sub6,        word6),
  R_RISCV_SET6:             sum(53,  set6,        word6),
  R_RISCV_SET8:             sum(54,  set,         word8),
  R_RISCV_SET16:            sum(55,  set,         word16),
  R_RISCV_SET32:            sum(56,  set,         word32),
  R_RISCV_32_PCREL:       howto(57,  pcrel,       word32,     dont, from67),
  R_RISCV_PLT32:          howto(59,  viaPlt,      word32,     orPlt, from67),
  R_RISCV_SET_ULEB128:   summed(60,  set,         word64,     uleb128, from67),
  R_RISCV_SUB_ULEB128:   summed(61,  sub,         word64,     uleb128, from67),
  ...refusals(dynamic, {
    R_RISCV_RELATIVE: 3, R_RISCV_COPY: 4, R_RISCV_JUMP_SLOT: 5, R_RISCV_TLS_DTPMOD32: 6, R_RISCV_TLS_DTPMOD64: 7,
    R_RISCV_TLS_DTPREL32: 8, R_RISCV_TLS_DTPREL64: 9, R_RISCV_TLS_TPREL32: 10, R_RISCV_TLS_TPREL64: 11,
    R_RISCV_IRELATIVE: 58,
  }),
  ...refusals(tls, {
    R_RISCV_TLS_GOT_HI20: 21, R_RISCV_TLS_GD_HI20: 22, R_RISCV_TPREL_HI20: 29, R_RISCV_TPREL_LO12_I: 30,
    R_RISCV_TPREL_LO12_S: 31, R_RISCV_TPREL_ADD: 32,
  }),
};

const common = {
  backend: 'riscv',
  psABI: 'https://github.com/riscv-non-isa/riscv-elf-psabi-doc',
  e_machine: [243],
  orders: ['little'],
  forms: ['RELA'],
  /** 6.1 always selects MODULE_SECTIONS, later kernels with RELOCATABLE, which Debian's 6.12 does not have. */
  config: (version: Version) => ({ MODULE_SECTIONS: version !== '6.12' }),
  unknown: (r: Site) => einval(r, `Unknown relocation type ${r.type}`),
  overflow,
  insnLittle: () => true,
  /** IS_ERR_VALUE(st_value): an unresolved symbol, if it was not weak. */
  before: (r: Site) => {
    if (r.S < r.word(-4095n)) return undefined;
    if (r.bind === STB_WEAK) return 'skip';
    throw r.refusal('ENOENT', `${r.module.name}: Unknown symbol ${r.symbolName}`);
  },
  beforeConcerns: 'errValues',
  endSection: storeSums,
  frobSections,
} satisfies Partial<ArchSpec>;

export const riscv64: Arch = defineArch({
  ...common,
  name: 'riscv64',
  is64: true,
  relocs,
  accepts: (h) => h.e_machine === 243 && h.is64,
  /** [_end - 2 GiB, _start) of a kernel of 32 MiB. */
  moduleArea: () => ({ text: [0xffff_ffff_0200_0000n, 0xffff_ffff_8000_0000n], kernel: 0xffff_ffff_8000_0000n }),
});

export const riscv32: Arch = defineArch({
  ...common,
  name: 'riscv32',
  is64: false,
  relocs: {
    ...relocs,
    R_RISCV_64: howto(2, abs, word64, dont, { write: (r) => r.write(8, v(r)) }),
  },
  accepts: (h) => h.e_machine === 243 && !h.is64,
  /** The vmalloc area. */
  moduleArea: () => ({ text: [0xa000_0000n, 0xc000_0000n], kernel: 0xc000_0000n }),
});
