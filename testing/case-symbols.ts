/** Which symbols a generated module has: the kernel's, its own, and all that a symbol table can hold besides. */
import { type KoSymbol, SHN_ABS, SHN_COMMON, STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION } from '../fixtures/build.ts';
import { wrapWord } from '../relocs/elf.ts';
import type { Place } from './case-layout.ts';
import type { CaseRow, Target } from './case-range.ts';
import type { CaseSection } from './case-section.ts';
import type { Wanted } from './values.ts';

/** What of symbols is left to chance. */
export interface SymbolChoices {
  /** Which of SYMBOLS. */
  readonly symbol: number;
  /** Of the first one of a group, and of its second. */
  readonly a: Wanted;
  readonly b: Wanted;
}

type Kind =
  /** Undefined, and the kernel has it. */
  | 'kernel'
  /** The same, and what it has is the address of data of the module. */
  | 'descriptor'
  /** The same, at an address that handlers take for an error, or for no symbol. */
  | 'error'
  /** The same, and bound weakly. */
  | 'weak kernel'
  /** The same, under a name that a hook changes; or of a type that a hook defines. */
  | 'hooked'
  /** Undefined, under a name that a hook defines. */
  | 'named'
  /** In a section of the module. */
  | '.text'
  | '.data'
  | 'section .text'
  | 'section .data'
  | 'absolute'
  /** Undefined, and nobody has it. */
  | 'weak'
  | 'missing'
  | 'common';

/** Of sixty, two in three are the kernel's. Cases shrink to the first. */
export const SYMBOLS: readonly Kind[] = (
  [
    ['kernel', 40],
    ['.text', 4],
    ['.data', 2],
    ['error', 1],
    ['section .text', 1],
    ['section .data', 1],
    ['absolute', 4],
    ['weak', 2],
    ['common', 1],
    ['missing', 1],
    ['weak kernel', 1],
    ['named', 1],
    ['hooked', 1],
  ] as const
).flatMap(([kind, n]) => Array<Kind>(n).fill(kind));

/** Both sides of IS_ERR_VALUE(), and of NULL. */
const SPECIAL = [-4095n, -4096n, -1n, 0n, 1n];

/** A symbol of the table, and its st_value as relocation will find it; undefined when it is nobody's. */
export interface CaseSymbol {
  readonly name: string;
  readonly S: bigint | undefined;
}

export class CaseSymbols {
  readonly table: KoSymbol[] = [];
  /** What the kernel exports, by name. */
  readonly exports: Record<string, bigint> = {};
  private readonly target: Target;
  private readonly sections: Readonly<Record<Place, CaseSection>>;

  constructor(target: Target, sections: Readonly<Record<Place, CaseSection>>) {
    this.target = target;
    this.sections = sections;
  }

  /** A label in a section. */
  label(section: Place, value: number): string {
    return this.define({ bind: STB_LOCAL, section, value }).name;
  }

  /** A new symbol for a row, at S if it can be; the first or second of its group. */
  drawn(g: SymbolChoices, which: 'first' | 'second', S: bigint, row: CaseRow | undefined): CaseSymbol {
    const { others = [], symbolTypes = [], names = [], dotted = false } = this.target.hints;
    const { a, b } = g;
    const kind = this.kindOf(g.symbol, row);
    const type = (which === 'first' ? a : b).which % 2 === 1 ? STT_FUNC : 0;
    const other = b.delta > 4 ? (others[b.which % others.length] ?? 0) : 0;
    const value = (a.low % 16) * 4;
    // A module with one of these is refused before its relocations are looked at.
    const seldom = a.low % 4 === 1;
    switch (kind) {
      case '.text':
      case '.data':
        return this.define({ type, other, section: kind, value }, this.address(kind, value));
      case 'section .text':
        return this.sectionSymbol('.text');
      case 'section .data':
        return this.sectionSymbol('.data');
      case 'absolute':
        return this.define({ type, other, section: SHN_ABS, value: S }, S);
      case 'descriptor':
        return this.exported({ type, other }, this.address('.data', value));
      case 'error':
        return this.exported({ type, other }, wrapWord(this.target.format, SPECIAL[a.low % SPECIAL.length]!));
      case 'weak kernel':
        return this.exported({ type, other, bind: STB_WEAK }, S);
      case 'weak':
        return this.define({ type, bind: STB_WEAK });
      case 'common':
        return seldom ? this.define({ section: SHN_COMMON, value: 8 }) : this.exported({ type, other }, S);
      case 'missing':
        return seldom ? this.define({}) : this.exported({ type, other }, S);
      case 'named':
        if (names.length === 0) return this.exported({ type, other }, S);
        return this.define({ type, other }, undefined, names[a.low % names.length]);
      case 'hooked':
        if (symbolTypes.length === 0) return this.exported({ type, other }, S, dotted ? '.' : '');
        return this.define({ type: symbolTypes[a.low % symbolTypes.length]! });
      case 'kernel':
        return this.exported({ type, other }, S);
    }
  }

  /** Some of the kernel's are something else, for those who want that. */
  private kindOf(symbol: number, row: CaseRow | undefined): Kind {
    const { own = 0, descriptors = 0 } = this.target.hints;
    if (symbol < own) return '.data';
    if (symbol < 30 && row?.defined) return 'absolute';
    if (symbol >= 30 && symbol < 30 + descriptors) return 'descriptor';
    return SYMBOLS[symbol]!;
  }

  private sectionSymbol(section: Place): CaseSymbol {
    const S = this.address(section, 0);
    const known = this.table.find((x) => x.type === STT_SECTION && x.section === section);
    if (known !== undefined) return { name: known.name, S };
    return this.define({ type: STT_SECTION, bind: STB_LOCAL, section, value: 0 }, S);
  }

  /** An undefined symbol that the kernel has at S, there without the prefix. */
  private exported(symbol: Omit<KoSymbol, 'name'>, S: bigint, prefix = ''): CaseSymbol {
    const name = this.newName();
    this.exports[name] = S;
    return this.define(symbol, S, prefix + name);
  }

  /** The section has to be there then. */
  private address(place: Place, value: number): bigint {
    const section = this.sections[place];
    section.used = true;
    return section.at + BigInt(value);
  }

  private newName(): string {
    return `s${this.table.length + 1}`;
  }

  private define(symbol: Omit<KoSymbol, 'name'>, S?: bigint, name = this.newName()): CaseSymbol {
    if (!this.table.some((known) => known.name === name)) this.table.push({ name, ...symbol });
    return { name, S };
  }
}
