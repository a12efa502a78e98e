/**
 * Where a relocated value goes. A field is a list of slices; mask, insert and extract all follow from it, so that the
 * width of a range and the placing of its bits can never disagree.
 */
import { bits, ones, signExtend } from './bits.ts';

/** value[hi:lo] lands at bit `at` of the word. */
export type Slice = readonly [hi: number, lo: number, at: number];

/**
 * How the word lies in memory: the module's data order, the order of instructions, or two halfwords or two words in the
 * order of instructions, the upper one first (Thumb-2, middle-endian words; pairs of instructions).
 */
export type WordOrder = 'data' | 'insn' | 'halfwords' | 'words';

/** Bytes of a word. */
export type Size = 1 | 2 | 3 | 4 | 8 | 16;

export interface Field {
  readonly name: string;
  /** Bytes read and written at P. */
  readonly size: Size;
  /** The word is the block of `size` bytes that P lies in: a bundle, whose instructions have addresses inside it. */
  readonly block?: true;
  readonly order: WordOrder;
  /** Bits of the word that `insert` may change. */
  readonly mask: bigint;
  /** Bits of the value that are kept: [hi, lo] of the whole value, both included. */
  readonly hi: number;
  readonly lo: number;
  /** For the compiled loop and for drawings; absent on custom fields. */
  readonly slices?: readonly Slice[];
  /** Added to the value before it is sliced (hi20 with a signed lo12). */
  readonly round: bigint;
  /** A word that `insert` leaves as it is (arm64's "could not encode" instruction). */
  readonly keeps?: bigint;
  /** The word with the value's bits put in place. */
  insert(word: bigint, value: bigint): bigint;
  /** The value a word holds: bits that are not kept read as 0, the top bit is the sign. */
  extract(word: bigint): bigint;
  /** The addend a word in place stands for, where that is not what `extract` gives. */
  addend?(word: bigint): bigint;
}

/** The addend that the word in place is for SHT_REL. */
export const addendOf = (of: Field, word: bigint): bigint => of.addend?.(word) ?? of.extract(word);

export interface FieldOptions {
  readonly name?: string;
  readonly block?: true;
  readonly order?: WordOrder;
  readonly round?: bigint;
  readonly keeps?: bigint;
  /** False: `extract` gives an unsigned value. Default true. */
  readonly signed?: boolean;
}

/** A field of a word of `size` bytes out of slices; see `Field`. */
export function field(size: Size, slices: readonly Slice[], options: FieldOptions = {}): Field {
  const round = options.round ?? 0n;
  const hi = Math.max(...slices.map(([h]) => h));
  const lo = Math.min(...slices.map(([, l]) => l));
  let mask = 0n;
  for (const [h, l, at] of slices) mask |= ones(h - l + 1) << BigInt(at);
  const { keeps, block } = options;
  const insert = (word: bigint, value: bigint): bigint => {
    if (word === keeps) return word;
    const v = value + round;
    let out = word & ~mask;
    for (const [h, l, at] of slices) out |= bits(v, h, l) << BigInt(at);
    return out;
  };
  const extract = (word: bigint): bigint => {
    let v = 0n;
    for (const [h, l, at] of slices) v |= ((word >> BigInt(at)) & ones(h - l + 1)) << BigInt(l);
    return options.signed === false ? v : signExtend(v, hi + 1);
  };
  const name = options.name ?? slices.map(([h, l, at]) => `[${h}:${l}]→${at}`).join(' ');
  const order = options.order ?? 'insn';
  const optional = { ...(keeps !== undefined && { keeps }), ...(block && { block }) };
  return { name, size, order, mask, hi, lo, slices, round, ...optional, insert, extract };
}

const data = (size: Size): Field => field(size, [[size * 8 - 1, 0, 0]], { name: `word${size * 8}`, order: 'data' });

/** Whole words of the module's data order. */
export const word8: Field = data(1);
export const word16: Field = data(2);
export const word32: Field = data(4);
export const word64: Field = data(8);

/** A field of a 32-bit instruction. */
export const insn32 = (slices: readonly Slice[], options: FieldOptions = {}): Field => field(4, slices, options);
/** A field of a 16-bit instruction or parcel. */
export const insn16 = (slices: readonly Slice[], options: FieldOptions = {}): Field => field(2, slices, options);
/** A field over two adjacent 32-bit instructions; on little-endian instructions the first is the low half. */
export const insnPair = (slices: readonly Slice[], options: FieldOptions = {}): Field => field(8, slices, options);

/**
 * Two 32-bit instructions, `low` at the lower address, that take one value between them, each rounding it in its own
 * way (auipc and jalr). Little-endian instructions only.
 */
export const adjacent = (low: Field, high: Field): Field => ({
  name: `${low.name} | ${high.name}`,
  size: 8,
  order: 'insn',
  mask: low.mask | (high.mask << 32n),
  hi: Math.max(low.hi, high.hi),
  lo: Math.min(low.lo, high.lo),
  round: 0n,
  insert: (word, value) => low.insert(word & ones(32), value) | (high.insert(word >> 32n, value) << 32n),
  extract: (word) => low.extract(word & ones(32)) + high.extract(word >> 32n),
});

/** No bytes at all: relocations that are accepted and ignored, or only keep state. */
export const nothing: Field = {
  name: '-',
  size: 1,
  order: 'data',
  mask: 0n,
  hi: 0,
  lo: 0,
  round: 0n,
  insert: (word) => word,
  extract: () => 0n,
};
