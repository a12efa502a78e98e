/** One load on its way through load_module(): what the steps share. */
import { Refusal } from '../relocs/refusal.ts';
import { type CheckId, type Errno, LoadError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { LoadInfo } from './load-info.ts';
import type { Behaviour, Module } from './module.ts';
import type { ModuleSignature } from './signature.ts';
import type { OnResolved } from './symbols.ts';
import type { Trace } from '../relocs/apply.ts';

export interface LoadOptions {
  /** The system call; default, finit_module. */
  readonly call?: 'init_module' | 'finit_module';
  /** Flags of finit_module(2): 1 ignore modversions, 2 ignore vermagic, 4 compressed (the file is given unpacked). */
  readonly flags?: number;
  /** Module parameters, as insmod passes them. */
  readonly params?: string;
  /** What the module's code does. */
  readonly behaviour?: Behaviour;
  /** Final section addresses, by name, or by '#index' where a name occurs twice. */
  readonly place?: Readonly<Record<string, bigint>>;
  /** Told of each relocation. Asking for it takes the interpreter instead of the compiled loop. */
  readonly trace?: Trace;
  readonly onResolved?: OnResolved;
  /**
   * True: the load works in the file's own bytes instead of a copy of them. They must be nobody else's until it has
   * ended, and are spoilt by then. For whole trees, read into one buffer.
   */
  readonly inPlace?: boolean;
}

export class Loading {
  readonly kernel: Kernel;
  readonly info: LoadInfo;
  readonly options: LoadOptions;
  /** Log lines of this load. */
  readonly lines: string[] = [];
  /** From layout_and_allocate() on. */
  module: Module | undefined;
  /** The appended signature, if there was one. It is not verified. */
  signature: ModuleSignature | undefined;
  /** try_to_force_load() has let it pass before there was a module to taint. */
  forced = false;
  /** The vermagic that the module was found to agree with. */
  vermagic: string | undefined;
  /** Name of the step that is running. */
  step = 'load_module';
  /** Relocations applied. */
  relocations = 0;

  constructor(kernel: Kernel, file: Uint8Array, options: LoadOptions) {
    this.kernel = kernel;
    this.info = new LoadInfo(file, kernel.format, options.inPlace);
    this.options = options;
  }

  get flags(): number {
    return this.options.call === 'init_module' ? 0 : (this.options.flags ?? 0);
  }

  /** printk during this load. */
  say(line: string): void {
    this.lines.push(line);
    this.kernel.printk(line);
  }

  /** Says the line, if there is one, and makes the error to throw. */
  fail(errno: Errno, check: CheckId, line: string | undefined, reason: string): LoadError {
    if (line !== undefined) this.say(line);
    const name = this.module?.name ?? this.info.name;
    return new LoadError({
      errno,
      check,
      reason,
      step: this.step,
      log: line === undefined ? [] : [line],
      ...(name === undefined ? {} : { module: name }),
    });
  }

  /** Runs an architecture's hook and turns its Refusal into a LoadError of `check`. */
  asking<T>(check: (refusal: Refusal) => CheckId, hook: () => T): T {
    const from = this.lines.length;
    try {
      return hook();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const name = this.module?.name;
      throw LoadError.from(error, {
        check: check(error),
        log: this.lines.slice(from),
        step: this.step,
        ...(name === undefined ? {} : { module: name }),
      });
    }
  }
}
