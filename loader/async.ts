/** Functions that modules have left to run by themselves (kernel/async.c): async_schedule() and who waits for them. */
import type { Kernel } from './kernel.ts';
import { type Wait, waitEvent, WaitQueue, type Wake } from './wait.ts';

export class AsyncFunctions {
  /** Those that were scheduled and have not ended. */
  pending = 0;
  readonly done: WaitQueue = new WaitQueue('async_done');

  /** async_schedule(): one more will run. */
  begin(): void {
    this.pending++;
  }

  /** It has run. */
  end(): void {
    this.pending--;
    this.done.wakeAll();
  }
}

/** async_synchronize_full(): sleeps until all have ended, whoever has scheduled them. No signal ends it. */
export function* asyncSynchronizeFull(kernel: Kernel): Generator<Wait, void, Wake> {
  const { async } = kernel;
  const waits = waitEvent(kernel, async.done, () => async.pending === 0);
  for (let next = waits.next(); !next.done; ) next = waits.next(yield { ...next.value, uninterruptible: true });
}
