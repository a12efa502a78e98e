/** __ksymtab and its companions, read from a module's relocated memory. */
import { SHT_NOBITS, sizeofAddr } from '../relocs/elf.ts';
import type { Section } from '../relocs/section.ts';
import { cString } from '../relocs/symbols.ts';
import type { ResolvedExport } from './kernel.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';

/** KSYM_FLAG_GPL_ONLY of __kflagstab [7.2]. */
const KSYM_FLAG_GPL_ONLY = 1;

/** Bytes of struct kernel_symbol. */
export const sizeofKernelSymbol = (m: Module): number => (m.kernel.arch.prel32Exports ? 12 : 3 * sizeofAddr(m.format));

/** num_syms of find_module_sections(): entries of a table, floor(size / entry). */
export function exportCount(m: Module, info: LoadInfo, name: '__ksymtab' | '__ksymtab_gpl'): number {
  return Math.floor(info.section(info.findSec(name)).sh_size / sizeofKernelSymbol(m));
}

/** The entries of a module's tables. */
export interface ExportTables {
  /** All, in the order of the tables. */
  readonly all: readonly ResolvedExport[];
  /**
   * Those that bsearch() can reach, in the order in which the kernel searches. An entry of a table that is not sorted
   * by strcmp may be lost: the kernel cannot see it either.
   */
  readonly found: readonly ResolvedExport[];
}

export function readExports(m: Module, info: LoadInfo): ExportTables {
  const flags = table(info, '__kflagstab');
  const tables =
    m.version === '7.2'
      ? [readTable(m, info, '__ksymtab', '__kcrctab', (i) => ((flags?.bytes[i] ?? 0) & KSYM_FLAG_GPL_ONLY) !== 0)]
      : [
          readTable(m, info, '__ksymtab', '__kcrctab', () => false),
          readTable(m, info, '__ksymtab_gpl', '__kcrctab_gpl', () => true),
        ];
  return { all: tables.flat(), found: tables.flatMap(reachable) };
}

function table(info: LoadInfo, name: string): Section | undefined {
  const i = info.findSec(name);
  return i === 0 ? undefined : info.section(i);
}

function readTable(
  m: Module,
  info: LoadInfo,
  name: '__ksymtab' | '__ksymtab_gpl',
  crcName: string,
  gplonly: (i: number) => boolean,
): ResolvedExport[] {
  const symtab = table(info, name);
  // A table without contents in the file exports empty names, which nobody asks for.
  if (symtab === undefined || symtab.sh_type === SHT_NOBITS) return [];
  const crcs = table(info, crcName);
  const crcView = crcs && new DataView(crcs.bytes.buffer, crcs.bytes.byteOffset, crcs.bytes.byteLength);
  const all: ResolvedExport[] = [];
  const count = exportCount(m, info, name);
  const strings = new Strings(m);
  for (let i = 0; i < count; i++) {
    const entry = readEntry(m, symtab, i, strings);
    const crc = crcView && (i + 1) * 4 <= crcView.byteLength ? crcView.getUint32(i * 4, m.format.little) : undefined;
    all.push({ ...entry, crc, gplonly: gplonly(i), owner: m });
  }
  return all;
}

function readEntry(
  m: Module,
  s: Section,
  i: number,
  strings: Strings,
): { name: string; value: bigint; namespace: string } {
  const { little, is64 } = m.format;
  const v = new DataView(s.bytes.buffer, s.bytes.byteOffset, s.bytes.byteLength);
  const size = sizeofKernelSymbol(m);
  const word = size / 3;
  const field = (n: number): bigint => {
    const at = i * size + n * word;
    if (!m.kernel.arch.prel32Exports) return is64 ? v.getBigUint64(at, little) : BigInt(v.getUint32(at, little));
    const offset = v.getInt32(at, little);
    if (n === 2 && offset === 0) return 0n;
    const address = s.sh_addr + BigInt(at + offset);
    return is64 ? BigInt.asUintN(64, address) : BigInt.asUintN(32, address);
  };
  return { value: field(0), name: strings.at(field(1)), namespace: field(2) === 0n ? '' : strings.at(field(2)) };
}

/** Strings by address; consecutive look-ups fall into the same section. */
class Strings {
  private readonly m: Module;
  private last: Section | undefined;

  constructor(m: Module) {
    this.m = m;
  }

  at(address: bigint): string {
    let s = this.last;
    if (s === undefined || address < s.sh_addr || address >= s.sh_addr + BigInt(s.bytes.length)) {
      s = this.m.sectionAt(address);
      if (s === undefined) return '';
      this.last = s;
    }
    return cString(s.bytes, Number(address - s.sh_addr));
  }
}

/** The entries bsearch() finds by their own name: all of them when the table is sorted. */
function reachable(all: ResolvedExport[]): ResolvedExport[] {
  let sorted = true;
  for (let i = 1; i < all.length && sorted; i++) sorted = all[i - 1]!.name < all[i]!.name;
  if (sorted) return all;
  return all.filter((e) => {
    let base = 0;
    for (let n = all.length; n > 0; n >>= 1) {
      const pivot = base + (n >> 1);
      const name = all[pivot]!.name;
      if (name === e.name) return all[pivot] === e;
      if (e.name > name) {
        base = pivot + 1;
        n--;
      }
    }
    return false;
  });
}
