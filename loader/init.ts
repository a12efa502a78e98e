/** do_init_module() and free_module(): the module runs, or goes. */
import type { Region } from '../relocs/module-view.ts';
import { freeMemory, percpuModfree } from './allocate.ts';
import { type Errno, errnos } from './errors.ts';
import { dropExports } from './formation.ts';
import type { Kernel } from './kernel.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';
import { moduleUnloadFree } from './symbols.ts';

const INIT: readonly Region[] = ['init_text', 'init_data', 'init_rodata', 'init'];

/**
 * do_init_module(): runs init and makes the module LIVE, or fails with init's errno.
 *
 * @throws LoadError C104
 */
export function doInitModule(load: Loading, m: Module): void {
  const ret = m.hasInit || m.behaviour.init ? (m.behaviour.init?.(m) ?? 0) : 0;
  if (ret < 0) {
    let errno = errnoOf(-ret);
    // 7.2 keeps EEXIST for "already loaded".
    if (errno === 'EEXIST' && m.version === '7.2') errno = 'EBUSY';
    m.state = 'GOING';
    m.refcnt--;
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
  m.refcnt--;
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

/** free_module(): state UNFORMED, references dropped, off the list, memory freed. */
export function freeModule(m: Module): void {
  m.state = 'UNFORMED';
  m.kernel.arch.cleanup?.(m);
  moduleUnloadFree(m);
  unlink(m.kernel, m);
  percpuModfree(m);
  freeMemory(m);
}

/** list_del_rcu(): off the list, and its exports out of the search. */
export function unlink(kernel: Kernel, m: Module): void {
  dropExports(m);
  kernel.unlink(m);
}
