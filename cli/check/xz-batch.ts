/**
 * Many .xz files through one `xz` process, each as soon as it is whole. Where one file ends and the next begins is told
 * by the index at the end of each file, which holds its unpacked size.
 */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** Longest index that is looked at: a module has one block or a few. */
const TAIL = 4096;
/** No module is larger (decompressionLimit's most). */
const LARGEST = 1 << 30;

/**
 * The unpacked size of an .xz file of one stream, by its index; undefined where that cannot be told.
 */
export function unpackedSize(path: string): number | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(file);
    const tail = new Uint8Array(Math.min(size, TAIL));
    if (readSync(file, tail, 0, tail.length, size - tail.length) < tail.length) return undefined;
    return sizeByIndex(tail, size);
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

function sizeByIndex(tail: Uint8Array, fileSize: number): number | undefined {
  const footer = tail.length - 12;
  if (footer < 12 || tail[footer + 10] !== 0x59 || tail[footer + 11] !== 0x5a) return undefined;
  const view = new DataView(tail.buffer);
  const length = (view.getUint32(footer + 4, true) + 1) * 4;
  let at = footer - length;
  if (at < 0 || tail[at++] !== 0) return undefined;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; at < footer; scale *= 128) {
      const byte = tail[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  const blocks = next();
  let packed = 0;
  let unpacked = 0;
  for (let i = 0; i < blocks; i++) {
    packed += Math.ceil(next() / 4) * 4;
    unpacked += next();
  }
  // Header, blocks, index, footer: anything else is a second stream or padding.
  return packed + length + 24 === fileSize && unpacked > 0 && unpacked < LARGEST ? unpacked : undefined;
}

/**
 * Unpacks files and gives each to `use` in order, in a buffer that is reused. Gives the number of files that were whole:
 * what comes after them has to be unpacked one by one. Never throws for what a file holds.
 */
export function unxzMany(
  dir: string,
  paths: readonly string[],
  buffers: Buffers,
  use: (i: number, bytes: Uint8Array) => void,
): Promise<number> {
  const sizes: number[] = [];
  for (const path of paths) {
    const size = unpackedSize(join(dir, path));
    if (size === undefined) break;
    sizes.push(size);
  }
  if (sizes.length === 0) return Promise.resolve(0);
  return new Promise((resolve) => {
    const xz = spawn('xz', ['-dc', '--quiet', '--', ...paths.slice(0, sizes.length).map((path) => join(dir, path))], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let i = 0;
    let filled = 0;
    let buffer = buffers.of(sizes[0]!);
    xz.on('error', () => resolve(0));
    xz.stdout.on('data', (chunk: Uint8Array) => {
      for (let at = 0; at < chunk.length && i < sizes.length; ) {
        const n = Math.min(chunk.length - at, sizes[i]! - filled);
        buffer.set(chunk.subarray(at, at + n), filled);
        at += n;
        filled += n;
        if (filled < sizes[i]!) continue;
        use(i++, buffer.subarray(0, filled));
        filled = 0;
        if (i < sizes.length) buffer = buffers.of(sizes[i]!);
      }
    });
    xz.on('close', () => resolve(i));
  });
}

/** One buffer, as large as the largest file so far. */
export class Buffers {
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 21);

  of(size: number): Uint8Array<ArrayBuffer> {
    if (size > this.buffer.length) this.buffer = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
    return this.buffer;
  }
}
