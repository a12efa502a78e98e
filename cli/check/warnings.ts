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
import type { Arena, Kept } from './arena.ts';
import type { Warning } from './findings.ts';
import type { Link } from './link.ts';

const latin1 = new TextDecoder('latin1');

/** Soft dependencies on what is neither a module, built in nor an alias, and depmod's aliases for modules that are gone. */
export function treeWarnings(dir: string, link: Link, arena: Arena, paths: readonly string[]): Warning[] {
  const { core, names } = arena;
  const files = arena.keep(new TextEncoder().encode(paths.join('\n')));
  core.markModules(files.at, files.end);
  const warnings: Warning[] = [];
  const aliases = arena.keep(bytesOf(dir, 'modules.alias'));
  let others: ReadonlySet<string> | undefined;
  let patterns: readonly string[] | undefined;
  const isKnown = (name: string): boolean => {
    const id = names.of(name);
    if (core.isModule(id) !== 0 || core.hasAlias(aliases.at, aliases.end, id) !== 0) return true;
    others ??= parseModulesBuiltin(latin1.decode(bytesOf(dir, 'modules.builtin')));
    if (others.has(name)) return true;
    patterns ??= [...namesInAliases(arena, aliases), ...builtinNames(bytesOf(dir, 'modules.builtin.modinfo'))];
    return patterns.some((pattern) => matchesAlias(pattern, name));
  };
  for (let i = 0; i < paths.length; i++)
    for (const softdep of link.softdeps(i)) {
      const { pre, post } = parseSoftdep(softdep.split(/\s+/));
      for (const name of [...pre, ...post])
        if (!isKnown(name)) {
          const module = link.name(i);
          const text = `${module} would like ${name} (softdep), which is no module, alias or built-in driver`;
          warnings.push({ kind: 'softdep', module, text });
        }
    }
  const count = core.strayAliases(aliases.at, aliases.end);
  const from = core.found.value as number;
  for (let n = 0; n < count; n++) {
    const module = names.name(arena.word(from + n * 8));
    const much = arena.word(from + n * 8 + 4);
    const text = `modules.alias has ${much} ${much === 1 ? 'alias' : 'aliases'} for ${module}, which is not in the tree`;
    warnings.push({ kind: 'alias', module, text });
  }
  return warnings;
}

/** A file of depmod's, or nothing where there is none. */
function bytesOf(dir: string, name: string): Uint8Array {
  const path = join(dir, name);
  return existsSync(path) ? readFileSync(path) : new Uint8Array(0);
}

/** Patterns of modules.alias that could be a name: those without a colon, which all of a device have. */
function namesInAliases(arena: Arena, { at, end }: Kept): string[] {
  const count = arena.core.namesInAliases(at, end);
  const from = arena.core.found.value as number;
  return Array.from({ length: count }, (_, n) => {
    const line = arena.word(from + n * 8);
    const text = latin1.decode(arena.bytes(line, arena.word(from + n * 8 + 4) - line).slice());
    return normalizeAlias(text.split(' ')[1] ?? '');
  });
}

const builtinNames = (modinfo: Uint8Array): string[] =>
  parseBuiltinAliases(latin1.decode(modinfo)).map(({ pattern }) => pattern);
