/** The module files of a folder, in the order of their paths. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { InputError } from '../../loader/input-error.ts';
import { fileError } from '../file-error.ts';

export interface ModuleFiles {
  /** The folder that the paths are relative to. */
  readonly dir: string;
  /** Relative paths, as depmod writes them. */
  readonly paths: readonly string[];
  /** Folders that could not be read, as sentences. */
  readonly unreadable: readonly string[];
}

const KO = /\.ko(?:\.gz|\.xz|\.zst)?$/;
/** Links into the build tree, which depmod passes over as well. */
const NOT_MODULES = new Set(['build', 'source']);

/**
 * The modules of `dir`: a lib/modules/VERSION folder, a folder with exactly one of them below it, or any folder with
 * modules in it. Throws InputError when there is nothing to check.
 */
export function moduleFiles(dir: string): ModuleFiles {
  const root = versionFolder(resolve(dir));
  const paths: string[] = [];
  const unreadable: string[] = [];
  const walk = (below: string): void => {
    let entries: { readonly name: string; isDirectory(): boolean; isSymbolicLink(): boolean }[];
    try {
      entries = readdirSync(join(root, below), { withFileTypes: true });
    } catch (error) {
      if (below === '') throw fileError(dir, error);
      unreadable.push(fileError(join(root, below), error).message);
      return;
    }
    for (const entry of entries) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (below !== '' || !NOT_MODULES.has(entry.name)) walk(path);
      } else if (KO.test(entry.name)) paths.push(path);
    }
  };
  walk('');
  if (paths.length === 0)
    throw new InputError(`${dir}: no module (.ko, .ko.gz, .ko.xz, .ko.zst) in this folder`, { file: dir });
  return { dir: root, paths: paths.toSorted(), unreadable };
}

/** lib/modules/VERSION below a root folder, where there is one; else the folder itself. */
function versionFolder(root: string): string {
  for (const parent of [join(root, 'lib/modules'), join(root, 'usr/lib/modules')]) {
    if (!existsSync(parent)) continue;
    const versions = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    if (versions.length > 1)
      throw new InputError(
        `${parent} holds several kernels, name one of them: ${versions.map(({ name }) => name).join(', ')}`,
        { file: root },
      );
    if (versions[0] !== undefined) return join(parent, versions[0].name);
  }
  return root;
}

/** Where a build or a package leaves Module.symvers for a tree. */
export function symversFor(dir: string): string | undefined {
  const near = ['Module.symvers', 'build/Module.symvers', '../../../Module.symvers'];
  return near.map((name) => join(dir, name)).find((path) => existsSync(path));
}
