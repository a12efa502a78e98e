/** A whole check: the tree is read once by all threads, linked here, and what is in doubt goes through insmod. */
import { readFileSync } from 'node:fs';
import { moduleName } from '../../loader/depend-files.ts';
import { InputError } from '../../loader/input-error.ts';
import { fileError } from '../file-error.ts';
import type { Io } from '../io.ts';
import { Arena, type Frame } from './arena.ts';
import { type CheckResult, causeOf, type Finding, type Warning } from './findings.ts';
import { circles } from './graph.ts';
import { Interrupt } from './interrupt.ts';
import type { Exporter, Verdict } from './judge.ts';
import { Link, type LinkOptions } from './link.ts';
import { NamesFull } from './names.ts';
import { proofTable } from './proof.ts';
import { oddities, oddWarnings, strangeSymvers } from './oddities.ts';
import { readSymvers } from './symvers.ts';
import { Teller } from './tell.ts';
import { Threads } from './threads.ts';
import { type ModuleFiles, moduleFiles } from './tree.ts';
import { isOn, judgeSetup, type KernelOptions, type TreeKernel, treeKernel } from './tree-kernel.ts';
import { treeWarnings } from './warnings.ts';
import { CONTROL_WORDS, DONE, type Job, type Judgement, type JudgeTables, NEXT, type Problem, STOP } from './work.ts';

export interface RunOptions extends KernelOptions {
  readonly symbols?: string | undefined;
  readonly jobs: number;
  readonly shard?: { readonly index: number; readonly count: number } | undefined;
}

/** The result, and what it comes from: the link is the graph of the modules, with nobody left out. */
export interface Checked {
  readonly result: CheckResult;
  readonly link: Link;
  readonly paths: readonly string[];
  /** Of the modules. */
  readonly names: readonly string[];
}

/** Modules that keep a thread busy for as long as it takes to start one. */
const WORTH_A_THREAD = 150;

/** Modules that are quicker judged by one thread than by several. */
const FEW = 16;

/** How much more room names get when they did not fit. */
const MORE = 16;

/** Throws UsageError and InputError for what is wrong with the call; never for what is wrong with a module. */
export async function runCheck(dir: string, options: RunOptions, io: Io): Promise<Checked> {
  try {
    return await runOnce(dir, options, io, 1);
  } catch (error) {
    if (!(error instanceof NamesFull)) throw error;
    return runOnce(dir, options, io, MORE);
  }
}

async function runOnce(dir: string, options: RunOptions, io: Io, scale: number): Promise<Checked> {
  const begin = performance.now();
  // The first one gets ready while the files are looked for.
  const threads = new Threads(Math.min(options.jobs, 2));
  try {
    const files = moduleFiles(dir);
    // A thread that finds nothing left to do has cost more than it did.
    threads.resize(Math.min(options.jobs, Math.ceil(files.paths.length / WORTH_A_THREAD)));
    const kernel = await treeKernel(files, options);
    return await new Check(files, kernel, options, io, threads, begin).run(scale);
  } finally {
    await threads.close();
  }
}

class Check {
  private readonly threads: Threads;
  private readonly options: RunOptions;
  private readonly io: Io;
  private readonly begin: number;
  private readonly dir: string;
  private readonly paths: readonly string[];
  private readonly kernel: TreeKernel;
  private readonly warnings: readonly Warning[];
  private readonly notes: string[] = [];
  private readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  private readonly failed = new Map<number, Finding>();
  private readonly problems = new Map<number, Problem>();
  private job!: Job;
  private link!: Link;
  /** Interrupted before insmod had its say. */
  private readonly unheard = new Set<number>();
  private judgedRelocations = 0;
  private judgedSlots = 0;
  private judged = 0;

  constructor(files: ModuleFiles, kernel: TreeKernel, options: RunOptions, io: Io, threads: Threads, begin: number) {
    this.options = options;
    this.io = io;
    this.threads = threads;
    this.begin = begin;
    this.dir = files.dir;
    this.paths = files.paths;
    this.kernel = kernel;
    this.warnings = files.unreadable.map((text) => ({ kind: 'tree', module: '', text }));
  }

  /** `scale`: how much more room names get than they need in other trees. */
  async run(scale: number): Promise<Checked> {
    const interrupt = new Interrupt(() => Atomics.store(this.control, STOP, 1));
    const stop = this.showProgress(this.paths.length, '');
    try {
      const { dir, kernel, paths } = this;
      const symvers = readBytes(kernel.symvers);
      // A line is some 60 bytes; names that are in no line are few.
      const ids = 2 ** Math.ceil(Math.log2(symvers.length / 50 + paths.length * 4 + (1 << 13))) * scale;
      const arena = Arena.create(paths.length, ids, ids * 40);
      const frame = this.frame(arena);
      this.job = {
        arena: arena.share(frame),
        control: this.control.buffer,
        jobs: this.options.jobs,
        dir,
        paths,
        shard: this.options.shard,
        judge: frame.proof === 0 ? this.tables() : undefined,
      };
      const options = await this.linkOptions();
      const scanned = this.threads.scan(this.job);
      // The others are at work already.
      this.link = new Link(paths, arena, options);
      symversIn(symvers, kernel.symvers, arena);
      for (const problem of await scanned) this.problems.set(problem.module, problem);
      // Imports of some modules are missing then, and with them what they depend on.
      if (arena.core.namesFull() !== 0) {
        if (scale === 1) throw new NamesFull('too many names');
        this.notes.push('there are more names than komulator has room for: some dependencies are not known');
      }
      stop();
      await this.linkAll(interrupt);
      const warnings = interrupt.happened
        ? []
        : [
            ...oddWarnings(this.link, kernel, (i) => this.isMine(i) && !this.failed.has(i)),
            ...treeWarnings(dir, this.link, arena, paths, (i) => this.isMine(i)),
          ];
      return this.checked(warnings, interrupt.happened);
    } finally {
      stop();
      interrupt.close();
    }
  }

  /** What threads know of the kernel; there is a proof where nothing is known of its configuration. */
  private frame(arena: Arena): Frame {
    const { head, arch, version, config, modversions } = this.kernel;
    const { is64, little, e_machine } = head;
    const proof = config === undefined ? proofTable(arch, version) : undefined;
    const signed = isOn(config, 'MODULE_SIG_FORCE', false) || isOn(config, 'LOCKDOWN', false);
    return {
      is64,
      little,
      e_machine,
      version,
      modversions,
      signed,
      proof: proof === undefined ? 0 : arena.keep(proof).at,
    };
  }

  private async linkOptions(): Promise<LinkOptions> {
    const { version, vendor, config, modversions } = this.kernel;
    return {
      modversions,
      strictVersions: vendor === 'debian',
      allowMissingNamespaces: isOn(config, 'MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS', false),
      inModuleNamespace: version === '7.2' ? (await import('../../loader/symbols.ts')).inModuleNamespace : undefined,
    };
  }

  /** Whether this run answers for a module. */
  private isMine(i: number): boolean {
    const { shard } = this.options;
    return shard === undefined || i % shard.count === shard.index;
  }

  /** And has looked at it. What a thread has left undone goes through insmod, unless there is to be an end. */
  private looked(i: number): boolean {
    return this.link.seen(i) || this.problems.has(i) || Atomics.load(this.control, STOP) === 0;
  }

  /** The modules that this run answers for, and all that they need. */
  private concerned(): ReadonlySet<number> {
    const all = new Set([...this.paths.keys()].filter((i) => this.isMine(i)));
    // A set grows while it is walked through.
    if (this.options.shard !== undefined) for (const i of all) for (const other of this.link.uses(i)) all.add(other);
    return all;
  }

  private async linkAll(interrupt: Interrupt): Promise<void> {
    const { link, failed } = this;
    const teller = new Teller(link, this.paths, failed, this.options.symbols);
    for (const [i, problem] of this.problems) this.unreadable(i, problem);
    let without: ReadonlySet<number> = new Set(this.problems.keys());
    let duplicates = link.provide(without);
    const inCircle = new Map<number, readonly number[]>();
    if (link.linkModules()) for (const circle of circles(link)) for (const i of circle) inCircle.set(i, circle);
    if (!link.namesDiffer) this.sameNames();

    const concerned = this.concerned();
    let again: ReadonlySet<number> | undefined;
    let isOld = false;
    for (;;) {
      const gone = new Set([...failed.keys(), ...inCircle.keys()]);
      if (isOld || gone.size !== without.size || [...gone].some((i) => !without.has(i)))
        duplicates = link.provide(gone);
      without = gone;
      const all =
        again === undefined
          ? [
              ...this.doubtful(),
              ...oddities(link, this.kernel).map(({ i }) => i),
              ...inCircle.keys(),
              ...duplicates.keys(),
            ]
          : [...concerned].filter((i) => link.uses(i).some((other) => again!.has(other)));
      const suspects = [...new Set(all)]
        .filter((i) => concerned.has(i) && this.looked(i) && !failed.has(i))
        .toSorted((a, b) => a - b);
      if (suspects.length === 0) return;
      const { refused, hiding } = await this.judge(suspects, without, interrupt);
      for (const [i, verdict] of refused) failed.set(i, teller.finding(i, verdict, duplicates, inCircle.get(i)));
      isOld = hiding.size > 0;
      // Whose providers have just gone, or have less than they seemed to, is asked again.
      again = new Set([...refused.keys(), ...hiding]);
      if (again.size === 0 || interrupt.happened) return;
    }
  }

  /** Modules that are not proven, or not linked. */
  private doubtful(): number[] {
    const { link } = this;
    const all: number[] = [];
    for (let i = link.nextLoose(0); i >= 0; i = link.nextLoose(i + 1)) if (!link.linked(i)) all.push(i);
    return all;
  }

  private sameNames(): void {
    const first = new Map<number, number>();
    this.paths.forEach((path, i) => {
      if (!this.link.has(i)) return;
      const id = this.link.nameId(i);
      const other = first.get(id);
      if (other === undefined) return void first.set(id, i);
      const name = this.link.name(i);
      this.failed.set(i, {
        module: name,
        path,
        errno: 'EEXIST',
        log: [],
        check: 'C70',
        cause: 'duplicate-module',
        symbols: [],
        needs: [],
        reason: `${this.paths[other]} is called ${name} as well, and only one of them can be loaded`,
      });
    });
  }

  private unreadable(i: number, { errno, log, reason }: Problem): void {
    const path = this.paths[i]!;
    const module = moduleName(path);
    this.failed.set(i, {
      module,
      path,
      errno,
      log,
      reason,
      check: '',
      cause: causeOf('read', errno),
      symbols: [],
      needs: [],
    });
  }

  private tables(exporters?: readonly Exporter[]): JudgeTables {
    const { kernel } = this;
    return { setup: judgeSetup(kernel), symvers: kernel.symvers, ...(exporters === undefined ? {} : { exporters }) };
  }

  /** Puts modules before insmod; gives those that it refuses, and those that export less than was thought. */
  private async judge(
    suspects: readonly number[],
    without: ReadonlySet<number>,
    interrupt: Interrupt,
  ): Promise<{ readonly refused: ReadonlyMap<number, Verdict>; readonly hiding: ReadonlySet<number> }> {
    const { link, paths, control } = this;
    const refused = new Map<number, Verdict>();
    const waiting = new Set(suspects);
    const hiding = new Set<number>();
    const hear = ({ module, verdict, relocations, slots, exports }: Judgement): void => {
      waiting.delete(module);
      this.judged++;
      if (exports !== undefined && link.keepExports(module, exports)) hiding.add(module);
      if (verdict !== undefined) return void refused.set(module, verdict);
      this.judgedRelocations += relocations - link.relocations(module);
      this.judgedSlots += slots - link.slots(module);
    };
    const tables = this.tables(link.exporters(without));
    const moduleNames = paths.map((_, i) => link.name(i));
    const stop = this.showProgress(suspects.length, 'in doubt: ');
    Atomics.store(control, DONE, 0);
    // Few are quicker here than with the loader in every thread; and here is where those go that a thread died of.
    const alone = new Threads(1);
    const rounds = suspects.length < FEW ? [alone] : [this.threads, alone];
    for (const threads of rounds) {
      if (waiting.size === 0 || interrupt.happened) break;
      Atomics.store(control, NEXT, 0);
      await threads.judge(this.job, tables, moduleNames, [...waiting], hear);
    }
    stop();
    for (const i of waiting) this.unheard.add(i);
    return { refused, hiding };
  }

  private checked(warnings: readonly Warning[], interrupted: boolean): Checked {
    const { link, failed, paths, kernel, threads } = this;
    const mine = [...failed].filter(([i]) => this.isMine(i)).toSorted(([a], [b]) => a - b);
    const all = mine.map(([, finding]) => finding);
    let checked = 0;
    let relocations = this.judgedRelocations;
    let slots = this.judgedSlots;
    let memory = 0;
    paths.forEach((_, i) => {
      if (!this.isMine(i) || !this.looked(i) || this.unheard.has(i)) return;
      checked++;
      if (failed.has(i)) return;
      relocations += link.relocations(i);
      slots += link.slots(i);
      memory += link.memory(i);
    });
    const result: CheckResult = {
      dir: this.dir,
      kernel: kernel.version,
      arch: kernel.arch.name,
      vendor: kernel.vendor,
      vermagic: kernel.head.vermagic,
      modules: this.options.shard === undefined ? paths.length : paths.filter((_path, i) => this.isMine(i)).length,
      checked,
      loaded: checked - all.length,
      failed: all,
      accepted: [],
      gone: [],
      warnings: [...this.warnings, ...warnings],
      relocations,
      slots,
      memory,
      seconds: (performance.now() - this.begin) / 1000,
      interrupted,
      notes: [
        ...kernel.notes,
        ...this.notes,
        ...(threads.note === undefined ? [] : [threads.note]),
        ...strangeSymvers(kernel.symvers, all, checked),
      ],
      judged: this.judged,
    };
    return {
      result,
      link,
      paths,
      get names() {
        return paths.map((_, i) => link.name(i));
      },
    };
  }

  /** How far it is and how long it takes, on a terminal; gives what ends it. */
  private showProgress(total: number, what: string): () => void {
    const begin = performance.now();
    const timer = setInterval(() => {
      const done = Atomics.load(this.control, DONE);
      const seconds = (performance.now() - begin) / 1000;
      const left = done > 0 ? `, ${Math.ceil((seconds * (total - done)) / done)} s left` : '';
      this.io.progress(`${what}${done} of ${total} modules${left}`);
    }, 100);
    return () => {
      clearInterval(timer);
      this.io.progress();
    };
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function symversIn(bytes: Uint8Array, path: string, arena: Arena): void {
  try {
    readSymvers(bytes, arena);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`, { file: path, cause: error });
    throw error;
  }
}
