/**
 * One module file, read straight from its bytes: what it is, what it imports and exports, and whether its relocation
 * can fail. Everything of load_module() that does not depend on other modules is either proven here to succeed, or the
 * module is doubted, and insmod (loader/) has the word. So a mistake here may cost time, but only in one direction:
 * test/cli/check-proof.test.ts holds that what is proven is taken by insmod.
 *
 * Nothing is allocated per symbol, per relocation or per section.
 */
import { SIGNATURE_MARKER, stripSignature } from '../../loader/signature.ts';
import type { Version } from '../../relocs/module-view.ts';
import type { Names } from './names.ts';
import { DOUBTFUL, IGNORED, type ProofTable, REACH } from './proof-table.ts';
import {
  DOUBT,
  E_FLAGS,
  EXPORTS,
  FLAGS,
  GPL_ONLY,
  HAS_CRC,
  HAS_VERSIONS,
  HEAD,
  IMPORTS,
  LENGTH,
  MEMORY,
  MODULE,
  NAME,
  NAMESPACES,
  PROPRIETARY,
  RELOCATIONS,
  SOFTDEPS,
  STRUCT_SIZE,
  UNREADABLE,
  VERMAGIC,
  WEAK,
  type Words,
} from './records.ts';

/** The kernel that a tree is for, as far as reading its modules goes. */
export interface Frame {
  readonly is64: boolean;
  readonly little: boolean;
  readonly e_machine: number;
  readonly version: Version;
  /** CONFIG_MODVERSIONS, and whether an unsigned module is refused. */
  readonly modversions: boolean;
  readonly signed: boolean;
  /** Undefined: every module goes through insmod. */
  readonly proof: ProofTable | undefined;
}

/** Why a module could not be proven; index 0 is "it was". */
export const DOUBTS: readonly string[] = [
  '',
  'architecture',
  'signature',
  'ELF header',
  'section headers',
  'section names',
  'symbol table',
  'this_module',
  'modinfo',
  'versions',
  'layout',
  'exports',
  'relocation',
  'license',
  'names',
  'sections',
];
const doubt = (why: string): number => DOUBTS.indexOf(why);
const D_ARCH = doubt('architecture'),
  D_SIG = doubt('signature'),
  D_EHDR = doubt('ELF header'),
  D_SHDR = doubt('section headers'),
  D_NAMES = doubt('section names'),
  D_SYM = doubt('symbol table'),
  D_MOD = doubt('this_module'),
  D_INFO = doubt('modinfo'),
  D_VERS = doubt('versions'),
  D_LAYOUT = doubt('layout'),
  D_EXPORTS = doubt('exports'),
  D_RELOC = doubt('relocation'),
  D_LICENSE = doubt('license'),
  D_FULL = doubt('names'),
  D_SECTIONS = doubt('sections');

const SHT_NULL = 0,
  SHT_PROGBITS = 1,
  SHT_SYMTAB = 2,
  SHT_STRTAB = 3,
  SHT_RELA = 4,
  SHT_NOBITS = 8,
  SHT_REL = 9;
const SHF_WRITE = 1,
  SHF_ALLOC = 2,
  SHF_EXECINSTR = 4,
  SHF_RELA_LIVEPATCH = 0x0010_0000;
const SHN_ABS = 0xfff1,
  SHN_LORESERVE = 0xff00;
const WX = SHF_WRITE | SHF_EXECINSTR;

/** A section header in the table below. */
const S_NAME = 0,
  S_TYPE = 1,
  S_FLAGS = 2,
  S_OFFSET = 3,
  S_SIZE = 4,
  S_LINK = 5,
  S_INFO = 6,
  S_ALIGN = 7,
  S_WORDS = 8;

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** Sections that mean something here, by number. */
const KNOWN = [
  '.modinfo',
  '.gnu.linkonce.this_module',
  '__versions',
  '__version_ext_crcs',
  '__version_ext_names',
  '.data..percpu',
  '__ksymtab',
  '__ksymtab_gpl',
  '__kcrctab',
  '__kcrctab_gpl',
  '__kflagstab',
  '.ctors',
  '.init_array',
].map(ascii);
const MODINFO = 0,
  THIS_MODULE = 1,
  VERSIONS = 2,
  EXT_CRCS = 3,
  EXT_NAMES = 4,
  PERCPU = 5,
  KSYMTAB = 6,
  KSYMTAB_GPL = 7,
  KCRCTAB = 8,
  KCRCTAB_GPL = 9,
  KFLAGSTAB = 10,
  CTORS = 11,
  INIT_ARRAY = 12;

const VERMAGIC_TAG = ascii('vermagic='),
  LICENSE_TAG = ascii('license='),
  IMPORT_NS_TAG = ascii('import_ns='),
  SOFTDEP_TAG = ascii('softdep='),
  LIVEPATCH_TAG = ascii('livepatch=');
const LICENSES = ['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'].map(
  ascii,
);
const OFFENDERS = ['ndiswrapper', 'driverloader', 'lve', 'vmlinux', ''];
const MODULE_COLON = ascii('module:');

const MARKER = ascii(SIGNATURE_MARKER);

/** More than this no module needs; what claims more is left to insmod. */
const MEMORY_LIMIT = 1 << 26;
const PERCPU_LIMIT = 32 << 10;

/** Reads module after module. What it is given must stay as it is until the call has returned; it is spoilt by then. */
export class Scanner {
  private readonly frame: Frame;
  private readonly names: Names;
  private readonly out: Words;
  private sections: Int32Array = new Int32Array(S_WORDS * 128);
  private readonly known: Int32Array = new Int32Array(KNOWN.length);
  /** By name: when its CRC was set, and to what. */
  private readonly seen: Int32Array;
  private readonly crcs: Int32Array;
  private generation = 0;
  private b: Uint8Array = new Uint8Array(0);
  private v: DataView = new DataView(this.b.buffer);
  private len = 0;
  private count = 0;
  private at = 0;
  private readonly moduleLayout: number;
  private readonly refused: ReadonlySet<number>;

  constructor(frame: Frame, names: Names, out: Words) {
    this.frame = frame;
    this.names = names;
    this.out = out;
    this.seen = new Int32Array(names.shared.ids);
    this.crcs = new Int32Array(names.shared.ids);
    this.moduleLayout = names.of('module_layout');
    this.refused = new Set(OFFENDERS.map((name) => names.of(name)));
  }

  /** Appends the record of `module` to the stream and gives its start. `prove` false: facts only. */
  scan(module: number, file: Uint8Array, prove: boolean): number {
    const { out } = this;
    const at = out.length;
    this.at = at;
    out.reserve(HEAD).fill(0, at, at + HEAD);
    out.length += HEAD;
    out.words[at + MODULE] = module;
    let why: number;
    try {
      why = this.read(file, prove);
    } catch (error) {
      if (!(error instanceof RangeError) && (error as Error).name !== 'NamesFull') throw error;
      why = D_FULL;
    }
    out.words[at + DOUBT] = why;
    out.words[at + LENGTH] = out.length - at;
    return at;
  }

  private head(field: number): number {
    return this.out.words[this.at + field]!;
  }

  private set(field: number, value: number): void {
    this.out.words[this.at + field] = value;
  }

  /** A doubt about what is needed to go on: nothing more is known of this file. */
  private unreadable(why: number): number {
    this.set(FLAGS, UNREADABLE);
    return why;
  }

  private read(file: Uint8Array, prove: boolean): number {
    const { frame } = this;
    this.b = file;
    // One view for all files that are read into the same buffer.
    if (this.v.buffer !== file.buffer || this.v.byteOffset !== file.byteOffset)
      this.v = new DataView(file.buffer, file.byteOffset);
    let why = this.signature();
    why ||= this.ehdr();
    if (this.head(FLAGS) & UNREADABLE) return why;
    // No doubt is the last word on what can still be read: the graph wants the others' imports and exports.
    const more = this.table();
    if (this.head(FLAGS) & UNREADABLE) return why || more;
    why ||= more;
    why = this.thisModule() || why;
    why = this.modinfo() || why;
    why = this.versions() || why;
    const doubted = this.symbols();
    why ||= doubted;
    const layout = this.layout();
    why ||= layout;
    this.tail();
    const exports = this.exports();
    why ||= exports;
    if (frame.proof === undefined) why ||= D_ARCH;
    if (why !== 0 || !prove) return why;
    return this.relocations(frame.proof!);
  }

  /** module_sig_check(): where everything is as sign-file writes it, without an object. */
  private signature(): number {
    const { b, v } = this;
    const at = b.length - MARKER.length - 12;
    if (at > 0 && this.startsWith(at + 12, MARKER)) {
      const length = v.getUint32(at + 8);
      // id_type is PKCS#7, and all else is zero.
      if (v.getUint32(at) === 0x0200 && v.getUint32(at + 4) === 0 && length < at) {
        this.len = at - length;
        return 0;
      }
    }
    const { len, signature, error } = stripSignature(b);
    this.len = len;
    return error !== undefined || (signature === undefined && this.frame.signed) ? D_SIG : 0;
  }

  private ehdr(): number {
    const { v, len, frame } = this;
    const le = frame.little;
    if (len < (frame.is64 ? 64 : 52) || v.getUint32(0) !== 0x7f45_4c46) return this.unreadable(D_EHDR);
    if (v.getUint8(4) !== (frame.is64 ? 2 : 1) || v.getUint8(5) !== (le ? 1 : 2)) return this.unreadable(D_EHDR);
    if (v.getUint16(16, le) !== 1 || v.getUint16(18, le) !== frame.e_machine) return this.unreadable(D_EHDR);
    this.set(E_FLAGS, v.getInt32(frame.is64 ? 48 : 36, le));
    if (v.getUint16(frame.is64 ? 58 : 46, le) !== (frame.is64 ? 64 : 40)) return this.unreadable(D_EHDR);
    return 0;
  }

  /** An address-sized field as a number; -1 when it is 2 GiB or more. */
  private word(at: number): number {
    const { v, frame } = this;
    const le = frame.little;
    if (!frame.is64) {
      const word = v.getInt32(at, le);
      return word < 0 ? -1 : word;
    }
    const low = v.getInt32(le ? at : at + 4, le);
    return low < 0 || v.getInt32(le ? at + 4 : at, le) !== 0 ? -1 : low;
  }

  /** The section headers: all of them inside the file, with names, the way elf_validity_cache_copy() wants them. */
  private table(): number {
    const { v, len, frame, known } = this;
    const { is64, little: le } = frame;
    const shoff = this.word(is64 ? 40 : 32);
    const count = v.getUint16(is64 ? 60 : 48, le);
    const shstrndx = v.getUint16(is64 ? 62 : 50, le);
    const size = is64 ? 64 : 40;
    if (shoff <= 0 || count === 0 || shstrndx === 0 || shstrndx >= count) return this.unreadable(D_SHDR);
    if (shoff >= len || count * size > len - shoff) return this.unreadable(D_SHDR);
    if (count * S_WORDS > this.sections.length) this.sections = new Int32Array(count * S_WORDS * 2);
    const s = this.sections;
    this.count = count;
    let why = 0;
    for (let i = 0; i < count; i++) {
      const at = shoff + i * size;
      const p = i * S_WORDS;
      s[p + S_NAME] = v.getInt32(at, le);
      s[p + S_TYPE] = v.getInt32(at + 4, le);
      const flags = this.word(at + 8);
      const offset = this.word(at + (is64 ? 24 : 16));
      const bytes = this.word(at + (is64 ? 32 : 20));
      s[p + S_LINK] = v.getInt32(at + (is64 ? 40 : 24), le);
      s[p + S_INFO] = v.getInt32(at + (is64 ? 44 : 28), le);
      const align = this.word(at + (is64 ? 48 : 32));
      s[p + S_FLAGS] = flags;
      s[p + S_OFFSET] = offset;
      s[p + S_SIZE] = bytes;
      s[p + S_ALIGN] = align;
      const type = s[p + S_TYPE]!;
      // A flag in the upper half, or the sign: nothing that a compiler writes.
      if (flags < 0 || align < 0 || (flags & SHF_RELA_LIVEPATCH) !== 0 || (flags & WX) === WX) why = D_SHDR;
      const outside = offset < 0 || bytes < 0 || (type !== SHT_NOBITS && offset + bytes > len);
      if (outside && i > 0) {
        s[p + S_SIZE] = 0;
        s[p + S_OFFSET] = 0;
        s[p + S_TYPE] = SHT_NULL;
        why = D_SHDR;
      }
      if (i > 0 && type === SHT_NULL) why = D_SHDR;
    }
    if (s[S_TYPE] !== SHT_NULL || s[S_SIZE] !== 0 || s[S_FLAGS] !== 0 || this.word(shoff + (is64 ? 16 : 12)) !== 0)
      why = D_SHDR;

    const names = shstrndx * S_WORDS;
    const from = s[names + S_OFFSET]!;
    const end = from + s[names + S_SIZE]!;
    if (s[names + S_TYPE] !== SHT_STRTAB || end === from || this.b[from] !== 0 || this.b[end - 1] !== 0)
      return this.unreadable(D_NAMES);
    known.fill(0);
    for (let i = 1; i < count; i++) {
      const name = s[i * S_WORDS]!;
      if (name < 0 || name >= end - from) {
        why = D_NAMES;
        continue;
      }
      const which = this.knownSection(from + name);
      if (which < 0) continue;
      if (known[which] !== 0) why = D_SECTIONS;
      else known[which] = i;
      if ((s[i * S_WORDS + S_FLAGS]! & SHF_ALLOC) === 0) why = D_SECTIONS;
    }
    return why || (frame.version === '6.1' ? 0 : this.sameNames(from));
  }

  /** Later kernels make a file in /sys/module for each section in memory, and two of one name do not go. */
  private sameNames(from: number): number {
    const { sections: s, seen } = this;
    const generation = ++this.generation;
    for (let i = 1; i < this.count; i++) {
      const p = i * S_WORDS;
      if ((s[p + S_FLAGS]! & SHF_ALLOC) === 0 || s[p + S_SIZE] === 0) continue;
      const id = this.names.internString(this.b, from + s[p + S_NAME]!, this.len);
      if (id < 0 || seen[id] === generation) return D_SECTIONS;
      seen[id] = generation;
    }
    return 0;
  }

  private knownSection(at: number): number {
    const { b } = this;
    const c = b[at];
    const d = b[at + 1];
    const first = c === 0x5f ? (d === 0x5f ? 2 : 99) : c === 0x2e ? 0 : 99;
    for (let k = first; k < KNOWN.length; k++) if (this.isText(at, KNOWN[k]!)) return k;
    return -1;
  }

  /** Whether a NUL-terminated text stands there. */
  private isText(at: number, text: Uint8Array): boolean {
    return this.startsWith(at, text) && this.b[at + text.length] === 0;
  }

  private startsWith(at: number, text: Uint8Array): boolean {
    const { b } = this;
    for (let i = 0; i < text.length; i++) if (b[at + i] !== text[i]) return false;
    return true;
  }

  private thisModule(): number {
    const { sections: s, known, frame } = this;
    const p = known[THIS_MODULE]! * S_WORDS;
    const at = s[p + S_OFFSET]! + (frame.is64 ? 24 : 12);
    const room = frame.is64 ? 56 : 60;
    if (p === 0 || s[p + S_TYPE] !== SHT_PROGBITS || s[p + S_SIZE]! < room + (frame.is64 ? 24 : 12)) return D_MOD;
    this.set(STRUCT_SIZE, s[p + S_SIZE]!);
    const name = this.names.internString(this.b, at, at + room);
    if (name < 0 || this.refused.has(name)) return D_MOD;
    this.set(NAME, name);
    return 0;
  }

  /** Start and end of the entries of `.modinfo`, which must end with a NUL. */
  private modinfo(): number {
    const { sections: s, known, b, names } = this;
    const p = known[MODINFO]! * S_WORDS;
    let at = s[p + S_OFFSET]!;
    const end = at + s[p + S_SIZE]!;
    if (p === 0 || s[p + S_TYPE] !== SHT_PROGBITS || end === at || b[end - 1] !== 0) return D_INFO;
    let why = 0;
    let license = -1;
    this.namespaces = this.softdeps = 0;
    this.lists.length = 0;
    while (at < end) {
      const c = b[at];
      if (c === 0x61 /* alias= and author= are most of it */) {
        // Nothing in them is asked for here.
      } else if (c === 0x76 && this.head(VERMAGIC) === 0 && this.startsWith(at, VERMAGIC_TAG))
        this.set(VERMAGIC, names.internString(b, at + VERMAGIC_TAG.length, end));
      else if (c === 0x6c && license < 0 && this.startsWith(at, LICENSE_TAG)) license = at + LICENSE_TAG.length;
      else if (c === 0x69 && this.startsWith(at, IMPORT_NS_TAG)) {
        if (this.startsWith(at + IMPORT_NS_TAG.length, MODULE_COLON)) why = D_INFO;
        this.lists.splice(this.namespaces++, 0, names.internString(b, at + IMPORT_NS_TAG.length, end));
      } else if (c === 0x73 && this.startsWith(at, SOFTDEP_TAG)) {
        this.lists.push(names.internString(b, at + SOFTDEP_TAG.length, end));
        this.softdeps++;
      } else if (c === 0x6c && this.startsWith(at, LIVEPATCH_TAG)) why = D_INFO;
      at = b.indexOf(0, at);
      while (at < end && b[at] === 0) at++;
    }
    if (this.head(VERMAGIC) === 0) why = D_INFO;
    if (license < 0 || !LICENSES.some((text) => this.isText(license, text))) {
      this.set(FLAGS, this.head(FLAGS) | PROPRIETARY);
      why = D_LICENSE;
    }
    return why;
  }

  /** Namespaces, then softdeps of the module at hand. */
  private readonly lists: number[] = [];
  private namespaces = 0;
  private softdeps = 0;

  private tail(): void {
    const { out, lists } = this;
    for (const id of lists) out.push(id);
    this.set(NAMESPACES, this.namespaces);
    this.set(SOFTDEPS, this.softdeps);
  }

  /** CRCs by name; the first entry of a name counts. */
  private versions(): number {
    const { sections: s, known, v, b, frame, names, seen, crcs } = this;
    const le = frame.little;
    const generation = ++this.generation;
    const long = frame.is64 ? 8 : 4;
    const crcSection = known[EXT_CRCS]! * S_WORDS;
    const extended = frame.version === '7.2' && (crcSection !== 0 || known[EXT_NAMES] !== 0);
    let why = 0;
    if (extended) {
      const nameSection = known[EXT_NAMES]! * S_WORDS;
      if (crcSection === 0 || nameSection === 0 || known[VERSIONS] === 0) why = D_VERS;
      let at = s[nameSection + S_OFFSET]!;
      const end = at + s[nameSection + S_SIZE]!;
      const from = s[crcSection + S_OFFSET]!;
      for (let i = 0; i + 4 <= s[crcSection + S_SIZE]!; i += 4) {
        const id = names.internString(b, at, end);
        if (id < 0) return D_VERS;
        at = b.indexOf(0, at) + 1;
        if (seen[id] === generation) continue;
        seen[id] = generation;
        crcs[id] = v.getInt32(from + i, le);
      }
      this.set(FLAGS, this.head(FLAGS) | HAS_VERSIONS);
      return why;
    }
    const p = known[VERSIONS]! * S_WORDS;
    if (p === 0) return frame.modversions ? D_VERS : 0;
    if (s[p + S_TYPE] !== SHT_PROGBITS) return D_VERS;
    this.set(FLAGS, this.head(FLAGS) | HAS_VERSIONS);
    const end = s[p + S_OFFSET]! + s[p + S_SIZE]!;
    for (let at = s[p + S_OFFSET]!; at + 64 <= end; at += 64) {
      const id = names.internString(b, at + long, at + 64);
      if (id < 0 || (long === 8 && v.getInt32(le ? at + 4 : at, le) !== 0)) {
        why = D_VERS;
        continue;
      }
      if (seen[id] === generation) continue;
      seen[id] = generation;
      crcs[id] = v.getInt32(long === 8 && !le ? at + 4 : at, le);
    }
    return why;
  }

  /** Every symbol's section, and the undefined ones as imports. */
  private symbols(): number {
    const { sections: s, v, b, frame, names, seen, crcs, out, generation } = this;
    const { is64, little: le } = frame;
    let symtab = 0;
    let why = 0;
    this.symtab = 0;
    for (let i = 1; i < this.count; i++) {
      if (s[i * S_WORDS + S_TYPE] !== SHT_SYMTAB) continue;
      if (symtab !== 0) why = D_SYM;
      else symtab = i;
    }
    const p = symtab * S_WORDS;
    const strings = s[p + S_LINK]!;
    if (symtab === 0 || strings <= 0 || strings >= this.count) return D_SYM;
    const t = strings * S_WORDS;
    const from = s[t + S_OFFSET]!;
    const end = from + s[t + S_SIZE]!;
    if (s[t + S_TYPE] !== SHT_STRTAB || end === from || b[from] !== 0 || b[end - 1] !== 0) return D_SYM;
    this.symtab = symtab;

    const size = is64 ? 24 : 16;
    const count = Math.floor(s[p + S_SIZE]! / size);
    const shndxAt = s[p + S_OFFSET]! + (is64 ? 6 : 14);
    const infoAt = s[p + S_OFFSET]! + (is64 ? 4 : 12);
    const tables = s[p + S_OFFSET]!;
    const shnum = this.count;
    const all = frame.version === '7.2';
    let imports = 0;
    if (s[p + S_OFFSET]! % 8 !== 0) why = D_SYM;
    for (let i = 1; i < count; i++) {
      const shndx = v.getUint16(shndxAt + i * size, le);
      if (all && v.getUint32(tables + i * size, le) >= end - from) why = D_SYM;
      if (shndx !== 0) {
        if (shndx >= shnum && shndx !== SHN_ABS) why = D_SYM;
        continue;
      }
      const name = v.getUint32(tables + i * size, le);
      const id = name < end - from ? names.internString(b, from + name, end) : -1;
      const bind = b[infoAt + i * size]! >> 4;
      if (id < 0 || bind === 0 || bind > 2) why = D_SYM;
      if (id <= 0) {
        why = D_SYM;
        continue;
      }
      const words = out.reserve(3);
      const has = seen[id] === generation;
      words[out.length] = id;
      words[out.length + 1] = (bind === 2 ? WEAK : 0) | (has ? HAS_CRC : 0);
      words[out.length + 2] = has ? crcs[id]! : 0;
      out.length += 3;
      imports++;
    }
    // module_layout stands for every structure that modules and kernel share: one more import.
    if (seen[this.moduleLayout] === generation) {
      const words = out.reserve(3);
      words[out.length] = this.moduleLayout;
      words[out.length + 1] = WEAK | HAS_CRC;
      words[out.length + 2] = crcs[this.moduleLayout]!;
      out.length += 3;
      imports++;
    } else if (frame.modversions) why = D_VERS;
    this.set(IMPORTS, imports);
    // More sections than numbers below the reserved ones.
    return shnum >= SHN_LORESERVE ? D_SYM : why;
  }

  private symtab = 0;

  /** What is in memory: its size, alignments that the allocator keeps, no more per-CPU data than there is room for. */
  private layout(): number {
    const { sections: s, known } = this;
    let memory = 0;
    let why = 0;
    for (let i = 1; i < this.count; i++) {
      const p = i * S_WORDS;
      const align = s[p + S_ALIGN]!;
      if ((s[p + S_FLAGS]! & SHF_ALLOC) === 0) continue;
      if ((align & (align - 1)) !== 0 || align > 1 << 16) why = D_LAYOUT;
      memory += s[p + S_SIZE]! + align;
    }
    const percpu = known[PERCPU]! * S_WORDS;
    if (percpu !== 0 && s[percpu + S_SIZE]! > PERCPU_LIMIT) why = D_LAYOUT;
    if (known[CTORS] !== 0 && known[INIT_ARRAY] !== 0) why = D_LAYOUT;
    this.set(MEMORY, Math.min(memory, MEMORY_LIMIT));
    return memory + this.len >= MEMORY_LIMIT ? D_LAYOUT : why;
  }

  /** __ksymtab by the relocations that will fill it: S + A is where a name and a namespace stand. */
  private exports(): number {
    const { known, frame } = this;
    this.exported = 0;
    const seven = frame.version === '7.2';
    if (known[KSYMTAB] === 0 && known[KSYMTAB_GPL] === 0) return 0;
    if (frame.proof === undefined) return D_EXPORTS;
    if (seven && (known[KSYMTAB_GPL] !== 0 || known[KCRCTAB_GPL] !== 0)) return D_EXPORTS;
    let why = 0;
    if (known[KSYMTAB] !== 0)
      why = this.exportTable(known[KSYMTAB]!, known[KCRCTAB]!, 0, seven ? known[KFLAGSTAB]! : -1);
    if (known[KSYMTAB_GPL] !== 0) why = this.exportTable(known[KSYMTAB_GPL]!, known[KCRCTAB_GPL]!, GPL_ONLY, -1) || why;
    this.set(EXPORTS, this.exported);
    return why;
  }

  private exported = 0;

  private exportTable(table: number, crctab: number, gpl: number, flagtab: number): number {
    const { sections: s, v, b, frame, names, out } = this;
    const le = frame.little;
    const t = table * S_WORDS;
    const crcs = crctab * S_WORDS;
    const count = Math.floor(s[t + S_SIZE]! / 12);
    if (s[t + S_TYPE] !== SHT_PROGBITS || (count > 0 && (flagtab === 0 || (frame.modversions && crctab === 0))))
      return D_EXPORTS;
    if (crctab !== 0 && (s[crcs + S_TYPE] !== SHT_PROGBITS || s[crcs + S_SIZE]! < count * 4)) return D_EXPORTS;
    const first = out.length;
    const words = out.reserve(count * 4);
    for (let i = 0; i < count; i++) {
      const p = first + i * 4;
      const flag = flagtab > 0 ? b[s[flagtab * S_WORDS + S_OFFSET]! + i]! & 1 : gpl;
      words[p] = -1;
      words[p + 1] = flag | (crctab === 0 ? 0 : HAS_CRC);
      words[p + 2] = crctab === 0 ? 0 : v.getInt32(s[crcs + S_OFFSET]! + i * 4, le);
      words[p + 3] = 0;
    }
    out.length += count * 4;
    this.exported += count;
    let why = flagtab > 0 && s[flagtab * S_WORDS + S_SIZE]! < count ? D_EXPORTS : 0;

    const symtab = s[this.symtab * S_WORDS + S_OFFSET]!;
    const symbols = Math.floor(s[this.symtab * S_WORDS + S_SIZE]! / 24);
    for (let i = 1; i < this.count; i++) {
      const r = i * S_WORDS;
      const target = s[r + S_INFO];
      if (s[r + S_TYPE] !== SHT_RELA && s[r + S_TYPE] !== SHT_REL) continue;
      if (target === crctab && crctab !== 0) why = D_EXPORTS;
      if (target !== table) continue;
      const end = s[r + S_OFFSET]! + s[r + S_SIZE]!;
      for (let at = s[r + S_OFFSET]!; at + 24 <= end; at += 24) {
        const place = this.word(at);
        const sym = v.getUint32(at + 12, le);
        const addend = v.getInt32(at + 16, le);
        if (place < 0 || place >= count * 12 || v.getUint32(at + 8, le) !== R_PC32 || sym >= symbols) return D_EXPORTS;
        const field = place % 12;
        if (field === 0) continue;
        const shndx = v.getUint16(symtab + sym * 24 + 6, le);
        const value = this.word(symtab + sym * 24 + 8);
        if ((field !== 4 && field !== 8) || shndx === 0 || shndx >= this.count || value < 0) return D_EXPORTS;
        const p = shndx * S_WORDS;
        const offset = value + addend;
        const limit = s[p + S_OFFSET]! + s[p + S_SIZE]!;
        if (s[p + S_TYPE] !== SHT_PROGBITS || (s[p + S_FLAGS]! & SHF_ALLOC) === 0 || offset < 0) return D_EXPORTS;
        const id = names.internString(b, s[p + S_OFFSET]! + offset, limit);
        if (id < 0) return D_EXPORTS;
        const word = first + ((place - field) / 12) * 4 + (field === 4 ? 0 : 3);
        // Twice the same place: the second would find it filled.
        if (field === 4 && out.words[word] !== -1) return D_EXPORTS;
        out.words[word] = id;
      }
    }
    // The kernel looks them up with bsearch(): an unsorted table hides some.
    for (let i = 0; i < count; i++) if (out.words[first + i * 4]! <= 0) return D_EXPORTS;
    for (let i = 1; i < count; i++)
      if (names.compare(out.words[first + i * 4 - 4]!, out.words[first + i * 4]!) >= 0) return D_EXPORTS;
    return why;
  }

  /** Sections that are read where the file lies. */
  private staysBehind(i: number): boolean {
    const { known } = this;
    return i === known[MODINFO] || i === known[VERSIONS] || i === known[EXT_CRCS] || i === known[EXT_NAMES];
  }

  /** Every relocation of a section in memory, against what its type allows. Places are marked as they are written. */
  private relocations(proof: ProofTable): number {
    const { sections: s, known, b, frame } = this;
    const { size: sizes, checked, lo, hi, wantsZero } = proof;
    if (b.byteOffset % 4 !== 0) return D_RELOC;
    const words = new Int32Array(b.buffer, b.byteOffset, b.length >> 2);
    const sy = this.symtab * S_WORDS;
    const symbols = Math.floor(s[sy + S_SIZE]! / 24);
    const symtab = s[sy + S_OFFSET]! >> 2;
    const types = sizes.length;
    let total = 0;
    for (let i = 1; i < this.count; i++) {
      const r = i * S_WORDS;
      const type = s[r + S_TYPE]!;
      if (type !== SHT_RELA && type !== SHT_REL) continue;
      const target = s[r + S_INFO]!;
      if (target < 0 || target >= this.count) continue;
      const t = target * S_WORDS;
      if ((s[t + S_FLAGS]! & SHF_ALLOC) === 0) continue;
      // What rewrite_section_headers() and the per-CPU allocator take out of the image.
      if (this.staysBehind(target)) return D_RELOC;
      if (target === known[PERCPU]) {
        if (frame.version === '6.1') continue;
        return D_RELOC;
      }
      const from = s[r + S_OFFSET]!;
      if (type === SHT_REL || from % 4 !== 0 || s[t + S_TYPE] === SHT_NOBITS) return D_RELOC;
      const length = s[t + S_SIZE]!;
      const base = s[t + S_OFFSET]!;
      const count = Math.floor(s[r + S_SIZE]! / 24);
      const end = (from >> 2) + count * 6;
      for (let at = from >> 2; at < end; at += 6) {
        const kind = words[at + 2]! >>> 0;
        const bytes = kind < types ? sizes[kind]! : DOUBTFUL;
        if (bytes === DOUBTFUL) return D_RELOC;
        if (bytes === IGNORED) continue;
        const offset = words[at]!;
        const sym = words[at + 3]! >>> 0;
        if (words[at + 1] !== 0 || offset < 0 || offset + bytes > length || sym >= symbols) return D_RELOC;
        if (checked[kind] === 1) {
          const low = words[at + 4]!;
          if (words[at + 5] !== low >> 31 || low < lo[kind]! || low > hi[kind]!) return D_RELOC;
          const q = symtab + sym * 6;
          const shndx = words[q + 1]! >>> 16;
          if (shndx === SHN_ABS || words[q + 3] !== 0 || words[q + 2]! >>> 0 >= REACH) return D_RELOC;
          // What is not moved keeps an address of the temporary image, far from everything.
          if (shndx !== 0 && ((s[shndx * S_WORDS + S_FLAGS]! & SHF_ALLOC) === 0 || this.staysBehind(shndx)))
            return D_RELOC;
        }
        if (!wantsZero) continue;
        const place = base + offset;
        if ((b[place]! | b[place + 1]! | b[place + 2]! | b[place + 3]!) !== 0) return D_RELOC;
        b[place] = b[place + 3] = 1;
        if (bytes === 4) continue;
        if ((b[place + 4]! | b[place + 5]! | b[place + 6]! | b[place + 7]!) !== 0) return D_RELOC;
        b[place + 4] = b[place + 7] = 1;
      }
      total += count;
    }
    this.set(RELOCATIONS, total);
    return 0;
  }
}

/** R_X86_64_PC32: what EXPORT_SYMBOL() is made of where there is a proof. */
const R_PC32 = 2;
