/** What elfy asks of its input, held against Node's Buffer. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { asElfyBuffer } from '../../loader/elfy-buffer.ts';

const readers = [
  'readUInt8',
  'readInt8',
  'readUInt16LE',
  'readUInt16BE',
  'readInt16LE',
  'readInt16BE',
  'readUInt32LE',
  'readUInt32BE',
  'readInt32LE',
  'readInt32BE',
] as const;

testProp(
  'each number is what Buffer reads, and outside of the bytes both throw RangeError',
  [fc.uint8Array({ maxLength: 12 }), fc.integer({ min: -2, max: 14 }), fc.constantFrom(...readers)],
  (t, bytes, at, read) => {
    const ours = asElfyBuffer(new Uint8Array(bytes));
    const theirs = Buffer.from(bytes);
    const width = read.includes('8') ? 1 : read.includes('16') ? 2 : 4;
    if (at >= 0 && at + width <= bytes.length) t.is(ours[read](at), theirs[read](at));
    else {
      t.throws(() => ours[read](at), { instanceOf: RangeError });
      t.throws(() => theirs[read](at), { instanceOf: RangeError });
    }
  },
);

test('a slice is a view, cut at the end', (t) => {
  const file = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0x80]);
  const slice = asElfyBuffer(file.subarray(1)).slice(1, 99);
  t.is(slice.length, 3);
  t.is(slice.readUInt8(2), 0x80);
  file[4] = 1;
  t.is(slice.readUInt8(2), 1);
  t.is(asElfyBuffer(file).slice(0, 4).toString(), '\x7fELF');
  t.is(asElfyBuffer(file).slice(4, 2).length, 0);
});
