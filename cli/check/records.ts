/** What a thread tells of the modules that it has looked at: a stream of 32-bit words, no object per symbol. */

/** Fixed words at the start of a record. */
export const LENGTH = 0,
  MODULE = 1,
  /** 0: proven to be one that insmod takes, whatever it resolves to; else a number of DOUBTS. */
  DOUBT = 2,
  NAME = 3,
  VERMAGIC = 4,
  STRUCT_SIZE = 5,
  E_FLAGS = 6,
  FLAGS = 7,
  RELOCATIONS = 8,
  IMPORTS = 9,
  EXPORTS = 10,
  NAMESPACES = 11,
  SOFTDEPS = 12,
  /** Bytes of SHF_ALLOC sections. */
  MEMORY = 13,
  PLT = 14,
  HEAD = 15;

/** Bits of FLAGS. */
export const HAS_VERSIONS = 1,
  /** insmod has taken it while it was being looked at. */
  JUDGED = 2,
  /** The record is empty: the file is no module that can be read. */
  UNREADABLE = 4,
  PROPRIETARY = 8;

/** An import: name, bits, CRC. */
export const IMPORT_WORDS = 3;
export const WEAK = 1,
  HAS_CRC = 2;
/** An export: name, bits, CRC, namespace. */
export const EXPORT_WORDS = 4;
export const GPL_ONLY = 1;

/** A stream that grows. */
export class Words {
  words: Int32Array<ArrayBuffer> = new Int32Array(1 << 14);
  length = 0;

  /** Room for `n` more; the words may have moved. */
  reserve(n: number): Int32Array<ArrayBuffer> {
    if (this.length + n > this.words.length) {
      const larger = new Int32Array(Math.max(this.words.length * 2, this.length + n));
      larger.set(this.words.subarray(0, this.length));
      this.words = larger;
    }
    return this.words;
  }

  push(word: number): void {
    if (this.length === this.words.length) this.reserve(1);
    this.words[this.length++] = word;
  }

  /** Start of the record at hand. */
  private at = 0;

  /** Begins the record of a module, all of its fixed words 0, and gives its start. */
  begin(module: number): number {
    const at = this.length;
    this.reserve(HEAD).fill(0, at, at + HEAD);
    this.length += HEAD;
    this.words[at + MODULE] = module;
    return (this.at = at);
  }

  head(field: number): number {
    return this.words[this.at + field]!;
  }

  set(field: number, value: number): void {
    this.words[this.at + field] = value;
  }

  end(): void {
    this.words[this.at + LENGTH] = this.length - this.at;
  }

  /** What has been written, to be handed over; the stream starts anew. */
  take(): Int32Array<ArrayBuffer> {
    const taken = this.words.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}
