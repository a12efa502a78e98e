import test from 'ava';
import type { Field } from '../../relocs/field.ts';
import { type Order, readWord, writeWord } from '../../testing/words.ts';

type Word = Pick<Field, 'size' | 'order'>;
const little: Order = { format: { little: true }, insnLittle: true };
const big: Order = { format: { little: false }, insnLittle: false };
/** arm: data are big-endian, instructions are not (BE8). */
const be8: Order = { format: { little: false }, insnLittle: true };

// biome-ignore format: a table
const lies: readonly (readonly [Word, bigint, Order, readonly number[]])[] = [
  [{ size: 4, order: 'data' },      0x01020304n,         little, [4, 3, 2, 1]],
  [{ size: 4, order: 'data' },      0x01020304n,         be8,    [1, 2, 3, 4]],
  [{ size: 4, order: 'insn' },      0x01020304n,         be8,    [4, 3, 2, 1]],
  [{ size: 3, order: 'insn' },      0x010203n,           little, [3, 2, 1]],
  [{ size: 4, order: 'halfwords' }, 0x01020304n,         little, [2, 1, 4, 3]],
  [{ size: 4, order: 'halfwords' }, 0x01020304n,         big,    [1, 2, 3, 4]],
  [{ size: 8, order: 'words' },     0x0102030405060708n, little, [4, 3, 2, 1, 8, 7, 6, 5]],
  [{ size: 8, order: 'insn' },      0x0102030405060708n, little, [8, 7, 6, 5, 4, 3, 2, 1]],
];

for (const [word, value, order, bytes] of lies) {
  const where = order === little ? 'little' : order === big ? 'big' : 'BE8';
  test(`${word.size} bytes of ${word.order}, ${where}: written and read`, (t) => {
    const memory = new Uint8Array(word.size + 2).fill(0xaa);
    writeWord(memory, 1, word, value, order);
    t.deepEqual([...memory], [0xaa, ...bytes, 0xaa]);
    t.is(readWord(memory, 1, word, order), value);
  });
}

test('a block is read from its start, wherever the place in it is', (t) => {
  const memory = Uint8Array.from({ length: 32 }, (_, i) => i);
  t.is(readWord(memory, 18, { size: 16, order: 'insn', block: true }, big) >> 120n, 16n);
});

test('beyond the end all is 0', (t) => {
  t.is(readWord(Uint8Array.of(1, 2), 0, { size: 4, order: 'data' }, little), 0x201n);
});
