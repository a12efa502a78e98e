/**
 * OpenRISC 1000 (OpenRISC 1000 Architecture Manual, chapter 16). 7.2: arch/openrisc/kernel/module.c.
 *
 * Fixed 32-bit instructions, big-endian; a jump reaches ±128 MiB, and an address is made of two halves of 16 bits.
 * Stores have theirs split around a register. Nothing is checked, and a type that the kernel does not know is logged
 * and passed over: the module loads with a place that was never relocated.
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { insn32, word32 } from '../relocs/field.ts';
import { howto } from '../relocs/howto.ts';
import { type Arch, defineArch } from './arch.ts';

const [LO16, HI16] = [insn32([[15, 0, 0]]), insn32([[31, 16, 0]])];
/** The high half for a low half that is sign-extended. */
const AHI16 = insn32([[31, 16, 0]], { round: 0x8000n });
const SLO16 = insn32([
  [15, 11, 21],
  [10, 0, 0],
]);
const DISP26 = insn32([[27, 2, 0]]);
const since = { since: '6.12' };

export const openrisc: Arch = defineArch({
  name: 'openrisc',
  backend: 'openrisc',
  psABI: 'https://openrisc.io/architecture',
  e_machine: [92, 0x8472],
  is64: false,
  orders: ['big'],
  forms: ['RELA'],
  pageSize: 8192,
  // biome-ignore format: table
  relocs: {
    //                          type  calculation  field   overflow
    R_OR1K_32:            howto(1,    abs,         word32, dont),
    R_OR1K_LO_16_IN_INSN: howto(4,    abs,         LO16,   dont),
    R_OR1K_HI_16_IN_INSN: howto(5,    abs,         HI16,   dont),
    R_OR1K_INSN_REL_26:   howto(6,    pcrel,       DISP26, dont),
    R_OR1K_32_PCREL:      howto(9,    pcrel,       word32, dont, since),
    R_OR1K_AHI16:         howto(35,   abs,         AHI16,  dont, since),
    R_OR1K_SLO16:         howto(39,   abs,         SLO16,  dont, since),
  },
  unknown: (r) => {
    r.log(`module ${r.module.name}: Unknown relocation: ${r.type}`);
    return undefined;
  },
  /** The vmalloc area. */
  moduleArea: () => ({ text: [0xbc00_0000n, 0xc000_0000n], kernel: 0xc000_0000n }),
});
