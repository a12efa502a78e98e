/** __ksymtab and its companions, read from the relocations that will fill them. */
import { D_EXPORTS } from '../doubts';
import { EXPORT_WORDS, EXPORTS, GPL_ONLY, HAS_CRC } from '../records';
import { KCRCTAB, KCRCTAB_GPL, KFLAGSTAB, KSYMTAB, KSYMTAB_GPL, PERCPU, V7_2 } from '../well-known';
import { modversions, version, word } from './frame';
import {
  end,
  section,
  sh_flags,
  sh_info,
  sh_size,
  sh_type,
  SHF_ALLOC,
  shnum,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  start,
  staysBehind,
  symtab,
} from './image';
import { compareNames, internString } from './names';
import {
  exportType,
  exportWord,
  hasProof,
  isRewritten,
  r_addend,
  r_offset,
  r_sym,
  r_type,
  RELA,
  st_shndx,
  st_value,
  SYM,
} from './proof';
import { noteText } from './read-texts';
import { extend, setHead } from './record';

const BYTES: usize = EXPORT_WORDS << 2;
/** Of a word of an export that no relocation has been seen for. */
const UNSEEN = -1;

/** More than this no module has. */
const MOST_EXPORTS: i32 = 1 << 20;

let exported: i32 = 0;

/** Puts them into the record; gives a number of DOUBTS. S + A is where a name and a namespace stand. */
export function exportTables(): i32 {
  exported = 0;
  const plain = section(KSYMTAB);
  const gpl = section(KSYMTAB_GPL);
  if (plain === 0 && gpl === 0) return 0;
  if (!hasProof()) return D_EXPORTS;
  const flags = version === V7_2;
  if (flags && (gpl !== 0 || section(KCRCTAB_GPL) !== 0)) return D_EXPORTS;
  let why = 0;
  if (plain !== 0) why = exportTable(plain, section(KCRCTAB), 0, flags, section(KFLAGSTAB));
  if (gpl !== 0) {
    const doubt = exportTable(gpl, section(KCRCTAB_GPL), GPL_ONLY, false, 0);
    if (doubt !== 0) why = doubt;
  }
  setHead(EXPORTS, exported);
  return why;
}

function exportTable(table: i32, crctab: i32, gpl: i32, hasFlags: bool, flagtab: i32): i32 {
  const unit = exportWord();
  const entry = 3 * unit;
  const count = sh_size(table) / entry;
  if (sh_type(table) !== SHT_PROGBITS) return D_EXPORTS;
  if (count > 0 && ((hasFlags && flagtab === 0) || (modversions && crctab === 0))) return D_EXPORTS;
  if (count > MOST_EXPORTS) return D_EXPORTS;
  if (crctab !== 0 && (sh_type(crctab) !== SHT_PROGBITS || sh_size(crctab) < count * 4)) return D_EXPORTS;
  if (hasFlags && flagtab !== 0 && sh_type(flagtab) !== SHT_PROGBITS) return D_EXPORTS;
  const first = extend(count * EXPORT_WORDS);
  exported += count;
  for (let i = 0; i < count; i++) {
    const e = first + <usize>i * BYTES;
    const flag = !hasFlags ? gpl : i < sh_size(flagtab) ? load<u8>(start(flagtab) + i) & 1 : 0;
    store<i32>(e, UNSEEN);
    store<i32>(e, flag | (crctab === 0 ? 0 : HAS_CRC), 4);
    store<i32>(e, crctab === 0 ? 0 : word(start(crctab) + ((<usize>i) << 2)), 8);
    store<i32>(e, UNSEEN, 12);
  }
  let why = hasFlags && sh_size(flagtab) < count ? D_EXPORTS : 0;
  for (let i = 1; i < shnum; i++) {
    if (sh_type(i) !== SHT_RELA && sh_type(i) !== SHT_REL) continue;
    const to = sh_info(i);
    if (to !== 0 && (to === crctab || (hasFlags && to === flagtab))) why = D_EXPORTS;
    if (to === table && !entries(i, first, unit, count)) return D_EXPORTS;
  }
  for (let i = 0; i < count; i++) {
    const e = first + <usize>i * BYTES;
    if (load<i32>(e) <= 0) return D_EXPORTS;
    if (load<i32>(e, 12) !== UNSEEN) continue;
    // No namespace, if nothing stands there either.
    store<i32>(e, 0, 12);
    const at = start(table) + <usize>(i * entry + 2 * unit);
    for (let k = 0; k < unit; k++) if (load<u8>(at + k) !== 0) why = D_EXPORTS;
  }
  // The kernel looks them up with bsearch(): an unsorted table hides some.
  for (let i = 1; i < count; i++) {
    const e = first + <usize>i * BYTES;
    if (compareNames(load<i32>(e - BYTES), load<i32>(e)) >= 0) return D_EXPORTS;
  }
  return why;
}

/** The relocations of a table; false where they are none that EXPORT_SYMBOL() makes. */
function entries(relsec: i32, first: usize, unit: i32, count: i32): bool {
  if (sh_type(relsec) !== SHT_RELA || symtab === 0) return false;
  const symbols = <u32>sh_size(symtab) / <u32>SYM;
  const entry = 3 * unit;
  const from = start(relsec);
  const to = from + (<usize>sh_size(relsec) / RELA) * RELA;
  for (let rel = from; rel < to; rel += RELA) {
    if (r_offset(rel) >= <u64>(count * entry)) return false;
    if (r_type(rel) !== exportType() || r_sym(rel) >= symbols) return false;
    const place = <i32>r_offset(rel);
    const field = place % entry;
    if (field === 0) continue;
    const sym = start(symtab) + <usize>r_sym(rel) * SYM;
    const shndx = st_shndx(sym);
    if ((field !== unit && field !== 2 * unit) || shndx === 0 || shndx >= shnum) return false;
    if (st_value(sym) >> 31 !== 0) return false;
    const target = <i64>st_value(sym) + r_addend(rel);
    if (sh_type(shndx) !== SHT_PROGBITS || (sh_flags(shndx) & SHF_ALLOC) === 0) return false;
    // What is moved, left behind or rewritten before anybody reads a name in it.
    if (shndx === section(PERCPU) || staysBehind(shndx) || isRewritten(shndx)) return false;
    if (target < 0 || target >= <i64>sh_size(shndx)) return false;
    const id = internString(start(shndx) + <usize>target, end(shndx));
    const e = first + <usize>(place / entry) * BYTES + (field === unit ? 0 : 12);
    // Twice the same place: the second would find it filled.
    if (id < 0 || load<i32>(e) !== UNSEEN) return false;
    store<i32>(e, id);
    if (!noteText(shndx, <i32>target)) return false;
  }
  return true;
}
