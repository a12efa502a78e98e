/** Bugs that Linux's module loader and relocation handlers once had, and what becomes of each here. */

import type { Version } from '../../relocs/module-view.ts';
import type { Day } from '../../testing/scenario.ts';

/** A small change of our source that makes the bug again, and the test that does not let it pass. */
export interface Mutant {
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** "FILE > TITLE": a test whose title has TITLE in it fails with the change, and passes without. */
  readonly killedBy: string;
}

export interface Bug {
  /** Its name in historic-bugs.json. */
  readonly id: string;
  /** R a handler, L the loader, S states and interleavings, X a build tool; some are of two. */
  readonly scope: readonly ('R' | 'L' | 'S' | 'X')[];
  readonly arch: string;
  /** Year and version that mended it. */
  readonly fixed: string;
  /** What went wrong. */
  readonly wrong: string;
  readonly mutants?: readonly Mutant[];
  /** A scenario of fixtures/scenarios, and the day of history on which the explorer finds it broken. */
  readonly history?: { readonly scenario: string; readonly day: Version | Day };
  /** Of a bug without either: why this source cannot have it. */
  readonly because?: string;
}

/** File and title of `killedBy`. */
export function killerOf({ killedBy }: Mutant): { readonly file: string; readonly title: string } {
  const at = killedBy.indexOf(' > ');
  return { file: killedBy.slice(0, at), title: killedBy.slice(at + 3) };
}
