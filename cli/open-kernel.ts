/** The kernel that the options of `load` and `explain` describe. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Arch, arches } from '../arch/index.ts';
import { InputError } from '../loader/input-error.ts';
import {
  exportsOfSymbols,
  type KernelExport,
  parseSymvers,
  parseSystemMap,
  parseVmlinux,
  withAddresses,
} from '../loader/exports.ts';
import { Kernel, type KernelOptions as KernelInit, type Vendor } from '../loader/kernel.ts';
import type { Version } from '../relocs/module-view.ts';
import { readConfig } from './kernel-config.ts';
import type { ModuleHead } from './module-head.ts';
import { profileOf, vendorOf } from './profile.ts';
import { readBytes, readText } from './read-text.ts';

/** --kernel, --vendor and --config. */
export interface ProfileOptions {
  readonly kernel?: Version;
  readonly vendor?: Vendor;
  readonly config?: string;
}

/** And --symvers, --symbols and --modules. */
export interface KernelOptions extends ProfileOptions {
  readonly symvers?: string;
  readonly symbols?: string;
  readonly modules?: string;
}

export interface OpenKernel {
  readonly kernel: Kernel;
  /** What was guessed, as sentences. */
  readonly notes: readonly string[];
  /** Module that exports a symbol, by Module.symvers. */
  readonly exporters: ReadonlyMap<string, string>;
  /** False: neither --symvers nor --symbols. */
  readonly hasSymbols: boolean;
}

/** The kernel for a module; without one (no ELF file) x86_64, where it is refused like anywhere. */
export async function openKernel(head: ModuleHead | undefined, options: KernelOptions): Promise<OpenKernel> {
  const arch: Arch = head?.arch ?? arches[0]!;
  const profile = options.kernel === undefined ? profileOf(head?.release) : { version: options.kernel };
  const init: KernelInit = {
    arch,
    version: profile.version,
    vendor: options.vendor ?? vendorOf(head?.release),
    order: head?.order ?? arch.orders[0]!,
    builtin: await builtinInSysfs(options.modules),
    ...(options.config === undefined ? {} : { config: await readConfig(options.config) }),
  };
  const symvers = options.symvers ?? symversOf(options.modules);
  const all = await readExports({ ...options, ...(symvers === undefined ? {} : { symvers }) });
  return {
    kernel: new Kernel({ ...init, exports: all.filter(({ owner }) => owner === 'vmlinux') }),
    notes: [
      ...(head !== undefined && profile.note !== undefined ? [profile.note] : []),
      ...(symvers !== options.symvers ? [`symbols from ${symvers}`] : []),
    ],
    exporters: new Map(all.filter(({ owner }) => owner !== 'vmlinux').map(({ name, owner }) => [name, owner])),
    hasSymbols: symvers !== undefined || options.symbols !== undefined,
  };
}

/** Where a build or the headers' package leaves Module.symvers in a module tree. */
function symversOf(modules: string | undefined): string | undefined {
  if (modules === undefined) return undefined;
  return ['Module.symvers', 'build/Module.symvers'].map((name) => join(modules, name)).find((path) => existsSync(path));
}

/**
 * Built-in modules that have a directory in /sys/module: those with a version or with parameters (param_sysfs_builtin(),
 * version_sysfs_builtin()). Which of their parameters have no file is not recorded; nearly all have one.
 */
async function builtinInSysfs(modules: string | undefined): Promise<Set<string>> {
  const file = modules === undefined ? undefined : join(modules, 'modules.builtin.modinfo');
  if (file === undefined || !existsSync(file)) return new Set();
  const entries = (await readText(file)).matchAll(/(?:^|\0)([^.\0]+)\.(?:version|parmtype)=/g);
  return new Set([...entries].map(([, name]) => name!));
}

/** Names, CRCs and namespaces from --symvers, addresses from --symbols; each alone does too. */
async function readExports(options: KernelOptions): Promise<readonly KernelExport[]> {
  const { symvers, symbols } = options;
  const exports = symvers === undefined ? undefined : await parsed(symvers, parseSymvers);
  if (symbols === undefined) return exports ?? [];
  return parsed(symbols, (bytes) => {
    if (isElf(bytes)) {
      const linked = parseVmlinux(bytes);
      if (exports === undefined) return linked;
      const values = new Map(
        linked.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])),
      );
      return withAddresses(exports, { symbols: values, exported: undefined });
    }
    const list = parseSystemMap(bytes);
    return exports === undefined ? exportsOfSymbols(list) : withAddresses(exports, list);
  });
}

const isElf = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

/** Reads a file and says its name where the parser only says what is wrong. */
async function parsed<T>(file: string, parse: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = await readBytes(file);
  try {
    return parse(bytes);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${file}: ${error.message}`, { file, cause: error });
  }
}
