/** Module files one after the other through one buffer; many .xz at once through one `xz`. */
import { closeSync, constants, openSync, readSync, fstatSync } from 'node:fs';
import { detectCompression } from '../../loader/compression.ts';
import { InputError } from '../../loader/input-error.ts';
import { errnoOf, fileError } from '../file-error.ts';

/** A pipe without a writer must not hold up the rest. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** How long to wait for others to close files, all in all, in milliseconds. */
const PATIENCE = 2000;

/** Where files are read to. */
export interface Room {
  readonly bytes: Uint8Array;
  /** Makes it `size` bytes long; what it held is gone. */
  grow(size: number): void;
}

/** Room of one's own. */
export class OwnRoom implements Room {
  bytes: Uint8Array = new Uint8Array(1 << 21);

  grow(size: number): void {
    this.bytes = new Uint8Array(size);
  }
}

/** Reads each file over the one before it. What read() gives is good until the next read() and may be spoilt. */
export class FileReader {
  private readonly room: Room;
  private patience = PATIENCE;

  constructor(room: Room = new OwnRoom()) {
    this.room = room;
  }

  /** A promise only where there is something to unpack. Throws InputError and DecompressionError. */
  read(path: string): Uint8Array | Promise<Uint8Array> {
    const bytes = this.contents(path);
    return detectCompression(bytes) === 'none' ? bytes : unpacked(bytes, path);
  }

  private contents(path: string): Uint8Array {
    const { room } = this;
    const file = this.open(path);
    try {
      for (;;) {
        const { bytes } = room;
        const length = readSync(file, bytes, 0, bytes.length, 0);
        if (length === 0) checkStats(path, file);
        // A regular file that gives less than was asked for has ended.
        if (length < bytes.length) return bytes.subarray(0, length);
        checkStats(path, file);
        room.grow(Math.max(bytes.length * 2, fstatSync(file).size + 1));
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
  // Decoders take no memory that threads share.
  return decompressModule(new Uint8Array(bytes), path);
}

/** kernel_read_file() takes regular files below 2 GiB. */
function checkStats(path: string, file: number): void {
  const stats = fstatSync(file);
  if (stats.isDirectory()) throw new InputError(`${path}: is a directory`, { file: path });
  if (!stats.isFile()) throw new InputError(`${path}: is not a regular file`, { file: path });
  if (stats.size >= 2 ** 31) throw new InputError(`${path}: is larger than 2 GiB`, { file: path });
}
