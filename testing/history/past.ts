/** The state of a kernel of history that today's have not. */
import type { Kernel } from '../../loader/kernel.ts';
import type { ThreadStep } from '../../loader/thread.ts';
import { waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import type { LifeSteps } from '../life.ts';
import { Counts } from './counts.ts';
import type { Rules } from './days.ts';

export class Past {
  readonly rules: Rules;
  /** module_mutex is held over a wait. */
  locked = false;
  readonly unlocked: WaitQueue = new WaitQueue('module_mutex');
  /** Somebody waits for the last reference. */
  readonly dropped: WaitQueue = new WaitQueue('waiter');
  readonly counts: Counts = new Counts();

  constructor(rules: Rules) {
    this.rules = rules;
  }
}

/** Sleeps until nobody holds module_mutex. */
export function* unlocked(kernel: Kernel, past: Past): LifeSteps {
  const waits = waitEvent(kernel, past.unlocked, () => !past.locked);
  for (let next = waits.next(); !next.done; )
    next = waits.next(yield { step: 'module_mutex', wait: { ...next.value, uninterruptible: true } });
  return undefined;
}

/** Steps of today; without the waiting for readers where that was not done. */
export function* asThen<S extends ThreadStep>(
  rules: Rules,
  steps: Generator<S, unknown, Wake>,
): Generator<S, void, Wake> {
  for (let next = steps.next(); !next.done; ) {
    const isLeftOut = rules.freesAtOnce === true && next.value.step === 'synchronize_rcu';
    next = steps.next(isLeftOut ? undefined : yield next.value);
  }
}
