/** What is to be loaded, in order: the files asked for and, out of a module tree, what they depend on. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { moduleName } from '../loader/depend-files.ts';
import { elfSection } from '../loader/elf-image.ts';
import { getModinfo } from '../loader/modinfo.ts';
import { readModuleFile } from './module-file.ts';
import type { ModuleTree } from './module-tree.ts';
import { closest } from './suggest.ts';
import { UsageError } from './usage-error.ts';

export interface Planned {
  /** As it was given, or the path in the tree. */
  readonly file: string;
  /** Normalised name, by the file's name. */
  readonly name: string;
  /** Names of those asked for that need it; empty for those asked for. */
  readonly neededBy: string[];
}

export interface Plan {
  readonly items: readonly Planned[];
  /** Sentences on what is not loaded, and why. */
  readonly notes: readonly string[];
}

/**
 * Without a tree every FILE is a file. With one it may be a module's name or alias, and its dependencies come before it.
 *
 * @throws UsageError for names that mean nothing, InputError for a tree that cannot be read
 */
export async function plan(files: readonly string[], dir: string | undefined): Promise<Plan> {
  const tree = dir === undefined ? undefined : (await import('./module-tree.ts')).openModuleTree(dir);
  const items: Planned[] = [];
  const notes: string[] = [];
  const byName = new Map<string, Planned>();

  const need = (name: string, file: string, by: string): void => {
    const known = byName.get(name);
    if (known !== undefined) {
      if (known.neededBy.length > 0) known.neededBy.push(by);
      return;
    }
    const item = { file, name, neededBy: [by] };
    byName.set(name, item);
    items.push(item);
  };
  const ask = (name: string, file: string): void => {
    if (tree !== undefined && byName.has(name)) {
      notes.push(`${name} is loaded already when its turn comes`);
      return;
    }
    const item = { file, name, neededBy: [] };
    byName.set(name, item);
    items.push(item);
  };

  for (const file of files) {
    if (tree === undefined) {
      if (!existsSync(file)) throw noSuchFile(file);
      ask(moduleName(file), file);
      continue;
    }
    for (const { name, path } of await wanted(file, tree, notes)) {
      for (const dependency of await dependenciesOf(name, path, tree, notes))
        need(dependency.name, dependency.path, name);
      ask(name, path);
    }
  }
  return { items, notes };
}

interface Entry {
  readonly name: string;
  readonly path: string;
}

/** A file that exists is that file; else it is looked up in the tree. */
async function wanted(file: string, tree: ModuleTree, notes: string[]): Promise<readonly Entry[]> {
  if (existsSync(file)) return [{ name: moduleName(file), path: file }];
  const found = tree.find(file);
  switch (found.kind) {
    case 'module':
      return [found.module];
    case 'alias':
      return found.modules;
    case 'builtin':
      notes.push(`${found.message}: nothing to load`);
      return [];
    case 'missing':
      throw new UsageError(found.message);
  }
}

/** By the tree where the module is part of it, else by what the file itself says. */
async function dependenciesOf(
  name: string,
  path: string,
  tree: ModuleTree,
  notes: string[],
): Promise<readonly Entry[]> {
  if (tree.modules.has(name)) {
    const { modules, soft } = await tree.dependencies(name);
    const names = [...soft.pre, ...soft.post];
    if (names.length > 0)
      notes.push(`${name} would also like ${names.join(', ')} (softdep), which is not loaded for it`);
    return modules;
  }
  const modinfo = elfSection(await readModuleFile(path), '.modinfo') ?? new Uint8Array(0);
  const all = new Map<string, Entry>();
  for (const depends of (getModinfo(modinfo, 'depends') ?? '').split(',').filter((d) => d !== '')) {
    const found = tree.find(depends);
    if (found.kind !== 'module') continue;
    for (const entry of (await tree.dependencies(depends)).modules) all.set(entry.name, entry);
    all.set(found.module.name, found.module);
  }
  return [...all.values()];
}

/** With what else is in the folder, where that looks like it. */
function noSuchFile(file: string): UsageError {
  let names: string[] = [];
  try {
    names = readdirSync(dirname(file)).filter((name) => /\.ko(\.\w+)?$/.test(name));
  } catch {
    // No such folder: there is nothing to suggest.
  }
  const near = closest(basename(file), names);
  const hint = near.length > 0 ? `; did you mean ${near.join(', ')}?` : '';
  const byName = /[/.]/.test(file) ? '' : ' (module names are looked up with --modules DIR)';
  return new UsageError(`${file}: no such file or directory${hint || byName}`);
}
