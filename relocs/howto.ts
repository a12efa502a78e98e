/**
 * The language of rows. A relocation type is one row, with the columns of a psABI's table: number, calculation, field,
 * overflow check; and since which kernel it is handled. The rows drive applying, explaining, generating test cases and
 * documentation.
 */
import type { Field } from './field.ts';
import { nothing } from './field.ts';
import type { Config } from './module-view.ts';
import type { Errno } from './refusal.ts';
import type { Site } from './site.ts';

/** What the field's value is, in S, A, P, G, GOT and PLT. */
export interface Calculation {
  /** As the psABI writes it: "S + A - P". */
  readonly formula: string;
  /** Exact, not yet wrapped; the engine wraps to the machine's word. */
  value(r: Site): bigint;
  /** Known to the compiled loop: the value is just this. */
  readonly plain?: 'abs' | 'pcrel' | 'page';
  /** Values for which it is just that, both ends included (a PLT comes in beyond); default, all. */
  readonly plainWithin?: readonly [lo: bigint, hi: bigint];
}

/** A named test of the calculated value. `value` is the word, read as signed. */
export interface Check {
  readonly name: string;
  /** True: the value passes. */
  passes(value: bigint, row: Howto, r: Site): boolean;
  /** The accepted values, both ends included, when they are one interval; for documentation, boundaries and the loop. */
  range?(row: Howto, is64: boolean): readonly [lo: bigint, hi: bigint] | undefined;
  /** Overrides the architecture's overflow line for this check. */
  readonly refusal?: (r: Site, value: bigint) => Verdict;
}

/** errno and log lines of a refusal, and the sentence for people. */
export interface Verdict {
  readonly errno: Errno;
  readonly log: readonly string[];
  readonly reason?: string;
}

export type Action =
  | 'apply'
  /** Accepted, nothing written. */
  | 'ignore'
  /** A known type the kernel refuses with words of its own. */
  | 'refuse';

export interface Howto {
  /** R_… name of the psABI; given by `defineArch` from the row's key. */
  readonly name: string;
  readonly type: number;
  readonly action: Action;
  readonly calc: Calculation;
  readonly field: Field;
  readonly checks: readonly Check[];
  /** First kernel that handles the type ('6.7'); absent: all profiles. */
  readonly since?: string;
  /** First kernel that no longer does. */
  readonly until?: string;
  /** Configuration the type needs, and how to say so. */
  readonly needs?: { readonly config: string; readonly when: (config: Config) => boolean };
  /** The word in memory is added although the entry is SHT_RELA (xtensa, sh, nios2). */
  readonly inPlace?: boolean;
  /** Takes the place of inserting the value at P: opcode rewrites, queues, sums. */
  readonly write?: (r: Site, value: bigint) => void;
  readonly refusal?: (r: Site) => Verdict;
}

/** A row before it has its name. */
export type Row = Omit<Howto, 'name'>;

export type RowOptions = Partial<Pick<Howto, 'since' | 'until' | 'needs' | 'inPlace' | 'write'>>;

/** A row that applies: type, calculation, field, check (or several, in order). */
export function howto(
  type: number,
  calc: Calculation,
  field: Field,
  check: Check | readonly Check[],
  options: RowOptions = {},
): Row {
  return { type, action: 'apply', calc, field, checks: Array.isArray(check) ? check : [check as Check], ...options };
}

const noValue: Calculation = { formula: '-', value: () => 0n };

/** A row that is accepted and leaves no trace. */
export const ignore = (type: number, options: RowOptions = {}): Row => ({
  type,
  action: 'ignore',
  calc: noValue,
  field: nothing,
  checks: [],
  ...options,
});

/** A row the kernel knows and refuses, with its own line. */
export const refuse = (type: number, refusal: (r: Site) => Verdict, options: RowOptions = {}): Row => ({
  type,
  action: 'refuse',
  calc: noValue,
  field: nothing,
  checks: [],
  refusal,
  ...options,
});
