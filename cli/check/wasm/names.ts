/**
 * Names as numbers, the same for all threads: every symbol, namespace and module name of a tree is kept once and compared
 * as bytes, eight at a time. Open addressing; a slot holds a name's number, and 0 where it is free: 0 is the empty name.
 */
import { lowBytes, zerosOf } from './bytes';
import { alloc } from './memory';

/** Words of the header. */
const COUNT: usize = 0,
  USED: usize = 4,
  IDS: usize = 8,
  TEXT_ROOM: usize = 12,
  MASK: usize = 16,
  FULL: usize = 20,
  HEADER: usize = 32;
/** An entry: hash, where the text begins, its length. Texts begin at multiples of 8 and end in zeros. */
const ENTRY: usize = 4;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const PRIME: u64 = 0xff51_afd7_ed55_8ccd;

let header: usize = 0;
let slots: usize = 0;
let entries: usize = 0;
let text: usize = 0;
let mask: u32 = 0;

/** Room for `ids` names of `bytes` together; gives the address by which other threads attach. */
export function createNames(ids: i32, bytes: i32): usize {
  let size: u32 = 16;
  while (size < <u32>ids * 2) size *= 2;
  const at = alloc(HEADER + size * 4 + ((<usize>ids) << ENTRY) + bytes);
  store<i32>(at, 1, COUNT);
  store<i32>(at, ids, IDS);
  store<i32>(at, bytes, TEXT_ROOM);
  store<u32>(at, size - 1, MASK);
  return at;
}

export function attachNames(at: usize): void {
  header = at;
  mask = load<u32>(at, MASK);
  slots = at + HEADER;
  entries = slots + (<usize>mask + 1) * 4;
  text = entries + ((<usize>load<i32>(at, IDS)) << ENTRY);
}

export function nameRoom(): i32 {
  return load<i32>(header, IDS);
}

/** Names so far, the empty one among them; a few numbers may be nobody's. */
export function nameCount(): i32 {
  return min(atomic.load<i32>(header, COUNT), load<i32>(header, IDS));
}

/** Whether a name found no room. */
export function namesFull(): bool {
  return atomic.load<i32>(header, FULL) !== 0;
}

export function nameAt(id: i32): usize {
  return text + load<u32>(entries + ((<usize>id) << ENTRY), 4);
}

export function nameLength(id: i32): i32 {
  return load<i32>(entries + ((<usize>id) << ENTRY), 8);
}

/** The number of `length` bytes. Traps where there is no room. */
export function intern(at: usize, length: i32): i32 {
  let hash = SEED;
  let left = length;
  for (; left >= 8; left -= 8, at += 8) hash = mix(hash, load<u64>(at));
  if (left > 0) hash = mix(hash, lowBytes(load<u64>(at), left));
  at -= <usize>(length - left);
  return length <= 0 ? 0 : find(at, length, hash, true);
}

/** intern() of bytes up to a NUL, which must be there before `limit`; -1 when it is not. */
export function internString(at: usize, limit: usize): i32 {
  return string(at, limit, true);
}

/** The same, but a name that nobody has is not kept: -1. */
export function knownString(at: usize, limit: usize): i32 {
  return string(at, limit, false);
}

const DASH: u8 = 0x2d,
  DOT: u8 = 0x2e,
  SLASH: u8 = 0x2f,
  UNDERSCORE: u8 = 0x5f;
/** A longer path is nobody's. */
const PATH_ROOM: i32 = 4096;
let path: usize = 0;

/** The name of a module by its path, as kmod's path_to_modname(): the last part up to its first dot, - written as _. */
export function moduleName(at: usize, length: i32): i32 {
  pathRoom();
  let used = 0;
  let hasEnded = false;
  for (let i = 0; i < min(length, PATH_ROOM); i++) {
    const c = load<u8>(at + i);
    if (c === SLASH) {
      used = 0;
      hasEnded = false;
    } else if (c === DOT) hasEnded = true;
    else if (!hasEnded) {
      store<u8>(path + used, c === DASH ? UNDERSCORE : c);
      used++;
    }
  }
  return intern(path, used);
}

/** The number of a name in which - is written as _; -1 where nobody has it. */
export function knownAlias(at: usize, length: i32): i32 {
  if (length >= PATH_ROOM) return -1;
  pathRoom();
  for (let i = 0; i < length; i++) {
    const c = load<u8>(at + i);
    store<u8>(path + i, c === DASH ? UNDERSCORE : c);
  }
  store<u8>(path + length, 0);
  return knownString(path, path + length + 1);
}

function pathRoom(): void {
  if (path === 0) path = alloc(PATH_ROOM);
}

/** strcmp(): negative, zero, positive. */
export function compareNames(a: i32, b: i32): i32 {
  const from = nameAt(a);
  const to = nameAt(b);
  const x = nameLength(a);
  const y = nameLength(b);
  const length = min(x, y);
  for (let i = 0; i < length; i++) {
    const difference = <i32>load<u8>(from + i) - <i32>load<u8>(to + i);
    if (difference !== 0) return difference;
  }
  return x - y;
}

function string(at: usize, limit: usize, keep: bool): i32 {
  let hash = SEED;
  for (let p = at; p < limit; p += 8) {
    const word = load<u64>(p);
    const zeros = zerosOf(word);
    if (zeros === 0) {
      hash = mix(hash, word);
      continue;
    }
    const left = <i32>ctz(zeros) >> 3;
    const length = <i32>(p - at) + left;
    if (at + length >= limit) return -1;
    if (length === 0) return 0;
    if (left > 0) hash = mix(hash, lowBytes(word, left));
    return find(at, length, hash, keep);
  }
  return -1;
}

function mix(hash: u64, word: u64): u64 {
  const product = (hash ^ word) * PRIME;
  return product ^ (product >> 32);
}

function find(at: usize, length: i32, hash: u64, keep: bool): i32 {
  const short = <u32>hash;
  let mine = 0;
  let p = short & mask;
  while (true) {
    const slot = slots + ((<usize>p) << 2);
    // Whoever sees a number here sees what it stands for: that was written before.
    let id = atomic.load<i32>(slot);
    if (id === 0) {
      if (!keep) return -1;
      if (mine === 0) mine = add(at, length, short);
      id = atomic.cmpxchg<i32>(slot, 0, mine);
      if (id === 0) return mine;
    }
    const entry = entries + ((<usize>id) << ENTRY);
    if (load<u32>(entry) === short && load<i32>(entry, 8) === length && same(text + load<u32>(entry, 4), at, length))
      return id;
    p = (p + 1) & mask;
  }
}

function same(kept: usize, at: usize, length: i32): bool {
  let left = length;
  for (; left >= 8; left -= 8, at += 8, kept += 8) if (load<u64>(kept) !== load<u64>(at)) return false;
  return left === 0 || load<u64>(kept) === lowBytes(load<u64>(at), left);
}

function add(at: usize, length: i32, hash: u32): i32 {
  const room = (length + 7) & ~7;
  if (namesFull()) unreachable();
  const id = atomic.add<i32>(header + COUNT, 1);
  const from = atomic.add<i32>(header + USED, room);
  if (id >= load<i32>(header, IDS) || room > load<i32>(header, TEXT_ROOM) - from) {
    atomic.store<i32>(header + FULL, 1);
    unreachable();
  }
  memory.copy(text + from, at, length);
  const entry = entries + ((<usize>id) << ENTRY);
  store<u32>(entry, hash);
  store<i32>(entry, from, 4);
  store<i32>(entry, length, 8);
  return id;
}
