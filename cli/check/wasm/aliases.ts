/** modules.alias: whom depmod's aliases are for, and which names they give. */
import { indexOf, lowBytes, zerosOf } from './bytes';
import { find, findNothing, foundWords } from './found';
import { alloc } from './memory';
import { knownAlias, moduleName, nameRoom } from './names';

const LF: u8 = 10,
  SPACE: u8 = 0x20;
/** `alias ` as words. */
const ALIAS: u32 = 0x6169_6c61,
  S_SPACE: u16 = 0x2073;

/** By name, bits: a module of the tree, an alias of just these characters; and how many aliases there are for it. */
let marks: usize = 0;
const MODULE = 1,
  ALIASED = 2,
  ONE = 4;

/** The last word of the last line, blank included, and whose it is: aliases of one module stand together. */
let last: usize = 0;
let lastLength: i32 = 0;
let lastMark: usize = 0;

function markOf(name: i32): usize {
  return marks + ((<usize>name) << 2);
}

/** Takes down the modules of the tree, by their paths, a line each. */
export function markModules(from: usize, end: usize): void {
  marks = alloc((<usize>nameRoom()) << 2);
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    store<i32>(markOf(moduleName(at, <i32>(eol - at))), MODULE);
    at = eol + 1;
  }
}

/** Whether a name is a module's, or an alias of just these characters; - and _ are the same. */
export function isModuleOrAlias(name: i32): bool {
  return (load<i32>(markOf(name)) & (MODULE | ALIASED)) !== 0;
}

export function aliasCount(module: i32): i32 {
  return load<i32>(markOf(module)) / ONE;
}

/**
 * Reads all lines. Finds, two words each, patterns with wildcards that could be a name and none of a device, as they have
 * no colon: where they begin and end; and modules that are gone: 0 and the name. Gives their number.
 */
export function readAliases(from: usize, end: usize): i32 {
  findNothing();
  lastMark = 0;
  for (let at = from; at < end; ) {
    const eol = indexOf(LF, at, end);
    if (load<u32>(at) === ALIAS && load<u16>(at, 4) === S_SPACE) alias(at + 6, eol);
    at = eol + 1;
  }
  return foundWords() >> 1;
}

function alias(pattern: usize, eol: usize): void {
  const end = indexOf(SPACE, pattern, eol);
  // Nobody's.
  if (end === eol) return;
  if (lastMark === 0 || eol < pattern + lastLength || memory.compare(eol - lastLength, last, lastLength) !== 0) {
    last = eol - 1;
    while (last > pattern && load<u8>(last) !== SPACE) last--;
    lastLength = <i32>(eol - last);
    const name = moduleName(last + 1, lastLength - 1);
    lastMark = markOf(name);
    if (load<i32>(lastMark) < ONE && (load<i32>(lastMark) & MODULE) === 0) {
      const word = find(2);
      store<u32>(word, 0);
      store<i32>(word, name, 4);
    }
  }
  store<i32>(lastMark, load<i32>(lastMark) + ONE);
  if (!isWild(pattern, end)) {
    // Names that somebody asks for are known already.
    const name = knownAlias(pattern, <i32>(end - pattern));
    if (name > 0) store<i32>(markOf(name), load<i32>(markOf(name)) | ALIASED);
  } else if (indexOf(0x3a, pattern, end) === end) {
    const word = find(2);
    store<u32>(word, <u32>pattern);
    store<u32>(word, <u32>end, 4);
  }
}

/** Whether there is a `*`, `?` or `[`. */
function isWild(at: usize, end: usize): bool {
  for (; at < end; at += 8) {
    const left = <i32>(end - at);
    const word = left < 8 ? lowBytes(load<u64>(at), left) : load<u64>(at);
    const stars = zerosOf(word ^ 0x2a2a_2a2a_2a2a_2a2a);
    if ((stars | zerosOf(word ^ 0x3f3f_3f3f_3f3f_3f3f) | zerosOf(word ^ 0x5b5b_5b5b_5b5b_5b5b)) !== 0) return true;
  }
  return false;
}
