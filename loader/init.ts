/** do_init_module() and free_module(): the module runs, or goes. */
import type { Region } from '../relocs/module-view.ts';
import { freeMemory, percpuModfree } from './allocate.ts';
import { asyncSynchronizeFull } from './async.ts';
import { errnoOf } from './errors.ts';
import { trimInitExtable } from './extable.ts';
import { dropExports } from './formation.ts';
import type { Kernel } from './kernel.ts';
import type { Loading } from './loading.ts';
import type { Code, Module } from './module.ts';
import { synchronizeRcu } from './rcu.ts';
import { modulePut } from './refcount.ts';
import { moduleUnloadFree } from './symbols.ts';
import { alone, type Wait, type Wake } from './wait.ts';

const INIT: readonly Region[] = ['init_text', 'init_data', 'init_rodata', 'init'];

/**
 * do_init_module(): runs init and makes the module LIVE, or fails with init's errno. Yields what init yields, and on the
 * way out of a failure the steps that were done.
 *
 * @throws LoadError C104
 */
export function* doInitModule(load: Loading, m: Module): Generator<InitStep, void, Wake> {
  const { kernel } = m;
  const ret = (yield* running('init', m.behaviour.init?.(m))) ?? 0;
  if (ret < 0) {
    let errno = errnoOf(-ret);
    // 7.2 keeps EEXIST for "already loaded".
    if (errno === 'EEXIST' && m.version === '7.2') errno = 'EBUSY';
    m.state = 'GOING';
    yield { step: 'module_state_going' };
    yield* sleepingIn('synchronize_rcu', synchronizeRcu(kernel));
    modulePut(m);
    kernel.notifiers.call('GOING', m);
    yield* freeingModule(m);
    kernel.moduleWq.wakeAll();
    throw load.fail(errno, 'C104', undefined, `the module's own init function returned ${ret}`);
  }
  if (ret > 0) {
    if (m.version === '7.2') m.log(`${m.name}: init suspiciously returned ${ret}, it should follow 0/-E convention`);
    else {
      m.log(`do_init_module: '${m.name}'->init suspiciously returned ${ret}, it should follow 0/-E convention`);
      m.log('do_init_module: loading module anyway...');
    }
  }
  m.state = 'LIVE';
  kernel.notifiers.call('LIVE', m);
  uevent('add', m);
  if (!m.asyncProbe) yield* sleepingIn('async_synchronize_full', asyncSynchronizeFull(kernel));
  modulePut(m);
  trimInitExtable(m);
  kernel.rcu.after(() => freeInit(m));
  kernel.moduleWq.wakeAll();
  if (!kernel.retainMemory) m.forgetMemory();
}

/** kobject_uevent(): what has not been announced is not taken back. */
function uevent(action: 'add' | 'remove', m: Module): void {
  m.announced = action === 'add';
  m.kernel.uevents.push(`${action}@/module/${m.name.replaceAll('/', '!')}`);
}

/** Something that has been done, or a sleep, on the way through a module's own code or out of it. */
export interface InitStep {
  readonly step: string;
  readonly wait?: Wait;
}

/** Gives each sleep as a step. */
export function* sleepingIn(step: string, waits: Generator<Wait, void, Wake>): Generator<InitStep, void, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, wait: next.value });
}

/** Runs a module's code, step by step if it is told so. */
export function* running<T>(step: string, code: T | Code<T>): Generator<InitStep, T, Wake> {
  if (!isCode(code)) return code;
  let next = code.next();
  while (!next.done) {
    const wait = next.value;
    next = code.next(yield wait === undefined ? { step } : { step, wait });
  }
  return next.value;
}

const isCode = <T>(code: T | Code<T>): code is Code<T> =>
  typeof code === 'object' && code !== null && Symbol.iterator in code;

/** do_free_init(): init memory goes when init is done, and nobody looks at it any more. */
function freeInit(m: Module): void {
  for (const region of INIT) {
    const memory = m.memory[region];
    if (memory === undefined) continue;
    m.kernel.memory.free(memory.base);
    m.freed[region] = memory;
    delete m.memory[region];
  }
}

/**
 * free_module(): state UNFORMED, references dropped, off the list; when nobody looks at it any more, memory freed. Each
 * step is given when it is done.
 */
export function* freeingModule(m: Module): Generator<InitStep, void, Wake> {
  if (m.announced) uevent('remove', m);
  m.sysfs = false;
  yield { step: 'mod_sysfs_teardown' };
  // It stays in the list, so that its name is taken, but nobody finds it any more.
  m.state = 'UNFORMED';
  yield { step: 'module_state_unformed' };
  m.kernel.arch.cleanup?.(m);
  yield { step: 'module_arch_cleanup' };
  moduleUnloadFree(m);
  yield { step: 'module_unload_free' };
  m.params = new Map();
  yield { step: 'module_destroy_params' };
  unlink(m.kernel, m);
  yield { step: 'list_del_rcu' };
  yield* sleepingIn('synchronize_rcu', synchronizeRcu(m.kernel));
  rememberTaints(m);
  yield { step: 'try_add_tainted_module' };
  percpuModfree(m);
  yield { step: 'percpu_modfree' };
  freeMemory(m);
  yield { step: 'free_mod_mem' };
}

/** free_module() in one go. */
export function freeModule(m: Module): void {
  alone(freeingModule(m));
}

/** try_add_tainted_module(): counts what has gone, by name, for each set of taints that has one in common. */
function rememberTaints(m: Module): void {
  if (m.taints.size === 0) return;
  const { unloadedTaintedModules } = m.kernel;
  const same = unloadedTaintedModules.find((u) => u.name === m.name && [...u.taints].some((t) => m.taints.has(t)));
  if (same !== undefined) same.count++;
  else unloadedTaintedModules.unshift({ name: m.name, taints: new Set(m.taints), count: 1 });
}

/** list_del_rcu(): off the list, and its exports out of the search. */
export function unlink(kernel: Kernel, m: Module): void {
  dropExports(m);
  kernel.unlink(m);
}
