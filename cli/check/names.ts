/**
 * Names as numbers, shared between threads: every symbol, namespace and module name of a tree is kept once, in one
 * piece of shared memory, and compared as bytes. Nothing is decoded until somebody prints it.
 */

/** What is handed to another thread. */
export interface SharedNames {
  readonly memory: SharedArrayBuffer;
  /** Most names. */
  readonly ids: number;
  /** Most bytes of all names together. */
  readonly text: number;
}

/** No more room: a tree with more names than it was sized for. */
export class NamesFull extends Error {
  override readonly name = 'NamesFull';
}

const HEADER = 4;
/** FNV-1a. */
const SEED = 0x811c_9dc5 | 0;
const PRIME = 0x0100_0193;

const COUNT = 0;
const USED = 1;

const latin1 = new TextDecoder('latin1');

/** Open addressing; a slot holds a name's number, and 0 where it is free: number 0 is the empty name. */
export class Names {
  readonly shared: SharedNames;
  private readonly header: Int32Array;
  private readonly slots: Int32Array;
  /** Four words a name, on one cache line: hash, start, length, nothing. */
  private readonly entries: Int32Array;
  private readonly text: Uint8Array;
  private readonly mask: number;

  constructor(shared: SharedNames) {
    this.shared = shared;
    const { memory, ids, text } = shared;
    const slots = slotsFor(ids);
    this.mask = slots - 1;
    this.header = new Int32Array(memory, 0, HEADER);
    this.slots = new Int32Array(memory, HEADER * 4, slots);
    this.entries = new Int32Array(memory, (HEADER + slots) * 4, 4 * ids);
    this.text = new Uint8Array(memory, (HEADER + slots + 4 * ids) * 4, text);
  }

  /** Room for `ids` names of `text` bytes together. */
  static create(ids: number, text: number): Names {
    const memory = new SharedArrayBuffer((HEADER + slotsFor(ids) + 4 * ids) * 4 + text);
    const names = new Names({ memory, ids, text });
    names.header[COUNT] = 1;
    return names;
  }

  /** Names so far, the empty one among them; a few numbers may be nobody's. */
  get count(): number {
    return Math.min(Atomics.load(this.header, COUNT), this.shared.ids);
  }

  /** The number of the name in bytes[at, end). Throws NamesFull. */
  intern(bytes: Uint8Array, at: number, end: number): number {
    let hash = SEED;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, PRIME);
    return at >= end ? 0 : this.find(bytes, at, end, hash);
  }

  /** intern() of bytes up to a NUL, which must be there before `limit`; -1 when it is not. */
  internString(bytes: Uint8Array, at: number, limit: number): number {
    let hash = SEED;
    let end = at;
    for (; end < limit; end++) {
      const byte = bytes[end]!;
      if (byte === 0) return end === at ? 0 : this.find(bytes, at, end, hash);
      hash = Math.imul(hash ^ byte, PRIME);
    }
    return -1;
  }

  private find(bytes: Uint8Array, at: number, end: number, hash: number): number {
    const { slots, entries, text, mask } = this;
    const length = end - at;
    let mine = 0;
    for (let p = (hash ^ (hash >>> 15)) & mask; ; p = (p + 1) & mask) {
      // Whoever sees a number here sees what it stands for: it was written before the number was, atomically.
      let id = slots[p]!;
      if (id === 0) {
        mine ||= this.add(bytes, at, end, hash);
        id = Atomics.compareExchange(slots, p, 0, mine);
        if (id === 0) return mine;
      }
      const entry = id * 4;
      if (entries[entry] !== hash || entries[entry + 2] !== length) continue;
      const from = entries[entry + 1]!;
      let same = 0;
      while (same < length && text[from + same] === bytes[at + same]) same++;
      if (same === length) return id;
    }
  }

  /** The number of a text, one byte a character. */
  of(name: string): number {
    const bytes = new Uint8Array(name.length);
    for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
    return this.intern(bytes, 0, bytes.length);
  }

  /** The name of a number. */
  name(id: number): string {
    const at = this.entries[4 * id + 1]!;
    return latin1.decode(this.text.slice(at, at + this.entries[4 * id + 2]!));
  }

  /** strcmp() of two names: negative, zero, positive. */
  compare(a: number, b: number): number {
    const { entries, text } = this;
    const [from, to] = [entries[4 * a + 1]!, entries[4 * b + 1]!];
    const length = Math.min(entries[4 * a + 2]!, entries[4 * b + 2]!);
    for (let i = 0; i < length; i++) if (text[from + i] !== text[to + i]) return text[from + i]! - text[to + i]!;
    return entries[4 * a + 2]! - entries[4 * b + 2]!;
  }

  private add(bytes: Uint8Array, at: number, end: number, hash: number): number {
    const id = Atomics.add(this.header, COUNT, 1);
    const from = Atomics.add(this.header, USED, end - at);
    if (id >= this.shared.ids || from + end - at > this.shared.text) throw new NamesFull('too many names');
    const { entries, text } = this;
    for (let i = at; i < end; i++) text[from + i - at] = bytes[i]!;
    entries[4 * id] = hash;
    entries[4 * id + 1] = from;
    entries[4 * id + 2] = end - at;
    return id;
  }
}

const slotsFor = (ids: number): number => 2 ** Math.ceil(Math.log2(ids * 2));
