/**
 * struct load_info: the kernel's temporary copy of the file and what has been found in it.
 *
 * The kernel reads a file with the class and byte order it was itself built for and never looks at e_ident, so every
 * number here is read raw in the kernel's format. `elfy` opens the file for its section names where it can be trusted
 * to (TOOLCHAIN.md lists what it cannot be given).
 */
import elfy from 'elfy';
import { type ElfFormat, SHF_ALLOC, SHT_NOBITS, SHT_STRTAB, sizeofEhdr, sizeofShdr } from '../relocs/elf.ts';
import type { Section } from '../relocs/section.ts';
import { cString, Symtab } from '../relocs/symbols.ts';
import { asElfyBuffer } from './elfy-buffer.ts';
import { getModinfo, getModinfos } from './modinfo.ts';

/** Elf{32,64}_Ehdr; only what the loader reads. */
export interface Ehdr {
  readonly e_type: number;
  readonly e_machine: number;
  readonly e_entry: bigint;
  readonly e_shoff: bigint;
  readonly e_flags: number;
  readonly e_shentsize: number;
  readonly e_shnum: number;
  readonly e_shstrndx: number;
}

/** A section header before it is known to be sound: sizes may be anything. */
export interface RawShdr {
  readonly sh_name: number;
  readonly sh_type: number;
  readonly sh_flags: bigint;
  readonly sh_addr: bigint;
  readonly sh_offset: bigint;
  readonly sh_size: bigint;
  readonly sh_link: number;
  readonly sh_info: number;
  readonly sh_addralign: bigint;
  readonly sh_entsize: bigint;
}

/** Section numbers of info->index; 0 = absent. */
export interface SectionIndex {
  sym: number;
  str: number;
  mod: number;
  vers: number;
  info: number;
  pcpu: number;
  vers_ext_crc: number;
  vers_ext_name: number;
}

export class LoadInfo {
  readonly format: ElfFormat;
  /** info->hdr: a copy of the file, 8-byte aligned, that hooks may change. */
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  /** info->len: shrinks when the signature is stripped. */
  len: number;
  readonly index: SectionIndex = {
    sym: 0,
    str: 0,
    mod: 0,
    vers: 0,
    info: 0,
    pcpu: 0,
    vers_ext_crc: 0,
    vers_ext_name: 0,
  };
  /** info->name: modinfo's `name=`, else struct module.name; undefined until one is found. */
  name: string | undefined;
  /** Filled when the section table has been validated. */
  sections: Section[] = [];
  private header: Ehdr | undefined;
  private table: RawShdr[] | undefined;
  private symbols: Symtab | undefined;

  /** `inPlace`: the file itself is the temporary image (see LoadOptions). */
  constructor(file: Uint8Array, format: ElfFormat, inPlace = false) {
    this.format = format;
    this.bytes =
      inPlace && file.buffer instanceof ArrayBuffer ? (file as Uint8Array<ArrayBuffer>) : new Uint8Array(file);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.len = this.bytes.length;
  }

  /** The ELF header; the file must be at least that long. */
  get hdr(): Ehdr {
    this.header ??= readEhdr(this.view, this.format);
    return this.header;
  }

  /** The raw section headers; the table must lie inside the file. */
  get shdrs(): readonly RawShdr[] {
    if (this.table === undefined) {
      const { e_shoff, e_shnum } = this.hdr;
      const size = sizeofShdr(this.format);
      this.table = Array.from({ length: e_shnum }, (_, i) =>
        readShdr(this.view, Number(e_shoff) + i * size, this.format),
      );
    }
    return this.table;
  }

  /**
   * The first section header, there or not: with e_shnum 0 the kernel looks at one that it has not checked. Behind the
   * end of the file are zeros.
   */
  get firstShdr(): RawShdr {
    const [first] = this.shdrs;
    if (first !== undefined) return first;
    const bytes = new Uint8Array(sizeofShdr(this.format));
    const at = Number(this.hdr.e_shoff);
    bytes.set(this.bytes.subarray(at, at + bytes.length));
    return readShdr(new DataView(bytes.buffer), 0, this.format);
  }

  /** Builds the sections of the temporary image, whose bounds must have been checked. */
  openSections(): void {
    const names = sectionNames(this);
    this.sections = this.shdrs.map((raw, index) => {
      const sh_offset = Number(raw.sh_offset);
      const sh_size = number(raw.sh_size);
      // Of SHT_NULL nobody checks where it lies; what lies there is copied all the same when it is SHF_ALLOC.
      const holds = raw.sh_type !== SHT_NOBITS && index !== 0;
      return {
        index,
        name: names[index]!,
        sh_name: raw.sh_name,
        sh_type: raw.sh_type,
        // All flags that mean something to the loader are in the low half.
        sh_flags: Number(BigInt.asIntN(32, raw.sh_flags)),
        sh_addr: 0n,
        sh_offset,
        sh_size,
        sh_link: raw.sh_link,
        sh_info: raw.sh_info,
        sh_addralign: number(raw.sh_addralign),
        sh_entsize: raw.sh_entsize,
        bytes: holds ? this.bytes.subarray(sh_offset, sh_offset + sh_size) : this.bytes.subarray(0, 0),
      };
    });
  }

  /** find_sec(): first SHF_ALLOC section of that name; 0 when there is none. */
  findSec(name: string): number {
    for (let i = 1; i < this.sections.length; i++) {
      const s = this.sections[i]!;
      if ((s.sh_flags & SHF_ALLOC) !== 0 && s.name === name) return i;
    }
    return 0;
  }

  /** find_any_sec(): the same, SHF_ALLOC or not. */
  findAnySec(name: string): number {
    const found = this.sections.findIndex((s) => s.index > 0 && s.name === name);
    return Math.max(found, 0);
  }

  /** free_copy(): sections that were not moved lose their bytes. */
  free(): void {
    for (const s of this.sections) if (s.bytes.buffer === this.bytes.buffer) s.bytes = new Uint8Array(0);
    this.bytes = new Uint8Array(0);
    this.view = new DataView(this.bytes.buffer);
    this.symbols = undefined;
  }

  section(index: number): Section {
    return this.sections[index]!;
  }

  /**
   * The symbol table, of index.sym and index.str. Its names are read from the temporary image, as the kernel does to
   * the end (info->strtab); before 7.2 nothing keeps them from running on behind the string table.
   */
  get symtab(): Symtab {
    this.symbols ??= new Symtab(this.format, this.section(this.index.sym).bytes, this.strtab);
    return this.symbols;
  }

  /** info->strtab: the temporary image from the start of the string table on. */
  get strtab(): Uint8Array {
    return this.bytes.subarray(Math.min(this.section(this.index.str).sh_offset, this.bytes.length));
  }

  /** The symbol table where it lies now: in init memory once the module has been moved. */
  reopenSymtab(): Symtab {
    this.symbols = undefined;
    return this.symtab;
  }

  /** The symbol table with the names of the moved string table, for when the temporary image is gone. */
  keptSymtab(): Symtab {
    return new Symtab(this.format, this.section(this.index.sym).bytes, this.section(this.index.str).bytes);
  }

  /** get_modinfo() over index.info; without a .modinfo it scans section 0, as the kernel does. */
  modinfo(tag: string): string | undefined {
    const s = this.section(this.index.info);
    return getModinfo(this.bytes, tag, s.sh_offset, s.sh_size);
  }

  /** Every value of a tag. */
  modinfos(tag: string): string[] {
    const s = this.section(this.index.info);
    return getModinfos(this.bytes, tag, s.sh_offset, s.sh_size);
  }

  /**
   * struct module.name of the on-disk this_module section: offset 24, or 12 on 32-bit kernels. 6.1 does not check that
   * the section is that long, so it is read from the file.
   */
  structModuleName(): string {
    const max = this.format.is64 ? 56 : 60;
    const at = this.section(this.index.mod).sh_offset + (this.format.is64 ? 24 : 12);
    return cString(this.bytes.subarray(0, at + max), at);
  }
}

function readEhdr(v: DataView, f: ElfFormat): Ehdr {
  const le = f.little;
  const half = (at64: number, at32: number): number => v.getUint16(f.is64 ? at64 : at32, le);
  const word = (at64: number, at32: number): bigint =>
    f.is64 ? v.getBigUint64(at64, le) : BigInt(v.getUint32(at32, le));
  return {
    e_type: v.getUint16(16, le),
    e_machine: v.getUint16(18, le),
    e_entry: word(24, 24),
    e_shoff: word(40, 32),
    e_flags: v.getUint32(f.is64 ? 48 : 36, le),
    e_shentsize: half(58, 46),
    e_shnum: half(60, 48),
    e_shstrndx: half(62, 50),
  };
}

function readShdr(v: DataView, at: number, f: ElfFormat): RawShdr {
  const le = f.little;
  const u32 = (off: number): number => v.getUint32(at + off, le);
  if (f.is64) {
    const u64 = (off: number): bigint => v.getBigUint64(at + off, le);
    return {
      sh_name: u32(0),
      sh_type: u32(4),
      sh_flags: u64(8),
      sh_addr: u64(16),
      sh_offset: u64(24),
      sh_size: u64(32),
      sh_link: u32(40),
      sh_info: u32(44),
      sh_addralign: u64(48),
      sh_entsize: u64(56),
    };
  }
  return {
    sh_name: u32(0),
    sh_type: u32(4),
    sh_flags: BigInt(u32(8)),
    sh_addr: BigInt(u32(12)),
    sh_offset: BigInt(u32(16)),
    sh_size: BigInt(u32(20)),
    sh_link: u32(24),
    sh_info: u32(28),
    sh_addralign: BigInt(u32(32)),
    sh_entsize: BigInt(u32(36)),
  };
}

/**
 * A size or alignment as a number. The kernel adds them up in 32 bits, so of one that is too large for a number only
 * the low 32 bits have to be right (and that it is large).
 */
const number = (v: bigint): number =>
  v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : 2 ** 52 + Number(BigInt.asUintN(32, v));

/** Names longer than this in sum are not given to elfy, whose reader is quadratic on shared strings. */
const ELFY_NAME_BYTES = 1 << 16;

/** Section names, from elfy where the file is one that it reads right, else straight from the string table. */
function sectionNames(info: LoadInfo): string[] {
  const { hdr, shdrs, format, bytes } = info;
  const strings = shdrs[hdr.e_shstrndx]!;
  // Not cut off at its end: where a kernel does not check sh_name, it reads on.
  const table = bytes.subarray(Number(strings.sh_offset));
  const raw = shdrs.map((s) => cString(table, s.sh_name));
  const suits =
    bytes[4] === (format.is64 ? 2 : 1) &&
    bytes[5] === (format.little ? 1 : 2) &&
    strings.sh_type === SHT_STRTAB &&
    raw.reduce((sum, name) => sum + name.length, 0) <= ELFY_NAME_BYTES;
  if (!suits) return raw;
  try {
    return withoutProgramHeaders(info, () => elfy.parse(asElfyBuffer(bytes)).body.sections.map((s) => s.name));
  } catch {
    // It is pickier than the kernel: e_version and the rest of e_ident are nothing to the loader.
    return raw;
  }
}

/** The kernel ignores program headers; elfy chokes on bad ones. They are hidden from it for the call. */
function withoutProgramHeaders<T>(info: LoadInfo, read: () => T): T {
  const at = info.format.is64 ? 56 : 44;
  const e_phnum = info.view.getUint16(at);
  info.view.setUint16(at, 0);
  try {
    return read();
  } finally {
    info.view.setUint16(at, e_phnum);
  }
}

/** Whether the file is long enough for an ELF header of this format. */
export const holdsEhdr = (info: LoadInfo): boolean => info.len >= sizeofEhdr(info.format);
