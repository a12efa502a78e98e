/**
 * load_module() from 2.5.48 to 6.0, as far as others can see it: a name is looked up, symbols are linked, the module is
 * in the list, and its init runs. What does not change from day to day is today's.
 */
import { freeMemory, layoutAndMove } from '../../loader/allocate.ts';
import { checkCall, rewriteSectionHeaders } from '../../loader/early.ts';
import { completeFormation, parseModuleArgs } from '../../loader/formation.ts';
import type { ModuleFile } from '../../loader/idempotent.ts';
import { doInitModule, unlink } from '../../loader/init.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { Loading, type LoadOptions } from '../../loader/loading.ts';
import { Module } from '../../loader/module.ts';
import { moduleGet, moduleUnloadInit } from '../../loader/refcount.ts';
import { applyRelocations } from '../../loader/relocate.ts';
import { findSymbol, moduleUnloadFree, simplifyingSymbols } from '../../loader/symbols.ts';
import { validate } from '../../loader/validate.ts';
import { SymbolVersions } from '../../loader/versions.ts';
import { alone, PATIENCE, waitEvent, type Wake } from '../../loader/wait.ts';
import type { LifeStep, LifeSteps } from '../life.ts';
import { asThen, type Past, unlocked } from './past.ts';

export function* loadAsThen(kernel: Kernel, past: Past, file: ModuleFile, options: LoadOptions): LifeSteps {
  const { rules } = past;
  const load = new Loading(kernel, file.bytes, options);
  checkCall(load);
  validate(kernel, load.info, load.flags, (line) => load.say(line));
  rewriteSectionHeaders(load);
  if (rules.locksLoads) yield* unlocked(kernel, past);
  if (!rules.listsLate) yield* checkExists(load, past);

  const m = new Module(kernel, load.info, load.info.structModuleName(), options.behaviour ?? {}, load.lines);
  load.module = m;
  layoutAndMove(load, m);
  moduleUnloadInit(m);
  try {
    if (!rules.locksLoads && !rules.listsLate) {
      kernel.link(m);
      yield { step: 'add_unformed_module', load };
    }
    yield* linkSymbols(load, past, m);
    // All that it uses is linked by now, and nothing is waited for.
    alone(simplifyingSymbols(m, load.info, { versions: new SymbolVersions(load.info) }));
    applyRelocations(load, m);
    if (rules.listsLate) yield* checkExists(load, past);
    if (!kernel.modules.includes(m)) kernel.link(m);
    completeFormation(load, m);
    parseModuleArgs(load, m);
    m.sysfs = true;
  } catch (error) {
    unlink(kernel, m);
    moduleUnloadFree(m);
    freeMemory(m);
    kernel.moduleWq.wakeAll();
    throw error;
  }
  yield { step: 'complete_formation', load };
  if (rules.locksInit) past.locked = true;
  try {
    const steps = asThen(rules, doInitModule(load, m));
    for (let next = steps.next(); !next.done; ) next = steps.next(yield { ...next.value, load });
  } finally {
    if (rules.locksInit) {
      past.locked = false;
      past.unlocked.wakeAll();
    }
  }
  yield { step: 'do_init_module', load };
  return undefined;
}

/** A namesake that may still fail is waited for, if that was done then, and afterwards all is as if it had not been. */
function* checkExists(load: Loading, { rules }: Past): LifeSteps {
  const { kernel } = load;
  const name = load.info.structModuleName();
  const isAwaited = (): boolean => {
    const state = kernel.findModule(name, true)?.state;
    return state !== undefined && rules.namesakeAwaited?.includes(state) === true;
  };
  while (isAwaited()) {
    const waits = waitEvent(kernel, kernel.moduleWq, () => !isAwaited());
    for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'finished_loading', wait: next.value });
  }
  if (kernel.findModule(name, true) !== undefined)
    throw load.fail('EEXIST', 'C70', undefined, `${name} is in the list of modules`);
  return undefined;
}

/** use_module() of each that exports what is used. */
function* linkSymbols(load: Loading, past: Past, m: Module): Generator<LifeStep, void, Wake> {
  const { kernel } = load;
  const { symtab } = load.info;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_shndx(i) !== 0) continue;
    const name = symtab.name(i);
    const ready = (): boolean => findSymbol(kernel, name, true)?.owner?.state !== 'COMING';
    const { linksComing } = past.rules;
    if (!ready() && linksComing !== 'yes' && linksComing !== 'no') {
      past.locked = linksComing === 'waits under module_mutex';
      const waits = waitEvent(kernel, kernel.moduleWq, ready, PATIENCE);
      for (let next = waits.next(); !next.done; )
        next = waits.next(yield { step: 'use_module', load, wait: { ...next.value, at: () => name } });
      past.locked = false;
      past.unlocked.wakeAll();
    }
    const symbol = findSymbol(kernel, name, true);
    const owner = symbol?.owner;
    if (symbol === undefined || owner?.state === 'GOING' || (linksComing === 'no' && !ready()))
      throw load.fail('ENOENT', 'C79', `${m.name}: Unknown symbol ${name}`, `${name} is not to be had`);
    if (linksComing !== 'yes' && !ready())
      throw load.fail(
        'EBUSY',
        'C84',
        `${m.name}: gave up waiting for init of module ${owner?.name}.`,
        `${owner?.name} has not finished its init`,
      );
    if (owner === undefined || m.targets.has(owner)) continue;
    moduleGet(owner);
    m.targets.add(owner);
    owner.sources.add(m);
  }
}
