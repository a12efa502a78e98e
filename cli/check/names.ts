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
const COUNT = 0;
const USED = 1;

const latin1 = new TextDecoder('latin1');

/** Open addressing; a slot holds a name's number, and 0 where it is free: number 0 is the empty name. */
export class Names {
  readonly shared: SharedNames;
  private readonly header: Int32Array;
  private readonly slots: Int32Array;
  private readonly hashes: Int32Array;
  /** Start and length of each name. */
  private readonly where: Int32Array;
  private readonly text: Uint8Array;
  private readonly mask: number;

  constructor(shared: SharedNames) {
    this.shared = shared;
    const { memory, ids, text } = shared;
    const slots = slotsFor(ids);
    this.mask = slots - 1;
    this.header = new Int32Array(memory, 0, HEADER);
    this.slots = new Int32Array(memory, HEADER * 4, slots);
    this.hashes = new Int32Array(memory, (HEADER + slots) * 4, ids);
    this.where = new Int32Array(memory, (HEADER + slots + ids) * 4, 2 * ids);
    this.text = new Uint8Array(memory, (HEADER + slots + 3 * ids) * 4, text);
  }

  /** Room for `ids` names of `text` bytes together. */
  static create(ids: number, text: number): Names {
    const memory = new SharedArrayBuffer((HEADER + slotsFor(ids) + 3 * ids) * 4 + text);
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
    if (at >= end) return 0;
    const { slots, hashes, where, text, mask } = this;
    let hash = 0x811c_9dc5;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x0100_0193);
    const length = end - at;
    let mine = 0;
    for (let p = (hash ^ (hash >>> 15)) & mask; ; p = (p + 1) & mask) {
      let id = Atomics.load(slots, p);
      if (id === 0) {
        mine ||= this.add(bytes, at, end, hash);
        id = Atomics.compareExchange(slots, p, 0, mine);
        if (id === 0) return mine;
      }
      if (hashes[id] !== hash || where[2 * id + 1] !== length) continue;
      const from = where[2 * id]!;
      let same = 0;
      while (same < length && text[from + same] === bytes[at + same]) same++;
      if (same === length) return id;
    }
  }

  /** intern() of bytes up to a NUL, which must be there before `limit`; -1 when it is not. */
  internString(bytes: Uint8Array, at: number, limit: number): number {
    let end = at;
    while (end < limit && bytes[end] !== 0) end++;
    return end < limit ? this.intern(bytes, at, end) : -1;
  }

  /** The number of a text, one byte a character. */
  of(name: string): number {
    const bytes = Uint8Array.from(name, (c) => c.charCodeAt(0));
    return this.intern(bytes, 0, bytes.length);
  }

  /** The name of a number. */
  name(id: number): string {
    const at = this.where[2 * id]!;
    return latin1.decode(this.text.slice(at, at + this.where[2 * id + 1]!));
  }

  /** strcmp() of two names: negative, zero, positive. */
  compare(a: number, b: number): number {
    const { where, text } = this;
    const [from, to] = [where[2 * a]!, where[2 * b]!];
    const length = Math.min(where[2 * a + 1]!, where[2 * b + 1]!);
    for (let i = 0; i < length; i++) if (text[from + i] !== text[to + i]) return text[from + i]! - text[to + i]!;
    return where[2 * a + 1]! - where[2 * b + 1]!;
  }

  private add(bytes: Uint8Array, at: number, end: number, hash: number): number {
    const id = Atomics.add(this.header, COUNT, 1);
    const from = Atomics.add(this.header, USED, end - at);
    if (id >= this.shared.ids || from + end - at > this.shared.text) throw new NamesFull('too many names');
    this.text.set(bytes.subarray(at, end), from);
    this.hashes[id] = hash;
    this.where[2 * id] = from;
    this.where[2 * id + 1] = end - at;
    return id;
  }
}

const slotsFor = (ids: number): number => 2 ** Math.ceil(Math.log2(ids * 2));
