/**
 * Xtensa (Xtensa Instruction Set Architecture Reference Manual, and Xtensa ELF). 7.2: arch/xtensa/kernel/module.c.
 *
 * Instructions of 24 bits. A big-endian machine does not only turn their bytes around, it numbers their fields from
 * the other end. One relocation type serves every operand that a linker could relax: which it is, the opcode tells.
 * The kernel knows calls (±512 KiB, in words) and l32r, which reaches backwards only, 256 KiB; any other instruction
 * keeps what the assembler wrote. Words in data are added to what they hold, although entries are SHT_RELA.
 */
import { abs } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { type Field, field, word32 } from '../relocs/field.ts';
import { type Calculation, type Check, howto, ignore, refuse, type Row, type Verdict } from '../relocs/howto.ts';
import type { ElfFormat } from '../relocs/elf.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, defineArch } from './arch.ts';

/** An operand that the kernel relocates: where it lies, what it is relative to, how far it reaches. */
interface Operand {
  readonly base: (P: bigint) => bigint;
  readonly lo: bigint;
  readonly hi: bigint;
  readonly field: (f: ElfFormat) => Field;
}

const byOrder = (little: Field, big: Field) => (f: ElfFormat) => (f.little ? little : big);
const calln: Operand = {
  base: (P) => (P & ~3n) + 4n,
  lo: -(1n << 19n),
  hi: (1n << 19n) - 1n,
  field: byOrder(field(3, [[19, 2, 6]]), field(3, [[19, 2, 0]])),
};
const l32r: Operand = {
  base: (P) => (P + 3n) & ~3n,
  lo: -(1n << 18n),
  hi: -1n,
  field: byOrder(field(3, [[17, 2, 8]]), field(3, [[17, 2, 0]])),
};

/** decode_calln_opcode() and decode_l32r_opcode(): op0 is the low half of the first byte, or the high one. */
function operand(r: Site): Operand | undefined {
  const byte = r.read(1);
  const op0 = r.format.little ? byte & 0xfn : byte >> 4n;
  return op0 === 5n ? calln : op0 === 1n ? l32r : undefined;
}

const slot0: Calculation = {
  formula: 'call: S + A - ((P & ~3) + 4), l32r: S + A - ((P + 3) & ~3)',
  value: (r) => {
    const op = operand(r);
    return op === undefined ? 0n : r.S + r.A - op.base(r.P);
  },
};
const reach: Check = {
  name: '%4, within 20 bits of a call, 18 bits backwards of l32r',
  passes: (value, _, r) => {
    const op = operand(r);
    return op === undefined || ((value & 3n) === 0n && value >= op.lo && value <= op.hi);
  },
};
const write = (r: Site, value: bigint): void => {
  const op = operand(r);
  if (op !== undefined) r.insert(op.field(r.format), value);
};

const unexpected = (r: Site, what: string): Verdict => ({
  errno: 'ENOEXEC',
  log: [`${r.module.name}: unexpected ${what}relocation: ${r.type}`],
});
/** R_XTENSA_SLOTn_… of n from `first` on, one type after the other. */
const slots = (suffix: string, first: number, type: number, what: string): Record<string, Row> =>
  Object.fromEntries(
    Array.from({ length: 15 - first }, (_, i) => [
      `R_XTENSA_SLOT${first + i}_${suffix}`,
      refuse(type + i, (r) => unexpected(r, what)),
    ]),
  );

export const xtensa: Arch = defineArch({
  name: 'xtensa',
  backend: 'xtensa',
  psABI: 'https://github.com/foss-xtensa/overlay/wiki',
  e_machine: [94, 0xabc7],
  is64: false,
  orders: ['little', 'big'],
  forms: ['RELA'],
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false },
  // biome-ignore format: table
  relocs: {
    //                           type  calculation  field   overflow
    R_XTENSA_NONE:       ignore(0),
    R_XTENSA_32:          howto(1,     abs,         word32, dont, { inPlace: true }),
    R_XTENSA_PLT:         howto(6,     abs,         word32, dont, { inPlace: true }),
    R_XTENSA_ASM_EXPAND: ignore(11),
    R_XTENSA_DIFF8:      ignore(17),
    R_XTENSA_DIFF16:     ignore(18),
    R_XTENSA_DIFF32:     ignore(19),
    R_XTENSA_SLOT0_OP:    howto(20,    slot0,       field(3, [[19, 2, 6]]), reach, { write }),
    ...slots('OP', 1, 21, 'FLIX '),
    ...slots('ALT', 0, 35, 'ALT '),
  },
  unknown: (r) => unexpected(r, ''),
  overflow: (r) => {
    const { index } = r.run.section;
    const line = `relocation out of range, section ${index} reloc ${r.index} sym '${r.symbolName}'`;
    return { errno: 'ENOEXEC', log: [`${r.module.name}: ${line}`] };
  },
  /** The vmalloc area, below KSEG. */
  moduleArea: () => ({ text: [0xc000_0000n, 0xc7fe_ffffn], kernel: 0xd000_0000n }),
});
