/**
 * m68k (System V ABI, Motorola 68000 Processor Family Edition). 7.2: arch/m68k/kernel/module.c.
 *
 * Whole words only and the whole address space in reach, so there is nothing to size and nothing to check. The one
 * architecture of 32 bits that takes both forms: SHT_REL adds to the word in place, SHT_RELA overwrites it.
 * `.m68k_fixup` lists places where the kernel writes what it learned of the machine's memory at boot: the distance
 * between physical and virtual memory (config M68K_MEMOFFSET) and the shift from an address to its node
 * (M68K_VIRT_TO_NODE_SHIFT).
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { SHF_ALLOC } from '../relocs/elf.ts';
import { word32 } from '../relocs/field.ts';
import { howto } from '../relocs/howto.ts';
import { type ModuleView, sectionNamed } from '../relocs/module-view.ts';
import { crashes } from '../relocs/refusal.ts';
import { type Arch, defineArch, unknownRelocation } from './arch.ts';

/** enum m68k_fixup_type; other numbers are passed over. */
const [MEMOFFSET, VNODE_SHIFT] = [0, 1];

/** The bytes at an address, which nobody checks. */
function at(m: ModuleView, address: bigint, size: number): DataView {
  const s = m.sections.find(
    (x) =>
      (x.sh_flags & SHF_ALLOC) !== 0 &&
      address >= x.sh_addr &&
      address + BigInt(size) <= x.sh_addr + BigInt(x.bytes.length),
  );
  if (s === undefined)
    throw crashes('signal 11', `.m68k_fixup names 0x${address.toString(16)}, which is not in ${m.name}`);
  return new DataView(s.bytes.buffer, s.bytes.byteOffset + Number(address - s.sh_addr), size);
}

/** module_fixup(): module.lds puts __start_fixup and __stop_fixup, which struct module holds, around the section. */
function finalize(m: ModuleView): void {
  const fixups = sectionNamed(m, '.m68k_fixup')?.bytes ?? new Uint8Array(0);
  const table = new DataView(fixups.buffer, fixups.byteOffset, fixups.byteLength);
  for (let i = 0; i + 8 <= fixups.length; i += 8) {
    const type = table.getUint32(i);
    const address = BigInt(table.getUint32(i + 4));
    if (type === MEMOFFSET) at(m, address, 4).setUint32(0, Number(m.config['M68K_MEMOFFSET'] ?? 0));
    if (type !== VNODE_SHIFT) continue;
    const place = at(m, address, 2);
    place.setUint16(0, place.getUint16(0) + Number(m.config['M68K_VIRT_TO_NODE_SHIFT'] ?? 0));
  }
}

export const m68k: Arch = defineArch({
  name: 'm68k',
  backend: 'm68k',
  psABI: 'https://github.com/M680x0/Literature/blob/master/sysv-m68k-abi.pdf',
  e_machine: [4],
  is64: false,
  orders: ['big'],
  forms: ['RELA', 'REL'],
  // biome-ignore format: table
  relocs: {
    //                 type  calculation  field   overflow
    R_68K_32:    howto(1,    abs,         word32, dont),
    R_68K_PC32:  howto(4,    pcrel,       word32, dont),
  },
  unknown: unknownRelocation,
  finalize,
  // What the harness of ports says that the boot has found.
  replayConfig: () => ({ M68K_MEMOFFSET: 0x0123_4567, M68K_VIRT_TO_NODE_SHIFT: 0x1b }),
  // The vmalloc area of a machine with 128 MiB: 8 MiB behind memory, up to KMAP_START.
  moduleArea: () => ({ text: [0x0880_0000n, 0xd000_0000n], kernel: 0x1000n }),
});
