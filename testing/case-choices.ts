/** What is left to chance in a case, as numbers that shrink to 0: few relocations, small values and zero words. */
import * as fc from 'fast-check';
import { type LayoutChoices, PLACES, STARTS, TABLES_MOVED } from './case-layout.ts';
import type { Target } from './case-range.ts';
import { type SymbolChoices, SYMBOLS } from './case-symbols.ts';
import { values } from './values.ts';

/** One row, or one recipe. */
export interface GroupChoices extends SymbolChoices {
  /** The last `often` of ten are recipes. */
  readonly kind: number;
  /** Which recipe, or which type. */
  readonly pick: number;
  /** Of parts with several types, which. */
  readonly choice: number;
  /** Which of PLACES; and how far behind the group before. */
  readonly section: number;
  readonly gap: number;
  readonly addend: number;
  /** From 5 on, symbol 'a' is the one of a group before. */
  readonly share: number;
  /** Which of the words that mean something. */
  readonly word: number;
  /** From MANY on, a row that may want an entry of a table comes so many times more, to fill the table. */
  readonly burst: number;
  /** Of those, the last so many and one. 0 leaves of a recipe its first part and its last. */
  readonly last: number;
  /** 0 leaves that part of a recipe out; the first is also for a row alone. */
  readonly keeps: readonly number[];
}

export interface CaseChoices extends LayoutChoices {
  readonly groups: readonly GroupChoices[];
  /** Of the bytes of sections; of ten, how many are zeros. */
  readonly fill: number;
  readonly zeros: number;
  readonly variant: number;
  /** The first three of four, where an architecture has two forms: its usual one. */
  readonly form: number;
  /** A section that a hook looks for is left out, or one is there that it does not want. */
  readonly odd: number;
}

/** Values of `odd`. */
export const LACKS = 38;
export const HAS_MORE = 39;
export const MANY = 110;

const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const anyOf = (list: readonly unknown[]): fc.Arbitrary<number> => upTo(Math.max(list.length - 1, 0));

const keep = upTo(31);
const group: fc.Arbitrary<GroupChoices> = fc.record({
  kind: upTo(9),
  pick: upTo(0xffff),
  choice: upTo(0xff),
  section: anyOf(PLACES),
  gap: upTo(7),
  a: values,
  b: values,
  addend: upTo(11),
  symbol: anyOf(SYMBOLS),
  share: upTo(6),
  word: upTo(0xff),
  burst: upTo(MANY + 40),
  last: upTo(40),
  keeps: fc.tuple(keep, keep, keep, keep, keep),
});

export const choices = ({ range, forms }: Target): fc.Arbitrary<CaseChoices> =>
  fc.record({
    groups: fc.array(group, { minLength: 0, maxLength: range.most ?? 6, size: 'max' }),
    fill: upTo(0xffff_ffff),
    zeros: upTo(9),
    base: anyOf(range.bases),
    variant: anyOf(range.variants ?? []),
    start: anyOf(STARTS),
    tables: anyOf(TABLES_MOVED),
    form: upTo(forms.length * 2 - 1),
    odd: upTo(39),
  });
