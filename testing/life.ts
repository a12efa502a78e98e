/** How modules come and go in a kernel, and how they are counted: today's way, beside which history has others. */
import { finitModule, type ModuleFile } from '../loader/idempotent.ts';
import type { Kernel } from '../loader/kernel.ts';
import { loadModule } from '../loader/load.ts';
import type { LoadOptions } from '../loader/loading.ts';
import type { Module } from '../loader/module.ts';
import { moduleGet, modulePut, tryModuleGet } from '../loader/refcount.ts';
import type { ThreadStep } from '../loader/thread.ts';
import { deleteModule } from '../loader/unload.ts';
import type { Wake } from '../loader/wait.ts';

/** A step of a load or an unload, and of which module. */
export interface LifeStep extends ThreadStep {
  readonly module?: Module;
  readonly load?: { readonly module: Module | undefined };
}

export type LifeSteps = Generator<LifeStep, unknown, Wake>;

/** What a load or an unload asks of the world around it. */
export interface Around {
  /** Somebody has a device of the module open. */
  isOpen(m: Module): boolean;
}

export interface Life {
  /** init_module() @throws LoadError */
  load(kernel: Kernel, file: ModuleFile, options: LoadOptions): LifeSteps;
  /** finit_module() @throws LoadError */
  finit(kernel: Kernel, file: ModuleFile, options: LoadOptions): LifeSteps;
  /** delete_module() @throws LoadError */
  unload(kernel: Kernel, name: string, around: Around): LifeSteps;
  /** try_module_get() on a CPU. */
  tryGet(m: Module, cpu: number): boolean;
  /** __module_get() */
  get(m: Module, cpu: number): void;
  /** module_put() */
  put(m: Module, cpu: number): void;
  /** Who counts when a device is opened: who finds it, its own open function, nobody. */
  readonly opening: 'outside' | 'inside' | 'nobody';
  /** Verbs that had not been invented. */
  readonly lacks: ReadonlySet<string>;
  /** What goes on in it beside all that, for the comparison of states. */
  key(kernel: Kernel): unknown;
}

/** The kernels of today: loader/ itself. */
export const present: Life = {
  load: (kernel, { bytes }, options) => loadModule(kernel, bytes, options),
  finit: finitModule,
  unload: (kernel, name) => deleteModule(kernel, name),
  tryGet: tryModuleGet,
  get: moduleGet,
  put: modulePut,
  opening: 'outside',
  lacks: new Set(),
  key: () => 0,
};
