/** Children with all that they start in a process group of their own, so that none outlives a deadline. */
import { spawn } from 'node:child_process';

export interface Ended {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was ended at the deadline. */
  readonly late: boolean;
}

const groups = new Set<number>();
const killGroups = (): void => {
  for (const group of groups) process.kill(-group, 'SIGKILL');
};
process.on('exit', killGroups);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** Runs to the end, or until `deadline` on the clock of performance.now(). */
export function run(command: readonly [string, ...string[]], deadline: number): Promise<Ended> {
  const [program, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const { pid } = child;
    let [stdout, stderr, late] = ['', '', false];
    if (pid !== undefined) groups.add(pid);
    // setTimeout takes no more than 31 bits.
    const timer = setTimeout(end, Math.min(Math.max(deadline - performance.now(), 0), 2 ** 31 - 1));
    function end(): void {
      late = true;
      if (pid !== undefined && groups.has(pid)) process.kill(-pid, 'SIGKILL');
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('exit', () => {
      clearTimeout(timer);
      if (pid !== undefined) groups.delete(pid);
    });
    child.on('close', (code) => resolve({ code, stdout, stderr, late }));
  });
}
