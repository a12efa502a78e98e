import type { ElfFormat } from './elf.ts';
import type { Section } from './section.ts';
import type { Symtab } from './symbols.ts';

/** Kernel versions with a profile of their own, oldest first. */
export const versions = ['6.1', '6.12', '7.2'] as const;
export type Version = (typeof versions)[number];

/** Negative, zero, positive as a is older than, the same as, newer than b; both 'major.minor'. */
export const compareVersions = (a: string, b: string): number => ordinal(a) - ordinal(b);

/** Asked for each relocation of a type that has not always been there. */
const ordinals = new Map<string, number>();

function ordinal(version: string): number {
  let n = ordinals.get(version);
  if (n === undefined) {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    ordinals.set(version, (n = major * 1e6 + minor));
  }
  return n;
}

/** Kconfig switches (without CONFIG_) and run-time capabilities; a number where Kconfig has one. */
export type Config = Readonly<Record<string, boolean | number>>;

/** The memory types of include/linux/module.h, and the two blobs of 6.1. */
export type Region =
  | 'text'
  | 'data'
  | 'rodata'
  | 'ro_after_init'
  | 'init_text'
  | 'init_data'
  | 'init_rodata'
  | 'core'
  | 'init';

export interface Memory {
  base: bigint;
  size: number;
  /** All of it. What no section owns is the architecture's: s390's GOT and PLT at the start of text, parisc's stubs. */
  bytes: Uint8Array;
}

/**
 * A module in the making, as relocation and the architecture hooks see it: what `struct module`, `struct load_info`
 * and the section headers are to `arch/*\/kernel/module.c`.
 */
export interface ModuleView {
  /** mod->name */
  readonly name: string;
  readonly format: ElfFormat;
  readonly e_machine: number;
  readonly e_flags: number;
  /** Index 0 is the null section. */
  readonly sections: readonly Section[];
  /** Undefined when the file has no symbol table (some frob hooks refuse that). */
  readonly symtab: Symtab | undefined;
  /** Kernel profile this module is being loaded into. */
  readonly version: Version;
  readonly config: Config;
  readonly memory: Partial<Record<Region, Memory>>;
  /** printk, level prefix and newline stripped. */
  log(line: string): void;
  /** WARN_ON: counted; the load goes on. */
  warn(what: string): void;
  /** Whether an address lies in the module's init memory (within_module_init). */
  withinInit(address: bigint): boolean;
  /** module_init_layout_section(name): goes to init memory under this kernel's rules. */
  isInitLayout(name: string): boolean;
}

/** First section of that name, any flags. */
export const sectionNamed = (m: ModuleView, name: string): Section | undefined =>
  m.sections.find((s) => s.index > 0 && s.name === name);
