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
import { EXPORTS, GPL_ONLY, HAS_CRC, type Words } from './records.ts';

/** R_X86_64_PC32: what EXPORT_SYMBOL() is made of where there is a proof. */
const R_PC32 = 2;

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

  /** __ksymtab by the relocations that will fill it: S + A is where a name and a namespace stand. */
  /** Puts them into the record; gives a number of DOUBTS. */
  read(): number {
    const { image, out } = this;
    const { known, frame } = image;
    this.exported = 0;
    const seven = frame.version === '7.2';
    if (known[KSYMTAB] === 0 && known[KSYMTAB_GPL] === 0) return 0;
    if (frame.proof === undefined) return D_EXPORTS;
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

    const symtab = s[image.symtab * S_WORDS + S_OFFSET]!;
    const symbols = Math.floor(s[image.symtab * S_WORDS + S_SIZE]! / 24);
    for (let i = 1; i < image.count; i++) {
      const r = i * S_WORDS;
      const target = s[r + S_INFO];
      if (s[r + S_TYPE] !== SHT_RELA && s[r + S_TYPE] !== SHT_REL) continue;
      if (target === crctab && crctab !== 0) why = D_EXPORTS;
      if (target !== table) continue;
      const end = s[r + S_OFFSET]! + s[r + S_SIZE]!;
      for (let at = s[r + S_OFFSET]!; at + 24 <= end; at += 24) {
        const place = image.word(at);
        const sym = v.getUint32(at + 12, le);
        const addend = v.getInt32(at + 16, le);
        if (place < 0 || place >= count * 12 || v.getUint32(at + 8, le) !== R_PC32 || sym >= symbols) return D_EXPORTS;
        const field = place % 12;
        if (field === 0) continue;
        const shndx = v.getUint16(symtab + sym * 24 + 6, le);
        const value = image.word(symtab + sym * 24 + 8);
        if ((field !== 4 && field !== 8) || shndx === 0 || shndx >= image.count || value < 0) return D_EXPORTS;
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
}
