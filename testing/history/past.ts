/** The state of a kernel of history that today's have not. */
import type { Kernel } from '../../loader/kernel.ts';
import { waitEvent, WaitQueue } from '../../loader/wait.ts';
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
