/** Programs run to their end, and what is asked of files before. */
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';

export interface Executed {
  readonly status: number;
  /** There is no such program. */
  readonly missing: boolean;
  /** stdout; of a program that failed, both. */
  readonly text: string;
}

export function execute(program: string, args: readonly string[], cwd?: string): Promise<Executed> {
  return new Promise((resolveWith) => {
    const settings = { cwd, maxBuffer: 1 << 28, env: { ...process.env, LC_ALL: 'C' } };
    execFile(program, args, settings, (error, stdout, stderr) => {
      const code = error?.code as number | string | undefined;
      resolveWith({
        status: error === null ? 0 : typeof code === 'number' ? code : 1,
        missing: code === 'ENOENT',
        text: error === null ? stdout : `${stdout}${stderr}`,
      });
    });
  });
}

/** The end of a long text: compilers say what matters last, or at least all of it within this. */
export const tail = (text: string): string => text.trimEnd().split('\n').slice(-40).join('\n');

/** `mode`: also what may be done with it, as fs.access() has it. */
export const exists = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );
