/**
 * MIPS, 32 and 64 bits (System V ABI, MIPS RISC Processor Supplement; 64-bit ELF Object File Specification;
 * arch/mips/kernel/module.c).
 *
 * An address is put together from 16-bit halves that the processor adds with their sign, so a high half must know
 * whether its low half is negative. With RELA the addend says so; with REL half of the addend is in the other
 * instruction, and every HI16 waits in a queue for the next LO16. 32-bit modules are REL, 64-bit ones RELA, but a 64-bit
 * kernel takes both. Jumps stay in the 256 MiB of their delay slot.
 *
 * A 64-bit entry has a symbol, a special symbol and three types; the kernel looks at the first type only. On
 * little-endian machines the fields keep their places, so r_info is not a 64-bit number.
 *
 * Nothing differs between 6.1, 6.12 and 7.2.
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { aligned, dont, saying, signed } from '../relocs/check.ts';
import type { ElfFormat } from '../relocs/elf.ts';
import { STB_WEAK } from '../relocs/elf.ts';
import type { RInfo } from '../relocs/entries.ts';
import { insn32, word32, word64 } from '../relocs/field.ts';
import { type Check, howto, ignore, refuse, type Verdict } from '../relocs/howto.ts';
import { type Run, Site } from '../relocs/site.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, type ArchSpec, defineArch, type HeaderFacts } from './arch.ts';

/** Elf64_Mips_Rel: r_sym, r_ssym, r_type3, r_type2, r_type. */
const mips64Info: RInfo = {
  sym: (r_info, { little }: ElfFormat) => Number(little ? r_info & 0xffff_ffffn : r_info >> 32n),
  type: (r_info, { little }: ElfFormat) => Number(little ? r_info >> 56n : r_info & 0xffn),
};

// biome-ignore format: value[hi:lo] → bit of the instruction
const [IMM26, PC16, PC21, PC26, HI16, LO16, HIGHER, HIGHEST] = [
  insn32([[27, 2, 0]]), insn32([[17, 2, 0]]), insn32([[22, 2, 0]]), insn32([[27, 2, 0]]),
  insn32([[31, 16, 0]], { round: 0x8000n }),
  insn32([[15, 0, 0]]),
  insn32([[47, 32, 0]], { round: 0x8000_8000n }),
  insn32([[63, 48, 0]], { round: 0x8000_8000_8000n }),
];
const RELA_ONLY = [18, 28, 29];

/** The handlers' v: the addend in place is not part of it, and is not checked. */
const v = (r: Site): bigint => r.word(r.run.entries.rela ? r.S + r.A : r.S);
const enoexec = (r: Site, text: string): Verdict => ({ errno: 'ENOEXEC', log: [`module ${r.module.name}: ${text}`] });
const overflow = (r: Site): Verdict => enoexec(r, 'relocation overflow');

/** v % 4 */
const word = (name: string): Check =>
  saying({ ...aligned(4n), passes: (_, __, r) => v(r) % 4n === 0n }, (r) => enoexec(r, `dangerous ${name} relocation`));
/** Bits 31:28 only, of 64 too. */
const segment: Check = {
  name: '256 MiB segment of P + 4',
  passes: (_, __, r) => ((v(r) ^ (r.P + 4n)) & 0xf000_0000n) === 0n,
};

/** HI16 entries that wait, with the v that their LO16 must have. */
const queues = new StateOf<Run, { index: number; v: bigint }[]>(() => []);

function hi16(r: Site, value: bigint): void {
  if (r.run.entries.rela) r.insert(HI16, value);
  else queues.of(r.run).push({ index: r.index, v: v(r) });
}

/**
 * The queue is emptied newest first. mips64 reads and writes the word of a HI16 as an unsigned long, so on a big-endian
 * machine the low half of the instruction behind it is changed.
 */
function lo16(r: Site, value: bigint): void {
  if (r.run.entries.rela) return r.insert(LO16, value);
  const base = r.readField(LO16);
  const queue = queues.of(r.run);
  const at = r.format.is64 && !r.format.little ? 4 : 0;
  const high = new Site(r.run);
  for (const waiting of queue.splice(0).reverse()) {
    if (v(r) !== waiting.v) {
      const { errno, log } = enoexec(r, 'dangerous R_MIPS_LO16 relocation');
      const why = `relocation ${waiting.index} is a HI16 that waits for 0x${waiting.v.toString(16)}`;
      throw r.refusal(errno, log, `${r.where()} is of 0x${v(r).toString(16)}: ${why}`);
    }
    high.moveTo(waiting.index);
    // What lies behind the section is not ours to change.
    if (Number(high.r_offset) + at + 4 > r.run.target.bytes.length) continue;
    const insn = high.read(4, 'insn', at);
    high.write(4, HI16.insert(insn, HI16.extract(insn) + LO16.extract(base) + waiting.v), 'insn', at);
  }
  // From the word as it was before the queue: a HI16 at the same place is lost.
  r.write(4, LO16.insert(base, value), 'insn');
}

/** After an unresolved weak symbol the loop does not go on to the next entry: the section is done. */
const stuck = new StateOf<Run, true>(() => true);

function before(r: Site): 'skip' | undefined {
  if (stuck.peek(r.run)) return 'skip';
  if (r.S >= r.word(-4095n)) {
    if (r.bind !== STB_WEAK) throw r.refusal('ENOENT', `${r.module.name}: Unknown symbol ${r.symbolName}`);
    stuck.set(r.run, true);
    return 'skip';
  }
  if (r.run.entries.rela || !RELA_ONLY.includes(r.type)) return undefined;
  const { errno, log, reason } = relaOnly(r);
  throw r.refusal(errno, log, `${r.where()}: ${reason}`);
}

function relaOnly(r: Site): Verdict {
  r.module.warn('WARN_ON(!rela)');
  return { errno: 'EINVAL', log: [], reason: 'this type has no room for an addend and is refused in SHT_REL' };
}

/** HI16 without LO16. */
function endSection(run: Run): void {
  const [oldest] = queues.peek(run) ?? [];
  if (oldest === undefined) return;
  const site = new Site(run);
  site.moveTo(oldest.index);
  throw site.refusal('ENOEXEC', [], `${site.where()} is an R_MIPS_HI16, and no R_MIPS_LO16 comes after it`);
}

// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                     type  calculation  field    overflow
  R_MIPS_NONE:     ignore(0),
  R_MIPS_32:        howto(2,   abs,         word32,  dont),
  R_MIPS_26:        howto(4,   abs,         IMM26,   [word('R_MIPS_26'), segment]),
  R_MIPS_HI16:      howto(5,   abs,         HI16,    dont, { write: hi16 }),
  R_MIPS_LO16:      howto(6,   abs,         LO16,    dont, { write: lo16 }),
  R_MIPS_PC16:      howto(10,  pcrel,       PC16,    [word('R_MIPS_PC16'), signed]),
  R_MIPS_PC21_S2:   howto(60,  pcrel,       PC21,    [word('R_MIPS_PC21'), signed]),
  R_MIPS_PC26_S2:   howto(61,  pcrel,       PC26,    [word('R_MIPS_PC26'), signed]),
};

const EF_MIPS_ABI2 = 0x20;
const EF_MIPS_FP64 = 0x200;
const EF_MIPS_ABI = 0xf000;
const EF_MIPS_ABI_O32 = 0x1000;
const isMips = (h: HeaderFacts, is64: boolean): boolean => h.e_machine === 8 && h.is64 === is64;

const common = {
  backend: 'mips',
  psABI: 'https://refspecs.linuxfoundation.org/elf/mipsabi.pdf',
  e_machine: [8],
  orders: ['little', 'big'],
  before,
  endSection,
  unknown: (r: Site) => ({ errno: 'EINVAL', log: [`${r.module.name}: Unknown relocation type ${r.type}`] }),
  overflow,
} satisfies Partial<ArchSpec>;

export const mips: Arch = defineArch({
  ...common,
  name: 'mips',
  is64: false,
  forms: ['REL'],
  relocs: {
    ...relocs,
    R_MIPS_64: refuse(18, relaOnly),
    R_MIPS_HIGHER: refuse(28, relaOnly),
    R_MIPS_HIGHEST: refuse(29, relaOnly),
  },
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false, MIPS_O32_FP64_SUPPORT: true },
  /** elf32_check_arch(): o32; n32 is for processes of a 64-bit kernel. */
  accepts: (h, config) =>
    isMips(h, false) &&
    (h.e_flags & EF_MIPS_ABI2) === 0 &&
    [0, EF_MIPS_ABI_O32].includes(h.e_flags & EF_MIPS_ABI) &&
    (config['MIPS_O32_FP64_SUPPORT'] === true || (h.e_flags & EF_MIPS_FP64) === 0),
  /** kseg2, up to the fixmap. */
  moduleArea: () => ({ text: [0xc000_0000n, 0xff80_0000n], kernel: 0x8010_0000n }),
});

export const mips64: Arch = defineArch({
  ...common,
  name: 'mips64',
  is64: true,
  forms: ['RELA', 'REL'],
  info: mips64Info,
  relocs: {
    ...relocs,
    R_MIPS_64: howto(18, abs, word64, dont),
    R_MIPS_HIGHER: howto(28, abs, HIGHER, dont),
    R_MIPS_HIGHEST: howto(29, abs, HIGHEST, dont),
  },
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false },
  accepts: (h) => isMips(h, true),
  /** CKSSEG, up to the fixmap: addresses that are sign-extended from 32 bits (KBUILD_64BIT_SYM32). */
  moduleArea: () => ({ text: [0xffff_ffff_c000_0000n, 0xffff_ffff_ff80_0000n], kernel: 0xffff_ffff_8010_0000n }),
});
