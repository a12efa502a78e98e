/** Values for a row: inside of its range, at its ends, one past them, and anything at all. */
import * as fc from 'fast-check';
import { ones } from '../relocs/bits.ts';
import type { Howto } from '../relocs/howto.ts';

/** A value that is not yet any row's, in numbers that shrink to 0. */
export interface Wanted {
  /** See valueOf(). */
  readonly how: number;
  readonly which: number;
  readonly delta: number;
  readonly low: number;
  readonly high: number;
}

export const values: fc.Arbitrary<Wanted> = fc.record({
  how: fc.integer({ min: 0, max: 23 }),
  which: fc.integer({ min: 0, max: 0xff }),
  delta: fc.integer({ min: -9, max: 9 }),
  low: fc.integer({ min: 0, max: 0xffff_ffff }),
  high: fc.integer({ min: 0, max: 0xffff_ffff }),
});

const PAGE = 0x1000n;

/** `v`, cut to a multiple of a power of two. */
export const multipleOf = (of: bigint, v: bigint): bigint => v & -of;

/** What a row tells about values that matter to it. */
export interface Shape {
  /** Ranges with both ends included: of its checks, of what reaches without a table, else of its field. */
  readonly ranges: readonly (readonly [lo: bigint, hi: bigint])[];
  /** Of 1: every value is as good. */
  readonly align: bigint;
  /** What the formula takes away from S + A: the place, or GP, TOC or GOT. */
  readonly base: 'P' | 'pointer' | undefined;
  /** Added to `base`. */
  readonly plus: bigint;
  /** The sum is cut to a multiple of this: P's page, its bundle, the segment that its jumps stay in. Default 1. */
  readonly cut: bigint;
  /** There is no S in the formula. */
  readonly byAddend: boolean;
  /** The GOT's own address is added in it. */
  readonly fromGot: boolean;
}

export function shapeOf(row: Howto, is64: boolean): Shape {
  const { formula } = row.calc;
  const ranges = row.checks.map((check) => check.range?.(row, is64)).filter((range) => range !== undefined);
  if (row.calc.plainWithin !== undefined) ranges.push(row.calc.plainWithin);
  const segment = row.checks
    .map((check) => /256 MiB segment of P(?: \+ (\d+))?/.exec(check.name))
    .find((x) => x !== null);
  if (segment) ranges.push([0n, 0xfff_ffffn]);
  if (ranges.length === 0) {
    const n = BigInt(Math.min(row.field.hi, 63));
    ranges.push([-(1n << n), (1n << n) - 1n], [0n, (2n << n) - 1n]);
  }
  const multiple = row.checks.map((check) => /^%(\d+)/.exec(check.name)?.[1]).find((n) => n !== undefined);
  const natural = multiple !== undefined ? BigInt(multiple) : row.field.lo <= 4 ? 1n << BigInt(row.field.lo) : 1n;
  const [, sign = '', n = '0'] = / - \(?P(?: ([-+]) (\d+))?/.exec(formula) ?? [];
  const page = row.calc.plain === 'page' || /- Page\(P\)/.test(formula);
  const cut = segment ? 0x1000_0000n : page ? PAGE : /bundle\(P\)/.test(formula) ? 0x10n : 1n;
  const pointer = / - (GP|TOC|GOT)\b/.test(formula) ? 'pointer' : undefined;
  const base = cut > 1n || / - \(?P\b/.test(formula) ? 'P' : pointer;
  // "- P - 8" takes 8 more away, "- (P + 4)" 4 more: both are P and this.
  const plus = segment
    ? BigInt(segment[1] ?? 0)
    : sign === ''
      ? 0n
      : formula.includes('(P +') || sign === '-'
        ? BigInt(n)
        : -BigInt(n);
  const more = / \+ (0x[0-9a-f]+)$/.exec(formula)?.[1];
  const byAddend = /\bA\b/.test(formula) && !/\bS\b/.test(formula);
  // Whole pages are left over where both sides are cut to them.
  const align = row.calc.plain === 'page' ? PAGE : natural;
  return { ranges, align, base, plus: plus - BigInt(more ?? 0), cut, byAddend, fromGot: /\bGOT \+/.test(formula) };
}

const INTERESTING = [
  0n,
  -1n,
  0x7ffn,
  0x800n,
  -0x800n,
  0xfffn,
  0x1000n,
  0x7fffn,
  0x8000n,
  -0x8000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  -0x8000_0000n,
];

/** The value; for a type without a row, anything. */
export function valueOf(shape: Shape | undefined, wanted: Wanted, is64: boolean): bigint {
  const { how, which, delta } = wanted;
  const raw = (BigInt(wanted.high) << 32n) | BigInt(wanted.low);
  const align = shape === undefined || delta === 9 ? 1n : shape.align;
  // Any place in the page is as good.
  if (shape?.cut === PAGE && delta < -4)
    return multipleOf(PAGE, valueOf(shape, { ...wanted, delta: -delta }, is64)) + (raw % PAGE);
  const aligned = (v: bigint): bigint => multipleOf(align, v);
  const { ranges } = shape ?? { ranges: [[0n, ones(is64 ? 64 : 32)] as const] };
  const [lo, hi] = ranges[which % ranges.length]!;
  const inside = (v: bigint): bigint => (v < lo ? lo : v > hi ? hi : v);
  if (how < 12) {
    const magnitude = raw & ones(1 + ((which >> 1) % 64));
    return aligned(inside(delta < 0 ? -magnitude : magnitude));
  }
  if (how < 17) return which % 4 < 2 ? aligned(hi) : lo;
  if (how < 19) return which % 4 < 2 ? hi + 1n : lo - align;
  if (how < 20) return (which % 4 < 2 ? hi : lo) + BigInt(delta);
  if (how < 22) return aligned(INTERESTING[which % INTERESTING.length]! + BigInt(delta));
  if (how < 23) return inside((raw % (hi - lo + 1n)) + lo);
  return raw;
}
