/** Many module files, one after the other, through one buffer. */

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { detectCompression } from '../loader/compression.ts';
import { fileError } from './file-error.ts';
import { checkStats, decompressModule } from './module-file.ts';

/**
 * Reads each module over the one before it: a whole tree costs no memory but that of its largest file. What read()
 * gives is for `LoadOptions.inPlace`, and good until the next read().
 */
export class ModuleBuffer {
  private buffer: ArrayBuffer = new ArrayBuffer(1 << 20);

  /** A promise only where there is something to unpack. Throws InputError and DecompressionError. */
  read(path: string): Uint8Array | Promise<Uint8Array> {
    const bytes = this.contents(path);
    return detectCompression(bytes) === 'none' ? bytes : decompressModule(bytes, path);
  }

  private contents(path: string): Uint8Array {
    try {
      const stats = statSync(path);
      checkStats(path, stats);
      const { size } = stats;
      const file = openSync(path, 'r');
      try {
        if (size > this.buffer.byteLength) this.buffer = new ArrayBuffer(2 ** Math.ceil(Math.log2(size)));
        const bytes = new Uint8Array(this.buffer, 0, size);
        let length = 0;
        for (let n = -1; length < size && n !== 0; length += n)
          n = readSync(file, bytes, length, size - length, length);
        return bytes.subarray(0, length);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw fileError(path, error);
    }
  }
}
