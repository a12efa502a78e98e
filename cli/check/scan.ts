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

/** As much as most modules have, in bytes. */
const USUAL = 1 << 21;
/** The wasm looks at words, and the last one may begin at the last byte. */
const SLACK = 16;

/** Memory of the wasm into which files are read. */
class ArenaRoom implements Room {
  bytes: Uint8Array = new Uint8Array(0);
  private readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
    this.grow(USUAL);
  }

  grow(size: number): void {
    this.bytes = this.arena.bytes(this.arena.core.alloc(size + SLACK), size);
  }
}

/** Reads module after module. */
export class Scanner {
  /** What lies at its start need not be copied to be looked at; a look may spoil it. */
  readonly room: Room;
  private readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
    this.room = new ArenaRoom(arena);
  }

  /** Makes the record of `module`. `prove` false: facts only. */
  scan(module: number, file: Uint8Array, prove: boolean): void {
    const { room } = this;
    const { core } = this.arena;
    try {
      if (file.buffer !== room.bytes.buffer || file.byteOffset !== room.bytes.byteOffset) {
        if (file.length > room.bytes.length) room.grow(file.length);
        room.bytes.set(file);
      }
      core.scan(module, room.bytes.byteOffset, file.length, prove);
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      // No room for a name, or for the file: what had been found until then, and insmod has the word.
      core.doubt(module);
    }
  }
}
