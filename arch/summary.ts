/** Backends counted as KERNEL-FACTS section E.23 counts them. */
import { compareVersions, type Version, versions } from '../relocs/module-view.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Arch } from './arch.ts';

/** One `arch/*\/kernel/module.c`, whatever number of word sizes and byte orders it is compiled for. */
export interface Backend {
  readonly name: string;
  readonly arches: readonly Arch[];
  readonly bits: readonly (32 | 64)[];
  readonly orders: readonly ('little' | 'big')[];
  readonly forms: readonly ('REL' | 'RELA')[];
  /** Distinct type numbers that some configuration of that kernel applies or deliberately ignores; 0 = no backend. */
  readonly handled: Readonly<Record<Version, number>>;
  /** Distinct type numbers that are known and refused, and nothing else, in 7.2 (6.1 for ia64). */
  readonly refused: number;
  /** Hooks that are not the kernel's defaults. */
  readonly hooks: readonly string[];
}

const HOOKS = ['frobSections', 'regionHead', 'sectionPrepend', 'finalize', 'cleanup', 'isInitSection'] as const;

/** Groups architectures by backend, in the order of the registry. */
export function backendsOf(arches: readonly Arch[]): Backend[] {
  const names = [...new Set(arches.map((a) => a.backend))];
  return names.map((name) => {
    const own = arches.filter((a) => a.backend === name);
    const newest = versions.findLast((v) => own.some((a) => existsIn(a, v)))!;
    return {
      name,
      arches: own,
      bits: distinct(own.map((a) => (a.is64 ? 64 : 32))),
      orders: distinct(own.flatMap((a) => a.orders)),
      forms: distinct(own.flatMap((a) => a.forms)),
      handled: Object.fromEntries(
        versions.map((v) => [v, typesOf(own, v, (row) => row.action !== 'refuse').size]),
      ) as Record<Version, number>,
      refused: refusedOnly(own, newest),
      hooks: HOOKS.filter((hook) => own.some((a) => a[hook] !== undefined)),
    };
  });
}

/** Whether a kernel has the architecture. */
export const existsIn = (a: Arch, version: Version): boolean =>
  (a.since === undefined || compareVersions(version, a.since) >= 0) &&
  (a.until === undefined || compareVersions(version, a.until) <= 0);

function typesOf(arches: readonly Arch[], version: Version, wanted: (row: Howto) => boolean): Set<number> {
  const rows = arches.filter((a) => existsIn(a, version)).flatMap((a) => [...a.rules.rows.values()].flat());
  const there = rows.filter(
    (row) =>
      wanted(row) &&
      (row.since === undefined || compareVersions(version, row.since) >= 0) &&
      (row.until === undefined || compareVersions(version, row.until) < 0),
  );
  return new Set(there.map((row) => row.type));
}

function refusedOnly(arches: readonly Arch[], version: Version): number {
  const handled = typesOf(arches, version, (row) => row.action !== 'refuse');
  return [...typesOf(arches, version, (row) => row.action === 'refuse')].filter((type) => !handled.has(type)).length;
}

const distinct = <T>(list: readonly T[]): T[] => [...new Set(list)];
