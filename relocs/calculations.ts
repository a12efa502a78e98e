/** Calculations that several architectures share. */
import { page } from './bits.ts';
import type { Calculation } from './howto.ts';
import type { Site } from './site.ts';

export const calculation = (formula: string, value: (r: Site) => bigint): Calculation => ({ formula, value });

export const abs: Calculation = { formula: 'S + A', plain: 'abs', value: (r) => r.S + r.A };
export const pcrel: Calculation = { formula: 'S + A - P', plain: 'pcrel', value: (r) => r.S + r.A - r.P };
export const pagerel: Calculation = {
  formula: 'Page(S + A) - Page(P)',
  plain: 'page',
  value: (r) => page(r.S + r.A) - page(r.P),
};
