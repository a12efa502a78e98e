/** One load, watched: what it did, or why it was refused. */
import type { DecompressionError } from '../loader/compression.ts';
import { LoadError, type LoadErrorInit } from '../loader/errors.ts';
import type { Kernel } from '../loader/kernel.ts';
import { loadModule, type Step } from '../loader/load.ts';
import type { Loading, LoadOptions } from '../loader/loading.ts';
import type { Module } from '../loader/module.ts';

export interface Attempt {
  readonly file: string;
  /** struct module.name, as far as it came to be known. */
  readonly name: string | undefined;
  /** Set when it is LIVE. */
  readonly module: Module | undefined;
  /** Set when it was refused. */
  readonly error: LoadError | undefined;
  /** dmesg of this load. */
  readonly log: readonly string[];
  /** Undefined where the very first step refused. */
  readonly load: Loading | undefined;
  /** References to undefined symbols that were resolved, by owner; '' is the kernel. */
  readonly references: ReadonlyMap<string, number>;
  /** .data..percpu after relocation, which is copied to every CPU and then gone. */
  readonly percpu: Uint8Array | undefined;
}

/** Loads, and never throws for what a module can do. `watch` is shown every step. */
export function attempt(
  kernel: Kernel,
  file: string,
  bytes: Uint8Array,
  options: LoadOptions = {},
  watch: (step: Step) => void = () => {},
): Attempt {
  const from = kernel.log.length;
  const references = new Map<string, number>();
  let load: Loading | undefined;
  let percpu: Uint8Array | undefined;
  const result = (module: Module | undefined, error: LoadError | undefined): Attempt => ({
    file,
    module,
    error,
    load,
    references,
    percpu,
    name: module?.name ?? load?.module?.name ?? error?.module,
    log: kernel.log.slice(from),
  });
  if (bytes.length === 0) return result(undefined, emptyFile());
  const onResolved: LoadOptions['onResolved'] = (name, symbol, index) => {
    const owner = symbol.owner?.name ?? '';
    references.set(owner, (references.get(owner) ?? 0) + 1);
    options.onResolved?.(name, symbol, index);
  };
  try {
    const steps = loadModule(kernel, bytes, { ...options, onResolved });
    for (;;) {
      const next = steps.next();
      if (next.done) return result(next.value, undefined);
      ({ load } = next.value);
      if (next.value.step === 'post_relocation') percpu = percpuTemplate(load);
      watch(next.value);
    }
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return result(undefined, error);
  }
}

/** percpu_modcopy(): the section as it is after relocation. */
function percpuTemplate(load: Loading): Uint8Array | undefined {
  const { pcpu } = load.info.index;
  if (pcpu === 0) return undefined;
  const { bytes, sh_size } = load.info.section(pcpu);
  const template = new Uint8Array(sh_size);
  template.set(bytes.subarray(0, sh_size));
  return template;
}

/** kernel_read_file() */
const emptyFile = (): LoadError =>
  new LoadError({ errno: 'EINVAL', check: 'C07', log: [], step: 'kernel_read_file', reason: 'the file is empty' });

/** A module that cannot be unpacked, as a load that was refused. */
export function unpackingRefused(kernel: Kernel, file: string, error: DecompressionError): Attempt {
  const log = error.log === undefined ? [] : [error.log];
  for (const line of log) kernel.printk(line);
  const init: LoadErrorInit = {
    errno: error.errno,
    check: error.check,
    log,
    step: 'module_decompress',
    reason: error.message,
  };
  return {
    file,
    log,
    name: undefined,
    module: undefined,
    load: undefined,
    references: new Map(),
    percpu: undefined,
    error: new LoadError(init),
  };
}
