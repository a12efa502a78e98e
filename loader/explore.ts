/**
 * Every interleaving of some threads: breadth first, so that the first schedule that breaks something is a shortest
 * one. A state that was seen before is not gone on from, and of two moves that do not concern each other only one order
 * is tried (sleep sets: the other order comes to the same state). Generators cannot be copied, so a state is reached
 * again by running its schedule.
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
const KEPT = 1024;

/** Explores all schedules of the world that `make` makes. */
export function explore(
  make: () => World,
  { states: most = 100_000, length = 1000, prune = true }: Limits = {},
): Exploration {
  const start = make();
  const root = new Node([], start);
  const seen = new Map<string, Node>([[start.key(), root]]);
  const queue = [root];
  let moves = 0;
  let kept = 1;
  const done = (exhausted: boolean, why: Pick<Exploration, 'violation' | 'stopped'> = {}): Exploration => ({
    states: seen.size,
    moves,
    schedules: countSchedules(root, (schedule) => seen.get(runSchedule(make, schedule).key())),
    exhausted,
    ...why,
  });

  for (const node of queue) {
    let here = node.world;
    if (here !== undefined) kept--;
    node.world = undefined;
    here ??= runSchedule(make, node.schedule);
    const possible = movesOf(here);
    if (possible.length === 0) {
      const deadlock = deadlockOf(here);
      if (deadlock !== undefined) return done(false, { violation: showViolation(make, deadlock, node.schedule) });
    }
    node.isLeft = true;
    const asleep = (node.asleep ??= new Map<Move, Sleep>());
    /** What goes before the others: the moves that sleep, and those that have been made from here. */
    const before = new Map(asleep);
    for (const [move, made] of node.made) before.set(move, { by: move, from: node, footprint: made });
    let fresh: World | undefined = here;
    for (const move of possible) {
      if (asleep.has(move) || node.made.has(move)) continue;
      // The first move goes on from where we are.
      const world: World = fresh ?? runSchedule(make, node.schedule);
      fresh = undefined;
      const schedule = [...node.schedule, move];
      const { footprint } = world;
      footprint?.reads.clear();
      footprint?.writes.clear();
      const thread = applyMove(world, move);
      // The clock concerns everybody.
      const touched = footprint === undefined || move.endsWith('!') ? undefined : copyOf(footprint);
      moves++;
      const what = violationOf(world);
      if (what !== undefined) return done(false, { violation: showViolation(make, what, schedule) });

      const key = world.key();
      let reached = seen.get(key);
      if (reached === undefined) {
        if (seen.size >= most) return done(false, { stopped: `there are more than ${most} states` });
        if (schedule.length > length)
          return done(false, {
            stopped: `a schedule has more than ${length} moves, and ${thread.name} goes on with ${thread.step}: it may be endless`,
          });
        reached = new Node(schedule, kept < KEPT ? world : undefined);
        if (kept < KEPT) kept++;
        seen.set(key, reached);
        queue.push(reached);
      }
      node.next.set(move, reached);
      node.made.set(move, touched);
      if (prune && reached.letSleep(sleepersAfter(before, node, move, touched))) queue.push(reached);
      before.set(move, { by: move, from: node, footprint: touched });
    }
  }
  return done(true);
}

/** A move that need not be made from a state: from `from`, where `by` led to here, it was made before that. */
interface Sleep {
  readonly from: Node;
  readonly by: Move;
  readonly footprint: Footprint | undefined;
}

class Node {
  readonly schedule: readonly Move[];
  readonly next: Map<Move, Node> = new Map();
  /** Moves that were made from here, and what they touched. */
  readonly made: Map<Move, Footprint | undefined> = new Map();
  /** Undefined: nobody has said yet. */
  asleep: Map<Move, Sleep> | undefined;
  /** True: it was gone on from. */
  isLeft = false;
  world: World | undefined;

  constructor(schedule: readonly Move[], world: World | undefined) {
    this.schedule = schedule;
    this.world = world;
  }

  /** What may sleep here sleeps on every way that leads here. True: it was gone on from, and somebody has woken. */
  letSleep(sleepers: Map<Move, Sleep>): boolean {
    if (this.asleep === undefined) {
      this.asleep = sleepers;
      return false;
    }
    let woken = false;
    for (const move of this.asleep.keys()) {
      if (sleepers.has(move)) continue;
      this.asleep.delete(move);
      woken = true;
    }
    return woken && this.isLeft;
  }
}

/** What was before a move, does not concern it, and so need not be made after it. */
function sleepersAfter(
  before: ReadonlyMap<Move, Sleep>,
  from: Node,
  by: Move,
  touched: Footprint | undefined,
): Map<Move, Sleep> {
  const left = new Map<Move, Sleep>();
  for (const [move, { footprint }] of before)
    if (move !== by && areIndependent(footprint, touched)) left.set(move, { from, by, footprint });
  return left;
}

/** Neither writes what the other touches. */
function areIndependent(a: Footprint | undefined, b: Footprint | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  for (const one of a.writes) if (b.reads.has(one) || b.writes.has(one)) return false;
  for (const one of b.writes) if (a.reads.has(one)) return false;
  return true;
}

const copyOf = ({ reads, writes }: Footprint): Footprint => ({ reads: new Set(reads), writes: new Set(writes) });

/** Ways from the beginning to a state without a move. `run` gives the state after a schedule, if it was seen. */
function countSchedules(root: Node, run: (schedule: readonly Move[]) => Node | undefined): bigint {
  const all = (node: Node): Node[] => {
    if (node.isLeft) for (const move of node.asleep?.keys() ?? []) wake(node, move, run);
    return [...node.next.values()];
  };
  const ways = new Map<Node, bigint>();
  const open: { node: Node; next: readonly Node[]; at: number }[] = [{ node: root, next: all(root), at: 0 }];
  const within = new Set([root]);
  while (open.length > 0) {
    const top = open.at(-1)!;
    const child = top.next[top.at++];
    if (child !== undefined) {
      // A way round in a circle is no other schedule.
      if (ways.has(child) || within.has(child)) continue;
      open.push({ node: child, next: all(child), at: 0 });
      within.add(child);
      continue;
    }
    const sum = top.next.reduce((total, node) => total + (ways.get(node) ?? 0n), 0n);
    ways.set(top.node, top.next.length === 0 ? 1n : sum);
    within.delete(top.node);
    open.pop();
  }
  return ways.get(root) ?? 0n;
}

/** Where a move leads that was not made: there, too, where it leads when it is made first. */
function wake(
  node: Node,
  move: Move,
  run: (schedule: readonly Move[]) => Node | undefined,
  depth = 0,
): Node | undefined {
  const known = node.next.get(move);
  if (known !== undefined) return known;
  const sleep = node.asleep?.get(move);
  let reached: Node | undefined;
  if (sleep !== undefined && depth < 100) {
    const first = wake(sleep.from, move, run, depth + 1);
    reached = first && wake(first, sleep.by, run, depth + 1);
  }
  reached ??= run([...node.schedule, move]);
  if (reached !== undefined) node.next.set(move, reached);
  return reached;
}
