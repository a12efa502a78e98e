/**
 * The laws that every architecture keeps: its table against itself, the engine against the table, and a module against
 * the same module elsewhere, later or under another configuration. For the suite of a port:
 *
 *     for (const law of laws) test(keepsLaw, myArch, law);
 *
 * A broken law names architecture, type, value and word, and the seed that finds it again.
 */
import type { Arch } from '../arch/index.ts';
import { extractInverts, maskIsInsert, uniqueTypes } from './field-laws.ts';
import type { Law, LawOptions } from './law.ts';
import { countsEnough, letsGoOfImage, loadsAgain, movesAlong } from './module-laws.ts';
import { rangesHold } from './range-law.ts';

export type { Law, LawOptions } from './law.ts';

export const laws: readonly Law[] = [
  uniqueTypes,
  maskIsInsert,
  extractInverts,
  rangesHold,
  movesAlong,
  countsEnough,
  loadsAgain,
  letsGoOfImage,
];

/** A macro for AVA: `test(keepsLaw, arch, law, { numRuns: 1000 })`. */
export const keepsLaw: {
  exec(t: { notThrows(run: () => void): unknown }, arch: Arch, law: Law, options?: LawOptions): void;
  title(given: string | undefined, arch: Arch, law: Law): string;
} = {
  exec: (t, arch, law, options) => void t.notThrows(() => law.holds(arch, options)),
  title: (given, arch, law) => given ?? `${arch.name}: ${law.name}`,
};
