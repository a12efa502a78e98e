/** Every row of KERNEL-FACTS D.2, and C.9: symbol_get() and symbol_put(). */
import test from 'ava';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { Module, State } from '../../loader/module.ts';
import {
  moduleGet,
  modulePut,
  moduleRefcount,
  moduleUnloadInit,
  strongTryModuleGet,
  tryModuleGet,
  tryReleaseModuleRef,
} from '../../loader/refcount.ts';
import { symbolGet, symbolPut, symbolPutAddr } from '../../loader/symbol-get.ts';
import { moduleUnloadFree, refModule } from '../../loader/symbols.ts';
import { Refusal } from '../../relocs/refusal.ts';
import { exported, kernelOf, moduleFor, versions } from './bench.ts';

const BUG = { instanceOf: Refusal, message: /would crash/ };

/** Takes a LIVE module's place in any state. */
function inState(m: Module, state: State, refcnt = 1): Module {
  m.state = state;
  m.refcnt = refcnt;
  return m;
}

for (const version of versions) {
  const live = (k: Kernel = kernelOf(version)): Module => insmod(k, moduleFor(version));

  test(`${version}: a load holds base and one more until init is done`, (t) => {
    const k = kernelOf(version);
    const steps = loadModule(k, moduleFor(version));
    const counts = new Set<string>();
    for (let next = steps.next(); !next.done; next = steps.next()) {
      const m = next.value.load.module;
      if (m !== undefined && m.refcnt > 0) counts.add(`${m.state} ${moduleRefcount(m)}`);
    }
    t.deepEqual([...counts], ['UNFORMED 1', 'COMING 1', 'LIVE 0']);
  });

  test(`${version}: __module_get() asks nothing`, (t) => {
    moduleGet(undefined);
    for (const state of ['LIVE', 'COMING', 'GOING', 'UNFORMED'] as const) {
      const m = inState(live(), state, 0);
      moduleGet(m);
      t.is(m.refcnt, 1, state);
    }
  });

  test(`${version}: try_module_get() wants it not GOING and not at zero; UNFORMED counts as alive`, (t) => {
    t.true(tryModuleGet(undefined));
    for (const state of ['LIVE', 'COMING', 'UNFORMED', 'GOING'] as const) {
      const m = inState(live(), state);
      t.is(tryModuleGet(m), state !== 'GOING', state);
      t.is(m.refcnt, state === 'GOING' ? 1 : 2);
      t.false(tryModuleGet(inState(m, state, 0)));
      t.is(m.refcnt, 0);
    }
  });

  test(`${version}: strong_try_module_get() by state`, (t) => {
    t.is(strongTryModuleGet(undefined), undefined);
    const m = live();
    t.is(strongTryModuleGet(m), undefined);
    t.is(m.refcnt, 2);
    t.is(strongTryModuleGet(inState(m, 'COMING')), 'EBUSY');
    t.is(strongTryModuleGet(inState(m, 'GOING')), 'ENOENT');
    t.is(strongTryModuleGet(inState(m, 'LIVE', 0)), 'ENOENT');
    t.is(m.refcnt, 0);
    t.is(t.throws<Refusal>(() => strongTryModuleGet(inState(m, 'UNFORMED')), BUG)?.crash, 'BUG');
  });

  test(`${version}: module_put() stops at zero and warns`, (t) => {
    modulePut(undefined);
    const m = live();
    modulePut(m);
    t.is(m.refcnt, 0);
    t.deepEqual(m.warnings, []);
    modulePut(m);
    t.is(m.refcnt, 0);
    t.is(m.warnings.length, 1);
  });

  test(`${version}: try_release_module_ref() puts the base back, unless nobody else holds one`, (t) => {
    const m = live();
    t.true(tryModuleGet(m));
    t.false(tryReleaseModuleRef(m));
    t.is(m.refcnt, 2);
    modulePut(m);
    t.true(tryReleaseModuleRef(m));
    t.is(moduleRefcount(m), -1);
    t.throws(() => tryReleaseModuleRef(m), BUG);
  });

  test(`${version}: ref_module() counts a pair of modules once, module_unload_free() gives all back`, (t) => {
    const k = kernelOf(version);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => insmod(k, moduleFor(version, { thisModule: { name } })));
    t.is(refModule(a!, undefined), undefined);
    for (const _ of [1, 2, 3]) t.is(refModule(a!, b), undefined);
    t.is(refModule(c!, b), undefined);
    t.is(refModule(a!, c), undefined);
    t.deepEqual([b!.refcount, c!.refcount, [...b!.sources], [...a!.targets]], [2, 1, [a, c], [b, c]]);
    // A pair that is known is not asked again.
    b!.state = 'GOING';
    t.is(refModule(a!, b), undefined);
    t.is(refModule(insmod(k, moduleFor(version)), b), 'ENOENT');
    b!.state = 'LIVE';
    moduleUnloadFree(a!);
    t.deepEqual([b!.refcount, c!.refcount, [...b!.sources], a!.targets.size], [1, 0, [c], 0]);
  });

  test(`${version}: without MODULE_UNLOAD get and put do nothing, and there are no lists`, (t) => {
    const k = kernelOf(version, { config: { MODULE_UNLOAD: false } });
    const m = live(k);
    const other = insmod(k, moduleFor(version, { thisModule: { name: 'other' } }));
    const before = m.refcnt;
    moduleUnloadInit(m);
    moduleGet(m);
    t.true(tryModuleGet(m));
    modulePut(m);
    modulePut(m);
    modulePut(m);
    t.is(refModule(other, m), undefined);
    t.deepEqual([m.refcnt, m.warnings, m.sources.size, other.targets.size], [before, [], 0, 0]);
    t.is(refModule(other, inState(m, 'COMING')), 'EBUSY');
    t.is(refModule(other, inState(m, 'GOING')), 'ENOENT');
    t.false(tryModuleGet(m));
    t.true(tryModuleGet(inState(m, 'COMING', 0)));
  });

  const exporting = (gpl: boolean): Uint8Array =>
    moduleFor(version, {
      thisModule: { name: 'lib' },
      symbols: [{ name: 'f', section: '.text' }],
      exports: [{ name: 'f', crc: 1, gpl, ns: 'NOBODY' }],
    });

  test(`${version}: symbol_get() pins the owner of a GPL-only export; no namespace is asked for`, (t) => {
    const k = kernelOf(version, { exports: [exported('inside', { gplonly: true, value: 0xffff_ffff_8100_0040n })] });
    const m = insmod(k, exporting(true));
    const from = k.log.length;
    const address = symbolGet(k, 'f');
    t.is(address, m.exports[0]!.value);
    t.is(m.refcount, 1);
    t.is(symbolGet(k, 'inside'), 0xffff_ffff_8100_0040n);
    t.is(symbolGet(k, 'nobody'), undefined);
    symbolPut(k, 'inside');
    symbolPutAddr(k, 0xffff_ffff_8100_0040n);
    symbolPut(k, 'f');
    t.is(m.refcount, 0);
    symbolGet(k, 'f');
    symbolPutAddr(k, address!);
    t.is(m.refcount, 0);
    t.is(k.log.length, from);
    for (const state of ['COMING', 'GOING', 'UNFORMED'] as const) {
      t.is(symbolGet(k, (inState(m, state), 'f')), undefined, state);
      t.is(m.refcnt, 1);
    }
    t.throws(() => symbolPut(k, 'f'), BUG);
    t.throws(() => symbolPutAddr(k, address!), BUG);
  });

  test(`${version}: symbol_get() of what is not GPL-only fails with a line, symbol_put() of nothing is a BUG`, (t) => {
    const k = kernelOf(version, { exports: [exported('inside')] });
    const m = insmod(k, exporting(false));
    const from = k.log.length;
    t.is(symbolGet(k, 'f'), undefined);
    t.is(symbolGet(k, 'inside'), undefined);
    t.deepEqual(k.log.slice(from), [
      'failing symbol_get of non-GPLONLY symbol f.',
      'failing symbol_get of non-GPLONLY symbol inside.',
    ]);
    t.is(m.refcount, 0);
    t.throws(() => symbolPut(k, 'nobody'), BUG);
    t.throws(() => symbolPutAddr(k, 1n), BUG);
    const data = (m.memory.data ?? m.memory.core)!;
    t.throws(() => symbolPutAddr(k, data.base + BigInt(data.size - 1)), BUG);
    t.is(m.refcount, 0);
  });
}
