/** Who reads is waited for before memory goes: free_module(), the failure of an init, the unwinding of a load. */
import test from 'ava';
import { insmod, loadModule } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import { NOTIFY_OK, notifierFromErrno } from '../../loader/notifier.ts';
import { Rcu, synchronizeRcu } from '../../loader/rcu.ts';
import { Thread } from '../../loader/thread.ts';
import { deleteModule } from '../../loader/unload.ts';
import { importing, kernelOf, moduleFor, versions } from './bench.ts';

/** Lets a thread go on until it ends or sleeps. */
function runOn(thread: Thread): void {
  while (thread.isRunnable) thread.run();
}

for (const version of versions) {
  test(`${version}: an unload waits with the module off the list and its memory there; no signal ends that`, (t) => {
    const k = kernelOf(version);
    const m = insmod(k, moduleFor(version), { behaviour: { init: () => 0, exit: () => undefined } });
    const [one, other] = [k.rcu.lock('one'), k.rcu.lock('other')];
    const unload = new Thread('unload', deleteModule(k, 'minimal'));
    runOn(unload);
    t.is(unload.step, 'synchronize_rcu');
    t.deepEqual(k.modules, []);
    t.true(Object.keys(m.memory).length > 0);
    unload.signalled = true;
    t.false(unload.isRunnable);
    t.is(unload.wait?.at?.(), 'one,other');
    // Who comes now has not seen the module.
    k.rcu.lock('late');
    k.rcu.unlock(one);
    runOn(unload);
    t.is(unload.wait?.at?.(), 'other');
    k.rcu.unlock(other);
    runOn(unload);
    t.deepEqual([unload.outcome, Object.keys(m.memory)], [{ value: undefined }, []]);
  });

  test(`${version}: a failing init waits when the module is GOING, before its reference goes, and again off the list`, (t) => {
    const k = kernelOf(version);
    const reader = k.rcu.lock('reader');
    const load = new Thread('load', loadModule(k, moduleFor(version), { behaviour: { init: () => -5 } }));
    runOn(load);
    const [m] = k.modules;
    t.deepEqual([load.step, m!.state, m!.refcount], ['synchronize_rcu', 'GOING', 1]);
    const next = k.rcu.lock('next');
    k.rcu.unlock(reader);
    runOn(load);
    t.deepEqual([load.step, m!.state, m!.refcount, k.modules.length], ['synchronize_rcu', 'UNFORMED', 0, 0]);
    k.rcu.unlock(next);
    runOn(load);
    t.deepEqual([load.outcome !== undefined, k.memory.ranges.length], [true, 0]);
  });

  test(`${version}: a load that is undone after it was COMING waits twice, one undone before that once`, (t) => {
    const k = kernelOf(version);
    const reader = k.rcu.lock('reader');
    const coming = new Thread('load', loadModule(k, moduleFor(version)));
    k.notifiers.register({
      name: 'refuses',
      call: (event) => (event === 'COMING' ? notifierFromErrno('ENOMEM') : NOTIFY_OK),
    });
    runOn(coming);
    t.deepEqual([coming.step, k.modules.map(({ state }) => state)], ['synchronize_rcu', ['GOING']]);
    const next = k.rcu.lock('next');
    k.rcu.unlock(reader);
    runOn(coming);
    t.deepEqual([coming.step, k.modules.length, k.memory.ranges.length > 0], ['synchronize_rcu', 0, true]);
    k.rcu.unlock(next);
    runOn(coming);
    t.deepEqual([coming.outcome !== undefined, k.memory.ranges.length], [true, 0]);

    const last = k.rcu.lock('last');
    const early = new Thread(
      'load',
      loadModule(k, moduleFor(version, { imports: ['nobody_has_it'], ...importing('nobody_has_it') })),
    );
    runOn(early);
    t.deepEqual([early.step, k.modules.length, k.memory.ranges.length > 0], ['synchronize_rcu', 0, true]);
    k.rcu.unlock(last);
    runOn(early);
    t.deepEqual([early.outcome !== undefined, k.memory.ranges.length], [true, 0]);
  });

  test(`${version}: a load that succeeds does not wait, and its init memory goes later`, (t) => {
    const k = kernelOf(version);
    const reader = k.rcu.lock('reader');
    const m = insmod(k, moduleFor(version));
    const init = (of: Module): string[] => Object.keys(of.memory).filter((region) => region.startsWith('init'));
    t.deepEqual([m.state, init(m).length], ['LIVE', 1]);
    t.deepEqual(k.rcu.pending(), ['reader']);
    k.rcu.unlock(reader);
    t.deepEqual([init(m), k.rcu.pending()], [[], []]);
  });
}

test('nobody reads: nothing is waited for', (t) => {
  const k = kernelOf('7.2');
  t.true(synchronizeRcu(k).next().done);
  let ran = 0;
  k.rcu.after(() => ran++);
  t.is(ran, 1);
});

test('what is left for later is done once, when all who read then have ended that', (t) => {
  const rcu = new Rcu();
  const done: string[] = [];
  const [a, b] = [rcu.lock('a'), rcu.lock('b')];
  rcu.after(() => done.push('first'));
  rcu.unlock(a);
  const again = rcu.lock('a');
  rcu.after(() => done.push('second'));
  t.deepEqual([done, rcu.pending()], [[], ['b', 'a,b']]);
  rcu.unlock(b);
  t.deepEqual([done, rcu.pending()], [['first'], ['a']]);
  rcu.unlock(again);
  t.deepEqual([done, rcu.pending(), rcu.readers()], [['first', 'second'], [], []]);
});
