/** What must hold of every kernel: broken by hand, one thing at a time. */
import test from 'ava';
import { loaderViolation, remainsOf } from '../../loader/invariants.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import { refModule } from '../../loader/symbols.ts';
import { rmmod } from '../../loader/unload.ts';
import { kernelOf, moduleFor } from './bench.ts';

/** b is used by a. */
function twoModules(): { k: Kernel; a: Module; b: Module } {
  const k = kernelOf('7.2');
  const load = (name: string): Module =>
    insmod(
      k,
      moduleFor('7.2', {
        thisModule: { name },
        symbols: [{ name: `f${name}`, section: '.text' }],
        exports: [{ name: `f${name}`, crc: 1 }],
      }),
      { behaviour: { init: () => 0, exit: () => undefined } },
    );
  const [a, b] = [load('a'), load('b')];
  refModule(a, b);
  return { k, a, b };
}

test('two modules, one of which uses the other: all is well', (t) => {
  t.is(loaderViolation(twoModules().k), undefined);
});

for (const [what, spoil] of [
  ['a uses b, which is GOING', ({ b }) => void (b.state = 'GOING')],
  ['a uses b, which is UNFORMED', ({ b }) => void (b.state = 'UNFORMED')],
  ['a uses b, which is COMING', ({ b }) => void (b.state = 'COMING')],
  ['a uses b, which is no longer there', ({ k, b }) => k.unlink(b)],
  ['a uses b, which does not know', ({ a, b }) => void b.sources.delete(a)],
  ['b is used by a, which does not know', ({ a, b }) => void a.targets.delete(b)],
  ['a has -1 references', ({ a }) => void (a.refcnt = -1)],
  ['put too often', ({ a }) => a.warn('put too often')],
  ['fa of a is still exported', ({ k, a }) => k.unlink(a)],
  ['two modules have one name: b, a, b', ({ k, b }) => void k.modules.push(b)],
] as const satisfies [string, (all: ReturnType<typeof twoModules>) => void][]) {
  test(`a kernel in which ${what}`, (t) => {
    const all = twoModules();
    spoil(all);
    t.is(loaderViolation(all.k), what);
  });
}

test('nothing is left of a module that was unloaded', (t) => {
  const { k, a } = twoModules();
  t.is(remainsOf(k, a), 'a is still in the list');
  rmmod(k, 'a');
  t.is(remainsOf(k, a), undefined);
});

for (const [what, spoil] of [
  ['a is still in the list', ({ k, a }) => k.link(a)],
  ['memory of a is left', ({ a }) => void (a.memory.text = { base: 0n, size: 1, bytes: new Uint8Array(1) })],
  ['per-CPU memory of a is left', ({ a }) => void (a.percpu = { cookie: 0n, size: 4 })],
  ['a is still in /sys/module', ({ a }) => void (a.sysfs = true)],
  ['a has gone and still uses b', ({ a, b }) => void a.targets.add(b)],
  ['b is still used by a, which has gone', ({ a, b }) => void b.sources.add(a)],
  [
    'fa of a is still exported',
    ({ k, a }) =>
      void k.moduleExports.set('fa', [{ name: 'fa', value: 0n, crc: 1, gplonly: false, namespace: '', owner: a }]),
  ],
] as const satisfies [string, (all: ReturnType<typeof twoModules>) => void][]) {
  test(`unloaded, but ${what}`, (t) => {
    const all = twoModules();
    rmmod(all.k, 'a');
    spoil(all);
    t.is(remainsOf(all.k, all.a), what);
  });
}
