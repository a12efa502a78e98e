/** A folder of modules: lib/modules/VERSION as depmod leaves it, or any folder with .ko files in it. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  type Alias,
  matchesAlias,
  moduleName,
  normalizeAlias,
  parseBuiltinAliases,
  parseModulesAlias,
  parseModulesBuiltin,
  parseModulesDep,
  parseModulesSoftdep,
  parseModulesSymbols,
  parseSoftdep,
  type SoftDep,
} from '../loader/depend-files.ts';
import { elfSection } from '../loader/elf-image.ts';
import { InputError } from '../loader/input-error.ts';
import { getModinfo, getModinfos } from '../loader/modinfo.ts';
import { errnoOf, fileError } from './file-error.ts';
import { readModuleFile } from './module-file.ts';
import { closest } from './suggest.ts';

/** One module file of a tree. */
export interface ModuleEntry {
  /** Normalised: - written as _. */
  readonly name: string;
  /** Absolute, ready to be read. */
  readonly path: string;
}

/** What a name given by a person means in a tree. `message` is a sentence for people. */
export type Found =
  | { readonly kind: 'module'; readonly module: ModuleEntry }
  | { readonly kind: 'alias'; readonly alias: string; readonly modules: readonly ModuleEntry[] }
  | { readonly kind: 'builtin'; readonly name: string; readonly message: string }
  | {
      readonly kind: 'missing';
      readonly name: string;
      readonly suggestions: readonly string[];
      readonly message: string;
    };

/** What has to be loaded besides a module. */
export interface Dependencies {
  /** In load order, each once, the module itself not among them. */
  readonly modules: readonly ModuleEntry[];
  /** Names that modprobe would try to load before and after; they may be aliases, built in, or absent. */
  readonly soft: SoftDep;
}

/** What openModuleTree() gives. */
export interface ModuleTree {
  /** The folder with the modules. */
  readonly dir: string;
  /** Name of the folder, which is the kernel's release; undefined for a plain folder. */
  readonly version: string | undefined;
  /** By normalised name, in the order of modules.dep or of the paths. */
  readonly modules: ReadonlyMap<string, ModuleEntry>;
  /** True for what modules.builtin names. */
  isBuiltin(name: string): boolean;
  /** Module, alias, built in, or missing with suggestions; `name` may also be a path or a file name. */
  find(name: string): Found;
  /** Throws InputError for a cycle, and for a name that is no module of this tree. */
  dependencies(name: string): Promise<Dependencies>;
  /** The module that modules.symbols says exports a symbol. */
  exporter(symbol: string): string | undefined;
}

const KO = /\.ko(\.gz|\.xz|\.zst)?$/;

/**
 * Opens `dir`: a lib/modules/VERSION folder, a folder that holds exactly one such folder (lib/modules, or one with
 * lib/modules in it), or a plain folder with modules somewhere in it. Without modules.dep the dependencies are what
 * the modules themselves say in `depends=`.
 */
export function openModuleTree(dir: string): ModuleTree {
  const root = resolve(dir);
  const versioned = versionFolder(root);
  if (versioned !== undefined) return new DepmodTree(versioned);
  const files = moduleFiles(root);
  if (files.length === 0) {
    throw new InputError(`${dir}: neither modules.dep nor a .ko file in this folder`, { file: dir });
  }
  return new PlainTree(root, files);
}

abstract class Tree implements ModuleTree {
  readonly dir: string;
  readonly version: string | undefined;
  abstract readonly modules: ReadonlyMap<string, ModuleEntry>;
  private readonly builtin: Set<string>;
  private aliasList: Alias[] | undefined;
  private builtinAliasList: Alias[] | undefined;
  private symbolOwners: Map<string, string> | undefined;

  constructor(dir: string, version: string | undefined) {
    this.dir = dir;
    this.version = version;
    this.builtin = parseFile(dir, 'modules.builtin', parseModulesBuiltin) ?? new Set();
  }

  protected abstract hardDependencies(name: string): Promise<readonly string[]> | readonly string[];
  protected abstract softDependencies(name: string): Promise<SoftDep> | SoftDep;

  isBuiltin(name: string): boolean {
    return this.builtin.has(moduleName(name));
  }

  find(name: string): Found {
    const plain = moduleName(name);
    const module = this.modules.get(plain);
    if (module !== undefined) return { kind: 'module', module };
    if (this.builtin.has(plain)) return { kind: 'builtin', name: plain, message: `${plain} is built in` };

    const alias = normalizeAlias(name);
    const answering = new Set<ModuleEntry>();
    for (const { pattern, module: target } of this.aliases()) {
      const entry = matchesAlias(pattern, alias) ? this.modules.get(target) : undefined;
      if (entry !== undefined) answering.add(entry);
    }
    if (answering.size > 0) return { kind: 'alias', alias: name, modules: [...answering] };

    const builtin = this.builtinAliases().find(({ pattern }) => matchesAlias(pattern, alias))?.module;
    if (builtin !== undefined) {
      return { kind: 'builtin', name: builtin, message: `${name} stands for ${builtin}, which is built in` };
    }

    const suggestions = closest(plain, this.modules.keys());
    const hint = suggestions.length === 0 ? '' : `; did you mean ${suggestions.join(', ')}?`;
    return { kind: 'missing', name: plain, suggestions, message: `no module '${plain}' in ${this.dir}${hint}` };
  }

  async dependencies(name: string): Promise<Dependencies> {
    const found = this.find(name);
    if (found.kind === 'missing' || found.kind === 'builtin') throw new InputError(found.message);
    const start = found.kind === 'module' ? found.module : found.modules[0];
    if (start === undefined) throw new InputError(`no module '${name}' in ${this.dir}`);

    const order = new Map<string, ModuleEntry>();
    const path: string[] = [];
    const visit = async (entry: ModuleEntry): Promise<void> => {
      path.push(entry.name);
      for (const needed of await this.hardDependencies(entry.name)) {
        const from = path.indexOf(needed);
        if (from >= 0) {
          throw new InputError(
            `modules depend on each other in a circle: ${[...path.slice(from), needed].join(' -> ')}`,
          );
        }
        if (order.has(needed) || this.builtin.has(needed)) continue;
        const dependency = this.modules.get(needed);
        if (dependency === undefined) throw new InputError(this.missingDependency(entry, needed));
        // One after the other: the order is the result.
        await visit(dependency);
      }
      path.pop();
      order.set(entry.name, entry);
    };
    await visit(start);
    order.delete(start.name);
    return { modules: [...order.values()], soft: await this.softDependencies(start.name) };
  }

  exporter(symbol: string): string | undefined {
    this.symbolOwners ??= parseFile(this.dir, 'modules.symbols', parseModulesSymbols) ?? new Map();
    return this.symbolOwners.get(symbol);
  }

  private aliases(): readonly Alias[] {
    this.aliasList ??= parseFile(this.dir, 'modules.alias', parseModulesAlias) ?? [];
    return this.aliasList;
  }

  private builtinAliases(): readonly Alias[] {
    this.builtinAliasList ??= parseFile(this.dir, 'modules.builtin.modinfo', parseBuiltinAliases) ?? [];
    return this.builtinAliasList;
  }

  private missingDependency(entry: ModuleEntry, needed: string): string {
    const suggestions = closest(needed, this.modules.keys());
    const hint = suggestions.length === 0 ? '' : ` (there is ${suggestions.join(', ')})`;
    return `${entry.name} depends on ${needed}, which is not in ${this.dir}${hint}`;
  }
}

class DepmodTree extends Tree {
  readonly modules: ReadonlyMap<string, ModuleEntry>;
  private readonly needs: ReadonlyMap<string, readonly string[]>;
  private soft: Map<string, SoftDep> | undefined;

  constructor(dir: string) {
    super(dir, basename(dir));
    const lines = parseFile(dir, 'modules.dep', parseModulesDep) ?? new Map();
    this.modules = new Map(Array.from(lines, ([name, { path }]) => [name, { name, path: resolve(dir, path) }]));
    // depmod writes them in the order modprobe -r would take: what is loaded first comes last.
    this.needs = new Map(
      Array.from(lines, ([name, { dependencies }]) => [name, dependencies.map(moduleName).toReversed()]),
    );
  }

  protected hardDependencies(name: string): readonly string[] {
    return this.needs.get(name) ?? [];
  }

  protected softDependencies(name: string): SoftDep {
    this.soft ??= parseFile(this.dir, 'modules.softdep', parseModulesSoftdep) ?? new Map();
    return this.soft.get(name) ?? { pre: [], post: [] };
  }
}

class PlainTree extends Tree {
  readonly modules: ReadonlyMap<string, ModuleEntry>;

  constructor(dir: string, files: readonly string[]) {
    super(dir, undefined);
    const modules = new Map<string, ModuleEntry>();
    for (const path of files) {
      const name = moduleName(path);
      if (!modules.has(name)) modules.set(name, { name, path });
    }
    this.modules = modules;
  }

  protected async hardDependencies(name: string): Promise<readonly string[]> {
    const modinfo = await this.modinfo(name);
    const depends = getModinfo(modinfo, 'depends') ?? '';
    return depends.split(',').flatMap((needed) => (needed === '' ? [] : [moduleName(needed)]));
  }

  protected async softDependencies(name: string): Promise<SoftDep> {
    const texts = getModinfos(await this.modinfo(name), 'softdep');
    return parseSoftdep(texts.flatMap((text) => text.split(/\s+/)));
  }

  /** A file that is no module says nothing here; loading it will tell what is wrong with it. */
  private async modinfo(name: string): Promise<Uint8Array> {
    const entry = this.modules.get(name);
    if (entry === undefined) return new Uint8Array(0);
    return elfSection(await readModuleFile(entry.path), '.modinfo') ?? new Uint8Array(0);
  }
}

/** The folder with modules.dep that `root` is or holds; undefined when there is none. */
function versionFolder(root: string): string | undefined {
  if (existsSync(join(root, 'modules.dep'))) return root;
  for (const parent of [root, join(root, 'lib/modules'), join(root, 'usr/lib/modules')]) {
    const versions = subfolders(parent).filter((name) => existsSync(join(parent, name, 'modules.dep')));
    if (versions.length > 1) {
      throw new InputError(`${parent} holds several kernels, name one of them: ${versions.join(', ')}`, { file: root });
    }
    if (versions[0] !== undefined) return join(parent, versions[0]);
  }
  return undefined;
}

function subfolders(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw fileError(parent, error);
  }
}

function moduleFiles(root: string): string[] {
  try {
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => KO.test(entry.name) && !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted();
  } catch (error) {
    throw fileError(root, error);
  }
}

/** A file of depmod's, or undefined where it is missing. */
function parseFile<T>(dir: string, name: string, parse: (text: string) => T): T | undefined {
  const path = join(dir, name);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileError(path, error);
  }
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const line = error.line === undefined ? {} : { line: error.line };
    throw new InputError(`${dir}: ${error.message}`, { file: path, ...line, cause: error });
  }
}
