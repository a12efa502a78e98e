/** A scenario in a kernel of its own: its threads, what they hold, and what must hold of them. */
import { arches } from '../arch/index.ts';
import { MODULE_LAYOUT_CRC } from '../fixtures/build.ts';
import { structModule, vermagicOf } from '../fixtures/machines.ts';
import type { ModuleFile } from '../loader/idempotent.ts';
import { Kernel } from '../loader/kernel.ts';
import type { Module, State } from '../loader/module.ts';
import { MODULE_REF_BASE } from '../loader/refcount.ts';
import type { Thread, ThreadStep } from '../loader/thread.ts';
import { waitEvent, WaitQueue, type Wake } from '../loader/wait.ts';
import type { Footprint, Stack, World } from '../loader/world.ts';
import type { Version } from '../relocs/module-view.ts';
import { watch } from './footprint.ts';
import { type Life, present } from './life.ts';
import { Player } from './player.ts';
import { Sanitizer } from './sanitizer.ts';
import { functionOf, parts, RCU, type Scenario } from './scenario-language.ts';
import { sleep, type Steps } from './scenario-steps.ts';
import { doing, isOfLoader } from './scenario-verbs.ts';

/** A scenario, made ready: the kernel it runs on, and the files of its modules. */
export interface Stage {
  readonly scenario: Scenario;
  readonly version: Version;
  readonly life: Life;
  readonly files: ReadonlyMap<string, ModuleFile>;
}

/** D.1: from each state, where to. */
const NEXT: Readonly<Record<State, readonly State[]>> = {
  UNFORMED: ['COMING'],
  COMING: ['LIVE', 'GOING'],
  LIVE: ['GOING'],
  GOING: ['UNFORMED'],
};

export class ScenarioWorld implements World {
  readonly kernel: Kernel;
  readonly threads: Thread[] = [];
  readonly daemons: Set<Thread> = new Set();
  /** Of today's kernels: what those of history touch beside is not noted. */
  readonly footprint?: Footprint;
  readonly stage: Stage;
  readonly players: Player[] = [];
  readonly sanitizer: Sanitizer;
  /** Whose each device and hook is. */
  readonly registry: Map<string, Module> = new Map();
  /** What call_rcu() has left, oldest first. */
  readonly callbacks: { readonly owner: Module; readonly run: string | undefined }[] = [];
  /** Callbacks come, and readers go. */
  readonly rcuWq: WaitQueue = new WaitQueue('rcu');
  readonly barrierWq: WaitQueue = new WaitQueue('rcu_barrier');
  /** A thread ends, or gives back what it had. */
  readonly exitWq: WaitQueue = new WaitQueue('exit');
  /** Modules that hold the reference of their own load. */
  readonly loading: Set<Module> = new Set();
  /** Modules that are being unloaded. */
  readonly leaving: Set<Module> = new Set();
  readonly touched: Footprint = { reads: new Set(), writes: new Set() };
  /** The thread that runs. */
  current: Player | undefined;

  constructor(stage: Stage) {
    this.stage = stage;
    this.kernel = kernelOf(stage.version);
    this.sanitizer = new Sanitizer(
      () => this.current?.stack ?? ['nobody'],
      ({ name }, how) => this.touched[how].add(`module ${name}`),
    );
    this.sanitizer.watch(this.kernel);
    watch(this.kernel, this.touched, {
      linked: (m) => this.sanitizer.add(m),
      dropped: (m) => this.sanitizer.dropped(m),
      changed: (m, before) => {
        if (m.state !== before && !NEXT[before].includes(m.state))
          this.sanitizer.wrong(`${m.name} was ${before} and is ${m.state}`);
      },
    });
    if (stage.life === present) this.footprint = this.touched;
    for (const [name, ops] of Object.entries(stage.scenario.threads)) this.start(name, (p) => this.script(p, ops));
    if (verbsOf(stage.scenario).has('call_rcu')) this.daemons.add(this.start(RCU, () => this.softirq()).thread);
  }

  /** Makes a thread; a name that is taken gets a number. */
  start(name: string, script: (p: Player) => Generator<ThreadStep, unknown, Wake>): Player {
    let own = name;
    for (let n = 2; this.players.some((p) => p.name === own); n++) own = `${name}${n}`;
    const p = new Player(own, (self) => this.tracked(self, script(self)));
    this.players.push(p);
    this.threads.push(p.thread);
    return p;
  }

  /** While a thread runs it is the current one; what is not the loader's concerns everybody. */
  private *tracked(p: Player, steps: Generator<ThreadStep, unknown, Wake>): Generator<ThreadStep, unknown, Wake> {
    let wake: Wake;
    for (;;) {
      this.current = p;
      if (!p.verbs.every(isOfLoader)) this.touched.writes.add('world');
      const next = steps.next(wake);
      if (!p.verbs.every(isOfLoader)) this.touched.writes.add('world');
      if (next.done) {
        p.isOver = true;
        // Nobody waits for the threads of the scenario, and nobody may be woken unnoticed.
        if (p.isSpawned) {
          this.touched.writes.add('world');
          this.exitWq.wakeAll();
        }
        return next.value;
      }
      wake = yield next.value;
    }
  }

  violation(): string | undefined {
    return this.sanitizer.violation ?? this.wrongCount() ?? this.leftovers();
  }

  stacks(): readonly Stack[] {
    return this.sanitizer.stacks;
  }

  private wrongCount(): string | undefined {
    for (const m of this.kernel.modules) {
      const others = this.holdersOf(m);
      if (m.state === 'GOING' && this.leaving.has(m)) {
        const users = others + m.sources.size;
        if (users > 0) return `${m.name} goes, and ${users} references of it are held`;
      }
      if (m.state !== 'LIVE' && m.state !== 'COMING') continue;
      const held = m.sources.size + others + (this.loading.has(m) ? 1 : 0);
      if (m.refcount !== held) return `${m.name} has ${m.refcnt - MODULE_REF_BASE} references, and ${held} are held`;
    }
    return undefined;
  }

  /** When all is over: what was begun is done, and nothing is left of what has gone. */
  private leftovers(): string | undefined {
    if (this.threads.some((thread) => thread.outcome === undefined && !this.daemons.has(thread))) return undefined;
    const { kernel } = this;
    const unfinished = kernel.modules.find(({ state }) => state !== 'LIVE');
    if (unfinished !== undefined) return `${unfinished.name} is ${unfinished.state} for ever`;
    const areas = kernel.modules.reduce((sum, m) => sum + Object.keys(m.memory).length, 0);
    if (kernel.memory.ranges.length !== areas) return 'memory is left of a module that is gone';
    return kernel.idempotent.size > 0 ? 'a call of finit_module() has left its entry behind' : undefined;
  }

  key(): string {
    const { kernel, stage } = this;
    return JSON.stringify([
      kernel.modules
        .map((m) => [
          m.name,
          m.state,
          m.refcnt,
          Array.from(m.sources, ({ name }) => name).toSorted(),
          this.sanitizer.isGone(m),
          this.loading.has(m),
        ])
        .toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
      this.players.map((p) => p.key(kernel.now, (m) => this.tag(m))),
      [...this.registry].map(([device, m]) => `${device} ${this.tag(m)}`).toSorted(),
      this.callbacks.map(({ owner, run }) => [this.tag(owner), run]),
      Array.from(kernel.idempotent, ([file, { result }]) => `${String(file)} ${result !== undefined}`).toSorted(),
      kernel.async.pending,
      kernel.rcu.pending(),
      this.keepsTime ? kernel.now : 0,
      stage.life.key(kernel),
    ]);
  }

  private get keepsTime(): boolean {
    return verbsOf(this.stage.scenario).has('by');
  }

  /** A name, and whether it is the module of that name that is there now. */
  tag(m: Module): string {
    return `${m.name}${this.kernel.modules.includes(m) ? '' : ' off the list'}${this.sanitizer.isGone(m) ? ' gone' : ''}`;
  }

  /** References that threads and open devices hold. */
  holdersOf(m: Module): number {
    return this.players.reduce((sum, p) => sum + p.holds(m), 0);
  }

  /** A thread's operations, one after the other. */
  *script(p: Player, ops: readonly string[]): Generator<ThreadStep, void, Wake> {
    for (const [at, op] of ops.entries()) {
      p.begin(at);
      const said = yield* this.operation(p, op, undefined);
      const { verb } = parts(op);
      // A load has given its last step itself.
      const told = said === undefined && (verb === 'load' || verb === 'finit') && !this.stage.life.lacks.has(verb);
      p.end(at);
      if (!told) yield { step: said === undefined ? op : `${op}: ${said}` };
    }
  }

  /** One operation, of a thread or of a module's code; an errno or a word where it did not do what it should. */
  *operation(p: Player, op: string, m: Module | undefined): Steps {
    const { must, verb, name } = parts(op);
    if (this.stage.life.lacks.has(verb)) return 'not known yet';
    const frame = m === undefined ? op : `${m.name}: ${op}`;
    p.frames.push(frame);
    p.verbs.push(verb);
    if (!isOfLoader(verb)) this.touched.writes.add('world');
    try {
      const done = doing[verb]!({ world: this, p, m, op }, name);
      const said = typeof done === 'object' ? yield* done : done;
      if (must && said !== undefined) this.sanitizer.wrong(`${p.name}: ${op}: ${said}`);
      return said;
    } catch (error) {
      // Frames are only there until it has passed them.
      const where = m === undefined ? op : p.frames.at(-2);
      this.sanitizer.wrong(`${p.name}: ${where} throws: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    } finally {
      p.frames.pop();
      p.verbs.pop();
    }
  }

  /** Runs code of a module by name; what has none does one step. Every step of it needs the code to be there. */
  *call(p: Player, m: Module, name: string, what: string): Generator<ThreadStep, void, Wake> {
    const of = this.stage.scenario.modules[m.name];
    const { ops, init } = (of && functionOf(of, name)) ?? { ops: [], init: false };
    const part = init ? 'init section' : 'module';
    p.frames.push(`${m.name}.${name}`);
    p.within.push(m);
    try {
      this.sanitizer.use(m, `${p.name} calls ${what} in ${m.name}`, part);
      for (const op of ops.length === 0 ? [undefined] : ops) {
        const said = op === undefined ? undefined : yield* this.operation(p, op, m);
        yield { step: `in ${what}${op === undefined ? '' : `: ${op}`}${said === undefined ? '' : `: ${said}`}` };
        this.sanitizer.use(m, `${p.name} runs ${what} in ${m.name}`, part);
      }
    } finally {
      p.frames.pop();
      p.within.pop();
    }
  }

  private *softirq(): Generator<ThreadStep, void, Wake> {
    const p = this.players.find(({ name }) => name === RCU)!;
    p.verbs.push('call_rcu');
    for (;;) {
      p.begin(0);
      const ready = (): boolean => this.callbacks.length > 0 && this.kernel.rcu.readers().length === 0;
      yield* sleep('grace period', waitEvent(this.kernel, this.rcuWq, ready));
      const { owner, run } = this.callbacks[0]!;
      p.frames.push(`callback of ${owner.name}`);
      this.sanitizer.use(owner, `a callback of ${owner.name} is called`);
      if (run !== undefined) yield* this.call(p, owner, run, run);
      p.frames.pop();
      this.callbacks.shift();
      this.barrierWq.wakeAll();
      yield { step: 'callback' };
    }
  }
}

const verbsKnown = new WeakMap<Scenario, ReadonlySet<string>>();

/** Every verb that is used in a scenario, by whomever. */
function verbsOf(scenario: Scenario): ReadonlySet<string> {
  const known = verbsKnown.get(scenario);
  if (known !== undefined) return known;
  const code = Object.values(scenario.modules).flatMap(({ init = [], exit, functions = {} }) => [
    ...init,
    ...(exit ?? []),
    ...Object.values(functions).flat(),
  ]);
  const all = [...Object.values(scenario.threads).flat(), ...code];
  const verbs = new Set(all.map((op) => parts(op).verb));
  verbsKnown.set(scenario, verbs);
  return verbs;
}

function kernelOf(version: Version): Kernel {
  return new Kernel({
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
}
