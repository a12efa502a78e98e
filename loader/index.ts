/** Loading kernel modules: kernels, modules, errors, and what goes in and comes out of them. */
export { arches } from '../arch/index.ts';
export type { Version } from '../relocs/module-view.ts';
export { versions } from '../relocs/module-view.ts';
export { type CheckId, type Errno, errnos, insmodError, LoadError, strerror } from './errors.ts';
export {
  type Exploration,
  explore,
  exploring,
  type Footprint,
  type Moment,
  type Move,
  replaySchedule,
  type Stack,
  type Violation,
  type World,
} from './explore.ts';
export {
  exportsOfSymbols,
  type KernelExport,
  parseSymvers,
  parseSystemMap,
  parseVmlinux,
  withAddresses,
} from './exports.ts';
export { searchModuleExtables } from './extable.ts';
export { type AddressSymbol, moduleAddressLookup, procKallsyms } from './kallsyms.ts';
export { finitModule, type ModuleFile } from './idempotent.ts';
export { InputError } from './input-error.ts';
export { Kernel, type KernelOptions, type ResolvedExport, type Vendor } from './kernel.ts';
export { insmod, loadModule, type Step } from './load.ts';
export type { Loading, LoadOptions } from './loading.ts';
export type { Behaviour, Code, Module, State } from './module.ts';
export { NOTIFY_DONE, NOTIFY_OK, type NotifierBlock, notifierFromErrno } from './notifier.ts';
export { lsmod, procModules, type ShownTo, sysModule } from './proc.ts';
export { moduleGet, modulePut, moduleRefcount, strongTryModuleGet, tryModuleGet } from './refcount.ts';
export { symbolGet, symbolPut, symbolPutAddr } from './symbol-get.ts';
export { runTogether, Thread, type ThreadStep } from './thread.ts';
export { deleteModule, O_NONBLOCK, O_TRUNC, rmmod, type UnloadOptions, type UnloadStep } from './unload.ts';
export { type Wait, waitEvent, WaitQueue, type Wake } from './wait.ts';
