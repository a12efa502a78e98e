/** Whole processes against the clock. */

import { spawnSync } from 'node:child_process';

/** Milliseconds of the quickest of `runs` runs, start and end of the process included. Throws when one fails. */
export function quickest(program: string, args: readonly string[], runs: number): number {
  let best = Infinity;
  for (let i = 0; i < runs; i++) {
    const begin = performance.now();
    const { status, stderr, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const took = performance.now() - begin;
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr.toString()}`);
    best = Math.min(best, took);
  }
  return best;
}
