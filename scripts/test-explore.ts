// The large scenario to its end on each kernel of today, and how long that takes.
import { readFileSync } from 'node:fs';
import { explore } from '../loader/explore.ts';
import { versions } from '../relocs/module-view.ts';
import { parseScenario, worldsOf } from '../testing/scenario.ts';

/** Seconds in which three threads, three modules and four operations each must be exhausted. */
const MOST = 30;

const scenario = parseScenario(
  readFileSync(new URL('../fixtures/scenarios/three-by-three.json', import.meta.url), 'utf8'),
);
let failed = 0;
for (const version of versions) {
  const from = performance.now();
  const { states, schedules, moves, exhausted, violation } = explore(worldsOf(scenario, version));
  const seconds = (performance.now() - from) / 1000;
  console.log(`${version}: ${states} states, ${schedules} schedules, ${moves} moves in ${seconds.toFixed(1)} s`);
  if (exhausted && seconds < MOST) continue;
  console.error(violation?.what ?? (exhausted ? `more than ${MOST} s` : 'not all was seen'));
  failed++;
}
console.log(`${versions.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
