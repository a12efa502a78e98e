#!/usr/bin/env node
/** The command `komulator`. Nothing but the wiring to the process; what it does begins in run.ts. */
import { exit, processIo } from './io.ts';
import { run } from './run.ts';

const io = processIo();
process.on('SIGINT', () => {
  io.progress();
  process.exit(exit.interrupted);
});
// Whoever reads our output has had enough (`| head`): stop, and say nothing.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}
process.exitCode = await run(process.argv.slice(2), io);
