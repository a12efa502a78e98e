/**
 * Hexagon (Qualcomm Hexagon Application Binary Interface). 7.2: arch/hexagon/kernel/module.c.
 *
 * Packets of fixed 32-bit instructions, little-endian; immediates of 16 bits are split in 2 and 14, branches in 9 and
 * 13. A branch counts words, but the kernel stores its distance in bytes, one bit too far up: what is relocated so jumps
 * twice as far as it should. Modules are compiled with -mlong-calls and without constant extenders, so that none is.
 * Sections of a shared object are only complained about.
 */
import { hex } from '../relocs/bits.ts';
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont, range } from '../relocs/check.ts';
import { insn32, word32 } from '../relocs/field.ts';
import { howto, refuse, type Verdict } from '../relocs/howto.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, defineArch } from './arch.ts';

/** A distance in bytes, where r22:2 has [14:2]→1 and [23:15]→16. */
const R22 = insn32([
  [13, 0, 0],
  [22, 14, 16],
]);
const HI16 = insn32([
  [29, 16, 0],
  [31, 30, 22],
]);
const LO16 = insn32([
  [13, 0, 0],
  [15, 14, 22],
]);
const OF_SHARED_OBJECTS = ['.plt', '.got.plt', '.rela.plt'];

const enoexec = (r: Site, text: string): Verdict => ({ errno: 'ENOEXEC', log: [`${r.module.name}: ${text}`] });
const gotPlt = (r: Site): Verdict => enoexec(r, 'GOT/PLT relocations unsupported');
const u32 = (v: bigint): string => hex(BigInt.asUintN(32, v), 8);

export const hexagon: Arch = defineArch({
  name: 'hexagon',
  backend: 'hexagon',
  psABI:
    'https://docs.qualcomm.com/bundle/publicresource/80-N2040-23_REV_K_Qualcomm_Hexagon_Application_Binary_Interface_User_Guide.pdf',
  e_machine: [164],
  is64: false,
  orders: ['little'],
  forms: ['RELA'],
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false },
  // biome-ignore format: table
  relocs: {
    //                            type  calculation  field   overflow
    R_HEX_B22_PCREL:        howto(1,    pcrel,       R22,    range(-0x80_0000n, 0x7f_ffffn)),
    R_HEX_LO16:             howto(4,    abs,         LO16,   dont),
    R_HEX_HI16:             howto(5,    abs,         HI16,   dont),
    R_HEX_32:               howto(6,    abs,         word32, dont),
    R_HEX_32_PCREL:         howto(31,   pcrel,       word32, dont),
    R_HEX_PLT_B22_PCREL:   refuse(36,   gotPlt),
    R_HEX_GOTREL_LO16:     refuse(37,   gotPlt),
    R_HEX_GOTREL_HI16:     refuse(38,   gotPlt),
  },
  unknown: (r) => enoexec(r, `unknown relocation: ${r.type}`),
  overflow: (r, distance) => {
    const name = r.run.symtab.st_name(r.sym) === 0 ? '(anonymous)' : r.symbolName;
    const numbers = `${u32(distance)}=${u32(r.S + r.A)}-${u32(r.P)}`;
    return enoexec(r, `R_HEXAGON_B22_PCREL reloc out of range: ${numbers} ${name}`);
  },
  frobSections: (m) => {
    if (m.sections.some(({ name }) => OF_SHARED_OBJECTS.includes(name)))
      m.log(`Module '${m.name}' contains unexpected .plt/.got sections.`);
  },
  /** The vmalloc area, behind 256 MiB of memory. */
  moduleArea: () => ({ text: [0xd000_1000n, 0xfd00_0000n], kernel: 0xc000_0000n }),
});
