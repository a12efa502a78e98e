/** Module.symvers, read where it lies. */
import { LISTED, LISTED_CRC, LISTED_GPL } from '../export-rows';
import { VMLINUX } from '../well-known';
import { indexOf } from './bytes';
import { listExport, unlist } from './link';
import { intern, moduleName } from './names';

const TAB: u8 = 9,
  LF: u8 = 10,
  CR: u8 = 13;
/** Lengths of EXPORT_SYMBOL and EXPORT_SYMBOL_GPL. */
const PLAIN: i32 = 13,
  GPL: i32 = 17;

/** Lines of one owner stand together, mostly: the last one's text and number. */
let owner: usize = 0;
let ownerLength: i32 = 0;
let module: i32 = 0;
/** All CRCs so far, one over the other. */
let crcs: u32 = 0;

/** Lists every line. False for one that is odd in any way: that is for the parser that has the words for it. */
export function symvers(from: usize, end: usize): bool {
  ownerLength = -1;
  crcs = 0;
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    const to = eol > at && load<u8>(eol - 1) === CR ? eol - 1 : eol;
    if (to > at && !line(at, to)) return false;
    at = eol + 1;
  }
  // A build without CONFIG_MODVERSIONS writes 0 for every CRC.
  if (crcs === 0) unlist(LISTED_CRC);
  return true;
}

/** CRC, name, owner, kind and namespace. A function of its own: what is called often is compiled well. */
function line(at: usize, eol: usize): bool {
  const tab1 = indexOf(TAB, at, eol);
  const tab2 = indexOf(TAB, tab1 + 1, eol);
  const tab3 = indexOf(TAB, tab2 + 1, eol);
  const tab4 = indexOf(TAB, tab3 + 1, eol);
  const kind = <i32>(tab4 - tab3) - 1;
  const crc = hex(at, tab1);
  if (tab3 >= eol || tab1 + 1 >= tab2 || tab2 + 1 >= tab3 || crc < 0 || (kind !== PLAIN && kind !== GPL)) return false;
  const length = <i32>(tab3 - tab2) - 1;
  if (length !== ownerLength || memory.compare(owner, tab2 + 1, length) !== 0) {
    owner = tab2 + 1;
    ownerLength = length;
    const isKernels = intern(owner, length) === VMLINUX;
    module = isKernels ? 0 : moduleName(owner, length);
  }
  const namespace = tab4 < eol ? intern(tab4 + 1, <i32>(eol - tab4) - 1) : 0;
  const bits = LISTED | LISTED_CRC | (kind === GPL ? LISTED_GPL : 0);
  listExport(intern(tab1 + 1, <i32>(tab2 - tab1) - 1), bits, <i32>crc, namespace, module);
  crcs |= <u32>crc;
  return true;
}

/** `0x` and one to eight digits, or -1. */
function hex(at: usize, end: usize): i64 {
  if (end < at + 3 || end > at + 10 || load<u16>(at) !== 0x7830) return -1;
  let value: i64 = 0;
  for (let p = at + 2; p < end; p++) {
    const c = <i64>load<u8>(p);
    const digit = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
