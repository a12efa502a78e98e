/** Two builds of a tree beside each other: what would stop loading, and what of the kernel's side brings that about. */
import { type Exit, exit, type Io, toJson } from '../io.ts';
import type { Finding } from './findings.ts';
import type { Reporter } from './reporters.ts';
import { type Checked, runCheck, type RunOptions } from './run-check.ts';

/** An export that is gone or has changed, and the modules of the old tree that use it. */
export interface ExportChange {
  readonly symbol: string;
  readonly kind: 'gone' | 'crc' | 'namespace' | 'gpl-only' | 'moved';
  readonly was: string;
  readonly is: string;
  readonly users: readonly string[];
}

export interface TreeDiff {
  readonly old: { readonly dir: string; readonly vermagic: string; readonly modules: number; readonly loaded: number };
  readonly new: { readonly dir: string; readonly vermagic: string; readonly modules: number; readonly loaded: number };
  /** Loaded before, and not now. */
  readonly broken: readonly Finding[];
  readonly mended: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly exports: readonly ExportChange[];
  readonly newExports: number;
  /** Bytes in memory before and now, of modules that grew by a tenth and a page at least; and of all. */
  readonly growth: readonly { readonly module: string; readonly was: number; readonly is: number }[];
  readonly memory: { readonly was: number; readonly is: number };
  readonly relocations: { readonly was: number; readonly is: number };
  /** Relocation types that the old tree has none of. */
  readonly newTypes: readonly string[];
}

/** @throws UsageError, InputError */
export async function diffTrees(
  old: string,
  now: string,
  options: RunOptions,
  oldSymvers: string | undefined,
  reporter: Reporter,
  io: Io,
): Promise<Exit> {
  const before = await runCheck(old, { ...options, symvers: oldSymvers ?? undefined }, io);
  const after = await runCheck(now, options, io);
  const diff = compare(before, after, await newTypes(before, after));
  if (reporter === 'json') io.print(toJson(diff));
  else for (const line of pretty(diff, io.paint)) io.print(line);
  if (before.result.interrupted || after.result.interrupted) return exit.interrupted;
  return diff.broken.length > 0 ? exit.findings : exit.well;
}

async function newTypes(before: Checked, after: Checked): Promise<string[]> {
  const { typesOf } = await import('./types.ts');
  const [was, is] = [await typesOf(before), await typesOf(after)];
  return [...is].filter((type) => !was.has(type)).toSorted();
}

const side = ({ result }: Checked): TreeDiff['old'] => ({
  dir: result.dir,
  vermagic: result.vermagic,
  modules: result.modules,
  loaded: result.loaded,
});

function compare(before: Checked, after: Checked, types: readonly string[]): TreeDiff {
  const was = new Map(before.names.map((name, i) => [name, i]));
  const is = new Map(after.names.map((name, i) => [name, i]));
  const failedBefore = new Set(before.result.failed.map(({ module }) => module));
  const failedAfter = new Set(after.result.failed.map(({ module }) => module));
  const growth = [...was].flatMap(([module, i]) => {
    const j = is.get(module);
    if (j === undefined) return [];
    const [a, b] = [before.link.memory(i), after.link.memory(j)];
    return b - a >= 4096 && b >= a * 1.1 ? [{ module, was: a, is: b }] : [];
  });
  const { changes, added } = exportChanges(before, after);
  return {
    old: side(before),
    new: side(after),
    broken: after.result.failed.filter(({ module }) => was.has(module) && !failedBefore.has(module)),
    mended: [...failedBefore].filter((module) => is.has(module) && !failedAfter.has(module)),
    added: after.names.filter((name) => !was.has(name)),
    removed: before.names.filter((name) => !is.has(name)),
    exports: changes,
    newExports: added,
    growth: growth.toSorted((a, b) => b.is - b.was - (a.is - a.was)),
    memory: { was: before.result.memory, is: after.result.memory },
    relocations: { was: before.result.relocations, is: after.result.relocations },
    newTypes: types,
  };
}

function exportChanges(before: Checked, after: Checked): { changes: ExportChange[]; added: number } {
  const users = new Map<string, string[]>();
  const { names } = before;
  before.paths.forEach((_, i) => {
    for (const symbol of before.link.importNames(i)) {
      const all = users.get(symbol);
      if (all === undefined) users.set(symbol, [names[i]!]);
      else all.push(names[i]!);
    }
  });
  const now = new Map(Array.from(after.link.allExports(), (e) => [e.name, e]));
  const then = new Set<string>();
  const changes: ExportChange[] = [];
  for (const e of before.link.allExports()) {
    then.add(e.name);
    const other = now.get(e.name);
    const change = (kind: ExportChange['kind'], a: string, b: string): void => {
      changes.push({ symbol: e.name, kind, was: a, is: b, users: users.get(e.name) ?? [] });
    };
    if (other === undefined) change('gone', e.owner, '');
    else {
      if (e.crc !== other.crc) change('crc', hex(e.crc), hex(other.crc));
      if (e.namespace !== other.namespace) change('namespace', e.namespace, other.namespace);
      if (e.gplonly !== other.gplonly) change('gpl-only', String(e.gplonly), String(other.gplonly));
      if (e.owner !== other.owner) change('moved', e.owner, other.owner);
    }
  }
  const added = [...now.keys()].filter((name) => !then.has(name)).length;
  return { changes: changes.toSorted((a, b) => b.users.length - a.users.length), added };
}

const hex = (crc: number | undefined): string =>
  crc === undefined ? 'none' : `0x${crc.toString(16).padStart(8, '0')}`;

const MOST = 40;

function pretty(diff: TreeDiff, paint: Io['paint']): string[] {
  const lines = [
    `${diff.old.vermagic.trim()}: ${diff.old.loaded} of ${diff.old.modules} modules would load`,
    `${diff.new.vermagic.trim()}: ${diff.new.loaded} of ${diff.new.modules}`,
  ];
  const list = (title: string, all: readonly string[]): void => {
    if (all.length === 0) return;
    lines.push('', paint('bold', `${title} (${all.length})`), ...all.slice(0, MOST).map((line) => `  ${line}`));
    if (all.length > MOST) lines.push(`  … and ${all.length - MOST} more`);
  };
  list(
    'modules that would stop loading',
    diff.broken.map(({ module, reason }) => `${module}: ${reason}`),
  );
  list('modules that load now', diff.mended);
  list('modules removed', diff.removed);
  list('modules added', diff.added);
  const words = {
    gone: 'is gone',
    crc: 'has another CRC',
    namespace: 'is in another namespace',
    'gpl-only': 'changed between free and GPL-only',
    moved: 'is exported by another',
  };
  const used = diff.exports.filter(({ users }) => users.length > 0);
  list(
    'exports with users that changed',
    used.map(
      ({ symbol, kind, was, is, users }) =>
        `${symbol} ${words[kind]} (${was || 'none'} → ${is || 'none'}): ${users.slice(0, 6).join(', ')}${users.length > 6 ? ` and ${users.length - 6} more` : ''}`,
    ),
  );
  if (diff.exports.length > used.length)
    lines.push('', `${diff.exports.length - used.length} more exports changed that no module uses`);
  list(
    'modules that grew',
    diff.growth.map(({ module, was, is }) => `${module}: ${was} → ${is} bytes`),
  );
  list('new relocation types', diff.newTypes);
  lines.push(
    '',
    `${diff.memory.was} → ${diff.memory.is} bytes in memory, ${diff.relocations.was} → ${diff.relocations.is} relocations, ${diff.newExports} new exports`,
  );
  return lines;
}
