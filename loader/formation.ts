/** From a relocated module to one that may run: optional sections, checks of its exports, parameters, sysfs. */
import { SHF_ALLOC } from '../relocs/elf.ts';
import { readExports, exportCount } from './ksymtab.ts';
import { COMM } from './early.ts';
import { extableIn, sortExtable } from './extable.ts';
import { errnoOf } from './errors.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';
import { readModuleParams, storeModuleParams } from './module-params.ts';
import { notifierToErrno } from './notifier.ts';
import { parseArgs } from './params.ts';
import { findSymbol } from './symbols.ts';
import { tryToForceLoad } from './versions.ts';

/** find_module_sections(): only what can refuse or speak; the rest is found where it is used. */
export function findModuleSections(load: Loading, m: Module): void {
  const { info } = load;
  if (m.version === '7.2') {
    for (const name of ['__ksymtab_gpl', '__kcrctab_gpl'])
      if (info.findSec(name) !== 0) m.log(`${m.name}: ignoring obsolete section ${name}`);
  }
  if (m.kernel.switch('CONSTRUCTORS') && info.findSec('.ctors') !== 0 && info.findSec('.init_array') !== 0)
    throw load.fail(
      'EINVAL',
      'C72',
      `${m.name}: has both .ctors and .init_array.`,
      'parts of the module were built by different compilers',
    );
  if (info.findSec('__obsparm') !== 0) m.log(`${m.name}: Ignoring obsolete parameters`);
}

/** check_export_symbol_sections() [7.2], check_export_symbol_versions() before. */
export function checkExportSymbolSections(load: Loading, m: Module): void {
  const { info } = load;
  const syms = exportCount(m, info, '__ksymtab');
  if (m.version === '7.2' && syms > 0 && info.findSec('__kflagstab') === 0)
    throw load.fail(
      'ENOEXEC',
      'C73',
      `${m.name}: no flags for exported symbols`,
      '__ksymtab without __kflagstab: the module was built for a kernel before 7.1',
    );
  if (!m.kernel.switch('MODVERSIONS')) return;
  const gpl = m.version === '7.2' ? 0 : exportCount(m, info, '__ksymtab_gpl');
  const without = (syms > 0 && info.findSec('__kcrctab') === 0) || (gpl > 0 && info.findSec('__kcrctab_gpl') === 0);
  if (without && !tryToForceLoad(m, 'no versions for exported symbols'))
    throw load.fail(
      'ENOEXEC',
      'C74',
      undefined,
      'the module exports symbols without CRCs, and this kernel checks them (CONFIG_MODVERSIONS)',
    );
}

/** setup_modinfo() */
export function setupModinfo(load: Loading, m: Module): void {
  const { info } = load;
  m.versionString = info.modinfo('version');
  m.srcversion = info.modinfo('srcversion');
  m.importedNamespaces = info.modinfos('import_ns');
  if (m.version !== '7.2') return;
  const explicit = m.importedNamespaces.find((ns) => ns.startsWith('module:'));
  if (explicit !== undefined)
    throw load.fail(
      'EPERM',
      'C75',
      `${m.name}: module tries to import module namespace: ${explicit}`,
      '"module:" namespaces name their users themselves; they cannot be imported',
    );
}

/** post_relocation(): exception table, then the architecture's module_finalize(). */
export function postRelocation(load: Loading, m: Module): void {
  const extable = load.info.findSec('__ex_table');
  if (extable !== 0) {
    sortExtable(m, load.info.section(extable));
    m.extable = extableIn(m, load.info.section(extable));
  }
  load.asking(
    () => 'C91',
    () => m.kernel.arch.finalize?.(m),
  );
}

/** complete_formation(): duplicate exports are refused, then the module is COMING. */
export function completeFormation(load: Loading, m: Module): void {
  const { all, found } = readExports(m, load.info);
  m.exports = found;
  for (const { name } of all) {
    const other = findSymbol(m.kernel, name, true);
    if (other !== undefined && other.owner !== m) {
      const owner = other.owner?.name ?? 'kernel';
      throw load.fail(
        'ENOEXEC',
        'C93',
        `${m.name}: exports duplicate symbol ${name} (owned by ${owner})`,
        `${owner} exports ${name} already`,
      );
    }
  }
  m.state = 'COMING';
  for (const e of m.exports.toReversed()) {
    const others = m.kernel.moduleExports.get(e.name);
    if (others === undefined) m.kernel.moduleExports.set(e.name, [e]);
    else others.unshift(e);
  }
}

/**
 * klp_module_coming(): the name that livepatch keeps for the kernel itself.
 *
 * @throws LoadError C95
 */
export function klpModuleComing(load: Loading, m: Module): void {
  if (m.kernel.switch('LIVEPATCH') && m.name === 'vmlinux')
    throw load.fail('EINVAL', 'C95', 'livepatch: vmlinux.ko: invalid module name', 'no module may be called vmlinux');
}

/**
 * The notifiers of prepare_coming_module(): one that refuses is rolled back and its errno is the load's.
 *
 * @throws LoadError C96
 */
export function notifyComing(load: Loading, m: Module): void {
  const ret = notifierToErrno(m.kernel.notifiers.callRobust('COMING', 'GOING', m));
  if (ret !== 0) throw load.fail(errnoOf(-ret), 'C96', undefined, 'a client of the module notifier refused the module');
}

/** Takes the module's exports out of the search. */
export function dropExports(m: Module): void {
  for (const e of m.exports) {
    const left = m.kernel.moduleExports.get(e.name)?.filter((other) => other.owner !== m) ?? [];
    if (left.length > 0) m.kernel.moduleExports.set(e.name, left);
    else m.kernel.moduleExports.delete(e.name);
  }
  m.exports = [];
}

/** parse_args() over the module's own parameters. */
export function parseModuleArgs(load: Loading, m: Module): void {
  const args = load.options.params ?? '';
  const params = args === '' ? [] : readModuleParams(m, load.info);
  const result = parseArgs({
    module: m.name,
    args,
    params,
    wordBits: m.format.is64 ? 64 : 32,
    version: m.version,
    dynamicDebug: m.config['DYNAMIC_DEBUG'] !== false,
    ...(m.kernel.switch('LOCKDOWN') ? { lockdown: COMM } : {}),
  });
  for (const line of result.log) m.log(line);
  if (result.taintUser) m.kernel.addTaint('USER');
  m.params = result.values;
  storeModuleParams(m, params, result.values);
  m.asyncProbe = result.asyncProbe ?? false;
  if (result.errno !== undefined)
    throw load.fail(result.errno, 'C97', undefined, `a parameter in '${args}' was not accepted; see the log`);
  if (result.after !== undefined) m.log(`${m.name}: parameters '${result.after}' after \`--' ignored`);
}

/**
 * mod_sysfs_setup(): the name must be free in /sys/module, and files in its directories have names of their own.
 *
 * @throws LoadError C99, C100
 */
export function modSysfsSetup(load: Loading, m: Module): void {
  if (m.kernel.builtin.has(m.name))
    throw load.fail(
      'EINVAL',
      'C99',
      `${m.name}: module is already loaded`,
      `/sys/module/${m.name} exists: the driver is built into this kernel`,
    );
  if (m.name === '')
    throw load.fail('EINVAL', 'C100', undefined, 'the module has no name (struct module.name is empty)');
  const dir = `/module/${m.name.replaceAll('/', '!')}`;
  const duplicate = (path: string): string => `sysfs: cannot create duplicate filename '${dir}/${path}'`;
  const param = firstTwice(
    readModuleParams(m, load.info)
      .filter(({ perm }) => perm !== 0)
      .map(({ name }) => name),
  );
  if (param !== undefined)
    throw load.fail(
      'EEXIST',
      'C100',
      duplicate(`parameters/${param}`),
      `two parameters are called ${param}, and ${dir}/parameters has a file for each`,
    );
  m.sysfs = true;
  if (!m.kernel.switch('KALLSYMS')) return;
  const section = firstTwice(
    m.sections.filter((s) => (s.sh_flags & SHF_ALLOC) !== 0 && s.sh_size !== 0).map(({ name }) => name),
  );
  if (section === undefined) return;
  const line = duplicate(`sections/${section}`);
  // 6.1 goes on without the directory.
  if (m.version === '6.1') return m.log(line);
  m.sysfs = false;
  throw load.fail(
    'EEXIST',
    'C100',
    line,
    `two sections in memory are called ${section}, and ${dir}/sections has a file for each`,
  );
}

/** The first name that is there for the second time. */
function firstTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
