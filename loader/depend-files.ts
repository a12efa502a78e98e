/**
 * The text files that depmod leaves in lib/modules/VERSION, read as libkmod reads them. A line that fits no rule is
 * an InputError with its number.
 */

import { InputError } from './input-error.ts';

/** One line of modules.dep: paths relative to the folder, dependencies as depmod wrote them (last loaded first). */
export interface DepLine {
  readonly path: string;
  readonly dependencies: readonly string[];
}

/** What modules.softdep asks to load before and after a module; names normalised. */
export interface SoftDep {
  readonly pre: readonly string[];
  readonly post: readonly string[];
}

/** One line of modules.alias: a glob pattern for names and the module that answers to it, both normalised. */
export interface Alias {
  readonly pattern: string;
  readonly module: string;
}

/** A module's name from its path, as kmod's path_to_modname(): the base name up to its first dot, - written as _. */
export function moduleName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const dot = base.indexOf('.');
  return (dot < 0 ? base : base.slice(0, dot)).replaceAll('-', '_');
}

/** modules.dep: `path: dependency…`. By name; of two modules with one name the first counts. */
export function parseModulesDep(text: string): Map<string, DepLine> {
  const modules = new Map<string, DepLine>();
  for (const { line, number } of lines(text)) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw malformed('modules.dep', number, "expected 'path: dependencies'");
    const path = line.slice(0, colon);
    const name = moduleName(path);
    if (!modules.has(name)) modules.set(name, { path, dependencies: words(line.slice(colon + 1)) });
  }
  return modules;
}

/** modules.builtin: paths of what is built in; gives the names. */
export function parseModulesBuiltin(text: string): Set<string> {
  const names = new Set<string>();
  for (const { line, number } of lines(text)) {
    if (words(line).length !== 1) throw malformed('modules.builtin', number, 'expected one path');
    names.add(moduleName(line.trim()));
  }
  return names;
}

/** modules.softdep: `softdep NAME pre: … post: …`. Several lines about one module add up. */
export function parseModulesSoftdep(text: string): Map<string, SoftDep> {
  const deps = new Map<string, SoftDep>();
  for (const { line, number } of lines(text)) {
    const [keyword, module, ...rest] = words(line);
    if (keyword !== 'softdep' || module === undefined) {
      throw malformed('modules.softdep', number, "expected 'softdep NAME pre: … post: …'");
    }
    const name = normalizeAlias(module);
    const { pre, post } = parseSoftdep(rest);
    const known = deps.get(name);
    deps.set(name, { pre: [...(known?.pre ?? []), ...pre], post: [...(known?.post ?? []), ...post] });
  }
  return deps;
}

/** The words behind the name of a softdep, as modules.softdep and the modinfo tag `softdep` have them. */
export function parseSoftdep(list: readonly string[]): SoftDep {
  const pre: string[] = [];
  const post: string[] = [];
  // What stands in front of `pre:` and `post:` belongs to neither, and libkmod drops it.
  let into: string[] | undefined;
  for (const word of list) {
    if (word === 'pre:') into = pre;
    else if (word === 'post:') into = post;
    else into?.push(normalizeAlias(word));
  }
  return { pre, post };
}

/** modules.alias: `alias PATTERN MODULE`, in the file's order. */
export function parseModulesAlias(text: string): Alias[] {
  return aliasLines(text, 'modules.alias').map(([pattern, module]) => ({
    pattern: normalizeAlias(pattern),
    module: normalizeAlias(module),
  }));
}

/** modules.builtin.modinfo: `MODULE.tag=value` ended by NUL; gives what its alias tags say. Other text is passed over. */
export function parseBuiltinAliases(text: string): Alias[] {
  return text.split('\0').flatMap((entry) => {
    const at = entry.indexOf('.alias=');
    if (at <= 0) return [];
    return [{ pattern: normalizeAlias(entry.slice(at + 7)), module: normalizeAlias(entry.slice(0, at)) }];
  });
}

/** modules.symbols: `alias symbol:NAME MODULE`; gives the module that exports each symbol, the first if several do. */
export function parseModulesSymbols(text: string): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [pattern, module] of aliasLines(text, 'modules.symbols')) {
    const symbol = pattern.replace(/^symbol:/, '');
    if (!owners.has(symbol)) owners.set(symbol, normalizeAlias(module));
  }
  return owners;
}

/** kmod's alias_normalize(): - written as _, but not between brackets, where it is a range. */
export function normalizeAlias(alias: string): string {
  let normal = '';
  let inSet = false;
  for (const c of alias) {
    if (c === '[') inSet = true;
    else if (c === ']') inSet = false;
    normal += c === '-' && !inSet ? '_' : c;
  }
  return normal;
}

/**
 * fnmatch(pattern, name, 0): `*`, `?`, `[set]` with ranges and ! or ^, and backslash. Goes back only to the last
 * star, so it takes at most pattern times name steps.
 */
export function matchesAlias(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let mark = 0;
  while (n < name.length) {
    if (pattern.charAt(p) === '*') {
      star = p++;
      mark = n;
      continue;
    }
    const next = p < pattern.length ? matchOne(pattern, p, name.charAt(n)) : -1;
    if (next >= 0) {
      p = next;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (pattern.charAt(p) === '*') p++;
  return p === pattern.length;
}

/** Where the pattern goes on when the piece at `p` matches the character, else -1. */
function matchOne(pattern: string, p: number, c: string): number {
  const piece = pattern.charAt(p);
  if (piece === '?') return p + 1;
  if (piece === '\\' && p + 1 < pattern.length) return pattern.charAt(p + 1) === c ? p + 2 : -1;
  if (piece !== '[') return piece === c ? p + 1 : -1;

  const negated = pattern.charAt(p + 1) === '!' || pattern.charAt(p + 1) === '^';
  const first = negated ? p + 2 : p + 1;
  // A bracket right at the start of the set is a member of it.
  const end = pattern.indexOf(']', first + 1);
  if (end < 0) return c === '[' ? p + 1 : -1;
  let inSet = false;
  for (let i = first; i < end; i++) {
    const low = pattern.charAt(i);
    if (pattern.charAt(i + 1) === '-' && i + 2 < end) {
      if (low <= c && c <= pattern.charAt(i + 2)) inSet = true;
      i += 2;
    } else if (low === c) {
      inSet = true;
    }
  }
  return inSet === negated ? -1 : end + 1;
}

function aliasLines(text: string, file: string): [pattern: string, module: string][] {
  return Array.from(lines(text), ({ line, number }) => {
    const [keyword, first, ...rest] = words(line);
    const module = rest.at(-1);
    if (keyword !== 'alias' || first === undefined || module === undefined) {
      throw malformed(file, number, "expected 'alias PATTERN MODULE'");
    }
    // Some modules have aliases with spaces in them ("… soc card").
    return [[first, ...rest.slice(0, -1)].join(' '), module];
  });
}

/** The lines that are neither empty nor a comment, with their 1-based numbers. */
function* lines(text: string): Generator<{ line: string; number: number }> {
  let number = 0;
  for (const raw of text.split('\n')) {
    number++;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line !== '' && !line.startsWith('#')) yield { line, number };
  }
}

function words(text: string): string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '');
}

function malformed(file: string, line: number, expected: string): InputError {
  return new InputError(`${file}, line ${line}: ${expected}`, { line });
}
