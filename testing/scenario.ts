/**
 * Scenarios of the life of modules, as data: what the modules' code and some threads do, in a word and a name each.
 *
 * Threads: load, finit, unload, get, put, symbol_get, symbol_put M; open, open-unlocked, open-uncounted, call, close D.
 * Module code: register, unregister D; call_rcu; rcu_barrier; return N. Both: yield.
 */
import { arches } from '../arch/index.ts';
import { ko, minimalModule, MODULE_LAYOUT_CRC } from '../fixtures/build.ts';
import { structModule, vermagicOf } from '../fixtures/machines.ts';
import { LoadError } from '../loader/errors.ts';
import type { World } from '../loader/explore.ts';
import { finitModule } from '../loader/idempotent.ts';
import { InputError } from '../loader/input-error.ts';
import { Kernel } from '../loader/kernel.ts';
import { loadModule } from '../loader/load.ts';
import type { Behaviour, Code, Module } from '../loader/module.ts';
import { MODULE_REF_BASE, modulePut, tryModuleGet } from '../loader/refcount.ts';
import { symbolGet, symbolPut } from '../loader/symbol-get.ts';
import { Thread, type ThreadStep } from '../loader/thread.ts';
import { deleteModule } from '../loader/unload.ts';
import { waitEvent, WaitQueue, type Wake } from '../loader/wait.ts';
import { type Version, versions } from '../relocs/module-view.ts';

/** What a module exports and uses, and its code; `exit` null: it has none. */
export interface ScenarioModule {
  readonly exports?: readonly string[];
  readonly uses?: readonly string[];
  readonly init?: readonly string[];
  readonly exit?: readonly string[] | null;
}

export interface Scenario {
  readonly title: string;
  /** Version of the kernel, where it is not chosen otherwise; default, the newest. */
  readonly kernel?: Version;
  readonly modules: Readonly<Record<string, ScenarioModule>>;
  readonly threads: Readonly<Record<string, readonly string[]>>;
}

const THREAD_VERBS = [
  'load',
  'finit',
  'unload',
  'get',
  'put',
  'symbol_get',
  'symbol_put',
  'open',
  'open-unlocked',
  'open-uncounted',
  'call',
  'close',
  'yield',
] as const;
const MODULE_VERBS = ['register', 'unregister', 'call_rcu', 'rcu_barrier', 'return', 'yield'] as const;
const OF_MODULES: readonly string[] = ['load', 'finit', 'unload', 'get', 'put'];
const ALONE: readonly string[] = ['yield', 'call_rcu', 'rcu_barrier'];

/**
 * Reads a scenario.
 *
 * @throws InputError: not JSON, an unknown key, verb or module, a word too many or too few
 */
export function parseScenario(text: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`a scenario is JSON: ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
  const { title = '', kernel, modules, threads, ...rest } = record(json, 'a scenario');
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new InputError(`a scenario has no "${unknown}"`);
  if (typeof title !== 'string') throw new InputError('"title" is a text');
  if (kernel !== undefined && !versions.some((v) => v === kernel))
    throw new InputError(`"kernel" is one of ${versions.join(', ')}`);
  const known = new Map(Object.entries(record(modules, '"modules"')).map(([name, m]) => [name, moduleOf(name, m)]));
  const scripts = Object.entries(record(threads, '"threads"')).map(([name, ops]): [string, readonly string[]] => {
    if (name.endsWith('!') || name === RCU) throw new InputError(`no thread can be called ${name}`);
    for (const op of strings(ops, `thread ${name}`)) checkOp(op, THREAD_VERBS, `thread ${name}`, known);
    return [name, strings(ops, name)];
  });
  if (scripts.length === 0) throw new InputError('a scenario has threads');
  return {
    title,
    ...(kernel === undefined ? {} : { kernel: kernel as Version }),
    modules: Object.fromEntries(known),
    threads: Object.fromEntries(scripts),
  };
}

function moduleOf(name: string, json: unknown): ScenarioModule {
  const { exports, uses, init, exit, ...rest } = record(json, `module ${name}`);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new InputError(`module ${name}: there is no "${unknown}"`);
  const list = (what: unknown, key: string): readonly string[] =>
    what === undefined ? [] : strings(what, `"${key}" of module ${name}`);
  for (const [key, code] of [
    ['init', init],
    ['exit', exit ?? undefined],
  ] as const)
    for (const op of list(code, key)) checkOp(op, MODULE_VERBS, `${key} of module ${name}`);
  return {
    exports: list(exports, 'exports'),
    uses: list(uses, 'uses'),
    init: list(init, 'init'),
    exit: exit === null ? null : list(exit, 'exit'),
  };
}

function checkOp(op: string, verbs: readonly string[], where: string, modules?: ReadonlyMap<string, unknown>): void {
  const [verb = '', ...args] = op.split(' ');
  if (!verbs.includes(verb)) throw new InputError(`${where}: "${verb}" is none of ${verbs.join(', ')}`);
  if (args.length !== (ALONE.includes(verb) ? 0 : 1) || args[0] === '')
    throw new InputError(`${where}: "${op}": ${ALONE.includes(verb) ? 'nothing' : 'one name'} follows ${verb}`);
  if (verb === 'return' && !/^-?\d+$/.test(args[0] ?? '')) throw new InputError(`${where}: "${op}": not a number`);
  if (modules !== undefined && OF_MODULES.includes(verb) && !modules.has(args[0] ?? ''))
    throw new InputError(`${where}: "${op}": the scenario has no module ${args[0]}`);
}

function record(json: unknown, what: string): Record<string, unknown> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return { ...json };
  throw new InputError(`${what} is an object`);
}

function strings(json: unknown, what: string): readonly string[] {
  if (Array.isArray(json) && json.every((one) => typeof one === 'string')) return json;
  throw new InputError(`${what} is a list of texts`);
}

/** Makes worlds of a scenario, all alike. */
export function worldsOf(scenario: Scenario, version: Version = scenario.kernel ?? '7.2'): () => World {
  const files = new Map(Object.entries(scenario.modules).map(([name, m]) => [name, fileOf(name, m, version)]));
  return () => new ScenarioWorld(scenario, files, version);
}

const CRC = 0x1234;

function fileOf(name: string, { exports = [], uses = [] }: ScenarioModule, version: Version): Uint8Array {
  const text = { name: '.text', flags: 6, align: 16, size: 16 };
  return ko(
    minimalModule({
      thisModule: { name },
      modinfo: { vermagic: vermagicOf('', version) },
      versions: [['module_layout', MODULE_LAYOUT_CRC], ...uses.map((symbol): [string, number] => [symbol, CRC])],
      sections: [text, { name: '.data', flags: 3, align: 8, size: 8 * Math.max(uses.length, 1) }],
      relocs: { '.data': uses.map((symbol, i) => ({ offset: 8 * i, type: 1, symbol })) },
      symbols: exports.map((symbol) => ({ name: symbol, section: '.text' })),
      exports: exports.map((symbol) => ({ name: symbol, crc: CRC, gpl: true })),
      ...(version === '7.2' ? {} : { exportStyle: '6.x' as const }),
    }),
  );
}

/** The thread that runs callbacks after a grace period. */
const RCU = 'rcu';

/** A device that a thread has open: whose code it runs, and whether it holds a reference. */
interface Handle {
  readonly owner: Module;
  readonly counted: boolean;
}

interface Player {
  readonly name: string;
  /** Number of the operation it is at, or comes to next. */
  at: number;
  /** Steps it had done when that began. */
  from: number;
  /** Between two operations nothing is left of how the last one went but what it did. */
  between: boolean;
  readonly handles: Map<string, Handle>;
  /** References taken by get and symbol_get. */
  readonly held: Map<string, number>;
}

class ScenarioWorld implements World {
  readonly kernel: Kernel;
  readonly threads: readonly Thread[];
  readonly daemons: ReadonlySet<Thread>;
  private readonly scenario: Scenario;
  private readonly files: ReadonlyMap<string, Uint8Array>;
  private readonly players: readonly Player[];
  private readonly registry = new Map<string, Module>();
  private readonly callbacks: Module[] = [];
  private readonly rcuWq = new WaitQueue('rcu');
  private readonly barrierWq = new WaitQueue('rcu_barrier');
  /** Who freed a module. */
  private readonly freedBy = new Map<Module, string>();
  private broken: string | undefined;

  constructor(scenario: Scenario, files: ReadonlyMap<string, Uint8Array>, version: Version) {
    this.scenario = scenario;
    this.files = files;
    this.kernel = new Kernel({
      arch: arches.find(({ name }) => name === 'x86_64')!,
      version,
      vermagic: vermagicOf('', version),
      structModuleSize: structModule[64].size,
      exports: [
        {
          name: 'module_layout',
          value: 0xffff_ffff_8100_0000n,
          crc: MODULE_LAYOUT_CRC,
          gplonly: false,
          namespace: '',
          owner: 'vmlinux',
        },
      ],
      config: { MODULE_SIG: false },
      retainMemory: false,
    });
    this.players = Object.keys(scenario.threads).map((name) => ({
      name,
      at: 0,
      from: 0,
      between: true,
      handles: new Map(),
      held: new Map(),
    }));
    const threads = this.players.map((p) => new Thread(p.name, this.script(p, scenario.threads[p.name]!)));
    const usesRcu = Object.values(scenario.modules).some(({ init = [], exit }) =>
      [...init, ...(exit ?? [])].includes('call_rcu'),
    );
    const rcu = usesRcu ? [new Thread(RCU, this.softirq())] : [];
    this.threads = [...threads, ...rcu];
    this.daemons = new Set(rcu);
  }

  violation(): string | undefined {
    if (this.broken !== undefined) return this.broken;
    const { kernel } = this;
    for (const m of kernel.modules) {
      if (m.state !== 'LIVE') continue;
      const held = m.sources.size + this.holdersOf(m);
      if (m.refcount !== held) return `${m.name} has ${m.refcnt - MODULE_REF_BASE} references, and ${held} are held`;
    }
    if (this.threads.some((thread) => thread.outcome === undefined && !this.daemons.has(thread))) return undefined;
    const unfinished = kernel.modules.find(({ state }) => state !== 'LIVE');
    if (unfinished !== undefined) return `${unfinished.name} is ${unfinished.state} for ever`;
    const areas = kernel.modules.reduce((sum, m) => sum + Object.keys(m.memory).length, 0);
    if (kernel.memory.ranges.length !== areas) return 'memory is left of a module that is gone';
    return kernel.idempotent.size > 0 ? 'a call of finit_module() has left its entry behind' : undefined;
  }

  key(): string {
    const { kernel } = this;
    return JSON.stringify([
      kernel.modules.map((m) => [m.name, m.state, m.refcnt, Array.from(m.sources, ({ name }) => name), this.isGone(m)]),
      this.threads.map((t) => [
        t.outcome !== undefined,
        t.wait !== undefined,
        t.isRunnable,
        this.daemons.has(t) && t.step,
      ]),
      this.players.map((p) => {
        const { step, done } = this.threadOf(p);
        return [p.at, p.between || [step, done - p.from]];
      }),
      this.players.map((p) => [[...p.handles].map(([d, h]) => [d, this.tag(h.owner), h.counted]), [...p.held]]),
      [...this.registry].map(([device, m]) => [device, this.tag(m)]),
      this.callbacks.map((m) => this.tag(m)),
      kernel.now,
      kernel.idempotent.size,
    ]);
  }

  /** A name, and whether it is the module of that name that is there now. */
  private tag(m: Module): string {
    return `${m.name}${this.kernel.modules.includes(m) ? '' : ' off the list'}${this.isGone(m) ? ' gone' : ''}`;
  }

  private isGone(m: Module): boolean {
    return Object.keys(m.memory).length === 0;
  }

  private holdersOf(m: Module): number {
    return this.players.reduce((sum, { handles, held }) => {
      const open = [...handles.values()].filter(({ owner, counted }) => counted && owner === m).length;
      return sum + open + (held.get(m.name) ?? 0);
    }, 0);
  }

  /** Code or memory of a module is used: it must be there. */
  private use(m: Module, who: string): void {
    if (this.isGone(m))
      this.broken ??= `use after free: ${who}, and ${m.name} was freed by ${this.freedBy.get(m) ?? 'somebody'}`;
  }

  private *script(p: Player, ops: readonly string[]): Generator<ThreadStep, void, Wake> {
    for (const [at, op] of ops.entries()) {
      p.at = at;
      p.from = this.threadOf(p).done;
      p.between = false;
      const [verb = '', name = ''] = op.split(' ');
      const said = yield* this.operation(p, verb, name, op);
      // A load has given its last step itself.
      if (said === undefined && (verb === 'load' || verb === 'finit')) continue;
      p.at = at + 1;
      p.between = true;
      yield { step: said === undefined ? op : `${op}: ${said}` };
    }
  }

  private threadOf({ name }: Player): Thread {
    return this.threads.find((thread) => thread.name === name)!;
  }

  /** One operation of a thread; an errno or a word where it did not do what it should. */
  private *operation(
    p: Player,
    verb: string,
    name: string,
    op: string,
  ): Generator<ThreadStep, string | undefined, Wake> {
    const { kernel } = this;
    switch (verb) {
      case 'load':
      case 'finit':
      case 'unload':
        return yield* this.systemCall(p, verb, name, op);
      case 'get': {
        const m = kernel.findModule(name);
        if (m === undefined || !tryModuleGet(m)) return 'no reference';
        p.held.set(name, (p.held.get(name) ?? 0) + 1);
        return undefined;
      }
      case 'symbol_get': {
        const owner = kernel.moduleExports.get(name)?.[0]?.owner;
        if (symbolGet(kernel, name) === undefined || owner === undefined) return 'NULL';
        p.held.set(owner.name, (p.held.get(owner.name) ?? 0) + 1);
        return undefined;
      }
      case 'put':
      case 'symbol_put': {
        const owner = verb === 'put' ? kernel.findModule(name) : kernel.moduleExports.get(name)?.[0]?.owner;
        const held = p.held.get(owner?.name ?? '') ?? 0;
        if (held === 0 || owner === undefined) return 'holds none';
        p.held.set(owner.name, held - 1);
        if (verb === 'put') modulePut(owner);
        else symbolPut(kernel, name);
        return undefined;
      }
      case 'open':
      case 'open-unlocked':
      case 'open-uncounted':
        return yield* this.open(p, verb, name, op);
      case 'call': {
        const handle = p.handles.get(name);
        if (handle === undefined) return 'not open';
        this.use(handle.owner, `${p.name} calls ${name} in ${handle.owner.name}`);
        yield { step: `in ${name}` };
        this.use(handle.owner, `${p.name} runs ${name} in ${handle.owner.name}`);
        return undefined;
      }
      case 'close': {
        const handle = p.handles.get(name);
        p.handles.delete(name);
        if (handle?.counted === true) modulePut(handle.owner);
        return handle === undefined ? 'not open' : undefined;
      }
      default:
        return undefined;
    }
  }

  private *open(p: Player, verb: string, name: string, op: string): Generator<ThreadStep, string | undefined, Wake> {
    const owner = this.registry.get(name);
    if (owner === undefined) return 'ENODEV';
    if (verb === 'open-unlocked') {
      yield { step: `${op}: found` };
      this.use(owner, `${p.name} takes a reference of ${owner.name}, which it found in the registry`);
    }
    const counted = verb !== 'open-uncounted';
    if (counted && !tryModuleGet(owner)) return 'ENODEV';
    p.handles.set(name, { owner, counted });
    return undefined;
  }

  private *systemCall(
    p: Player,
    verb: string,
    name: string,
    op: string,
  ): Generator<ThreadStep, string | undefined, Wake> {
    const { kernel } = this;
    const bytes = this.files.get(name)!;
    const behaviour = this.behaviourOf(this.scenario.modules[name]!);
    const steps: Generator<
      ThreadStep & { readonly module?: Module; readonly load?: { readonly module: Module | undefined } },
      unknown,
      Wake
    > =
      verb === 'load'
        ? loadModule(kernel, bytes, { behaviour })
        : verb === 'finit'
          ? finitModule(kernel, { inode: name, bytes }, { behaviour })
          : deleteModule(kernel, name);
    try {
      for (let next = steps.next(); !next.done; ) {
        const { step, module, load } = next.value;
        const m = module ?? load?.module;
        if (step === 'free_mod_mem' && m !== undefined) this.freedBy.set(m, `${p.name} in ${op}`);
        next = steps.next(yield next.value);
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof LoadError) || error.crash !== undefined) throw error;
      if (error.errno === 'EEXIST' && verb === 'load' && kernel.findModule(name, true)?.state !== 'LIVE')
        this.broken ??= `${p.name}: ${op} says EEXIST, and no ${name} is LIVE`;
      return error.errno;
    }
  }

  private behaviourOf({ init = [], exit = [] }: ScenarioModule): Behaviour {
    const run =
      (ops: readonly string[]) =>
      (m: Module): Code<number> =>
        this.moduleCode(m, ops);
    if (exit === null) return { init: run(init) };
    return {
      init: run(init),
      exit: (m) => this.moduleCode(m, exit) as Code<unknown> as Code<void>,
    };
  }

  private *moduleCode(m: Module, ops: readonly string[]): Code<number> {
    for (const op of ops) {
      const [verb, name = ''] = op.split(' ');
      if (verb === 'return') return Number(name);
      if (verb === 'register') this.registry.set(name, m);
      if (verb === 'unregister') this.registry.delete(name);
      if (verb === 'call_rcu') {
        this.callbacks.push(m);
        this.rcuWq.wakeAll();
      }
      if (verb === 'rcu_barrier') yield* waitEvent(this.kernel, this.barrierWq, () => this.callbacks.length === 0);
      yield undefined;
    }
    return 0;
  }

  private *softirq(): Generator<ThreadStep, void, Wake> {
    for (;;) {
      const waits = waitEvent(this.kernel, this.rcuWq, () => this.callbacks.length > 0);
      for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'grace period', wait: next.value });
      const m = this.callbacks[0]!;
      this.use(m, `a callback of ${m.name} is called`);
      this.callbacks.shift();
      this.barrierWq.wakeAll();
      yield { step: 'callback' };
    }
  }
}
