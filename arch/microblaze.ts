/**
 * MicroBlaze (MicroBlaze Processor Reference Guide, application binary interface). 7.2:
 * arch/microblaze/kernel/module.c.
 *
 * Fixed 32-bit instructions with immediates of 16 bits. A full address takes an `imm` in front, which brings the upper
 * half: both words are relocated by one entry, and the P of a branch is that of the second. Nothing is checked.
 */
import { abs, calculation } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { field, word32 } from '../relocs/field.ts';
import { howto, ignore } from '../relocs/howto.ts';
import { type Arch, defineArch, unknownRelocation } from './arch.ts';

/** The immediates of `imm` and of the instruction behind it. */
const IMM_IMM = field(
  8,
  [
    [31, 16, 32],
    [15, 0, 0],
  ],
  { order: 'words' },
);
const next = calculation('S + A - (P + 4)', (r) => r.S + r.A - r.P - 4n);

export const microblaze: Arch = defineArch({
  name: 'microblaze',
  backend: 'microblaze',
  psABI: 'https://docs.amd.com/r/en-US/ug984-vivado-microblaze-ref',
  e_machine: [189, 0xbaab],
  is64: false,
  orders: ['little', 'big'],
  forms: ['RELA'],
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false, SMP: false },
  // biome-ignore format: table
  relocs: {
    //                                type  calculation  field    overflow
    R_MICROBLAZE_NONE:        ignore(0),
    R_MICROBLAZE_32:           howto(1,     abs,         word32,  dont),
    R_MICROBLAZE_64_PCREL:     howto(3,     next,        IMM_IMM, dont),
    R_MICROBLAZE_32_PCREL_LO: ignore(4),
    R_MICROBLAZE_64:           howto(5,     abs,         IMM_IMM, dont),
    R_MICROBLAZE_64_NONE:     ignore(9),
  },
  unknown: unknownRelocation,
  /** The vmalloc area, behind 768 MiB of lowmem. */
  moduleArea: () => ({ text: [0xf000_0000n, 0xfe00_0000n], kernel: 0xc000_0000n }),
});
