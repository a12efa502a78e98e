/** Module files from disk: plain, gzip, xz or zstd, told apart by magic. Decoders are loaded when first needed. */

import { readFileSync, type Stats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { decompressionLimit, detectCompression } from '../loader/compression.ts';
import { InputError } from '../loader/input-error.ts';
import { fileError } from './file-error.ts';
import { unxz, unxzSync } from './xz.ts';
import { gunzipModule, gunzipModuleSync, unzstdModule, unzstdModuleSync } from './zlib.ts';

const INT_MAX = 0x7fff_ffff;

/**
 * The module in a file, unpacked, at the start of an ArrayBuffer of its own. Throws InputError for a file that cannot
 * be read and DecompressionError for a stream that cannot be unpacked. An empty file is an empty module.
 */
export async function readModuleFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    checkStats(path, await stat(path));
    bytes = await readFile(path);
  } catch (error) {
    throw fileError(path, error);
  }
  return decompressModule(bytes, path);
}

/** readModuleFile() at once. Each .xz costs a process here (about 5 ms), so for many the other one is quicker. */
export function readModuleFileSync(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    checkStats(path, statSync(path));
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
  return decompressModuleSync(bytes, path);
}

/** Unpacks what a file holds; `file` is for messages. */
export async function decompressModule(bytes: Uint8Array, file: string): Promise<Uint8Array> {
  const limit = decompressionLimit(bytes.length);
  switch (detectCompression(bytes)) {
    case 'none':
      return own(bytes);
    case 'xz':
      return own(await unxz(bytes, file, limit));
    case 'gzip':
      return own(await gunzipModule(bytes, file, limit));
    case 'zstd':
      return own(await unzstdModule(bytes, file, limit));
  }
}

/** decompressModule() at once. */
export function decompressModuleSync(bytes: Uint8Array, file: string): Uint8Array {
  const limit = decompressionLimit(bytes.length);
  switch (detectCompression(bytes)) {
    case 'none':
      return own(bytes);
    case 'xz':
      return own(unxzSync(bytes, file, limit));
    case 'gzip':
      return own(gunzipModuleSync(bytes, file, limit));
    case 'zstd':
      return own(unzstdModuleSync(bytes, file, limit));
  }
}

/** kernel_read_file(): EINVAL for what is no regular file, EFBIG past INT_MAX; before a read could block for ever. */
export function checkStats(path: string, stats: Stats): void {
  if (stats.isDirectory()) throw new InputError(`${path}: is a directory`, { file: path });
  if (!stats.isFile()) throw new InputError(`${path}: is not a regular file`, { file: path });
  if (stats.size > INT_MAX) throw new InputError(`${path}: is larger than 2 GiB`, { file: path });
}

/** The same bytes as a plain Uint8Array that starts its buffer, so that every offset is aligned as in the file. */
function own(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = bytes;
  return byteOffset === 0 && buffer.byteLength === length ? new Uint8Array(buffer) : new Uint8Array(bytes);
}
