/** Pairs of integers with a few flags; emptied and filled for each module without an allocation. */
import { alloc } from './memory';

/** An entry: generation, flags, the pair. */
const ENTRY: usize = 5;

let table: usize = 0;
let mask: u32 = 0;
let generation: i32 = 0;
/** Pairs that it holds. */
export let keyCount: i32 = 0;

export function attachKeys(): void {
  table = alloc(256 << ENTRY);
  mask = 255;
}

export function clearKeys(): void {
  keyCount = 0;
  generation++;
}

/** Sets flags of a pair, and gives those that it had. */
export function addKey(a: i64, b: i64, flags: i32): i32 {
  if (<u32>keyCount * 2 > mask) grow();
  const at = find(a, b);
  if (load<i32>(at) !== generation) {
    store<i32>(at, generation);
    store<i32>(at, 0, 4);
    store<i64>(at, a, 8);
    store<i64>(at, b, 16);
    keyCount++;
  }
  const before = load<i32>(at, 4);
  store<i32>(at, before | flags, 4);
  return before;
}

function find(a: i64, b: i64): usize {
  const hash = (((a * 0x9e37_79b9_7f4a_7c15) ^ b) * 0xff51_afd7_ed55_8ccd) >>> 32;
  let p = <u32>hash & mask;
  while (true) {
    const at = table + ((<usize>p) << ENTRY);
    if (load<i32>(at) !== generation || (load<i64>(at, 8) === a && load<i64>(at, 16) === b)) return at;
    p = (p + 1) & mask;
  }
}

function grow(): void {
  const old = table;
  const slots = mask + 1;
  table = alloc((<usize>slots * 2) << ENTRY);
  mask = slots * 2 - 1;
  for (let p: u32 = 0; p < slots; p++) {
    const from = old + ((<usize>p) << ENTRY);
    if (load<i32>(from) !== generation) continue;
    memory.copy(find(load<i64>(from, 8), load<i64>(from, 16)), from, 1 << ENTRY);
  }
}
