/** Every module of one Debian kernel, loaded into one emulated kernel in the order of modules.dep. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Arch, archOf, arches, headerFacts } from '../../arch/index.ts';
import { FileReader } from '../../cli/check/file-reader.ts';
import { readModuleFile } from '../../cli/module-file.ts';
import { freeMemory } from '../../loader/allocate.ts';
import { moduleName, parseModulesDep } from '../../loader/depend-files.ts';
import { LoadError } from '../../loader/errors.ts';
import { type KernelExport, parseSymvers } from '../../loader/exports.ts';
import { parseKconfig } from '../../loader/kconfig.ts';
import { Kernel, type ResolvedExport } from '../../loader/kernel.ts';
import { loadModule, type Step } from '../../loader/load.ts';
import type { LoadOptions } from '../../loader/loading.ts';
import type { Module } from '../../loader/module.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import type { DebianKernel } from '../debian/manifest.ts';

/** A tree that is ready to be loaded. */
export interface Tree {
  readonly debian: DebianKernel;
  readonly arch: Arch;
  readonly kernel: Kernel;
  /** All of Module.symvers: vmlinux' rows are in the kernel, the others belong to modules. */
  readonly symvers: readonly KernelExport[];
  /** Module name → file and direct or indirect dependencies by name, in the order in which they can be loaded. */
  readonly modules: ReadonlyMap<string, TreeModule>;
}

export interface TreeModule {
  readonly name: string;
  readonly path: string;
  /** As depmod found them; the order in which they can be loaded. */
  readonly dependencies: readonly string[];
}

/** What the caller wants to see of the loads. */
export interface Watcher {
  /** Whether step() needs the file as it was read; otherwise the load spoils it. */
  wantsFile?(module: TreeModule): boolean;
  step?(step: Step, module: TreeModule, file: Uint8Array): Promise<void> | void;
  resolved?(name: string, symbol: ResolvedExport, module: TreeModule): void;
  loaded?(loaded: Module, module: TreeModule): void;
  failed?(error: LoadError, module: TreeModule): void;
}

/** No architecture of the registry takes this kernel's modules. */
export class NoArch extends Error {
  override readonly name: string = 'NoArch';
}

/** Reads what a tree says about its kernel. Throws NoArch. */
export async function openTree(debian: DebianKernel): Promise<Tree> {
  const { modulesDir } = debian;
  const lines = parseModulesDep(readFileSync(join(modulesDir, 'modules.dep'), 'utf8'));
  const modules = new Map<string, TreeModule>();
  const add = (name: string): void => {
    if (modules.has(name)) return;
    const line = lines.get(name);
    if (line === undefined) throw new Error(`modules.dep names ${name}, but has no line for it`);
    const dependencies = line.dependencies.map(moduleName).toReversed();
    for (const needed of dependencies) add(needed);
    modules.set(name, { name, path: join(modulesDir, line.path), dependencies });
  };
  for (const name of lines.keys()) add(name);

  const [first] = modules.values();
  if (first === undefined) throw new Error(`${modulesDir}/modules.dep is empty`);
  const facts = headerFacts(await readModuleFile(first.path));
  if (facts === undefined) throw new Error(`${first.path} is no ELF file`);
  const order = facts.little ? 'little' : 'big';
  const kconfig = parseKconfig(readFileSync(debian.config, 'utf8'));
  const arch = archOf(facts, arches);
  if (arch === undefined) throw new NoArch(`no architecture in arch/index.ts takes e_machine ${facts.e_machine}`);

  const symvers = parseSymvers(readFileSync(debian.symvers));
  const kernel = new Kernel({
    arch,
    order,
    version: profileOf(debian.vermagic),
    vendor: 'debian',
    vermagic: debian.vermagic,
    config: kconfig,
    exports: symvers.filter((row) => row.owner === 'vmlinux'),
    retainMemory: false,
  });
  return { debian, arch, kernel, symvers, modules };
}

/**
 * Loads every module of the tree. Refusals are told to `failed` and the rest is loaded. No machine loads all of its
 * modules: where the module area cannot hold them (i386, arm, mips) it is emptied of code that is LIVE by then. Gives
 * how often.
 */
export async function loadTree(tree: Tree, watcher: Watcher): Promise<number> {
  const { kernel } = tree;
  const buffer = new FileReader();
  let emptied = 0;
  for (const module of tree.modules.values()) {
    let file = buffer.read(module.path);
    if (file instanceof Promise) file = await file;
    let refusal = await loadOne(kernel, module, file, watcher);
    if (refusal?.check === 'C67') {
      emptied++;
      for (const m of kernel.modules) freeMemory(m);
      refusal = await loadOne(kernel, module, await buffer.read(module.path), watcher);
    }
    if (refusal !== undefined) watcher.failed?.(refusal, module);
  }
  return emptied;
}

/** One load; gives the refusal, if there is one. */
async function loadOne(
  kernel: Kernel,
  module: TreeModule,
  file: Uint8Array,
  watcher: Watcher,
): Promise<LoadError | undefined> {
  const { resolved } = watcher;
  const options: LoadOptions = {
    inPlace: watcher.wantsFile?.(module) !== true,
    ...(resolved && { onResolved: (name, symbol) => resolved(name, symbol, module) }),
  };
  const steps = loadModule(kernel, file, options);
  try {
    let next = steps.next();
    for (; !next.done; next = steps.next()) {
      const pause = watcher.step?.(next.value, module, file);
      if (pause !== undefined) await pause;
    }
    watcher.loaded?.(next.value, module);
    return undefined;
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
}

/** The profile that a version magic asks for. */
function profileOf(vermagic: string): Version {
  const version = versions.find((v) => vermagic.startsWith(`${v}.`));
  if (version === undefined)
    throw new Error(`no profile for the kernel '${vermagic}': there are ${versions.join(' ')}`);
  return version;
}
