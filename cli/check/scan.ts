/** One module file after the other, looked at by the wasm: see wasm/index.ts. */
import { type Arena, Trap } from './arena.ts';
import type { Room } from './file-reader.ts';

/** Why a module was doubted, in words, by the numbers of doubts.ts. */
export const DOUBTS: readonly string[] = [
  '',
  'architecture',
  'signature',
  'ELF header',
  'section headers',
  'section names',
  'symbol table',
  'this_module',
  'modinfo',
  'versions',
  'layout',
  'exports',
  'relocation',
  'license',
  'names',
  'sections',
];

/** Room for any module that is not full of debug information, in bytes; what is not written to takes no memory. */
export const USUAL: number = 1 << 25;
/** And for most, where nobody may have that much. */
const LEAST = 1 << 21;
/** The wasm looks at words, and the last one may begin at the last byte. */
const SLACK = 16;
/** More than there can be beside everything else. */
const TOO_LARGE = 0x7000_0000;

/** Memory of the wasm into which files are read. What it had before it grew stays behind, so it begins large. */
class ArenaRoom implements Room {
  /** Memory of one's own where there is no more of the wasm's. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Memory of the wasm. */
  place: Uint8Array = new Uint8Array(0);
  private readonly arena: Arena;

  constructor(arena: Arena, usual: number) {
    this.arena = arena;
    if (!this.extend(usual)) this.extend(LEAST);
    this.bytes = this.place;
  }

  grow(size: number): void {
    this.bytes = this.extend(size) ? this.place : new Uint8Array(size);
  }

  /** Whether there is as much memory of the wasm. */
  extend(size: number): boolean {
    try {
      if (size <= TOO_LARGE) this.place = this.arena.bytes(this.arena.core.alloc(size + SLACK), size);
      return size <= TOO_LARGE;
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      return false;
    }
  }
}

/** Reads module after module. */
export class Scanner {
  private readonly arena: Arena;
  private readonly files: ArenaRoom;

  constructor(arena: Arena, room: number = USUAL) {
    this.arena = arena;
    this.files = new ArenaRoom(arena, room);
  }

  /** What lies at its start need not be copied to be looked at; a look may spoil it. */
  get room(): Room {
    return this.files;
  }

  /** Makes the record of `module`. `prove` false: facts only. */
  scan(module: number, file: Uint8Array, prove: boolean): void {
    this.look(module, file, (at) => this.arena.core.scan(module, at, file.length, prove));
  }

  /** Makes a record of what a module says of itself. */
  peek(module: number, file: Uint8Array): void {
    this.look(module, file, (at) => this.arena.core.peek(module, at, file.length));
  }

  private look(module: number, file: Uint8Array, work: (at: number) => void): void {
    try {
      if (this.isPlaced(file)) return work(this.files.place.byteOffset);
    } catch (error) {
      // No room for a name, or for a table.
      if (!(error instanceof Trap)) throw error;
    }
    try {
      // What had been found until then, and insmod has the word.
      this.arena.core.doubt(module);
    } catch (error) {
      // Not even room for that: nobody has seen it, and insmod has the word as well.
      if (!(error instanceof Trap)) throw error;
    }
  }

  /** Puts the file into memory of the wasm; false where there is not that much. */
  private isPlaced(file: Uint8Array): boolean {
    const { files } = this;
    if (file.buffer === files.place.buffer && file.byteOffset === files.place.byteOffset) return true;
    // Twice as much as is needed: what grows by little would leave much behind.
    if (file.length > files.place.length && !files.extend(file.length * 2) && !files.extend(file.length)) return false;
    files.place.set(file);
    return true;
  }
}
