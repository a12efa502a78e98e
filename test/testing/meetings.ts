/** Two ways to one state, and where it goes on from there by each. */
import { applyMove, type Move, movesOf, violationOf, type World } from '../../loader/explore.ts';
import { runSchedule } from '../../loader/world.ts';

/** Where each move leads, as text. */
export function movesAndTexts(make: () => World, schedule: readonly Move[]): unknown {
  return movesOf(runSchedule(make, schedule)).map((move) => {
    const world = runSchedule(make, schedule);
    applyMove(world, move);
    return [move, violationOf(world) ?? world.key()];
  });
}

/** Two schedules that come to one state, from the first states of a world. */
export function* meetings(make: () => World, most: number): Generator<[readonly Move[], readonly Move[]], void> {
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
