/** One relocation at one place, with bytes around it that nothing may touch. */
import type { ExecutionContext } from 'ava';
import { type Given, type Outcome, relocate } from './relocate.ts';

const BEFORE = '0011223344556677';
const BEHIND = '8899aabbccddeeff';

export interface One extends Omit<Given, 'sections' | 'symbols' | 'relocs'> {
  /** The place; section `.text` starts 8 bytes before it. */
  readonly P: bigint;
  readonly A?: bigint;
}

/** Relocates the bytes at P against `foo`, whose value is S. */
export function one(given: One, type: string | number, bytes: string, S: bigint): Outcome {
  const { P, A = 0n, ...rest } = given;
  return relocate({
    ...rest,
    sections: { '.text': { addr: P - 8n, data: `${BEFORE} ${bytes} ${BEHIND}` } },
    symbols: { foo: S },
    relocs: { '.text': [[8, type, 'foo', A]] },
  });
}

/** Accepted, without a word; gives the bytes at P. */
export function patched(t: ExecutionContext, o: Outcome): string {
  t.is(o.errno ?? o.crash, undefined);
  t.deepEqual(o.log, []);
  const text = o.hex('.text');
  t.true(text.startsWith(BEFORE) && text.endsWith(BEHIND), text);
  return text.slice(BEFORE.length, -BEHIND.length);
}

/** Refused with that errno and those lines, and nothing written. */
export function refused(t: ExecutionContext, o: Outcome, bytes: string, errno: string, ...log: string[]): void {
  t.is(o.errno, errno);
  t.deepEqual(o.log, log);
  t.is(o.hex('.text'), `${BEFORE}${bytes}${BEHIND}`);
}
