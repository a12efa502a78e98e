/** A.9 and D.3: who waits for what modules have scheduled to run by itself; and sleeps that signals end, or do not. */
import test from 'ava';
import { asyncSynchronizeFull } from '../../loader/async.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import { runTogether, Thread, type ThreadStep } from '../../loader/thread.ts';
import { deleteModule, rmmod } from '../../loader/unload.ts';
import { type Wait, waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import { kernelOf, moduleFor, versions } from './bench.ts';

for (const version of versions) {
  const behaviour = {
    init: (m: Module): number => {
      m.kernel.async.begin();
      return 0;
    },
    exit: () => undefined,
  };

  test(`${version}: the end of a load waits for what was scheduled, and the module is LIVE and held meanwhile`, (t) => {
    const k = kernelOf(version);
    const load = new Thread('load', loadModule(k, moduleFor(version), { behaviour }));
    t.deepEqual(runTogether(k, [load]), [load]);
    t.is(load.step, 'async_synchronize_full');
    const [m] = k.modules;
    t.deepEqual([m!.state, m!.refcount], ['LIVE', 1]);
    t.deepEqual(k.uevents, ['add@/module/minimal'], 'udev hears of it before that');
    t.throws(() => rmmod(k, m!.name), { message: /EAGAIN/ });
    k.async.end();
    t.deepEqual(runTogether(k, [load]), []);
    t.is(m!.refcount, 0);
  });

  test(`${version}: with async_probe it does not, but the end of an unload does`, (t) => {
    const k = kernelOf(version);
    const m = insmod(k, moduleFor(version), { behaviour, params: 'async_probe' });
    t.deepEqual([m.state, m.refcount, k.async.pending], ['LIVE', 0, 1]);
    const unload = new Thread('unload', deleteModule(k, m.name));
    t.deepEqual(runTogether(k, [unload]), [unload]);
    t.deepEqual([unload.step, m.state], ['async_synchronize_full', 'GOING']);
    t.is(k.lastUnloadedModule, undefined, 'that is noted after it');
    t.true(Object.keys(m.memory).length > 0, 'its code is still there');
    unload.signalled = true;
    t.false(unload.isRunnable, 'no signal ends that');
    k.async.end();
    t.deepEqual(runTogether(k, [unload]), []);
    t.deepEqual(k.modules, []);
    t.is(k.lastUnloadedModule?.name, m.name);
  });

  test(`${version}: an init that fails waits for nobody`, (t) => {
    const k = kernelOf(version);
    k.async.begin();
    t.throws(() => insmod(k, moduleFor(version), { behaviour: { init: () => -5 } }), { message: /EIO/ });
    t.is(k.async.pending, 1);
  });
}

test('it is waited until all have ended, and not when there is nothing', (t) => {
  const k = kernelOf('7.2');
  t.true(asyncSynchronizeFull(k).next().done);
  k.async.begin();
  k.async.begin();
  const waits = asyncSynchronizeFull(k);
  t.false(waits.next().done);
  k.async.end();
  t.false(waits.next().done, 'woken, and one is left');
  k.async.end();
  t.true(waits.next().done);
});

/** Sleeps for something that never comes. */
function* sleeper(how: Partial<Wait>, ends: string[]): Generator<ThreadStep, void, Wake> {
  const waits = waitEvent(kernelOf('7.2'), new WaitQueue('nobody'), () => false);
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step: 'sleep', wait: { ...next.value, ...how } });
  ends.push(next.value);
}

test('a signal ends a sleep, one that comes later too, and none that it cannot', (t) => {
  const ends: string[] = [];
  const thread = new Thread('a', sleeper({}, ends));
  thread.run();
  t.false(thread.isRunnable);
  thread.signalled = true;
  t.true(thread.isRunnable);
  thread.run();
  t.deepEqual(ends, ['signal']);
  const early = new Thread('b', sleeper({}, ends));
  early.signalled = true;
  early.run();
  t.true(early.isRunnable, 'it does not fall asleep');
  const deaf = new Thread('c', sleeper({ uninterruptible: true }, ends));
  deaf.signalled = true;
  deaf.run();
  t.false(deaf.isRunnable);
});
