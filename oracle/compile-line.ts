/** How the kernel's make compiled an object: the .cmd file beside it. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError } from './build-error.ts';

/** How the kernel's make compiled one object. */
export interface CompileLine {
  /** Compiler and flags, quoted for a shell, without input, output and dependency file. Relative to the build folder. */
  readonly flags: string;
  /** Every file that was read. */
  readonly reads: readonly string[];
}

/** Where make keeps it, for 'lib/sort.o': 'lib/.sort.o.cmd'. */
export const commandFile = (target: string): string =>
  join(dirname(target), `.${target.slice(target.lastIndexOf('/') + 1)}.cmd`);

/** Throws BuildError when there is no command in it. */
export async function compileLine(folder: string, target: string): Promise<CompileLine> {
  const text = await readFile(join(folder, commandFile(target)), 'utf8');
  const command = /^(?:saved)?cmd_\S+ := (.*)$/m.exec(text)?.[1];
  if (command === undefined) throw new BuildError(`${join(folder, commandFile(target))} holds no command`);
  const [compile = ''] = command.split(' ; ');
  const source = /^source_\S+ := (.*)$/m.exec(text)?.[1] ?? '';
  const reads = [...text.matchAll(/^ {2}(\S+) \\$/gm)]
    .map((match) => match[1] ?? '')
    .filter((path) => !path.startsWith('$('));
  const flags = compile
    .replace(/ -Wp,-MM?D,\S+/, '')
    .replace(/ -c -o \S+ \S+\s*$/, '')
    .trim();
  return { flags, reads: [source, ...reads] };
}

/** Of a compile line, what decides about ABI, word size and byte order: the link needs the same. */
export function machineFlags(flags: string): string[] {
  return flags
    .split(' ')
    .filter((flag) =>
      /^-(-target=|m(abi|arch|32|64|cpu|tune|be$|le$|b$|l$|big|little|el$|eb$)|E[BL]$|march)/.test(flag),
    );
}
