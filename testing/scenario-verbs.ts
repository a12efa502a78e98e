/** What each verb of a scenario does. */
import type { Module } from '../loader/module.ts';
import { symbolGet } from '../loader/symbol-get.ts';
import { findSymbol } from '../loader/symbols.ts';
import type { ThreadStep } from '../loader/thread.ts';
import { type Wait, waitEvent, type Waited, WaitQueue, type Wake } from '../loader/wait.ts';
import type { Player } from './player.ts';
import type { ScenarioWorld } from './scenario-world.ts';

/** An operation: its steps, and then an errno or a word where it did not do what it should. */
export type Steps = Generator<ThreadStep, string | undefined, Wake>;

/** Who does it: a thread, and when it runs a module's code, which. */
interface Doer {
  readonly world: ScenarioWorld;
  readonly p: Player;
  readonly m: Module | undefined;
  readonly op: string;
}

/** What is done in one step needs none. */
type Doing = (doer: Doer, name: string) => Steps | string | undefined;

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
  if (op.includes('open-unlocked')) {
    yield* holding(p, owner, { step: `${op}: found` });
    world.sanitizer.use(owner, `${p.name} takes a reference of ${owner.name}, which it found in the registry`);
  }
  const counted = !op.includes('open-uncounted') && life.opening !== 'nobody';
  if (counted && life.opening === 'inside') {
    yield* holding(p, owner, { step: `${op}: found` });
    world.sanitizer.use(owner, `${p.name} calls open of ${owner.name}, where it is to be counted,`);
    life.get(owner, p.cpu);
  } else if (counted && !life.tryGet(owner, p.cpu)) return 'ENODEV';
  p.handles.set(name, { owner, counted });
  return undefined;
}

/** A step in which an operation has a module in hand. */
function* holding(p: Player, m: Module, step: ThreadStep): Generator<ThreadStep, void, Wake> {
  p.inHand = [m.name, m.state];
  yield step;
  p.inHand = [];
}

function* callDevice({ world, p }: Doer, name: string): Steps {
  const handle = p.handles.get(name);
  if (handle === undefined) return 'not open';
  yield* world.call(p, handle.owner, name, name);
  return undefined;
}

function* loadWithDependencies(doer: Doer, name: string, seen: ReadonlySet<string>): Steps {
  const { world, p, op } = doer;
  const { modules } = world.stage.scenario;
  if (seen.has(name)) return undefined;
  for (const symbol of modules[name]?.uses ?? []) {
    const owner = Object.entries(modules).find(([, { exports = [] }]) => exports.includes(symbol))?.[0];
    const said = owner && (yield* loadWithDependencies(doer, owner, new Set([...seen, name])));
    if (said !== undefined) return said;
  }
  // kmod looks into initstate, and takes EEXIST for success.
  if (world.kernel.findModule(name)?.state === 'LIVE') return undefined;
  p.frames.push(`insert ${name}`);
  try {
    const said = yield* world.systemCall(p, 'finit', name, op);
    return said === 'EEXIST' ? undefined : said;
  } finally {
    p.frames.pop();
  }
}

/** MODULE_NAME_LEN; modprobes that run at once; and milliseconds in which more of them lose their patience. */
const [MODULE_NAME_LEN, MAX_KMOD_CONCURRENT, MAX_KMOD_ALL_BUSY_TIMEOUT] = [56, 50, 5000];

/** __request_module(): user space is asked, and waited for. */
function* requestModule({ world, p }: Doer, name: string): Steps {
  const { modules } = world.stage.scenario;
  const found = Object.entries(modules).find(([own, { alias = [] }]) => own === name || alias.includes(name))?.[0];
  if (name.length >= MODULE_NAME_LEN) return 'ENAMETOOLONG';
  const isFree = (): boolean =>
    world.players.filter((one) => one.name.includes('/modprobe') && !one.isOver).length < MAX_KMOD_CONCURRENT;
  const free = waitEvent(world.kernel, world.exitWq, isFree, MAX_KMOD_ALL_BUSY_TIMEOUT);
  const got = yield* steps('kmod_wq', free);
  if (got === 'timeout') {
    world.kernel.printk(
      `request_module: modprobe ${name} cannot be processed, kmod busy with ${MAX_KMOD_CONCURRENT} threads for more than ${MAX_KMOD_ALL_BUSY_TIMEOUT / 1000} seconds now`,
    );
    return 'ETIME';
  }
  if (got === 'signal') return 'EINTR';
  if (found === undefined) return 'modprobe finds none';
  const helper = world.start(`${p.name}/modprobe`, (self) => world.script(self, [`modprobe ${found}`]));
  helper.isSpawned = true;
  const waits = waitEvent(world.kernel, world.exitWq, () => helper.isOver);
  const waited = yield* steps('request_module', waits);
  if (waited === 'signal') return 'EINTR';
  return world.kernel.findModule(found)?.state === 'LIVE' ? undefined : `${found} is not there`;
}

/** Sleeps as a thread's step; no signal ends it. */
export function* sleep<T>(step: string, waits: Generator<Wait, T, Wake>): Generator<ThreadStep, T, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, wait: { ...next.value, uninterruptible: true } });
  return next.value;
}

/** Sleeps as a step, until a signal comes. */
function* steps(step: string, waits: Generator<Wait, Waited, Wake>): Generator<ThreadStep, Waited, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, wait: next.value });
  return next.value;
}

/** A packet comes by a hook: under rcu_read_lock(), without a reference. */
function* pass({ world, p }: Doer, name: string): Steps {
  p.reading++;
  p.readings++;
  try {
    const owner = world.registry.get(name);
    if (owner === undefined) return 'no hook';
    yield* holding(p, owner, { step: `${name} found` });
    yield* world.call(p, owner, name, name);
    return undefined;
  } finally {
    p.reading--;
    world.rcuWq.wakeAll();
  }
}

/** Packets go, and with each what modules have attached to it. */
function* release({ world, p }: Doer): Steps {
  if (p.objects.length === 0) return 'has nothing';
  for (let one = p.objects[0]; one !== undefined; one = p.objects[0]) {
    yield* world.call(p, one.owner, one.destructor, one.destructor);
    p.objects.shift();
    world.exitWq.wakeAll();
  }
  return undefined;
}

/** synchronize_rcu(): until all who are reading now have ended that. */
function* synchronizeRcu({ world, p }: Doer): Steps {
  const readers = world.players
    .filter(({ reading }) => reading > 0)
    .map((reader): [Player, number] => [reader, reader.readings]);
  const left = (): string[] =>
    readers.filter(([r, began]) => r.reading > 0 && r.readings === began).map(([{ name }]) => name);
  const waits = waitEvent(world.kernel, world.rcuWq, () => left().length === 0);
  for (let next = waits.next(); !next.done; ) {
    p.inHand = left();
    next = waits.next(yield { step: 'synchronize_rcu', wait: { ...next.value, uninterruptible: true } });
  }
  return undefined;
}

function* kthreadStop({ world, m }: Doer, name: string): Steps {
  const own = `${m!.name}/${name}`;
  const running = world.players.filter((p) => p.name.startsWith(own) && p.isSpawned);
  yield* sleep(
    'kthread_stop',
    waitEvent(world.kernel, world.exitWq, () => running.every(({ isOver }) => isOver)),
  );
  return undefined;
}

/** Runs a function of the module in a thread of its own. */
function spawn({ world, m }: Doer, name: string, function_: string, after: () => void = () => undefined): void {
  const owner = m!;
  const player = world.start(name, function* (self) {
    self.begin(0);
    self.verbs.push('kthread_run');
    yield* world.call(self, owner, function_, function_);
    after();
  });
  player.isSpawned = true;
}

export const doing: Readonly<Record<string, Doing>> = {
  load: ({ world, p, op }, name) => world.systemCall(p, 'load', name, op),
  finit: ({ world, p, op }, name) => world.systemCall(p, 'finit', name, op),
  unload: ({ world, p, op }, name) => world.systemCall(p, 'unload', name, op),
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
    if (handle?.counted === true) world.stage.life.put(handle.owner, p.cpu);
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
  synchronize_rcu: synchronizeRcu,

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
