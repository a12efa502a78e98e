// Replays recorded ground truth: every case of every .jsonl.gz in the folders given must agree with the reference.
// Cases of an architecture that is not in the registry are counted as failed: they are ground truth all the same.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Difference, replay } from '../testing/replay.ts';
import { parseVectors, type Vector } from '../testing/vector.ts';

const folders = process.argv.slice(2);
if (folders.length === 0) {
  console.error('usage: test-vectors FOLDER…');
  process.exit(2);
}

/** A case that cannot be run at all is a difference like any other. */
function attempt(vector: Vector): Difference[] {
  try {
    return replay(vector);
  } catch (error) {
    return [
      {
        id: vector.id,
        what: 'run',
        expected: 'an outcome',
        actual: error instanceof Error ? error.message : String(error),
      },
    ];
  }
}

let passed = 0;
let failed = 0;
for (const folder of folders) {
  for (const name of readdirSync(folder)
    .filter((f) => f.endsWith('.jsonl.gz'))
    .toSorted()) {
    const cases = parseVectors(gunzipSync(readFileSync(join(folder, name))).toString());
    const shown: Difference[] = [];
    let agree = 0;
    for (const vector of cases) {
      const differences = attempt(vector);
      if (differences.length === 0) agree++;
      else shown.push(differences[0]!);
    }
    passed += agree;
    failed += cases.length - agree;
    console.log(`${name}: ${agree} of ${cases.length} agree`);
    for (const d of shown.slice(0, 5)) console.log(`  ${d.id} ${d.what}: expected ${d.expected}, got ${d.actual}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
