/**
 * Nios II (Nios II Processor Reference Guide, application binary interface). 7.2: arch/nios2/kernel/module.c.
 *
 * Fixed 32-bit instructions, little-endian, an immediate of 16 bits above the opcode. Addresses are put together from
 * halves, of which the high one is adjusted where the low one is added with its sign. A call keeps the upper four bits
 * of its own address: from the module area, 32 MiB below the kernel since 6.11, it cannot reach the kernel at all.
 * Words in data are added to what they hold, although entries are SHT_RELA.
 */
import { abs, calculation } from '../relocs/calculations.ts';
import { aligned, dont, saying, signed } from '../relocs/check.ts';
import { insn32, word32 } from '../relocs/field.ts';
import { type Check, howto, ignore, type Verdict } from '../relocs/howto.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, defineArch } from './arch.ts';

const [IMM16, IMM26, HI16] = [insn32([[15, 0, 6]]), insn32([[27, 2, 6]]), insn32([[31, 16, 6]])];
/** The high half for a low half that is sign-extended. */
const HIADJ16 = insn32([[31, 16, 6]], { round: 0x8000n });

const next = calculation('S + A - (P + 4)', (r) => r.S + r.A - r.P - 4n);
const enoexec = (r: Site, text: string): Verdict => ({ errno: 'ENOEXEC', log: [`module ${r.module.name}: ${text}`] });
const word = saying(aligned(4n), (r) => enoexec(r, 'dangerous relocation'));
const segment: Check = { name: '256 MiB segment of P', passes: (v, _, r) => r.word(v) >> 28n === r.P >> 28n };

export const nios2: Arch = defineArch({
  name: 'nios2',
  backend: 'nios2',
  psABI: 'https://www.intel.com/content/www/us/en/docs/programmable/683836/current/application-binary-interface.html',
  e_machine: [113],
  is64: false,
  orders: ['little'],
  forms: ['RELA'],
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false, SMP: false },
  // biome-ignore format: table
  relocs: {
    //                          type  calculation  field    overflow
    R_NIOS2_NONE:         ignore(0),
    R_NIOS2_PCREL16:       howto(3,   next,        IMM16,   signed),
    R_NIOS2_CALL26:        howto(4,   abs,         IMM26,   [word, segment]),
    R_NIOS2_HI16:          howto(9,   abs,         HI16,    dont),
    R_NIOS2_LO16:          howto(10,  abs,         IMM16,   dont),
    R_NIOS2_HIADJ16:       howto(11,  abs,         HIADJ16, dont),
    R_NIOS2_BFD_RELOC_32:  howto(12,  abs,         word32,  dont, { inPlace: true }),
  },
  unknown: (r) => enoexec(r, `Unknown reloc: ${r.type}`),
  overflow: (r) => enoexec(r, 'relocation overflow'),
  /** Until 6.11 kmalloc(), somewhere behind the kernel. */
  moduleArea: (version) =>
    version === '6.1'
      ? { text: [0xc100_0000n, 0xd000_0000n], kernel: 0xc000_0000n }
      : { text: [0xbe00_0000n, 0xbfff_ffffn], kernel: 0xc000_0000n },
});
