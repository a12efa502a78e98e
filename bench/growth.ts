/** Trees of some of a tree's modules, each with all that it needs. */

import { link, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { statSync } from 'node:fs';
import { cacheDir } from '../scripts/debian/cache.ts';
import type { Tree, TreeModule } from '../scripts/kernels/tree.ts';

export interface Subtree {
  /** A base folder for `depmod -b`. */
  readonly base: string;
  readonly modulesDir: string;
  readonly modules: number;
  readonly megabytes: number;
}

/** Spread over the tree: a stride that shares no divisor with any number of modules that is not its multiple. */
const STRIDE = 7919;

/** Links `count` modules of a tree into a folder of its own, which whoever asked removes. */
export async function subtree(tree: Tree, count: number): Promise<Subtree> {
  const { version, modulesDir: from } = tree.debian;
  const base = cacheDir('bench', `${process.pid}-${count}`);
  const modulesDir = join(base, 'lib/modules', version);
  await rm(base, { recursive: true, force: true });
  const all = [...tree.modules.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const chosen = new Set<TreeModule>();
  for (let i = 0; i < all.length && chosen.size < count; i++) {
    const module = all[(i * STRIDE) % all.length]!;
    const missing = [...module.dependencies, module.name]
      .map((name) => tree.modules.get(name)!)
      .filter((needed) => !chosen.has(needed));
    // One that would bring too many waits for no other turn.
    if (chosen.size + missing.length <= count) for (const needed of missing) chosen.add(needed);
  }
  let bytes = 0;
  for (const { path } of chosen) {
    const to = join(modulesDir, relative(from, path));
    await mkdir(dirname(to), { recursive: true });
    await link(path, to).catch(() => symlink(path, to));
    bytes += statSync(path).size;
  }
  return { base, modulesDir, modules: chosen.size, megabytes: bytes / 1e6 };
}

/** One module for each size, in bytes: the one next to it. */
export function ofSizes(
  tree: Tree,
  sizes: readonly number[],
): { readonly module: TreeModule; readonly size: number }[] {
  const all = [...tree.modules.values()].map((module) => ({ module, size: statSync(module.path).size }));
  return sizes.map((wanted) =>
    all.reduce((best, one) => (Math.abs(one.size - wanted) < Math.abs(best.size - wanted) ? one : best)),
  );
}
