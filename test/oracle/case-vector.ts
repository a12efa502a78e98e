/** A case of the port protocol as a vector, for ports that are the reference. */
import { arches, archOf, headerFacts } from '../../arch/index.ts';
import { LoadInfo } from '../../loader/load-info.ts';
import type { PortCase } from '../../oracle/port-protocol.ts';
import { SHN_UNDEF, SHT_RELA, SHT_SYMTAB } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import { Symtab } from '../../relocs/symbols.ts';
import { toBase64, type Vector } from '../../testing/vector.ts';

const hex = (v: bigint): string => `0x${v.toString(16)}`;

function open(elf: Uint8Array): LoadInfo {
  const { is64, little } = headerFacts(elf)!;
  const info = new LoadInfo(elf, { is64, little });
  info.openSections();
  return info;
}

export function vectorOf(c: PortCase, kernel: Vector['kernel']): Vector {
  const info = open(c.elf);
  const table = info.sections.find((s) => s.sh_type === SHT_SYMTAB)!;
  const symtab = new Symtab(info.format, table.bytes, info.sections[table.sh_link]!.bytes);
  const symbols: Record<string, string> = {};
  for (let i = 1; i < symtab.count; i++) {
    const value = c.symbols.get(i);
    if (symtab.st_shndx(i) === SHN_UNDEF && value !== undefined) symbols[symtab.name(i)] = hex(value);
  }
  const blobs: Readonly<Record<string, string>> = kernel === '6.1' ? { text: 'core', init_text: 'init' } : {};
  return {
    id: 'case',
    arch: archOf(headerFacts(c.elf)!, arches)!.name,
    kernel,
    elf: toBase64(c.elf),
    place: Object.fromEntries([...c.places].map(([index, at]) => [`#${index}`, hex(at)])),
    symbols,
    mem: Object.fromEntries(
      Object.entries(c.mem).map(([region, { base, size }]) => [blobs[region] ?? region, { base: hex(base), size }]),
    ),
    variant: c.flags ?? 0,
    cls: 'generated',
    expect: { ret: 0 },
  };
}

/** Types of the SHT_RELA entries, for architectures with nothing special in r_info. */
export function caseTypes(c: PortCase): number[] {
  const info = open(c.elf);
  return info.sections
    .filter((s) => s.sh_type === SHT_RELA)
    .flatMap((s) => {
      const entries = new Entries(info.format, true, s.bytes);
      return Array.from({ length: entries.count }, (_, i) => Number(entries.r_info(i) & 0xffffffffn));
    });
}
