/**
 * The low half of a PC-relative pair: its symbol is the place of the high half, and what it needs is the target of
 * that entry (RISC-V's PCREL_LO12, LoongArch's PCADD_LO12).
 */
import { signExtend } from './bits.ts';
import type { Calculation, Verdict } from './howto.ts';
import type { ModuleView } from './module-view.ts';
import { crashes } from './refusal.ts';
import type { Run, Site } from './site.ts';
import { StateOf } from './state.ts';

export interface LowPart {
  readonly formula: string;
  /** Whether an entry of type `high` at the place S is the other half of an entry of type `low`. */
  pairs(high: number, low: number): boolean;
  /** Where the pair leads: `value` is S + A of the high half; its GOT entry where the type says so. */
  target(m: ModuleView, high: number, value: bigint): bigint;
  /** True: the search goes on from the entry found last, and around. False: from the first entry. */
  circular(m: ModuleView): boolean;
  /** The line when there is no high half. */
  missing(r: Site): Verdict;
}

/** Entries looked at before the index is asked: the high half is usually a neighbour. */
const NEAR = 32;

/** The search over one relocation section. */
class Search {
  /** Where it goes on: the entry found last. */
  at = 0;
  /** Entries by r_offset, ascending; made when looking at neighbours did not do. */
  private index: Map<bigint, number[]> | undefined;
  private readonly run: Run;

  constructor(run: Run) {
    this.run = run;
  }

  type(i: number): number {
    return this.run.rules.info.type(this.run.entries.r_info(i), this.run.module.format);
  }

  /** First entry at `r_offset` that pairs with `low`, from entry `from` around; -1: none. */
  find(r_offset: bigint, low: number, from: number, near: number, pairs: LowPart['pairs']): number {
    const { entries } = this.run;
    const end = Math.min(from + near, entries.count);
    for (let i = from; i < end; i++) {
      if (entries.r_offset(i) === r_offset && pairs(this.type(i), low)) return i;
    }
    this.index ??= this.byOffset();
    let first = -1;
    for (const i of this.index.get(r_offset) ?? []) {
      if (!pairs(this.type(i), low)) continue;
      if (i >= from) return i;
      if (first < 0) first = i;
    }
    return first;
  }

  private byOffset(): Map<bigint, number[]> {
    const { entries } = this.run;
    const index = new Map<bigint, number[]>();
    for (let i = 0; i < entries.count; i++) {
      const r_offset = entries.r_offset(i);
      const at = index.get(r_offset);
      if (at === undefined) index.set(r_offset, [i]);
      else at.push(i);
    }
    return index;
  }
}

/** The low 12 bits, signed, of the distance between a high half and its target. */
export function lowPart(spec: LowPart): Calculation {
  const searches = new StateOf<Run, Search>((run) => new Search(run));
  const value = (r: Site): bigint => {
    const { entries, symtab, target, module } = r.run;
    const search = searches.of(r.run);
    const circular = spec.circular(module);
    const wanted = r.word(r.S - target.sh_addr);
    const i = search.find(wanted, r.type, circular ? search.at : 0, circular ? NEAR : 0, spec.pairs);
    if (i < 0) {
      const {
        errno,
        log,
        reason = `no high half at 0x${r.S.toString(16)}, which is ${r.symbolName}`,
      } = spec.missing(r);
      throw r.refusal(errno, log, `${r.where()}: ${reason}`);
    }
    search.at = i;
    const sym = r.run.rules.info.sym(entries.r_info(i), r.format);
    if (!symtab.holds(sym))
      throw crashes('signal 11', `${r.where()}: its high half names symbol ${sym} of ${symtab.count}`);
    const S = symtab.st_value(sym);
    return signExtend(spec.target(module, search.type(i), r.word(S + entries.r_addend(i))) - r.S, 12);
  };
  return { formula: spec.formula, value };
}
