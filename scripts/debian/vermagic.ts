/** Reading one string out of a module file, compressed or not. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { isCode, Unavailable } from './cache.ts';

/** `vermagic` of the module at `path` (.ko, .ko.xz, .ko.zst or .ko.gz), '' when it has none. */
export async function vermagicFromFile(path: string): Promise<string> {
  return vermagicOf(await readModule(path));
}

/** The value of the `vermagic=` string in a module's bytes, '' when it has none. */
export function vermagicOf(bytes: Buffer): string {
  const at = bytes.indexOf('\0vermagic=');
  if (at < 0) return '';
  const start = at + '\0vermagic='.length;
  const end = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, end < 0 ? undefined : end);
}

/** A module's bytes, decompressed by the file name's ending. */
export async function readModule(path: string): Promise<Buffer> {
  if (path.endsWith('.xz')) return xz(path);
  const bytes = await readFile(path);
  if (path.endsWith('.zst')) return zstdDecompressSync(bytes);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function xz(path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    execFile('xz', ['-dc', path], { encoding: 'buffer', maxBuffer: 1 << 30 }, (error, stdout) => {
      if (isCode(error, 'ENOENT')) reject(new Unavailable('xz not found: install xz-utils'));
      else if (error !== null) reject(error);
      else resolve(stdout);
    });
  });
}
