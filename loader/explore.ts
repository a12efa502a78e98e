/**
 * Every interleaving of some threads: breadth first, so that the first schedule that breaks something is a shortest
 * one. A state that was seen before is not gone on from; generators cannot be copied, so a state is reached again by
 * running its schedule.
 */
import type { Kernel } from './kernel.ts';
import { firstToGiveUp, type Thread } from './thread.ts';

/** One run of a scenario, from its beginning. The same moves must always lead to the same state. */
export interface World {
  readonly kernel: Kernel;
  readonly threads: readonly Thread[];
  /** Those that may sleep for ever. */
  readonly daemons: ReadonlySet<Thread>;
  /** What is wrong now. */
  violation(): string | undefined;
  /** Two states that go on in the same way have the same text. */
  key(): string;
}

/** The thread that goes on, by name; with `!` behind it because its patience has ended. */
export type Move = string;

/** What has happened after a move. */
export interface Moment {
  readonly thread: string;
  readonly step: string;
  /** "lib COMING 1", newest first. */
  readonly modules: readonly string[];
}

export interface Exploration {
  readonly states: number;
  readonly moves: number;
  /** Schedules from the beginning to an end; of those states that were seen. */
  readonly schedules: bigint;
  /** False: a limit was reached before all was seen. */
  readonly exhausted: boolean;
  readonly violation?: {
    readonly what: string;
    readonly schedule: readonly Move[];
    readonly timeline: readonly Moment[];
  };
}

export interface Limits {
  /** Default 100,000. */
  readonly states?: number;
  /** Moves of one schedule, default 1,000: longer ones are taken to be endless. */
  readonly length?: number;
}

/** Steps that nobody else can see: they go together with the one that follows. */
const unseen: ReadonlySet<string> = new Set([
  'module_sig_check',
  'elf_validity_check',
  'elf_validity_cache_copy',
  'module_frob_arch_sections',
  'layout_and_allocate',
  'percpu_modalloc',
  'find_module_sections',
  'setup_modinfo',
  'apply_relocations',
  'post_relocation',
  'prepare_coming_module',
  'parse_args',
  'mod_sysfs_setup',
  'free_copy',
  'ddebug_cleanup',
  'free_arch_cleanup',
  'free_modinfo',
  'free_module',
  'module_notify_list',
  'last_unloaded_module',
  'mod_sysfs_teardown',
  'module_arch_cleanup',
  'module_destroy_params',
  'try_add_tainted_module',
  'percpu_modfree',
]);

/** Explores all schedules of the world that `make` makes. */
export function explore(make: () => World, { states: most = 100_000, length = 1000 }: Limits = {}): Exploration {
  const start = make();
  const seen = new Map<string, Node>();
  const root: Node = { schedule: [], next: [] };
  seen.set(start.key(), root);
  const queue = [root];
  let moves = 0;
  const done = (exhausted: boolean, violation?: Exploration['violation']): Exploration => ({
    states: seen.size,
    moves,
    schedules: countSchedules(root),
    exhausted,
    ...(violation === undefined ? {} : { violation }),
  });
  const broken = (what: string, schedule: readonly Move[]): Exploration =>
    done(false, { what, schedule, timeline: replaySchedule(make, schedule) });

  for (const node of queue) {
    const here = runSchedule(make, node.schedule);
    const possible = movesOf(here);
    if (possible.length === 0) {
      const deadlock = deadlockOf(here);
      if (deadlock !== undefined) return broken(deadlock, node.schedule);
    }
    for (const [i, move] of possible.entries()) {
      // The first move goes on from where we are.
      const world = i === 0 ? here : runSchedule(make, node.schedule);
      const schedule = [...node.schedule, move];
      applyMove(world, move);
      moves++;
      const what = violationOf(world);
      if (what !== undefined) return broken(what, schedule);
      const key = world.key();
      let reached = seen.get(key);
      if (reached === undefined) {
        if (seen.size >= most || schedule.length > length) return done(false);
        reached = { schedule, next: [] };
        seen.set(key, reached);
        queue.push(reached);
      }
      node.next.push(reached);
    }
  }
  return done(true);
}

interface Node {
  readonly schedule: readonly Move[];
  readonly next: Node[];
}

/** Runs moves one after the other and tells what happened. */
export function replaySchedule(make: () => World, schedule: readonly Move[]): Moment[] {
  const world = make();
  return schedule.map((move) => {
    const thread = applyMove(world, move);
    const modules = world.kernel.modules.map((m) => `${m.name} ${m.state} ${m.refcount}`);
    return { thread: thread.name, step: thread.outcome === undefined ? thread.step : 'ends', modules };
  });
}

function runSchedule(make: () => World, schedule: readonly Move[]): World {
  const world = make();
  for (const move of schedule) applyMove(world, move);
  return world;
}

/** All that can happen next. Patience ends only when there is nothing else to happen. */
export function movesOf({ threads }: World): Move[] {
  const runnable = threads.filter(({ isRunnable }) => isRunnable).map(({ name }) => name);
  if (runnable.length > 0) return runnable;
  const sleeper = firstToGiveUp(threads);
  return sleeper === undefined ? [] : [`${sleeper.name}!`];
}

/**
 * Lets a thread go on to the next step that others can see.
 *
 * @throws Error: there is no such thread, or it cannot go on
 */
export function applyMove({ kernel, threads }: World, move: Move): Thread {
  const late = move.endsWith('!');
  const thread = threads.find(({ name }) => name === (late ? move.slice(0, -1) : move));
  if (thread === undefined || thread.outcome !== undefined || (!late && !thread.isRunnable))
    throw new Error(`the schedule cannot be followed: ${move} cannot go on`);
  if (late) kernel.now = Math.max(kernel.now, thread.wait?.until ?? 0);
  thread.run(late ? 'timeout' : undefined);
  while (thread.isRunnable && thread.wait === undefined && unseen.has(thread.step)) thread.run();
  return thread;
}

/** Who sleeps for ever in a world in which nothing can happen any more. */
export function deadlockOf({ threads, daemons }: World): string | undefined {
  const asleep = threads.filter((thread) => thread.outcome === undefined && !daemons.has(thread));
  if (asleep.length === 0) return undefined;
  return `deadlock: ${asleep.map(({ name, step }) => `${name} sleeps in ${step}`).join(', ')}`;
}

/** What is wrong now: with a thread, with the kernel, or with the world. */
export function violationOf(world: World): string | undefined {
  for (const { name, step, outcome } of world.threads) {
    if (outcome === undefined || 'value' in outcome) continue;
    return `${name}, after ${step}: ${outcome.error instanceof Error ? outcome.error.message : String(outcome.error)}`;
  }
  return loaderViolation(world.kernel) ?? world.violation();
}

/** What must hold in every kernel at every moment. */
export function loaderViolation(kernel: Kernel): string | undefined {
  for (const m of kernel.modules) {
    for (const target of m.targets) {
      if (!kernel.modules.includes(target)) return `${m.name} uses ${target.name}, which is no longer there`;
      if (target.state !== 'LIVE') return `${m.name} uses ${target.name}, which is ${target.state}`;
    }
    if (m.refcnt < 0) return `${m.name} has ${m.refcnt} references`;
    if (m.warnings.length > 0) return m.warnings[0];
  }
  for (const [name, exports] of kernel.moduleExports) {
    const gone = exports.find(({ owner }) => owner !== undefined && !kernel.modules.includes(owner));
    if (gone !== undefined) return `${name} of ${gone.owner!.name} is still exported`;
  }
  const names = kernel.modules.map(({ name }) => name);
  if (new Set(names).size < names.length) return `two modules have one name: ${names.join(', ')}`;
  return undefined;
}

/** Ways from the beginning to a state without a move. */
function countSchedules(root: Node): bigint {
  const ways = new Map<Node, bigint>();
  const open: { node: Node; at: number }[] = [{ node: root, at: 0 }];
  while (open.length > 0) {
    const top = open.at(-1)!;
    const child = top.node.next[top.at++];
    if (child !== undefined) {
      // A way round in a circle is no other schedule.
      if (!ways.has(child) && !open.some(({ node }) => node === child)) open.push({ node: child, at: 0 });
      continue;
    }
    const sum = top.node.next.reduce((all, node) => all + (ways.get(node) ?? 0n), 0n);
    ways.set(top.node, top.node.next.length === 0 ? 1n : sum);
    open.pop();
  }
  return ways.get(root) ?? 0n;
}
