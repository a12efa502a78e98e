/** apply_relocations(): which sections are relocated, in which order, by what. */
import { applyCompiled } from '../relocs/compile.ts';
import { SHF_ALLOC, SHF_RELA_LIVEPATCH, SHT_REL, SHT_RELA } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { type Refusal, TypeRefusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Run } from '../relocs/site.ts';
import type { CheckId } from './errors.ts';
import { klpApplySectionRelocs } from './livepatch.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';

/** Relocation sections in file order, of any section type whose target is in memory. */
export function relocationSections(m: Module, pcpu: number): Section[] {
  return m.sections.filter((s) => {
    if (s.index === 0 || (s.sh_type !== SHT_REL && s.sh_type !== SHT_RELA && (s.sh_flags & SHF_RELA_LIVEPATCH) === 0))
      return false;
    const target = m.sections[s.sh_info];
    if (target === undefined) return false;
    if ((target.sh_flags & SHF_ALLOC) !== 0) return true;
    // Before 7.2 the per-CPU section, which has lost SHF_ALLOC, is passed over in silence.
    return m.version === '7.2' && pcpu !== 0 && target.index === pcpu;
  });
}

/**
 * apply_relocations(); stops at the first refusal.
 *
 * @throws LoadError C87, C88, C89, C90
 */
export function applyRelocations(load: Loading, m: Module): void {
  for (const s of relocationSections(m, load.info.index.pcpu)) {
    if ((s.sh_flags & SHF_RELA_LIVEPATCH) !== 0) {
      klpApplySectionRelocs(load, m, s, checkOf);
      continue;
    }
    const rela = s.sh_type === SHT_RELA;
    if (!m.kernel.arch.forms.includes(rela ? 'RELA' : 'REL'))
      throw load.fail(
        'ENOEXEC',
        'C87',
        `module ${m.name}: REL relocation unsupported`,
        `${s.name} holds SHT_${rela ? 'RELA' : 'REL'} entries, which ${m.kernel.arch.name} does not use`,
      );
    const run = runOf(m, s);
    load.asking(checkOf, () => applyCompiled(run, load.options.trace));
    load.relocations += run.entries.count;
  }
}

/** What the engine needs to apply one relocation section. */
export function runOf(m: Module, s: Section): Run {
  return {
    module: m,
    rules: m.kernel.arch.rules,
    section: s,
    entries: new Entries(m.format, s.sh_type === SHT_RELA, s.bytes.subarray(0, s.sh_size)),
    target: m.sections[s.sh_info]!,
    symtab: m.symtab!,
  };
}

/** Types that are not handled are C89, everything else that relocation refuses is C90. */
const checkOf = (refusal: Refusal): CheckId => (refusal instanceof TypeRefusal ? 'C89' : 'C90');
