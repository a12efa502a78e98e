/** The memory of a check, which all of its threads share, and the wasm (wasm/) that works in it. */
import { readFileSync } from 'node:fs';
import type { Version } from '../../relocs/module-view.ts';
import { Names, WELL_KNOWN } from './names.ts';
import { V6_1, V6_12, V7_2 } from './well-known.ts';

/** What the wasm throws where it cannot go on: no memory, or no room for a name. */
export const Trap: typeof WebAssembly.RuntimeError = WebAssembly.RuntimeError;

/** What wasm/index.ts exports. Addresses and booleans are numbers. */
export interface Core {
  readonly begin: (heap: number) => void;
  readonly attach: (names: number, records: number, modules: number) => void;
  readonly frame: (
    is64: boolean,
    little: boolean,
    e_machine: number,
    version: number,
    modversions: boolean,
    signed: boolean,
    proof: number,
  ) => void;
  readonly scan: (module: number, file: number, length: number, prove: boolean) => void;
  readonly alloc: (bytes: number) => number;
  readonly createNames: (ids: number, bytes: number) => number;
  readonly intern: (at: number, length: number) => number;
  readonly internString: (at: number, limit: number) => number;
  readonly compareNames: (a: number, b: number) => number;
  readonly nameAt: (id: number) => number;
  readonly nameLength: (id: number) => number;
  readonly nameCount: () => number;
  readonly namesFull: () => number;
  readonly record: WebAssembly.Global;
  readonly extend: (words: number) => number;
  readonly cutTo: (words: number) => void;
  readonly setRecord: (module: number, at: number) => void;
  readonly peek: (module: number, file: number, length: number) => void;
  readonly doubt: (module: number) => void;
  readonly recordOf: (module: number) => number;
  readonly field: (module: number, word: number) => number;
  readonly exportsOf: (module: number) => number;
  readonly symvers: (from: number, end: number) => number;
  readonly createLink: (modversions: boolean) => void;
  readonly rowOf: (id: number) => number;
  readonly listExport: (id: number, bits: number, crc: number, namespace: number, owner: number) => void;
  readonly unlist: (bits: number) => void;
  readonly provideKernel: () => void;
  readonly provide: (module: number) => number;
  readonly enter: (module: number, id: number, bits: number, crc: number, namespace: number) => void;
  readonly assign: (module: number, id: number, bits: number, crc: number, namespace: number) => void;
  readonly found: WebAssembly.Global;
  readonly foundWords: () => number;
  readonly linked: (module: number) => number;
  readonly imports: (module: number, namespace: number) => number;
  readonly nextLoose: (module: number) => number;
  readonly namesDiffer: () => number;
  readonly linkModules: () => number;
  readonly usesOf: (module: number) => number;
  readonly useCount: (module: number) => number;
  readonly nextOther: (word: number, value: number, module: number) => number;
  readonly markModules: (from: number, end: number) => void;
  readonly readAliases: (from: number, end: number) => number;
  readonly isModuleOrAlias: (name: number) => number;
  readonly aliasCount: (module: number) => number;
}

/** The kernel that a tree is for, as far as reading its modules goes. */
export interface Frame {
  readonly is64: boolean;
  readonly little: boolean;
  readonly e_machine: number;
  readonly version: Version;
  /** CONFIG_MODVERSIONS, and whether an unsigned module is refused. */
  readonly modversions: boolean;
  readonly signed: boolean;
  /** Where the proof table lies; 0: every module goes through insmod. */
  readonly proof: number;
}

/** Where something lies. */
export interface Kept {
  readonly at: number;
  readonly end: number;
}

/** Addresses of what all threads share. */
interface Place {
  readonly names: number;
  readonly records: number;
  readonly modules: number;
}

/** What is handed to another thread. */
export interface SharedArena extends Place {
  readonly memory: WebAssembly.Memory;
  readonly wasm: WebAssembly.Module;
  readonly frame: Frame;
}

/** Where memory begins to be given out: whatever lies below is the compiler's. */
const START = 4096;
/** 2 GiB, so that no address is negative; only what is used takes memory. */
const MOST_PAGES = 1 << 15;
const VERSIONS: Readonly<Record<Version, number>> = { '6.1': V6_1, '6.12': V6_12, '7.2': V7_2 };

let compiled: WebAssembly.Module | undefined;

/** The wasm, as scripts/build-wasm.ts makes it. */
function scanWasm(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./scan.wasm', import.meta.url)));
  return compiled;
}

const coreOf = (memory: WebAssembly.Memory, wasm: WebAssembly.Module): Core =>
  new WebAssembly.Instance(wasm, { env: { memory } }).exports as unknown as Core;

/** One thread's hold on the memory. */
export class Arena {
  readonly core: Core;
  readonly names: Names;
  private readonly memory: WebAssembly.Memory;
  private readonly wasm: WebAssembly.Module;
  private readonly place: Place;
  /** Of the memory as it was when somebody last looked behind its end. */
  private view: DataView;
  private scratch = 0;
  private scratchSize = 0;

  private constructor(memory: WebAssembly.Memory, wasm: WebAssembly.Module, core: Core, place: Place) {
    this.memory = memory;
    this.wasm = wasm;
    this.core = core;
    this.place = place;
    this.view = new DataView(memory.buffer);
    this.names = new Names(this);
    core.attach(place.names, place.records, place.modules);
  }

  /** Memory with room for the records of `modules` and for `ids` names of `text` bytes together. */
  static create(modules: number, ids: number, text: number): Arena {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: MOST_PAGES, shared: true });
    const wasm = scanWasm();
    const core = coreOf(memory, wasm);
    core.begin(START);
    const arena = new Arena(memory, wasm, core, {
      names: core.createNames(ids, text),
      records: core.alloc(modules * 4),
      modules,
    });
    for (const name of WELL_KNOWN) arena.names.of(name);
    return arena;
  }

  /** The same memory in another thread. */
  static attach({ memory, wasm, frame, names, records, modules }: SharedArena): Arena {
    const arena = new Arena(memory, wasm, coreOf(memory, wasm), { names, records, modules });
    arena.setFrame(frame);
    return arena;
  }

  share(frame: Frame): SharedArena {
    return { memory: this.memory, wasm: this.wasm, frame, ...this.place };
  }

  setFrame({ is64, little, e_machine, version, modversions, signed, proof }: Frame): void {
    this.core.frame(is64, little, e_machine, VERSIONS[version], modversions, signed, proof);
  }

  /** The 32-bit word at an address. */
  word(at: number): number {
    if (at + 4 > this.view.byteLength) this.view = new DataView(this.memory.buffer);
    return this.view.getInt32(at, true);
  }

  setWord(at: number, value: number): void {
    if (at + 4 > this.view.byteLength) this.view = new DataView(this.memory.buffer);
    this.view.setInt32(at, value, true);
  }

  bytes(at: number, length: number): Uint8Array<SharedArrayBuffer> {
    return new Uint8Array(this.memory.buffer as unknown as SharedArrayBuffer, at, length);
  }

  /** Puts bytes there for good. */
  keep(bytes: Uint8Array): Kept {
    const at = this.core.alloc(bytes.length + 8);
    this.bytes(at, bytes.length).set(bytes);
    return { at, end: at + bytes.length };
  }

  /** Room for some bytes that nobody needs for long. */
  room(bytes: number): number {
    if (bytes > this.scratchSize) {
      this.scratchSize = Math.max(bytes, 256);
      this.scratch = this.core.alloc(this.scratchSize + 8);
    }
    return this.scratch;
  }
}
