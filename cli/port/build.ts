/** `komulator port build`: the kernel's own handlers as a program that speaks docs/port-protocol.md. */
import { dirname } from 'node:path';
import { type Exit, exit, type Io, toJson } from '../io.ts';
import { UsageError } from '../usage-error.ts';
import { withFailures } from './failure.ts';
import { build, type PortOptions, quote } from './open.ts';

export interface BuildCommand extends Pick<PortOptions, 'arch' | 'kernelTree' | 'cc' | 'objects'> {
  readonly json?: boolean;
}

export const portBuild = (options: BuildCommand, io: Io): Promise<Exit> =>
  withFailures(options.json === true, io, async () => {
    const { arch, kernelTree } = options;
    if (arch === undefined || kernelTree === undefined)
      throw new UsageError('--arch NAME and --kernel-tree DIR: which handlers are to be built?');
    const port = await build({ ...options, arch, kernelTree }, io);
    const program = port.command.at(-1)!;
    if (options.json === true) {
      const { version, compiler, command, missing } = port;
      io.print(toJson({ arch, kernel: version, compiler, program, folder: dirname(program), command, missing }));
      return exit.well;
    }
    io.print(`${arch} ${port.version}, ${port.compiler}`);
    io.print(`  ${port.command.map(quote).join(' ')}`);
    if (port.missing.length > 0)
      io.print(`  functions that nobody has, so none may be called: ${port.missing.join(' ')}`);
    return exit.well;
  });
