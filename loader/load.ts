/**
 * load_module() of kernel/module/main.c, told step by step.
 *
 * A generator: each step of the kernel is a yield with the kernel's name for it, given after it has been done. Run to
 * the end it is insmod; step by step it is `komulator explain`. On a refusal the steps that were done are undone in
 * the kernel's order (the labels at the end of load_module()), each with a yield of its own.
 */
import {
  enforceRwxSections,
  freeMemory,
  frobArchSections,
  layoutAndMove,
  markSections,
  percpuModalloc,
  percpuModfree,
} from './allocate.ts';
import {
  checkBlacklist,
  checkCall,
  checkLivepatch,
  checkModinfo,
  checkModstructVersion,
  moduleSigCheck,
  rewriteSectionHeaders,
} from './early.ts';
import {
  checkExportSymbolSections,
  completeFormation,
  findModuleSections,
  klpModuleComing,
  modSysfsSetup,
  notifyComing,
  parseModuleArgs,
  postRelocation,
  setupModinfo,
} from './formation.ts';
import { doInitModule, type InitStep, unlink } from './init.ts';
import type { Kernel } from './kernel.ts';
import { Loading, type LoadOptions } from './loading.ts';
import { Module } from './module.ts';
import { augmentKernelTaints, taintOfOffenders, taintOfSignature, taintsOfCheckModinfo } from './module-taints.ts';
import { synchronizeRcu } from './rcu.ts';
import { moduleUnloadInit } from './refcount.ts';
import { applyRelocations } from './relocate.ts';
import { moduleUnloadFree, simplifyingSymbols } from './symbols.ts';
import { validate } from './validate.ts';
import { SymbolVersions } from './versions.ts';
import { alone, type Wait, waitEvent, type Wake } from './wait.ts';

/** A step of load_module() that has just been done, or a label of its unwinding. */
export interface Step {
  readonly step: string;
  readonly load: Loading;
  /** True on the way back after a refusal. */
  readonly unwinding?: boolean;
  /** It sleeps in this step, until whoever drives it lets it go on. */
  readonly wait?: Wait;
}

/**
 * Loads a module file (uncompressed) into a kernel. Returns the LIVE module.
 *
 * @throws LoadError; the kernel is then as it was, but for log and taints, which a kernel keeps as well
 */
export function* loadModule(
  kernel: Kernel,
  file: Uint8Array,
  options: LoadOptions = {},
): Generator<Step, Module, Wake> {
  const load = new Loading(kernel, file, options);
  const { info } = load;
  const undo: { label: string; run: () => void | Generator<Wait, void, Wake> }[] = [
    { label: 'free_copy', run: () => info.free() },
  ];
  const done = (step: string): Step => ({ step, load });
  /** Names the step, so that a refusal can tell where it happened. */
  const at = (step: string): string => (load.step = step);

  try {
    at(options.call ?? 'finit_module');
    checkCall(load);

    // The signature comes first: it needs nothing but the length, and everything after it sees the file without it.
    at('module_sig_check');
    const sigOk = moduleSigCheck(load);
    yield done('module_sig_check');

    // Is this an ELF file that the kernel can read without going astray?
    at(kernel.version === '6.1' ? 'elf_validity_check' : 'elf_validity_cache_copy');
    validate(kernel, info, load.flags, (line) => load.say(line));
    yield done(load.step);

    // Is it a module for this kernel, and one that may be loaded now?
    at('early_mod_check');
    checkBlacklist(load);
    rewriteSectionHeaders(load);
    const versions = checkModstructVersion(load);
    checkModinfo(load);
    if (kernel.version !== '6.1') {
      checkLivepatch(load);
      yield* patientCheckExists(load);
    }
    yield done('early_mod_check');

    const m = new Module(kernel, info, info.structModuleName(), options.behaviour ?? {}, load.lines);
    m.sigOk = sigOk;
    if (load.forced) m.taints.add('FORCED_MODULE');
    load.module = m;
    if (kernel.version === '6.1') taintsOfCheckModinfo(m, info, () => checkLivepatch(load));

    // The architecture sizes its PLT and GOT; after that nothing changes size.
    at('module_frob_arch_sections');
    frobArchSections(load, m);
    yield done('module_frob_arch_sections');

    at('layout_and_allocate');
    enforceRwxSections(load, m);
    markSections(m, info);
    layoutAndMove(load, m);
    undo.push({ label: 'free_module', run: () => deallocate(m) });
    yield done('layout_and_allocate');

    // From here on the name is taken.
    at('add_unformed_module');
    yield* patientCheckExists(load);
    kernel.link(m);
    undo.push({ label: 'unlink_mod', run: () => unlinkMod(kernel, m) });
    if (kernel.version === '6.1') taintOfSignature(m);
    else augmentKernelTaints(m, info);
    yield done('add_unformed_module');

    at('percpu_modalloc');
    percpuModalloc(load, m);
    moduleUnloadInit(m);
    undo.push({ label: 'free_unload', run: () => moduleUnloadFree(m) });
    yield done('percpu_modalloc');

    at('find_module_sections');
    findModuleSections(load, m);
    if (kernel.version === '6.1') taintOfOffenders(m);
    checkExportSymbolSections(load, m);
    yield done('find_module_sections');

    at('setup_modinfo');
    undo.push({ label: 'free_modinfo', run: () => {} });
    setupModinfo(load, m);
    yield done('setup_modinfo');

    // Every symbol becomes an address; those it does not define are looked up, checked and pinned.
    at('simplify_symbols');
    const versionsNow = kernel.arch.rewritesVersions ? new SymbolVersions(info) : versions;
    const pass = { versions: versionsNow, ...(options.onResolved ? { onResolved: options.onResolved } : {}) };
    yield* sleeping(load, 'resolve_symbol_wait', simplifyingSymbols(m, info, pass));
    yield done('simplify_symbols');

    // No new symbols from here on.
    at('apply_relocations');
    applyRelocations(load, m);
    yield done('apply_relocations');

    at('post_relocation');
    postRelocation(load, m);
    undo.push({ label: 'free_arch_cleanup', run: () => kernel.arch.cleanup?.(m) });
    yield done('post_relocation');

    at('complete_formation');
    undo.push({ label: 'ddebug_cleanup', run: () => synchronizeRcu(kernel) });
    completeFormation(load, m);
    yield done('complete_formation');

    // COMING: others may see it, nobody may use it before init is done.
    at('prepare_coming_module');
    undo.push({ label: 'bug_cleanup', run: () => void (m.state = 'GOING') });
    klpModuleComing(load, m);
    notifyComing(load, m);
    yield done('prepare_coming_module');

    at('parse_args');
    undo.push({ label: 'coming_cleanup', run: () => comingCleanup(m) });
    parseModuleArgs(load, m);
    yield done('parse_args');

    at('mod_sysfs_setup');
    modSysfsSetup(load, m);
    yield done('mod_sysfs_setup');

    at('free_copy');
    if (kernel.switch('KALLSYMS')) m.symtab = info.keptSymtab();
    info.free();
    yield done('free_copy');

    // do_init_module() cleans up after itself.
    at('do_init_module');
    undo.length = 0;
    yield* initSteps(load, doInitModule(load, m));
    // What nobody told of this kernel, the first module that it takes does.
    kernel.vermagic ??= load.vermagic;
    kernel.structModuleSize ??= info.section(info.index.mod).sh_size;
    yield done('do_init_module');
    return m;
  } catch (error) {
    for (const { label, run } of undo.reverse()) {
      const waits = run();
      if (waits) yield* sleeping(load, 'synchronize_rcu', waits);
      yield { step: label, load, unwinding: true };
    }
    throw error;
  }
}

/** module_deallocate() */
function deallocate(m: Module): void {
  percpuModfree(m);
  freeMemory(m);
}

/** coming_cleanup: everybody who was told that it comes is told that it goes. */
function comingCleanup(m: Module): void {
  m.state = 'GOING';
  m.kernel.notifiers.call('GOING', m);
}

/** unlink_mod: whoever waits for the name or for its symbols looks again. */
function* unlinkMod(kernel: Kernel, m: Module): Generator<Wait, void, Wake> {
  unlink(kernel, m);
  kernel.moduleWq.wakeAll();
  yield* synchronizeRcu(kernel);
}

/** Gives each sleep of something as a step. */
export function* sleeping<T>(load: Loading, step: string, waits: Generator<Wait, T, Wake>): Generator<Step, T, Wake> {
  let next = waits.next();
  while (!next.done) next = waits.next(yield { step, load, wait: next.value });
  return next.value;
}

function* initSteps(load: Loading, steps: Generator<InitStep, void, Wake>): Generator<Step, void, Wake> {
  let next = steps.next();
  while (!next.done) next = steps.next(yield { ...next.value, load });
}

/**
 * module_patient_check_exists(): a namesake that is still loading may fail, so its end is waited for; this load is not
 * tried again, whatever that end is.
 *
 * @throws LoadError C62, C63, C64, C70
 */
function* patientCheckExists(load: Loading): Generator<Step, void, Wake> {
  const { kernel, info } = load;
  const name = info.structModuleName();
  let other = kernel.findModule(name, true);
  if (other === undefined) return;
  const early = load.step === 'early_mod_check';
  if (isLoading(other)) {
    const finished = (): boolean => !isLoading(kernel.findModule(name, true));
    const waited = yield* sleeping(load, 'module_patient_check_exists', waitEvent(kernel, kernel.moduleWq, finished));
    if (waited === 'signal')
      throw load.fail('EINTR', early ? 'C64' : 'C70', undefined, `a signal came while another ${name} was loading`);
    other = kernel.findModule(name, true);
  }
  if (other?.state === 'LIVE') throw load.fail('EEXIST', early ? 'C62' : 'C70', undefined, `${name} is loaded already`);
  throw load.fail('EBUSY', early ? 'C63' : 'C70', undefined, `another ${name} is ${other?.state ?? 'gone'}`);
}

const isLoading = (m: Module | undefined): boolean => m?.state === 'COMING' || m?.state === 'UNFORMED';

/** Runs a load to its end: insmod. What would wait for another load finds that there is none. */
export function insmod(kernel: Kernel, file: Uint8Array, options: LoadOptions = {}): Module {
  return alone(loadModule(kernel, file, options));
}
