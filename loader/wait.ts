/**
 * Sleeping and waking. Whoever sleeps yields a Wait; whoever drives it decides when it goes on, and says why. Time is
 * the kernel's own clock, which stands still until somebody waits for it.
 */
import type { Kernel } from './kernel.ts';

/** Milliseconds in which resolve_symbol_wait() loses its patience. */
export const PATIENCE = 30_000;

/** wait_queue_head_t: sleepers look again after each wake-up, and at no other time. */
export class WaitQueue {
  readonly name: string;
  /** Wake-ups so far. */
  wakes = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** wake_up_all() */
  wakeAll(): void {
    this.wakes++;
  }
}

/** Somebody sleeps. */
export interface Wait {
  readonly queue: WaitQueue;
  /** Wake-ups of the queue that it has seen: with one more it may go on. */
  readonly since: number;
  /** When it gives up, by the kernel's clock. */
  readonly until?: number;
  /** What it waits for has come, whether or not it was told. */
  readonly condition?: () => boolean;
  /** True: no signal ends it. */
  readonly uninterruptible?: boolean;
  /** Where in its work the sleeper is, as far as that decides how it goes on and cannot be seen. */
  readonly at?: () => string;
}

/** Why a sleeper goes on. Undefined: it was woken or, if it was not, nobody is left who could wake it. */
export type Wake = 'signal' | 'timeout' | undefined;

/** True when a sleeper has been woken. */
export const isAwake = ({ queue, since }: Wait): boolean => queue.wakes > since;

/** How a wait ended. `alone`: nobody was there to wake it, for which a kernel would wait for ever. */
export type Waited = 'done' | 'signal' | 'timeout' | 'alone';

/**
 * wait_event_interruptible(), and with a timeout in milliseconds wait_event_interruptible_timeout(). The condition
 * comes first, also before a signal or the end of patience.
 */
export function* waitEvent(
  kernel: Kernel,
  queue: WaitQueue,
  condition: () => boolean,
  timeout?: number,
): Generator<Wait, Waited, Wake> {
  const until = timeout === undefined ? undefined : kernel.now + timeout;
  for (;;) {
    const wait: Wait = { queue, since: queue.wakes, condition, ...(until === undefined ? {} : { until }) };
    if (condition()) return 'done';
    const wake = yield wait;
    if (wake === undefined && isAwake(wait)) continue;
    if (wake !== 'signal' && until !== undefined) kernel.now = Math.max(kernel.now, until);
    if (condition()) return 'done';
    if (wake === 'signal') return 'signal';
    return until === undefined ? 'alone' : 'timeout';
  }
}

/** Runs to its end what nobody else runs beside. */
export function alone<T>(steps: Generator<unknown, T, Wake>): T {
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
  }
}
