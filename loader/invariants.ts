/** What must hold in every kernel, whoever does what in which order. */
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';

/** What must hold at every moment; undefined: it does. */
export function loaderViolation(kernel: Kernel): string | undefined {
  for (const m of kernel.modules) {
    const wrong = linksOf(kernel, m);
    if (wrong !== undefined) return wrong;
    if (m.refcnt < 0) return `${m.name} has ${m.refcnt} references`;
    if (m.warnings.length > 0) return m.warnings[0];
  }
  for (const [name, exports] of kernel.moduleExports) {
    const gone = exports.find(({ owner }) => owner !== undefined && !kernel.modules.includes(owner));
    if (gone !== undefined) return `${name} of ${gone.owner!.name} is still exported`;
  }
  const names = kernel.modules.map(({ name }) => name);
  if (new Set(names).size < names.length) return `two modules have one name: ${names.join(', ')}`;
  return undefined;
}

/** Whom a module uses and who uses it: all there, LIVE, and of one mind. */
function linksOf({ modules }: Kernel, m: Module): string | undefined {
  for (const target of m.targets) {
    if (!modules.includes(target)) return `${m.name} uses ${target.name}, which is no longer there`;
    if (target.state !== 'LIVE') return `${m.name} uses ${target.name}, which is ${target.state}`;
    if (!target.sources.has(m)) return `${m.name} uses ${target.name}, which does not know`;
  }
  for (const source of m.sources)
    if (!source.targets.has(m)) return `${m.name} is used by ${source.name}, which does not know`;
  return undefined;
}

/** What is left of a module that has gone, or was not let in; undefined: nothing. */
export function remainsOf(kernel: Kernel, m: Module): string | undefined {
  if (kernel.modules.includes(m)) return `${m.name} is still in the list`;
  if (Object.keys(m.memory).length > 0) return `memory of ${m.name} is left`;
  if (m.percpu !== undefined) return `per-CPU memory of ${m.name} is left`;
  if (m.sysfs) return `${m.name} is still in /sys/module`;
  const [target] = m.targets;
  if (target !== undefined) return `${m.name} has gone and still uses ${target.name}`;
  const used = kernel.modules.find(({ sources }) => sources.has(m));
  if (used !== undefined) return `${used.name} is still used by ${m.name}, which has gone`;
  for (const [name, exports] of kernel.moduleExports)
    if (exports.some(({ owner }) => owner === m)) return `${name} of ${m.name} is still exported`;
  return undefined;
}
