/** The text of a state: what has the same text goes on in the same way. On that rests all that the explorer leaves out. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { applyMove, type Move, movesOf, violationOf, type World } from '../../loader/explore.ts';
import { runSchedule } from '../../loader/world.ts';
import { parseScenario, worldsOf } from '../../testing/scenario.ts';

const folder = new URL('../../fixtures/scenarios/', import.meta.url);

/** Where each move leads, as text. */
function movesAndTexts(make: () => World, schedule: readonly Move[]): unknown {
  return movesOf(runSchedule(make, schedule)).map((move) => {
    const world = runSchedule(make, schedule);
    applyMove(world, move);
    return [move, violationOf(world) ?? world.key()];
  });
}

/** Two schedules that come to one state, from the first states of a world. */
function* meetings(make: () => World, most: number): Generator<[readonly Move[], readonly Move[]], void> {
  const seen = new Map<string, readonly Move[]>([[make().key(), []]]);
  const queue: (readonly Move[])[] = [[]];
  for (const schedule of queue) {
    for (const move of movesOf(runSchedule(make, schedule))) {
      const world = runSchedule(make, schedule);
      applyMove(world, move);
      if (violationOf(world) !== undefined) continue;
      const other = seen.get(world.key());
      if (other !== undefined) {
        yield [other, [...schedule, move]];
        if (--most === 0) return;
        continue;
      }
      seen.set(world.key(), [...schedule, move]);
      queue.push([...schedule, move]);
    }
  }
}

for (const file of readdirSync(folder)) {
  const scenario = parseScenario(readFileSync(new URL(file, folder), 'utf8'));
  for (const kernel of [...(scenario.kernel === undefined ? [] : [scenario.kernel]), '7.2'] as const) {
    test(`${file}, ${kernel}: two schedules to one state go on in the same way`, (t) => {
      const make = worldsOf(scenario, kernel);
      let compared = 0;
      for (const [one, other] of meetings(make, 40)) {
        t.deepEqual(movesAndTexts(make, other), movesAndTexts(make, one), `${one.join()} and ${other.join()}`);
        compared++;
      }
      t.true(compared > 0 || Object.keys(scenario.threads).length < 3);
    });
  }
}
