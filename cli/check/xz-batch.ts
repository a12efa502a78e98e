/**
 * Many .xz files through one `xz` process, each as soon as it is whole. Where one file ends and the next begins is told
 * by the index at the end of each file, which holds its unpacked size.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Room } from './file-reader.ts';

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
 * One thread's `xz`: reads what it writes straight into room that is reused. The pipe is a named one, because of
 * those that Node makes every piece arrive as an object of its own.
 */
export class XzReader {
  private readonly dir: string;
  private readonly fifo: string;
  private readonly usable: boolean;
  private readonly room: Room;

  constructor(room: Room) {
    this.room = room;
    let dir = '';
    try {
      dir = mkdtempSync(join(tmpdir(), 'komulator-xz-'));
    } catch {
      // Then files are unpacked one by one.
    }
    this.dir = dir;
    this.fifo = join(dir, 'pipe');
    this.usable = dir !== '' && spawnSync('mkfifo', [this.fifo]).status === 0;
  }

  close(): void {
    if (this.dir !== '') rmSync(this.dir, { recursive: true, force: true });
  }

  /**
   * Unpacks files and gives each to `use` in order, in room that is good until the next. Gives the number of files
   * that were whole: what comes after them has to be unpacked one by one. Never throws for what a file holds.
   */
  async read(
    paths: readonly string[],
    use: (i: number, bytes: Uint8Array) => void,
    breathe: (() => Promise<boolean>) | undefined,
  ): Promise<number> {
    const sizes: number[] = [];
    for (const path of paths) {
      const size = unpackedSize(path);
      if (size === undefined) break;
      sizes.push(size);
    }
    if (sizes.length === 0 || !this.usable) return 0;
    // Whoever opens it for both ends waits for nobody; once xz has its end, the file ends with xz.
    const both = openSync(this.fifo, constants.O_RDWR);
    const xz = spawn('xz', ['-dc', '--quiet', '--', ...paths.slice(0, sizes.length)], {
      stdio: ['ignore', both, 'ignore'],
    });
    const gone = new Promise((resolve) => {
      xz.on('error', resolve);
      xz.on('close', resolve);
    });
    const end = openSync(this.fifo, constants.O_RDONLY);
    closeSync(both);
    let i = 0;
    try {
      for (; i < sizes.length; i++) {
        const size = sizes[i]!;
        if (size > this.room.bytes.length) this.room.grow(2 ** Math.ceil(Math.log2(size)));
        const { bytes } = this.room;
        let filled = 0;
        for (let n = -1; filled < size && n !== 0; filled += n) n = readSync(end, bytes, filled, size - filled, null);
        if (filled < size) break;
        use(i, bytes.subarray(0, size));
        if (breathe !== undefined && (await breathe())) break;
      }
    } finally {
      closeSync(end);
      if (i < sizes.length) xz.kill();
      await gone;
    }
    return i;
  }
}
