/** The life of modules as kernels of days gone by had it: today's, but for what days.ts says. */
import { type Errno, LoadError } from '../../loader/errors.ts';
import { finitModule } from '../../loader/idempotent.ts';
import { freeingModule, running } from '../../loader/init.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { loadModule } from '../../loader/load.ts';
import { deleteModule } from '../../loader/unload.ts';
import type { Wait } from '../../loader/wait.ts';
import type { Around, Life, LifeSteps } from '../life.ts';
import type { Rules } from './days.ts';
import { finitOnce } from './idempotent.ts';
import { loadAsThen } from './load.ts';
import { asThen, Past, unlocked } from './past.ts';

export function lifeOf(rules: Rules): Life {
  const pasts = new WeakMap<Kernel, Past>();
  const past = (kernel: Kernel): Past => {
    const known = pasts.get(kernel) ?? new Past(rules);
    pasts.set(kernel, known);
    return known;
  };
  const load: Life['load'] =
    rules.base === '6.1' && (rules.locksLoads || rules.namesakeAwaited)
      ? (kernel, file, options) => loadAsThen(kernel, past(kernel), file, options)
      : (kernel, { bytes }, options) => loadModule(kernel, bytes, options);
  return {
    load,
    finit:
      rules.idempotent !== undefined
        ? (kernel, file, options) => finitOnce(kernel, rules, file, options)
        : rules.base === '6.1'
          ? load
          : finitModule,
    unload: (kernel, name, around) => unload(kernel, past(kernel), name, around),
    tryGet(m, cpu) {
      if (m.state === 'GOING' || (rules.entersLiveOnly && m.state !== 'LIVE')) return false;
      past(m.kernel).counts.get(m, cpu);
      return true;
    },
    get: (m, cpu) => past(m.kernel).counts.get(m, cpu),
    put(m, cpu) {
      past(m.kernel).counts.put(m, cpu);
      if (m.state === 'GOING' && rules.unloads !== 'waits untold') past(m.kernel).dropped.wakeAll();
    },
    opening: rules.opening ?? 'outside',
    lacks: new Set(rules.lacks),
    key: (kernel) => [past(kernel).locked, kernel.modules.map((m) => past(kernel).counts.key(m))],
  };
}

function* unload(kernel: Kernel, past: Past, name: string, around: Around): LifeSteps {
  const { unloads } = past.rules;
  if (unloads === 'waits' || unloads === 'waits untold') return yield* unloadWaiting(kernel, past, name);
  const m = kernel.findModule(name);
  if (unloads === 'asks can_unload' && m !== undefined) {
    if (around.isOpen(m)) throw refuse('EBUSY', name, 'can_unload() says that it is in use');
    yield { step: 'can_unload' };
  }
  const steps = asThen(past.rules, deleteModule(kernel, name));
  for (let next = steps.next(); !next.done; ) {
    const wake = yield next.value;
    if (unloads === 'wakes nobody' && next.value.step === 'free_mod_mem') return undefined;
    next = steps.next(wake);
  }
  return undefined;
}

/** delete_module() without O_NONBLOCK, up to 3.12: nobody gets the module any more, and who has it is waited for. */
function* unloadWaiting(kernel: Kernel, past: Past, name: string): LifeSteps {
  yield* unlocked(kernel, past);
  const m = kernel.findModule(name);
  if (m === undefined) throw refuse('ENOENT', name, `no module ${name} is loaded`);
  if (m.sources.size > 0) throw refuse('EAGAIN', name, 'another module uses it');
  if (m.state !== 'LIVE') throw refuse('EBUSY', name, `it is ${m.state}`);
  m.state = 'GOING';
  yield { step: 'GOING' };
  for (;;) {
    // It is on the queue before it counts, so that no put is missed.
    const wait: Wait = {
      queue: past.dropped,
      since: past.dropped.wakes,
      condition: () => m.refcount === 0,
      uninterruptible: true,
    };
    if ((yield* past.counts.sum(m, past.rules.counts)) === 0) break;
    yield { step: 'wait_for_zero_refcount', wait };
  }
  m.refcnt = 0;
  yield { step: 'wait_for_zero_refcount', module: m };
  const steps = running('exit', m.behaviour.exit?.(m));
  for (let next = steps.next(); !next.done; ) next = steps.next(yield { ...next.value, module: m });
  yield { step: 'exit', module: m };
  kernel.notifiers.call('GOING', m);
  const freeing = asThen(past.rules, freeingModule(m));
  for (let next = freeing.next(); !next.done; ) next = freeing.next(yield { ...next.value, module: m });
  kernel.moduleWq.wakeAll();
  return undefined;
}

const refuse = (errno: Errno, module: string, reason: string): LoadError =>
  new LoadError({ errno, check: 'U09', log: [], reason, step: 'delete_module', module });
