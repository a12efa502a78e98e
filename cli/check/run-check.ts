/** A whole check: the tree is read once by all threads, linked here, and what is in doubt goes through insmod. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Arch } from '../../arch/arch.ts';
import { moduleName } from '../../loader/depend-files.ts';
import { InputError } from '../../loader/input-error.ts';
import type { Config, Version } from '../../relocs/module-view.ts';
import type { Vendor } from '../../loader/kernel.ts';
import { fileError } from '../file-error.ts';
import type { Io } from '../io.ts';
import { profileOf, vendorOf } from '../profile.ts';
import { closest } from '../suggest.ts';
import { UsageError } from '../usage-error.ts';
import { type CheckResult, causeOf, type Finding, type SymbolFault, type Warning } from './findings.ts';
import { circles, type Graph } from './graph.ts';
import { treeHead, type TreeHead } from './head.ts';
import type { Exporter, Verdict } from './judge.ts';
import { type ImportFault, Link } from './link.ts';
import { Names, NamesFull } from './names.ts';
import { proofTable } from './proof.ts';
import { E_FLAGS, GPL_ONLY, HAS_CRC, STRUCT_SIZE, VERMAGIC } from './records.ts';
import type { Frame } from './scan.ts';
import { readSymvers, type Symvers } from './symvers.ts';
import { Threads } from './threads.ts';
import { Interrupt } from './interrupt.ts';
import { type ModuleFiles, moduleFiles, symversFor } from './tree.ts';
import { treeWarnings } from './warnings.ts';
import { CONTROL_WORDS, DONE, type Job, type JudgeTables, NEXT, type Problem, STOP } from './work.ts';

export interface RunOptions {
  readonly symvers?: string | undefined;
  readonly symbols?: string | undefined;
  readonly kernel?: Version | undefined;
  readonly vendor?: Vendor | undefined;
  readonly config?: string | undefined;
  readonly jobs: number;
  readonly shard?: { readonly index: number; readonly count: number } | undefined;
}

/** The result, and the graph for those who want it. */
export interface Checked {
  readonly result: CheckResult;
  readonly link: Link;
  readonly paths: readonly string[];
  /** Direct dependencies, with nobody left out. */
  readonly graph: Graph;
  /** Of the modules. */
  readonly names: readonly string[];
}

/** Modules that keep a thread busy for as long as it takes to start one. */
const WORTH_A_THREAD = 150;

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
    const check = await new Check(files, options, io, threads, begin).prepare(scale);
    return await check.run();
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
  private readonly warnings: Warning[] = [];
  private readonly notes: string[] = [];
  private readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  private readonly failed = new Map<number, Finding>();
  private readonly problems = new Map<number, Problem>();
  private head!: TreeHead;
  private arch!: Arch;
  private version!: Version;
  private vendor!: Vendor;
  private config: Config | undefined;
  /** CONFIG_MODVERSIONS, by --config or the vermagic. */
  private modversions = true;
  private symvers!: string;
  private job!: Job;
  private link!: Link;
  /** Makes the link, once the threads have begun. */
  private open!: () => void;
  private judgedRelocations = 0;
  private judgedSlots = 0;
  private judged = 0;
  private builtIn: ReadonlySet<string> | undefined;

  constructor(files: ModuleFiles, options: RunOptions, io: Io, threads: Threads, begin: number) {
    this.options = options;
    this.io = io;
    this.threads = threads;
    this.begin = begin;
    this.dir = files.dir;
    this.paths = files.paths;
    for (const text of files.unreadable) this.warnings.push({ kind: 'tree', module: '', text });
  }

  async prepare(scale: number): Promise<this> {
    const { options, dir, paths } = this;
    const symvers = options.symvers ?? symversFor(dir);
    if (symvers === undefined)
      throw new UsageError(
        `${dir} has no Module.symvers: --symvers FILE says what the kernel exports (Debian: in linux-headers)`,
      );
    this.symvers = symvers;
    if (options.symvers === undefined) this.notes.push(`symbols from ${symvers}`);

    const head = await treeHead(dir, paths);
    if (head === undefined)
      throw new InputError(`${dir}: none of the files is a kernel module that can be read`, { file: dir });
    this.head = head;
    const [release] = head.vermagic.split(' ');
    const profile = options.kernel === undefined ? profileOf(release) : { version: options.kernel };
    if ('note' in profile && profile.note !== undefined) this.notes.push(profile.note);
    this.version = profile.version;
    this.vendor = options.vendor ?? vendorOf(release);
    this.arch = await archFor(head, dir);
    if (options.config !== undefined)
      this.config = await (await import('../kernel-config.ts')).readConfig(options.config);

    const bytes = readBytes(symvers);
    // A line is some 60 bytes; names that are in no line are few.
    const ids = 2 ** Math.ceil(Math.log2(bytes.length / 50 + paths.length * 4 + (1 << 13))) * scale;
    const names = Names.create(ids, ids * 40);
    const on = (name: string, otherwise: boolean): boolean => (this.config?.[name] ?? otherwise) === true;
    this.modversions = on('MODVERSIONS', / modversions /.test(head.vermagic));
    const proof = this.config === undefined ? proofTable(this.arch, this.version) : undefined;
    const frame: Frame = {
      is64: head.is64,
      little: head.little,
      e_machine: head.e_machine,
      version: this.version,
      proof,
      modversions: this.modversions,
      signed: on('MODULE_SIG_FORCE', false) || on('LOCKDOWN', false),
    };
    const strictVersions = this.vendor === 'debian';
    const allowMissingNamespaces = on('MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS', false);
    const inModuleNamespace =
      this.version === '7.2' ? (await import('../../loader/symbols.ts')).inModuleNamespace : undefined;
    // Read while the threads are at work already.
    this.open = () => {
      const table = symversIn(bytes, symvers, names);
      const { modversions } = frame;
      this.link = new Link(paths, names, table, {
        modversions,
        strictVersions,
        allowMissingNamespaces,
        inModuleNamespace,
      });
    };
    this.job = {
      names: names.shared,
      control: this.control.buffer,
      dir,
      paths,
      frame,
      shard: options.shard,
      judge: proof === undefined ? this.tables() : undefined,
    };
    return this;
  }

  async run(): Promise<Checked> {
    const interrupt = new Interrupt(() => Atomics.store(this.control, STOP, 1));
    const stop = this.showProgress(this.paths.length, '');
    // Reading plain modules takes half a second, in which TurboFan costs more than it gives; insmod wants it.
    if (this.job.judge === undefined) setFlagsFromString('--no-turbofan');
    try {
      const scanned = this.threads.scan(this.job, ({ records, problems }) => {
        this.link.ingest(records);
        for (const problem of problems) this.problems.set(problem.module, problem);
      });
      this.open();
      await scanned;
      stop();
      setFlagsFromString('--turbofan');
      const graph = await this.linkAll(interrupt);
      if (this.options.shard === undefined && !interrupt.happened)
        this.warnings.push(...treeWarnings(this.dir, this.link, this.paths));
      if (this.threads.note !== undefined) this.notes.push(this.threads.note);
      return this.checked(graph, interrupt.happened);
    } finally {
      setFlagsFromString('--turbofan');
      stop();
      interrupt.close();
    }
  }

  /** Whether this run answers for a module. */
  private isMine(i: number): boolean {
    const { shard } = this.options;
    return shard === undefined || i % shard.count === shard.index;
  }

  private looked(i: number): boolean {
    return this.isMine(i) && (this.link.seen(i) || this.problems.has(i));
  }

  private async linkAll(interrupt: Interrupt): Promise<Graph> {
    const { link, failed, paths } = this;
    for (const [i, problem] of this.problems) this.unreadable(i, problem);
    link.provide(new Set(this.problems.keys()));
    const graph: Graph = { count: paths.length, uses: paths.map((_, i) => link.dependencies(i)) };
    const inCircle = new Map<number, readonly number[]>();
    for (const circle of circles(graph)) for (const i of circle) inCircle.set(i, circle);
    this.sameNames();

    const odd = this.oddOnesOut();
    let again: ReadonlySet<number> | undefined;
    for (let first = true; ; first = false) {
      const without = new Set([...failed.keys(), ...inCircle.keys()]);
      const duplicates = link.provide(without);
      const suspects: number[] = [];
      for (let i = 0; i < paths.length; i++) {
        if (!this.looked(i) || failed.has(i)) continue;
        const isSuspect = first
          ? !link.has(i) || link.doubted(i) || odd.has(i) || inCircle.has(i) || duplicates.has(i) || !link.linked(i)
          : graph.uses[i]!.some((other) => again!.has(other));
        if (isSuspect) suspects.push(i);
      }
      if (suspects.length === 0) return graph;
      const verdicts = await this.judge(suspects, without, interrupt);
      const fresh = new Set<number>();
      for (const [i, verdict] of verdicts) {
        fresh.add(i);
        failed.set(i, this.finding(i, verdict, duplicates, graph, inCircle.get(i)));
      }
      if (fresh.size === 0 || interrupt.happened) return graph;
      // Whose providers have just gone is asked again without them.
      again = fresh;
    }
  }

  /** Modules that are for another kernel than most. */
  private oddOnesOut(): Set<number> {
    const { link, paths } = this;
    const odd = new Set<number>();
    for (const word of [VERMAGIC, STRUCT_SIZE, E_FLAGS] as const) {
      const most = link.most(word);
      paths.forEach((_, i) => {
        if (link.has(i) && link.field(i, word) !== most) odd.add(i);
      });
    }
    return odd;
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
    if (!this.isMine(i)) return;
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
    const { arch, version, vendor, head, config, symvers } = this;
    const setup = {
      arch: arch.name,
      order: head.little ? ('little' as const) : ('big' as const),
      version,
      vendor,
      config: { ...config, MODVERSIONS: this.modversions },
      vermagic: head.vermagic,
      structModuleSize: head.structModuleSize,
    };
    return { setup, symvers, ...(exporters === undefined ? {} : { exporters }) };
  }

  /** Puts modules before insmod; gives those that it refuses. */
  private async judge(
    suspects: readonly number[],
    without: ReadonlySet<number>,
    interrupt: Interrupt,
  ): Promise<Map<number, Verdict>> {
    const { link, paths, control } = this;
    const exporters: Exporter[] = [];
    for (let i = 0; i < paths.length; i++) {
      if (without.has(i)) continue;
      const exports = link.exports(i).filter(({ name }) => link.providerOf(name) === i);
      if (exports.length === 0) continue;
      exporters.push({
        name: link.name(i),
        proprietary: link.isProprietary(i),
        exports: exports.map(({ name, bits, crc, namespace }) => ({
          name: link.names.name(name),
          crc: (bits & HAS_CRC) === 0 ? undefined : crc >>> 0,
          gplonly: (bits & GPL_ONLY) !== 0,
          namespace: link.names.name(namespace),
        })),
      });
    }
    Atomics.store(control, NEXT, 0);
    Atomics.store(control, DONE, 0);
    const refused = new Map<number, Verdict>();
    const heard = new Set<number>();
    const stop = this.showProgress(suspects.length, 'in doubt: ');
    const moduleNames = paths.map((_, i) => link.name(i));
    // Few are quicker here than with the loader in every thread.
    const threads = suspects.length < 16 ? new Threads(1) : this.threads;
    await threads.judge(
      this.job,
      this.tables(exporters),
      moduleNames,
      suspects,
      ({ module, verdict, relocations, slots }) => {
        heard.add(module);
        this.judged++;
        if (verdict !== undefined) refused.set(module, verdict);
        else {
          this.judgedRelocations += relocations - link.relocations(module);
          this.judgedSlots += slots - link.slots(module);
        }
      },
    );
    stop();
    if (interrupt.happened) for (const i of suspects) if (!heard.has(i)) this.unheard.add(i);
    return refused;
  }

  /** Interrupted before insmod had its say. */
  private readonly unheard = new Set<number>();

  private finding(
    i: number,
    verdict: Verdict,
    duplicates: ReadonlyMap<number, readonly { readonly symbol: number; readonly owner: number }[]>,
    graph: Graph,
    circle: readonly number[] | undefined,
  ): Finding {
    const { link } = this;
    const { errno, log, reason, check, crash } = verdict;
    const faults = check === 'read' || !link.has(i) ? [] : link.faults(i);
    const symbols: SymbolFault[] = faults.map((fault) => this.describe(fault, graph, i));
    for (const { symbol, owner } of duplicates.get(i) ?? []) {
      const provider = owner < 0 ? 'vmlinux' : link.name(owner);
      symbols.push({
        symbol: link.names.name(symbol),
        kind: 'duplicate',
        provider,
        near: `${provider} exports it already`,
      });
    }
    const base = { module: link.name(i), path: this.paths[i]!, errno, log, check: check === 'read' ? '' : check };
    if (circle !== undefined && check === 'C79') {
      const needs = circle.map((other) => link.name(other));
      return {
        ...base,
        cause: 'cycle',
        symbols,
        needs,
        reason: `${needs.join(', ')} need each other: none of them can be loaded first`,
      };
    }
    const gone = graph.uses[i]!.filter((other) => this.failed.has(other)).map((other) => link.name(other));
    const onlyGone =
      faults.length > 0 && faults.every((f) => f.kind === 'missing' && this.ownerOf(f.symbol, graph, i) !== undefined);
    if (check === 'C79' && gone.length > 0 && onlyGone)
      return {
        ...base,
        cause: 'dependency',
        symbols,
        needs: gone,
        reason: `needs ${gone.join(', ')}, which ${gone.length === 1 ? 'does' : 'do'} not load`,
      };
    const cause = crash ? 'invalid-file' : causeOf(check, errno);
    return { ...base, cause, symbols: symbols.filter(belongsTo(cause)), needs: gone, reason };
  }

  /** The failed module among a module's dependencies that exports a symbol. */
  private ownerOf(symbol: number, graph: Graph, i: number): number | undefined {
    return graph.uses[i]!.find(
      (other) =>
        (this.failed.has(other) || other === i) && this.link.exports(other).some(({ name }) => name === symbol),
    );
  }

  private describe(fault: ImportFault, graph: Graph, i: number): SymbolFault {
    const { link } = this;
    const symbol = link.names.name(fault.symbol);
    if (fault.kind === 'missing') {
      const owner = this.ownerOf(fault.symbol, graph, i);
      if (owner !== undefined) {
        const provider = link.name(owner);
        return { symbol, kind: 'missing', provider, near: `exported by ${provider}, which does not load` };
      }
      const listed = link.listedOwner(fault.symbol);
      if (listed !== undefined)
        return {
          symbol,
          kind: 'missing',
          provider: listed,
          near: `Module.symvers lists it for ${listed}, ${this.whereIs(listed)}`,
        };
      if (this.kernelHas(symbol))
        return { symbol, kind: 'missing', provider: 'vmlinux', near: 'built into the kernel, but not exported' };
      return { symbol, kind: 'missing', near: like(closest(symbol, link.exportedNames())) };
    }
    const provider = fault.provider < 0 ? 'vmlinux' : link.name(fault.provider);
    switch (fault.kind) {
      case 'crc': {
        const wanted =
          fault.wanted === undefined
            ? 'the module does not list it in __versions'
            : `the module wants ${hex32(fault.wanted)}`;
        return {
          symbol,
          kind: 'crc',
          provider,
          near: `${provider} exports it with CRC ${hex32(fault.found)}, ${wanted}`,
        };
      }
      case 'namespace': {
        const namespace = link.names.name(fault.namespace);
        return {
          symbol,
          kind: 'namespace',
          provider,
          near: `${provider} exports it in namespace ${namespace}: MODULE_IMPORT_NS("${namespace}") is missing`,
        };
      }
      case 'licence':
        return { symbol, kind: 'licence', provider, near: `${provider} exports it GPL-only` };
    }
  }

  private whereIs(module: string): string {
    const at = this.paths.findIndex((path) => moduleName(path) === module);
    if (at < 0) return 'which is not in this tree';
    return this.failed.has(at) ? 'which does not load' : 'which does not export it';
  }

  /** `--symbols`: what the kernel has, exported or not. */
  private kernelHas(symbol: string): boolean {
    const { symbols } = this.options;
    if (symbols === undefined) return false;
    this.builtIn ??= new Set(
      readText(symbols)
        .split('\n')
        .map((line) => line.split(/\s+/)[2] ?? ''),
    );
    return this.builtIn.has(symbol);
  }

  private checked(graph: Graph, interrupted: boolean): Checked {
    const { link, failed, paths } = this;
    const all = [...failed].toSorted(([a], [b]) => a - b).map(([, finding]) => finding);
    let checked = 0;
    let relocations = this.judgedRelocations;
    let slots = this.judgedSlots;
    let memory = 0;
    paths.forEach((_, i) => {
      if (!this.looked(i) || this.unheard.has(i)) return;
      checked++;
      if (failed.has(i)) return;
      relocations += link.relocations(i);
      slots += link.slots(i);
      memory += link.memory(i);
    });
    const result: CheckResult = {
      dir: this.dir,
      kernel: this.version,
      arch: this.arch.name,
      vendor: this.vendor,
      vermagic: this.head.vermagic,
      modules: this.options.shard === undefined ? paths.length : paths.filter((_path, i) => this.isMine(i)).length,
      checked,
      loaded: checked - failed.size,
      failed: all,
      accepted: [],
      gone: [],
      warnings: this.warnings,
      relocations,
      slots,
      memory,
      seconds: (performance.now() - this.begin) / 1000,
      interrupted,
      notes: this.notes,
      judged: this.judged,
    };
    return {
      result,
      link,
      paths,
      graph,
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

/** Which faults speak for a cause: a module with a wrong CRC and a missing symbol is listed under what insmod said. */
const belongsTo =
  (cause: string) =>
  ({ kind }: SymbolFault): boolean => {
    switch (cause) {
      case 'missing-symbol':
      case 'crc':
      case 'namespace':
      case 'licence':
        return kind !== 'duplicate';
      case 'duplicate-export':
        return kind === 'duplicate';
      default:
        return false;
    }
  };

const like = (names: readonly string[]): string =>
  names.length === 0 ? 'nobody exports it, nor anything like it' : `nobody exports it; there is ${names.join(', ')}`;

const hex32 = (v: number): string => `0x${v.toString(16).padStart(8, '0')}`;

/** The architecture of the tree; one with a proof without all the others. */
async function archFor(head: TreeHead, dir: string): Promise<Arch> {
  if (head.is64) {
    if (head.e_machine === 62 && head.little) return (await import('../../arch/x86.ts')).x86_64;
    if (head.e_machine === 183) return (await import('../../arch/arm64.ts')).arm64;
    if (head.e_machine === 243 && head.little) return (await import('../../arch/riscv.ts')).riscv64;
    if (head.e_machine === 22 && !head.little) return (await import('../../arch/s390.ts')).s390x;
    if (head.e_machine === 258 && head.little) return (await import('../../arch/loongarch.ts')).loongarch64;
  }
  const { archOf, arches } = await import('../../arch/index.ts');
  const { is64, little, e_machine, e_flags } = head;
  const arch = archOf({ is64, little, e_machine, e_flags, e_entry: 0n }, arches);
  if (arch !== undefined) return arch;
  const { machineName } = await import('../machine-names.ts');
  throw new UsageError(`${dir} is for ${machineName(e_machine, is64, little)}, which is not supported`);
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function symversIn(bytes: Uint8Array, path: string, names: Names): Symvers {
  try {
    return readSymvers(bytes, names);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`, { file: path, cause: error });
    throw error;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw fileError(path, error);
  }
}
