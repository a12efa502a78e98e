/**
 * Every interleaving of some threads: breadth first, so that the first schedule that breaks something is a shortest
 * one. A state that was seen before is not gone on from, and of two moves that do not concern each other only one order
 * is tried: where the other leads is known. Generators cannot be copied, so a state is reached again by running its
 * schedule.
 */
import {
  applyMove,
  deadlockOf,
  type Footprint,
  type Move,
  movesOf,
  runSchedule,
  showViolation,
  type Violation,
  violationOf,
  type World,
} from './world.ts';

export {
  applyMove,
  deadlockOf,
  type Footprint,
  type Moment,
  type Move,
  movesOf,
  replaySchedule,
  showViolation,
  type Stack,
  type Violation,
  violationAfter,
  violationOf,
  type World,
} from './world.ts';

export interface Exploration {
  readonly states: number;
  /** Moves that were made to find them. */
  readonly moves: number;
  /** Schedules from the beginning to an end; of those states that were seen. */
  readonly schedules: bigint;
  /** False: something was wrong, or a limit was reached before all was seen. */
  readonly exhausted: boolean;
  readonly violation?: Violation;
  /** Which limit was reached, and by whom. */
  readonly stopped?: string;
}

export interface Limits {
  /** Default 100,000. */
  readonly states?: number;
  /** Moves of one schedule, default 1,000: longer ones are taken to be endless. */
  readonly length?: number;
  /** False: every order is tried, of moves that do not concern each other too. */
  readonly prune?: boolean;
}

/** Worlds that are kept where they stand, so that their schedules need not be run again. */
const KEPT = 4096;

/** Explores all schedules of the world that `make` makes. */
export function explore(make: () => World, limits: Limits = {}): Exploration {
  const steps = exploring(make, limits);
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
  }
}

/** How far an exploration has come. */
export interface SoFar {
  readonly states: number;
  readonly moves: number;
  /** What is known, when it is not gone on with because of `why`. */
  stop(why: string): Exploration;
}

/** explore(), which lets others do something between two states. */
export function* exploring(
  make: () => World,
  { states: most = 100_000, length = 1000, prune = true }: Limits = {},
): Generator<SoFar, Exploration> {
  const start = make();
  const root = new Node([], start, start);
  const seen = new Map<string, Node>([[start.key(), root]]);
  const queue = [root];
  let moves = 0;
  let kept = 1;
  const done = (exhausted: boolean, why: Pick<Exploration, 'violation' | 'stopped'> = {}): Exploration => ({
    states: seen.size,
    moves,
    schedules: countSchedules(root),
    exhausted,
    ...why,
  });
  const broken = (what: string, schedule: readonly Move[]): Exploration =>
    done(false, { violation: showViolation(make, what, schedule) });

  for (const node of queue) {
    yield { states: seen.size, moves, stop: (stopped) => done(false, { stopped }) };
    let here = node.world;
    if (here !== undefined) kept--;
    node.world = undefined;
    if (node.deadlock !== undefined) return broken(node.deadlock, node.schedule);
    for (const move of node.possible) {
      const known = prune ? node.foresee(move) : undefined;
      if (known !== undefined) {
        node.lead(move, known.to, known.footprint);
        continue;
      }
      // The first move goes on from where we are.
      const world: World = here ?? runSchedule(make, node.schedule);
      here = undefined;
      const schedule = [...node.schedule, move];
      const { footprint } = world;
      footprint?.reads.clear();
      footprint?.writes.clear();
      const thread = applyMove(world, move);
      // The clock concerns everybody.
      const touched = footprint === undefined || move.endsWith('!') ? undefined : copyOf(footprint);
      moves++;
      const what = violationOf(world);
      if (what !== undefined) return broken(what, schedule);

      const key = world.key();
      let reached = seen.get(key);
      if (reached === undefined) {
        if (seen.size >= most) return done(false, { stopped: `there are more than ${most} states` });
        if (schedule.length > length)
          return done(false, {
            stopped: `a schedule has more than ${length} moves, and ${thread.name} goes on with ${thread.step}: it may be endless`,
          });
        reached = new Node(schedule, world, kept < KEPT ? world : undefined);
        if (kept < KEPT) kept++;
        seen.set(key, reached);
        queue.push(reached);
      }
      node.lead(move, reached, touched);
    }
  }
  return done(true);
}

/** A state, by the first schedule that came to it. */
class Node {
  readonly schedule: readonly Move[];
  readonly possible: readonly Move[];
  /** Nothing is possible, and somebody sleeps. */
  readonly deadlock: string | undefined;
  /** Where each move leads, and what it touches. */
  readonly next: Map<Move, { readonly to: Node; readonly footprint: Footprint | undefined }> = new Map();
  /** The moves that lead here. */
  readonly from: { readonly node: Node; readonly by: Move }[] = [];
  world: World | undefined;

  constructor(schedule: readonly Move[], now: World, world: World | undefined) {
    this.schedule = schedule;
    this.possible = movesOf(now);
    this.deadlock = this.possible.length === 0 ? deadlockOf(now) : undefined;
    this.world = world;
  }

  lead(move: Move, to: Node, footprint: Footprint | undefined): void {
    this.next.set(move, { to, footprint });
    to.from.push({ node: this, by: move });
  }

  /**
   * Where a move leads that does not concern the one that led here: to where they lead in the other order, if that was
   * tried. As each such end stands on others that were there before it, nothing is left out.
   */
  foresee(move: Move): { to: Node; footprint: Footprint | undefined } | undefined {
    for (const { node, by } of this.from) {
      const first = node.next.get(move);
      if (first === undefined || move === by || !areIndependent(first.footprint, node.next.get(by)!.footprint))
        continue;
      const end = first.to.next.get(by);
      if (end !== undefined) return { to: end.to, footprint: first.footprint };
    }
    return undefined;
  }
}

/** Neither writes what the other touches. */
function areIndependent(a: Footprint | undefined, b: Footprint | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  for (const one of a.writes) if (b.reads.has(one) || b.writes.has(one)) return false;
  for (const one of b.writes) if (a.reads.has(one)) return false;
  return true;
}

const copyOf = ({ reads, writes }: Footprint): Footprint => ({ reads: new Set(reads), writes: new Set(writes) });

/** Ways from the beginning to a state without a move. */
function countSchedules(root: Node): bigint {
  const ways = new Map<Node, bigint>();
  const open: { node: Node; next: readonly Node[]; at: number }[] = [];
  const within = new Set<Node>();
  const enter = (node: Node): void => {
    open.push({ node, next: Array.from(node.next.values(), ({ to }) => to), at: 0 });
    within.add(node);
  };
  enter(root);
  while (open.length > 0) {
    const top = open.at(-1)!;
    const child = top.next[top.at++];
    if (child !== undefined) {
      // A way round in a circle is no other schedule.
      if (!ways.has(child) && !within.has(child)) enter(child);
      continue;
    }
    const sum = top.next.reduce((total, node) => total + (ways.get(node) ?? 0n), 0n);
    ways.set(top.node, top.next.length === 0 ? 1n : sum);
    within.delete(top.node);
    open.pop();
  }
  return ways.get(root) ?? 0n;
}
