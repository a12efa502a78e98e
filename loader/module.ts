/** struct module, and the section headers it is made from while it is loading. */
import { isExitSection, isInitSection } from '../arch/index.ts';
import type { ElfFormat } from '../relocs/elf.ts';
import type { Config, Memory, ModuleView, Region, Version } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';
import { cString, type Symtab } from '../relocs/symbols.ts';
import type { ModuleExtable } from './extable.ts';
import type { Kernel, ResolvedExport } from './kernel.ts';
import type { Placement } from './layout.ts';
import type { LoadInfo } from './load-info.ts';
import type { ParamValue } from './params.ts';
import { type Taint, taintLetters } from './taint.ts';
import type { Wait, Wake } from './wait.ts';

/** enum module_state. */
export type State = 'UNFORMED' | 'COMING' | 'LIVE' | 'GOING';

/** A module's code that others run beside: it yields where they may, and a Wait where it sleeps. */
export type Code<T> = Generator<Wait | undefined, T, Wake>;

/** What a module's own code does; the default init returns 0. */
export interface Behaviour {
  /** module_init: 0, a positive number, or a negative errno. */
  readonly init?: (m: Module) => number | Code<number>;
  readonly exit?: (m: Module) => void | Code<void>;
}

export interface Percpu {
  /** mod->percpu: what symbols of .data..percpu are relative to. */
  readonly cookie: bigint;
  readonly size: number;
}

const INIT_REGIONS: readonly Region[] = ['init', 'init_text', 'init_data', 'init_rodata'];

export class Module implements ModuleView {
  readonly kernel: Kernel;
  /** struct module.name */
  readonly name: string;
  state: State = 'UNFORMED';
  readonly e_machine: number;
  readonly e_flags: number;
  sections: readonly Section[];
  symtab: Symtab | undefined;
  /** Where each SHF_ALLOC section went, by section number. */
  placement: readonly (Placement | undefined)[] = [];
  readonly memory: Partial<Record<Region, Memory>> = {};
  /** Init memory as it was when it was freed, so that it can still be looked at. */
  readonly freed: Partial<Record<Region, Memory>> = {};
  readonly taints: Set<Taint> = new Set();
  /** mod->using_gplonly_symbols */
  usingGplonlySymbols = false;
  /** Modules that use this one (source_list), oldest first. */
  readonly sources: Set<Module> = new Set();
  /** Modules that this one uses (target_list). */
  readonly targets: Set<Module> = new Set();
  /** mod->refcnt with MODULE_REF_BASE in it. */
  refcnt = 0;
  /** Own exports in table order; see ksymtab.ts. */
  exports: readonly ResolvedExport[] = [];
  percpu: Percpu | undefined;
  params: ReadonlyMap<string, ParamValue> = new Map();
  /** Entries of __ex_table; those of init code go with it. */
  extable: ModuleExtable | undefined;
  /** modinfo's version= */
  versionString: string | undefined;
  srcversion: string | undefined;
  importedNamespaces: readonly string[] = [];
  license = 'unspecified';
  sigOk = true;
  /** mod->klp: known before layout, which keeps all symbols of a livepatch. */
  readonly isLivepatch: boolean;
  asyncProbe = false;
  /** A uevent has told of it. */
  announced = false;
  /** /sys/module/NAME is there: from mod_sysfs_setup() to mod_sysfs_teardown(). */
  sysfs = false;
  /** Number of WARN_ONs so far, and what they were about. */
  readonly warnings: string[] = [];
  readonly behaviour: Behaviour;
  readonly hasInit: boolean;
  readonly hasExit: boolean;
  /** Lines of this load. */
  readonly lines: string[];

  constructor(kernel: Kernel, info: LoadInfo, name: string, behaviour: Behaviour, lines: string[]) {
    this.kernel = kernel;
    this.name = name;
    this.e_machine = info.hdr.e_machine;
    this.e_flags = info.hdr.e_flags;
    this.sections = info.sections;
    this.symtab = info.index.sym === 0 ? undefined : info.symtab;
    this.isLivepatch = info.modinfo('livepatch') !== undefined;
    this.behaviour = behaviour;
    this.lines = lines;
    const names = codeNames(info);
    this.hasInit = names.has('init_module');
    this.hasExit = names.has('cleanup_module');
  }

  /** mod->init: the file has one, or the behaviour says what it does. */
  get hasInitFunction(): boolean {
    return this.hasInit || this.behaviour.init !== undefined;
  }

  /** mod->exit */
  get hasExitFunction(): boolean {
    return this.hasExit || this.behaviour.exit !== undefined;
  }

  get format(): ElfFormat {
    return this.kernel.format;
  }

  get version(): Version {
    return this.kernel.version;
  }

  get config(): Config {
    return this.kernel.config;
  }

  log(line: string): void {
    this.lines.push(line);
    this.kernel.printk(line);
  }

  /** pr_warn_once() and friends: once per kernel and call site. */
  logOnce(site: string, line: string): void {
    if (this.kernel.once(site)) this.log(line);
  }

  warn(what: string): void {
    this.warnings.push(what);
  }

  withinInit(address: bigint): boolean {
    if (INIT_REGIONS.some((r) => within(this.memory[r], address))) return true;
    if (Object.values(this.memory).some((m) => within(m, address))) return false;
    // A section that --place put outside of its region still belongs to it.
    const at = this.sections.find(
      (s) => address >= s.sh_addr && address < s.sh_addr + BigInt(s.sh_size) && this.placement[s.index],
    );
    return at !== undefined && INIT_REGIONS.includes(this.placement[at.index]!.region);
  }

  /** module_init_layout_section(): without MODULE_UNLOAD exit code goes the way of init code. */
  isInitLayout(name: string): boolean {
    const { arch } = this.kernel;
    return isInitSection(arch, name) || (!this.kernel.switch('MODULE_UNLOAD') && isExitSection(arch, name));
  }

  /** The C string at an address of the module's memory; undefined outside of it. */
  stringAt(address: bigint): string | undefined {
    const s = this.sectionAt(address);
    return s && cString(s.bytes, Number(address - s.sh_addr));
  }

  /** The SHF_ALLOC section that covers an address. */
  sectionAt(address: bigint): Section | undefined {
    return this.sections.find(
      (s) =>
        this.placement[s.index] !== undefined && address >= s.sh_addr && address < s.sh_addr + BigInt(s.bytes.length),
    );
  }

  /** module_refcount(): −1 while it is unloading. */
  get refcount(): number {
    return this.refcnt - 1;
  }

  /** Drops contents and symbol table; addresses, sizes, exports and names stay. */
  forgetMemory(): void {
    const nothing = new Uint8Array(0);
    for (const all of [this.memory, this.freed]) for (const m of Object.values(all)) m.bytes = nothing;
    for (const s of this.sections) s.bytes = nothing;
    this.symtab = undefined;
  }

  /** Sum of all memory sizes, as /proc/modules shows it. */
  get size(): number {
    return Object.values(this.memory).reduce((sum, m) => sum + m.size, 0);
  }

  /** The taint letters in /proc/modules and oopses, without the parentheses. */
  get taintLetters(): string {
    return taintLetters(this.taints);
  }
}

const within = (m: Memory | undefined, address: bigint): boolean =>
  m !== undefined && address >= m.base && address < m.base + BigInt(m.size);

/** init_module and cleanup_module, if the this_module section is relocated against them (KERNEL-FACTS, I). */
function codeNames(info: LoadInfo): Set<string> {
  const found = new Set<string>();
  const { symtab } = info;
  for (let i = symtab.count - 1; i > 0; i--) {
    if (symtab.st_shndx(i) === 0) continue;
    const name = symtab.name(i);
    if (name === 'init_module' || name === 'cleanup_module') found.add(name);
    if (found.size === 2) break;
  }
  return found;
}
