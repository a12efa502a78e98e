/** What a call has found, for whoever called: 32-bit words one after the other, good until the next call that finds something. */
import { moved } from './memory';

export let found: usize = 0;
let room: usize = 0;
let bytes: usize = 0;

export function findNothing(): void {
  bytes = 0;
}

export function foundWords(): i32 {
  return <i32>(bytes >> 2);
}

/** Room for `words` more, which is where they go. */
export function find(words: usize): usize {
  const more = words << 2;
  if (bytes + more > room) {
    const larger = max(room * 2, max<usize>(more, 1 << 12));
    found = moved(found, bytes, larger);
    room = larger;
  }
  const at = found + bytes;
  bytes += more;
  return at;
}
