#!/usr/bin/env node
/** The command `komulator`. Nothing but the wiring to the process; what it does begins in run.ts. */
import { writeSync } from 'node:fs';
import module from 'node:module';
import { exit, processIo } from './io.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  writeSync(2, `error: komulator needs Node >= 22.18, and this is ${process.version} (${process.execPath})\n`);
  process.exit(exit.wrongUse);
}

// What has been compiled once is not compiled again: half of a short run is that.
module.enableCompileCache();
const io = processIo();
process.on('SIGINT', () => {
  io.progress();
  process.exit(exit.interrupted);
});
// Whoever reads our output has had enough (`| head`): stop, and say nothing.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    // Nothing of what was to be said can be relied on: a full disk is no good end.
    try {
      writeSync(2, `error: the output cannot be written: ${error.message}\n`);
    } catch {
      // Nor can this.
    }
    process.exit(exit.wrongUse);
  });
}
const { run } = await import('./run.ts');
process.exitCode = await run(process.argv.slice(2), io);
