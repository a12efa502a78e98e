/**
 * load_module() of kernel/module/main.c, told step by step.
 *
 * A generator: each step of the kernel is a yield with the kernel's name for it, given after it has been done. Run to
 * the end it is insmod; step by step it is `komulator explain`. On a refusal the steps that were done are undone in
 * the kernel's order (the labels at the end of load_module()), each with a yield of its own.
 */
import {
  enforceRwxSections, freeMemory, frobArchSections, layoutAndMove, markSections, percpuModalloc, percpuModfree,
} from './allocate.ts';
import { checkBlacklist, checkCall, checkLivepatch, checkModinfo, checkModstructVersion, moduleSigCheck, rewriteSectionHeaders } from './early.ts';
import {
  checkExportSymbolSections, completeFormation, findModuleSections, klpModuleComing, modSysfsSetup, parseModuleArgs, postRelocation, setupModinfo,
} from './formation.ts';
import { doInitModule, unlink } from './init.ts';
import type { Kernel } from './kernel.ts';
import { Loading, type LoadOptions } from './loading.ts';
import { Module } from './module.ts';
import { augmentKernelTaints, taintOfOffenders, taintOfSignature, taintsOfCheckModinfo } from './module-taints.ts';
import { moduleUnloadInit } from './refcount.ts';
import { applyRelocations } from './relocate.ts';
import { moduleUnloadFree, simplifySymbols } from './symbols.ts';
import { validate } from './validate.ts';
import { SymbolVersions } from './versions.ts';

/** A step of load_module() that has just been done, or a label of its unwinding. */
export interface Step {
  readonly step: string;
  readonly load: Loading;
  /** True on the way back after a refusal. */
  readonly unwinding?: boolean;
}

/**
 * Loads a module file (uncompressed) into a kernel. Returns the LIVE module.
 *
 * @throws LoadError; the kernel is then as it was, but for log and taints, which a kernel keeps as well
 */
export function* loadModule(kernel: Kernel, file: Uint8Array, options: LoadOptions = {}): Generator<Step, Module> {
  const load = new Loading(kernel, file, options);
  const { info } = load;
  const undo: { label: string; run: () => void }[] = [{ label: 'free_copy', run: () => info.free() }];
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
      patientCheckExists(load);
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
    patientCheckExists(load);
    kernel.link(m);
    undo.push({ label: 'unlink_mod', run: () => unlink(kernel, m) });
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
    simplifySymbols(m, info, { versions: versionsNow, ...(options.onResolved ? { onResolved: options.onResolved } : {}) });
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
    undo.push({ label: 'ddebug_cleanup', run: () => {} });
    completeFormation(load, m);
    yield done('complete_formation');

    // COMING: others may see it, nobody may use it before init is done.
    at('prepare_coming_module');
    undo.push({ label: 'bug_cleanup', run: () => (m.state = 'GOING') });
    klpModuleComing(load, m);
    yield done('prepare_coming_module');

    at('parse_args');
    undo.push({ label: 'coming_cleanup', run: () => (m.state = 'GOING') });
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
    doInitModule(load, m);
    // What nobody told of this kernel, the first module that it takes does.
    kernel.vermagic ??= load.vermagic;
    kernel.structModuleSize ??= info.section(info.index.mod).sh_size;
    yield done('do_init_module');
    return m;
  } catch (error) {
    for (const { label, run } of undo.reverse()) {
      run();
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

/**
 * module_patient_check_exists(), without the patience: nobody else runs while a load that is not stepped is under way.
 *
 * @throws LoadError C62, C63, C70
 */
function patientCheckExists(load: Loading): void {
  const { kernel, info } = load;
  const name = info.structModuleName();
  const other = kernel.findModule(name, true);
  if (other === undefined) return;
  const early = load.step === 'early_mod_check';
  if (other.state === 'LIVE') throw load.fail('EEXIST', early ? 'C62' : 'C70', undefined, `${name} is loaded already`);
  throw load.fail('EBUSY', early ? 'C63' : 'C70', undefined, `another ${name} is ${other.state}`);
}

/** Runs a load to its end: insmod. */
export function insmod(kernel: Kernel, file: Uint8Array, options: LoadOptions = {}): Module {
  const steps = loadModule(kernel, file, options);
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
  }
}
