// Replays recorded ground truth against a port built here and now: every case of its architecture must come out as
// it was recorded. Usage: replay-ports KERNEL-TREE ARCH VECTORS.jsonl.gz…
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { BuildError, buildPort, startPort } from '../oracle/build.ts';
import { expectDifference, expectOf, portCaseOf } from '../oracle/vector-case.ts';
import { parseVectors } from '../testing/vector.ts';

const [kernelTree, arch, ...files] = process.argv.slice(2);
if (kernelTree === undefined || arch === undefined || files.length === 0) {
  console.error('usage: replay-ports KERNEL-TREE ARCH VECTORS.jsonl.gz…');
  process.exit(2);
}
try {
  const port = await buildPort({ kernelTree, arch, log: (line) => console.error(line) });
  if (port.missing.length > 0) console.error(`no stubs for ${port.missing.join(' ')}`);
  await using running = startPort(port);
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const vectors = parseVectors(gunzipSync(readFileSync(file)).toString());
    const cases = vectors.map(portCaseOf);
    const outcomes = await running.run(cases);
    for (const [i, v] of vectors.entries()) {
      const difference = expectDifference(v.expect, expectOf(v, outcomes[i]!));
      if (difference === '') passed++;
      else failed++;
      if (difference !== '' && failed <= 10) console.log(`  ${v.id} ${difference}`);
    }
  }
  console.log(`${arch}: ${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
