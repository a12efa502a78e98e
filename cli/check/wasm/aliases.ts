/** modules.alias: whom depmod's aliases are for, and which of them could be a name. */
import { indexOf } from './bytes';
import { find, findNothing, found, foundWords } from './found';
import { alloc } from './memory';
import { moduleName, nameAt, nameLength, nameRoom } from './names';

const LF: u8 = 10,
  SPACE: u8 = 0x20,
  DASH: u8 = 0x2d,
  UNDERSCORE: u8 = 0x5f,
  COLON: u8 = 0x3a;
/** `alias ` */
const ALIAS: u32 = 0x6169_6c61,
  S_SPACE: u16 = 0x2073;

/** By name: -1 for a module of the tree, else how many aliases there are for it. */
let marks: usize = 0;

/** Takes down the modules of the tree, by their paths, a line each. */
export function markModules(from: usize, end: usize): void {
  marks = alloc((<usize>nameRoom()) << 2);
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    store<i32>(marks + ((<usize>moduleName(at, <i32>(eol - at))) << 2), -1);
    at = eol + 1;
  }
}

export function isModule(name: i32): bool {
  return load<i32>(marks + ((<usize>name) << 2)) === -1;
}

/** Finds aliases that could be a name, none of a device: where the line begins and where it ends. Gives their number. */
export function namesInAliases(from: usize, end: usize): i32 {
  findNothing();
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    if (isAlias(at) && isPlain(at + 6, eol)) {
      const word = find(2);
      store<u32>(word, <u32>at);
      store<u32>(word, <u32>eol, 4);
    }
    at = eol + 1;
  }
  return foundWords() >> 1;
}

/** Whether there is an alias of just these characters, - and _ being the same. */
export function hasAlias(from: usize, end: usize, name: i32): bool {
  const text = nameAt(name);
  const length = nameLength(name);
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    if (isAlias(at) && isSame(at + 6, text, length)) return true;
    at = eol + 1;
  }
  return false;
}

function isSame(pattern: usize, name: usize, length: i32): bool {
  for (let i = 0; i < length; i++) {
    const c = load<u8>(pattern + i);
    if (load<u8>(name + i) !== (c === DASH ? UNDERSCORE : c)) return false;
  }
  return load<u8>(pattern + length) === SPACE;
}

/** Finds modules that are gone but have aliases: their names and how many. Gives their number. */
export function strayAliases(from: usize, end: usize): i32 {
  findNothing();
  let last: usize = from;
  let length = 0;
  let mark: usize = 0;
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    if (isAlias(at)) {
      // Aliases of one module stand together: the line ends as the last one did, blank included.
      if (mark === 0 || eol < at + length || memory.compare(eol - length, last, length) !== 0) {
        last = wordAt(at, eol);
        length = <i32>(eol - last);
        mark = marks + ((<usize>moduleName(last + 1, length - 1)) << 2);
      }
      if (load<i32>(mark) >= 0) store<i32>(mark, load<i32>(mark) + 1);
      if (load<i32>(mark) === 1) {
        const word = find(2);
        store<u32>(word, <u32>(mark - marks) >> 2);
      }
    }
    at = eol + 1;
  }
  const count = foundWords() >> 1;
  for (let n = 0; n < count; n++) {
    const word = found + ((<usize>n) << 3);
    store<i32>(word, load<i32>(marks + ((<usize>load<u32>(word)) << 2)), 4);
  }
  return count;
}

function isAlias(at: usize): bool {
  return load<u32>(at) === ALIAS && load<u16>(at, 4) === S_SPACE;
}

/** Whether a pattern has no colon in it. */
function isPlain(at: usize, end: usize): bool {
  return indexOf(COLON, at, indexOf(SPACE, at, end)) === indexOf(SPACE, at, end);
}

/** The blank before the last word. */
function wordAt(at: usize, end: usize): usize {
  let blank = end - 1;
  while (blank > at && load<u8>(blank) !== SPACE) blank--;
  return blank;
}
