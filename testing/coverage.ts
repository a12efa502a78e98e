/**
 * Which ways through the handlers a run of cases has taken. A row's ways are classes of its value: inside of the range,
 * at either end, one past it, further out; directly or through a table; with or without loss of bits.
 */
import type { Trace } from '../relocs/apply.ts';
import { bits } from '../relocs/bits.ts';
import type { Check, Howto } from '../relocs/howto.ts';
import { shapeOf } from './values.ts';

/** 'R_X_Y' → class → how often. */
export type Ways = ReadonlyMap<string, ReadonlyMap<string, number>>;

type Range = readonly [lo: bigint, hi: bigint];

const SIDES = ['below', 'one below', 'low end', 'inside', 'high end', 'one above', 'above'] as const;

/** Where a value lies; at an end is within one step of it. */
function side(value: bigint, [lo, hi]: Range, step: bigint): (typeof SIDES)[number] {
  if (value < lo) return lo - value <= step ? 'one below' : 'below';
  if (value > hi) return value - hi <= step ? 'one above' : 'above';
  return value - lo < step ? 'low end' : hi - value < step ? 'high end' : 'inside';
}

/** Classes of one row, and how a value falls into them. */
class Row {
  readonly row: Howto;
  private readonly step: bigint;
  private readonly is64: boolean;

  constructor(row: Howto, is64: boolean) {
    this.row = row;
    this.step = shapeOf(row, is64).align;
    this.is64 = is64;
  }

  /** All classes a row can have, reached or not. */
  all(): string[] {
    const { row } = this;
    if (row.action !== 'apply') return [];
    const classes = row.checks.flatMap((check) => {
      const range = check.range?.(row, this.is64);
      if (range !== undefined) return SIDES.map((where) => `${check.name}: ${where}`);
      return check.name === 'dont' ? [] : [`${check.name}: passes`, `${check.name}: fails`];
    });
    if (row.calc.plainWithin !== undefined) classes.push('in reach', 'through a table');
    if (classes.length === 0) classes.push('0', 'positive', 'negative', ...(this.narrow ? ['loses bits'] : []));
    return classes;
  }

  ofCheck(check: Check, value: bigint, passes: boolean): string | undefined {
    const range = check.range?.(this.row, this.is64);
    if (range !== undefined) return `${check.name}: ${side(value, range, this.step)}`;
    return check.name === 'dont' ? undefined : `${check.name}: ${passes ? 'passes' : 'fails'}`;
  }

  ofValue(value: bigint, direct: bigint): string[] {
    const { plainWithin } = this.row.calc;
    if (plainWithin !== undefined)
      return [direct >= plainWithin[0] && direct <= plainWithin[1] ? 'in reach' : 'through a table'];
    if (this.row.checks.some((check) => check.name !== 'dont')) return [];
    const sign = value === 0n ? '0' : value > 0n ? 'positive' : 'negative';
    const lost = this.narrow && value !== kept(this.row, value);
    return lost ? [sign, 'loses bits'] : [sign];
  }

  private get narrow(): boolean {
    const { field } = this.row;
    return field.mask !== 0n && (field.hi < (this.is64 ? 63 : 31) || field.lo > 0);
  }
}

/** What of a value its field can give back. */
function kept({ field }: Howto, value: bigint): bigint {
  const whole = BigInt.asIntN(field.hi + 1, value);
  return whole - (field.lo > 0 ? bits(whole, field.lo - 1, 0) : 0n);
}

/** Collects the ways of the cases it is traced through. */
export class Coverage implements Trace {
  private readonly rows = new Map<Howto, Row>();
  private readonly ways = new Map<string, Map<string, number>>();
  private readonly is64: boolean;

  constructor(is64: boolean) {
    this.is64 = is64;
  }

  relocation(
    r: { readonly S: bigint; readonly A: bigint; readonly P: bigint; long(v: bigint): bigint },
    row: Howto,
    value: bigint,
  ): void {
    const direct = r.long(r.S + r.A - (row.calc.plain === 'abs' ? 0n : r.P));
    for (const name of this.of(row).ofValue(value, direct)) this.count(row, name);
  }

  checked(_: unknown, row: Howto, check: Check, value: bigint, passes: boolean): void {
    const name = this.of(row).ofCheck(check, value, passes);
    if (name !== undefined) this.count(row, name);
  }

  /** What was reached. */
  get reached(): Ways {
    return this.ways;
  }

  /** Classes of these rows that were never reached. */
  missing(rows: readonly Howto[]): ReadonlyMap<string, readonly string[]> {
    const missing = new Map<string, readonly string[]>();
    for (const row of rows) {
      const never = this.of(row)
        .all()
        .filter((name) => !this.ways.get(row.name)?.has(name));
      if (never.length > 0) missing.set(row.name, never);
    }
    return missing;
  }

  private of(row: Howto): Row {
    let known = this.rows.get(row);
    if (known === undefined) this.rows.set(row, (known = new Row(row, this.is64)));
    return known;
  }

  private count({ name }: Howto, way: string): void {
    let ways = this.ways.get(name);
    if (ways === undefined) this.ways.set(name, (ways = new Map()));
    ways.set(way, (ways.get(way) ?? 0) + 1);
  }
}
