/** do_init_module() and free_module(): the module runs, or goes. */
import type { Region } from '../relocs/module-view.ts';
import { freeMemory, percpuModfree } from './allocate.ts';
import { type Errno, errnos } from './errors.ts';
import { dropExports } from './formation.ts';
import type { Kernel } from './kernel.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';
import { modulePut } from './refcount.ts';
import { moduleUnloadFree } from './symbols.ts';

const INIT: readonly Region[] = ['init_text', 'init_data', 'init_rodata', 'init'];

/**
 * do_init_module(): runs init and makes the module LIVE, or fails with init's errno.
 *
 * @throws LoadError C104
 */
export function doInitModule(load: Loading, m: Module): void {
  const ret = m.behaviour.init?.(m) ?? 0;
  if (ret < 0) {
    let errno = errnoOf(-ret);
    // 7.2 keeps EEXIST for "already loaded".
    if (errno === 'EEXIST' && m.version === '7.2') errno = 'EBUSY';
    m.state = 'GOING';
    modulePut(m);
    freeModule(m);
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
  modulePut(m);
  freeInit(m);
  if (!m.kernel.retainMemory) m.forgetMemory();
}

/** An errno by its number; an unknown one counts as EINVAL. */
function errnoOf(n: number): Errno {
  return (Object.keys(errnos) as Errno[]).find((name) => errnos[name] === n) ?? 'EINVAL';
}

/** Init memory goes when init is done. */
function freeInit(m: Module): void {
  for (const region of INIT) {
    const memory = m.memory[region];
    if (memory === undefined) continue;
    m.kernel.memory.free(memory.base);
    m.freed[region] = memory;
    delete m.memory[region];
  }
}

/** free_module(): state UNFORMED, references dropped, off the list, memory freed. Each step is given when it is done. */
export function* freeingModule(m: Module): Generator<string, void> {
  m.sysfs = false;
  yield 'mod_sysfs_teardown';
  // It stays in the list, so that its name is taken, but nobody finds it any more.
  m.state = 'UNFORMED';
  yield 'module_state_unformed';
  m.kernel.arch.cleanup?.(m);
  yield 'module_arch_cleanup';
  moduleUnloadFree(m);
  yield 'module_unload_free';
  m.params = new Map();
  yield 'module_destroy_params';
  unlink(m.kernel, m);
  yield 'list_del_rcu';
  rememberTaints(m);
  yield 'try_add_tainted_module';
  percpuModfree(m);
  yield 'percpu_modfree';
  freeMemory(m);
  yield 'free_mod_mem';
}

/** free_module() in one go. */
export function freeModule(m: Module): void {
  for (const _ of freeingModule(m)) continue;
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
