/** modules.dep and modules.symbols as depmod writes them, and the graph for other programs. */
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

/** A line for each module; the order of modules is that of the paths, that of dependencies depmod's. */
function modulesDep({ paths, graph }: Checked): string {
  return depmodOrder(graph)
    .map((all, i) => `${paths[i]}:${all.map((other) => ` ${paths[other]}`).join('')}`)
    .join('\n');
}

function modulesSymbols({ paths, link, names }: Checked): string {
  const lines = ['# Aliases for symbols, used by symbol_request().'];
  paths.forEach((_, i) => {
    for (const { name } of link.exports(i))
      if (link.providerOf(name) === i) lines.push(`alias symbol:${link.names.name(name)} ${names[i]}`);
  });
  return lines.join('\n');
}

function dot({ graph, names }: Checked): string {
  const edges = graph.uses.flatMap((list, i) => list.map((other) => `  "${names[i]}" -> "${names[other]}";`));
  return ['digraph modules {', '  rankdir = LR;', ...names.map((name) => `  "${name}";`), ...edges, '}'].join('\n');
}

function graphJson({ graph, names, paths, link }: Checked): object {
  return {
    modules: paths.map((path, i) => ({
      name: names[i],
      path,
      uses: graph.uses[i]!.map((other) => ({
        name: names[other],
        symbols: link.symbolsFrom(i, other).map((id) => link.names.name(id)),
      })),
    })),
  };
}
