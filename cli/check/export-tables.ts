/** __ksymtab and its companions, read from the relocations that will fill them. */
import { D_EXPORTS } from './doubts.ts';
import {
  type Image,
  KCRCTAB,
  KCRCTAB_GPL,
  KFLAGSTAB,
  KSYMTAB,
  KSYMTAB_GPL,
  S_FLAGS,
  S_INFO,
  S_OFFSET,
  S_SIZE,
  S_TYPE,
  S_WORDS,
  SHF_ALLOC,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
} from './image.ts';
import type { Names } from './names.ts';
import { EXPORT_WORDS, EXPORTS, GPL_ONLY, HAS_CRC, type Words } from './records.ts';

export class ExportTables {
  private readonly image: Image;
  private readonly names: Names;
  private readonly out: Words;
  private exported = 0;

  constructor(image: Image, names: Names, out: Words) {
    this.image = image;
    this.names = names;
    this.out = out;
  }

  /** Puts them into the record; gives a number of DOUBTS. S + A is where a name and a namespace stand. */
  read(): number {
    const { image, out } = this;
    const { known, frame } = image;
    this.exported = 0;
    const seven = frame.version === '7.2';
    if (known[KSYMTAB] === 0 && known[KSYMTAB_GPL] === 0) return 0;
    if (frame.proof === undefined || image.words.length === 0) return D_EXPORTS;
    if (seven && (known[KSYMTAB_GPL] !== 0 || known[KCRCTAB_GPL] !== 0)) return D_EXPORTS;
    let why = 0;
    if (known[KSYMTAB] !== 0)
      why = this.exportTable(known[KSYMTAB]!, known[KCRCTAB]!, 0, seven ? known[KFLAGSTAB]! : -1);
    if (known[KSYMTAB_GPL] !== 0) why = this.exportTable(known[KSYMTAB_GPL]!, known[KCRCTAB_GPL]!, GPL_ONLY, -1) || why;
    out.set(EXPORTS, this.exported);
    return why;
  }

  private exportTable(table: number, crctab: number, gpl: number, flagtab: number): number {
    const { image, names, out } = this;
    const { sections: s, v, b, frame } = image;
    const t = table * S_WORDS;
    const crcs = crctab * S_WORDS;
    const unit = frame.proof!.exportWord;
    const entry = 3 * unit;
    const count = Math.floor(s[t + S_SIZE]! / entry);
    if (s[t + S_TYPE] !== SHT_PROGBITS || (count > 0 && (flagtab === 0 || (frame.modversions && crctab === 0))))
      return D_EXPORTS;
    if (crctab !== 0 && (s[crcs + S_TYPE] !== SHT_PROGBITS || s[crcs + S_SIZE]! < count * 4)) return D_EXPORTS;
    const first = out.length;
    const words = out.reserve(count * EXPORT_WORDS);
    for (let i = 0; i < count; i++) {
      const p = first + i * EXPORT_WORDS;
      const flag = flagtab > 0 ? b[s[flagtab * S_WORDS + S_OFFSET]! + i]! & 1 : gpl;
      words[p] = -1;
      words[p + 1] = flag | (crctab === 0 ? 0 : HAS_CRC);
      words[p + 2] = crctab === 0 ? 0 : v.getInt32(s[crcs + S_OFFSET]! + i * 4, frame.little);
      words[p + 3] = -1;
    }
    out.length += count * EXPORT_WORDS;
    this.exported += count;
    let why = flagtab > 0 && s[flagtab * S_WORDS + S_SIZE]! < count ? D_EXPORTS : 0;
    for (let i = 1; i < image.count; i++) {
      const r = i * S_WORDS;
      const target = s[r + S_INFO];
      if (s[r + S_TYPE] !== SHT_RELA && s[r + S_TYPE] !== SHT_REL) continue;
      if (target === crctab && crctab !== 0) why = D_EXPORTS;
      if (target === table && !this.entries(r, first, unit, count)) return D_EXPORTS;
    }
    for (let i = 0; i < count; i++) {
      const p = first + i * EXPORT_WORDS;
      if (out.words[p]! <= 0) return D_EXPORTS;
      if (out.words[p + 3]! >= 0) continue;
      // No namespace, if nothing stands there either.
      out.words[p + 3] = 0;
      const at = s[t + S_OFFSET]! + i * entry + 2 * unit;
      for (let k = 0; k < unit; k++) if (b[at + k] !== 0) why = D_EXPORTS;
    }
    // The kernel looks them up with bsearch(): an unsorted table hides some.
    for (let i = 1; i < count; i++) {
      const p = first + i * EXPORT_WORDS;
      if (names.compare(out.words[p - EXPORT_WORDS]!, out.words[p]!) >= 0) return D_EXPORTS;
    }
    return why;
  }

  /** The relocations of a table, at section header `r`; false where they are none that EXPORT_SYMBOL() makes. */
  private entries(r: number, first: number, unit: number, count: number): boolean {
    const { image, names, out } = this;
    const { sections: s, b, words, symtab } = image;
    const { exportType } = image.frame.proof!;
    const shndxOf = image.frame.little ? 1 : 0;
    const symbols = Math.floor(s[symtab * S_WORDS + S_SIZE]! / 24);
    const table = s[symtab * S_WORDS + S_OFFSET]! >> 2;
    const from = s[r + S_OFFSET]!;
    if (from % 4 !== 0 || s[r + S_TYPE] !== SHT_RELA) return false;
    const end = (from >> 2) + Math.floor(s[r + S_SIZE]! / 24) * 6;
    for (let at = from >> 2; at < end; at += 6) {
      const place = words[at]!;
      const sym = words[at + 3]! >>> 0;
      if (words[at + 1] !== 0 || place < 0 || place >= count * 3 * unit) return false;
      if (words[at + 2] !== exportType || sym >= symbols) return false;
      const field = place % (3 * unit);
      if (field === 0) continue;
      const q = table + sym * 6;
      const shndx = shndxOf === 1 ? words[q + 1]! >>> 16 : words[q]! & 0xffff;
      const value = words[q + 2]!;
      if ((field !== unit && field !== 2 * unit) || shndx === 0 || shndx >= image.count) return false;
      if (value < 0 || words[q + 3] !== 0) return false;
      const p = shndx * S_WORDS;
      const offset = value + words[at + 4]!;
      const limit = s[p + S_OFFSET]! + s[p + S_SIZE]!;
      if (s[p + S_TYPE] !== SHT_PROGBITS || (s[p + S_FLAGS]! & SHF_ALLOC) === 0 || offset < 0) return false;
      const id = names.internString(b, s[p + S_OFFSET]! + offset, limit);
      const word = first + ((place - field) / (3 * unit)) * EXPORT_WORDS + (field === unit ? 0 : 3);
      // Twice the same place: the second would find it filled.
      if (id < 0 || out.words[word] !== -1) return false;
      out.words[word] = id;
    }
    return true;
  }
}
