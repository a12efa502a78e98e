/**
 * Who looks at what may go (rcu_read_lock()), and who waits until they have ended that before it does
 * (synchronize_rcu()). The loader itself looks in one step; readers are others'.
 */
import type { Kernel } from './kernel.ts';
import { type Wait, waitEvent, WaitQueue, type Wake } from './wait.ts';

/** A section between rcu_read_lock() and rcu_read_unlock(), and whose it is. */
export interface Reader {
  readonly name: string;
}

export class Rcu {
  /** A section has ended. */
  readonly done: WaitQueue = new WaitQueue('rcu');
  private readonly open = new Set<Reader>();
  private left: { readonly readers: Set<Reader>; readonly run: () => void }[] = [];

  /** rcu_read_lock() */
  lock(name: string): Reader {
    const reader = { name };
    this.open.add(reader);
    return reader;
  }

  /** rcu_read_unlock() */
  unlock(reader: Reader): void {
    this.open.delete(reader);
    for (const { readers } of this.left) readers.delete(reader);
    const over = this.left.filter(({ readers }) => readers.size === 0);
    this.left = this.left.filter(({ readers }) => readers.size > 0);
    for (const { run } of over) run();
    this.done.wakeAll();
  }

  /** Who reads now. */
  readers(): Reader[] {
    return [...this.open];
  }

  /** Does something when all who read now have ended that: queue_rcu_work() and the like. */
  after(run: () => void): void {
    const readers = new Set(this.readers());
    if (readers.size === 0) run();
    else this.left.push({ readers, run });
  }

  /** Whom each that was left to after() waits for. */
  pending(): string[] {
    return this.left.map(({ readers }) => namesOf([...readers]));
  }
}

const namesOf = (readers: readonly Reader[]): string =>
  readers
    .map(({ name }) => name)
    .toSorted()
    .join();

/** synchronize_rcu(): sleeps until all who read now have ended that. No signal ends it. */
export function* synchronizeRcu(kernel: Kernel): Generator<Wait, void, Wake> {
  const { rcu } = kernel;
  const then = rcu.readers();
  if (then.length === 0) return;
  const rest = (): Reader[] => {
    const now = rcu.readers();
    return then.filter((reader) => now.includes(reader));
  };
  const waits = waitEvent(kernel, rcu.done, () => rest().length === 0);
  for (let next = waits.next(); !next.done; )
    next = waits.next(yield { ...next.value, uninterruptible: true, at: () => namesOf(rest()) });
}
