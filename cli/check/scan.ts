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
const USUAL = 1 << 25;
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
    this.grow(usual);
    if (this.place.length === 0) this.grow(LEAST);
  }

  grow(size: number): void {
    try {
      if (size > TOO_LARGE) throw new Trap(`${size} bytes`);
      this.place = this.arena.bytes(this.arena.core.alloc(size + SLACK), size);
      this.bytes = this.place;
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      this.bytes = new Uint8Array(size);
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
    const { core } = this.arena;
    try {
      core.scan(module, this.placed(file).byteOffset, file.length, prove);
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      // No room for a name, or for the file: what had been found until then, and insmod has the word.
      core.doubt(module);
    }
  }

  /** The same bytes in memory of the wasm. Throws Trap where there is not that much. */
  private placed(file: Uint8Array): Uint8Array {
    const { files } = this;
    if (file.buffer === files.place.buffer && file.byteOffset === files.place.byteOffset) return file;
    if (file.length > files.place.length) files.grow(file.length);
    if (file.length > files.place.length) throw new Trap(`${file.length} bytes`);
    files.place.set(file);
    return files.place;
  }
}
