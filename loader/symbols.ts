/** simplify_symbols() and everything under it: finding, checking and pinning what a module refers to. */
import { ELF_ST_BIND, SHN_ABS, SHN_COMMON, SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK } from '../relocs/elf.ts';
import { type CheckId, type Errno, errnos, LoadError } from './errors.ts';
import type { Kernel, ResolvedExport } from './kernel.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';
import { modulePut, strongTryModuleGet } from './refcount.ts';
import { checkVersion, type SymbolVersions } from './versions.ts';
import { alone, PATIENCE, type Wait, waitEvent, type Wake } from './wait.ts';

/** find_symbol(): vmlinux first, then modules from the newest; UNFORMED ones are not seen. */
export function findSymbol(kernel: Kernel, name: string, gplok: boolean): ResolvedExport | undefined {
  const builtin = kernel.exports.get(name);
  if (builtin !== undefined && (gplok || !builtin.gplonly)) return builtin;
  return kernel.moduleExports.get(name)?.find((e) => (gplok || !e.gplonly) && e.owner!.state !== 'UNFORMED');
}

/** What became of one undefined symbol. */
type Resolution =
  | { readonly symbol: ResolvedExport }
  /** NULL: absent, which weak symbols survive. */
  | { readonly absent: true; readonly check: CheckId; readonly reason: string }
  | { readonly errno: Errno; readonly check: CheckId; readonly reason: string };

/** Told of each reference that is resolved. */
export type OnResolved = (name: string, symbol: ResolvedExport, index: number) => void;

export interface SymbolPass {
  readonly versions: SymbolVersions;
  readonly onResolved?: OnResolved;
}

/**
 * simplify_symbols(): makes every st_value an address. Goes through all symbols even after an error and reports the
 * last one, as the kernel does.
 *
 * @throws LoadError C77 … C86
 */
export function* simplifyingSymbols(m: Module, info: LoadInfo, pass: SymbolPass): Generator<Wait, void, Wake> {
  const { symtab } = info;
  const { e_shnum } = info.hdr;
  const bases = info.sections.map((s) =>
    s.index !== 0 && s.index === info.index.pcpu ? (m.percpu?.cookie ?? 0n) : s.sh_addr,
  );
  let failure: LoadError | undefined;
  const from = m.lines.length;
  const fail = (errno: Errno, check: CheckId, line: string, reason: string): void => {
    m.log(line);
    failure = new LoadError({
      errno,
      check,
      log: m.lines.slice(from),
      reason,
      module: m.name,
      step: 'simplify_symbols',
    });
  };

  /** The symbols from `first` on; stops at one whose owner has not finished its init. */
  const simplify = (first: number): number => {
    for (let i = first; i < symtab.count; i++) {
      const shndx = symtab.st_shndx(i);
      // The reserved numbers come first: with more than 65,000 sections they are section numbers as well.
      if (shndx === SHN_ABS || shndx === SHN_LIVEPATCH) continue;
      if (shndx !== SHN_UNDEF && shndx !== SHN_COMMON && shndx < e_shnum) {
        symtab.setValue(i, BigInt.asUintN(64, symtab.st_value(i) + bases[shndx]!));
        continue;
      }
      const name = symtab.name(i);
      if (shndx === SHN_COMMON) {
        if (!name.startsWith('__gnu_lto'))
          fail(
            'ENOEXEC',
            'C77',
            `${m.name}: please compile with -fno-common`,
            `${name} is a common symbol, which the loader does not allocate`,
          );
        continue;
      }
      if (shndx !== SHN_UNDEF) {
        fail(
          'ENOEXEC',
          'C78',
          `${m.name}: Symbol ${name} has an invalid section index ${shndx} (max ${e_shnum - 1})`,
          `${name} is defined in section ${shndx}, which does not exist`,
        );
        continue;
      }
      const found = resolveSymbol(m, info, name, pass.versions);
      if ('errno' in found && found.errno === 'EBUSY') return i;
      settle(i, name, found);
    }
    return symtab.count;
  };

  const settle = (i: number, name: string, found: Resolution): void => {
    if ('symbol' in found) {
      symtab.setValue(i, found.symbol.value);
      pass.onResolved?.(name, found.symbol, i);
      return;
    }
    if ('absent' in found) {
      const weak = ELF_ST_BIND(symtab.st_info(i)) === STB_WEAK;
      if (weak || m.kernel.arch.ignoresUndefined?.(name)) return;
    }
    const errno = 'errno' in found ? found.errno : 'ENOENT';
    fail(errno, found.check, `${m.name}: Unknown symbol ${name} (err -${errnos[errno]})`, found.reason);
  };

  for (let i = simplify(1); i < symtab.count; i = simplify(i + 1)) {
    const name = symtab.name(i);
    // Another symbol that is missing already decides how it ends.
    const at = `${name}${failure === undefined ? '' : ', and one is missing'}`;
    settle(i, name, yield* resolveSymbolWait(m, info, name, pass.versions, at));
  }
  if (failure) throw failure;
}

/** simplify_symbols() when nobody else runs who could finish what it waits for. */
export function simplifySymbols(m: Module, info: LoadInfo, pass: SymbolPass): void {
  alone(simplifyingSymbols(m, info, pass));
}

/** resolve_symbol_wait(): 30 seconds for the owner to finish its init. */
function* resolveSymbolWait(
  m: Module,
  info: LoadInfo,
  name: string,
  versions: SymbolVersions,
  at: string,
): Generator<Wait, Resolution, Wake> {
  let found: Resolution | undefined;
  const settled = (): boolean => {
    found = resolveSymbol(m, info, name, versions);
    return !('errno' in found && found.errno === 'EBUSY');
  };
  const waits = waitEvent(m.kernel, m.kernel.moduleWq, settled, PATIENCE);
  let next = waits.next();
  while (!next.done) next = waits.next(yield { ...next.value, at: () => at });
  if (next.value !== 'done')
    m.log(`${m.name}: gave up waiting for init of module ${findSymbol(m.kernel, name, true)?.owner?.name ?? ''}.`);
  return found!;
}

/** resolve_symbol(), under module_mutex. */
function resolveSymbol(m: Module, info: LoadInfo, name: string, versions: SymbolVersions): Resolution {
  const { kernel } = m;
  const symbol = findSymbol(kernel, name, !m.taints.has('PROPRIETARY_MODULE'));
  if (symbol === undefined) return { absent: true, ...whyAbsent(m, name) };
  if (symbol.gplonly) m.usingGplonlySymbols = true;
  if (!inheritTaint(m, symbol.owner, name)) {
    return {
      absent: true,
      check: 'C81',
      reason: `${name} belongs to the proprietary module ${symbol.owner!.name}, and ${m.name} already uses GPL-only symbols`,
    };
  }
  if (!checkVersion(m, versions, info.name ?? m.name, name, symbol.crc)) {
    const crc = versions.get(name);
    return {
      errno: 'EINVAL',
      check: 'C82',
      reason:
        crc === undefined
          ? `the module does not say which version of ${name} it was built against`
          : `${name} has CRC ${hex32(symbol.crc ?? 0)} in ${symbol.owner?.name ?? 'the kernel'}, the module was built against ${hex32(Number(crc))}: rebuild it for this kernel`,
    };
  }
  if (!namespaceIsImported(m, info, symbol)) {
    return { errno: 'EINVAL', check: 'C83', reason: `add MODULE_IMPORT_NS("${symbol.namespace}") to ${m.name}` };
  }
  const errno = refModule(m, symbol.owner);
  if (errno === 'EBUSY') {
    return { errno, check: 'C84', reason: `${symbol.owner!.name}, which exports ${name}, has not finished its init` };
  }
  if (errno !== undefined)
    return { errno, check: 'C85', reason: `${symbol.owner!.name}, which exports ${name}, is ${symbol.owner!.state}` };
  return { symbol };
}

const hex32 = (v: number): string => `0x${v.toString(16).padStart(8, '0')}`;

function whyAbsent(m: Module, name: string): { check: CheckId; reason: string } {
  if (findSymbol(m.kernel, name, true) !== undefined) {
    return {
      check: 'C80',
      reason: `${name} is exported GPL-only, and ${m.name} (license "${m.license}") is proprietary`,
    };
  }
  return { check: 'C79', reason: `neither the kernel nor a loaded module exports ${name}` };
}

/** inherit_taint() */
function inheritTaint(m: Module, owner: Module | undefined, name: string): boolean {
  if (owner === undefined || !owner.taints.has('PROPRIETARY_MODULE')) return true;
  if (m.usingGplonlySymbols) {
    m.log(`${m.name}: module using GPL-only symbols uses symbols ${name} from proprietary module ${owner.name}.`);
    return false;
  }
  if (!m.taints.has('PROPRIETARY_MODULE')) {
    m.log(`${m.name}: module uses symbols ${name} from proprietary module ${owner.name}, inheriting taint.`);
    m.taints.add('PROPRIETARY_MODULE');
  }
  return true;
}

/** verify_namespace_is_imported() */
function namespaceIsImported(m: Module, info: LoadInfo, symbol: ResolvedExport): boolean {
  const { name, namespace } = symbol;
  if (namespace === '') return true;
  if (m.version === '7.2' && inModuleNamespace(namespace, m.name)) return true;
  if (info.modinfos('import_ns').includes(namespace)) return true;
  m.log(`${m.name}: module uses symbol (${name}) from namespace ${namespace}, but does not import it.`);
  return m.kernel.switch('MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS');
}

/**
 * verify_module_namespace() [7.2]: "module:" and comma-separated names, `-` equal to `_`, a trailing `*` is a glob.
 * Nothing behind the last comma is no pattern; an empty one before it is.
 */
export function inModuleNamespace(namespace: string, modname: string): boolean {
  if (!namespace.startsWith('module:')) return false;
  const fold = (s: string): string => s.replaceAll('-', '_');
  const name = fold(modname);
  const patterns = namespace.slice('module:'.length).split(',');
  if (patterns.at(-1) === '') patterns.pop();
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(fold(pattern.slice(0, -1))) : fold(pattern) === name,
  );
}

/**
 * ref_module(): one reference for a pair of modules, whatever the number of symbols; the errno of a refusal. Without
 * MODULE_UNLOAD nothing is counted.
 */
export function refModule(m: Module, owner: Module | undefined): Errno | undefined {
  if (owner === undefined || m.targets.has(owner)) return undefined;
  const errno = strongTryModuleGet(owner);
  if (errno !== undefined || !m.kernel.switch('MODULE_UNLOAD')) return errno;
  m.targets.add(owner);
  owner.sources.add(m);
  return undefined;
}

/** module_unload_free(): drops the references a module holds on others. */
export function moduleUnloadFree(m: Module): void {
  for (const target of m.targets) {
    modulePut(target);
    target.sources.delete(m);
  }
  m.targets.clear();
}
