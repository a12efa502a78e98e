/** Names that are read where the file lies, before it is relocated: what a relocation writes there nobody has seen. */
import { end, start } from './image';
import { moved } from './memory';

/** A text: its section, where it begins and where it ends in it. */
const ENTRY: usize = 12;

let texts: usize = 0;
let count: i32 = 0;
let room: i32 = 0;

export function forgetTexts(): void {
  count = 0;
}

/** Notes the text at an offset of a section, its NUL included; says whether it is ASCII. */
export function noteText(section: i32, offset: i32): bool {
  if (count === room) {
    const larger = max(room * 2, 64);
    texts = moved(texts, <usize>count * ENTRY, <usize>larger * ENTRY);
    room = larger;
  }
  const from = start(section) + <usize>offset;
  let to = from;
  let bits = 0;
  for (; to < end(section) && load<u8>(to) !== 0; to++) bits |= load<u8>(to);
  const text = texts + <usize>count * ENTRY;
  store<i32>(text, section);
  store<i32>(text, offset, 4);
  store<i32>(text, offset + <i32>(to - from) + 1, 8);
  count++;
  return bits < 0x80;
}

/** Whether any was read in a section. */
export function hasTexts(section: i32): bool {
  for (let n = 0; n < count; n++) if (load<i32>(texts + <usize>n * ENTRY) === section) return true;
  return false;
}

/** Whether one was read where `bytes` bytes of a section are written. */
export function isText(section: i32, offset: i32, bytes: i32): bool {
  for (let n = 0; n < count; n++) {
    const text = texts + <usize>n * ENTRY;
    if (load<i32>(text) !== section) continue;
    if (offset < load<i32>(text, 8) && offset + bytes > load<i32>(text, 4)) return true;
  }
  return false;
}
