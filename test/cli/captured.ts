/** The command as a function: what it prints is kept. */
import { fileURLToPath } from 'node:url';
import type { Io } from '../../cli/io.ts';
import { run } from '../../cli/run.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `komulator ARGS`, without a terminal and without colours. */
export async function komulator(...args: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    print: (line) => out.push(`${line}\n`),
    complain: (line) => err.push(`${line}\n`),
    progress: () => {},
    paint: (_, text) => text,
    paintError: (_, text) => text,
  };
  const code = await run(args, io);
  return { code, out: out.join(''), err: err.join('') };
}

/** A file of the fixtures. */
export const fixture = (path: string): string => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

/** A module of the fictional kernel. */
export const module = (arch: string, name: string): string => fixture(`ko/${arch}/${name}.ko`);

/** The options that describe the fictional kernel of an architecture. */
export const kernelOf = (arch: string): string[] => [
  '--symvers',
  fixture(`ko/${arch}/Module.symvers`),
  '--symbols',
  fixture(`ko/${arch}/System.map`),
];

/** What no failure may show to a person. */
export const STACK: RegExp = /\n\s+at .*:\d+:\d+\)?|node:internal|TypeError|RangeError|this is a bug/;
