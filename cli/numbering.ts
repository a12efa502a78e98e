/** Running numbers of relocations: over all relocation sections, in the order in which they are applied. */
import type { Loading } from '../loader/loading.ts';
import { relocationSections, runOf } from '../loader/relocate.ts';
import { SHF_RELA_LIVEPATCH } from '../relocs/elf.ts';
import type { Run } from '../relocs/site.ts';
import { UsageError, unknown } from './usage-error.ts';

export interface Numbered {
  readonly run: Run;
  /** Number of the section's first entry. */
  readonly first: number;
}

/** Relocation sections of a module whose symbols are resolved. */
export function numbered(load: Loading): Numbered[] {
  const m = load.module!;
  if (m.symtab === undefined) return [];
  let first = 0;
  return relocationSections(m, load.info.index.pcpu)
    .filter((s) => (s.sh_flags & SHF_RELA_LIVEPATCH) === 0)
    .map((s) => {
      const run = runOf(m, s);
      const entry = { run, first };
      first += run.entries.count;
      return entry;
    });
}

/** One relocation: its section and its number in it. */
export interface Pick {
  readonly numbered: Numbered;
  readonly index: number;
}

/** --reloc: "17", or ".text:3" or ".rela.text:3". Throws UsageError for what is not there. */
export function pick(all: readonly Numbered[], wanted: string): Pick {
  const plain = /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  const bySection = /^(.+):(\d+)$/.exec(wanted);
  if (plain === undefined && bySection === null)
    throw new UsageError(`--reloc ${wanted}: give a number from 0, or SECTION:NUMBER such as .text:3`);
  if (plain !== undefined) {
    const found = all.find(({ first, run }) => plain >= first && plain < first + run.entries.count);
    if (found !== undefined) return { numbered: found, index: plain - found.first };
    const total = all.reduce((sum, { run }) => sum + run.entries.count, 0);
    throw new UsageError(
      total === 0
        ? '--reloc: this module has no relocations'
        : `--reloc ${wanted}: there are ${total} relocations, 0 to ${total - 1}`,
    );
  }
  const [, section = '', n = '0'] = bySection!;
  const found = all.find(({ run }) => run.section.name === section || run.target.name === section);
  if (found === undefined)
    throw new UsageError(
      `--reloc: ${
        unknown(
          'section',
          section,
          all.map(({ run }) => run.target.name),
        ).message
      }`,
    );
  const { count } = found.run.entries;
  if (Number(n) < count) return { numbered: found, index: Number(n) };
  throw new UsageError(`--reloc ${wanted}: ${found.run.section.name} has ${count} entries, 0 to ${count - 1}`);
}
