/** A section of a generated module in the making: what was laid in it, and random bytes where no word was put. */
import type { KoReloc, KoSection } from '../fixtures/build.ts';
import { addendOf, type Field } from '../relocs/field.ts';
import { type Order, readWord, writeWord } from './words.ts';

/** An entry; or one that counts from the section's end, which is not known before everything is laid. */
export interface CaseReloc extends Omit<KoReloc, 'offset'> {
  readonly offset: number;
  readonly fromEnd?: number;
}

type Word = Pick<Field, 'size' | 'order'>;

export class CaseSection {
  readonly at: bigint;
  readonly relocs: CaseReloc[] = [];
  /** Something lies in it, or points to it. */
  used = false;
  /** Behind everything that was laid. */
  end = 0;
  /** The last place, to lay something else on it. */
  last = 0;
  private readonly flags: number;
  private readonly fill: number;
  private readonly order: Order;
  private readonly words: (Word & { readonly at: number; readonly word: bigint })[] = [];

  /** `fill`: of the random bytes; 0, zeros. */
  constructor({ at, flags }: { readonly at: bigint; readonly flags: number }, fill: number, order: Order) {
    this.at = at;
    this.flags = flags;
    this.fill = fill;
    this.order = order;
  }

  reserve(at: number, size: number): void {
    this.used = true;
    this.end = Math.max(this.end, at + size);
  }

  put(at: number, { size, order }: Word, word: bigint): void {
    this.words.push({ at, size, order, word });
    this.reserve(at, size);
  }

  /** The addend of an SHT_REL entry, as the bytes will be. */
  addendAt(at: number, field: Field): bigint {
    return addendOf(field, readWord(this.bytes(at + 16), at, field, this.order));
  }

  section(name: string): KoSection {
    return { name, flags: this.flags, align: 16, data: this.bytes(this.size) };
  }

  /** The entries as they are in the file. */
  entries(): KoReloc[] {
    return this.relocs.map(({ fromEnd, ...r }) => (fromEnd === undefined ? r : { ...r, offset: this.size + fromEnd }));
  }

  private get size(): number {
    return Math.ceil((this.end + 24) / 16) * 16;
  }

  private bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    let x = this.fill;
    for (let i = 0; i < size && x !== 0; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      bytes[i] = x >>> 24;
    }
    for (const w of this.words) if (w.at + w.size <= size) writeWord(bytes, w.at, w, w.word, this.order);
    return bytes;
  }
}
