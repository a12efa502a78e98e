/** delete_module(): U00 to U09, force, the order of free_module(), and what is left of a module that has gone. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { type CheckId, type Errno, LoadError } from '../../loader/errors.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { Behaviour, Module } from '../../loader/module.ts';
import { NOTIFY_OK } from '../../loader/notifier.ts';
import { modulePut, tryModuleGet } from '../../loader/refcount.ts';
import { deleteModule, O_NONBLOCK, O_TRUNC, rmmod, type UnloadOptions } from '../../loader/unload.ts';
import type { Version } from '../../relocs/module-view.ts';
import { archOf, type BenchOptions, importing, kernelOf, moduleFor, snapshot, versions } from './bench.ts';

const lib = (version: Version): Uint8Array =>
  moduleFor(version, {
    thisModule: { name: 'lib' },
    symbols: [{ name: 'theirs', section: '.text' }],
    exports: [{ name: 'theirs', crc: 0x1234 }],
  });
const user = (version: Version): Uint8Array =>
  moduleFor(version, { thisModule: { name: 'user' }, imports: ['theirs'], ...importing('theirs') });

const plain: Behaviour = { init: () => 0, exit: () => undefined };
const FORCE: BenchOptions = { config: { MODULE_FORCE_UNLOAD: true } };

function refused(
  t: ExecutionContext,
  kernel: Kernel,
  name: string | undefined,
  errno: Errno,
  check: CheckId,
  options: UnloadOptions = {},
): void {
  const before = snapshot(kernel);
  const log = kernel.log.length;
  const error = t.throws<LoadError>(() => Array.from(deleteModule(kernel, name, options)), { instanceOf: LoadError });
  t.deepEqual([error?.errno, error?.check, error?.log, error?.step], [errno, check, [], 'delete_module']);
  t.is(error.module, name);
  t.true(error.reason.length > 0);
  t.is(kernel.log.length, log, 'delete_module() is silent');
  t.deepEqual(snapshot(kernel), before, 'the kernel is as it was');
}

for (const version of versions) {
  const kernel = (options: BenchOptions = {}): Kernel => kernelOf(version, options);
  const load = (k: Kernel, behaviour: Behaviour = plain): Module => insmod(k, moduleFor(version), { behaviour });

  test(`${version}: U00 without MODULE_UNLOAD there is no such call`, (t) => {
    const k = kernel({ config: { MODULE_UNLOAD: false } });
    load(k);
    refused(t, k, 'minimal', 'ENOSYS', 'U00');
    refused(t, k, '', 'ENOSYS', 'U00');
  });

  test(`${version}: U01 without the capability, and with modules_disabled`, (t) => {
    const k = kernel();
    load(k);
    refused(t, k, 'minimal', 'EPERM', 'U01', { capable: false });
    refused(t, k, undefined, 'EPERM', 'U01', { capable: false });
    k.modulesDisabled = true;
    refused(t, k, 'minimal', 'EPERM', 'U01');
    const error = t.throws<LoadError>(() => insmod(k, lib(version)), { instanceOf: LoadError });
    t.deepEqual([error?.errno, error?.check], ['EPERM', 'C01']);
  });

  test(`${version}: U02 no name, and one that fills MODULE_NAME_LEN; U03 a bad pointer; U04 a signal; U05 nobody`, (t) => {
    const k = kernel();
    load(k);
    refused(t, k, '', 'ENOENT', 'U02');
    refused(t, k, '\0minimal', 'ENOENT', 'U02');
    refused(t, k, 'x'.repeat(55), 'ENOENT', 'U05');
    refused(t, k, 'x'.repeat(56), 'ENOENT', 'U02');
    refused(t, k, 'é'.repeat(28), 'ENOENT', 'U02');
    refused(t, k, undefined, 'EFAULT', 'U03');
    refused(t, k, 'minimal', 'EINTR', 'U04', { signal: true });
    refused(t, k, 'Minimal', 'ENOENT', 'U05');
    const small = kernelOf(version, { arch: archOf('i386') });
    refused(t, small, 'x'.repeat(59), 'ENOENT', 'U05');
    refused(t, small, 'x'.repeat(60), 'ENOENT', 'U02');
  });

  test(`${version}: U05 an UNFORMED module is not found, U07 one that is COMING or GOING is busy`, (t) => {
    const k = kernel();
    const steps = loadModule(k, moduleFor(version), { behaviour: plain });
    while (k.modules.length === 0) steps.next();
    refused(t, k, 'minimal', 'ENOENT', 'U05');
    while (k.modules[0]!.state === 'UNFORMED') steps.next();
    refused(t, k, 'minimal', 'EBUSY', 'U07', { flags: O_TRUNC });
    while (!steps.next().done) continue;
    const going = deleteModule(k, 'minimal');
    t.is(going.next().value?.step, 'try_stop_module');
    t.is(k.modules[0]!.state, 'GOING');
    refused(t, k, 'minimal', 'EBUSY', 'U07', { flags: O_TRUNC });
    // The name is taken until it has left the list.
    t.throws(() => insmod(k, moduleFor(version)), { message: /^EBUSY/ });
    while (!going.next().done) continue;
    t.is(load(k).state, 'LIVE');
  });

  test(`${version}: U06 used by another module, which no force helps against`, (t) => {
    const k = kernel(FORCE);
    insmod(k, lib(version), { behaviour: plain });
    insmod(k, user(version), { behaviour: plain });
    refused(t, k, 'lib', 'EAGAIN', 'U06');
    refused(t, k, 'lib', 'EAGAIN', 'U06', { flags: O_TRUNC });
    t.false(k.taints.has('FORCED_RMMOD'));
    rmmod(k, 'user');
    t.is(k.findModule('lib')?.refcount, 0);
    rmmod(k, 'lib');
    t.deepEqual(k.modules, []);
  });

  test(`${version}: a module that is used and not LIVE: U06 comes before U07`, (t) => {
    const k = kernel();
    const owner = insmod(k, lib(version), { behaviour: plain });
    insmod(k, user(version), { behaviour: plain });
    for (const state of ['COMING', 'GOING'] as const) {
      owner.state = state;
      refused(t, k, 'lib', 'EAGAIN', 'U06');
    }
  });

  test(`${version}: a module without exit that is held: U08 comes before U09, and force has a say in both`, (t) => {
    const k = kernel(FORCE);
    const m = load(k, { init: () => 0 });
    tryModuleGet(m);
    refused(t, k, 'minimal', 'EBUSY', 'U08');
    modulePut(m);
    refused(t, k, 'minimal', 'EBUSY', 'U08');
    tryModuleGet(m);
    rmmod(k, 'minimal', { flags: O_TRUNC });
    t.deepEqual(k.modules, []);
  });

  test(`${version}: exit runs, then clients hear of it`, (t) => {
    const k = kernel();
    const order: string[] = [];
    k.notifiers.register({ name: 'client', call: (event) => (order.push(event), NOTIFY_OK) });
    load(k, { init: () => 0, exit: () => void order.push('exit') });
    rmmod(k, 'minimal');
    t.deepEqual(order, ['COMING', 'LIVE', 'exit', 'GOING']);
  });

  test(`${version}: U08 init without exit is permanent; force removes it and taints the kernel`, (t) => {
    const k = kernel(FORCE);
    load(k, { init: () => 0 });
    refused(t, k, 'minimal', 'EBUSY', 'U08');
    refused(t, k, 'minimal', 'EBUSY', 'U08', { flags: O_NONBLOCK });
    rmmod(k, 'minimal', { flags: O_TRUNC });
    t.deepEqual(k.modules, []);
    t.true(k.taints.has('FORCED_RMMOD'));
    const unforced = kernel();
    load(unforced, { init: () => 0 });
    refused(t, unforced, 'minimal', 'EBUSY', 'U08', { flags: O_TRUNC });
    t.false(unforced.taints.has('FORCED_RMMOD'));
    // Without init no exit is needed.
    load(k, {});
    rmmod(k, 'minimal');
    load(k, { exit: () => undefined });
    rmmod(k, 'minimal');
    t.deepEqual(k.modules, []);
  });

  test(`${version}: U09 a reference keeps it, O_NONBLOCK or not; force does not mind`, (t) => {
    const k = kernel(FORCE);
    const m = load(k);
    t.true(tryModuleGet(m));
    for (const flags of [0, O_NONBLOCK]) refused(t, k, 'minimal', 'EAGAIN', 'U09', { flags });
    t.is(m.refcnt, 2);
    modulePut(m);
    const again = load(kernel());
    tryModuleGet(again);
    refused(t, again.kernel, 'minimal', 'EAGAIN', 'U09', { flags: O_TRUNC });
    tryModuleGet(m);
    rmmod(k, 'minimal', { flags: O_TRUNC | O_NONBLOCK });
    t.true(k.taints.has('FORCED_RMMOD'));
    t.deepEqual([m.state, m.refcnt, k.modules.length], ['UNFORMED', 2, 0]);
  });

  test(`${version}: the steps, the state at each, and exit's own view`, (t) => {
    const k = kernel();
    const before = snapshot(k);
    const seen: unknown[] = [];
    const m = load(k, { init: () => 0, exit: (self) => void seen.push([self.state, self.refcount, k.modules.length]) });
    const steps: string[] = [];
    for (const { step, module } of deleteModule(k, 'minimal'))
      steps.push(
        `${step} ${module.state} ${module.sysfs ? 'sysfs' : '-'} ${k.modules.length} ${k.memory.ranges.length > 0}`,
      );
    t.deepEqual(seen, [['GOING', -1, 1]]);
    t.deepEqual(steps, [
      'try_stop_module GOING sysfs 1 true',
      'exit GOING sysfs 1 true',
      'module_notify_list GOING sysfs 1 true',
      'last_unloaded_module GOING sysfs 1 true',
      'mod_sysfs_teardown GOING - 1 true',
      'module_state_unformed UNFORMED - 1 true',
      'module_arch_cleanup UNFORMED - 1 true',
      'module_unload_free UNFORMED - 1 true',
      'module_destroy_params UNFORMED - 1 true',
      'list_del_rcu UNFORMED - 0 true',
      'try_add_tainted_module UNFORMED - 0 true',
      'percpu_modfree UNFORMED - 0 true',
      'free_mod_mem UNFORMED - 0 false',
    ]);
    t.deepEqual(snapshot(k), before);
    t.is(m.refcount, -1);
  });

  test(`${version}: what is remembered: the last one, and the tainted ones by name and taints`, (t) => {
    const k = kernel();
    load(k);
    rmmod(k, 'minimal');
    t.deepEqual(k.lastUnloadedModule, { name: 'minimal', taints: '(E)' });
    load(k);
    rmmod(k, 'minimal');
    insmod(k, lib(version), { behaviour: plain });
    rmmod(k, 'lib');
    t.deepEqual(
      k.unloadedTaintedModules.map(({ name, taints, count }) => [name, [...taints], count]),
      [
        ['lib', ['UNSIGNED_MODULE'], 1],
        ['minimal', ['UNSIGNED_MODULE'], 2],
      ],
    );
    const clean = kernelOf(version, { config: { MODULE_SIG: false } });
    load(clean);
    rmmod(clean, 'minimal');
    t.deepEqual(clean.lastUnloadedModule, { name: 'minimal', taints: '' });
    t.deepEqual(clean.unloadedTaintedModules, []);
    // A module whose init fails goes the same way, but was never unloaded.
    t.throws(() => load(k, { init: () => -5 }));
    t.is(k.unloadedTaintedModules[1]!.count, 3);
    t.is(k.lastUnloadedModule!.name, 'lib');
  });
}
