/** D.6: who is told, in which order, and what a refusal undoes. */
import test from 'ava';
import { errnos } from '../../loader/errors.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod } from '../../loader/load.ts';
import {
  NOTIFY_DONE,
  NOTIFY_OK,
  NOTIFY_STOP_MASK,
  type NotifierBlock,
  NotifierChain,
  notifierFromErrno,
  notifierToErrno,
} from '../../loader/notifier.ts';
import { rmmod } from '../../loader/unload.ts';
import { exported, kernelOf, loads, moduleFor, refuses, versions } from './bench.ts';

test('errnos go through a return value and back, but for a bare negative one', (t) => {
  for (const errno of ['EPERM', 'ENOMEM', 'EINVAL', 'EKEYREJECTED'] as const) {
    t.is(notifierToErrno(notifierFromErrno(errno)), -errnos[errno]);
    t.true((notifierFromErrno(errno) & NOTIFY_STOP_MASK) !== 0);
    // It stops the chain as well, and is no error.
    t.true((-errnos[errno] & NOTIFY_STOP_MASK) !== 0);
    t.is(notifierToErrno(-errnos[errno]), 0);
  }
  for (const fine of [NOTIFY_DONE, NOTIFY_OK, NOTIFY_STOP_MASK | NOTIFY_OK]) t.is(notifierToErrno(fine), 0);
});

test('registering twice, and taking out what is not there', (t) => {
  const chain = new NotifierChain();
  const block: NotifierBlock = { name: 'a', call: () => NOTIFY_OK };
  t.is(chain.unregister(block), 'ENOENT');
  t.is(chain.register(block), undefined);
  t.is(chain.register(block), 'EEXIST');
  t.is(chain.register({ ...block, priority: -1 }), undefined);
  t.is(chain.unregister(block), undefined);
  t.is(chain.unregister(block), 'ENOENT');
});

for (const version of versions) {
  /** A kernel whose clients write down what they hear; `answers` by client and event. */
  const listening = (
    clients: readonly (readonly [name: string, priority?: number])[],
    answers: Readonly<Record<string, number>> = {},
  ): { k: Kernel; heard: string[] } => {
    const k = kernelOf(version, {
      config: { MODULE_SIG: false },
      exports: [exported('param_ops_int', { value: 0xffff_ffff_8200_0000n })],
    });
    const heard: string[] = [];
    for (const [name, priority] of clients) {
      k.notifiers.register({
        name,
        ...(priority === undefined ? {} : { priority }),
        call: (event, m) => {
          heard.push(`${name} ${event} ${m.state}`);
          return answers[`${name} ${event}`] ?? NOTIFY_OK;
        },
      });
    }
    return { k, heard };
  };
  const all = [['late', -10], ['first'], ['second'], ['jump_label', 1], ['trace_kprobe', 2]] as const;
  const inOrder = ['trace_kprobe', 'jump_label', 'first', 'second', 'late'];

  test(`${version}: COMING, LIVE and GOING, higher priority first and then as registered`, (t) => {
    const { k, heard } = listening(all);
    insmod(k, moduleFor(version));
    rmmod(k, 'minimal');
    t.deepEqual(
      heard,
      ['COMING', 'LIVE', 'GOING'].flatMap((event) => inOrder.map((name) => `${name} ${event} ${event}`)),
    );
  });

  test(`${version}: C96 a refusal: those before it hear GOING, those behind it nothing, and it is the load's errno`, (t) => {
    const { k, heard } = listening(all, { 'first COMING': notifierFromErrno('ENOMEM') });
    refuses(t, k, moduleFor(version), { errno: 'ENOMEM', check: 'C96', log: [], step: 'prepare_coming_module' });
    t.deepEqual(heard, [
      'trace_kprobe COMING COMING',
      'jump_label COMING COMING',
      'first COMING COMING',
      'trace_kprobe GOING COMING',
      'jump_label GOING COMING',
    ]);
    const only = listening([['only']], { 'only COMING': notifierFromErrno('EINVAL') });
    refuses(t, only.k, moduleFor(version), { errno: 'EINVAL', check: 'C96', log: [] });
    t.deepEqual(only.heard, ['only COMING COMING']);
  });

  test(`${version}: srcu's bare errno stops and rolls back the chain, and the module loads`, (t) => {
    const { k, heard } = listening(all, { 'first COMING': -errnos.ENOMEM });
    loads(t, k, moduleFor(version), []);
    t.deepEqual(heard, [
      'trace_kprobe COMING COMING',
      'jump_label COMING COMING',
      'first COMING COMING',
      'trace_kprobe GOING COMING',
      'jump_label GOING COMING',
      ...inOrder.map((name) => `${name} LIVE LIVE`),
    ]);
  });

  test(`${version}: a failing init and a bad parameter are told to everybody as GOING`, (t) => {
    const { k, heard } = listening([['one']]);
    t.throws(() => insmod(k, moduleFor(version), { behaviour: { init: () => -5 } }));
    t.deepEqual(heard, ['one COMING COMING', 'one GOING GOING']);
    heard.length = 0;
    const taken = kernelOf(version, { builtin: ['minimal'] });
    taken.notifiers.register({ name: 'one', call: (event, m) => (heard.push(`${event} ${m.state}`), NOTIFY_OK) });
    t.throws(() => insmod(taken, moduleFor(version)));
    t.deepEqual(heard, ['COMING COMING', 'GOING GOING']);
  });

  test(`${version}: what stops at LIVE or GOING stops the news, and nothing else`, (t) => {
    const { k, heard } = listening([['one'], ['two']], {
      'one LIVE': notifierFromErrno('EINVAL'),
      'one GOING': notifierFromErrno('EINVAL'),
    });
    insmod(k, moduleFor(version));
    rmmod(k, 'minimal');
    t.deepEqual(heard, ['one COMING COMING', 'two COMING COMING', 'one LIVE LIVE', 'one GOING GOING']);
    t.deepEqual(k.modules, []);
  });
}
