import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { decompressModule, decompressModuleSync, readModuleFile, readModuleFileSync } from '../../cli/module-file.ts';
import { DecompressionError } from '../../loader/compression.ts';
import { InputError } from '../../loader/input-error.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-module-file-'));
test.after.always(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Bytes that compress, but not to nothing: 20,000 of them. */
const module = Uint8Array.from({ length: 20_000 }, (_, i) => (i * i * 31) >> 7);

const xz = (bytes: Uint8Array, ...args: string[]): Uint8Array =>
  spawnSync('xz', ['-c', '--check=crc32', '--lzma2=dict=1MiB', ...args], { input: bytes }).stdout;
const noXz = spawnSync('xz', ['--version']).status !== 0;

const packers: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ['plain', (bytes) => bytes],
  ['gzip', (bytes) => gzipSync(bytes)],
  ['zstd', (bytes) => zstdCompressSync(bytes)],
  ...(noXz ? [] : [['xz', xz] as const]),
];
if (noXz) {
  test.skip('xz: the xz program to make test data with is missing here', () => {});
}

for (const [name, pack] of packers) {
  test(`${name}: by magic, whatever the file is called`, async (t) => {
    const path = join(dir, `${name}.ko`);
    writeFileSync(path, pack(module));
    for (const bytes of [await readModuleFile(path), readModuleFileSync(path)]) {
      t.deepEqual(bytes, module);
      t.is(Object.getPrototypeOf(bytes), Uint8Array.prototype);
      t.is(bytes.byteOffset, 0);
      t.is(bytes.buffer.byteLength, module.length);
    }
  });

  test(`${name}: an empty module`, async (t) => {
    const path = join(dir, `${name}-empty.ko`);
    writeFileSync(path, pack(new Uint8Array(0)));
    t.is((await readModuleFile(path)).length, 0);
    t.is(readModuleFileSync(path).length, 0);
  });

  testProp(
    `${name}: what was packed comes back`,
    [fc.uint8Array({ maxLength: 500 })],
    async (t, bytes) => {
      // A plain file that begins with a magic is a packed one.
      fc.pre(name !== 'plain' || bytes[0] !== 0x1f);
      t.deepEqual(await decompressModule(pack(bytes), 'x.ko'), bytes);
    },
    { numRuns: name === 'xz' ? 10 : 50 },
  );
}

for (const [name, pack, log] of [
  ['gzip', packers[1]?.[1], 'decompression failed with status -5'],
  ['zstd', packers[2]?.[1], undefined],
  ['xz', packers[3]?.[1], 'decompression failed with status 0'],
] as const) {
  if (pack === undefined) continue;
  test(`${name}: a stream cut anywhere is an error, never a short module`, async (t) => {
    const whole = pack(module.subarray(0, 300));
    for (let size = 6; size < whole.length; size++) {
      const cut = whole.subarray(0, size);
      const error = await t.throwsAsync(decompressModule(cut, 'x.ko'), { instanceOf: DecompressionError });
      t.is(error?.errno, 'EINVAL');
      t.is(error?.check, 'C14');
      t.is(
        error?.log,
        name === 'gzip' && size < 10 ? 'not a gzip compressed module' : log,
        `${size}: ${error?.message}`,
      );
      t.regex(error?.message ?? '', /^x\.ko: the (gzip|xz|zstd) stream (is truncated|ends inside its header)$/);
    }
    for (const size of [12, whole.length >> 1, whole.length - 1]) {
      const cut = whole.subarray(0, size);
      t.throws(() => decompressModuleSync(cut, 'x.ko'), { instanceOf: DecompressionError, message: /truncated/ });
    }
  });

  test(`${name}: a corrupt stream is an error`, async (t) => {
    const broken = new Uint8Array(pack(module));
    // Deep in the stream; for zstd, which has no checksum here, in the first block's header.
    broken.fill(0xff, name === 'zstd' ? 8 : 40, 60);
    const error = await t.throwsAsync(decompressModule(broken, 'x.ko'), { instanceOf: DecompressionError });
    t.regex(error?.message ?? '', /^x\.ko: the (gzip|xz|zstd) stream is corrupt/);
    t.regex(error?.log ?? '', /^(ZSTD-decompression|decompression) failed with status -?\d+$/);
    t.throws(() => decompressModuleSync(broken, 'x.ko'), { instanceOf: DecompressionError, message: /corrupt/ });
    // The decoder is not left in a bad state.
    t.deepEqual(await decompressModule(pack(module), 'x.ko'), module);
  });

  test(`${name}: a bomb is stopped`, async (t) => {
    const bomb = pack(new Uint8Array(40 << 20));
    const limit = Math.max(16, Math.floor((bomb.length * 200) / (1 << 20)));
    const message = `x.ko: unpacks to more than ${limit} MiB, which no module does`;
    await t.throwsAsync(decompressModule(bomb, 'x.ko'), { instanceOf: DecompressionError, message });
    t.throws(() => decompressModuleSync(bomb, 'x.ko'), { instanceOf: DecompressionError, message });
    t.deepEqual(await decompressModule(pack(module), 'x.ko'), module);
  });
}

test('gzip: another method than deflate is no gzip to the kernel', async (t) => {
  const stream = gzipSync(module);
  stream[2] = 7;
  const error = await t.throwsAsync(decompressModule(stream, 'x.ko'), { instanceOf: DecompressionError });
  t.is(error?.log, 'not a gzip compressed module');
});

if (!noXz) {
  test('xz: what WebAssembly cannot do, the program does', async (t) => {
    for (const args of [['--check=sha256'], ['--x86', '--lzma2=dict=1MiB'], ['--lzma2=dict=192MiB']]) {
      const stream = spawnSync('xz', ['-c', '--check=crc32', ...args], { input: module }).stdout;
      t.deepEqual(await decompressModule(stream, 'x.ko'), module, args.join(' '));
    }
    const cut = spawnSync('xz', ['-c', '--x86', '--lzma2=preset=1'], { input: module }).stdout.subarray(0, 5000);
    await t.throwsAsync(decompressModule(cut, 'x.ko'), { message: 'x.ko: the xz stream is truncated' });
  });

  test('xz: many at once', async (t) => {
    const streams = Array.from({ length: 12 }, (_, i) => xz(module.subarray(i * 100)));
    const modules = await Promise.all(streams.map((stream, i) => decompressModule(stream, `${i}.ko`)));
    modules.forEach((bytes, i) => {
      t.deepEqual(bytes, module.subarray(i * 100));
    });
  });
}

test('a view into a larger buffer comes back as a buffer of its own', async (t) => {
  const bytes = await decompressModule(module.subarray(3), 'x.ko');
  t.deepEqual(bytes, module.subarray(3));
  t.is(bytes.byteOffset, 0);
});

test('files that cannot be read', async (t) => {
  for (const [path, why] of [
    [join(dir, 'missing.ko'), 'no such file or directory'],
    [dir, 'is a directory'],
    ['/dev/null', 'is not a regular file'],
    [join(dir, 'plain.ko', 'x'), 'not a directory'],
  ] as const) {
    if (why === 'not a directory') writeFileSync(join(dir, 'plain.ko'), module);
    const message = `${path}: ${why}`;
    const error = await t.throwsAsync(readModuleFile(path), { instanceOf: InputError, message });
    t.is(error?.file, path);
    t.throws(() => readModuleFileSync(path), { instanceOf: InputError, message });
  }
});
