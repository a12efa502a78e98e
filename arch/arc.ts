/**
 * ARC, ARCompact and ARCv2 (DesignWare ARC Processors ABI Manual). 7.2: arch/arc/kernel/module.c.
 *
 * Instructions are streams of halfwords, so a 32-bit immediate in code is middle-endian on little-endian machines: the
 * upper half comes first. Modules are compiled with -mlong-calls, which leaves whole words only. Nothing is checked.
 * `.eh_frame` is registered with the kernel's unwinder, which reads it and changes nothing.
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { field, word32 } from '../relocs/field.ts';
import { howto } from '../relocs/howto.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

const word32me = field(4, [[31, 0, 0]], { name: 'word32me', order: 'halfwords' });
/** EF_ARC_OSABI_MSK, and what a kernel built by GCC 6 or newer wants there. */
const [OSABI, OSABI_V4] = [0xf00, 0x400];

const arcOf = (name: string, isa: string, e_machine: number): ArchSpec => ({
  name,
  backend: 'arc',
  psABI: 'https://github.com/foss-for-synopsys-dwc-arc-processors/arc-ABI-manual',
  e_machine: [e_machine],
  is64: false,
  orders: ['little', 'big'],
  forms: ['RELA'],
  pageSize: 8192,
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false, KALLSYMS_ALL: false },
  // biome-ignore format: table
  relocs: {
    //                   type  calculation  field     overflow
    R_ARC_32:       howto(4,   abs,         word32,   dont),
    R_ARC_32_ME:    howto(27,  abs,         word32me, dont),
    R_ARC_32_PCREL: howto(49,  pcrel,       word32,   dont),
  },
  unknown: (r) => ({ errno: 'ENOEXEC', log: [`${r.module.name}: unknown relocation: ${r.type}`] }),
  /** The caller is sent SIGSEGV over an OSABI that differs. */
  accepts: (h, _, log) => {
    if (h.e_machine !== e_machine) log?.(`ELF not built for ${isa} ISA`);
    else if ((h.e_flags & OSABI) !== OSABI_V4) log?.('ABI mismatch - you need newer toolchain');
    else return true;
    return false;
  },
  /** The vmalloc area: 256 MiB less four page directories. */
  moduleArea: () => ({ text: [0x7000_0000n, 0x7f80_0000n], kernel: 0x8000_0000n }),
});

export const arc: Arch = defineArch(arcOf('arc', 'ARCv2', 195));
export const arcompact: Arch = defineArch(arcOf('arcompact', 'ARCompact', 93));
