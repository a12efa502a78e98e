/** Module files one after the other through one buffer; many .xz at once through one `xz`. */
import { closeSync, constants, openSync, readSync, fstatSync } from 'node:fs';
import { detectCompression } from '../../loader/compression.ts';
import { InputError } from '../../loader/input-error.ts';
import { errnoOf, fileError } from '../file-error.ts';

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
    return detectCompression(bytes) === 'none' ? bytes : unpacked(bytes, path);
  }

  private contents(path: string): Uint8Array {
    const file = this.open(path);
    try {
      let length = 0;
      for (;;) {
        const n = readSync(file, this.buffer, length, this.buffer.length - length, length);
        if (length === 0 && n === 0) checkStats(path, file);
        length += n;
        if (length < this.buffer.length) {
          // A regular file that gives less than was asked for has ended.
          return this.buffer.subarray(0, length);
        }
        checkStats(path, file);
        const larger = new Uint8Array(
          Math.max(this.buffer.length * 2, 2 ** Math.ceil(Math.log2(fstatSync(file).size + 1))),
        );
        larger.set(this.buffer);
        this.buffer = larger;
      }
    } catch (error) {
      if (!(error instanceof InputError)) checkStats(path, file);
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

/** Decoders are for those who need them. */
async function unpacked(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  const { decompressModule } = await import('../module-file.ts');
  return decompressModule(bytes, path);
}

/** kernel_read_file() takes regular files below 2 GiB. */
function checkStats(path: string, file: number): void {
  const stats = fstatSync(file);
  if (stats.isDirectory()) throw new InputError(`${path}: is a directory`, { file: path });
  if (!stats.isFile()) throw new InputError(`${path}: is not a regular file`, { file: path });
  if (stats.size >= 2 ** 31) throw new InputError(`${path}: is larger than 2 GiB`, { file: path });
}
