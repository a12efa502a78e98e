/** Whole processes against the clock. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A program and its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

/** What a command takes, start and end of the process included. */
export interface Cost {
  /** Wall clock. */
  readonly ms: number;
  /** Of all its threads and children, user and system. */
  readonly cpuMs: number;
}

/**
 * The quickest of `runs` runs of each command, and the least CPU. They take turns, so that whatever else the machine
 * does meets all of them. Throws when one fails.
 */
export function quickest(runs: number, commands: readonly Command[]): Cost[] {
  const best = commands.map(() => ({ ms: Infinity, cpuMs: Infinity }));
  for (let run = 0; run < runs; run++) {
    for (const [i, [program, args]] of commands.entries()) {
      const script = 'TIMEFORMAT="%3R %3U %3S"; time "$0" "$@"';
      const { status, stderr, error } = spawnSync('bash', ['-c', script, program, ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
      });
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`);
      const [wall = 0, user = 0, system = 0] = (stderr.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
      const cost = best[i]!;
      cost.ms = Math.min(cost.ms, wall * 1000);
      cost.cpuMs = Math.min(cost.cpuMs, (user + system) * 1000);
    }
  }
  return best;
}

/** How often the memory of a process is looked at, in milliseconds. */
const OFTEN = 3;

/** Megabytes that a command and its children have had at most, in a run of its own. Linux only. */
export async function peakMemory([program, args]: Command): Promise<number> {
  const child = spawn(program, args, { stdio: 'ignore' });
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, resident(child.pid ?? 0));
  }, OFTEN);
  await once(child, 'close');
  clearInterval(timer);
  return most / 1024;
}

/** Kilobytes: the high-water marks of a process and its children; one that is still a copy of its parent does not count. */
function resident(pid: number, parent = ''): number {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`);
    if (program === parent) return 0;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    let sum = Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0);
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
      for (const word of children.split(' ')) if (word !== '') sum += resident(Number(word), program);
    }
    return sum;
  } catch {
    // It has just ended.
    return 0;
  }
}
