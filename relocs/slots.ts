/** GOT and PLT tables: sized by the frob hook from what it counted, filled on demand while relocating. */
import { crashes } from './refusal.ts';
import type { Section } from './section.ts';

/** Entries keyed by the value they stand for. `max` is what was counted, not what fits. */
export class Slots {
  readonly section: Section;
  readonly entrySize: number;
  readonly max: number;
  /** Entries taken so far. */
  used = 0;
  private readonly byValue = new Map<bigint, number>();

  constructor(section: Section, entrySize: number, max: number) {
    this.section = section;
    this.entrySize = entrySize;
    this.max = max;
  }

  addressOf(i: number): bigint {
    return this.section.sh_addr + BigInt(i * this.entrySize);
  }

  /** The entry that already stands for `value`. */
  find(value: bigint): number | undefined {
    return this.byValue.get(value);
  }

  /** Takes the next entry for `value`; one more than was counted is a BUG_ON. */
  take(value: bigint): number {
    const i = this.used++;
    if (this.used > this.max)
      throw crashes('BUG', `${this.section.name} was sized for ${this.max} entries and one more is needed`);
    this.byValue.set(value, i);
    return i;
  }

  /** Address of the entry for `value`; `fill` writes a new one. */
  entry(value: bigint, fill: (i: number) => void): bigint {
    let i = this.find(value);
    if (i === undefined) fill((i = this.take(value)));
    return this.addressOf(i);
  }

  /** The bytes of entry i. */
  bytes(i: number): DataView {
    const { bytes } = this.section;
    return new DataView(bytes.buffer, bytes.byteOffset + i * this.entrySize, this.entrySize);
  }
}
