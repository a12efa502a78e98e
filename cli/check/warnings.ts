/** What leads nowhere in a tree: soft dependencies and aliases. No module fails for it, but somebody meant something. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  matchesAlias,
  normalizeAlias,
  parseBuiltinAliases,
  parseModulesBuiltin,
  parseSoftdep,
} from '../../loader/depend-files.ts';
import type { Arena } from './arena.ts';
import type { Warning } from './findings.ts';
import type { Link } from './link.ts';

const latin1 = new TextDecoder('latin1');

/** Soft dependencies on what is neither a module, built in nor an alias, and depmod's aliases for modules that are gone. */
export function treeWarnings(
  dir: string,
  link: Link,
  arena: Arena,
  paths: readonly string[],
  isMine: (i: number) => boolean,
): Warning[] {
  const { core, names } = arena;
  const files = arena.keep(new TextEncoder().encode(paths.join('\n')));
  core.markModules(files.at, files.end);
  const wishes = softdeps(link);
  for (const { name } of wishes) names.of(name);
  const { patterns, gone } = readAliases(dir, arena);
  let builtin: ReadonlySet<string> | undefined;
  const isKnown = (name: string): boolean => {
    if (core.isModuleOrAlias(names.of(name)) !== 0) return true;
    if (builtin === undefined) {
      builtin = parseModulesBuiltin(latin1.decode(bytesOf(dir, 'modules.builtin')));
      const modinfo = latin1.decode(bytesOf(dir, 'modules.builtin.modinfo'));
      patterns.push(...parseBuiltinAliases(modinfo).map(({ pattern }) => pattern));
    }
    return builtin.has(name) || patterns.some((pattern) => matchesAlias(pattern, name));
  };
  const warnings: Warning[] = [];
  for (const { i, name } of wishes) {
    if (!isMine(i) || isKnown(name)) continue;
    const module = link.name(i);
    const text = `${module} would like ${name} (softdep), which is no module, alias or built-in driver`;
    warnings.push({ kind: 'softdep', module, text });
  }
  // They are nobody's: told once.
  for (const id of isMine(0) ? gone : []) {
    const module = names.name(id);
    const aliases = core.aliasCount(id) === 1 ? '1 alias' : `${core.aliasCount(id)} aliases`;
    warnings.push({
      kind: 'alias',
      module,
      text: `modules.alias has ${aliases} for ${module}, which is not in the tree`,
    });
  }
  return warnings;
}

/** What modules would like to be loaded before or after them. */
function softdeps(link: Link): { readonly i: number; readonly name: string }[] {
  const all: { i: number; name: string }[] = [];
  for (let i = 0; i < link.count; i++)
    for (const softdep of link.softdeps(i)) {
      const { pre, post } = parseSoftdep(softdep.split(/\s+/));
      for (const name of [...pre, ...post]) all.push({ i, name });
    }
  return all;
}

/** modules.alias: patterns with wildcards that could be a name, and modules that have aliases and are gone. */
function readAliases(dir: string, arena: Arena): { readonly patterns: string[]; readonly gone: readonly number[] } {
  const { at, end } = arena.keep(bytesOf(dir, 'modules.alias'));
  const count = arena.core.readAliases(at, end);
  const found = arena.core.found.value as number;
  const patterns: string[] = [];
  const gone: number[] = [];
  for (let n = 0; n < count; n++) {
    const [from, to] = [arena.word(found + n * 8), arena.word(found + n * 8 + 4)];
    if (from === 0) gone.push(to);
    else patterns.push(normalizeAlias(latin1.decode(arena.bytes(from, to - from).slice())));
  }
  return { patterns, gone };
}

/** A file of depmod's, or nothing where there is none. */
function bytesOf(dir: string, name: string): Uint8Array {
  const path = join(dir, name);
  return existsSync(path) ? readFileSync(path) : new Uint8Array(0);
}
