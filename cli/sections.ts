/** Where the sections of a module lie, for lists, JSON and dumps. */
import type { Module } from '../loader/module.ts';
import type { Memory, Region } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';

export interface PlacedSection {
  readonly name: string;
  readonly index: number;
  readonly region: Region | 'percpu';
  readonly addr: bigint;
  readonly size: number;
}

/** Sections in memory, in file order; the per-CPU section at the value that its symbols are relative to. */
export function placedSections(m: Module): PlacedSection[] {
  return m.sections.flatMap((s): PlacedSection[] => {
    const at = m.placement[s.index];
    const row = (region: PlacedSection['region'], addr: bigint): PlacedSection[] => [
      { name: s.name, index: s.index, region, addr, size: s.sh_size },
    ];
    if (at !== undefined) return row(at.region, s.sh_addr);
    return isPercpu(m, s) ? row('percpu', m.percpu!.cookie) : [];
  });
}

/** The section that mod->percpu was allocated for. */
export const isPercpu = (m: Module, s: Section): boolean => m.percpu !== undefined && s.name === '.data..percpu';

export interface PlacedRegion {
  readonly region: Region | 'percpu';
  readonly base: bigint;
  readonly size: number;
  /** Init memory: given back when init has returned. */
  readonly freed: boolean;
}

/** Memory regions in the order of allocation, those that were freed after init too. */
export function placedRegions(m: Module): PlacedRegion[] {
  const rows = (all: Partial<Record<Region, Memory>>, freed: boolean): PlacedRegion[] =>
    Object.entries(all).map(([region, { base, size }]) => ({ region: region as Region, base, size, freed }));
  const percpu =
    m.percpu === undefined
      ? []
      : [{ region: 'percpu' as const, base: m.percpu.cookie, size: m.percpu.size, freed: false }];
  return [...rows(m.memory, false), ...rows(m.freed, true), ...percpu];
}
