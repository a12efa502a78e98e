import test from 'ava';
import { decompressionLimit, detectCompression } from '../../loader/compression.ts';

test('each magic is known by its bytes', (t) => {
  t.is(detectCompression(Uint8Array.of(0x1f, 0x8b)), 'gzip');
  t.is(detectCompression(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1)), 'xz');
  t.is(detectCompression(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)), 'zstd');
});

test('what is shorter than its magic, or another, is none', (t) => {
  for (const bytes of [
    [],
    [0x1f],
    [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    [0x28, 0xb5, 0x2f, 0xfe],
    [0x7f, 0x45, 0x4c, 0x46],
  ]) {
    t.is(detectCompression(Uint8Array.from(bytes)), 'none');
  }
});

test('the limit is 200 times the file, between 16 and 512 MiB', (t) => {
  t.is(decompressionLimit(100), 16 << 20);
  t.is(decompressionLimit(1 << 20), 200 << 20);
  t.is(decompressionLimit(1 << 30), 512 << 20);
});
