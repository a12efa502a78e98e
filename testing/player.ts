/** A thread of a scenario, and all that it has: references, open devices, packets, a place in code. */
import type { Module } from '../loader/module.ts';
import { Thread, type ThreadStep } from '../loader/thread.ts';
import type { Wake } from '../loader/wait.ts';

/** An open device: whose code it runs, and whether it holds a reference. */
export interface Handle {
  readonly owner: Module;
  readonly counted: boolean;
}

/** Something with a function of a module in it that is called when it goes. */
export interface Attached {
  readonly owner: Module;
  readonly destructor: string;
}

export class Player {
  readonly name: string;
  readonly thread: Thread;
  /** Functions and operations it is in, outermost first. */
  readonly frames: string[] = [];
  /** Verbs of these operations. */
  readonly verbs: string[] = [];
  readonly handles: Map<string, Handle> = new Map();
  /** References taken by get and symbol_get. */
  readonly held: Map<Module, number> = new Map();
  readonly objects: Attached[] = [];
  cpu = 0;
  /** Whose code it is in, outermost first. */
  readonly within: Module[] = [];
  /** What a module's code does now that it runs: the step of its load or unload. */
  saying: string | undefined;
  /** What an operation has in hand between two steps, beside what can be seen; functions tell what it is now. */
  inHand: readonly (string | (() => string))[] = [];
  isSpawned = false;
  /** Started by kthread_run or async_schedule. */
  isThread = false;
  isOver = false;
  /** Number of the operation it is at, or comes to next. */
  private at = 0;
  /** Steps it had done when that began. */
  private from = 0;
  /** Between two operations nothing is left of how the last one went but what it did. */
  private between = true;

  constructor(name: string, script: (self: Player) => Generator<ThreadStep, unknown, Wake>) {
    this.name = name;
    this.thread = new Thread(name, script(this));
  }

  get stack(): [string, ...string[]] {
    return [this.name, ...this.frames];
  }

  begin(at: number): void {
    this.at = at;
    this.from = this.thread.done;
    this.between = false;
  }

  end(at: number): void {
    this.at = at + 1;
    this.between = true;
    this.inHand = [];
  }

  /** References of a module that it holds. */
  holds(m: Module): number {
    let sum = this.held.get(m) ?? 0;
    for (const { owner, counted } of this.handles.values()) if (counted && owner === m) sum++;
    return sum;
  }

  hold(m: Module, change: 1 | -1): void {
    const left = (this.held.get(m) ?? 0) + change;
    if (left === 0) this.held.delete(m);
    else this.held.set(m, left);
  }

  /** All that decides how it goes on. */
  key(now: number, tag: (m: Module) => string): unknown {
    const { thread } = this;
    const { wait, step, done } = thread;
    if (thread.outcome !== undefined) return [this.name, this.possessions(tag)];
    return [
      this.name,
      wait !== undefined && [wait.until === undefined ? 0 : wait.until - now, wait.at?.()],
      thread.isRunnable,
      thread.signalled,
      this.at,
      this.between || [
        step,
        done - this.from,
        this.inHand.map((one) => (typeof one === 'string' ? one : one())),
        this.frames,
        this.within.map(tag),
      ],
      this.cpu,
      this.possessions(tag),
    ];
  }

  private possessions(tag: (m: Module) => string): unknown {
    return [
      Array.from(this.handles, ([d, { owner, counted }]) => `${d} ${tag(owner)} ${counted}`).toSorted(),
      Array.from(this.held, ([m, n]) => `${tag(m)} ${n}`).toSorted(),
      this.objects.map(({ owner, destructor }) => [tag(owner), destructor]),
    ];
  }
}
