import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { SHF_ALLOC, buildKo } from '../../fixtures/build.ts';
import { differences } from '../../oracle/differences.ts';

const machines = [
  ['x86_64', 62],
  ['i386', 3],
  ['s390x', 22],
] as const;

const SIZE = 64;

const module = (machine: number): Uint8Array =>
  buildKo({
    machine,
    sections: [
      { name: '.other', flags: SHF_ALLOC, size: SIZE },
      { name: '.data', flags: SHF_ALLOC, size: SIZE },
    ],
    symbols: [{ name: 'first' }, { name: 'second' }],
    relocs: {
      '.other': [{ offset: 0, type: 9, symbol: 'first' }],
      // Not in order of offset, and two at one place.
      '.data': [
        { offset: 24, type: 2, symbol: 'second', ...(machine === 3 ? {} : { addend: -4 }) },
        { offset: 4, type: 1, symbol: 'first' },
        { offset: 24, type: 3, symbol: 'first' },
        { offset: 40, type: 5, symbol: '.other' },
      ],
    },
  }).image;

const image = (...changes: readonly (readonly [at: number, byte: number])[]): Uint8Array => {
  const bytes = new Uint8Array(SIZE);
  for (const [at, byte] of changes) bytes[at] = byte;
  return bytes;
};

for (const [name, machine] of machines) {
  test(`${name}: bytes between which others agree are one place when one relocation wrote them`, (t) => {
    const found = differences(module(machine), 2, image([4, 1], [7, 0xab]), image([7, 2]));
    t.is(found.length, 1);
    t.like(found[0], { start: 4, end: 8, left: '010000ab', right: '00000002' });
    t.like(found[0]?.relocations, [{ r_offset: 4, type: 1, symbol: 'first', entry: 1 }]);
    t.is(found[0]?.relocations.length, 1);
  });

  test(`${name}: every relocation of the place is named, with symbol and addend`, (t) => {
    const [found] = differences(module(machine), 2, image([31, 1]), image());
    t.deepEqual(
      found?.relocations.map(({ type, symbol, r_addend }) => [type, symbol, r_addend]),
      [
        [2, 'second', machine === 3 ? 0n : -4n],
        [3, 'first', 0n],
      ],
    );
  });

  test(`${name}: a relocation of another section is not blamed`, (t) => {
    t.deepEqual(
      differences(module(machine), 2, image([0, 1], [3, 1]), image()).map(({ start, relocations }) => [
        start,
        relocations.length,
      ]),
      [
        [0, 0],
        [3, 0],
      ],
    );
  });
}

test('the reach of a relocation is eight bytes', (t) => {
  const found = differences(module(62), 2, image([11, 1], [12, 1], [13, 1]), image());
  t.deepEqual(
    found.map(({ start, end, relocations }) => [start, end, relocations.length]),
    [
      [11, 12, 1],
      [12, 14, 0],
    ],
  );
});

test('a section symbol has no name', (t) => {
  t.is(differences(module(62), 2, image([40, 1]), image())[0]?.relocations[0]?.symbol, '');
});

test('what only the longer image has is not compared', (t) => {
  const longer = new Uint8Array(SIZE + 4).fill(9, SIZE);
  t.deepEqual(differences(module(62), 2, longer, image()), []);
  t.deepEqual(differences(module(62), 2, image(), longer), []);
});

const change = fc.tuple(fc.nat(SIZE - 1), fc.nat(255));

testProp(
  'the places cover exactly the bytes that differ at their ends and all that differ',
  [fc.array(change)],
  (t, c) => {
    const [left, right] = [image(...c), image()];
    const found = differences(module(62), 2, left, right);
    t.is(
      found.length === 0,
      left.every((byte) => byte === 0),
    );
    const covered = new Set(
      found.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i)),
    );
    for (let at = 0; at < SIZE; at++) if (left[at] !== right[at]) t.true(covered.has(at));
    for (const { start, end } of found) {
      t.not(left[start], right[start]);
      t.not(left[end - 1], right[end - 1]);
    }
  },
);
