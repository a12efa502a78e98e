/**
 * Relocations that come in groups at one place and are worth something only together: label differences as ADD and SUB
 * (RISC-V). Each entry is a step from the word V that it finds to the next one.
 *
 * Two ways to take the steps. In place: each on memory, as it comes. Summed: all entries of a relocation section that
 * name one place work on a `long` that starts at 0, memory is not looked at, and after the section's last entry the
 * type of the place's last entry decides how the sum is stored. Places are stored in the order of the kernel's hash
 * table, which matters where they overlap and for the log.
 */
import { ones } from './bits.ts';
import { sizeofAddr } from './elf.ts';
import type { Field } from './field.ts';
import { type Howto, howto, type Row, type RowOptions } from './howto.ts';
import { dont } from './check.ts';
import { crashes } from './refusal.ts';
import { type Run, Site } from './site.ts';
import { StateOf } from './state.ts';

/** `V` as wide as the word it is read from; `v` is S + A, unsigned. More bits than the word has are dropped. */
export interface Step {
  readonly formula: string;
  next(V: bigint, v: bigint): bigint;
}

export const add: Step = { formula: 'V + S + A', next: (V, v) => V + v };
export const sub: Step = { formula: 'V - S - A', next: (V, v) => V - v };
export const set: Step = { formula: 'S + A', next: (_, v) => v };

/** Stores a sum, signed, at the place the site stands on. */
export type Store = (r: Site, sum: bigint) => void;

interface Sum {
  /** The long, unsigned. */
  value: bigint;
  /** The entry that came last, its row, and how its type stores. */
  last: number;
  row: Howto | undefined;
  store: Store;
}

const GOLDEN_RATIO_32 = 0x61c8_8647n;
const GOLDEN_RATIO_64 = 0x61c8_8646_80b5_83ebn;

/**
 * hash_min(P, bits) as the machine computes it. With 0 bits it shifts by the width of the word, which shifts not at all.
 */
function hashMin(P: bigint, bits: number, is64: boolean): number {
  const product = is64 ? BigInt.asUintN(64, P * GOLDEN_RATIO_64) : BigInt.asUintN(32, P * GOLDEN_RATIO_32);
  return Number(BigInt.asUintN(32, bits === 0 ? product : product >> BigInt((is64 ? 64 : 32) - bits)));
}

/** initialize_relocation_hashtable(): a power of two with at least a fifth to spare, but one bucket for one entry. */
function hashBits(entries: number): number {
  const bits = entries <= 1 ? 0 : 32 - Math.clz32(entries - 1);
  return entries + (entries >>> 2) > 2 ** bits ? bits + 1 : bits;
}

const alone = (hash: number): string =>
  `is alone in its section: its hash table has 1 bucket, and hashing to 0 bits gives bucket ${hash} of it`;

/** The sums of one relocation section. */
class Sums {
  private readonly bits: number;
  /** In the order of their first use. */
  private readonly buckets = new Map<number, Sum[]>();
  private readonly byPlace = new Map<bigint, Sum>();

  constructor(run: Run) {
    this.bits = hashBits(run.entries.count);
  }

  /** add_relocation_to_accumulate() */
  at(r: Site, store: Store): Sum {
    let sum = this.byPlace.get(r.P);
    if (sum === undefined) {
      const hash = hashMin(r.P, this.bits, r.format.is64);
      if (this.bits === 0 && hash !== 0) throw crashes('signal 11', `${r.where()} ${alone(hash)}`);
      sum = { value: 0n, last: 0, row: undefined, store };
      this.byPlace.set(r.P, sum);
      const bucket = this.buckets.get(hash);
      if (bucket === undefined) this.buckets.set(hash, [sum]);
      else bucket.push(sum);
    }
    sum.last = r.index;
    sum.row = r.row;
    sum.store = store;
    return sum;
  }

  /** process_accumulated_relocations(): both lists grow at their heads. */
  storeAll(run: Run): void {
    const site = new Site(run);
    for (const bucket of [...this.buckets.values()].toReversed()) {
      for (const sum of bucket.toReversed()) {
        site.moveTo(sum.last);
        site.row = sum.row;
        sum.store(site, site.long(sum.value));
      }
    }
  }
}

const sums = new StateOf<Run, Sums>((run) => new Sums(run));

/** The `endSection` of an architecture that has summed rows. */
export const storeSums = (run: Run): void => sums.peek(run)?.storeAll(run);

const stepRow = (
  type: number,
  formula: string,
  field: Field,
  write: Howto['write'] & object,
  options: RowOptions,
): Row => howto(type, { formula, value: (r) => r.S + r.A }, field, dont, { ...options, write });

/** A row that takes its step on the word in memory. */
export const inPlace = (type: number, step: Step, word: Field, options: RowOptions = {}): Row =>
  stepRow(type, step.formula, word, (r, v) => r.write(word.size, step.next(r.read(word.size), r.word(v))), options);

/**
 * A row that takes its step on the sum of its place: on the low bytes of the `long` that `word` is wide, on a
 * little-endian machine.
 */
export function summed(type: number, step: Step, word: Field, store: Store, options: RowOptions = {}): Row {
  const write = (r: Site, v: bigint): void => {
    const sum = sums.of(r.run).at(r, store);
    const low = ones(8 * Math.min(word.size, sizeofAddr(r.format)));
    sum.value = (sum.value & ~low) | (step.next(sum.value & low, r.word(v)) & low);
  };
  return stepRow(type, `${step.formula}, summed`, word, write, options);
}

/** Stores in as few bytes of 7 bits as the sum needs: none at all for 0. */
export const uleb128: Store = (r, sum) => {
  if (sum < 0n) throw crashes('signal 11', `${r.where()} adds up to ${sum}, and writing that as ULEB128 never ends`);
  for (let at = 0; sum !== 0n; at++) {
    const low = sum & 0x7fn;
    sum >>= 7n;
    r.write(1, low | (sum === 0n ? 0n : 0x80n), 'data', at);
  }
};
