// The conformance laws of testing/laws.ts, for every architecture or those named, with many cases a law.
import { parseArgs } from 'node:util';
import { arches } from '../arch/index.ts';
import { laws } from '../testing/laws.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, runs: { type: 'string', default: '10000' } },
});
const chosen = positionals.length === 0 ? arches : arches.filter(({ name }) => positionals.includes(name));
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const numRuns = Number(values.runs);
if (chosen.length < positionals.length || !Number.isInteger(seed) || !(numRuns > 0)) {
  console.error(`usage: test-laws [--seed N] [--runs N] [${arches.map(({ name }) => name).join('|')}]…`);
  process.exit(2);
}
console.log(`seed ${seed}, ${numRuns} cases a law`);

let passed = 0;
let failed = 0;
for (const arch of chosen) {
  const from = performance.now();
  const broken: string[] = [];
  for (const law of laws) {
    try {
      law.holds(arch, { seed, numRuns });
      passed++;
    } catch (error) {
      failed++;
      broken.push(error instanceof Error ? error.message : String(error));
    }
  }
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  console.log(`${arch.name}: ${laws.length - broken.length} of ${laws.length} laws hold (${seconds} s)`);
  for (const message of broken) console.log(`  ${message}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
