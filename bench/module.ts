/** Loads of single modules in this process, warm. */

import { freeModule } from '../loader/init.ts';
import { insmod, loadModule } from '../loader/load.ts';
import { readModuleFile } from '../cli/module-file.ts';
import type { Tree, TreeModule } from '../scripts/kernels/tree.ts';

/** One module whose dependencies are loaded. */
export class Bench {
  private readonly tree: Tree;
  private readonly file: Uint8Array;

  private constructor(tree: Tree, file: Uint8Array) {
    this.tree = tree;
    this.file = file;
  }

  static async open(tree: Tree, module: TreeModule): Promise<Bench> {
    for (const name of module.dependencies) {
      const needed = tree.modules.get(name);
      if (needed === undefined || tree.kernel.findModule(name) !== undefined) continue;
      insmod(tree.kernel, await readModuleFile(needed.path));
    }
    return new Bench(tree, await readModuleFile(module.path));
  }

  /** insmod and rmmod; milliseconds of the first. */
  load(): number {
    const begin = performance.now();
    const m = insmod(this.tree.kernel, this.file);
    const took = performance.now() - begin;
    freeModule(m);
    return took;
  }

  /** The same, but only the step apply_relocations is on the clock. */
  relocate(): { readonly relocations: number; readonly milliseconds: number } {
    const steps = loadModule(this.tree.kernel, this.file);
    let relocations = 0;
    let milliseconds = 0;
    let begin = performance.now();
    for (let next = steps.next(); ; next = steps.next()) {
      const end = performance.now();
      if (next.done) {
        freeModule(next.value);
        return { relocations, milliseconds };
      }
      if (next.value.step === 'apply_relocations') {
        relocations = next.value.load.relocations;
        milliseconds = end - begin;
      }
      begin = performance.now();
    }
  }
}

/** The quickest of as many runs as fit into `seconds`, five at least. */
export function warm<T>(seconds: number, run: () => T, milliseconds: (result: T) => number): T {
  const end = performance.now() + seconds * 1000;
  let best = run();
  for (let i = 1; i < 5 || performance.now() < end; i++) {
    const result = run();
    if (milliseconds(result) < milliseconds(best)) best = result;
  }
  return best;
}
