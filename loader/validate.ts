/**
 * The ELF checks C29 to C56: elf_validity_check() and setup_load_info() of 6.1, elf_validity_cache_copy() of later
 * kernels. Same checks, other order, other strictness; each kernel's order is kept because it decides which of several
 * faults is reported.
 */
import { acceptsHeader } from '../arch/index.ts';
import {
  ET_REL,
  SHF_ALLOC,
  SHT_NOBITS,
  SHT_NULL,
  SHT_STRTAB,
  SHT_SYMTAB,
  sizeofEhdr,
  sizeofShdr,
} from '../relocs/elf.ts';
import { type CheckId, LoadError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import type { LoadInfo, RawShdr } from './load-info.ts';

/** Flags of finit_module(2). */
export const MODULE_INIT_IGNORE_MODVERSIONS = 1;
export const MODULE_INIT_IGNORE_VERMAGIC = 2;
export const MODULE_INIT_COMPRESSED_FILE = 4;

const NAMELESS = '(missing .modinfo section or name field)';

/** Which set of checks a kernel has. 6.12.117 took over the split functions, but not the string table's. */
export type CheckSet = '6.1' | '6.12' | '6.12.117' | '7.2';

export function checkSet(kernel: Kernel): CheckSet {
  if (kernel.version !== '6.12') return kernel.version;
  const sublevel = /^6\.12\.(\d+)/.exec(kernel.vermagic ?? '')?.[1];
  return sublevel !== undefined && Number(sublevel) >= 117 ? '6.12.117' : '6.12';
}

/** Validates info and fills its sections, index and name. Throws LoadError (ENOEXEC). */
export function validate(kernel: Kernel, info: LoadInfo, flags: number, say: (line: string) => void): void {
  new Validity(kernel, info, flags, say).run();
}

class Validity {
  private readonly kernel: Kernel;
  private readonly info: LoadInfo;
  private readonly flags: number;
  private readonly say: (line: string) => void;
  private readonly set: CheckSet;
  private step: string;

  constructor(kernel: Kernel, info: LoadInfo, flags: number, say: (line: string) => void) {
    this.kernel = kernel;
    this.info = info;
    this.flags = flags;
    this.say = say;
    this.set = checkSet(kernel);
    this.step = this.set === '6.1' ? 'elf_validity_check' : 'elf_validity_cache_copy';
  }

  run(): void {
    this.ehdr();
    if (this.set === '6.1' || this.set === '6.12') {
      this.tableBounds();
      this.nameTable();
      this.sectionZero();
      this.sectionsOld();
    } else {
      this.tableBounds();
      this.sectionZero();
      this.sectionBounds();
      this.nameTable();
      this.sectionNames();
    }
    if (this.set === '6.1') this.setupLoadInfo();
    else this.cacheIndex();
  }

  private fail(check: CheckId, line: string, reason: string): LoadError {
    this.say(line);
    const { step } = this;
    return new LoadError({
      errno: 'ENOEXEC',
      check,
      log: [line],
      reason,
      step,
      ...(this.info.name === undefined ? {} : { module: this.info.name }),
    });
  }

  /** elf_validity_ehdr() */
  private ehdr(): void {
    const { info, kernel } = this;
    const { arch } = kernel;
    if (info.len < sizeofEhdr(info.format))
      throw this.fail(
        'C29',
        `Invalid ELF header len ${info.len}`,
        `the file has ${info.len} bytes, an ELF header needs ${sizeofEhdr(info.format)}`,
      );
    if (info.bytes[0] !== 0x7f || info.bytes[1] !== 0x45 || info.bytes[2] !== 0x4c || info.bytes[3] !== 0x46)
      throw this.fail('C30', 'Invalid ELF header magic: != \x7fELF', 'this is not an ELF file');
    const { hdr } = info;
    if (hdr.e_type !== ET_REL)
      throw this.fail(
        'C31',
        `Invalid ELF header type: ${hdr.e_type} != ${ET_REL}`,
        'a module is a relocatable object (ET_REL); this is an executable, a library or a core file',
      );
    const facts = { ...info.format, e_machine: hdr.e_machine, e_flags: hdr.e_flags, e_entry: hdr.e_entry };
    const header = { ...facts, is64: info.bytes[4] === 2, little: info.bytes[5] === 1 };
    if (!acceptsHeader(arch, header, kernel.config, (line) => this.say(line)))
      throw this.fail(
        'C32',
        `Invalid architecture in ELF header: ${hdr.e_machine}`,
        `the module is built for another machine (e_machine ${hdr.e_machine}, e_flags 0x${hdr.e_flags.toString(16)}); this kernel is ${arch.name}`,
      );
    if (this.set !== '6.1' && arch.acceptsModule && !arch.acceptsModule(header, kernel.config))
      throw this.fail(
        'C33',
        `Invalid module architecture in ELF header: ${hdr.e_machine}`,
        `the module is built for another ABI (e_flags 0x${hdr.e_flags.toString(16)})`,
      );
    if (hdr.e_shentsize !== sizeofShdr(info.format))
      throw this.fail(
        'C34',
        'Invalid ELF section header size',
        `section headers of ${hdr.e_shentsize} bytes; this kernel's have ${sizeofShdr(info.format)} (a module of the other word size?)`,
      );
  }

  private tableBounds(): void {
    const { info } = this;
    const { e_shoff, e_shnum } = info.hdr;
    const len = BigInt(info.len);
    if (e_shoff >= len || BigInt(e_shnum * sizeofShdr(info.format)) > len - e_shoff)
      throw this.fail(
        'C35',
        'Invalid ELF section header overflow',
        `the section headers (${e_shnum} at offset ${e_shoff}) do not lie inside the ${info.len} bytes of the file: it is truncated or damaged`,
      );
  }

  private sectionZero(): void {
    const zero = this.info.firstShdr;
    if (zero.sh_type !== SHT_NULL || zero.sh_size !== 0n || zero.sh_addr !== 0n)
      throw this.fail(
        'C36',
        `ELF Spec violation: section 0 type(${zero.sh_type | 0})!=SH_NULL or non-zero len or addr`,
        'the first section header must be all zeros',
      );
  }

  /** validate_section_offset() */
  private inBounds(s: RawShdr): boolean {
    const mask = this.info.format.is64 ? 64 : 32;
    const end = BigInt.asUintN(mask, s.sh_offset + s.sh_size);
    return end >= s.sh_offset && end <= BigInt(this.info.len);
  }

  private outside(i: number, s: RawShdr): LoadError {
    return this.fail(
      'C37',
      `Invalid ELF section in module (section ${i} type ${s.sh_type})`,
      `section ${i} (offset ${s.sh_offset}, size ${s.sh_size}) does not lie inside the ${this.info.len} bytes of the file: it is truncated or damaged`,
    );
  }

  private sectionBounds(): void {
    this.info.shdrs.forEach((s, i) => {
      if (i === 0 || s.sh_type === SHT_NULL || s.sh_type === SHT_NOBITS) return;
      if (!this.inBounds(s)) throw this.outside(i, s);
    });
  }

  /** elf_validity_cache_secstrings() up to the names */
  private nameTable(): void {
    const { info } = this;
    const { e_shstrndx, e_shnum } = info.hdr;
    if (e_shstrndx === 0 || e_shstrndx >= e_shnum)
      throw this.fail(
        'C38',
        `Invalid ELF section name index: ${e_shstrndx} || e_shstrndx (${e_shstrndx}) >= e_shnum (${e_shnum})`,
        'the section name table is missing',
      );
    const table = info.shdrs[e_shstrndx]!;
    if (this.set === '7.2' || this.set === '6.12.117') {
      if (table.sh_type !== SHT_STRTAB)
        throw this.fail(
          'C39',
          `Invalid ELF section name table type: ${table.sh_type}`,
          `section ${e_shstrndx} holds the section names but is no string table`,
        );
    } else if (!this.inBounds(table)) {
      throw this.fail(
        'C37',
        `Invalid ELF section hdr(type ${table.sh_type})`,
        'the section name table does not lie inside the file: it is truncated or damaged',
      );
    }
    if (table.sh_size === 0n) throw this.fail('C40', 'empty section name table', 'the section name table has no bytes');
    if (info.bytes[Number(table.sh_offset + table.sh_size) - 1] !== 0)
      throw this.fail(
        'C41',
        "ELF Spec violation: section name table isn't null terminated",
        'the last byte of the section name table is not NUL',
      );
  }

  private badName(i: number, s: RawShdr): LoadError {
    return this.fail(
      'C42',
      `Invalid ELF section name in module (section ${i} type ${s.sh_type})`,
      `the name of section ${i} lies outside of the section name table`,
    );
  }

  private sectionNames(): void {
    const { sh_size } = this.info.shdrs[this.info.hdr.e_shstrndx]!;
    this.info.shdrs.forEach((s, i) => {
      if (s.sh_type !== SHT_NULL && BigInt(s.sh_name) >= sh_size) throw this.badName(i, s);
    });
    this.info.openSections();
  }

  /** The loop of 6.1 and 6.12: bounds and names of each section in turn; symbol table links and index with them. */
  private sectionsOld(): void {
    const { info } = this;
    const { e_shnum, e_shstrndx } = info.hdr;
    const names = info.shdrs[e_shstrndx]!.sh_size;
    info.shdrs.forEach((s, i) => {
      if (i === 0 || s.sh_type === SHT_NULL || s.sh_type === SHT_NOBITS) return;
      if (s.sh_type === SHT_SYMTAB && (s.sh_link === 0 || s.sh_link >= e_shnum)) throw this.badLink(s.sh_link);
      if (!this.inBounds(s)) throw this.outside(i, s);
      if ((s.sh_flags & BigInt(SHF_ALLOC)) !== 0n && BigInt(s.sh_name) >= names) throw this.badName(i, s);
    });
    info.openSections();
  }

  private badLink(link: number): LoadError {
    const { e_shnum } = this.info.hdr;
    return this.fail(
      'C49',
      `Invalid ELF sh_link!=SHN_UNDEF(${link | 0}) or (sh_link(${link | 0}) >= hdr->e_shnum(${e_shnum})`,
      'the symbol table does not say which string table is its own',
    );
  }

  private get named(): string {
    return this.info.name ?? NAMELESS;
  }

  /** setup_load_info() of 6.1: the first of each kind wins. */
  private setupLoadInfo(): void {
    const { info } = this;
    this.step = 'setup_load_info';
    info.index.info = info.findSec('.modinfo');
    if (info.index.info !== 0) info.name = info.modinfo('name');
    info.index.sym = info.sections.findIndex((s) => s.index > 0 && s.sh_type === SHT_SYMTAB);
    if (info.index.sym < 0) {
      info.index.sym = 0;
      throw this.stripped();
    }
    info.index.str = info.section(info.index.sym).sh_link;
    info.index.mod = info.findSec('.gnu.linkonce.this_module');
    if (info.index.mod === 0)
      throw this.fail(
        'C44',
        `${this.named}: No module found in object`,
        'there is no .gnu.linkonce.this_module section: this object was not built as a module',
      );
    this.finish();
  }

  private stripped(): LoadError {
    return this.fail(
      'C48',
      `${this.named}: module has no symbols (stripped?)`,
      'a module needs exactly one symbol table: strip it with --strip-debug, not with --strip-all',
    );
  }

  private cacheIndex(): void {
    this.indexInfo();
    // 6.12 before .117 looks for the symbol table first.
    if (this.set !== '6.12') this.indexMod();
    const { info } = this;
    const symtabs = info.sections.filter((s) => s.index > 0 && s.sh_type === SHT_SYMTAB);
    if (symtabs.length !== 1) throw this.stripped();
    info.index.sym = symtabs[0]!.index;
    info.index.str = symtabs[0]!.sh_link;
    if (this.set === '6.12') this.indexMod();
    else {
      if (info.index.str === 0 || info.index.str >= info.hdr.e_shnum) throw this.badLink(info.index.str);
      const { sh_type } = info.section(info.index.str);
      if (sh_type !== SHT_STRTAB)
        throw this.fail(
          'C50',
          `Invalid ELF symbol string table type: ${sh_type}`,
          'the section that holds the symbol names is no string table',
        );
    }
    if (this.set === '7.2') {
      this.indexVersions();
      info.index.pcpu = this.pcpu();
      this.strtab();
    }
    this.finish();
  }

  /** Sections that count: 6.12 looks only at those with contents when it searches by name. */
  private count(name: string): number[] {
    const all = this.info.sections.filter((s) => s.index > 0 && s.name === name);
    const counted = this.set === '6.12' ? all.filter((s) => s.sh_type !== SHT_NULL && s.sh_type !== SHT_NOBITS) : all;
    return counted.map((s) => s.index);
  }

  private indexInfo(): void {
    const found = this.count('.modinfo');
    if (found.length > 1)
      throw this.fail('C43', 'Only one .modinfo section must exist.', 'two sections are called .modinfo');
    this.info.index.info = found[0] ?? 0;
    if (found.length === 1) this.info.name = this.info.modinfo('name');
  }

  private indexMod(): void {
    const { info, kernel } = this;
    const found = this.count('.gnu.linkonce.this_module');
    const exactly = this.set === '6.12' ? 'Only one' : 'Exactly one';
    if (found.length !== 1)
      throw this.fail(
        'C44',
        `module ${this.named}: ${exactly} .gnu.linkonce.this_module section must exist.`,
        found.length === 0
          ? 'there is no .gnu.linkonce.this_module section: this object was not built as a module'
          : 'two modules were linked into one object',
      );
    const s = info.section(found[0]!);
    const what = `module ${this.named}: .gnu.linkonce.this_module`;
    if (s.sh_type === SHT_NOBITS)
      throw this.fail('C45', `${what} section must have a size set`, 'struct module has no bytes in the file');
    if ((s.sh_flags & SHF_ALLOC) === 0)
      throw this.fail(
        'C46',
        `${what} must occupy memory during process execution`,
        'the section that holds struct module is not SHF_ALLOC',
      );
    const expected = kernel.structModuleSize ?? s.sh_size;
    if (s.sh_size !== expected)
      throw this.fail(
        'C47',
        `${what} section size must match the kernel's built struct module size at run time`,
        `struct module has ${s.sh_size} bytes in this module and ${expected} in the kernel: they were built with different configurations`,
      );
    info.index.mod = s.index;
  }

  /** elf_validity_cache_index_versions() [7.2] */
  private indexVersions(): void {
    const { info } = this;
    if ((this.flags & MODULE_INIT_IGNORE_MODVERSIONS) !== 0) return;
    const crcs = info.findSec('__version_ext_crcs');
    const names = info.findSec('__version_ext_names');
    if ((crcs === 0) !== (names === 0))
      throw this.fail(
        'C51',
        'extended version crc+name presence does not match',
        'only one of __version_ext_crcs and __version_ext_names is there',
      );
    if (crcs !== 0) {
      const { bytes } = info.section(names);
      let rest = 0;
      for (let n = Math.floor(info.section(crcs).sh_size / 4); n > 0; n--) {
        const end = bytes.indexOf(0, rest);
        if (end < 0)
          throw this.fail(
            'C52',
            'more extended version crcs than names',
            'the extended version tables do not have the same length',
          );
        rest = end + 1;
      }
    }
    info.index.vers = info.findSec('__versions');
    info.index.vers_ext_crc = crcs;
    info.index.vers_ext_name = names;
  }

  /** elf_validity_cache_strtab() [7.2] */
  private strtab(): void {
    const { bytes } = this.info.section(this.info.index.str);
    if (bytes.length === 0) throw this.fail('C53', 'empty symbol string table', 'the symbol string table has no bytes');
    if (bytes[0] !== 0)
      throw this.fail(
        'C54',
        'symbol string table missing leading NUL',
        'the first byte of the symbol string table is not NUL',
      );
    if (bytes[bytes.length - 1] !== 0)
      throw this.fail(
        'C55',
        "symbol string table isn't NUL terminated",
        'the last byte of the symbol string table is not NUL',
      );
    const { symtab } = this.info;
    for (let i = 0; i < symtab.count; i++) {
      if (symtab.st_name(i) >= bytes.length)
        throw this.fail(
          'C56',
          'symbol name out of bounds in string table',
          `the name of symbol ${i} lies outside of the symbol string table`,
        );
    }
  }

  private pcpu(): number {
    return this.kernel.switch('SMP') ? this.info.findSec('.data..percpu') : 0;
  }

  private finish(): void {
    const { info } = this;
    info.name ??= info.structModuleName();
    if (this.set !== '7.2')
      info.index.vers = (this.flags & MODULE_INIT_IGNORE_MODVERSIONS) !== 0 ? 0 : info.findSec('__versions');
    info.index.pcpu = this.pcpu();
  }
}
