/** Random schedules: they find what the explorer finds, shrink it, and find it again by seed and by path. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { explore, replaySchedule, type World } from '../../loader/explore.ts';
import { Thread, type ThreadStep } from '../../loader/thread.ts';
import { waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import { exploreRandomly } from '../../testing/random-schedule.ts';
import { parseScenario, worldsOf } from '../../testing/scenario.ts';
import { kernelOf } from '../loader/bench.ts';

const scenario = (name: string): (() => World) =>
  worldsOf(parseScenario(readFileSync(new URL(`../../fixtures/scenarios/${name}.json`, import.meta.url), 'utf8')));

for (const name of ['open-unlocked', 'rcu-callback']) {
  test(`${name}: the violation is found at random, shrunk, and found again`, (t) => {
    const make = scenario(name);
    const shortest = explore(make).violation!;
    const found = exploreRandomly(make, { seed: 5, runs: 10_000 });
    t.is(found.violation?.what, shortest.what);
    t.is(found.seed, 5);
    t.false(found.exhausted);
    t.true(found.schedules <= 10_000n && found.schedules > 0n);
    const { schedule, timeline } = found.violation!;
    t.true(schedule.length >= shortest.schedule.length, 'nothing is shorter than the shortest');
    t.true(schedule.length <= shortest.schedule.length + 5, `${schedule.length} moves`);
    t.deepEqual(replaySchedule(make, schedule), [...timeline]);
    t.deepEqual(exploreRandomly(make, { seed: 5, runs: 10_000 }), found);
    const again = exploreRandomly(make, { seed: 5, path: found.path! });
    t.deepEqual(again.violation, found.violation);
    t.is(again.path, found.path);
    t.is(again.moves, schedule.length);
  });
}

test('a scenario that is whole: as many schedules as asked for, none of which breaks', (t) => {
  const found = exploreRandomly(scenario('open'), { seed: 1, runs: 200 });
  t.is(found.violation, undefined);
  t.is(found.path, undefined);
  t.is(found.schedules, 200n);
  const { states } = explore(scenario('open'));
  t.true(found.states > states / 2 && found.states <= states, `${found.states} of ${states} states`);
});

test('schedules end where they may not go on', (t) => {
  const endless = (): World => {
    const thread = new Thread(
      'a',
      (function* (): Generator<ThreadStep> {
        for (;;) yield { step: 'again' };
      })(),
    );
    return world([thread]);
  };
  const found = exploreRandomly(endless, { seed: 1, runs: 20, length: 10 });
  t.is(found.violation, undefined);
  t.true(found.moves > 20 && found.moves <= 200, `${found.moves} moves`);
});

test('who sleeps for ever is a deadlock, whose end is no longer than it must be', (t) => {
  const make = (): World => {
    const kernel = kernelOf('7.2');
    const sleeper = new Thread(
      'sleeper',
      (function* (): Generator<ThreadStep, void, Wake> {
        yield { step: 'one' };
        const waits = waitEvent(kernel, new WaitQueue('nobody'), () => false);
        for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'wait', wait: next.value });
      })(),
    );
    return world([sleeper]);
  };
  const { violation } = exploreRandomly(make, { seed: 1 });
  t.is(violation?.what, 'deadlock: sleeper sleeps in wait');
  t.deepEqual(violation?.schedule, ['sleeper', 'sleeper']);
});

test('a world that cannot be made is no violation', (t) => {
  t.throws(
    () =>
      exploreRandomly(
        () => {
          throw new Error('no world');
        },
        { seed: 1, runs: 5 },
      ),
    { message: 'no world' },
  );
});

const world = (threads: readonly Thread[]): World => ({
  kernel: kernelOf('7.2'),
  threads,
  daemons: new Set(),
  violation: () => undefined,
  key: () => JSON.stringify(threads.map(({ done, step, outcome }) => [done, step, outcome !== undefined])),
});
