/** Bytes, eight at a time. The last word may reach behind the last byte; what is there does not matter. */

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/** The lowest bit that is set tells the first byte that is zero. */
export function zerosOf(word: u64): u64 {
  return (word - ONES) & ~word & TOPS;
}

/** The lowest `count` bytes of a word, one to seven. */
export function lowBytes(word: u64, count: i32): u64 {
  return word & (((<u64>1) << ((<u64>count) << 3)) - 1);
}

/** The first NUL at or behind `at`; there must be one. */
export function nul(at: usize): usize {
  let zeros = zerosOf(load<u64>(at));
  while (zeros === 0) {
    at += 8;
    zeros = zerosOf(load<u64>(at));
  }
  return at + (<usize>ctz(zeros) >> 3);
}

/** The first `byte` at or behind `at`; `end` where there is none before it. */
export function indexOf(byte: u8, at: usize, end: usize): usize {
  const pattern = <u64>byte * ONES;
  for (; at < end; at += 8) {
    const zeros = zerosOf(load<u64>(at) ^ pattern);
    if (zeros !== 0) return min(at + (<usize>ctz(zeros) >> 3), end);
  }
  return end;
}
