/** Module files one after the other through one buffer; many .xz at once through one `xz`. */
import { closeSync, constants, openSync, readSync, fstatSync } from 'node:fs';
import { detectCompression } from '../../loader/compression.ts';
import { InputError } from '../../loader/input-error.ts';
import { errnoOf, fileError } from '../file-error.ts';
import { checkStats, decompressModule } from '../module-file.ts';

/** A pipe without a writer must not hold up the rest. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** How long to wait for others to close files, all in all, in milliseconds. */
const PATIENCE = 2000;

/**
 * Reads each file over the one before it, and once only. What read() gives is good until the next read() and may be
 * spoilt.
 */
export class FileReader {
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 21);
  private patience = PATIENCE;

  /** A promise only where there is something to unpack. Throws InputError and DecompressionError. */
  read(path: string): Uint8Array | Promise<Uint8Array> {
    const bytes = this.contents(path);
    return detectCompression(bytes) === 'none' ? bytes : decompressModule(bytes, path);
  }

  private contents(path: string): Uint8Array {
    const file = this.open(path);
    try {
      let length = 0;
      for (;;) {
        const n = readSync(file, this.buffer, length, this.buffer.length - length, length);
        if (length === 0 && n === 0) checkStats(path, fstatSync(file));
        length += n;
        if (length < this.buffer.length) {
          // A regular file that gives less than was asked for has ended.
          return this.buffer.subarray(0, length);
        }
        const stats = fstatSync(file);
        checkStats(path, stats);
        const larger = new Uint8Array(Math.max(this.buffer.length * 2, 2 ** Math.ceil(Math.log2(stats.size + 1))));
        larger.set(this.buffer);
        this.buffer = larger;
      }
    } catch (error) {
      if (!(error instanceof InputError)) checkStats(path, fstatSync(file));
      throw fileError(path, error);
    } finally {
      closeSync(file);
    }
  }

  /** Others of this process may be about to close files. */
  private open(path: string): number {
    for (;;) {
      try {
        return openSync(path, FLAGS);
      } catch (error) {
        const code = errnoOf(error);
        if ((code !== 'EMFILE' && code !== 'ENFILE') || this.patience <= 0) throw fileError(path, error);
        this.patience -= 20;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
    }
  }
}
