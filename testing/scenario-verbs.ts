/** What each verb of a scenario does. */
import type { Module } from '../loader/module.ts';
import { symbolGet } from '../loader/symbol-get.ts';
import { findSymbol } from '../loader/symbols.ts';
import { waitEvent, WaitQueue } from '../loader/wait.ts';
import { loadWithDependencies, requestModule } from './modprobe.ts';
import { pass, release, synchronize } from './packets.ts';
import type { Player } from './player.ts';
import { systemCall } from './scenario-calls.ts';
import { type Doer, type Doing, holding, sleep, type Steps, steps } from './scenario-steps.ts';

/** Verbs that touch nothing but modules, whose accesses are noted one by one. */
const ofLoader: ReadonlySet<string> = new Set([
  'load',
  'finit',
  'modprobe',
  'unload',
  'get',
  'try_module_get',
  '__module_get',
  'put',
  'symbol_get',
  'symbol_put',
  'cpu',
  'yield',
]);

export const isOfLoader = (verb: string): boolean => ofLoader.has(verb);

function tryModuleGet({ world, p }: Doer, name: string): string | undefined {
  const m = world.kernel.findModule(name);
  if (m === undefined || !world.stage.life.tryGet(m, p.cpu)) return 'no reference';
  p.hold(m, 1);
  return undefined;
}

/** Of those that the thread holds itself. */
function put({ world, p }: Doer, m: Module | undefined): string | undefined {
  if (m === undefined || !p.held.has(m)) return 'holds none';
  p.hold(m, -1);
  world.stage.life.put(m, p.cpu);
  return undefined;
}

const heldOf = (p: Player, name: string): Module | undefined => [...p.held.keys()].find((m) => m.name === name);

/** module_put(): of whoever has one, for references are passed on; below zero if nobody has. */
function modulePut({ world, p }: Doer, name: string): string | undefined {
  const m = heldOf(p, name) ?? world.kernel.findModule(name);
  if (m === undefined) return 'no such module';
  const holder = [p, ...world.players].find(({ held }) => held.has(m));
  if (holder === undefined)
    world.sanitizer.underflow(m, `${p.name} drops a reference of ${m.name}, which nobody holds`);
  else holder.hold(m, -1);
  world.stage.life.put(m, p.cpu);
  return undefined;
}

function* open(doer: Doer, name: string): Steps {
  const { world, p, op } = doer;
  const { life } = world.stage;
  const owner = world.registry.get(name);
  if (owner === undefined) return 'ENODEV';
  if (p.handles.has(name)) return 'is open';
  world.sanitizer.use(owner, `${p.name} finds ${name} of ${owner.name} in the registry`);
  if (op.includes('open-unlocked')) {
    yield* holding(doer, owner, { step: `${op}: found` });
    world.sanitizer.use(owner, `${p.name} takes a reference of ${owner.name}, which it found in the registry`);
  }
  const counted = !op.includes('open-uncounted') && life.opening !== 'nobody';
  if (counted && life.opening === 'inside') {
    yield* holding(doer, owner, { step: `${op}: found` });
    world.sanitizer.use(owner, `${p.name} calls open of ${owner.name}, where it is to be counted,`);
    life.get(owner, p.cpu);
  } else if (counted && !life.tryGet(owner, p.cpu)) return 'ENODEV';
  p.handles.set(name, { owner, counted });
  return undefined;
}

function* callDevice({ world, p }: Doer, name: string): Steps {
  const handle = p.handles.get(name);
  if (handle === undefined) return 'not open';
  yield* world.call(p, handle.owner, name, name);
  return undefined;
}

function* kthreadStop({ world, p, m }: Doer, name: string): Steps {
  const own = `${m!.name}/${name}`;
  const running = world.players.filter((one) => one.name.startsWith(own) && one.isSpawned);
  // Those that are started later are not waited for.
  p.inHand = running.map(({ name: one }) => one);
  yield* sleep(
    'kthread_stop',
    waitEvent(world.kernel, world.exitWq, () => running.every(({ isOver }) => isOver)),
  );
  p.inHand = [];
  return undefined;
}

/** Threads that code of modules has started and that run at once: a scenario with more has no end. */
const MOST_THREADS = 8;

/** Runs a function of the module in a thread of its own. */
function spawn({ world, m }: Doer, name: string, function_: string, after: () => void = () => undefined): void {
  const owner = m!;
  const running = world.players.filter((p) => p.isThread && !p.isOver).length;
  if (running >= MOST_THREADS)
    throw new Error(`${MOST_THREADS} threads of modules run already: is there an end to them?`);
  const player = world.start(name, function* (self) {
    self.begin(0);
    self.verbs.push('kthread_run');
    yield* world.call(self, owner, function_, function_);
    after();
  });
  player.isSpawned = true;
  player.isThread = true;
}

export const doing: Readonly<Record<string, Doing>> = {
  load: ({ world, p, op }, name) => systemCall(world, p, 'load', name, op),
  finit: ({ world, p, op }, name) => systemCall(world, p, 'finit', name, op),
  unload: ({ world, p, op }, name) => systemCall(world, p, 'unload', name, op),
  modprobe: (doer, name) => loadWithDependencies(doer, name, new Set()),
  request_module: requestModule,

  get: tryModuleGet,
  try_module_get: tryModuleGet,
  // For a caller that knows of another reference: its own, or that of the load whose init it is.
  __module_get: ({ world, p, m: own }, name) => {
    const m = own?.name === name ? own : heldOf(p, name);
    if (m === undefined) return 'holds none';
    world.stage.life.get(m, p.cpu);
    p.hold(m, 1);
    return undefined;
  },
  put: (doer, name) => put(doer, heldOf(doer.p, name)),
  module_put: modulePut,
  symbol_get: ({ world: { kernel }, p }, name) => {
    const owner = findSymbol(kernel, name, true)?.owner;
    if (symbolGet(kernel, name) === undefined || owner === undefined) return 'NULL';
    p.hold(owner, 1);
    return undefined;
  },
  // symbol_put() is a BUG when nobody exports the name, so one asks before.
  symbol_put: (doer, name) => put(doer, findSymbol(doer.world.kernel, name, true)?.owner),

  register: ({ world, m }, name) => void world.registry.set(name, m!),
  unregister: ({ world }, name) => void world.registry.delete(name),
  open,
  'open-unlocked': open,
  'open-uncounted': open,
  call: callDevice,
  close: ({ world, p }, name) => {
    const handle = p.handles.get(name);
    p.handles.delete(name);
    if (handle?.counted === true) {
      world.sanitizer.use(handle.owner, `${p.name} closes ${name} of ${handle.owner.name}`);
      world.stage.life.put(handle.owner, p.cpu);
    }
    return handle === undefined ? 'not open' : undefined;
  },

  pass,
  attach: ({ p, m }, name) => void p.objects.push({ owner: m!, destructor: name }),
  release,
  *wait_objects({ world, m }) {
    const none = (): boolean => world.players.every(({ objects }) => objects.every(({ owner }) => owner !== m));
    yield* sleep('wait_objects', waitEvent(world.kernel, world.exitWq, none));
    return undefined;
  },
  call_rcu: ({ world, m }, name) => {
    world.callbacks.push({ owner: m!, run: name === '' ? undefined : name });
    world.rcuWq.wakeAll();
  },
  *rcu_barrier({ world }) {
    yield* sleep(
      'rcu_barrier',
      waitEvent(world.kernel, world.barrierWq, () => world.callbacks.length === 0),
    );
    return undefined;
  },
  synchronize_rcu: synchronize,

  kthread_run: (doer, name) => {
    spawn(doer, `${doer.m!.name}/${name}`, name);
  },
  kthread_stop: kthreadStop,
  async_schedule: (doer, name) => {
    const { async } = doer.world.kernel;
    async.begin();
    spawn(doer, `${doer.m!.name}/${name}`, name, () => async.end());
  },

  *sleep({ world }, name) {
    const waits = waitEvent(world.kernel, new WaitQueue('nobody'), () => false, Number(name));
    return (yield* steps(`sleep ${name}`, waits)) === 'signal' ? 'EINTR' : undefined;
  },
  by: ({ world, p, op }, name) => {
    const { now } = world.kernel;
    if (now > Number(name)) world.sanitizer.wrong(`${p.name} comes to "${op}" at ${now}`);
  },
  cpu: ({ p }, name) => void (p.cpu = Number(name)),
  kill: ({ world }, name) => {
    for (const player of world.players) {
      // What it has started dies with it.
      if (player.name === name || player.name.startsWith(`${name}/`)) player.thread.signalled = true;
    }
  },
  *forever() {
    for (;;) yield { step: 'forever' };
  },
  yield: () => undefined,
  throw: (_, name) => {
    throw new Error(name);
  },
};
