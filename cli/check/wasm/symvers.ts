/** Module.symvers, read where it lies. */
import { LISTED, LISTED_CRC, LISTED_GPL } from '../export-rows';
import { VMLINUX } from '../well-known';
import { listExport, unlist } from './link';
import { alloc } from './memory';
import { intern } from './names';

const TAB: u8 = 9,
  LF: u8 = 10,
  CR: u8 = 13,
  DASH: u8 = 0x2d,
  DOT: u8 = 0x2e,
  SLASH: u8 = 0x2f,
  UNDERSCORE: u8 = 0x5f;
/** Longest name of a module that is looked at. */
const NAME_ROOM: i32 = 256;
/** Lengths of EXPORT_SYMBOL and EXPORT_SYMBOL_GPL. */
const PLAIN: i32 = 13,
  GPL: i32 = 17;

/** Lists every line. False for one that is odd in any way: that is for the parser that has the words for it. */
export function symvers(from: usize, end: usize): bool {
  const name = alloc(NAME_ROOM);
  let owner: usize = 0;
  let ownerLength = -1;
  let module = 0;
  let anyCrc: u32 = 0;
  for (let at = from; at < end; ) {
    let eol = at;
    while (eol < end && load<u8>(eol) !== LF) eol++;
    const next = eol + 1;
    if (eol > at && load<u8>(eol - 1) === CR) eol--;
    if (eol > at) {
      const tab1 = tabAt(at, eol);
      const tab2 = tabAt(tab1 + 1, eol);
      const tab3 = tabAt(tab2 + 1, eol);
      const tab4 = tabAt(tab3 + 1, eol);
      const kind = <i32>(tab4 - tab3) - 1;
      const crc = hex(at, tab1);
      if (tab3 >= eol || tab1 + 1 >= tab2 || tab2 + 1 >= tab3 || crc < 0 || (kind !== PLAIN && kind !== GPL))
        return false;
      // Lines of one owner stand together, mostly.
      const length = <i32>(tab3 - tab2) - 1;
      if (length !== ownerLength || !same(owner, tab2 + 1, length)) {
        owner = tab2 + 1;
        ownerLength = length;
        if (length > NAME_ROOM) return false;
        module = moduleOf(owner, length, name);
      }
      const namespace = tab4 < eol ? intern(tab4 + 1, <i32>(eol - tab4) - 1) : 0;
      const bits = LISTED | LISTED_CRC | (kind === GPL ? LISTED_GPL : 0);
      listExport(intern(tab1 + 1, <i32>(tab2 - tab1) - 1), bits, <i32>crc, namespace, module);
      anyCrc |= <u32>crc;
    }
    at = next;
  }
  // A build without CONFIG_MODVERSIONS writes 0 for every CRC.
  if (anyCrc === 0) unlist(LISTED_CRC);
  return true;
}

/** The name of a module by its path, as kmod's path_to_modname(); 0 for vmlinux. */
function moduleOf(path: usize, length: i32, name: usize): i32 {
  let used = 0;
  let hasEnded = false;
  for (let i = 0; i < length; i++) {
    const c = load<u8>(path + i);
    if (c === SLASH) {
      used = 0;
      hasEnded = false;
    } else if (c === DOT) hasEnded = true;
    else if (!hasEnded) store<u8>(name + used++, c === DASH ? UNDERSCORE : c);
  }
  const id = intern(name, used);
  return id === VMLINUX && used === length ? 0 : id;
}

function same(a: usize, b: usize, length: i32): bool {
  for (let i = 0; i < length; i++) if (load<u8>(a + i) !== load<u8>(b + i)) return false;
  return true;
}

function tabAt(at: usize, end: usize): usize {
  while (at < end && load<u8>(at) !== TAB) at++;
  return at;
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
