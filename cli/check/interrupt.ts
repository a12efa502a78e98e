/** SIGINT once ends a check with what has been done, twice ends the process. */

const running = new Set<Interrupt>();
/** Who would end the process at once, set aside while a check runs. */
let others: NodeJS.SignalsListener[] = [];

export class Interrupt {
  private readonly stop: () => void;
  happened = false;

  constructor(stop: () => void) {
    this.stop = stop;
    if (running.size === 0) {
      others = process.listeners('SIGINT');
      // Never without a listener: a signal that is on its way would be lost.
      process.on('SIGINT', interrupted);
      for (const other of others) process.off('SIGINT', other);
    }
    running.add(this);
  }

  interrupt(): void {
    this.happened = true;
    this.stop();
  }

  close(): void {
    if (running.delete(this) && running.size === 0) restore();
  }
}

function interrupted(): void {
  restore();
  for (const each of running) each.interrupt();
  running.clear();
}

function restore(): void {
  for (const other of others) process.on('SIGINT', other);
  others = [];
  process.off('SIGINT', interrupted);
}
