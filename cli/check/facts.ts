/** What a module says of itself and wants of others: name, modinfo, symbol versions, imports, size. */
import { D_INFO, D_LAYOUT, D_LICENSE, D_MOD, D_SYM, D_VERS } from './doubts.ts';
import {
  ascii,
  CTORS,
  EXT_CRCS,
  EXT_NAMES,
  type Image,
  INIT_ARRAY,
  MODINFO,
  PERCPU,
  S_ALIGN,
  S_FLAGS,
  S_LINK,
  S_OFFSET,
  S_SIZE,
  S_TYPE,
  S_WORDS,
  SHF_ALLOC,
  SHN_ABS,
  SHN_LORESERVE,
  SHT_PROGBITS,
  SHT_STRTAB,
  SHT_SYMTAB,
  THIS_MODULE,
  VERSIONS,
} from './image.ts';
import type { Names } from './names.ts';
import {
  FLAGS,
  HAS_CRC,
  HAS_VERSIONS,
  IMPORTS,
  MEMORY,
  NAME,
  NAMESPACES,
  PROPRIETARY,
  SOFTDEPS,
  STRUCT_SIZE,
  VERMAGIC,
  WEAK,
  type Words,
} from './records.ts';

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

/** More than this no module needs; what claims more is left to insmod. */
const MEMORY_LIMIT = 1 << 27;
const PERCPU_LIMIT = 32 << 10;

/** Reads them from one image after the other into the record at hand; each gives a number of DOUBTS. */
export class Facts {
  private readonly image: Image;
  private readonly names: Names;
  private readonly out: Words;
  /** By name: its CRC, where the image has met it in this generation. */
  private readonly crcs: Int32Array;
  private readonly moduleLayout: number;
  private readonly refused: ReadonlySet<number>;
  /** Namespaces, then softdeps of the module at hand. */
  private readonly lists: number[] = [];
  private namespaces = 0;
  private softdeps = 0;

  constructor(image: Image, names: Names, out: Words) {
    this.image = image;
    this.names = names;
    this.out = out;
    this.crcs = new Int32Array(names.shared.ids);
    this.moduleLayout = names.of('module_layout');
    this.refused = new Set(OFFENDERS.map((name) => names.of(name)));
  }

  thisModule(): number {
    const { image, out, names } = this;
    const { sections: s, known, frame, b } = image;
    const p = known[THIS_MODULE]! * S_WORDS;
    const at = s[p + S_OFFSET]! + (frame.is64 ? 24 : 12);
    const room = frame.is64 ? 56 : 60;
    if (p === 0 || s[p + S_TYPE] !== SHT_PROGBITS || s[p + S_SIZE]! < room + (frame.is64 ? 24 : 12)) return D_MOD;
    out.set(STRUCT_SIZE, s[p + S_SIZE]!);
    const name = names.internString(b, at, at + room);
    if (name < 0 || this.refused.has(name)) return D_MOD;
    out.set(NAME, name);
    return 0;
  }

  /** Start and end of the entries of `.modinfo`, which must end with a NUL. */
  modinfo(): number {
    const { image, out, names } = this;
    const { sections: s, known, b } = image;
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
      } else if (c === 0x76 && out.head(VERMAGIC) === 0 && image.startsWith(at, VERMAGIC_TAG))
        out.set(VERMAGIC, names.internString(b, at + VERMAGIC_TAG.length, end));
      else if (c === 0x6c && license < 0 && image.startsWith(at, LICENSE_TAG)) license = at + LICENSE_TAG.length;
      else if (c === 0x69 && image.startsWith(at, IMPORT_NS_TAG)) {
        if (image.startsWith(at + IMPORT_NS_TAG.length, MODULE_COLON)) why = D_INFO;
        this.lists.splice(this.namespaces++, 0, names.internString(b, at + IMPORT_NS_TAG.length, end));
      } else if (c === 0x73 && image.startsWith(at, SOFTDEP_TAG)) {
        this.lists.push(names.internString(b, at + SOFTDEP_TAG.length, end));
        this.softdeps++;
      } else if (c === 0x6c && image.startsWith(at, LIVEPATCH_TAG)) why = D_INFO;
      at = b.indexOf(0, at);
      while (at < end && b[at] === 0) at++;
    }
    if (out.head(VERMAGIC) === 0) why = D_INFO;
    if (license < 0 || !LICENSES.some((text) => image.isText(license, text))) {
      out.set(FLAGS, out.head(FLAGS) | PROPRIETARY);
      why = D_LICENSE;
    }
    return why;
  }

  tail(): void {
    const { out, lists } = this;
    for (const id of lists) out.push(id);
    out.set(NAMESPACES, this.namespaces);
    out.set(SOFTDEPS, this.softdeps);
  }

  /** CRCs by name; the first entry of a name counts. */
  versions(): number {
    const { image, out, names, crcs } = this;
    const { sections: s, known, v, b, frame, seen } = image;
    const le = frame.little;
    const generation = ++image.generation;
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
      out.set(FLAGS, out.head(FLAGS) | HAS_VERSIONS);
      return why;
    }
    const p = known[VERSIONS]! * S_WORDS;
    if (p === 0) return frame.modversions ? D_VERS : 0;
    if (s[p + S_TYPE] !== SHT_PROGBITS) return D_VERS;
    out.set(FLAGS, out.head(FLAGS) | HAS_VERSIONS);
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
  symbols(): number {
    const { image, out, names, crcs } = this;
    const { sections: s, v, b, frame, seen, generation } = image;
    const { is64, little: le } = frame;
    let symtab = 0;
    let why = 0;
    image.symtab = 0;
    for (let i = 1; i < image.count; i++) {
      if (s[i * S_WORDS + S_TYPE] !== SHT_SYMTAB) continue;
      if (symtab !== 0) why = D_SYM;
      else symtab = i;
    }
    const p = symtab * S_WORDS;
    const strings = s[p + S_LINK]!;
    if (symtab === 0 || strings <= 0 || strings >= image.count) return D_SYM;
    const t = strings * S_WORDS;
    const from = s[t + S_OFFSET]!;
    const end = from + s[t + S_SIZE]!;
    if (s[t + S_TYPE] !== SHT_STRTAB || end === from || b[from] !== 0 || b[end - 1] !== 0) return D_SYM;
    image.symtab = symtab;

    const size = is64 ? 24 : 16;
    const count = Math.floor(s[p + S_SIZE]! / size);
    const shndxAt = s[p + S_OFFSET]! + (is64 ? 6 : 14);
    const infoAt = s[p + S_OFFSET]! + (is64 ? 4 : 12);
    const tables = s[p + S_OFFSET]!;
    const shnum = image.count;
    const all = frame.version === '7.2';
    let imports = 0;
    if (s[p + S_OFFSET]! % 8 !== 0) why = D_SYM;
    if (all && count > 0 && v.getUint32(tables, le) >= end - from) why = D_SYM;
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
    out.set(IMPORTS, imports);
    // More sections than numbers below the reserved ones.
    return shnum >= SHN_LORESERVE ? D_SYM : why;
  }

  /** What is in memory: its size, alignments that the allocator keeps, no more per-CPU data than there is room for. */
  layout(): number {
    const { image, out } = this;
    const { sections: s, known } = image;
    let memory = 0;
    let why = 0;
    for (let i = 1; i < image.count; i++) {
      const p = i * S_WORDS;
      const align = s[p + S_ALIGN]!;
      if ((s[p + S_FLAGS]! & SHF_ALLOC) === 0) continue;
      if ((align & (align - 1)) !== 0 || align > 1 << 16) why = D_LAYOUT;
      memory += s[p + S_SIZE]! + align;
    }
    const percpu = known[PERCPU]! * S_WORDS;
    if (percpu !== 0 && s[percpu + S_SIZE]! > PERCPU_LIMIT) why = D_LAYOUT;
    if (known[CTORS] !== 0 && known[INIT_ARRAY] !== 0) why = D_LAYOUT;
    out.set(MEMORY, Math.min(memory, MEMORY_LIMIT));
    return memory + image.len >= MEMORY_LIMIT ? D_LAYOUT : why;
  }
}
