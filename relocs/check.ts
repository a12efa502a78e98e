/** Overflow checks, in BFD's vocabulary. Ranges are of the value before it is shifted into its field. */
import { ones } from './bits.ts';
import type { Check, Howto } from './howto.ts';

/** No check: the bits that do not fit are lost in silence. */
export const dont: Check = { name: 'dont', passes: () => true };

const width = (row: Howto): number => row.field.hi + 1;

const interval = (
  name: string,
  range: (row: Howto, is64: boolean) => readonly [bigint, bigint],
  extra: Partial<Check> = {},
): Check => ({
  name,
  range,
  passes: (value, row, r) => {
    const [lo, hi] = range(row, r.module.format.is64);
    return value >= lo && value <= hi;
  },
  ...extra,
});

/** −2^(n−1) … 2^(n−1)−1, n the field's width with the bits shifted out. */
export const signed: Check = interval('signed', (row) => {
  const n = BigInt(width(row));
  return [-(1n << (n - 1n)), (1n << (n - 1n)) - 1n];
});

/** 0 … 2^n−1. */
export const unsigned: Check = interval('unsigned', (row) => [0n, ones(width(row))]);

/** Either reading: −2^(n−1) … 2^n−1. */
export const bitfield: Check = interval('bitfield', (row) => [-(1n << BigInt(width(row) - 1)), ones(width(row))]);

/** Both ends included. */
export const range = (lo: bigint, hi: bigint, extra: Partial<Check> = {}): Check =>
  interval(`${lo < 0n ? '-' : ''}0x${(lo < 0n ? -lo : lo).toString(16)} … 0x${hi.toString(16)}`, () => [lo, hi], extra);

/** A multiple of `n`, a power of two. */
export const aligned = (n: bigint, extra: Partial<Check> = {}): Check => ({
  name: `%${n}`,
  passes: (value) => (value & (n - 1n)) === 0n,
  ...extra,
});

/** The same check with an errno and a line of its own. */
export const saying = (check: Check, refusal: NonNullable<Check['refusal']>): Check => ({ ...check, refusal });

/** The same check where addresses have 64 bits; with 32 everything passes. */
export const on64 = (check: Check): Check => ({
  ...check,
  passes: (value, row, r) => !r.format.is64 || check.passes(value, row, r),
  ...(check.range && { range: (row: Howto, is64: boolean) => (is64 ? check.range?.(row, is64) : undefined) }),
});
