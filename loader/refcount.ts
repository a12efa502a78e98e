/**
 * References to modules (kernel/module/main.c under CONFIG_MODULE_UNLOAD, include/linux/module.h without it). `undefined`
 * is NULL: the owner of what lies in the kernel itself.
 */
import { crashes } from '../relocs/refusal.ts';
import type { Errno } from './errors.ts';
import type { Module } from './module.ts';

/** What the loader itself holds of every module; a count of 0 says that the module is going. */
export const MODULE_REF_BASE = 1;

const counts = (m: Module): boolean => m.kernel.switch('MODULE_UNLOAD');

/** module_is_live(): UNFORMED and COMING count as alive. */
export const moduleIsLive = (m: Module): boolean => m.state !== 'GOING';

/** module_unload_init(): the base, and a reference that is held until init is done. */
export function moduleUnloadInit(m: Module): void {
  m.refcnt = counts(m) ? MODULE_REF_BASE + 1 : MODULE_REF_BASE;
}

/** module_refcount(): the references in the kernel; -1 while it is unloading. */
export const moduleRefcount = (m: Module): number => m.refcnt - MODULE_REF_BASE;

/** __module_get(): for a caller that knows of another reference. */
export function moduleGet(m: Module | undefined): void {
  if (m !== undefined && counts(m)) m.refcnt++;
}

/** try_module_get(): false when the module is going. */
export function tryModuleGet(m: Module | undefined): boolean {
  if (m === undefined) return true;
  if (!counts(m)) return moduleIsLive(m);
  if (!moduleIsLive(m) || m.refcnt === 0) return false;
  m.refcnt++;
  return true;
}

/** module_put(): never below zero, of which it only warns. */
export function modulePut(m: Module | undefined): void {
  if (m === undefined || !counts(m)) return;
  if (m.refcnt > 0) m.refcnt--;
  else m.warn(`module_put(): ${m.name} has no reference left to drop`);
}

/**
 * strong_try_module_get(): a module is of use only when its init is done. EBUSY: wait for it; ENOENT: it is going.
 *
 * @throws Refusal BUG: UNFORMED
 */
export function strongTryModuleGet(m: Module | undefined): Errno | undefined {
  if (m?.state === 'UNFORMED') throw crashes('BUG', `strong_try_module_get() of ${m.name}, which is UNFORMED`);
  if (m?.state === 'COMING') return 'EBUSY';
  return tryModuleGet(m) ? undefined : 'ENOENT';
}

/**
 * try_release_module_ref(): drops the base. True: nobody else held a reference, and nobody can get one any more. One step
 * here; the kernel takes the base and, if that was not all, gives it back unless the count has become 0 meanwhile. Who puts
 * between the two might as well have put before.
 *
 * @throws Refusal BUG: the base was dropped before
 */
export function tryReleaseModuleRef(m: Module): boolean {
  m.refcnt -= MODULE_REF_BASE;
  if (m.refcnt < 0) throw crashes('BUG', `the references of ${m.name} are below zero`);
  if (m.refcnt === 0) return true;
  m.refcnt += MODULE_REF_BASE;
  return false;
}
