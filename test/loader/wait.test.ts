/** A.10 and C.2: loads that wait for each other, in the manner of each version. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { LoadError } from '../../loader/errors.ts';
import { finitModule, type ModuleFile } from '../../loader/idempotent.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { LoadOptions } from '../../loader/loading.ts';
import type { Behaviour, Module } from '../../loader/module.ts';
import { runTogether, Thread } from '../../loader/thread.ts';
import { deleteModule } from '../../loader/unload.ts';
import { type Wait, type Waited, waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import type { Version } from '../../relocs/module-view.ts';
import { importing, kernelOf, moduleFor, snapshot, versions } from './bench.ts';

/** Init that lets others run `times` times, and returns `ret` then. */
const slow = (ret: number, times = 1): Behaviour => ({
  *init() {
    for (let i = 0; i < times; i++) yield undefined;
    return ret;
  },
  exit: () => undefined,
});

const lib = (version: Version): Uint8Array =>
  moduleFor(version, {
    thisModule: { name: 'lib' },
    symbols: [{ name: 'theirs', section: '.text' }],
    exports: [{ name: 'theirs', crc: 0x1234 }],
  });
const user = (version: Version, name = 'user'): Uint8Array =>
  moduleFor(version, { thisModule: { name }, imports: ['theirs'], ...importing('theirs') });

const load = (k: Kernel, file: Uint8Array, options: LoadOptions = {}): Thread<Module> =>
  new Thread(`load ${k.modules.length}`, loadModule(k, file, options));

/** "LIVE", or errno and check of the refusal. */
function outcome({ outcome: how }: Thread<Module>): string | undefined {
  if (how === undefined) return undefined;
  if ('value' in how) return how.value.state;
  if (!(how.error instanceof LoadError)) throw how.error;
  return `${how.error.errno} ${how.error.check}`;
}

/** Goes on to the end; nobody may sleep for ever. */
function finish(t: ExecutionContext, k: Kernel, ...threads: Thread[]): void {
  t.deepEqual(
    runTogether(k, threads).map(({ name, step }) => `${name} sleeps in ${step}`),
    [],
  );
}

for (const version of versions) {
  const early = version !== '6.1';
  const kernel = (): Kernel => kernelOf(version, { config: { MODULE_SIG: false } });

  for (const [ret, expected] of [
    [0, early ? 'EEXIST C62' : 'EEXIST C70'],
    [-5, early ? 'EBUSY C63' : 'EBUSY C70'],
  ] as const) {
    test(`${version}: a namesake whose init returns ${ret} is waited for: ${expected}`, (t) => {
      const k = kernel();
      const first = load(k, moduleFor(version), { behaviour: slow(ret) });
      first.runTo('init');
      t.is(k.modules[0]!.state, 'COMING');
      const areas = k.memory.ranges.length;
      const second = load(k, moduleFor(version));
      while (second.isRunnable) second.run();
      t.is(second.step, 'module_patient_check_exists');
      t.is(second.wait?.queue, k.moduleWq);
      t.is(second.wait?.until, undefined);
      // 6.1 has taken memory before it asks.
      t.is(k.memory.ranges.length > areas, !early);
      finish(t, k, second, first);
      t.is(outcome(second), expected);
      t.is(outcome(first), ret === 0 ? 'LIVE' : 'EIO C104');
      t.is(k.modules.length, ret === 0 ? 1 : 0);
      t.is(k.memory.ranges.length > 0, ret === 0);
    });
  }

  test(`${version}: an UNFORMED namesake is waited for until it leaves the list`, (t) => {
    const k = kernel();
    const first = load(k, user(version));
    first.runTo('setup_modinfo');
    t.is(k.modules[0]!.state, 'UNFORMED');
    const second = load(k, user(version));
    while (second.isRunnable) second.run();
    first.runTo('free_unload');
    t.false(second.isRunnable);
    first.runTo('unlink_mod');
    t.true(second.isRunnable);
    finish(t, k, first, second);
    // It does not try again, and does not know why the first one failed.
    t.deepEqual([outcome(first), outcome(second)], ['ENOENT C79', early ? 'EBUSY C63' : 'EBUSY C70']);
  });

  test(`${version}: a signal ends the wait for a namesake`, (t) => {
    const k = kernel();
    const first = load(k, moduleFor(version), { behaviour: slow(0) });
    first.runTo('init');
    const before = snapshot(k);
    const second = load(k, moduleFor(version));
    while (second.isRunnable) second.run();
    second.run('signal');
    finish(t, k, second);
    t.is(outcome(second), early ? 'EINTR C64' : 'EINTR C70');
    t.deepEqual(snapshot(k), before);
    finish(t, k, first);
    t.is(outcome(first), 'LIVE');
  });

  test(`${version}: a GOING namesake is not waited for`, (t) => {
    const k = kernel();
    insmod(k, moduleFor(version), { behaviour: slow(0, 0) });
    const going = new Thread('rmmod', deleteModule(k, 'minimal'));
    going.runTo('try_stop_module');
    const second = load(k, moduleFor(version));
    while (second.outcome === undefined && second.wait === undefined) second.run();
    t.is(outcome(second), early ? 'EBUSY C63' : 'EBUSY C70');
    finish(t, k, going);
    t.is(outcome(load(k, moduleFor(version))), undefined);
    t.is(insmod(k, moduleFor(version)).state, 'LIVE');
  });

  test(`${version}: who uses a symbol of a COMING module waits for its init`, (t) => {
    const k = kernel();
    const owner = load(k, lib(version), { behaviour: slow(0) });
    owner.runTo('init');
    const second = load(k, user(version));
    while (second.isRunnable) second.run();
    t.is(second.step, 'resolve_symbol_wait');
    t.is(second.wait?.until, 30_000);
    t.is(k.findModule('lib')!.refcount, 1);
    finish(t, k, owner, second);
    t.is(outcome(second), 'LIVE');
    t.deepEqual([k.findModule('lib')!.refcount, k.now, k.log], [1, 0, []]);
  });

  test(`${version}: the owner fails while its symbol is waited for: the symbol is unknown`, (t) => {
    const k = kernel();
    const owner = load(k, lib(version), { behaviour: slow(-19) });
    owner.runTo('init');
    const second = load(k, user(version));
    while (second.isRunnable) second.run();
    finish(t, k, owner, second);
    t.deepEqual([outcome(owner), outcome(second)], ['ENODEV C104', 'ENOENT C79']);
    t.deepEqual(k.log, ['user: Unknown symbol theirs (err -2)']);
    t.deepEqual(k.modules, []);
  });

  test(`${version}: patience ends after 30 seconds, or with a signal`, (t) => {
    const log = ['user: gave up waiting for init of module lib.', 'user: Unknown symbol theirs (err -16)'];
    for (const wake of ['timeout', 'signal'] as const) {
      const k = kernel();
      k.now = 5000;
      const owner = load(k, lib(version), { behaviour: slow(0) });
      owner.runTo('init');
      const second = load(k, user(version));
      while (second.isRunnable) second.run();
      if (wake === 'signal') second.run('signal');
      finish(t, k, second);
      t.is(outcome(second), 'EBUSY C84');
      t.deepEqual(k.log, log);
      t.is(k.now, wake === 'signal' ? 5000 : 35_000);
      t.is(owner.outcome, undefined);
      finish(t, k, owner);
      t.is(outcome(owner), 'LIVE');
    }
  });

  test(`${version}: wake-ups for others only make a sleeper look again`, (t) => {
    const k = kernel();
    const owner = load(k, lib(version), { behaviour: slow(0) });
    owner.runTo('init');
    const second = load(k, user(version));
    while (second.isRunnable) second.run();
    insmod(k, moduleFor(version, { thisModule: { name: 'other' } }));
    t.true(second.isRunnable);
    second.run();
    t.false(second.isRunnable);
    t.is(second.wait?.until, 30_000);
    finish(t, k, owner, second);
    t.is(outcome(second), 'LIVE');
  });

  const file = (bytes: Uint8Array): ModuleFile => ({ inode: {}, bytes });
  const finit = (k: Kernel, f: ModuleFile, options: LoadOptions = {}): Thread<Module> =>
    new Thread('finit', finitModule(k, f, options));

  test(`${version}: finit_module() of one file twice${early ? ': the second call gets what the first one gets' : ''}`, (t) => {
    for (const ret of [0, -5]) {
      const k = kernel();
      const f = file(moduleFor(version));
      const first = finit(k, f, { behaviour: slow(ret) });
      first.runTo('init');
      // Another inode with the same module in it is another file.
      const [second, other] = [finit(k, f, { params: 'ignored' }), finit(k, file(f.bytes))];
      while (second.isRunnable) second.run();
      t.is(second.step, early ? 'idempotent_wait_for_completion' : 'module_patient_check_exists');
      while (other.isRunnable) other.run();
      t.is(other.step, 'module_patient_check_exists');
      finish(t, k, first, second, other);
      if (early) t.deepEqual(second.outcome, first.outcome);
      else t.is(outcome(second), ret === 0 ? 'EEXIST C70' : 'EBUSY C70');
      t.is(outcome(other), `${ret === 0 ? 'EEXIST' : 'EBUSY'} ${early ? (ret === 0 ? 'C62' : 'C63') : 'C70'}`);
      t.is(k.idempotent.size, 0);
      // When it is over, a call is a call again.
      const later = finit(k, f);
      finish(t, k, later);
      t.is(outcome(later), ret === 0 ? (early ? 'EEXIST C62' : 'EEXIST C70') : 'LIVE');
    }
  });

  test(`${version}: finit_module() looks at flags and mode first`, (t) => {
    const k = kernel();
    const f = file(moduleFor(version));
    const first = finit(k, f, { behaviour: slow(0) });
    first.runTo('init');
    for (const [options, readable, expected] of [
      [{ flags: 8 }, false, 'EINVAL C02'],
      [{ flags: 7 }, false, 'EBADF C04'],
    ] as const) {
      const second = finit(k, { ...f, readable }, options);
      finish(t, k, second);
      t.is(outcome(second), expected);
    }
    if (!early) return;
    const second = finit(k, f);
    while (second.isRunnable) second.run();
    second.run('signal');
    t.is(outcome(second), 'EINTR C17');
    finish(t, k, first);
    t.is(outcome(first), 'LIVE');
  });

  test(`${version}: exit may let others run; the name is taken meanwhile`, (t) => {
    const k = kernel();
    insmod(k, moduleFor(version), {
      behaviour: {
        init: () => 0,
        *exit() {
          yield undefined;
        },
      },
    });
    const going = new Thread('rmmod', deleteModule(k, 'minimal'));
    going.runTo('exit');
    t.is(k.modules[0]!.state, 'GOING');
    const wakes = k.moduleWq.wakes;
    finish(t, k, going);
    t.is(k.moduleWq.wakes, wakes + 1);
    t.deepEqual(k.modules, []);
  });

  test(`${version}: a load that meets the module UNFORMED in free_module() ends when the unload does`, (t) => {
    const k = kernel();
    insmod(k, moduleFor(version), { behaviour: slow(0) });
    const going = new Thread('rmmod', deleteModule(k, 'minimal'));
    going.runTo('module_state_unformed');
    t.is(k.modules[0]!.state, 'UNFORMED');
    const second = load(k, moduleFor(version));
    while (second.isRunnable) second.run();
    t.is(second.step, 'module_patient_check_exists');
    while (going.outcome === undefined) going.run();
    t.true(second.isRunnable, 'it is woken');
    finish(t, k, second);
    t.is(outcome(second), early ? 'EBUSY C63' : 'EBUSY C70');
    t.deepEqual(k.modules, []);
    t.is(k.memory.ranges.length, 0);
  });

  // Every order of four loads on two names and one symbol: each ends, once, and what is left belongs to who is LIVE.
  testProp(
    `${version}: whatever the order, every load ends and nothing is left of the refused`,
    [fc.array(fc.nat(), { minLength: 1, maxLength: 200 }), fc.constantFrom(0, -5), fc.constantFrom(0, -5)],
    (t, order, ofLib, ofUser) => {
      const k = kernel();
      const threads = [
        load(k, lib(version), { behaviour: slow(ofLib) }),
        load(k, lib(version), { behaviour: slow(ofLib) }),
        load(k, user(version), { behaviour: slow(ofUser) }),
        load(k, user(version), { behaviour: slow(ofUser) }),
      ];
      t.deepEqual(
        runTogether(k, threads, (runnable, turn) => runnable[order[turn % order.length]! % runnable.length]!),
        [],
      );
      const live = threads.filter((thread) => outcome(thread) === 'LIVE').length;
      t.is(k.modules.length, live);
      t.true(k.modules.every(({ state }) => state === 'LIVE'));
      t.is(k.findModule('lib')?.refcount ?? 0, k.findModule('user') === undefined ? 0 : 1);
      t.is(
        k.memory.ranges.length,
        k.modules.reduce((sum, m) => sum + Object.keys(m.memory).length, 0),
      );
      if (ofLib !== 0) t.is(live, 0);
    },
    { numRuns: 30 },
  );
}

test('waitEvent(): the condition comes before a signal and before the end of patience', (t) => {
  const k = kernelOf('7.2');
  const begin = (timeout?: number): { queue: WaitQueue; steps: Generator<Wait, Waited, Wake>; let: () => void } => {
    const queue = new WaitQueue('q');
    let ready = false;
    const steps = waitEvent(k, queue, () => ready, timeout);
    t.is(steps.next().done, false);
    return { queue, steps, let: () => void (ready = true) };
  };
  // Nothing has come.
  t.deepEqual(begin().steps.next('signal'), { done: true, value: 'signal' });
  t.deepEqual(begin(10).steps.next('timeout'), { done: true, value: 'timeout' });
  t.is(k.now, 10);
  t.deepEqual(begin(10).steps.next(undefined), { done: true, value: 'timeout' });
  t.is(k.now, 20);
  t.deepEqual(begin().steps.next(undefined), { done: true, value: 'alone' });
  // It has, and nobody has said so.
  for (const wake of ['signal', 'timeout', undefined] as const) {
    const late = begin(5);
    late.let();
    t.deepEqual(late.steps.next(wake), { done: true, value: 'done' }, wake);
  }
  // Woken for nothing, it sleeps on.
  const woken = begin(7);
  woken.queue.wakeAll();
  const again = woken.steps.next(undefined);
  t.is(again.done, false);
  t.is((again.value as Wait).since, 1);
  t.is((again.value as Wait).until, k.now + 7);
  woken.let();
  woken.queue.wakeAll();
  t.deepEqual(woken.steps.next(undefined), { done: true, value: 'done' });
  t.is(waitEvent(k, new WaitQueue('q'), () => true).next().value, 'done');
});
