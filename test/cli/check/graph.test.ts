import test from 'ava';
import * as fc from 'fast-check';
import { circles, depmodOrder, type Graph } from '../../../cli/check/graph.ts';
import { Names, NamesFull } from '../../../cli/check/names.ts';

const graphs: fc.Arbitrary<Graph> = fc
  .integer({ min: 1, max: 12 })
  .chain((count) =>
    fc
      .array(fc.uniqueArray(fc.nat(count - 1), { maxLength: 4 }), { minLength: count, maxLength: count })
      .map((uses) => ({ count, uses: uses.map((list, i) => list.filter((other) => other !== i)) })),
  );

/** Whether one reaches the other, the slow way. */
function reaches({ uses }: Graph, from: number, to: number): boolean {
  const seen = new Set<number>();
  const waiting = [...uses[from]!];
  for (let i = waiting.pop(); i !== undefined; i = waiting.pop()) {
    if (i === to) return true;
    if (seen.has(i)) continue;
    seen.add(i);
    waiting.push(...uses[i]!);
  }
  return false;
}

test('two modules are in one circle exactly when each reaches the other', (t) => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const found = circles(graph);
      const circleOf = (i: number): number => found.findIndex((circle) => circle.includes(i));
      for (let a = 0; a < graph.count; a++)
        for (let b = 0; b < a; b++) {
          const together = circleOf(a) >= 0 && circleOf(a) === circleOf(b);
          if (together !== (reaches(graph, a, b) && reaches(graph, b, a))) throw new Error(`${a} and ${b}`);
        }
    }),
  );
  t.deepEqual(circles({ count: 4, uses: [[1], [2], [1], [0]] }), [[1, 2]]);
});

test('a long chain needs no stack', (t) => {
  const count = 50_000;
  const uses = Array.from({ length: count }, (_, i) => (i + 1 < count ? [i + 1] : [0]));
  t.is(circles({ count, uses })[0]?.length, count);
});

test('depmod: users before what they use, the last that became free first', (t) => {
  // 0 uses 1 and 2, both use 3.
  const graph: Graph = { count: 4, uses: [[1, 2], [3], [3], []] };
  t.deepEqual(depmodOrder(graph, [0, 1, 2, 3]), [[2, 1, 3], [3], [3], []]);
  const turned: Graph = { count: 4, uses: [[2, 1], [3], [3], []] };
  t.deepEqual(depmodOrder(turned, [0, 1, 2, 3])[0], [1, 2, 3]);
});

test('names are numbers: the same in every thread, another for every other', (t) => {
  const names = Names.create(1 << 12, 1 << 18);
  const other = new Names(names.shared);
  const word = fc.string({ minLength: 1, maxLength: 20, unit: 'binary-ascii' }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(word, word, (a, b) => {
      const [x, y] = [names.of(a), other.of(b)];
      if ((x === y) !== (a === b)) throw new Error('two names, one number');
      if (names.name(y) !== b || other.name(x) !== a) throw new Error('another name');
      if (Math.sign(names.compare(x, y)) !== (a < b ? -1 : a > b ? 1 : 0)) throw new Error('another order');
      const bytes = new TextEncoder().encode(`.${a}\0${b}`);
      if (names.internString(bytes, 1, bytes.length) !== x) throw new Error('by its end');
      if (names.internString(bytes, a.length + 2, bytes.length) !== -1) throw new Error('a string without an end');
    }),
  );
  t.is(names.of(''), 0);
  t.is(names.name(0), '');
});

test('more names than there is room for', (t) => {
  const names = Names.create(16, 1 << 10);
  t.throws(
    () => {
      for (let i = 0; i < 20; i++) names.of(`name${i}`);
    },
    { instanceOf: NamesFull },
  );
});
