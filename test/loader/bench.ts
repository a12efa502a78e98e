/** What the tests of the loader share: kernels of each profile, modules for them, and what a refusal must leave alone. */
import type { ExecutionContext } from 'ava';
import { ko, minimalModule, MODULE_LAYOUT_CRC } from '../../fixtures/build.ts';
import type { KoSpec } from '../../fixtures/build.ts';
import { machines, structModule } from '../../fixtures/machines.ts';
import { type Arch, arches } from '../../arch/index.ts';
import { type CheckId, type Errno, LoadError } from '../../loader/errors.ts';
import type { KernelExport } from '../../loader/exports.ts';
import { Kernel, type KernelOptions } from '../../loader/kernel.ts';
import { insmod } from '../../loader/load.ts';
import type { LoadOptions } from '../../loader/loading.ts';
import type { Module } from '../../loader/module.ts';
import type { Version } from '../../relocs/module-view.ts';

/** The three profiles, and 6.12 from the patch level on that has 7.2's ELF checks. */
export const profiles = ['6.1', '6.12', '6.12.117', '7.2'] as const;
export type Profile = (typeof profiles)[number];
/** Those that differ beyond the ELF checks. */
export const versions: readonly Version[] = ['6.1', '6.12', '7.2'];

export const versionOf = (profile: Profile): Version => (profile === '6.12.117' ? '6.12' : profile);

const magicTail = (arch: string): string => machines.find(({ name }) => name === arch)?.magic ?? '';

export const vermagic = (profile: Profile, arch: string = 'x86_64'): string =>
  `${profile === '6.12.117' ? profile : `${profile}.0`}-komulator SMP preempt mod_unload modversions ${magicTail(arch)}`;

export function archOf(name: string): Arch {
  const arch = arches.find((a) => a.name === name);
  if (arch === undefined) throw new Error(`no architecture ${name}`);
  return arch;
}

/** An export of vmlinux; its CRC is 0x1234 unless told otherwise. */
export const exported = (name: string, more: Partial<KernelExport> = {}): KernelExport => ({
  name,
  value: 0xffff_ffff_8100_0000n,
  crc: 0x1234,
  gplonly: false,
  namespace: '',
  owner: 'vmlinux',
  ...more,
});

export interface BenchOptions extends Partial<Omit<KernelOptions, 'arch' | 'version' | 'exports'>> {
  readonly arch?: Arch;
  readonly exports?: readonly KernelExport[];
  /** Knows neither its vermagic nor the size of its struct module. */
  readonly fresh?: boolean;
}

/** A kernel that loads what moduleFor() builds. */
export function kernelOf(profile: Profile, options: BenchOptions = {}): Kernel {
  const { arch = archOf('x86_64'), exports = [], fresh = false, ...more } = options;
  return new Kernel({
    arch,
    version: versionOf(profile),
    ...(fresh
      ? {}
      : { vermagic: vermagic(profile, arch.name), structModuleSize: structModule[arch.is64 ? 64 : 32].size }),
    exports: [exported('module_layout', { crc: MODULE_LAYOUT_CRC }), ...exports],
    ...more,
  });
}

const isList = (modinfo: KoSpec['modinfo']): modinfo is readonly string[] => Array.isArray(modinfo);

/** minimalModule() for a profile; the CRCs of `imports` (0x1234) stand in `__versions` behind module_layout's. */
export function specFor(profile: Profile, overrides: Partial<KoSpec> & { imports?: readonly string[] } = {}): KoSpec {
  const { imports = [], modinfo, ...rest } = overrides;
  const arch = machines.find(({ e_machine }) => e_machine === (rest.machine ?? 62))?.name ?? 'x86_64';
  const versionsOf = imports.map((name): [string, number] => [name, 0x1234]);
  return minimalModule({
    versions: [['module_layout', MODULE_LAYOUT_CRC], ...versionsOf],
    ...(profile === '7.2' ? {} : { exportStyle: '6.x' }),
    ...rest,
    modinfo: isList(modinfo) ? modinfo : { vermagic: vermagic(profile, arch), ...modinfo },
  });
}

export const moduleFor = (profile: Profile, overrides: Parameters<typeof specFor>[1] = {}): Uint8Array =>
  ko(specFor(profile, overrides));

/** An x86-64 object's relocation by symbol, 8 bytes: what makes a symbol undefined in it. */
export const importing = (...symbols: readonly string[]): Pick<KoSpec, 'sections' | 'relocs'> => ({
  sections: [
    { name: '.text', flags: 6, align: 16, size: 16 },
    { name: '.data', flags: 3, align: 8, size: 8 * symbols.length },
  ],
  relocs: { '.data': symbols.map((symbol, i) => ({ offset: 8 * i, type: 1, symbol })) },
});

/** All of a kernel that a refused load must leave as it was: everything but log, taints and what is said once. */
export function snapshot(kernel: Kernel): unknown {
  return {
    modules: kernel.modules.map((m) => ({
      name: m.name,
      state: m.state,
      refcnt: m.refcnt,
      sources: Array.from(m.sources, ({ name }) => name),
      targets: Array.from(m.targets, ({ name }) => name),
      exports: m.exports.map(({ name, value }) => [name, value]),
      memory: Object.entries(m.memory).map(([region, { base, size, bytes }]) => [region, base, size, bytes.slice()]),
      sections: m.sections.map(({ sh_addr, sh_flags }) => [sh_addr, sh_flags]),
      percpu: m.percpu,
      taints: Array.from(m.taints),
    })),
    exports: Array.from(kernel.exports.values()),
    moduleExports: Array.from(kernel.moduleExports, ([name, all]) => [name, all.map(({ owner }) => owner?.name)]),
    ranges: kernel.memory.ranges.map(({ start, end }) => [start, end]),
    percpu: kernel.percpu.used,
    vermagic: kernel.vermagic,
    structModuleSize: kernel.structModuleSize,
  };
}

export interface Expected {
  readonly errno: Errno;
  readonly check: CheckId;
  /** All lines of the load, in order. */
  readonly log: readonly string[];
  readonly step?: string;
}

/** Asserts a refusal: errno, check, every log line, and that the kernel is as before. */
export function refuses(
  t: ExecutionContext,
  kernel: Kernel,
  file: Uint8Array,
  expected: Expected,
  options?: LoadOptions,
): LoadError | undefined {
  const before = snapshot(kernel);
  const from = kernel.log.length;
  const given = file.slice();
  const error = t.throws<LoadError>(() => void insmod(kernel, file, options), { instanceOf: LoadError });
  if (error === undefined) return undefined;
  t.deepEqual(
    { errno: error.errno, check: error.check, log: kernel.log.slice(from) },
    {
      errno: expected.errno,
      check: expected.check,
      log: [...expected.log],
    },
  );
  if (expected.step !== undefined) t.is(error.step, expected.step);
  t.deepEqual(snapshot(kernel), before, 'the kernel is as it was');
  t.deepEqual(file, given, 'the file is as it was');
  t.true(error.reason.length > 0);
  return error;
}

/** Asserts that a module loads, and with which lines. */
export function loads(
  t: ExecutionContext,
  kernel: Kernel,
  file: Uint8Array,
  log: readonly string[] = UNSIGNED,
  options?: LoadOptions,
): Module | undefined {
  const from = kernel.log.length;
  try {
    const m = insmod(kernel, file, options);
    t.is(m.state, 'LIVE');
    t.deepEqual(kernel.log.slice(from), [...log]);
    return m;
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    t.fail(`${error.check} ${error.message}: ${error.reason}`);
    return undefined;
  }
}

/** What every kernel says of its first unsigned module. */
export const unsigned = (name: string): string =>
  `${name}: module verification failed: signature and/or required key missing - tainting kernel`;
export const UNSIGNED: readonly string[] = [unsigned('minimal')];
