/** What a law is, and how it says what breaks it. */
import * as fc from 'fast-check';
import type { Arch } from '../arch/index.ts';
import { existsIn } from '../arch/summary.ts';
import { ones } from '../relocs/bits.ts';
import type { Howto } from '../relocs/howto.ts';
import { type Version, versions } from '../relocs/module-view.ts';

/** How many cases, and from which seed; as fast-check has them. */
export type LawOptions = Pick<fc.Parameters, 'numRuns' | 'seed' | 'path'>;

export interface Law {
  readonly name: string;
  /** Throws an Error that names the counterexample. */
  holds(arch: Arch, options?: LawOptions): void;
}

export const hex = (v: bigint): string => (v < 0n ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`);
/** Fails with what a counterexample must name. */
export function broken(arch: Arch, row: Howto, value: bigint, word: bigint, what: string): never {
  throw new Error(`${arch.name} ${row.name} (${row.type}), value ${hex(value)}, word ${hex(word)}: ${what}`);
}

/** Tries what an arbitrary makes; throws an Error that says what breaks. */
type ForAll = <T>(arbitrary: fc.Arbitrary<T>, keeps: (made: T) => void) => void;

/** A law about rows: an architecture that has none of them keeps it. */
export const lawOf = (
  name: string,
  rowsOf: (arch: Arch) => readonly Howto[],
  holds: (arch: Arch, rows: readonly Howto[], forAll: ForAll) => void,
): Law => ({
  name,
  holds: (arch, options = {}) => {
    const rows = rowsOf(arch);
    if (rows.length > 0) holds(arch, rows, (arbitrary, keeps) => forAll(name, options, arbitrary, keeps));
  },
});

function forAll<T>(name: string, options: LawOptions, arbitrary: fc.Arbitrary<T>, keeps: (made: T) => void): void {
  const details = fc.check(fc.property(arbitrary, keeps), { ...options, numRuns: options.numRuns ?? 100 });
  if (!details.failed) return;
  const why = details.errorInstance instanceof Error ? details.errorInstance.message : 'too many cases were set aside';
  const again = `seed ${details.seed}`;
  throw new Error(`${name}: ${why} (${again}, after ${details.numRuns} cases)`);
}

/** Kernels that have the architecture. */
export const versionsOf = (arch: Arch): Version[] => versions.filter((v) => existsIn(arch, v));

export const applied = (arch: Arch): Howto[] =>
  [...arch.rules.rows.values()].flat().filter((row) => row.action === 'apply');
export const withField = (arch: Arch): Howto[] => applied(arch).filter((row) => row.field.mask !== 0n);
export const anyWord = (bytes: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: ones(8 * bytes) });
