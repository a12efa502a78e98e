/** Symbol lists as text: System.map, /proc/kallsyms, the output of `nm vmlinux`. */

import type { KernelExport } from './exports.ts';
import { InputError } from './input-error.ts';

/** The symbols of the kernel itself, or of one module of it. */
export interface SymbolScope {
  /** Address by name. Of several symbols with one name the first global one counts, else the first. */
  readonly symbols: Map<string, bigint>;
  /** Names that have a `__ksymtab_NAME` entry; undefined when the list shows none, which tells nothing. */
  readonly exported: ReadonlySet<string> | undefined;
}

/** What parseSystemMap() found. */
export interface SymbolList extends SymbolScope {
  /** Exports in the GPL-only table (kernels before 7.2); undefined when the list does not tell. */
  readonly gplonly: ReadonlySet<string> | undefined;
  /** CRCs from absolute `__crc_NAME` symbols (kernels before 5.19 have them as values). */
  readonly crcs: ReadonlyMap<string, number>;
  /** Symbols marked `[module]`, by module. */
  readonly modules: ReadonlyMap<string, SymbolScope>;
}

const KSYMTAB = '__ksymtab_';
const CRC = '__crc_';

interface Scope {
  readonly globals: Map<string, bigint>;
  readonly locals: Map<string, bigint>;
  readonly entries: Map<string, bigint>;
}

/**
 * Reads lines of address, type letter and name, with an optional `[module]`; lines without an address (undefined
 * symbols of nm) are passed over. Throws InputError with the line number at the first other line, and for a list
 * whose addresses the kernel has hidden.
 */
export function parseSystemMap(text: string | Uint8Array): SymbolList {
  const source = typeof text === 'string' ? text : new TextDecoder().decode(text);
  const kernel = newScope();
  const modules = new Map<string, Scope>();
  const crcs = new Map<string, number>();
  let lines = 0;
  let hidden = true;

  for (let line = 1, at = 0; at < source.length; line++) {
    let end = source.indexOf('\n', at);
    if (end < 0) end = source.length;
    const next = end + 1;
    if (end > at && source.charCodeAt(end - 1) === 13) end--;
    if (end > at && source.charCodeAt(at) !== 32) {
      const addressEnd = hexEnd(source, at, end);
      const nameAt = addressEnd + 3;
      if (addressEnd === at || addressEnd - at > 16 || nameAt >= end || !isSpaced(source, addressEnd)) {
        throw malformed(source, at, end, line);
      }
      const nameEnd = blankAt(source, nameAt, end);
      const name = source.slice(nameAt, nameEnd);
      const address = hexAddress(source, at, addressEnd);
      if (address !== 0n) hidden = false;
      lines++;
      let scope = kernel;
      if (nameEnd < end) scope = moduleScope(modules, moduleName(source, nameEnd, end, line));
      const type = source.charCodeAt(addressEnd + 1);
      if (name.startsWith(KSYMTAB)) scope.entries.set(name.slice(KSYMTAB.length), address);
      else if (type === 65 /* A */ && name.startsWith(CRC)) {
        crcs.set(name.slice(CRC.length), Number(address & 0xffff_ffffn));
      }
      const symbols = type >= 65 && type <= 90 ? scope.globals : scope.locals;
      if (!symbols.has(name)) symbols.set(name, address);
    }
    at = next;
  }
  if (lines > 0 && hidden) {
    throw new InputError(
      'every address in this symbol list is 0: the kernel hides them from its reader (kernel.kptr_restrict); ' +
        'read /proc/kallsyms as root, or use the System.map of the same build',
    );
  }
  return {
    ...finished(kernel),
    gplonly: gplEntries(kernel),
    crcs,
    modules: new Map(Array.from(modules, ([name, scope]) => [name, finished(scope)])),
  };
}

/**
 * The kernel's own exports as a symbol list shows them: the names with a `__ksymtab_` entry or, where the list has
 * none, every symbol. CRCs and namespaces stay unknown but for old maps; GPL-only counts where the list tells.
 */
export function exportsOfSymbols(list: SymbolList): KernelExport[] {
  const names = list.exported ?? list.symbols.keys();
  return Array.from(names, (name) => ({
    name,
    value: list.symbols.get(name),
    crc: list.crcs.get(name),
    gplonly: list.gplonly?.has(name) ?? false,
    namespace: '',
    owner: 'vmlinux',
  }));
}

/** The same exports with the addresses of vmlinux's own symbols filled in where the list has them. */
export function withAddresses(exports: readonly KernelExport[], list: SymbolScope): KernelExport[] {
  return exports.map((row) => {
    const value = row.owner === 'vmlinux' ? list.symbols.get(row.name) : undefined;
    return value === undefined ? row : { ...row, value };
  });
}

/** Value of a hex digit's character code, or -1. */
export function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function newScope(): Scope {
  return { globals: new Map(), locals: new Map(), entries: new Map() };
}

function moduleScope(modules: Map<string, Scope>, name: string): Scope {
  let scope = modules.get(name);
  if (scope === undefined) modules.set(name, (scope = newScope()));
  return scope;
}

function finished(scope: Scope): SymbolScope {
  const symbols = scope.globals;
  for (const [name, address] of scope.locals) if (!symbols.has(name)) symbols.set(name, address);
  return { symbols, exported: scope.entries.size > 0 ? new Set(scope.entries.keys()) : undefined };
}

/** The `__ksymtab_` entries between the marks that the linker script of 6.x sets around the GPL-only table. */
function gplEntries(scope: Scope): ReadonlySet<string> | undefined {
  const start = scope.globals.get('__start___ksymtab_gpl');
  const stop = scope.globals.get('__stop___ksymtab_gpl');
  if (start === undefined || stop === undefined || scope.entries.size === 0) return undefined;
  const names = new Set<string>();
  for (const [name, address] of scope.entries) if (address >= start && address < stop) names.add(name);
  return names;
}

function hexEnd(source: string, at: number, end: number): number {
  while (at < end && hexDigit(source.charCodeAt(at)) >= 0) at++;
  return at;
}

/** At most 16 hex digits, put together from two doubles: no BigInt is parsed from text 200,000 times. */
function hexAddress(source: string, at: number, end: number): bigint {
  const middle = Math.max(at, end - 8);
  let high = 0;
  let low = 0;
  for (let i = at; i < middle; i++) high = high * 16 + hexDigit(source.charCodeAt(i));
  for (let i = middle; i < end; i++) low = low * 16 + hexDigit(source.charCodeAt(i));
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
}

/** One space, one letter (`?` when nm knows no better), one space. */
function isSpaced(source: string, at: number): boolean {
  const type = source.charCodeAt(at + 1);
  const letter = (type | 0x20) >= 97 && (type | 0x20) <= 122;
  return source.charCodeAt(at) === 32 && (letter || type === 63) && source.charCodeAt(at + 2) === 32;
}

function blankAt(source: string, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    const code = source.charCodeAt(i);
    if (code === 9 || code === 32) return i;
  }
  return end;
}

/** `[name]` behind a tab. */
function moduleName(source: string, at: number, end: number, line: number): string {
  if (source.charCodeAt(at) === 9 && source.charCodeAt(at + 1) === 91 && source.charCodeAt(end - 1) === 93) {
    return source.slice(at + 2, end - 1);
  }
  throw malformed(source, at, end, line);
}

function malformed(source: string, at: number, end: number, line: number): InputError {
  if (source.includes('The real System.map is in the')) {
    return new InputError(
      "this System.map is a packager's stub without symbols; take the map from the debug package that it names",
      { line },
    );
  }
  const shown = source.slice(at, Math.min(end, at + 60)).replaceAll(/[^\x20-\x7e]/g, '?');
  return new InputError(`symbol list, line ${line}: expected address, type and name, found '${shown}'`, { line });
}
