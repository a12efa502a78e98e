/**
 * delete_module() of kernel/module/main.c, told step by step, as load.ts tells load_module(): each step is a yield with
 * the kernel's name for it, given after it has been done. Run to the end it is rmmod.
 */
import { sizeofAddr } from '../relocs/elf.ts';
import { asyncSynchronizeFull } from './async.ts';
import { type CheckId, type Errno, LoadError } from './errors.ts';
import { freeingModule, type InitStep, running, sleepingIn } from './init.ts';
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';
import { tryReleaseModuleRef } from './refcount.ts';
import { alone, type Wait, type Wake } from './wait.ts';

/** Of <asm-generic/fcntl.h>. The kernel never waits, with or without O_NONBLOCK. */
export const O_NONBLOCK = 0o4000;
/** Force: also what is in use, or has no exit function. */
export const O_TRUNC = 0o1000;

export interface UnloadOptions {
  /** Flags of delete_module(2); rmmod gives O_NONBLOCK, rmmod -f O_TRUNC with it. */
  readonly flags?: number;
  /** CAP_SYS_MODULE; default true. */
  readonly capable?: boolean;
  /** True: a signal comes while the call waits for module_mutex. */
  readonly signal?: boolean;
}

/** A step of delete_module() that has just been done. */
export interface UnloadStep {
  readonly step: string;
  readonly module: Module;
  /** It sleeps in this step: exit does. */
  readonly wait?: Wait;
}

/**
 * Unloads a module. `name` undefined is a bad pointer.
 *
 * @throws LoadError U00 (no such system call), U01 … U09; nothing has changed then, but for the taint of a forced try
 */
export function* deleteModule(
  kernel: Kernel,
  name: string | undefined,
  options: UnloadOptions = {},
): Generator<UnloadStep, void, Wake> {
  const m = tryStopModule(kernel, name, options);
  const done = (step: string): UnloadStep => ({ step, module: m });
  yield done('try_stop_module');

  // Nobody uses it any more, and nobody can begin to.
  yield* stepsOf(m, running('exit', m.behaviour.exit?.(m)));
  yield done('exit');
  kernel.notifiers.call('GOING', m);
  yield done('module_notify_list');
  yield* stepsOf(m, sleepingIn('async_synchronize_full', asyncSynchronizeFull(kernel)));

  kernel.lastUnloadedModule = { name: m.name, taints: m.taintLetters === '' ? '' : `(${m.taintLetters})` };
  yield done('last_unloaded_module');

  yield* stepsOf(m, freeingModule(m));
  // Somebody may wait for the name.
  kernel.moduleWq.wakeAll();
}

function* stepsOf(m: Module, steps: Generator<InitStep, void, Wake>): Generator<UnloadStep, void, Wake> {
  let next = steps.next();
  while (!next.done) next = steps.next(yield { ...next.value, module: m });
}

/** Everything under module_mutex: the checks, and the module is GOING. */
function tryStopModule(kernel: Kernel, given: string | undefined, options: UnloadOptions): Module {
  const flags = options.flags ?? O_NONBLOCK;
  const fail = (errno: Errno, check: CheckId, reason: string): LoadError =>
    new LoadError({
      errno,
      check,
      log: [],
      reason,
      step: 'delete_module',
      ...(given === undefined ? {} : { module: given }),
    });

  if (!kernel.switch('MODULE_UNLOAD'))
    throw fail('ENOSYS', 'U00', 'this kernel cannot unload modules (CONFIG_MODULE_UNLOAD)');
  if (options.capable === false) throw fail('EPERM', 'U01', 'the process lacks CAP_SYS_MODULE');
  if (kernel.modulesDisabled)
    throw fail('EPERM', 'U01', 'kernel.modules_disabled is set, and stays so until the next boot');
  if (given === undefined) throw fail('EFAULT', 'U03', 'the name cannot be read');
  const name = given.split('\0', 1)[0]!;
  const length = new TextEncoder().encode(name).length;
  if (length === 0) throw fail('ENOENT', 'U02', 'the name is empty');
  if (length >= 64 - sizeofAddr(kernel.format)) throw fail('ENOENT', 'U02', 'no module has a name that long');
  if (options.signal === true) throw fail('EINTR', 'U04', 'a signal came before the modules could be locked');

  const m = kernel.findModule(name);
  if (m === undefined) throw fail('ENOENT', 'U05', `no module ${name} is loaded`);
  if (m.sources.size > 0)
    throw fail(
      'EAGAIN',
      'U06',
      `${name} is used by ${[...m.sources].map((user) => user.name).join(', ')}, and force does not help`,
    );
  if (m.state !== 'LIVE') throw fail('EBUSY', 'U07', `${name} is ${m.state}`);
  if (m.hasInitFunction && !m.hasExitFunction && !tryForceUnload(kernel, flags))
    throw fail('EBUSY', 'U08', `${name} has no exit function, so it stays until reboot`);
  if (!tryReleaseModuleRef(m) && !tryForceUnload(kernel, flags))
    throw fail('EAGAIN', 'U09', `${name} is in use: ${m.refcount} references`);
  m.state = 'GOING';
  return m;
}

/** try_force_unload() */
function tryForceUnload(kernel: Kernel, flags: number): boolean {
  if (!kernel.switch('MODULE_FORCE_UNLOAD') || (flags & O_TRUNC) === 0) return false;
  kernel.addTaint('FORCED_RMMOD');
  return true;
}

/** Runs an unload to its end: rmmod. */
export function rmmod(kernel: Kernel, name: string, options: UnloadOptions = {}): void {
  alone(deleteModule(kernel, name, options));
}
