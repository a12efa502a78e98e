import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { Entries } from '../../relocs/entries.ts';
import type { Version } from '../../relocs/module-view.ts';
import { kernelSort, sortEntries } from '../../relocs/sort.ts';

/** Which element ends up where: the numbers that the elements had before. */
function permutation(version: Version, keys: readonly number[]): number[] {
  const order = keys.map((_, i) => i);
  kernelSort(
    version,
    keys.length,
    (i, j) => keys[order[i]!]! - keys[order[j]!]!,
    (i, j) => ([order[i], order[j]] = [order[j]!, order[i]!]),
  );
  return order;
}

// What lib/sort.c of 6.1 and of 7.2, compiled, made of these keys. 6.12 has the algorithm of 7.2.
// biome-ignore format: table
const compiled: readonly (readonly [keys: number[], v6_1: number[], v7_2: number[]])[] = [
  [[0, 0],                         [1, 0],                         [1, 0]],
  [[1, 0],                         [1, 0],                         [1, 0]],
  [[0, 0, 0],                      [1, 2, 0],                      [2, 1, 0]],
  [[1, 1, 1, 1, 1],                [1, 2, 3, 4, 0],                [3, 1, 4, 2, 0]],
  [[2, 1, 2, 1, 2, 1, 0],          [6, 5, 3, 1, 2, 4, 0],          [6, 1, 3, 5, 4, 2, 0]],
  [[3, 3, 1, 1, 2, 2, 3, 3, 1, 1], [2, 3, 9, 8, 5, 4, 6, 7, 1, 0], [2, 9, 3, 8, 4, 5, 7, 1, 6, 0]],
  [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
  [Array(16).fill(5), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0],
                      [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 0]],
];

for (const [keys, v6_1, v7_2] of compiled)
  test(`the order of ${keys.join(' ')}`, (t) => {
    t.deepEqual(permutation('6.1', keys), v6_1);
    t.deepEqual(permutation('6.12', keys), v7_2);
    t.deepEqual(permutation('7.2', keys), v7_2);
  });

test('nothing and one element are left alone', (t) => {
  const untouched = (): never => t.fail();
  for (const version of ['6.1', '6.12', '7.2'] as const)
    for (const count of [0, 1]) kernelSort(version, count, untouched, untouched);
  t.pass();
});

const version = fc.constantFrom<Version[]>('6.1', '6.12', '7.2');
testProp('it sorts, and loses nothing', [version, fc.array(fc.nat({ max: 9 }), { maxLength: 200 })], (t, v, keys) => {
  const order = permutation(v, keys);
  t.deepEqual(
    order.map((i) => keys[i]!),
    keys.toSorted((a, b) => a - b),
  );
  t.is(new Set(order).size, keys.length);
});

test('entries move whole, and only the first `count` of them', (t) => {
  const view = new DataView(new ArrayBuffer(4 * 24));
  for (const [i, offset] of [30n, 20n, 10n, 0n].entries()) {
    view.setBigUint64(i * 24, offset, true);
    view.setBigUint64(i * 24 + 8, offset + 1n, true);
    view.setBigInt64(i * 24 + 16, -offset, true);
  }
  const entries = new Entries({ is64: true, little: true }, true, new Uint8Array(view.buffer));
  sortEntries('7.2', entries, (i, j) => Number(entries.r_offset(i) - entries.r_offset(j)), 3);
  const rows = [0, 1, 2, 3].map((i) => [entries.r_offset(i), entries.r_info(i), entries.r_addend(i)]);
  t.deepEqual(rows, [
    [10n, 11n, -10n],
    [20n, 21n, -20n],
    [30n, 31n, -30n],
    [0n, 1n, 0n],
  ]);
});
