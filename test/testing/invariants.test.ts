/** The invariants of the explorer, always on: each broken by a kernel that does one thing wrong, and found. */
import test from 'ava';
import { explore, type Exploration } from '../../loader/explore.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { moduleGet } from '../../loader/refcount.ts';
import { WaitQueue } from '../../loader/wait.ts';
import { type Life, type LifeSteps, present } from '../../testing/life.ts';
import { parseScenario, type Scenario, stageOf } from '../../testing/scenario.ts';
import { ScenarioWorld } from '../../testing/scenario-world.ts';

type Parts = Omit<Scenario, 'title'>;

/** Explores with a kernel that is wrong: in how modules come and go, or in itself. */
function wrongly(parts: Parts, life: Partial<Life>, spoil: (kernel: Kernel) => void = () => undefined): Exploration {
  const stage = { ...stageOf(parseScenario(JSON.stringify(parts))), life: { ...present, ...life } };
  return explore(() => {
    const world = new ScenarioWorld(stage);
    spoil(world.kernel);
    return world;
  });
}

const whole = (parts: Parts): Exploration => wrongly(parts, {});

/** Does something more when the steps have ended. */
function* andThen(steps: LifeSteps, more: (module: Parameters<typeof moduleGet>[0]) => void): LifeSteps {
  let module: Parameters<typeof moduleGet>[0];
  let next = steps.next();
  while (!next.done) {
    module ??= next.value.module ?? next.value.load?.module;
    next = steps.next(yield next.value);
  }
  more(module);
  return undefined;
}

const loadAndUnload: Parts = {
  modules: { m: { init: ['register dev'], exit: ['unregister dev'] } },
  threads: { a: ['load m', 'unload m'], b: ['open dev', 'close dev'] },
};
const failing: Parts = { modules: { m: { init: ['return -5'] } }, threads: { a: ['load m'], b: ['load m'] } };
const linked: Parts = {
  modules: { lib: { exports: ['f'], init: ['yield'] }, user: { uses: ['f'] } },
  threads: { a: ['load lib', 'unload lib'], b: ['load user', 'unload user'] },
};
const missing: Parts = { modules: { m: { uses: ['nothing'] } }, threads: { a: ['load m'], b: ['load m'] } };

test('with a kernel that does nothing wrong, nothing is', (t) => {
  for (const parts of [loadAndUnload, failing, linked, missing]) {
    const { violation, exhausted } = whole(parts);
    t.deepEqual([violation, exhausted], [undefined, true]);
  }
});

const says = (found: Exploration): string => found.violation?.what ?? 'nothing';

test('a reference is the number of its holders: one that is not given back, and one that is given back twice', (t) => {
  t.is(says(wrongly(loadAndUnload, { put: () => undefined })), 'm has 2 references, and 1 are held');
  t.regex(
    says(
      wrongly(loadAndUnload, {
        tryGet(m) {
          const got = present.tryGet(m, 0);
          if (got) moduleGet(m);
          return got;
        },
      }),
    ),
    /^m has 3 references, and 2 are held$/,
  );
});

test('a module with users cannot go: one whose references are not asked for, and one whose users are not', (t) => {
  const forgetful: Life['unload'] = function* (kernel, name, around) {
    const m = kernel.findModule(name);
    if (m !== undefined) m.refcnt = Math.min(m.refcnt, 1);
    return yield* present.unload(kernel, name, around);
  };
  t.regex(says(wrongly(loadAndUnload, { unload: forgetful })), /^m goes, and 1 references of it are held$/);
  const blind: Life['unload'] = function* (kernel, name, around) {
    const m = kernel.findModule(name);
    m?.sources.clear();
    if (m !== undefined) m.refcnt = Math.min(m.refcnt, 1);
    return yield* present.unload(kernel, name, around);
  };
  t.regex(says(wrongly(linked, { unload: blind })), /^user uses lib, which (is GOING|does not know)$/);
});

test('nobody uses a module that is not LIVE', (t) => {
  const early: Life['load'] = function* (kernel, file, options) {
    const steps = present.load(kernel, file, options);
    for (let next = steps.next(); !next.done; next = steps.next(yield next.value)) {
      const m = next.value.load?.module;
      const lib = kernel.findModule('lib');
      if (next.value.step !== 'add_unformed_module' || m?.name !== 'user' || lib?.state !== 'COMING') continue;
      moduleGet(lib);
      m.targets.add(lib);
      lib.sources.add(m);
    }
    return undefined;
  };
  t.is(says(wrongly(linked, { load: early })), 'user uses lib, which is COMING');
});

test('a load goes through each state once', (t) => {
  const twice: Life['load'] = (kernel, file, options) =>
    andThen(present.load(kernel, file, options), (m) => {
      if (m === undefined || m.state !== 'LIVE') return;
      m.state = 'COMING';
      m.state = 'LIVE';
    });
  t.is(says(wrongly(loadAndUnload, { load: twice })), 'm was LIVE and is COMING');
});

test('nothing is left after an unload, or after a load that has failed', (t) => {
  const leaving: Life['unload'] = (kernel, name, around) =>
    andThen(present.unload(kernel, name, around), (m) => {
      if (m !== undefined) m.sysfs = true;
    });
  t.is(says(wrongly(loadAndUnload, { unload: leaving })), 'a: unload m is over, and m is still in /sys/module');
  const listed: Life['load'] = function* (kernel, file, options) {
    let own: ReturnType<Kernel['findModule']>;
    const steps = present.load(kernel, file, options);
    try {
      for (let next = steps.next(); !next.done; next = steps.next(yield next.value)) own ??= next.value.load?.module;
    } catch (error) {
      if (own !== undefined && Object.keys(own.memory).length === 0) own.percpu = { cookie: 0n, size: 8 };
      throw error;
    }
    return undefined;
  };
  t.regex(says(wrongly(failing, { load: listed })), /^.: load m is over, and per-CPU memory of m is left$/);
  const leaking = (kernel: Kernel): void => void (kernel.memory.free = () => undefined);
  t.is(says(wrongly(loadAndUnload, {}, leaking)), 'memory is left of a module that is gone');
});

for (const [name, parts, step] of [
  ['the end of an init', linked, 'resolve_symbol_wait'],
  ['the failure of an init', failing, 'module_patient_check_exists'],
  ['a load that is undone before its init', missing, 'module_patient_check_exists'],
] as const) {
  test(`who waits is woken by ${name}, or it is found`, (t) => {
    const mute = (kernel: Kernel): void => void (kernel.moduleWq.wakeAll = () => undefined);
    t.regex(says(wrongly(parts, {}, mute)), new RegExp(`^lost wake-up: . sleeps in ${step}, and`));
  });
}

test('who waits for the same file is woken, or it is found', (t) => {
  const mute = (kernel: Kernel): void => {
    const { set } = kernel.idempotent;
    kernel.idempotent.set = (inode, first) => {
      first.complete.wakeAll = () => undefined;
      return set.call(kernel.idempotent, inode, first);
    };
  };
  const parts: Parts = { modules: { m: {} }, threads: { a: ['finit m'], b: ['finit m'] } };
  t.is(wrongly(parts, {}).violation, undefined);
  t.regex(says(wrongly(parts, {}, mute)), /^lost wake-up: . sleeps in idempotent_wait_for_completion, and/);
});

test('who waits for asynchronous parts is woken, or it is found', (t) => {
  const parts: Parts = {
    modules: { m: { init: ['async_schedule probe'], functions: { probe: ['yield'] } } },
    threads: { a: ['load m'] },
  };
  const mute = (kernel: Kernel): void => void (kernel.async.done.wakeAll = () => undefined);
  t.is(wrongly(parts, {}).violation, undefined);
  t.regex(says(wrongly(parts, {}, mute)), /^lost wake-up: a sleeps in async_synchronize_full, and/);
});

test('EEXIST is said of what is LIVE', (t) => {
  const hasty: Life['load'] = function* (kernel, file, options) {
    const other = kernel.findModule('m', true);
    const before = other?.state;
    if (other !== undefined && before === 'GOING') {
      const { findModule } = kernel;
      kernel.findModule = () => Object.create(other, { state: { value: 'LIVE' } }) as typeof other;
      try {
        yield* present.load(kernel, file, options);
      } finally {
        kernel.findModule = findModule;
      }
      return undefined;
    }
    return yield* present.load(kernel, file, options);
  };
  t.regex(says(wrongly(failing, { load: hasty })), /^.: load m says EEXIST, and no m is LIVE$/);
});

test('what was begun is done when all is over: a load, and a call of finit_module()', (t) => {
  const half: Life['load'] = function* (kernel, file, options) {
    const steps = present.load(kernel, file, options);
    for (let next = steps.next(); !next.done; next = steps.next(yield next.value))
      if (next.value.step === 'complete_formation') return undefined;
    return undefined;
  };
  const once: Parts = { modules: { m: {} }, threads: { a: ['load m'] } };
  t.is(says(wrongly(once, { load: half })), 'm is COMING for ever');
  const untidy: Life['finit'] = (kernel, file, options) =>
    andThen(present.finit(kernel, file, options), () =>
      kernel.idempotent.set(file.inode, { complete: new WaitQueue('idempotent'), result: undefined }),
    );
  const file: Parts = { modules: { m: {} }, threads: { a: ['finit m'] } };
  t.is(says(wrongly(file, { finit: untidy })), 'a call of finit_module() has left its entry behind');
});
