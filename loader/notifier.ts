/** The module notifier chain (kernel/notifier.c): who is told that a module is coming, live or going. */
import { type Errno, errnos } from './errors.ts';
import type { Module, State } from './module.ts';

export const NOTIFY_DONE = 0;
export const NOTIFY_OK = 1;
export const NOTIFY_STOP_MASK = 0x8000;

/** notifier_from_errno(): what a callback returns that refuses. */
export const notifierFromErrno = (errno: Errno): number => NOTIFY_STOP_MASK | (NOTIFY_OK + errnos[errno]);

/**
 * notifier_to_errno(): a negative number, or 0. A callback that returned a bare -ENOMEM has stopped the chain, for the
 * bit is set in it, and yet is no error.
 */
export function notifierToErrno(ret: number): number {
  const left = ret & ~NOTIFY_STOP_MASK;
  return left > NOTIFY_OK ? NOTIFY_OK - left : 0;
}

/** struct notifier_block. The callback returns NOTIFY_DONE, NOTIFY_OK or notifierFromErrno(). */
export interface NotifierBlock {
  readonly name: string;
  /** Higher ones are called first; default 0. */
  readonly priority?: number;
  readonly call: (event: Exclude<State, 'UNFORMED'>, m: Module) => number;
}

export class NotifierChain {
  private readonly blocks: NotifierBlock[] = [];

  /** register_module_notifier(): behind those of the same priority. EEXIST: it is registered already. */
  register(block: NotifierBlock): Errno | undefined {
    const priority = block.priority ?? 0;
    let at = 0;
    for (; at < this.blocks.length; at++) {
      const other = this.blocks[at]!;
      if (other === block) return 'EEXIST';
      if (priority > (other.priority ?? 0)) break;
    }
    this.blocks.splice(at, 0, block);
    return undefined;
  }

  /** unregister_module_notifier(): ENOENT when it is not there. */
  unregister(block: NotifierBlock): Errno | undefined {
    const at = this.blocks.indexOf(block);
    if (at < 0) return 'ENOENT';
    this.blocks.splice(at, 1);
    return undefined;
  }

  /** blocking_notifier_call_chain(): until one stops it, at most `most`. What the last one returned. */
  call(event: Exclude<State, 'UNFORMED'>, m: Module, most: number = Infinity): number {
    return this.run(event, m, most).ret;
  }

  /** blocking_notifier_call_chain_robust(): when one stops it, those before it are told the opposite. */
  callRobust(up: Exclude<State, 'UNFORMED'>, down: Exclude<State, 'UNFORMED'>, m: Module): number {
    const { ret, calls } = this.run(up, m, Infinity);
    if ((ret & NOTIFY_STOP_MASK) !== 0) this.run(down, m, calls - 1);
    return ret;
  }

  private run(event: Exclude<State, 'UNFORMED'>, m: Module, most: number): { ret: number; calls: number } {
    let ret = NOTIFY_DONE;
    let calls = 0;
    for (const block of this.blocks.slice()) {
      if (calls >= most) break;
      ret = block.call(event, m);
      calls++;
      if ((ret & NOTIFY_STOP_MASK) !== 0) break;
    }
    return { ret, calls };
  }
}
