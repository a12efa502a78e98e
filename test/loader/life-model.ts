/**
 * Random lives of modules on random dependency graphs, as fast-check commands: the loader against a model that knows
 * nothing of it, only who is there, who uses whom, and who else holds a reference.
 */
import * as fc from 'fast-check';
import { errnos, LoadError, type Errno } from '../../loader/errors.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule, type Step } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import { procModules, sysModule } from '../../loader/proc.ts';
import { modulePut, tryModuleGet } from '../../loader/refcount.ts';
import { symbolGet, symbolPut } from '../../loader/symbol-get.ts';
import { O_TRUNC, rmmod } from '../../loader/unload.ts';
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
  state: 'Live' | 'Loading';
  /** Oldest first. */
  users: number[];
  /** try_module_get() and symbol_get() that were not given back. */
  held: number;
  readonly uses: readonly number[];
}

/** Newest first. */
export interface LifeModel {
  readonly graph: Graph;
  readonly version: Version;
  modules: Present[];
  forced: boolean;
}

export interface Life {
  readonly kernel: Kernel;
  readonly files: readonly Uint8Array[];
  readonly graph: Graph;
  /** Loads that stand in the middle. */
  readonly started: Map<number, Generator<Step, Module>>;
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
  const real: Life = { kernel, files, graph, started: new Map(), steps: 0 };
  return { model: { graph, version, modules: [], forced: false }, real };
}

const find = (model: LifeModel, id: number): Present | undefined => model.modules.find((m) => m.id === id);

/** What a load of `id` comes to before its init. */
function expectedOfLoad(model: LifeModel, id: number): Errno | undefined {
  const namesake = find(model, id);
  if (namesake !== undefined) return namesake.state === 'Live' ? 'EEXIST' : 'EBUSY';
  let errno: Errno | undefined;
  for (const other of model.graph.uses[id]!) {
    const owner = find(model, other);
    if (owner === undefined) errno = 'ENOENT';
    else if (owner.state === 'Loading') errno = 'EBUSY';
  }
  return errno;
}

function appear(model: LifeModel, id: number, state: Present['state']): void {
  const uses = model.graph.uses[id]!;
  for (const other of uses) find(model, other)!.users.push(id);
  model.modules.unshift({ id, state, users: [], held: 0, uses });
}

function vanish(model: LifeModel, id: number): void {
  model.modules = model.modules.filter((m) => m.id !== id);
  for (const m of model.modules) m.users = m.users.filter((user) => user !== id);
}

/** Everything that can be seen, as text. */
function compare(model: LifeModel, { kernel }: Life): void {
  const expected = model.modules.map(({ id, state, users, held }) => {
    const others = users.toReversed().map((user) => `${nameOf(user)},`);
    if (!model.graph.exits[id]) others.push('[permanent],');
    return `${nameOf(id)} ${users.length + held + (state === 'Loading' ? 1 : 0)} ${others.join('') || '-'} ${state}`;
  });
  const lines = procModules(kernel)
    .split('\n')
    .filter((line) => line !== '');
  same(
    '/proc/modules',
    lines.map((line) => line.replace(/^(\S+) \d+ /, '$1 ').replace(/ 0x.*/, '')),
    expected,
  );
  same(
    '/sys/module',
    [...new Set([...sysModule(kernel).keys()].map((path) => path.split('/')[0]))],
    model.modules.filter(({ state }) => state === 'Live').map(({ id }) => nameOf(id)),
  );
  same('exports', [...kernel.moduleExports.keys()].toSorted(), model.modules.map(({ id }) => `f${id}`).toSorted());
  same(
    'memory',
    kernel.memory.ranges.length,
    kernel.modules.reduce((sum, m) => sum + Object.keys(m.memory).length, 0),
  );
  same('taint R', kernel.taints.has('FORCED_RMMOD'), model.forced);
  same(
    'warnings',
    kernel.modules.flatMap((m) => m.warnings),
    [],
  );
}

function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, the model says ${b}`);
}

/** The errno of what is run, or undefined. */
function errnoOf(run: () => unknown): Errno | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof LoadError) return error.errno;
    throw error;
  }
}

type Command = fc.Command<LifeModel, Life>;

/** A command is always allowed, unless `when` says otherwise; after it everything that can be seen is compared. */
const command = (
  text: string,
  run: (model: LifeModel, real: Life) => void,
  when?: (model: Readonly<LifeModel>) => boolean,
): Command => ({
  check: when ?? (() => true),
  run: (model, real) => {
    run(model, real);
    real.steps++;
    compare(model, real);
  },
  toString: () => text,
});

const behaviourOf = ({ exits }: Graph, id: number, ret: number): { init: () => number; exit?: () => void } => ({
  init: () => ret,
  ...(exits[id] ? { exit: () => undefined } : {}),
});

const load = (id: number, ret: number): Command =>
  command(`load(${nameOf(id)}, ${ret})`, (model, real) => {
    let expected = expectedOfLoad(model, id);
    if (expected === undefined) {
      if (ret >= 0) appear(model, id, 'Live');
      else expected = (Object.keys(errnos) as Errno[]).find((name) => errnos[name] === -ret)!;
      if (expected === 'EEXIST' && model.version === '7.2') expected = 'EBUSY';
    }
    const behaviour = behaviourOf(real.graph, id, ret);
    same(
      'load',
      errnoOf(() => insmod(real.kernel, real.files[id]!, { behaviour })),
      expected,
    );
  });

const start = (id: number): Command =>
  command(
    `start(${nameOf(id)})`,
    (model, real) => {
      const expected = expectedOfLoad(model, id);
      const steps = loadModule(real.kernel, real.files[id]!, { behaviour: behaviourOf(real.graph, id, 0) });
      const actual = errnoOf(() => {
        for (let next = steps.next(); !next.done; next = steps.next()) if (next.value.step === 'parse_args') return;
      });
      same('start', actual, expected);
      if (expected !== undefined) return;
      appear(model, id, 'Loading');
      real.started.set(id, steps);
    },
    // With another load in the middle it would stand still where that one waits.
    (model) => expectedOfLoad(model, id) !== 'EBUSY',
  );

const finish = (id: number): Command =>
  command(
    `finish(${nameOf(id)})`,
    (model, real) => {
      const steps = real.started.get(id)!;
      while (!steps.next().done) continue;
      real.started.delete(id);
      find(model, id)!.state = 'Live';
    },
    (model) => find(model, id)?.state === 'Loading',
  );

const unload = (id: number, force: boolean): Command =>
  command(`unload(${nameOf(id)}${force ? ', force' : ''})`, (model, real) => {
    const m = find(model, id);
    let expected: Errno | undefined;
    if (m === undefined) expected = 'ENOENT';
    else if (m.users.length > 0) expected = 'EAGAIN';
    else if (m.state === 'Loading') expected = 'EBUSY';
    else if (!model.graph.exits[id] && !force) expected = 'EBUSY';
    else if (m.held > 0 && !force) expected = 'EAGAIN';
    else {
      if (m.held > 0 || !model.graph.exits[id]) model.forced = true;
      vanish(model, id);
    }
    const flags = force ? O_TRUNC : 0;
    same(
      'unload',
      errnoOf(() => rmmod(real.kernel, nameOf(id), { flags })),
      expected,
    );
  });

const get = (id: number): Command =>
  command(`get(${nameOf(id)})`, (model, real) => {
    const m = real.kernel.findModule(nameOf(id));
    same('find_module', m !== undefined, find(model, id) !== undefined);
    if (m === undefined) return;
    same('try_module_get', tryModuleGet(m), true);
    find(model, id)!.held++;
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

export const lives = (maxCommands: number): fc.Arbitrary<Iterable<Command>> =>
  fc.commands(
    [
      fc.tuple(ids, returns).map(([id, ret]) => load(id, ret)),
      fc.tuple(ids, returns).map(([id, ret]) => load(id, ret)),
      ids.map(start),
      ids.map(finish),
      fc.tuple(ids, fc.boolean()).map(([id, force]) => unload(id, force)),
      ids.map(get),
      ids.map(symbol),
      fc.tuple(ids, fc.boolean()).map(([id, bySymbol]) => put(id, bySymbol)),
    ],
    { maxCommands, size: 'max' },
  );
