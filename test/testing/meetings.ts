/** Two ways to one state, and how it goes on from there by each. */
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

/**
 * Goes on from both schedules with the same moves, chosen by `seed`, to an end. What both say at the first step at which
 * they differ; undefined: they never do.
 */
export function parting(
  make: () => World,
  one: readonly Move[],
  other: readonly Move[],
  seed: number,
): { readonly after: readonly Move[]; readonly by: readonly unknown[] } | undefined {
  const worlds = [runSchedule(make, one), runSchedule(make, other)] as const;
  const after: Move[] = [];
  let chance = seed;
  for (;;) {
    const by = worlds.map((world) => [movesOf(world), violationOf(world) ?? world.key()]);
    if (JSON.stringify(by[0]) !== JSON.stringify(by[1])) return { after, by };
    const possible = movesOf(worlds[0]);
    if (possible.length === 0 || violationOf(worlds[0]) !== undefined || after.length > 200) return undefined;
    chance = (Math.imul(chance, 1_103_515_245) + 12_345) >>> 0;
    const move = possible[(chance >>> 16) % possible.length]!;
    after.push(move);
    for (const world of worlds) applyMove(world, move);
  }
}
