/** modules.dep and modules.symbols as depmod writes them, and the graph for other programs. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HAS_CRC } from './records.ts';
import type { Checked } from './run-check.ts';
import { toJson } from '../io.ts';
import { depmodOrder } from './graph.ts';

export const GRAPHS = ['dot', 'json', 'modules.dep', 'modules.symbols'] as const;
export type GraphFormat = (typeof GRAPHS)[number];

export function graphText(format: GraphFormat, checked: Checked): string {
  switch (format) {
    case 'dot':
      return dot(checked);
    case 'json':
      return toJson(graphJson(checked));
    case 'modules.dep':
      return modulesDep(checked);
    case 'modules.symbols':
      return modulesSymbols(checked);
  }
}

/** Modules and their dependencies in depmod's order. */
function modulesDep({ paths, link, result }: Checked): string {
  const order = buildOrder(paths, join(result.dir, 'modules.order'));
  const dependencies = depmodOrder(link, order);
  return order.map((i) => `${paths[i]}:${dependencies[i]!.map((other) => ` ${paths[other]}`).join('')}`).join('\n');
}

/** The modules in the order of modules.order, which is that of the build; those that it does not name come last. */
function buildOrder(paths: readonly string[], file: string): number[] {
  const all = paths.map((_, i) => i);
  if (!existsSync(file)) return all;
  const bare = (path: string): string => path.replace(/\.(gz|xz|zst)$/, '').replace(/\.o$/, '.ko');
  const rank = new Map(
    readFileSync(file, 'latin1')
      .split('\n')
      .map((path, i) => [bare(path), i]),
  );
  const rankOf = (i: number): number => rank.get(bare(paths[i]!)) ?? Infinity;
  return all.toSorted((a, b) => (rankOf(a) === rankOf(b) ? a - b : rankOf(a) - rankOf(b)));
}

/**
 * Without CRCs depmod takes every string of __ksymtab_strings for a symbol, and namespaces stand there as well; the module
 * that it comes to last has the name.
 */
function modulesSymbols({ paths, link, result }: Checked): string {
  const lines = ['# Aliases for symbols, used by symbol_request().'];
  const namespaces = new Map<number, number>();
  for (const i of buildOrder(paths, join(result.dir, 'modules.order'))) {
    for (const { name, bits, namespace } of link.exports(i)) {
      if (link.providerOf(name) === i) lines.push(`alias symbol:${link.names.name(name)} ${link.name(i)}`);
      if (namespace !== 0 && (bits & HAS_CRC) === 0) namespaces.set(namespace, i);
    }
  }
  for (const [namespace, i] of namespaces) lines.push(`alias symbol:${link.names.name(namespace)} ${link.name(i)}`);
  return lines.join('\n');
}

function dot(checked: Checked): string {
  const { link, names } = checked;
  const edges = names.flatMap((name, i) => link.uses(i).map((other) => `  "${name}" -> "${names[other]}";`));
  return ['digraph modules {', '  rankdir = LR;', ...names.map((name) => `  "${name}";`), ...edges, '}'].join('\n');
}

function graphJson({ names, paths, link }: Checked): object {
  return {
    modules: paths.map((path, i) => ({
      name: names[i],
      path,
      uses: link.uses(i).map((other) => ({
        name: names[other],
        symbols: link.symbolsFrom(i, other).map((id) => link.names.name(id)),
      })),
    })),
  };
}
