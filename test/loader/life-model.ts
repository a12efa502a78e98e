/**
 * Random lives of modules on random dependency graphs, as fast-check commands: the loader against a model that knows
 * nothing of it, only who is there, who uses whom, who else holds a reference, and who waits for what. Loads run side by
 * side: one sleeps in its init until it is told to go on, others come to it in the meantime.
 */
import * as fc from 'fast-check';
import { errnos, LoadError, type Errno } from '../../loader/errors.ts';
import { finitModule } from '../../loader/idempotent.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { loadModule, type Step } from '../../loader/load.ts';
import type { Behaviour, Module } from '../../loader/module.ts';
import { procModules, sysModule } from '../../loader/proc.ts';
import { modulePut, tryModuleGet } from '../../loader/refcount.ts';
import { symbolGet, symbolPut } from '../../loader/symbol-get.ts';
import { Thread } from '../../loader/thread.ts';
import { deleteModule, O_NONBLOCK, O_TRUNC } from '../../loader/unload.ts';
import { PATIENCE, type Wait, waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import type { Version } from '../../relocs/module-view.ts';
import { importing, kernelOf, moduleFor } from './bench.ts';

/** How many modules a graph has. */
const COUNT = 5;

/** Of each module, those of lower number whose symbols it uses, and whether it has an exit function. */
export interface Graph {
  readonly uses: readonly (readonly number[])[];
  readonly exits: readonly boolean[];
}

interface Present {
  readonly id: number;
  state: 'Unformed' | 'Loading' | 'Live' | 'Unloading';
  /** Oldest first; those that are not formed yet, too. */
  users: number[];
  /** try_module_get() and symbol_get() that were not given back. */
  held: number;
  /** Unloading by force: the base reference is still there. */
  forced: boolean;
}

/** A load that has not ended. */
interface ModelLoad {
  readonly number: number;
  readonly id: number;
  readonly finit: boolean;
  /** What init returns; undefined: it sleeps until it is told. */
  ret: number | undefined;
  stage: 'new' | 'same file' | 'namesake' | 'symbols' | 'init';
  /** The load of the same file that does the work. */
  first: number;
  waited: boolean;
  /** Number of the symbol that it is at, the last error, and when its patience ends. */
  next: number;
  errno: Errno | undefined;
  until: number | undefined;
  /** A signal has come: it waits for nothing any more. */
  signalled: boolean;
}

type Ended = 'LIVE' | Errno;

export interface LifeModel {
  readonly graph: Graph;
  readonly version: Version;
  /** Newest first. */
  modules: Present[];
  forced: boolean;
  /** Oldest first. */
  loads: ModelLoad[];
  readonly ended: Map<number, Ended>;
  now: number;
}

/** A load or an unload on its way, and the gate that its init or exit sleeps at. */
interface Running {
  readonly thread: Thread;
  readonly id: number;
  readonly gate: Gate;
  /** Of a load: the module, when there is one. */
  module: Module | undefined;
}

class Gate {
  readonly queue: WaitQueue = new WaitQueue('gate');
  ret: number | undefined;

  constructor(ret: number | undefined) {
    this.ret = ret;
  }

  open(ret: number): void {
    this.ret = ret;
    this.queue.wakeAll();
  }

  *pass(kernel: Kernel): Generator<Wait, number, Wake> {
    yield* waitEvent(kernel, this.queue, () => this.ret !== undefined);
    return this.ret!;
  }
}

export interface Life {
  readonly kernel: Kernel;
  readonly files: readonly Uint8Array[];
  readonly graph: Graph;
  /** Oldest first. */
  readonly loads: Map<number, Running>;
  readonly unloads: Map<number, Running>;
  readonly ended: Map<number, Ended>;
  steps: number;
}

const nameOf = (id: number): string => `m${id}`;

const file = (version: Version, graph: Graph, id: number): Uint8Array => {
  const names = graph.uses[id]!.map((other) => `f${other}`);
  const { sections = [], relocs = {} } = importing(...names);
  return moduleFor(version, {
    thisModule: { name: nameOf(id) },
    imports: names,
    sections,
    relocs,
    symbols: [{ name: `f${id}`, section: '.text' }],
    exports: [{ name: `f${id}`, crc: 0x1234, gpl: true }],
  });
};

export function newLife(version: Version, graph: Graph): { model: LifeModel; real: Life } {
  const kernel = kernelOf(version, { config: { MODULE_FORCE_UNLOAD: true, MODULE_SIG: false } });
  const files = graph.uses.map((_, id) => file(version, graph, id));
  return {
    model: { graph, version, modules: [], forced: false, loads: [], ended: new Map(), now: 0 },
    real: { kernel, files, graph, loads: new Map(), unloads: new Map(), ended: new Map(), steps: 0 },
  };
}

// The model

const find = (model: Pick<LifeModel, 'modules'>, id: number): Present | undefined =>
  model.modules.find((m) => m.id === id);

/** find_module(): UNFORMED ones are not seen. */
const seen = (model: Pick<LifeModel, 'modules'>, id: number): Present | undefined => {
  const m = find(model, id);
  return m?.state === 'Unformed' ? undefined : m;
};

function vanish(model: LifeModel, id: number): void {
  model.modules = model.modules.filter((m) => m.id !== id);
  for (const m of model.modules) m.users = m.users.filter((user) => user !== id);
}

function end(model: LifeModel, load: ModelLoad, how: Ended): void {
  model.loads = model.loads.filter((other) => other !== load);
  model.ended.set(load.number, how);
}

/** Goes on with a load as far as that is possible; `gaveUp`: the symbol that it waits for is not waited for any more. */
function goOn(model: LifeModel, load: ModelLoad, gaveUp = false): void {
  const { id, number } = load;
  if (load.stage === 'new') {
    const first =
      load.finit && model.version !== '6.1'
        ? model.loads.find((other) => other.finit && other.id === id && other.stage !== 'same file' && other !== load)
        : undefined;
    load.stage = first === undefined ? 'namesake' : 'same file';
    load.first = first?.number ?? number;
  }
  if (load.stage === 'same file') {
    const how = model.ended.get(load.first);
    if (how !== undefined) end(model, load, how);
    else if (load.signalled) end(model, load, 'EINTR');
    return;
  }
  if (load.stage === 'namesake') {
    const namesake = find(model, id);
    if (namesake?.state === 'Unformed' || namesake?.state === 'Loading') {
      load.waited = true;
      if (load.signalled) end(model, load, 'EINTR');
      return;
    }
    if (namesake?.state === 'Live') return end(model, load, 'EEXIST');
    if (namesake !== undefined || load.waited) return end(model, load, 'EBUSY');
    model.modules.unshift({ id, state: 'Unformed', users: [], held: 0, forced: false });
    load.stage = 'symbols';
  }
  if (load.stage === 'symbols') {
    const uses = model.graph.uses[id]!;
    for (; load.next < uses.length; load.next++) {
      const owner = seen(model, uses[load.next]!);
      if (owner?.state === 'Loading' && !gaveUp && !load.signalled) {
        load.until ??= model.now + PATIENCE;
        return;
      }
      load.until = undefined;
      if (owner?.state === 'Live') owner.users.push(id);
      else load.errno = owner?.state === 'Loading' ? 'EBUSY' : 'ENOENT';
      gaveUp = false;
    }
    if (load.errno !== undefined) {
      vanish(model, id);
      return end(model, load, load.errno);
    }
    find(model, id)!.state = 'Loading';
    load.stage = 'init';
  }
  if (load.ret === undefined) return;
  if (load.ret >= 0) {
    find(model, id)!.state = 'Live';
    return end(model, load, 'LIVE');
  }
  vanish(model, id);
  const errno = errnoNamed(-load.ret);
  end(model, load, errno === 'EEXIST' && model.version === '7.2' ? 'EBUSY' : errno);
}

const errnoNamed = (n: number): Errno => (Object.keys(errnos) as Errno[]).find((name) => errnos[name] === n)!;

/** Everybody who can go on does, the oldest first, until nobody can. */
function settleModel(model: LifeModel): void {
  for (let before = ''; ; ) {
    for (const load of model.loads.slice()) if (model.loads.includes(load)) goOn(model, load);
    const after = JSON.stringify([model.modules, model.loads]);
    if (after === before) return;
    before = after;
  }
}

// The loader

const behaviourOf = (kernel: Kernel, { exits }: Graph, id: number, gate: Gate, exit?: Gate): Behaviour => ({
  init: () => gate.pass(kernel),
  ...(exits[id]
    ? {
        *exit() {
          if (exit !== undefined) yield* exit.pass(kernel);
        },
      }
    : {}),
});

/** Gates of exit functions, by module: closed while a slow unload is on its way. */
const exits = new WeakMap<Kernel, Map<number, Gate>>();
function exitGate(kernel: Kernel, id: number): Gate {
  const gates = exits.get(kernel) ?? new Map<number, Gate>();
  exits.set(kernel, gates);
  const gate = gates.get(id) ?? new Gate(0);
  gates.set(id, gate);
  return gate;
}

function beginLoad(real: Life, number: number, id: number, finit: boolean, ret: number | undefined): void {
  const { kernel, files, graph } = real;
  const gate = new Gate(ret);
  const behaviour = behaviourOf(kernel, graph, id, gate, exitGate(kernel, id));
  const bytes = files[id]!;
  const steps = finit
    ? finitModule(kernel, { inode: id, bytes }, { behaviour })
    : loadModule(kernel, bytes, { behaviour });
  const running: Running = { thread: new Thread(`load ${number}`, noting(steps)), id, gate, module: undefined };
  function* noting(all: Generator<Step, Module, Wake>): Generator<Step, Module, Wake> {
    for (let next = all.next(); ; ) {
      if (next.done) return next.value;
      running.module = next.value.load.module;
      next = all.next(yield next.value);
    }
  }
  real.loads.set(number, running);
}

/** Everybody who can go on does, the oldest first, until nobody can. */
function settle(real: Life): void {
  const all = (): [number, Running][] => [...real.loads, ...real.unloads];
  for (let any = true; any; ) {
    any = false;
    for (const [, { thread }] of all()) {
      any ||= thread.isRunnable;
      while (thread.isRunnable) thread.run();
    }
  }
  for (const [number, { thread }] of real.loads) {
    if (thread.outcome === undefined) continue;
    real.loads.delete(number);
    real.ended.set(number, 'value' in thread.outcome ? 'LIVE' : refusalOf(thread.outcome.error));
  }
  for (const [id, { thread }] of real.unloads) {
    if (thread.outcome === undefined) continue;
    if ('error' in thread.outcome) throw thread.outcome.error;
    real.unloads.delete(id);
  }
}

function refusalOf(error: unknown): Errno {
  if (error instanceof LoadError) return error.errno;
  throw error;
}

// What both must agree on

/** Everything that can be seen, as text. */
function compare(model: LifeModel, real: Life): void {
  const { kernel } = real;
  const shown = model.modules.filter(({ state }) => state !== 'Unformed');
  const countOf = ({ state, users, held, forced }: Present): number =>
    state === 'Unloading' && !forced ? -1 : users.length + held + (state === 'Loading' ? 1 : 0);
  const expected = shown.map((m) => {
    const others = m.users.toReversed().map((user) => `${nameOf(user)},`);
    if (!model.graph.exits[m.id]) others.push('[permanent],');
    return `${nameOf(m.id)} ${countOf(m)} ${others.join('') || '-'} ${m.state}`;
  });
  const lines = procModules(kernel)
    .split('\n')
    .filter((line) => line !== '');
  same(
    '/proc/modules',
    lines.map((line) => line.replace(/^(\S+) \d+ /, '$1 ').replace(/ 0x.*/, '')),
    expected,
  );
  const files = sysModule(kernel);
  same(
    '/sys/module',
    [...new Set([...files.keys()].map((path) => path.split('/')[0]))],
    shown.map(({ id }) => nameOf(id)),
  );
  const states = { Loading: 'coming', Live: 'live', Unloading: 'going', Unformed: '' };
  for (const m of shown) {
    same('initstate', files.get(`${nameOf(m.id)}/initstate`), `${states[m.state]}\n`);
    same('refcnt', files.get(`${nameOf(m.id)}/refcnt`), `${countOf(m)}\n`);
    const holders = m.users.filter((user) => seen(model, user) !== undefined).toReversed();
    const links = [...files.keys()].filter((path) => path.startsWith(`${nameOf(m.id)}/holders/`));
    same(
      'holders',
      links,
      holders.map((user) => `${nameOf(m.id)}/holders/${nameOf(user)}`),
    );
  }
  same('exports', [...kernel.moduleExports.keys()].toSorted(), shown.map(({ id }) => `f${id}`).toSorted());
  const listed = kernel.modules.reduce((sum, m) => sum + Object.keys(m.memory).length, 0);
  // 6.1 has taken memory when it waits for a namesake.
  const waiting = [...real.loads.values()].reduce(
    (sum, { module: m }) => sum + (m === undefined || kernel.modules.includes(m) ? 0 : Object.keys(m.memory).length),
    0,
  );
  same('memory', kernel.memory.ranges.length, listed + waiting);
  if (model.version !== '6.1') same('memory of those who wait', waiting, 0);
  same(
    'unformed',
    kernel.modules.filter(({ state }) => state === 'UNFORMED').length,
    model.modules.length - shown.length,
  );
  same('taint R', kernel.taints.has('FORCED_RMMOD'), model.forced);
  same(
    'warnings',
    kernel.modules.flatMap((m) => m.warnings),
    [],
  );
  same('time', kernel.now, model.now);
  same('files being loaded', kernel.idempotent.size, new Set(firsts(model).map(({ id }) => id)).size);
  const sleeping = [...real.loads.keys()].toSorted((a, b) => a - b);
  same(
    'loads that have not ended',
    sleeping,
    model.loads.map(({ number }) => number).toSorted((a, b) => a - b),
  );
  same('how loads ended', sorted(real.ended), sorted(model.ended));
}

const firsts = ({ loads, version }: LifeModel): ModelLoad[] =>
  version === '6.1' ? [] : loads.filter(({ finit, stage }) => finit && stage !== 'same file');
const sorted = (ended: ReadonlyMap<number, Ended>): [number, Ended][] => [...ended].toSorted(([a], [b]) => a - b);

function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, the model says ${b}`);
}

// Commands

interface Command extends fc.Command<LifeModel, Life> {
  run(model: LifeModel, real: Life): void;
}

/** A command is always allowed, unless `when` says otherwise; after it everything that can be seen is compared. */
const command = (
  text: string,
  run: (model: LifeModel, real: Life) => void,
  when?: (model: Readonly<LifeModel>) => boolean,
): Command => ({
  check: when ?? (() => true),
  run: (model, real) => {
    run(model, real);
    settleModel(model);
    settle(real);
    real.steps++;
    compare(model, real);
    // How it ended has been compared; nobody asks again but who waits for it, and that has been told.
    model.ended.clear();
    real.ended.clear();
  },
  toString: () => text,
});

/** A load: by init_module() or finit_module(), with an init that is over at once or sleeps until finish(). */
const load = (id: number, finit: boolean, ret: number | undefined): Command =>
  command(`${finit ? 'finit' : 'load'}(${nameOf(id)}, ${ret ?? 'slow'})`, (model, real) => {
    const number = real.steps;
    model.loads.push({
      number,
      id,
      finit,
      ret,
      stage: 'new',
      first: number,
      waited: false,
      next: 0,
      errno: undefined,
      until: undefined,
      signalled: false,
    });
    beginLoad(real, number, id, finit, ret);
  });

const inInit = (model: Readonly<LifeModel>, id: number): ModelLoad | undefined =>
  model.loads.find((other) => other.id === id && other.stage === 'init');

const finish = (id: number, ret: number): Command =>
  command(
    `finish(${nameOf(id)}, ${ret})`,
    (model, real) => {
      const slow = inInit(model, id)!;
      slow.ret = ret;
      real.loads.get(slow.number)!.gate.open(ret);
    },
    (model) => inInit(model, id) !== undefined,
  );

/** The load whose patience ends first: of those that wait for a symbol. */
const impatient = (model: Readonly<LifeModel>): ModelLoad | undefined =>
  model.loads
    .filter(({ until }) => until !== undefined)
    .reduce<ModelLoad | undefined>((first, one) => (first && first.until! <= one.until! ? first : one), undefined);

const patience = command(
  'patience()',
  (model, real) => {
    const one = impatient(model)!;
    model.now = Math.max(model.now, one.until!);
    goOn(model, one, true);
    real.kernel.now = Math.max(real.kernel.now, real.loads.get(one.number)!.thread.wait!.until!);
    real.loads.get(one.number)!.thread.run('timeout');
  },
  (model) => impatient(model) !== undefined,
);

/** Those that a signal can wake. */
const interruptible = (model: Readonly<LifeModel>): ModelLoad[] => model.loads.filter(({ stage }) => stage !== 'init');

const signal = (n: number): Command =>
  command(
    `signal(${n})`,
    (model, real) => {
      const all = interruptible(model);
      const one = all[n % all.length]!;
      one.signalled = true;
      real.loads.get(one.number)!.thread.signalled = true;
    },
    (model) => interruptible(model).length > 0,
  );

const unload = (id: number, flags: number, slow: boolean): Command =>
  command(
    `unload(${nameOf(id)}, ${(flags & O_NONBLOCK) !== 0 ? 'O_NONBLOCK ' : ''}${(flags & O_TRUNC) !== 0 ? 'O_TRUNC ' : ''}${slow ? 'slow' : ''})`,
    (model, real) => {
      const m = seen(model, id);
      const force = (flags & O_TRUNC) !== 0;
      let expected: Errno | undefined;
      if (m === undefined) expected = 'ENOENT';
      else if (m.users.length > 0) expected = 'EAGAIN';
      else if (m.state !== 'Live') expected = 'EBUSY';
      else if (!model.graph.exits[id] && !force) expected = 'EBUSY';
      else if (m.held > 0 && !force) expected = 'EAGAIN';
      const thread = new Thread(`unload ${nameOf(id)}`, deleteModule(real.kernel, nameOf(id), { flags }));
      if (expected === undefined) {
        if (m!.held > 0 || !model.graph.exits[id]) model.forced = true;
        m!.forced = m!.held > 0;
        if (slow && model.graph.exits[id]) m!.state = 'Unloading';
        else vanish(model, id);
        exitGate(real.kernel, id).ret = slow ? undefined : 0;
      }
      thread.run();
      const { outcome } = thread;
      same('unload', outcome !== undefined && 'error' in outcome ? refusalOf(outcome.error) : undefined, expected);
      if (expected === undefined)
        real.unloads.set(id, { thread, id, gate: exitGate(real.kernel, id), module: undefined });
    },
  );

const finishUnload = (id: number): Command =>
  command(
    `gone(${nameOf(id)})`,
    (model, real) => {
      vanish(model, id);
      real.unloads.get(id)!.gate.open(0);
    },
    (model) => find(model, id)?.state === 'Unloading',
  );

const get = (id: number): Command =>
  command(`get(${nameOf(id)})`, (model, real) => {
    const m = real.kernel.findModule(nameOf(id));
    const expected = seen(model, id);
    same('find_module', m !== undefined, expected !== undefined);
    if (m === undefined || expected === undefined) return;
    const given = tryModuleGet(m);
    same('try_module_get', given, expected.state !== 'Unloading');
    if (given) expected.held++;
  });

const symbol = (id: number): Command =>
  command(`symbol_get(f${id})`, (model, real) => {
    const m = find(model, id);
    same('symbol_get', symbolGet(real.kernel, `f${id}`) !== undefined, m?.state === 'Live');
    if (m?.state === 'Live') m.held++;
  });

const put = (id: number, bySymbol: boolean): Command =>
  command(
    `${bySymbol ? 'symbol_put(f' : 'put(m'}${id})`,
    (model, real) => {
      if (bySymbol) symbolPut(real.kernel, `f${id}`);
      else modulePut(real.kernel.findModule(nameOf(id)));
      find(model, id)!.held--;
    },
    (model) => (find(model, id)?.held ?? 0) > 0,
  );

/** Everybody is let go on, and everything unloaded that can be: nobody sleeps for ever, and nothing is left. */
export function endLife(model: LifeModel, real: Life): void {
  const run = (one: Command): void => {
    if (!one.check(model)) return;
    one.run(model, real);
  };
  const all = Array.from({ length: COUNT }, (_, id) => id);
  for (let rounds = 0; model.loads.length > 0 && rounds < 100; rounds++) {
    for (const id of all) run(finish(id, 0));
    for (const id of all) run(finishUnload(id));
  }
  same('loads that sleep for ever', model.loads.length, 0);
  for (const id of all) run(finishUnload(id));
  for (const id of all.toReversed()) run(unload(id, O_TRUNC, false));
  same('modules', real.kernel.modules.length, 0);
  same('memory', real.kernel.memory.ranges.length, 0);
}

export const graphs: fc.Arbitrary<Graph> = fc.record({
  uses: fc.tuple(
    ...Array.from({ length: COUNT }, (_, id) => fc.subarray(Array.from({ length: id }, (__, other) => other))),
  ),
  exits: fc.array(fc.boolean(), { minLength: COUNT, maxLength: COUNT }),
});

const ids = fc.nat({ max: COUNT - 1 });
const returns = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  fc.constantFrom(1, -errnos.EIO, -errnos.ENODEV, -errnos.EEXIST),
);
const flags = fc.constantFrom(0, O_NONBLOCK, O_TRUNC, O_NONBLOCK | O_TRUNC);

export const lives = (maxCommands: number): fc.Arbitrary<Iterable<Command>> => {
  const loads = fc
    .tuple(ids, fc.boolean(), fc.option(returns, { nil: undefined, freq: 2 }))
    .map(([id, finit, ret]) => load(id, finit, ret));
  const finishes = fc.tuple(ids, returns).map(([id, ret]) => finish(id, ret));
  return fc.commands(
    [
      loads,
      loads,
      loads,
      finishes,
      finishes,
      fc.constant(patience),
      fc.nat({ max: 9 }).map(signal),
      fc.tuple(ids, flags, fc.boolean()).map(([id, how, slow]) => unload(id, how, slow)),
      ids.map(finishUnload),
      ids.map(get),
      ids.map(symbol),
      fc.tuple(ids, fc.boolean()).map(([id, bySymbol]) => put(id, bySymbol)),
    ],
    { maxCommands, size: 'max' },
  );
};
