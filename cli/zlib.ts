/** gzip and zstd through node:zlib, errors in the words of kernel/module/decompress.c. */

import { promisify } from 'node:util';
import { DecompressionError } from '../loader/compression.ts';
import { errnoOf } from './file-error.ts';

// Most runs of the command unpack nothing, so node:zlib waits until it is wanted.
const zlib = () => process.getBuiltinModule('node:zlib');

export async function gunzipModule(bytes: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  checkGzipHeader(bytes, file);
  return promisify(zlib().gunzip)(bytes, { maxOutputLength: limit }).catch((error: unknown) => {
    throw gzipError(file, limit, error);
  });
}

export function gunzipModuleSync(bytes: Uint8Array, file: string, limit: number): Uint8Array {
  checkGzipHeader(bytes, file);
  try {
    return zlib().gunzipSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    throw gzipError(file, limit, error);
  }
}

export async function unzstdModule(bytes: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  return promisify(zlib().zstdDecompress)(bytes, { maxOutputLength: limit }).catch((error: unknown) => {
    throw zstdError(file, limit, error);
  });
}

export function unzstdModuleSync(bytes: Uint8Array, file: string, limit: number): Uint8Array {
  try {
    return zlib().zstdDecompressSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    throw zstdError(file, limit, error);
  }
}

/** The sentence for a stream that unpacks to more than any module needs. */
export function tooLarge(file: string, limit: number): DecompressionError {
  return new DecompressionError(file, `unpacks to more than ${limit >> 20} MiB, which no module does`, undefined);
}

/** module_gzip_header_len(): the third byte, deflate, belongs to the kernel's magic. */
function checkGzipHeader(bytes: Uint8Array, file: string): void {
  if (bytes.length >= 10 && bytes[2] === 8) return;
  const why = bytes.length < 10 ? 'the gzip stream ends inside its header' : 'the gzip stream is not deflated';
  throw new DecompressionError(file, why, 'not a gzip compressed module');
}

const Z_DATA_ERROR = -3;
const Z_BUF_ERROR = -5;

function gzipError(file: string, limit: number, error: unknown): DecompressionError {
  const code = errnoOf(error);
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(file, limit);
  const [status, why] =
    code === 'Z_BUF_ERROR'
      ? [Z_BUF_ERROR, 'the gzip stream is truncated']
      : [Z_DATA_ERROR, `the gzip stream is corrupt (${error instanceof Error ? error.message : 'unknown error'})`];
  return new DecompressionError(file, why, `decompression failed with status ${status}`, error);
}

function zstdError(file: string, limit: number, error: unknown): DecompressionError {
  const code = errnoOf(error);
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(file, limit);
  if (code === 'Z_BUF_ERROR') return new DecompressionError(file, 'the zstd stream is truncated', undefined, error);
  if (code === 'ZSTD_error_frameParameter_windowTooLarge') {
    const log = 'ZSTD-compressed data has too large a window size';
    return new DecompressionError(file, 'the zstd stream asks for too large a window', log, error);
  }
  const status = error instanceof Error && 'errno' in error ? Number(error.errno) : 1;
  const why = `the zstd stream is corrupt (${error instanceof Error ? error.message : 'unknown error'})`;
  return new DecompressionError(file, why, `ZSTD-decompression failed with status ${status}`, error);
}
