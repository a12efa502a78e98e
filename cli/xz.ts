/**
 * xz: in WebAssembly (xz-embedded, the kernel's own decoder) as long as it can, with the `xz` program for the rest:
 * BCJ filters, SHA-256 checks, dictionaries that do not fit.
 */

import { DecompressionError } from '../loader/compression.ts';
import { errnoOf } from './file-error.ts';
import { tooLarge } from './zlib.ts';

/** enum xz_ret of include/linux/xz.h, as far as it tells a broken stream from a feature that is missing here. */
const XZ_FORMAT_ERROR = 5;
const XZ_DATA_ERROR = 7;
const XZ_BUF_ERROR = 8;

const ARGS: readonly string[] = ['--decompress', '--stdout', '--single-stream', '--quiet', '--memlimit=1GiB'];

// Loaded when first wanted, as xz-decompress below.
const childProcess = () => process.getBuiltinModule('node:child_process');

/** Unpacks the first stream of `bytes`. */
export async function unxz(bytes: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  try {
    return await unxzWasm(bytes, file, limit);
  } catch (error) {
    if (error instanceof DecompressionError) throw error;
    const status = Number(/error code (\d+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? 0);
    if (status === XZ_FORMAT_ERROR || status === XZ_DATA_ERROR || status === XZ_BUF_ERROR) {
      throw brokenStream(file, status, error);
    }
    return unxzProgram(bytes, file, limit);
  }
}

/** unxz() at once, always by the program. */
export function unxzSync(bytes: Uint8Array, file: string, limit: number): Uint8Array {
  const run = childProcess().spawnSync('xz', ARGS, { input: bytes, maxBuffer: limit });
  if (errnoOf(run.error) === 'ENOBUFS') throw tooLarge(file, limit);
  if (run.error !== undefined) throw programError(file, run.error);
  if (run.status !== 0) throw refusedByProgram(file, run.stderr.toString());
  return run.stdout;
}

async function unxzWasm(bytes: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  const { default: xz } = await import('xz-decompress');
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  const reader = new xz.XzReadableStream(source).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    size += next.value.length;
    if (size > limit) {
      await reader.cancel();
      throw tooLarge(file, limit);
    }
  }
  return joined(chunks, size);
}

function unxzProgram(bytes: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const xz = childProcess().spawn('xz', ARGS, { stdio: ['pipe', 'pipe', 'pipe'] });
    const chunks: Uint8Array[] = [];
    let size = 0;
    let words = '';
    xz.stdout.on('data', (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) xz.kill();
    });
    xz.stderr.on('data', (chunk: Uint8Array) => {
      words += new TextDecoder().decode(chunk);
    });
    xz.stdin.on('error', () => {
      // xz has stopped reading and says why by its exit.
    });
    xz.on('error', (error) => {
      reject(programError(file, error));
    });
    xz.on('close', (status) => {
      if (size > limit) reject(tooLarge(file, limit));
      else if (status !== 0) reject(refusedByProgram(file, words));
      else resolve(joined(chunks, size));
    });
    xz.stdin.end(bytes);
  });
}

/** A truncated stream leaves xz_dec_run() at XZ_OK, and that is the status the kernel prints. */
function brokenStream(file: string, status: number, cause: unknown): DecompressionError {
  const truncated = status === XZ_BUF_ERROR;
  const why = truncated ? 'the xz stream is truncated' : 'the xz stream is corrupt';
  return new DecompressionError(file, why, `decompression failed with status ${truncated ? 0 : status}`, cause);
}

function refusedByProgram(file: string, words: string): DecompressionError {
  if (words.includes('Unexpected end of input')) return brokenStream(file, XZ_BUF_ERROR, words);
  const why = words.trim().replace(/^xz: \(stdin\): /, '');
  const log = `decompression failed with status ${XZ_DATA_ERROR}`;
  return new DecompressionError(file, `the xz stream is corrupt (${why === '' ? 'xz gives no reason' : why})`, log);
}

function programError(file: string, error: Error): DecompressionError {
  const missing = errnoOf(error) === 'ENOENT';
  const why = missing ? 'needs the xz program to unpack (Debian: xz-utils)' : `xz does not run: ${error.message}`;
  return new DecompressionError(file, why, undefined, error);
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
