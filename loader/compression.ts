/** How a module file is packed, told by its first bytes, and the refusal of a stream that cannot be unpacked. */

import { InputError } from './input-error.ts';

/** The three that kernel/module/decompress.c knows (zstd since 5.17), and plain files. */
export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** By magic, not by name: what starts like none of them is 'none'. */
export function detectCompression(bytes: Uint8Array): Compression {
  const found = magics.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte));
  return found?.[0] ?? 'none';
}

/** Module memory that a packed file of this many bytes may unpack to: a bomb is stopped, no real module comes near. */
export function decompressionLimit(size: number): number {
  return Math.min(512 << 20, Math.max(16 << 20, 200 * size));
}

/** A packed module that module_decompress() refuses: check C14. */
export class DecompressionError extends InputError {
  readonly errno = 'EINVAL';
  readonly check = 'C14';
  /** The kernel's log line; undefined where it has none for this (it takes a truncated zstd stream for whole). */
  readonly log: string | undefined;

  constructor(file: string, reason: string, log: string | undefined, cause?: unknown) {
    super(`${file}: ${reason}`, { file, cause });
    this.log = log;
  }
}
