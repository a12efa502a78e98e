/**
 * Linear memory, which all threads share: everything that lives as long as the check is taken from one heap and not given
 * back. What only one thread knows lies there too; it keeps the addresses in its globals.
 */

/** Where the address of the next free byte stands. */
export const HEAP: usize = 64;
const PAGE = 16;
/** No address is negative. */
const END: u64 = 1 << 31;

/** `bytes` of zeros at a multiple of 16. Traps where there is no more, and takes nothing then. */
export function alloc(bytes: usize): usize {
  while (true) {
    const at = atomic.load<u32>(HEAP);
    const end = (<u64>at + <u64>bytes + 15) & ~15;
    reach(end);
    if (atomic.cmpxchg<u32>(HEAP, at, <u32>end) === at) return at;
  }
}

/** Grows memory so far, unless another thread has. */
function reach(end: u64): void {
  if (end > END) unreachable();
  for (let have = (<u64>memory.size()) << PAGE; end > have; have = (<u64>memory.size()) << PAGE) {
    const pages = (end - have + ((1 << PAGE) - 1)) >> PAGE;
    if (memory.grow(<i32>pages) < 0 && (<u64>memory.size()) << PAGE < end) unreachable();
  }
}

/** A larger piece with what the smaller one held. */
export function moved(from: usize, bytes: usize, larger: usize): usize {
  const to = alloc(larger);
  memory.copy(to, from, bytes);
  return to;
}
