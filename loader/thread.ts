/** Loads and unloads side by side: threads that are let go on one step at a time. */
import type { Kernel } from './kernel.ts';
import { isAwake, type Wait, type Wake } from './wait.ts';

/** What a thread yields: loadModule(), finitModule() and deleteModule() do. */
export interface ThreadStep {
  readonly step: string;
  readonly wait?: Wait;
}

export class Thread<T = unknown> {
  readonly name: string;
  /** The step it has done last, or sleeps in. */
  step = 'start';
  /** Steps it has done; sleeps are none. */
  done = 0;
  /** Set while it sleeps. */
  wait: Wait | undefined;
  /** How it ended. */
  outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  /** A signal has come, and does not go away: no sleep that it can end lasts any longer. */
  signalled = false;
  private readonly steps: Generator<ThreadStep, T, Wake>;

  constructor(name: string, steps: Generator<ThreadStep, T, Wake>) {
    this.name = name;
    this.steps = steps;
  }

  /** Neither at its end nor asleep. */
  get isRunnable(): boolean {
    return this.outcome === undefined && (this.wait === undefined || isAwake(this.wait) || this.isInterrupted);
  }

  private get isInterrupted(): boolean {
    const { wait } = this;
    return this.signalled && wait !== undefined && wait.uninterruptible !== true && !isAwake(wait);
  }

  /** Lets it do one step; `wake` says why a sleeper goes on that nobody woke. */
  run(wake: Wake = this.isInterrupted ? 'signal' : undefined): void {
    try {
      const next = this.steps.next(wake);
      if (next.done) {
        this.wait = undefined;
        this.outcome = { value: next.value };
        return;
      }
      this.step = next.value.step;
      this.wait = next.value.wait;
      if (this.wait === undefined) this.done++;
    } catch (error) {
      this.wait = undefined;
      this.outcome = { error };
    }
  }

  /** Lets it go on to the end of a step, or of itself, or to where it sleeps. */
  runTo(step: string): void {
    while (this.isRunnable) {
      this.run();
      if (this.step === step) return;
    }
  }
}

/** The sleeper whose patience ends first. */
export function firstToGiveUp(threads: readonly Thread[]): Thread | undefined {
  const until = (thread: Thread): number => thread.wait?.until ?? Infinity;
  return threads
    .filter((thread) => until(thread) < Infinity)
    .reduce<Thread | undefined>(
      (first, thread) => (first && until(first) <= until(thread) ? first : thread),
      undefined,
    );
}

/**
 * Runs threads until none can go on; when all sleep, the clock goes on to the first timeout. `choose` says which of the
 * runnable ones goes next; default, in turns. Returns those that sleep for ever.
 */
export function runTogether(
  kernel: Kernel,
  threads: readonly Thread[],
  choose: (runnable: readonly Thread[], turn: number) => Thread = (runnable, turn) => runnable[turn % runnable.length]!,
): Thread[] {
  for (let turn = 0; ; turn++) {
    const runnable = threads.filter(({ isRunnable }) => isRunnable);
    if (runnable.length > 0) {
      choose(runnable, turn).run();
      continue;
    }
    const sleeper = firstToGiveUp(threads);
    if (sleeper === undefined) return threads.filter(({ outcome }) => outcome === undefined);
    kernel.now = Math.max(kernel.now, sleeper.wait!.until!);
    sleeper.run('timeout');
  }
}
