/** Ports that cannot be had: no compiler, no emulator, handlers that do not compile, a program that does not answer. */
import { type Exit, exit, type Io, toJson } from '../io.ts';
import { UsageError } from '../usage-error.ts';

/** BuildErrors that are wrong use and not the machine's fault. */
const WRONG = /is no kernel tree|no port named|has none of|has no .*: build the modules/;

/** Runs a command of `port`; what a machine lacks is told in a sentence, exit 3. */
export async function withFailures(json: boolean, io: Io, command: () => Promise<Exit>): Promise<Exit> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof Error) || (error.name !== 'BuildError' && error.name !== 'PortError')) throw error;
    if (WRONG.test(error.message)) throw new UsageError(error.message, { cause: error });
    if (json) io.print(toJson({ error: error.message }));
    io.complain(`${io.paintError('red', 'error:')} ${error.message}`);
    return exit.unavailable;
  }
}
