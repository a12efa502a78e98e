/** The text of a state: what has the same text goes on in the same way. On that rests all that the explorer leaves out. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { parseScenario, worldsOf } from '../../testing/scenario.ts';
import { meetings, movesAndTexts } from './meetings.ts';

const folder = new URL('../../fixtures/scenarios/', import.meta.url);

for (const file of readdirSync(folder)) {
  const scenario = parseScenario(readFileSync(new URL(file, folder), 'utf8'));
  for (const kernel of [...(scenario.kernel === undefined ? [] : [scenario.kernel]), '7.2'] as const) {
    test(`${file}, ${kernel}: two schedules to one state go on in the same way`, (t) => {
      const make = worldsOf(scenario, kernel);
      let compared = 0;
      for (const [one, other] of meetings(make, 15)) {
        t.deepEqual(movesAndTexts(make, other), movesAndTexts(make, one), `${one.join()} and ${other.join()}`);
        compared++;
      }
      t.true(compared > 0 || Object.keys(scenario.threads).length < 3);
    });
  }
}
