/**
 * Kernels of days gone by: what each did otherwise than today's, as far as the life of modules goes. docs/history.md tells
 * how it came to that, and what it led to. Rules only; life.ts does as they say.
 */
import type { State } from '../../loader/module.ts';
import type { Version } from '../../relocs/module-view.ts';

/** What is not said is as today. */
export interface Rules {
  /** The profile that does all else. */
  readonly base: Version;
  /** Verbs that had not been invented. */
  readonly lacks?: readonly string[];
  /** Who counts when a device is opened; default, who finds it. */
  readonly opening?: 'inside' | 'nobody';
  /** try_module_get() of a module whose init has not ended says no. */
  readonly entersLiveOnly?: true;
  /**
   * Symbols of a module whose init has not ended: anybody may have them, nobody, or who waits for its end keeps all
   * other loads waiting.
   */
  readonly linksComing?: 'yes' | 'no' | 'waits under module_mutex';
  /** One load after the other, up to the beginning of init. */
  readonly locksLoads?: true;
  /** And until init has ended. */
  readonly locksInit?: true;
  /** A namesake in these states is waited for, and then the load tried again; in all others it is EEXIST. */
  readonly namesakeAwaited?: readonly State[];
  /** A namesake is looked for only when the module goes into the list, at the end. */
  readonly listsLate?: true;
  /** Counters of each CPU, added up one after the other: gets less puts, or all puts before all gets. */
  readonly counts?: 'per CPU' | 'per CPU, puts first';
  /** A module is freed without waiting for who reads: whoever unregisters must have done that. */
  readonly freesAtOnce?: true;
  /** delete_module(): asks the module instead of a count; waits for the last reference, and is told of it or not. */
  readonly unloads?: 'asks can_unload' | 'waits' | 'waits untold' | 'wakes nobody';
  /** Calls of finit_module() that wait for the first one hear no signal; a file that cannot be read is never done with. */
  readonly idempotent?: 'uninterruptible' | 'uninterruptible, left behind';
}

// biome-ignore format: oldest first
export const dayNames = ['2.2', '2.4-can_unload', '2.4', '2.5.48', '2.5.51', '2.5.52', '2.6.5', '2.6.14', '2.6.33', '2.6.34',
  '3.6', '5.2', '5.4', '6.0', '6.5-merge', '6.10'] as const;

/** A kernel of history, by the version that had what is told of. */
export type Day = (typeof dayNames)[number];

const BEFORE_2_6 = ['rcu_barrier', 'wait_objects'];

// biome-ignore format: a table
export const days: Readonly<Record<Day, Rules>> = {
  '2.2':            { base: '6.1', freesAtOnce: true, lacks: [...BEFORE_2_6, 'synchronize_rcu'], opening: 'inside' },
  '2.4-can_unload': { base: '6.1', freesAtOnce: true, lacks: BEFORE_2_6, opening: 'nobody', unloads: 'asks can_unload' },
  '2.4':            { base: '6.1', freesAtOnce: true, lacks: BEFORE_2_6 },
  '2.5.48':         { base: '6.1', freesAtOnce: true, lacks: BEFORE_2_6, locksLoads: true, locksInit: true, linksComing: 'yes',
                      entersLiveOnly: true },
  '2.5.51':         { base: '6.1', freesAtOnce: true, lacks: BEFORE_2_6, locksLoads: true, linksComing: 'yes' },
  '2.5.52':         { base: '6.1', freesAtOnce: true, lacks: BEFORE_2_6, locksLoads: true, linksComing: 'no' },
  '2.6.5':          { base: '6.1', freesAtOnce: true, lacks: ['rcu_barrier'], locksLoads: true, linksComing: 'no', unloads: 'waits untold' },
  '2.6.14':         { base: '6.1', lacks: ['rcu_barrier'], locksLoads: true, linksComing: 'no', unloads: 'waits' },
  '2.6.33':         { base: '6.1', locksLoads: true, linksComing: 'waits under module_mutex', unloads: 'waits', counts: 'per CPU' },
  '2.6.34':         { base: '6.1', locksLoads: true, linksComing: 'waits under module_mutex', unloads: 'waits',
                      counts: 'per CPU, puts first' },
  '3.6':            { base: '6.1', listsLate: true, namesakeAwaited: [], unloads: 'waits' },
  '5.2':            { base: '6.1', namesakeAwaited: ['UNFORMED', 'COMING'] },
  '5.4':            { base: '6.1', namesakeAwaited: ['UNFORMED', 'COMING', 'GOING'], unloads: 'wakes nobody' },
  '6.0':            { base: '6.1', namesakeAwaited: ['UNFORMED', 'COMING', 'GOING'] },
  '6.5-merge':      { base: '6.12', idempotent: 'uninterruptible, left behind' },
  '6.10':           { base: '6.12', idempotent: 'uninterruptible' },
};

export const isDay = (name: string): name is Day => dayNames.some((day) => day === name);
