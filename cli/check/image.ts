/** A module file as the checks of load_module() first see it: header, section headers, names of sections. Nothing is copied. */
import { SIGNATURE_MARKER, stripSignature } from '../../loader/signature.ts';
import type { Version } from '../../relocs/module-view.ts';
import { D_EHDR, D_NAMES, D_SECTIONS, D_SHDR, D_SIG } from './doubts.ts';
import type { Names } from './names.ts';
import type { ProofTable } from './proof-table.ts';
import { E_FLAGS, FLAGS, UNREADABLE, type Words } from './records.ts';

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

export const SHT_NULL = 0,
  SHT_PROGBITS = 1,
  SHT_SYMTAB = 2,
  SHT_STRTAB = 3,
  SHT_RELA = 4,
  SHT_NOBITS = 8,
  SHT_REL = 9;
export const SHF_WRITE = 1,
  SHF_ALLOC = 2,
  SHF_EXECINSTR = 4,
  SHF_RELA_LIVEPATCH = 0x0010_0000;
export const SHN_ABS = 0xfff1,
  SHN_LORESERVE = 0xff00;
const WX = SHF_WRITE | SHF_EXECINSTR;

/** A section header in the table below. */
export const S_NAME = 0,
  S_TYPE = 1,
  S_FLAGS = 2,
  S_OFFSET = 3,
  S_SIZE = 4,
  S_LINK = 5,
  S_INFO = 6,
  S_ALIGN = 7,
  S_WORDS = 8;

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** Sections that mean something here, by number. */
export const KNOWN_SECTIONS: readonly string[] = [
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
  '__param',
  '.plt',
  '.init.plt',
  '.got',
  '.got.plt',
  '.plt.idx',
  '.text.ftrace_trampoline',
  '.init.text.ftrace_trampoline',
];
const KNOWN = KNOWN_SECTIONS.map(ascii);
export const MODINFO = 0,
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
  INIT_ARRAY = 12,
  PARAM = 13;

const INIT = ascii('.init');
const SEALED = ['.data..ro_after_init', '__jump_table', '.static_call_sites'].map(ascii);
const swapped = (w: number): number => (w << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24);

const MARKER = ascii(SIGNATURE_MARKER);

/** One file after the other. */
export class Image {
  readonly frame: Frame;
  private readonly names: Names;
  private readonly out: Words;
  sections: Int32Array = new Int32Array(S_WORDS * 128);
  readonly known: Int32Array = new Int32Array(KNOWN.length);
  b: Uint8Array = new Uint8Array(0);
  v: DataView = new DataView(this.b.buffer);
  /** The same as words, in the order that makes 64-bit fields those of a little-endian file: see swap(). */
  words: Int32Array = new Int32Array(0);
  len = 0;
  count = 0;
  symtab = 0;
  private shstrtab = 0;
  /** By name: when it was met, in generations. */
  readonly seen: Int32Array;
  generation = 0;

  constructor(frame: Frame, names: Names, out: Words) {
    this.frame = frame;
    this.names = names;
    this.out = out;
    this.seen = new Int32Array(names.shared.ids);
  }

  /** Opens a file: a number of DOUBTS. Where the record says UNREADABLE afterwards there is nothing to go on with. */
  open(file: Uint8Array): number {
    this.b = file;
    // One view for all files that are read into the same buffer.
    if (this.v.buffer !== file.buffer || this.v.byteOffset !== file.byteOffset)
      this.v = new DataView(file.buffer, file.byteOffset);
    if (file.byteOffset % 4 !== 0) this.words = new Int32Array(0);
    else if (this.words.buffer !== file.buffer || this.words.byteOffset !== file.byteOffset)
      this.words = new Int32Array(file.buffer, file.byteOffset, (file.buffer.byteLength - file.byteOffset) >> 2);
    let why = this.signature();
    why ||= this.ehdr();
    if (this.out.head(FLAGS) & UNREADABLE) return why;
    // No doubt is the last word on what can still be read: the graph wants the others' imports and exports.
    return this.table() || why;
  }

  /** A doubt about what is needed to go on: nothing more is known of this file. */
  private unreadable(why: number): number {
    this.out.set(FLAGS, UNREADABLE);
    return why;
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
    this.out.set(E_FLAGS, v.getInt32(frame.is64 ? 48 : 36, le));
    if (v.getUint16(frame.is64 ? 58 : 46, le) !== (frame.is64 ? 64 : 40)) return this.unreadable(D_EHDR);
    return 0;
  }

  /** An address-sized field as a number; -1 when it is 2 GiB or more. */
  word(at: number): number {
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
    this.shstrtab = from;
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
    let strings = 0;
    for (let i = 1; i < this.count; i++) if (s[i * S_WORDS + S_TYPE] === SHT_SYMTAB) strings = s[i * S_WORDS + S_LINK]!;
    for (let i = 1; i < this.count; i++) {
      const p = i * S_WORDS;
      // The symbol table goes to memory for kallsyms.
      const isInMemory = (s[p + S_FLAGS]! & SHF_ALLOC) !== 0 || s[p + S_TYPE] === SHT_SYMTAB || i === strings;
      if (!isInMemory || s[p + S_SIZE] === 0) continue;
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
  isText(at: number, text: Uint8Array): boolean {
    return this.startsWith(at, text) && this.b[at + text.length] === 0;
  }

  startsWith(at: number, text: Uint8Array): boolean {
    const { b } = this;
    for (let i = 0; i < text.length; i++) if (b[at + i] !== text[i]) return false;
    return true;
  }

  /** Whether a section goes to init memory. */
  isInit(i: number): boolean {
    return this.startsWith(this.shstrtab + this.sections[i * S_WORDS + S_NAME]!, INIT);
  }

  /** Whether a section is read-only once init has run: it has memory of its own. */
  isSealed(i: number): boolean {
    const name = this.shstrtab + this.sections[i * S_WORDS + S_NAME]!;
    return SEALED.some((text) => this.isText(name, text));
  }

  /** Whether bytes of a section are another's as well. */
  isShared(i: number): boolean {
    const { sections: s } = this;
    const from = s[i * S_WORDS + S_OFFSET]!;
    const end = from + s[i * S_WORDS + S_SIZE]!;
    for (let p = S_WORDS; p < this.count * S_WORDS; p += S_WORDS) {
      const at = s[p + S_OFFSET]!;
      if (at < end && at + s[p + S_SIZE]! > from && s[p + S_TYPE] !== SHT_NOBITS && p !== i * S_WORDS) return true;
    }
    return false;
  }

  /** Makes the 64-bit fields of a big-endian symbol table and of relocation sections little-endian, where they lie. */
  swap(): void {
    const { sections: s, words } = this;
    for (let i = 1; i < this.count; i++) {
      const p = i * S_WORDS;
      if (i !== this.symtab && s[p + S_TYPE] !== SHT_RELA) continue;
      const from = s[p + S_OFFSET]! >> 2;
      const end = from + ((s[p + S_SIZE]! >> 3) << 1);
      for (let at = from; at < end; at += 2) {
        const first = words[at]!;
        words[at] = swapped(words[at + 1]!);
        words[at + 1] = swapped(first);
      }
    }
  }

  /** Sections that are read where the file lies. */
  staysBehind(i: number): boolean {
    const { known } = this;
    return i === known[MODINFO] || i === known[VERSIONS] || i === known[EXT_CRCS] || i === known[EXT_NAMES];
  }
}
