/**
 * Threads of a kernel side by side, one move at a time: what can happen next, what has happened, and what is wrong.
 */
import { loaderViolation } from './invariants.ts';
import type { Kernel } from './kernel.ts';
import type { Thread } from './thread.ts';

/**
 * One run of a scenario, from its beginning. The same moves must always lead to the same state, and worlds live side by
 * side: what changes is no two worlds'.
 */
export interface World {
  readonly kernel: Kernel;
  readonly threads: readonly Thread[];
  /** Those that may sleep for ever. */
  readonly daemons: ReadonlySet<Thread>;
  /** What is wrong now. */
  violation(): string | undefined;
  /** Where that was done, and where what led to it. */
  stacks?(): readonly Stack[];
  /** Two states that go on in the same way have the same text. */
  key(): string;
  /** What moves have touched since it was last emptied; without it every move may concern every other. */
  readonly footprint?: Footprint;
}

/** What is read and what is written, under any names. */
export interface Footprint {
  readonly reads: Set<string>;
  readonly writes: Set<string>;
}

/** Who was where when something was done: "used", "freed". */
export interface Stack {
  readonly of: string;
  /** Innermost first; the last is the thread. */
  readonly frames: readonly string[];
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

export interface Violation {
  readonly what: string;
  readonly schedule: readonly Move[];
  readonly timeline: readonly Moment[];
  readonly stacks: readonly Stack[];
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

/** What is wrong at the end of a schedule, and how it came to that. */
export function showViolation(make: () => World, what: string, schedule: readonly Move[]): Violation {
  const stacks = runSchedule(make, schedule).stacks?.() ?? [];
  return { what, schedule, timeline: replaySchedule(make, schedule), stacks };
}

/** What is wrong at the end of a schedule, if anything is. */
export function violationAfter(make: () => World, schedule: readonly Move[]): Violation | undefined {
  const world = runSchedule(make, schedule);
  const what = violationOf(world) ?? (movesOf(world).length === 0 ? deadlockOf(world) : undefined);
  return what === undefined ? undefined : showViolation(make, what, schedule);
}

/** Runs moves one after the other and tells what happened. */
export function replaySchedule(make: () => World, schedule: readonly Move[]): Moment[] {
  const world = make();
  return schedule.map((move) => {
    const thread = applyMove(world, move);
    const modules = world.kernel.modules.map((m) => `${m.name} ${m.state} ${m.refcount}`);
    return { thread: thread.name, step: stepOf(thread), modules };
  });
}

const stepOf = ({ step, outcome }: Thread): string => {
  if (outcome === undefined) return step;
  return 'value' in outcome ? 'ends' : 'dies';
};

/** A world after some moves. */
export function runSchedule(make: () => World, schedule: readonly Move[]): World {
  const world = make();
  for (const move of schedule) applyMove(world, move);
  return world;
}

/**
 * All that can happen next. The clock goes on only when there is nothing else to happen; whose time has then come may go
 * on in any order.
 */
export function movesOf({ kernel, threads }: World): Move[] {
  const until = ({ wait }: Thread): number => wait?.until ?? Infinity;
  const movesAt = (now: number): Move[] =>
    threads.flatMap((thread) =>
      thread.isRunnable ? [thread.name] : until(thread) < Infinity && until(thread) <= now ? [`${thread.name}!`] : [],
    );
  const now = movesAt(kernel.now);
  return now.length > 0 ? now : movesAt(Math.min(...threads.map(until)));
}

/**
 * Lets a thread go on to the next step that others can see.
 *
 * @throws Error: there is no such thread, or it cannot go on
 */
export function applyMove({ kernel, threads }: World, move: Move): Thread {
  const late = move.endsWith('!');
  const thread = threads.find(({ name }) => name === (late ? move.slice(0, -1) : move));
  const until = thread?.wait?.until;
  if (thread === undefined || thread.outcome !== undefined || (late ? until === undefined : !thread.isRunnable))
    throw new Error(`the schedule cannot be followed: ${move} cannot go on`);
  if (late) kernel.now = Math.max(kernel.now, until ?? 0);
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
    // The world may know better where that was.
    return (
      world.violation() ??
      `${name}, after ${step}: ${outcome.error instanceof Error ? outcome.error.message : String(outcome.error)}`
    );
  }
  return loaderViolation(world.kernel) ?? world.violation() ?? lostWakeUp(world);
}

/** Everybody sleeps, and somebody does although what he waits for has come: at best until his patience ends. */
function lostWakeUp({ threads }: World): string | undefined {
  if (threads.some(({ isRunnable }) => isRunnable)) return undefined;
  const sleeper = threads.find(({ wait }) => wait?.condition?.() === true);
  return sleeper && `lost wake-up: ${sleeper.name} sleeps in ${sleeper.step}, and what it waits for has come`;
}
