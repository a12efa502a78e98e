/** What leads nowhere in a tree: soft dependencies and aliases. No module fails for it, but somebody meant something. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { moduleName, parseModulesBuiltin, parseSoftdep } from '../../loader/depend-files.ts';
import type { Warning } from './findings.ts';
import type { Link } from './link.ts';

/** Soft dependencies on what is neither a module, built in nor an alias, and depmod's aliases for modules that are gone. */
export function treeWarnings(dir: string, link: Link, paths: readonly string[]): Warning[] {
  const warnings: Warning[] = [];
  const modules = new Set(paths.map(moduleName));
  const text = (name: string): string => {
    const path = join(dir, name);
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  };
  let builtin: ReadonlySet<string> | undefined;
  let aliases: ((name: string) => boolean) | undefined;
  const known = (name: string): boolean => {
    if (modules.has(name)) return true;
    builtin ??= parseModulesBuiltin(text('modules.builtin'));
    if (builtin.has(name)) return true;
    aliases ??= aliasMatcher(text('modules.alias'), text('modules.builtin.modinfo'));
    return aliases(name);
  };
  paths.forEach((_, i) => {
    for (const softdep of link.softdeps(i)) {
      const { pre, post } = parseSoftdep(softdep.split(/\s+/));
      for (const name of [...pre, ...post])
        if (!known(name))
          warnings.push({
            kind: 'softdep',
            module: link.name(i),
            text: `${link.name(i)} would like ${name} (softdep), which is no module, alias or built-in driver`,
          });
    }
  });
  const gone = new Map<string, number>();
  const list = text('modules.alias');
  for (let at = 0; at < list.length; ) {
    let end = list.indexOf('\n', at);
    if (end < 0) end = list.length;
    if (list.charCodeAt(at) === 97) {
      const name = list.slice(list.lastIndexOf(' ', end - 1) + 1, end);
      if (!modules.has(name) && !modules.has(moduleName(name))) gone.set(name, (gone.get(name) ?? 0) + 1);
    }
    at = end + 1;
  }
  for (const [name, count] of gone)
    warnings.push({
      kind: 'alias',
      module: name,
      text: `modules.alias has ${count} ${count === 1 ? 'alias' : 'aliases'} for ${name}, which is not in the tree`,
    });
  return warnings;
}

/** Whether an alias matches, found by exact text or by the patterns that have a star. */
function aliasMatcher(alias: string, builtinModinfo: string): (name: string) => boolean {
  const exact = new Set<string>();
  const patterns: RegExp[] = [];
  const add = (pattern: string): void => {
    const normal = pattern.replaceAll('-', '_');
    if (!/[*?[]/.test(normal)) exact.add(normal);
    else if (!normal.includes(':'))
      patterns.push(
        new RegExp(
          `^${normal
            .replaceAll(/[.+^${}()|\\]/g, '\\$&')
            .replaceAll('*', '.*')
            .replaceAll('?', '.')}$`,
        ),
      );
  };
  for (const line of alias.split('\n')) if (line.startsWith('alias ')) add(line.slice(6, line.lastIndexOf(' ')));
  for (const entry of builtinModinfo.split('\0')) {
    const at = entry.indexOf('.alias=');
    if (at > 0) add(entry.slice(at + 7));
  }
  return (name) => exact.has(name) || patterns.some((pattern) => pattern.test(name));
}
