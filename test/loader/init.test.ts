/** do_init_module(), C104, and what is left of a module that is LIVE. */
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import { errnos, type Errno } from '../../loader/errors.ts';
import { insmod, loadModule, type Step } from '../../loader/load.ts';
import type { Behaviour, Module, State } from '../../loader/module.ts';
import { NOTIFY_OK, type NotifierBlock } from '../../loader/notifier.ts';
import { moduleGet, modulePut } from '../../loader/refcount.ts';
import { rmmod } from '../../loader/unload.ts';
import { archOf, kernelOf, loads, moduleFor, refuses, specFor, UNSIGNED, versions } from './bench.ts';

for (const version of versions) {
  test(`${version}: C104 a negative result is the load's, but EEXIST in 7.2`, (t) => {
    for (const errno of ['EPERM', 'ENOENT', 'ENOMEM', 'EBUSY', 'ENODEV', 'EINVAL', 'EEXIST'] as Errno[]) {
      const error = refuses(
        t,
        kernelOf(version),
        moduleFor(version),
        {
          errno: errno === 'EEXIST' && version === '7.2' ? 'EBUSY' : errno,
          check: 'C104',
          log: UNSIGNED,
          step: 'do_init_module',
        },
        { behaviour: { init: () => -errnos[errno] } },
      );
      t.true(error!.reason.includes(`returned -${errnos[errno]}`));
    }
  });

  test(`${version}: a positive result is suspicious, and the module stays`, (t) => {
    const should = 'it should follow 0/-E convention';
    for (const ret of [1, 7]) {
      const log =
        version === '7.2'
          ? [`minimal: init suspiciously returned ${ret}, ${should}`]
          : [
              `do_init_module: 'minimal'->init suspiciously returned ${ret}, ${should}`,
              'do_init_module: loading module anyway...',
            ];
      loads(t, kernelOf(version), moduleFor(version), [...UNSIGNED, ...log], { behaviour: { init: () => ret } });
    }
    loads(t, kernelOf(version), moduleFor(version), UNSIGNED, { behaviour: { init: () => 0 } });
  });

  test(`${version}: init runs while the module is COMING, holds a reference, and sees its memory`, (t) => {
    const seen: [State, number, boolean, number][] = [];
    const k = kernelOf(version);
    const m = insmod(k, moduleFor(version), {
      behaviour: {
        init: (self) => {
          seen.push([
            self.state,
            self.refcount,
            k.modules[0] === self,
            Object.keys(self.memory).filter((r) => r.startsWith('init')).length,
          ]);
          return 0;
        },
      },
    });
    t.deepEqual(seen, [['COMING', 1, true, 1]]);
    t.deepEqual([m.state, m.refcount], ['LIVE', 0]);
  });

  test(`${version}: who is told of the end of init, and what is still there then`, (t) => {
    for (const [ret, event, refcount] of [
      [0, 'LIVE', 1],
      [7, 'LIVE', 1],
      [-5, 'GOING', 0],
    ] as const) {
      const k = kernelOf(version);
      const seen: unknown[] = [];
      const initMemory = (m: Module): boolean => Object.keys(m.memory).some((region) => region.startsWith('init'));
      const before = k.moduleWq.wakes;
      const call: NotifierBlock['call'] = (what, m) => {
        if (what !== 'COMING')
          seen.push([what, m.state, m.refcount, initMemory(m), m.sysfs, k.moduleWq.wakes - before]);
        return NOTIFY_OK;
      };
      k.notifiers.register({ name: 'listener', call });
      const load = (): Module => insmod(k, moduleFor(version), { behaviour: { init: () => ret } });
      if (ret < 0) t.throws(load, { message: /^EIO/ });
      else t.false(initMemory(load()));
      // Told while the reference of the load is held (or, of a failure, just after), before memory goes; then all wake.
      t.deepEqual(seen, [[event, event, refcount, true, true, 0]], `${ret}`);
      t.is(k.moduleWq.wakes - before, 1);
      t.deepEqual(
        k.modules.map(({ state, refcount: left }) => [state, left]),
        ret < 0 ? [] : [['LIVE', 0]],
      );
    }
  });

  test(`${version}: udev is told of a module when its init has ended well, and when that module goes`, (t) => {
    const k = kernelOf(version);
    const told: number[] = [];
    const behaviour = (ret: number): Behaviour => ({
      init: () => (told.push(k.uevents.length), ret),
      exit: () => void told.push(k.uevents.length),
    });
    k.notifiers.register({ name: 'listener', call: () => (told.push(k.uevents.length), NOTIFY_OK) });
    t.throws(() => insmod(k, moduleFor(version), { behaviour: behaviour(-5) }), { message: /^EIO/ });
    t.deepEqual([told, k.uevents], [[0, 0, 0], []]);
    insmod(k, moduleFor(version, { thisModule: { name: 'a/b' } }), { behaviour: behaviour(0) });
    t.deepEqual(k.uevents, ['add@/module/a!b']);
    rmmod(k, 'a/b');
    t.deepEqual(k.uevents, ['add@/module/a!b', 'remove@/module/a!b']);
    // COMING, init, LIVE, exit, GOING
    t.deepEqual(told.slice(3), [0, 0, 0, 1, 1]);
  });

  test(`${version}: a failing init drops the reference that it was given, once`, (t) => {
    const k = kernelOf(version);
    const counts: string[] = [];
    const count = (where: string, m: Module): void => void counts.push(`${where} ${m.state} ${m.refcount}`);
    k.notifiers.register({ name: 'listener', call: (event, m) => (count(event, m), NOTIFY_OK) });
    let self: Module | undefined;
    const init = (m: Module): number => {
      self = m;
      moduleGet(m);
      count('got', m);
      modulePut(m);
      count('put', m);
      return -errnos.EIO;
    };
    t.throws(() => insmod(k, moduleFor(version), { behaviour: { init } }), { message: /^EIO/ });
    t.deepEqual(counts, ['COMING COMING 1', 'got COMING 2', 'put COMING 1', 'GOING GOING 0']);
    t.deepEqual([self!.refcount, self!.warnings], [0, []]);
  });

  test(`${version}: after a failing init: GOING first, then the reference goes, and then clients hear of it`, (t) => {
    const k = kernelOf(version);
    let told = false;
    k.notifiers.register({ name: 'listener', call: (event) => ((told ||= event === 'GOING'), NOTIFY_OK) });
    const load = loadModule(k, moduleFor(version), { behaviour: { init: () => -errnos.EIO } });
    let [step, m]: [string, Module | undefined] = ['', undefined];
    while (step !== 'module_state_going') {
      const { step: own, load: of } = load.next().value as Step;
      [step, m] = [own, of.module];
    }
    t.deepEqual([m!.state, m!.refcount, told], ['GOING', 1, false]);
    t.is((load.next().value as Step).step, 'mod_sysfs_teardown');
    t.deepEqual([m!.state, m!.refcount, told], ['GOING', 0, true]);
  });

  test(`${version}: init memory is given back, and can still be looked at`, (t) => {
    const k = kernelOf(version);
    const m = insmod(
      k,
      moduleFor(version, {
        sections: [
          { name: '.text', flags: 6, size: 1 },
          { name: '.init.text', flags: 6, data: [0xc3] },
        ],
      }),
    );
    const freed = version === '6.1' ? m.freed.init : m.freed.init_text;
    t.is(freed!.bytes[0], 0xc3);
    t.false(k.memory.ranges.some(({ start }) => start === freed!.base));
    t.is(k.memory.ranges.length, Object.keys(m.memory).length);
  });

  test(`${version}: a kernel that retains nothing forgets contents and keeps addresses`, (t) => {
    const k = kernelOf(version, { retainMemory: false });
    const m = insmod(
      k,
      moduleFor(version, { symbols: [{ name: 'f', section: '.text' }], exports: [{ name: 'f', crc: 1 }] }),
    );
    t.true(m.sections.every(({ bytes }) => bytes.length === 0));
    t.is(m.symtab, undefined);
    t.true(m.size > 0);
    t.is(k.moduleExports.get('f')?.[0]?.owner, m);
  });

  test(`${version}: module_arch_cleanup() after a failing init`, (t) => {
    const cleaned: string[] = [];
    const arch = { ...archOf('x86_64'), cleanup: ({ name }: { name: string }) => void cleaned.push(name) };
    const k = kernelOf(version, { arch });
    refuses(
      t,
      k,
      moduleFor(version),
      { errno: 'EIO', check: 'C104', log: UNSIGNED },
      { behaviour: { init: () => -5 } },
    );
    t.deepEqual(cleaned, ['minimal']);
  });

  test(`${version}: a module that refused init can be loaded again`, (t) => {
    const k = kernelOf(version, { percpuReserve: 8 });
    const file = moduleFor(version, { sections: [{ name: '.data..percpu', flags: 3, size: 8 }] });
    for (const _ of [1, 2]) t.throws(() => insmod(k, file, { behaviour: { init: () => -19 } }));
    t.is(insmod(k, file).state, 'LIVE');
  });
}

test('the names of init and exit are found', (t) => {
  const k = kernelOf('7.2');
  const spec = specFor('7.2', {
    thisModule: { name: 'code', init: 'init_module', exit: 'cleanup_module' },
    symbols: [
      { name: 'init_module', section: '.text' },
      { name: 'cleanup_module', section: '.text', value: 4 },
    ],
  });
  const m = insmod(k, ko(spec));
  t.deepEqual([m.hasInit, m.hasExit], [true, true]);
  const none = insmod(k, moduleFor('7.2'));
  t.deepEqual([none.hasInit, none.hasExit], [false, false]);
});
