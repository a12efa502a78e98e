/** module_augment_kernel_taints(), and the places where 6.1 does the same. */
import type { LoadInfo } from './load-info.ts';
import { licenseIsGplCompatible } from './modinfo.ts';
import type { Module } from './module.ts';
import type { Taint } from './taint.ts';

/** add_taint_module() */
function taint(m: Module, flag: Taint): void {
  m.kernel.addTaint(flag);
  m.taints.add(flag);
}

const tainted = (m: Module, flag: Taint): boolean => m.kernel.taints.has(flag);

function outOfTree(m: Module, info: LoadInfo): void {
  if (info.modinfo('intree') !== undefined) return;
  if (!tainted(m, 'OOT_MODULE')) m.log(`${m.name}: loading out-of-tree module taints kernel.`);
  taint(m, 'OOT_MODULE');
}

/** retpoline_module_ok(): x86 with the mitigation on. */
function retpoline(m: Module, info: LoadInfo): void {
  if (!m.kernel.switch('RETPOLINE') || info.modinfo('retpoline') !== undefined) return;
  m.log('Spectre V2 : System may be vulnerable to spectre v2');
  m.log(`${m.name}: loading module not compiled with retpoline compiler.`);
}

function staging(m: Module, info: LoadInfo): void {
  if (info.modinfo('staging') === undefined) return;
  taint(m, 'CRAP');
  m.log(`${m.name}: module is from the staging directory, the quality is unknown, you have been warned.`);
}

function livepatch(m: Module): void {
  if (!m.isLivepatch) return;
  taint(m, 'LIVEPATCH');
  m.logOnce('livepatch', `${m.name}: tainting kernel with TAINT_LIVEPATCH`);
}

function license(m: Module, info: LoadInfo): void {
  m.license = info.modinfo('license') ?? 'unspecified';
  if (licenseIsGplCompatible(m.license)) return;
  if (!tainted(m, 'PROPRIETARY_MODULE')) m.log(`${m.name}: module license '${m.license}' taints kernel.`);
  taint(m, 'PROPRIETARY_MODULE');
}

function test(m: Module, info: LoadInfo): void {
  if (info.modinfo('test') === undefined) return;
  if (!tainted(m, 'TEST')) m.log(`${m.name}: loading test module taints kernel.`);
  taint(m, 'TEST');
}

function signature(m: Module): void {
  if (m.sigOk) return;
  m.logOnce(
    'signature',
    `${m.name}: module verification failed: signature and/or required key missing - tainting kernel`,
  );
  taint(m, 'UNSIGNED_MODULE');
}

/** The three names that the kernel does not believe. */
function offenders(m: Module, before: boolean): void {
  if (m.name === 'ndiswrapper') m.kernel.addTaint('PROPRIETARY_MODULE');
  if (m.name === 'driverloader' || m.name === 'lve') taint(m, 'PROPRIETARY_MODULE');
  if (!before && tainted(m, 'PROPRIETARY_MODULE')) m.log(`${m.name}: module license taints kernel.`);
}

/** 6.12 and later: all at once, when the module is in the list. */
export function augmentKernelTaints(m: Module, info: LoadInfo): void {
  const before = tainted(m, 'PROPRIETARY_MODULE');
  outOfTree(m, info);
  retpoline(m, info);
  staging(m, info);
  livepatch(m);
  license(m, info);
  test(m, info);
  signature(m);
  offenders(m, before);
}

/** 6.1: check_modinfo(), before allocation. `checkLivepatch` stands where the kernel has it. */
export function taintsOfCheckModinfo(m: Module, info: LoadInfo, checkLivepatch: () => void): void {
  outOfTree(m, info);
  retpoline(m, info);
  staging(m, info);
  checkLivepatch();
  livepatch(m);
  license(m, info);
  test(m, info);
}

/** 6.1: load_module(), when the module is in the list. */
export const taintOfSignature: (m: Module) => void = signature;

/** 6.1: check_module_license_and_versions(). */
export function taintOfOffenders(m: Module): void {
  offenders(m, tainted(m, 'PROPRIETARY_MODULE'));
}
