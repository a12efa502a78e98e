import test from 'ava';
import * as fc from 'fast-check';
import { circles, depmodOrder, type Graph } from '../../../cli/check/graph.ts';
import { Arena } from '../../../cli/check/arena.ts';
import { NamesFull, WELL_KNOWN } from '../../../cli/check/names.ts';
import * as wellKnown from '../../../cli/check/well-known.ts';

const graphOf = (uses: readonly (readonly number[])[]): Graph => ({ count: uses.length, uses: (i) => uses[i]! });

const graphs: fc.Arbitrary<Graph> = fc
  .integer({ min: 1, max: 12 })
  .chain((count) =>
    fc
      .array(fc.uniqueArray(fc.nat(count - 1), { maxLength: 4 }), { minLength: count, maxLength: count })
      .map((uses) => graphOf(uses.map((list, i) => list.filter((other) => other !== i)))),
  );

/** Whether one reaches the other, the slow way. */
function reaches({ uses }: Graph, from: number, to: number): boolean {
  const seen = new Set<number>();
  const waiting = [...uses(from)];
  for (let i = waiting.pop(); i !== undefined; i = waiting.pop()) {
    if (i === to) return true;
    if (seen.has(i)) continue;
    seen.add(i);
    waiting.push(...uses(i));
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
  t.deepEqual(circles(graphOf([[1], [2], [1], [0]])), [[1, 2]]);
});

test('a long chain needs no stack', (t) => {
  const count = 50_000;
  const uses = Array.from({ length: count }, (_, i) => (i + 1 < count ? [i + 1] : [0]));
  t.is(circles(graphOf(uses))[0]?.length, count);
});

test('depmod: users before what they use, the last that became free first', (t) => {
  // 0 uses 1 and 2, both use 3.
  const graph = graphOf([[1, 2], [3], [3], []]);
  t.deepEqual(depmodOrder(graph, [0, 1, 2, 3]), [[2, 1, 3], [3], [3], []]);
  const turned = graphOf([[2, 1], [3], [3], []]);
  t.deepEqual(depmodOrder(turned, [0, 1, 2, 3])[0], [1, 2, 3]);
});

const frame = {
  is64: true,
  little: true,
  e_machine: 62,
  version: '6.1',
  modversions: true,
  signed: false,
  proof: 0,
} as const;

test('names are numbers: the same in every thread, another for every other', (t) => {
  const arena = Arena.create(1, 1 << 13, 1 << 18);
  const { names, core } = arena;
  const other = Arena.attach(arena.share(frame)).names;
  const word = fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(word, word, fc.nat(7), (a, b, shift) => {
      const [x, y] = [names.of(a), other.of(b)];
      if ((x === y) !== (a === b)) throw new Error('two names, one number');
      if (names.name(y) !== b || other.name(x) !== a) throw new Error('another name');
      if (Math.sign(core.compareNames(x, y)) !== (a < b ? -1 : a > b ? 1 : 0)) throw new Error('another order');
      const at = arena.keep(new TextEncoder().encode(`${'.'.repeat(shift)}${a}\0${b}`)).at + shift;
      const end = at + a.length + 1 + b.length;
      if (core.internString(at, end) !== x) throw new Error('by its end');
      if (core.internString(at, at + a.length) !== -1) throw new Error('an end that is out of bounds');
      if (core.internString(at + a.length + 1, end) !== -1) throw new Error('a string without an end');
    }),
  );
  t.is(names.of(''), 0);
  t.is(names.name(0), '');
});

test('well-known names have the numbers that both languages know', (t) => {
  const { names } = Arena.create(1, 64, 1 << 12);
  const id = (name: string): number => names.of(name);
  for (const [i, name] of WELL_KNOWN.entries()) t.is(id(name), i + 1, name);
  t.is(id('.modinfo'), wellKnown.MODINFO);
  t.is(id('__param'), wellKnown.PARAM);
  t.is(id('.ftrace_trampoline'), wellKnown.KNOWN_SECTIONS);
  t.is(id('.static_call_sites'), wellKnown.STATIC_CALL_SITES);
  t.is(id('module_layout'), wellKnown.MODULE_LAYOUT);
  t.is(id('vmlinux'), wellKnown.VMLINUX);
  t.is(id('GPL'), wellKnown.GPL);
  t.is(id('Dual MPL/GPL'), wellKnown.DUAL_MPL_GPL);
});

test('more names than there is room for', (t) => {
  const room = WELL_KNOWN.length + 1 + 3;
  for (const [ids, text] of [
    [room, 1 << 12],
    [1 << 10, WELL_KNOWN.reduce((sum, name) => sum + Math.ceil(name.length / 8) * 8, 0) + 3 * 8],
  ] as const) {
    const { names } = Arena.create(1, ids, text);
    const three = ['name0', 'name1', 'name2'].map((name) => names.of(name));
    t.is(new Set(three).size, 3);
    t.throws(() => names.of('name3'), { instanceOf: NamesFull });
    t.is(names.of('name1'), three[1]!);
  }
});
