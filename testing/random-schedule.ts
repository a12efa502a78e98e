/**
 * Schedules at random, for scenarios too big to exhaust. fast-check draws a list of choices, one for each move, and what
 * breaks is shrunk: to fewer moves, and to threads that go on where they were. (fast-check's own scheduler orders
 * promises and cannot shrink an order; a list of numbers it can.)
 */
import * as fc from 'fast-check';
import {
  applyMove,
  deadlockOf,
  type Exploration,
  type Move,
  movesOf,
  showViolation,
  violationOf,
  type World,
} from '../loader/explore.ts';

export interface RandomLimits {
  /** The same seed and length find the same schedule. Default, another one each time. */
  readonly seed?: number;
  /** Schedules to try; default 1,000. */
  readonly runs?: number;
  /** Moves of one schedule; default 1,000. */
  readonly length?: number;
  /** With the seed it was found under: only the schedule that was found, as it was shrunk. */
  readonly path?: string;
  /** Told after each move. */
  readonly onMove?: (soFar: { readonly states: number; readonly moves: number }) => void;
}

/** As of explore(); `schedules` are those that were tried, and `states` those that they came by. */
export interface RandomExploration extends Exploration {
  readonly seed: number;
  /** Schedules that ended before their threads did. */
  readonly cut: number;
  /** Set with a violation: where fast-check finds it again. */
  readonly path?: string;
}

/** Tries random schedules of the world that `make` makes, until one breaks something or `runs` have been tried. */
export function exploreRandomly(
  make: () => World,
  { seed, runs = 1000, length = 1000, path, onMove }: RandomLimits = {},
): RandomExploration {
  const seen = new Set<string>();
  let moves = 0;
  let cut = 0;
  const keep = (world: World): void => {
    moves++;
    seen.add(world.key());
    onMove?.({ states: seen.size, moves });
  };
  const {
    failed,
    counterexample,
    counterexamplePath,
    numRuns,
    seed: used,
  } = fc.check(
    fc.property(choices(length), (chosen) => {
      const { what, isCut } = follow(make, chosen, keep);
      if (isCut) cut++;
      return what === undefined;
    }),
    {
      numRuns: runs,
      ...(seed === undefined ? {} : { seed }),
      ...(path === undefined ? {} : { path, endOnFailure: true }),
    },
  );
  const found = { states: seen.size, moves, schedules: BigInt(numRuns), exhausted: false, seed: used, cut };
  if (!failed) return found;
  const { what, schedule } = follow(make, counterexample![0]);
  // The world itself could not be made or moved, and now as little as then: follow() has thrown.
  if (what === undefined) throw new Error('a world does not do the same twice');
  return { ...found, violation: showViolation(make, what, schedule), path: counterexamplePath! };
}

/** Some schedules change threads at every second move, others let one go on for long while the others stand. */
const choices = (maxLength: number): fc.Arbitrary<number[]> => {
  const any = fc.nat({ max: 99 });
  const list = (choice: fc.Arbitrary<number>): fc.Arbitrary<number[]> => fc.array(choice, { maxLength, size: 'max' });
  return fc.oneof(list(any), list(fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, any)));
};

/** Moves as chosen, to the first thing that is wrong, the end of the choices, or that of all threads. */
function follow(
  make: () => World,
  chosen: readonly number[],
  keep: (world: World) => void = () => undefined,
): { readonly what: string | undefined; readonly schedule: readonly Move[]; readonly isCut: boolean } {
  const world = make();
  const schedule: Move[] = [];
  for (const choice of chosen) {
    const possible = movesOf(world);
    if (possible.length === 0) return { what: deadlockOf(world), schedule, isCut: false };
    // 0, which everything is shrunk to, is who went last.
    const last = possible.indexOf(schedule.at(-1) ?? '');
    const move = possible[(Math.max(last, 0) + choice) % possible.length]!;
    schedule.push(move);
    applyMove(world, move);
    keep(world);
    const what = violationOf(world);
    if (what !== undefined) return { what, schedule, isCut: false };
  }
  const ended = movesOf(world).length === 0;
  return { what: ended ? deadlockOf(world) : undefined, schedule, isCut: !ended };
}
