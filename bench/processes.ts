/** Whole processes against the clock. */

import { spawnSync } from 'node:child_process';

/** A program and its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

/**
 * Milliseconds of the quickest of `runs` runs of each command, start and end of the process included. They take turns,
 * so that whatever else the machine does meets all of them. Throws when one fails.
 */
export function quickest(runs: number, commands: readonly Command[]): number[] {
  const best = commands.map(() => Infinity);
  for (let run = 0; run < runs; run++) {
    for (const [i, [program, args]] of commands.entries()) {
      const begin = performance.now();
      const { status, stderr, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      const took = performance.now() - begin;
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr.toString()}`);
      best[i] = Math.min(best[i] ?? Infinity, took);
    }
  }
  return best;
}
