import type { Entries } from './entries.ts';
import { compareVersions, type Version } from './module-view.ts';

/**
 * The kernel's sort() (lib/sort.c): a bottom-up heapsort, in place. It is not stable, and the order of equal keys
 * decides the order of PLT entries, so hooks that sort relocations must move them exactly as it does.
 *
 * From 6.9 on the two largest elements are taken off the heap at a time, and a tie between siblings goes to the right
 * one; before, one is taken and a tie goes to the left.
 *
 * @param compare negative, zero, positive for the elements at i and j
 */
export function kernelSort(
  version: Version,
  count: number,
  compare: (i: number, j: number) => number,
  swap: (i: number, j: number) => void,
): void {
  const pairs = compareVersions(version, '6.9') >= 0;
  if (count < 2) return;

  /** Sifts the element at `top` into the heap of `n` elements: down to a leaf, then back up to where it belongs. */
  const sift = (top: number, n: number): void => {
    let leaf = top;
    for (;;) {
      const left = 2 * leaf + 1;
      if (left + 1 >= n) {
        if (left + 1 === n) leaf = left;
        break;
      }
      const order = compare(left, left + 1);
      leaf = (pairs ? order > 0 : order >= 0) ? left : left + 1;
    }
    while (leaf !== top && compare(top, leaf) >= 0) leaf = (leaf - 1) >> 1;
    const home = leaf;
    while (leaf !== top) {
      leaf = (leaf - 1) >> 1;
      swap(leaf, home);
    }
  };

  let n = count;
  for (let top = count >> 1; top-- > 0; ) sift(top, n);
  if (!pairs) {
    while (--n) {
      swap(0, n);
      sift(0, n);
    }
    return;
  }
  while (n > 3) {
    swap(0, --n);
    const second = compare(1, 2) <= 0 ? 2 : 1;
    swap(second, --n);
    sift(second, n);
    sift(0, n);
  }
  swap(0, --n);
  if (n === 2 && compare(0, 1) > 0) swap(0, 1);
}

/** Sorts entries [0, count) of a relocation section in place. */
export function sortEntries(
  version: Version,
  entries: Entries,
  compare: (i: number, j: number) => number,
  count: number = entries.count,
): void {
  kernelSort(version, count, compare, (i, j) => entries.swap(i, j));
}

/**
 * The same by keys, quicker: ascending by the first list of them, then by the second, and so on; one number an entry.
 */
export function sortByKeys(version: Version, entries: Entries, ...keys: readonly Float64Array[]): void {
  const { count, size, bytes } = entries;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const compare = (i: number, j: number): number => {
    for (const key of keys) {
      const difference = key[order[i]!]! - key[order[j]!]!;
      if (difference !== 0) return difference;
    }
    return 0;
  };
  const swap = (i: number, j: number): void => {
    const was = order[i]!;
    order[i] = order[j]!;
    order[j] = was;
  };
  kernelSort(version, count, compare, swap);
  const old = bytes.slice();
  order.forEach((from, i) => bytes.set(old.subarray(from * size, (from + 1) * size), i * size));
}

/**
 * Sorts a relocation section in place by r_info, then r_addend (loongarch). Entries that differ in r_offset only are
 * equal, and the kernel's sort decides; so it runs on ranks, which are cheaper to compare than entries.
 */
export function sortByInfo(version: Version, entries: Entries): void {
  const { count, size } = entries;
  const keys: Float64Array[] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  const [high, low, addend] = keys as [Float64Array, Float64Array, Float64Array];
  for (let i = 0; i < count; i++) {
    const r_info = entries.r_info(i);
    high[i] = Number(r_info >> 32n);
    low[i] = Number(r_info & 0xffff_ffffn);
    addend[i] = Number(entries.r_addend(i));
  }
  // Doubles may take two large addends for one.
  const exact = (i: number, j: number): number => {
    const [a, b] = [entries.r_addend(i), entries.r_addend(j)];
    return a < b ? -1 : a > b ? 1 : 0;
  };
  const compare = (i: number, j: number): number =>
    high[i]! - high[j]! || low[i]! - low[j]! || addend[i]! - addend[j]! || exact(i, j);
  const order = Uint32Array.from({ length: count }, (_, i) => i).toSorted(compare);
  const rank = new Uint32Array(count);
  order.forEach((i, k) => {
    const before = k === 0 ? undefined : order[k - 1]!;
    rank[i] = before !== undefined && compare(before, i) === 0 ? rank[before]! : k;
  });

  const from = Uint32Array.from({ length: count }, (_, i) => i);
  kernelSort(
    version,
    count,
    (i, j) => rank[i]! - rank[j]!,
    (i, j) => {
      [rank[i], rank[j]] = [rank[j]!, rank[i]!];
      [from[i], from[j]] = [from[j]!, from[i]!];
    },
  );
  const all = entries.bytes;
  const old = all.slice();
  from.forEach((was, i) => {
    all.set(old.subarray(was * size, (was + 1) * size), i * size);
  });
}
