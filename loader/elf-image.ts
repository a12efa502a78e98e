/**
 * A linked ELF file (a vmlinux) by address: sections, strings, symbols. Read raw and bounds checked, since a vmlinux
 * with debug information has sizes that no object model should be built from. Modules are opened elsewhere.
 */

import {
  ELF_ST_BIND,
  type ElfFormat,
  ET_REL,
  SHF_ALLOC,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_SYMTAB,
  STB_LOCAL,
  sizeofEhdr,
  sizeofShdr,
} from '../relocs/elf.ts';
import { cString, Symtab } from '../relocs/symbols.ts';
import { InputError } from './input-error.ts';

const SHN_XINDEX = 0xffff;

/** No name is read further: thousands of names may share one long string. KSYM_NAME_LEN is 512. */
const NAME_MAX = 1024;

/** One section of a linked file; `bytes` is a view of it, empty for SHT_NOBITS. */
export interface ElfImageSection {
  readonly name: string;
  readonly sh_type: number;
  readonly sh_flags: bigint;
  readonly sh_addr: bigint;
  readonly sh_link: number;
  readonly bytes: Uint8Array;
}

/** Symbols of a linked file: addresses by name. */
export interface ElfImageSymbols {
  readonly globals: ReadonlyMap<string, bigint>;
  /** Globals and, for names that no global bears, the first local. */
  readonly all: ReadonlyMap<string, bigint>;
}

/** What openElfImage() gives. */
export interface ElfImage {
  readonly format: ElfFormat;
  readonly sections: readonly ElfImageSection[];
  section(name: string): ElfImageSection | undefined;
  /** The NUL-terminated string at an address of the image; undefined for 0 and where no bytes are loaded. */
  stringAt(address: bigint): string | undefined;
  symbols(): ElfImageSymbols;
}

/** Opens a linked ELF file of either class and byte order. Throws InputError for anything else. */
export function openElfImage(bytes: Uint8Array): ElfImage {
  const format = readIdent(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(16, format.little) === ET_REL) {
    throw new InputError('this is a relocatable object (a module or an object file), not a vmlinux');
  }
  const sections = readSections(bytes, view, format);
  const loaded = sections.filter((section) => (section.sh_flags & BigInt(SHF_ALLOC)) !== 0n && section.sh_addr !== 0n);
  return {
    format,
    sections,
    section: (name) => sections.find((section) => section.name === name),
    stringAt: (address) => stringAt(loaded, address),
    symbols: () => readSymbols(sections, format),
  };
}

/**
 * The bytes of one section of any ELF file, a module too, for those who want no more of it (depmod's view); undefined
 * when there is none, or no ELF file that can be read.
 */
export function elfSection(bytes: Uint8Array, name: string): Uint8Array | undefined {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return readSections(bytes, view, readIdent(bytes)).find((section) => section.name === name)?.bytes;
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

function readIdent(bytes: Uint8Array): ElfFormat {
  const [m0, m1, m2, m3, cls, data] = bytes;
  if (m0 !== 0x7f || m1 !== 0x45 || m2 !== 0x4c || m3 !== 0x46) {
    const bootImage = bytes[0x202] === 0x48 && bytes[0x203] === 0x64 && bytes[0x204] === 0x72 && bytes[0x205] === 0x53;
    throw new InputError(
      bootImage
        ? 'this is a compressed boot image (bzImage), not a vmlinux: unpack it with scripts/extract-vmlinux'
        : 'this is no ELF file, so no vmlinux',
    );
  }
  if ((cls !== 1 && cls !== 2) || (data !== 1 && data !== 2)) {
    throw new InputError(`vmlinux: ELF class ${cls} with byte order ${data} does not exist`);
  }
  const format = { is64: cls === 2, little: data === 1 };
  if (bytes.length < sizeofEhdr(format)) throw new InputError('vmlinux: the file ends inside the ELF header');
  return format;
}

function readSections(bytes: Uint8Array, view: DataView, format: ElfFormat): ElfImageSection[] {
  const { is64, little } = format;
  const word = (at: number): number => (is64 ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little));
  const e_shoff = word(is64 ? 40 : 32);
  const e_shentsize = view.getUint16(is64 ? 58 : 46, little);
  if (e_shoff === 0) throw new InputError('vmlinux: the file has no section headers (stripped with sstrip?)');
  if (e_shentsize !== sizeofShdr(format)) throw new InputError(`vmlinux: section headers of ${e_shentsize} bytes`);
  const size = sizeofShdr(format);
  const fits = (count: number): boolean => e_shoff + count * size <= bytes.length;
  if (!fits(1)) throw new InputError('vmlinux: the section headers lie beyond the end of the file (truncated?)');

  // Section 0 holds what does not fit into the header's 16 bits.
  const e_shnum = view.getUint16(is64 ? 60 : 48, little) || word(e_shoff + (is64 ? 32 : 20));
  const shstrndx16 = view.getUint16(is64 ? 62 : 50, little);
  const e_shstrndx = shstrndx16 === SHN_XINDEX ? view.getUint32(e_shoff + (is64 ? 40 : 24), little) : shstrndx16;
  if (!fits(e_shnum)) throw new InputError('vmlinux: the section headers lie beyond the end of the file (truncated?)');

  const contents = (i: number): Uint8Array => {
    const at = e_shoff + i * size;
    const sh_type = view.getUint32(at + 4, little);
    if (sh_type === SHT_NOBITS || sh_type === 0) return bytes.subarray(0, 0);
    const sh_offset = word(at + (is64 ? 24 : 16));
    const sh_size = word(at + (is64 ? 32 : 20));
    if (sh_offset + sh_size > bytes.length) {
      throw new InputError(`vmlinux: section ${i} lies beyond the end of the file (truncated?)`);
    }
    return bytes.subarray(sh_offset, sh_offset + sh_size);
  };
  if (e_shstrndx >= e_shnum) throw new InputError('vmlinux: the section name table is missing');
  const names = contents(e_shstrndx);
  return Array.from({ length: e_shnum }, (_, i) => {
    const at = e_shoff + i * size;
    return {
      name: nameAt(names, view.getUint32(at, little)),
      sh_type: view.getUint32(at + 4, little),
      sh_flags: is64 ? view.getBigUint64(at + 8, little) : BigInt(view.getUint32(at + 8, little)),
      sh_addr: is64 ? view.getBigUint64(at + 16, little) : BigInt(view.getUint32(at + 12, little)),
      sh_link: view.getUint32(at + (is64 ? 40 : 24), little),
      bytes: contents(i),
    };
  });
}

function stringAt(loaded: readonly ElfImageSection[], address: bigint): string | undefined {
  if (address === 0n) return undefined;
  for (const { sh_addr, bytes } of loaded) {
    if (address >= sh_addr && address < sh_addr + BigInt(bytes.length)) return nameAt(bytes, Number(address - sh_addr));
  }
  return undefined;
}

function nameAt(bytes: Uint8Array, at: number): string {
  return cString(bytes.subarray(at, at + NAME_MAX), 0);
}

function readSymbols(sections: readonly ElfImageSection[], format: ElfFormat): ElfImageSymbols {
  const globals = new Map<string, bigint>();
  const all = new Map<string, bigint>();
  const table = sections.find((section) => section.sh_type === SHT_SYMTAB);
  const strings = table === undefined ? undefined : sections[table.sh_link];
  if (table === undefined || strings === undefined) return { globals, all };

  const symtab = new Symtab(format, table.bytes, strings.bytes);
  for (let i = 1; i < symtab.count; i++) {
    const name = nameAt(strings.bytes, symtab.st_name(i));
    if (name === '' || symtab.st_shndx(i) === SHN_UNDEF) continue;
    const value = symtab.st_value(i);
    const isLocal = ELF_ST_BIND(symtab.st_info(i)) === STB_LOCAL;
    if (isLocal ? !all.has(name) : !globals.has(name)) all.set(name, value);
    if (!isLocal && !globals.has(name)) globals.set(name, value);
  }
  return { globals, all };
}
