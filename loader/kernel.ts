/** A kernel is a value: no globals, any number side by side. */
import { type Arch, configOf, type ModuleArea } from '../arch/index.ts';
import { existsIn } from '../arch/summary.ts';
import { type ElfFormat } from '../relocs/elf.ts';
import type { Config, Version } from '../relocs/module-view.ts';
import { AsyncFunctions } from './async.ts';
import type { KernelExport } from './exports.ts';
import type { Idempotent } from './idempotent.ts';
import { InputError } from './input-error.ts';
import { AddressSpace } from './memory.ts';
import type { Module } from './module.ts';
import { NotifierChain } from './notifier.ts';
import { Rcu } from './rcu.ts';
import type { Taint } from './taint.ts';
import { WaitQueue } from './wait.ts';

/** Whose kernel it is: Debian refuses a symbol that `__versions` does not list (see KERNEL-FACTS, deviations). */
export type Vendor = 'mainline' | 'debian';

/** Switches as a distribution kernel has them; `arch.config` and the caller's override. */
export const defaultConfig: Config = {
  SMP: true,
  MODULE_UNLOAD: true,
  MODULE_FORCE_UNLOAD: false,
  MODULE_FORCE_LOAD: false,
  MODVERSIONS: true,
  MODULE_SIG: true,
  MODULE_SIG_FORCE: false,
  LOCKDOWN: false,
  MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS: false,
  STRICT_MODULE_RWX: true,
  KALLSYMS: true,
  KALLSYMS_ALL: true,
  LIVEPATCH: true,
  CONSTRUCTORS: false,
  DYNAMIC_FTRACE: true,
  HAVE_STATIC_CALL_INLINE: false,
  PAGE_SIZE: 4096,
};

export interface KernelOptions {
  readonly arch: Arch;
  readonly version: Version;
  readonly vendor?: Vendor;
  /** Byte order the kernel is built for; default, the architecture's first. */
  readonly order?: 'little' | 'big';
  readonly config?: Config;
  /**
   * UTS_RELEASE and the rest of VERMAGIC_STRING. Not given: the first module that is loaded is taken to be built for
   * this kernel, and the others must agree with it.
   */
  readonly vermagic?: string;
  /** sizeof(struct module); not given: as vermagic. */
  readonly structModuleSize?: number;
  readonly exports?: Iterable<KernelExport>;
  /** All symbols of vmlinux in order of address, for livepatches; default, its exports. */
  readonly kallsyms?: Iterable<readonly [name: string, value: bigint]>;
  /** module_blacklist= of the command line. */
  readonly blacklist?: readonly string[];
  /** Bytes that all modules together may have in .data..percpu (PERCPU_MODULE_RESERVE); default, no limit. */
  readonly percpuReserve?: number;
  /** Bytes of memory in the machine: vmalloc() refuses a region that is larger. Default 256 MiB. */
  readonly ram?: number;
  /** Names in /sys/module of built-in modules (C99). */
  readonly builtin?: Iterable<string>;
  /**
   * False: a module's memory is dropped once it is LIVE (exports, names and states stay), so that whole trees fit.
   */
  readonly retainMemory?: boolean;
}

/** An exported symbol with its address, wherever it comes from. */
export interface ResolvedExport {
  readonly name: string;
  readonly value: bigint;
  readonly crc: number | undefined;
  readonly gplonly: boolean;
  readonly namespace: string;
  /** Undefined: vmlinux. */
  readonly owner: Module | undefined;
}

export class Kernel {
  readonly arch: Arch;
  readonly version: Version;
  readonly vendor: Vendor;
  readonly format: ElfFormat;
  readonly config: Config;
  vermagic: string | undefined;
  structModuleSize: number | undefined;
  readonly blacklist: ReadonlySet<string>;
  readonly builtin: ReadonlySet<string>;
  readonly retainMemory: boolean;
  readonly ram: number;
  /** vmlinux' own exports. */
  readonly exports: Map<string, ResolvedExport> = new Map();
  /** Exports of modules by name, newest module first. */
  readonly moduleExports: Map<string, ResolvedExport[]> = new Map();
  /** `modules`: newest first, UNFORMED ones included. */
  readonly modules: Module[] = [];
  private readonly byName = new Map<string, Module>();
  readonly memory: AddressSpace = new AddressSpace();
  readonly taints: Set<Taint> = new Set();
  /** kernel.modules_disabled: once set, nothing is loaded or unloaded any more. */
  modulesDisabled = false;
  /** module_wq: woken whenever a load or an unload has ended. */
  readonly moduleWq: WaitQueue = new WaitQueue('module_wq');
  /** module_notify_list */
  readonly notifiers: NotifierChain = new NotifierChain();
  /** What modules have scheduled to run by itself. */
  readonly async: AsyncFunctions = new AsyncFunctions();
  /** Who looks at modules without a reference. */
  readonly rcu: Rcu = new Rcu();
  /** What udev has been told: "add@/module/minimal", and "remove@…" of what was told. */
  readonly uevents: string[] = [];
  /** Files that finit_module() is loading, by inode. */
  readonly idempotent: Map<unknown, Idempotent> = new Map();
  /** Milliseconds since boot. */
  now = 0;
  /** last_unloaded_module: name and taint letters in parentheses, as an oops shows it. */
  lastUnloadedModule: { readonly name: string; readonly taints: string } | undefined;
  /** unloaded_tainted_modules, newest first. */
  readonly unloadedTaintedModules: { readonly name: string; readonly taints: ReadonlySet<Taint>; count: number }[] = [];
  /** dmesg, level prefix stripped. */
  readonly log: string[] = [];
  readonly percpu: PercpuArea;
  private readonly onceSaid = new Set<string>();
  private readonly symbols: Map<string, bigint[]> | undefined;

  /** @throws InputError an architecture that this version does not have */
  constructor(options: KernelOptions) {
    const { arch } = options;
    if (!existsIn(arch, options.version))
      throw new InputError(
        `Linux ${options.version} has no ${arch.name} (${arch.since === undefined ? `last in ${arch.until}` : `first in ${arch.since}`})`,
      );
    this.arch = arch;
    this.version = options.version;
    this.vendor = options.vendor ?? 'mainline';
    this.format = { is64: arch.is64, little: (options.order ?? arch.orders[0]) === 'little' };
    this.config = { ...defaultConfig, PAGE_SIZE: arch.pageSize, ...configOf(arch, options.version), ...options.config };
    this.vermagic = options.vermagic;
    this.structModuleSize = options.structModuleSize;
    this.blacklist = new Set(options.blacklist);
    this.builtin = new Set(options.builtin);
    this.retainMemory = options.retainMemory ?? true;
    this.ram = options.ram ?? 1 << 28;
    this.percpu = new PercpuArea(this.area.percpu, options.percpuReserve);
    this.addExports(options.exports ?? []);
    if (options.kallsyms !== undefined) {
      this.symbols = new Map();
      for (const [name, value] of options.kallsyms) {
        const same = this.symbols.get(name);
        if (same === undefined) this.symbols.set(name, [value]);
        else same.push(value);
      }
    }
  }

  /** Module, kernel image and per-CPU addresses of this kernel. */
  get area(): ModuleArea & Required<Pick<ModuleArea, 'data' | 'kernel' | 'percpu'>> {
    const area = this.arch.moduleArea(this.version, this.config);
    const kernel = area.kernel ?? area.text[0] - 0x0200_0000n;
    return { ...area, data: area.data ?? area.text, kernel, percpu: area.percpu ?? kernel + 0x0180_0000n };
  }

  /**
   * Adds vmlinux exports. One without a known address gets one in the kernel image, 16 bytes apart in order of
   * arrival.
   */
  addExports(exports: Iterable<KernelExport>): void {
    const base = this.area.kernel + 0x10_0000n;
    for (const e of exports) {
      const value = e.value ?? base + BigInt(this.exports.size * 16);
      this.exports.set(e.name, { ...e, value, owner: undefined });
    }
  }

  /** kallsyms_on_each_match_symbol(): addresses of all symbols of vmlinux with that name. */
  kallsyms(name: string): readonly bigint[] {
    if (this.symbols !== undefined) return this.symbols.get(name) ?? [];
    const exported = this.exports.get(name);
    return exported === undefined ? [] : [exported.value];
  }

  /** printk. */
  printk(line: string): void {
    this.log.push(line);
  }

  /** True the first time a call site asks (printk_once). */
  once(site: string): boolean {
    if (this.onceSaid.has(site)) return false;
    this.onceSaid.add(site);
    return true;
  }

  /** find_module_all(name, even_unformed). */
  findModule(name: string, evenUnformed = false): Module | undefined {
    const m = this.byName.get(name);
    return m !== undefined && (evenUnformed || m.state !== 'UNFORMED') ? m : undefined;
  }

  /** list_add_rcu(): at the head. A name is in the list once. */
  link(m: Module): void {
    this.modules.unshift(m);
    this.byName.set(m.name, m);
  }

  /** list_del_rcu() */
  unlink(m: Module): void {
    const i = this.modules.indexOf(m);
    if (i < 0) return;
    this.modules.splice(i, 1);
    this.byName.delete(m.name);
  }

  switch(name: string): boolean {
    return this.config[name] === true;
  }

  /** test_taint() and add_taint(). */
  addTaint(taint: Taint): void {
    this.taints.add(taint);
  }
}

/** PCPU_MIN_UNIT_SIZE and PCPU_MIN_ALLOC_SIZE: the most and the least that pcpu_alloc() gives out. */
const PCPU_MIN_UNIT_SIZE = 32 << 10;
const PCPU_MIN_ALLOC_SIZE = 4;

/** pcpu_alloc() of the reserved chunk: offsets only; what lies there is the template of the module. */
export class PercpuArea {
  private readonly base: bigint;
  private readonly limit: number | undefined;
  private readonly taken: { at: number; size: number }[] = [];

  constructor(base: bigint, limit: number | undefined) {
    this.base = base;
    this.limit = limit;
  }

  /**
   * The cookie that symbols of the section are relative to; undefined when the reserve is exhausted, the size above
   * 32 KiB or the alignment no power of two.
   */
  alloc(bytes: number, align: number): bigint | undefined {
    const alignment = Math.max(align, PCPU_MIN_ALLOC_SIZE);
    const size = Math.ceil(bytes / PCPU_MIN_ALLOC_SIZE) * PCPU_MIN_ALLOC_SIZE;
    if (size > PCPU_MIN_UNIT_SIZE || (alignment & (alignment - 1)) !== 0) return undefined;
    let at = 0;
    let i = 0;
    for (; i < this.taken.length; i++) {
      const t = this.taken[i]!;
      if (at + size <= t.at) break;
      at = Math.ceil((t.at + t.size) / alignment) * alignment;
    }
    if (this.limit !== undefined && at + size > this.limit) return undefined;
    this.taken.splice(i, 0, { at, size });
    return this.base + BigInt(at);
  }

  free(cookie: bigint): void {
    const at = Number(cookie - this.base);
    const i = this.taken.findIndex((t) => t.at === at);
    if (i >= 0) this.taken.splice(i, 1);
  }

  /** Bytes handed out. */
  get used(): number {
    return this.taken.reduce((sum, t) => sum + t.size, 0);
  }
}
