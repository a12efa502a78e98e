/**
 * finit_module() as a whole: from 6.5 on, who comes while the same file is being loaded does no work, but waits and
 * gets what the first one gets (idempotent_init_module() of kernel/module/main.c).
 */
import { checkCall } from './early.ts';
import { LoadError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { loadModule, sleeping, type Step } from './load.ts';
import { Loading, type LoadOptions } from './loading.ts';
import type { Module } from './module.ts';
import { WaitQueue, waitEvent, type Wake } from './wait.ts';

/** An open file: what is in it, and the inode by which two descriptors of one file are known to be that. */
export interface ModuleFile {
  readonly inode: unknown;
  readonly bytes: Uint8Array;
  /** False: it was not opened for reading. */
  readonly readable?: boolean;
}

/** One load of a file, and who waits for it. */
export interface Idempotent {
  readonly complete: WaitQueue;
  result: { readonly module: Module } | { readonly error: unknown } | undefined;
}

/**
 * finit_module(2). Parameters and flags of a call that waits are not looked at, but for unknown flags.
 *
 * @throws LoadError of loadModule(), of the first call too; C04, C17
 */
export function* finitModule(
  kernel: Kernel,
  file: ModuleFile,
  options: Omit<LoadOptions, 'call'> = {},
): Generator<Step, Module, Wake> {
  const load = new Loading(kernel, file.bytes, options);
  load.step = 'finit_module';
  checkCall(load);
  if (file.readable === false) throw load.fail('EBADF', 'C04', undefined, 'the file is not open for reading');
  if (kernel.version === '6.1') return yield* loadModule(kernel, file.bytes, options);

  const first = kernel.idempotent.get(file.inode);
  if (first !== undefined) {
    load.step = 'idempotent_wait_for_completion';
    const condition = (): boolean => first.result !== undefined;
    const waited = yield* sleeping(load, load.step, waitEvent(kernel, first.complete, condition));
    if (waited !== 'done' || first.result === undefined)
      throw load.fail(
        'EINTR',
        'C17',
        undefined,
        'another call loads the same file, and had not ended when the wait did',
      );
    if ('error' in first.result) throw first.result.error;
    return first.result.module;
  }

  const mine: Idempotent = { complete: new WaitQueue('idempotent'), result: undefined };
  kernel.idempotent.set(file.inode, mine);
  try {
    const module = yield* loadModule(kernel, file.bytes, options);
    mine.result = { module };
    return module;
  } catch (error) {
    if (error instanceof LoadError) mine.result = { error };
    throw error;
  } finally {
    kernel.idempotent.delete(file.inode);
    mine.complete.wakeAll();
  }
}
