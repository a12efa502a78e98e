/**
 * C-SKY (C-SKY V2 CPU Applications Binary Interface). 7.2: arch/csky/kernel/module.c.
 *
 * Instructions are one or two halfwords, the opcode in the first, each in the data's byte order; a 16-bit immediate is
 * the second halfword. Calls load their target from a literal pool, which is relocated as a plain word: the call's own
 * relocation is a hint, except on the CK810, which has no `jsri` and gets `lrw r26` and `jsr r26` over it and over
 * whatever comes next, a filler that the compiler left.
 */
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { insn32, nothing, word32 } from '../relocs/field.ts';
import { howto, ignore } from '../relocs/howto.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, defineArch, unknownRelocation } from './arch.ts';

/** jsri_2_lrw_jsr() */
function jsriToJsr(r: Site): void {
  if (r.module.config['CPU_CK810'] !== true || r.read(2) !== 0xeae0n) return;
  r.write(2, 0xea9an); // lrw r26
  r.write(2, 0xe8fan, 'data', 4); // jsr r26
  r.write(2, 0n, 'data', 6);
}

const hint = calculation('-', () => 0n);
const [HI16, LO16] = [insn32([[31, 16, 0]], { order: 'halfwords' }), insn32([[15, 0, 0]], { order: 'halfwords' })];

export const csky: Arch = defineArch({
  name: 'csky',
  backend: 'csky',
  psABI: 'https://github.com/c-sky/csky-doc',
  e_machine: [252, 39],
  is64: false,
  orders: ['little', 'big'],
  forms: ['RELA'],
  // biome-ignore format: table
  relocs: {
    //                              type  calculation  field    overflow
    R_CSKY_32:                howto(1,    abs,         word32,  dont),
    R_CSKY_PC32:              howto(5,    pcrel,       word32,  dont),
    R_CSKY_PCRELJSR_IMM11BY2: ignore(6),
    R_CSKY_ADDR_HI16:         howto(24,   abs,         HI16,    dont),
    R_CSKY_ADDR_LO16:         howto(25,   abs,         LO16,    dont),
    R_CSKY_PCRELJSR_IMM26BY2: howto(40,   hint,        nothing, dont, { write: jsriToJsr }),
  },
  unknown: unknownRelocation,
  replayConfig: ({ config }) => ({ CPU_CK810: config?.includes('CK810') === true }),
  // The vmalloc area, behind 1 GiB of lowmem, up to the kmap area.
  moduleArea: () => ({ text: [0xc000_8000n, 0xff7f_e000n], kernel: 0x8000_0000n }),
});
