/** What leads nowhere in a tree: soft dependencies and aliases. No module fails for it, but somebody meant something. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { matchesAlias, moduleName, parseModulesBuiltin, parseSoftdep } from '../../loader/depend-files.ts';
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
  let [last, listed, isGone] = [' ', '', false];
  for (let at = 0; at < list.length; ) {
    let end = list.indexOf('\n', at);
    if (end < 0) end = list.length;
    if (list.charCodeAt(at) === 97) {
      // Aliases of one module stand together.
      if (end - at <= last.length || !list.startsWith(last, end - last.length)) {
        last = list.slice(list.lastIndexOf(' ', end - 1), end);
        listed = moduleName(last.slice(1));
        isGone = !modules.has(listed);
      }
      if (isGone) gone.set(listed, (gone.get(listed) ?? 0) + 1);
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

/** Whether an alias matches: by its text, or one of the few patterns that could mean a name and no device. */
function aliasMatcher(alias: string, builtinModinfo: string): (name: string) => boolean {
  const [lines, entries] = [`\n${alias}`.replaceAll('-', '_'), builtinModinfo.replaceAll('-', '_')];
  const patterns: string[] = [];
  for (const [, pattern = ''] of lines.matchAll(/^alias ([^:\s]*[*?[][^:\s]*) /gm)) patterns.push(pattern);
  for (const [, pattern = ''] of entries.matchAll(/\.alias=([^:\s\0]*[*?[][^:\s\0]*)\0/g)) patterns.push(pattern);
  return (name) =>
    lines.includes(`\nalias ${name} `) ||
    entries.includes(`.alias=${name}\0`) ||
    patterns.some((pattern) => matchesAlias(pattern, name));
}
