/**
 * finit_module() from the merge window of 6.5 to 6.10: one does the work, and who comes meanwhile waits for it, whatever
 * happens.
 */
import { LoadError } from '../../loader/errors.ts';
import type { Idempotent, ModuleFile } from '../../loader/idempotent.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { loadModule } from '../../loader/load.ts';
import { Loading, type LoadOptions } from '../../loader/loading.ts';
import { waitEvent, WaitQueue } from '../../loader/wait.ts';
import type { LifeSteps } from '../life.ts';
import type { Rules } from './days.ts';

export function* finitOnce(kernel: Kernel, rules: Rules, file: ModuleFile, options: LoadOptions): LifeSteps {
  const first = kernel.idempotent.get(file.inode);
  if (first !== undefined) {
    const waits = waitEvent(kernel, first.complete, () => first.result !== undefined);
    for (let next = waits.next(); !next.done; )
      next = waits.next(
        yield { step: 'idempotent_wait_for_completion', wait: { ...next.value, uninterruptible: true } },
      );
    if (first.result !== undefined && 'error' in first.result) throw first.result.error;
    return undefined;
  }
  const mine: Idempotent = { complete: new WaitQueue('idempotent'), result: undefined };
  kernel.idempotent.set(file.inode, mine);
  const complete = (): void => {
    kernel.idempotent.delete(file.inode);
    mine.complete.wakeAll();
  };
  yield { step: 'idempotent' };
  if (file.bytes.length === 0) {
    const load = new Loading(kernel, file.bytes, options);
    const error = load.fail('EINVAL', 'C07', undefined, 'the file is empty');
    if (rules.idempotent !== 'uninterruptible, left behind') {
      mine.result = { error };
      complete();
    }
    throw error;
  }
  try {
    mine.result = { module: yield* loadModule(kernel, file.bytes, options) };
  } catch (error) {
    if (error instanceof LoadError) mine.result = { error };
    throw error;
  } finally {
    complete();
  }
  return undefined;
}
