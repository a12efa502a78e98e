/** What the verbs of a scenario are made of: who does something, and the steps in which it is done. */
import type { Module } from '../loader/module.ts';
import type { ThreadStep } from '../loader/thread.ts';
import type { Wait, Waited, Wake } from '../loader/wait.ts';
import type { Player } from './player.ts';
import type { ScenarioWorld } from './scenario-world.ts';

/** An operation: its steps, and then an errno or a word where it did not do what it should. */
export type Steps = Generator<ThreadStep, string | undefined, Wake>;

/** Who does it: a thread, and when it runs a module's code, which. */
export interface Doer {
  readonly world: ScenarioWorld;
  readonly p: Player;
  readonly m: Module | undefined;
  readonly op: string;
}

/** What is done in one step needs none. */
export type Doing = (doer: Doer, name: string) => Steps | string | undefined;

/** A step in which an operation has a module in hand. */
export function* holding({ world, p }: Doer, m: Module, step: ThreadStep): Generator<ThreadStep, void, Wake> {
  p.inHand = [() => world.tag(m)];
  yield step;
  p.inHand = [];
}

/** Sleeps as a thread's step; no signal ends it. */
export function* sleep<T>(step: string, waits: Generator<Wait, T, Wake>): Generator<ThreadStep, T, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, wait: { ...next.value, uninterruptible: true } });
  return next.value;
}

/** Sleeps as a step, until a signal comes. */
export function* steps(step: string, waits: Generator<Wait, Waited, Wake>): Generator<ThreadStep, Waited, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, wait: next.value });
  return next.value;
}
