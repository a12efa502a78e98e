/** What the loader asks of an architecture. Every hook defaults to what the kernel's `__weak` function does. */
import type { Verdict } from '../relocs/howto.ts';
import type { Config, ModuleView, Region, Version } from '../relocs/module-view.ts';
import { type Rules, type RulesSpec, rules } from '../relocs/rules.ts';
import type { Site } from '../relocs/site.ts';

/** The fields of an ELF header that elf_check_arch() macros look at. */
export interface HeaderFacts {
  readonly is64: boolean;
  readonly little: boolean;
  readonly e_machine: number;
  readonly e_flags: number;
  readonly e_entry: bigint;
}

/** Where modules may lie (B.9), before randomisation. Ends are exclusive. */
export interface ModuleArea {
  readonly text: readonly [start: bigint, end: bigint];
  readonly data?: readonly [start: bigint, end: bigint];
  /** Where to look when the first range is full (arm64's 2 GiB window, with PLTs). */
  readonly fallback?: readonly [start: bigint, end: bigint];
  /** Where the kernel image lies; default, 32 MiB below the text range. */
  readonly kernel?: bigint;
  /** First value of mod->percpu; default, in the kernel image. */
  readonly percpu?: bigint;
}

/** What a recorded case says of the kernel it was recorded with, beside version and byte order. */
export interface RecordedWith {
  readonly config: string | undefined;
  readonly variant: number | undefined;
  readonly flavour: string | undefined;
  readonly dp: string | undefined;
  /** The recorder's name of the target, and what the case was made for. */
  readonly arch: string;
  readonly cls: string | undefined;
  readonly types: readonly number[];
  readonly e_flags: number;
  /** Sections that have a place. */
  readonly sections: readonly string[];
  /** A distribution's kernel while it ran, with ftrace, not a handler built without. */
  readonly live: boolean;
}

/** struct exception_table_entry */
export interface Extable {
  /** Bytes. */
  readonly size: number;
  readonly relative: boolean | 'insn';
}

export interface Hooks {
  /** elf_check_arch(): default, e_machine is one of the architecture's. `log`: for lines of its own. */
  accepts?(header: HeaderFacts, config: Config, log?: (line: string) => void): boolean;
  /** module_elf_check_arch() [≥6.12]. */
  acceptsModule?(header: HeaderFacts, config: Config): boolean;
  /**
   * module_frob_arch_sections(): sizes PLT and GOT sections, may reorder entries and change symbols in the temporary
   * image. Throws Refusal.
   */
  frobSections?(m: ModuleView): void;
  /** frobSections() changes names in the tables of symbol versions. */
  readonly rewritesVersions?: boolean;
  /** Bytes that the frob hook put at the start of a region (mod->mem[].size before layout). */
  regionHead?(m: ModuleView, region: Region): number;
  /** arch_mod_section_prepend(): bytes in front of section `index`. */
  sectionPrepend?(m: ModuleView, index: number): number;
  /** The bytes in front of a section that sectionPrepend() reserved. */
  stubBytes?(m: ModuleView, section: string): Uint8Array | undefined;
  /** module_finalize(): the data effects that do not depend on a CPU. Throws Refusal. */
  finalize?(m: ModuleView): void;
  /** module_arch_cleanup(). Not called when module_finalize() itself refuses. */
  cleanup?(m: ModuleView): void;
  /** module_init_section(): default, names starting with `.init`. */
  isInitSection?(name: string): boolean;
  /** module_exit_section(): default, names starting with `.exit`. */
  isExitSection?(name: string): boolean;
  /** kallsyms_symbol_value(): default, st_value. */
  kallsymsSymbolValue?(m: ModuleView, type: number, st_value: bigint): bigint;
  /** ignore_undef_symbol(): an unresolved symbol of this name is no error. */
  ignoresUndefined?(name: string): boolean;
}

export interface ArchSpec extends RulesSpec, Hooks {
  /** As komulator and Debian users call it: 'x86_64', 'riscv64'. */
  readonly name: string;
  /** Directory under the kernel's arch/ with the bitness where the kernel has two handlers: 'riscv', 'x86_64'. */
  readonly backend: string;
  /** Address of the psABI this table follows. */
  readonly psABI: string;
  readonly e_machine: readonly number[];
  readonly is64: boolean;
  /** Data orders the kernel can be built for. */
  readonly orders: readonly ('little' | 'big')[];
  readonly forms: readonly ('REL' | 'RELA')[];
  /** ARCH_SHF_SMALL. */
  readonly smallFlag?: number;
  /** HAVE_ARCH_PREL32_RELOCATIONS: export entries are three self-relative 32-bit offsets. */
  readonly prel32Exports?: boolean;
  /**
   * struct exception_table_entry; default, two absolute words. Relative: insn and fixup are 32-bit offsets from
   * themselves, or insn alone is. Absolute: insn is half of the entry.
   */
  readonly extable?: Extable | ((version: Version) => Extable | undefined);
  readonly moduleArea: (version: Version, config: Config) => ModuleArea;
  /** Bytes of a page: mod_mem regions are page-aligned. */
  readonly pageSize?: number;
  /** Kconfig switches of Debian's kernel of this architecture that differ from the common defaults. */
  readonly config?: Config | ((version: Version) => Config);
  /** Switches that a recorded case (testing/vector.ts) asks for with its own keys. */
  readonly replayConfig?: (recorded: RecordedWith) => Config;
  /** First and last kernel with this backend; absent: all profiles. */
  readonly since?: string;
  readonly until?: string;
}

export interface Arch extends Omit<ArchSpec, keyof RulesSpec> {
  readonly rules: Rules;
  readonly pageSize: number;
}

/** What most architectures say of a type they do not know. */
export const unknownRelocation = (r: Site): Verdict => ({
  errno: 'ENOEXEC',
  log: [`module ${r.module.name}: Unknown relocation: ${r.type}`],
});

/** Makes an Arch of a table and its hooks. */
export function defineArch(spec: ArchSpec): Arch {
  return { pageSize: 4096, ...spec, rules: rules(spec) };
}

/** The switches of an architecture's kernel that differ from the common defaults. */
export const configOf = (arch: Arch, version: Version): Config =>
  typeof arch.config === 'function' ? arch.config(version) : (arch.config ?? {});

/** The exception table entries of an architecture's kernel. */
export const extableOf = (arch: Arch, version: Version): Extable =>
  (typeof arch.extable === 'function' ? arch.extable(version) : arch.extable) ?? {
    size: arch.is64 ? 16 : 8,
    relative: false,
  };

/** elf_check_arch() of an architecture. */
export const acceptsHeader = (
  arch: Arch,
  header: HeaderFacts,
  config: Config,
  log?: (line: string) => void,
): boolean => (arch.accepts ? arch.accepts(header, config, log) : arch.e_machine.includes(header.e_machine));

export const isInitSection = (arch: Arch, name: string): boolean =>
  arch.isInitSection?.(name) ?? name.startsWith('.init');
export const isExitSection = (arch: Arch, name: string): boolean =>
  arch.isExitSection?.(name) ?? name.startsWith('.exit');
