/**
 * Linear memory, which all threads share: everything that lives as long as the check is taken from one heap and never
 * given back. What only one thread knows lies there too; it keeps the addresses in its globals.
 */

/** Where the address of the next free byte stands. */
export const HEAP: usize = 64;
const PAGE = 16;

/** `bytes` of zeros at a multiple of 16. Traps where there is no more. */
export function alloc(bytes: usize): usize {
  const size = (bytes + 15) & ~15;
  const at: usize = atomic.add<u32>(HEAP, <u32>size);
  const end = <u64>at + <u64>size;
  // Another thread may have grown it meanwhile.
  for (let have = (<u64>memory.size()) << PAGE; end > have; have = (<u64>memory.size()) << PAGE) {
    const pages = (end - have + ((1 << PAGE) - 1)) >> PAGE;
    if (pages > 0xffff || (memory.grow(<i32>pages) < 0 && (<u64>memory.size()) << PAGE < end)) {
      atomic.sub<u32>(HEAP, <u32>size);
      unreachable();
    }
  }
  return at;
}

/** A larger piece with what the smaller one held. */
export function moved(from: usize, bytes: usize, larger: usize): usize {
  const to = alloc(larger);
  memory.copy(to, from, bytes);
  return to;
}
