/** What user space sees of the modules at any moment: /proc/modules, /sys/module and lsmod(8), as text. */
import { SHF_ALLOC } from '../relocs/elf.ts';
import type { Region } from '../relocs/module-view.ts';
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';
import { paramsInMemory, paramText } from './module-params.ts';

export interface ShownTo {
  /** True: a reader whom the kernel shows no addresses (kptr_restrict, no CAP_SYSLOG). */
  readonly hidden?: boolean;
}

/** "%px" with 0x before it. */
const pointer = (m: Module, address: bigint, { hidden = false }: ShownTo): string =>
  `0x${(hidden ? 0n : address).toString(16).padStart(m.format.is64 ? 16 : 8, '0')}`;

const newestFirst = (modules: ReadonlySet<Module>): Module[] => [...modules].reverse();

/** /proc/modules: UNFORMED modules are not shown. */
export const procModules = (kernel: Kernel, to: ShownTo = {}): string =>
  kernel.modules.map((m) => (m.state === 'UNFORMED' ? '' : `${procLine(m, to)}\n`)).join('');

/** Its line of one module: name, size, references, who uses it, state, address, taints. */
export function procLine(m: Module, to: ShownTo = {}): string {
  const state = { LIVE: 'Live', COMING: 'Loading', GOING: 'Unloading', UNFORMED: 'Unformed' }[m.state];
  const sign = m.state === 'GOING' ? '-' : m.state === 'COMING' ? '+' : '';
  const taints = m.taintLetters === '' ? '' : ` (${m.taintLetters}${sign})`;
  const base = m.memory.text?.base ?? m.memory.core?.base ?? 0n;
  return `${m.name} ${m.size} ${unloadInfo(m)} ${state} ${pointer(m, base, to)}${taints}`;
}

/** print_unload_info() */
function unloadInfo(m: Module): string {
  if (!m.kernel.switch('MODULE_UNLOAD')) return '- -';
  const users = newestFirst(m.sources).map(({ name }) => `${name},`);
  if (m.hasInitFunction && !m.hasExitFunction) users.push('[permanent],');
  return `${m.refcount} ${users.length === 0 ? '-' : users.join('')}`;
}

/**
 * The files below /sys/module of loaded modules, by path from there ("minimal/refcnt"), and what reading one gives;
 * of a link, where it leads to.
 */
export function sysModule(kernel: Kernel, to: ShownTo = {}): Map<string, string> {
  const files = new Map<string, string>();
  for (const m of kernel.modules) {
    if (!m.sysfs) continue;
    const dir = directory(m);
    for (const [path, text] of filesOf(m, to)) files.set(`${dir}/${path}`, text);
  }
  return files;
}

const directory = ({ name }: Module): string => name.replaceAll('/', '!');

function* filesOf(m: Module, to: ShownTo): Generator<[path: string, text: string]> {
  if (m.versionString !== undefined) yield ['version', `${m.versionString}\n`];
  if (m.srcversion !== undefined) yield ['srcversion', `${m.srcversion}\n`];
  if (m.version === '7.2' && m.importedNamespaces.length > 0)
    yield ['import_ns', `${m.importedNamespaces.join('\n')}\n`];
  yield ['initstate', `${m.state.toLowerCase()}\n`];
  yield ['coresize', `${sizeOf(m, (region) => !isInit(region))}\n`];
  yield ['initsize', `${sizeOf(m, isInit)}\n`];
  yield ['taint', `${m.taintLetters}\n`];
  if (m.kernel.switch('MODULE_UNLOAD')) yield ['refcnt', `${m.refcount}\n`];
  for (const user of holders(m)) yield [`holders/${directory(user)}`, `../../${directory(user)}`];
  for (const definition of paramsInMemory(m)) {
    if (definition.perm !== 0) yield [`parameters/${definition.name}`, paramText(m, definition)];
  }
  yield* sectionFiles(m, to);
}

const isInit = (region: Region): boolean => region === 'init' || region.startsWith('init_');

const sizeOf = (m: Module, counts: (region: Region) => boolean): number =>
  (Object.keys(m.memory) as Region[]).reduce((sum, region) => sum + (counts(region) ? m.memory[region]!.size : 0), 0);

/**
 * A user is linked when its own directory is made, and no longer when that goes. The newest is first here; in which order
 * readdir(3), and so lsmod, shows them no kernel promises.
 */
const holders = (m: Module): Module[] => newestFirst(m.sources).filter(({ sysfs }) => sysfs);

/** Addresses stay when init memory has gone. Two sections of one name leave 6.1 without the directory. */
function* sectionFiles(m: Module, to: ShownTo): Generator<[path: string, text: string]> {
  if (!m.kernel.switch('KALLSYMS')) return;
  const sections = m.sections.filter((s) => (s.sh_flags & SHF_ALLOC) !== 0 && s.sh_size !== 0);
  if (new Set(sections.map(({ name }) => name)).size < sections.length) return;
  for (const s of sections) yield [`sections/${s.name}`, `${pointer(m, s.sh_addr, to)}\n`];
}

/** What lsmod cannot read: -ENOENT, which it prints as a number. */
const ENOENT = '-2';

/** lsmod(8) of kmod: the names of /proc/modules, all else from /sys/module. */
export function lsmod(kernel: Kernel): string {
  const rows = kernel.modules.flatMap((m) => {
    if (m.state === 'UNFORMED') return [];
    const files = new Map(m.sysfs ? filesOf(m, {}) : []);
    const read = (path: string): string => files.get(path)?.trim() ?? ENOENT;
    const users = m.sysfs ? holders(m).map(({ name }) => name) : [];
    const used = users.length === 0 ? '' : ` ${users.join(',')}`;
    return [`${m.name.padEnd(19)} ${read('coresize').padStart(8)}  ${read('refcnt')}${used}`];
  });
  return ['Module                  Size  Used by', ...rows, ''].join('\n');
}
