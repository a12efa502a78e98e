/**
 * Exports out of a linked kernel: the tables that find_symbol() of kernel/module/main.c searches.
 *
 * include/asm-generic/vmlinux.lds.h makes one output section of each: __ksymtab with __ksymtab_gpl (6.x) or with
 * __kflagstab (7.2), __kcrctab beside them, and __ksymtab_strings. An entry is struct kernel_symbol: value, name,
 * namespace, each a pointer or (arm64, x86) a 32-bit offset from itself.
 */

import { type ElfFormat, sizeofAddr, wrapWord } from '../relocs/elf.ts';
import { type ElfImage, type ElfImageSection, openElfImage } from './elf-image.ts';
import type { KernelExport } from './exports.ts';
import { InputError } from './input-error.ts';

const KSYM_FLAG_GPL_ONLY = 1;
const KSYMTAB = '__ksymtab_';

/**
 * Reads the exports of a vmlinux (ET_EXEC or ET_DYN, either class and byte order).
 *
 * Where the entries hold no pointers yet (a relocatable kernel whose relocations were split off, as on riscv), names
 * and values come from the symbol table, CRCs and flags still from their sections. Without export sections every
 * global symbol counts as exported. Throws InputError when there is neither, or for a file that is no linked ELF.
 */
export function parseVmlinux(bytes: Uint8Array): KernelExport[] {
  const image = openElfImage(bytes);
  const tables = exportTables(image);
  if (tables.length === 0) return globalSymbols(image);
  const layout = [prel32, absolute].find((form) => tables.every((table) => namesReadable(image, table, form)));
  return layout === undefined
    ? entriesBySymbol(image, tables)
    : tables.flatMap((table) => readTable(image, table, layout));
}

/** One __ksymtab with the arrays that run parallel to it. */
interface ExportTable {
  readonly section: ElfImageSection;
  readonly gpl: boolean;
  readonly crcs: Uint8Array | undefined;
  readonly flags: Uint8Array | undefined;
}

/** How the three fields of struct kernel_symbol are read. */
interface EntryLayout {
  size(format: ElfFormat): number;
  /** Address that field `k` of the entry at offset `at` points to; 0n for none. */
  target(image: ElfImage, section: ElfImageSection, at: number, k: number): bigint;
}

/** CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: offset_to_ptr(). */
const prel32: EntryLayout = {
  size: () => 12,
  target(image, section, at, k) {
    const offset = dataView(section.bytes).getInt32(at + 4 * k, image.format.little);
    return offset === 0 ? 0n : wrapWord(image.format, section.sh_addr + BigInt(at + 4 * k) + BigInt(offset));
  },
};

const absolute: EntryLayout = {
  size: (format) => sizeofAddr(format) * 3,
  target(image, section, at, k) {
    const view = dataView(section.bytes);
    return image.format.is64
      ? view.getBigUint64(at + 8 * k, image.format.little)
      : BigInt(view.getUint32(at + 4 * k, image.format.little));
  },
};

function exportTables(image: ElfImage): ExportTable[] {
  const tables: ExportTable[] = [];
  for (const suffix of ['', '_gpl']) {
    const section = image.section(`__ksymtab${suffix}`);
    if (section === undefined || section.bytes.length === 0) continue;
    const crcs = image.section(`__kcrctab${suffix}`)?.bytes;
    const flags = suffix === '' ? image.section('__kflagstab')?.bytes : undefined;
    tables.push({
      section,
      gpl: suffix !== '',
      crcs: crcs?.length === 0 ? undefined : crcs,
      flags: flags?.length === 0 ? undefined : flags,
    });
  }
  return tables;
}

/** True when every name field leads to a string: the way to tell the layouts apart without a list of machines. */
function namesReadable(image: ElfImage, table: ExportTable, layout: EntryLayout): boolean {
  const size = layout.size(image.format);
  if (table.section.bytes.length % size !== 0) return false;
  for (let at = 0; at < table.section.bytes.length; at += size) {
    if (!image.stringAt(layout.target(image, table.section, at, 1))) return false;
  }
  return true;
}

function readTable(image: ElfImage, table: ExportTable, layout: EntryLayout): KernelExport[] {
  const size = layout.size(image.format);
  const count = table.section.bytes.length / size;
  checkParallel(table, count);
  return Array.from({ length: count }, (_, i) => {
    const field = (k: number) => layout.target(image, table.section, i * size, k);
    return {
      name: image.stringAt(field(1)) ?? '',
      value: field(0),
      namespace: image.stringAt(field(2)) ?? '',
      ...crcAndFlag(image, table, i),
    };
  });
}

function checkParallel(table: ExportTable, count: number): void {
  const { name } = table.section;
  if (table.crcs !== undefined && table.crcs.length !== count * 4) {
    throw new InputError(`vmlinux: ${name} has ${count} entries, its CRC table ${table.crcs.length / 4}`);
  }
  if (table.flags !== undefined && table.flags.length !== count) {
    throw new InputError(`vmlinux: ${name} has ${count} entries, __kflagstab ${table.flags.length}`);
  }
}

function crcAndFlag(image: ElfImage, table: ExportTable, i: number): Pick<KernelExport, 'crc' | 'gplonly' | 'owner'> {
  return {
    crc: table.crcs === undefined ? undefined : dataView(table.crcs).getUint32(i * 4, image.format.little),
    gplonly: table.gpl || ((table.flags?.[i] ?? 0) & KSYM_FLAG_GPL_ONLY) !== 0,
    owner: 'vmlinux',
  };
}

/** Names from `__ksymtab_NAME`, values from NAME, namespaces from `__kstrtabns_NAME`. */
function entriesBySymbol(image: ElfImage, tables: readonly ExportTable[]): KernelExport[] {
  const symbols = image.symbols().all;
  const size = absolute.size(image.format);
  for (const table of tables) checkParallel(table, table.section.bytes.length / size);

  const rows: KernelExport[] = [];
  for (const [symbol, address] of symbols) {
    if (!symbol.startsWith(KSYMTAB)) continue;
    const name = symbol.slice(KSYMTAB.length);
    for (const table of tables) {
      const at = address - table.section.sh_addr;
      if (at < 0n || at >= BigInt(table.section.bytes.length)) continue;
      const namespace = image.stringAt(symbols.get(`__kstrtabns_${name}`) ?? 0n) ?? '';
      const i = Math.floor(Number(at) / size);
      rows.push({ name, value: symbols.get(name), namespace, ...crcAndFlag(image, table, i) });
    }
  }
  if (rows.length > 0) return rows;
  throw new InputError('vmlinux: the export table holds no pointers, and no __ksymtab_ symbol names its entries');
}

/** A kernel without export sections (CONFIG_MODULES off, or another linker script): every global symbol. */
function globalSymbols(image: ElfImage): KernelExport[] {
  const { globals } = image.symbols();
  if (globals.size === 0) throw new InputError('vmlinux: neither export sections nor a symbol table (stripped?)');
  return Array.from(globals, ([name, value]) => ({
    name,
    value,
    crc: undefined,
    gplonly: false,
    namespace: '',
    owner: 'vmlinux',
  }));
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
