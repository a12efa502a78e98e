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
  | 'text'
  | 'data'
  | 'text section'
  | 'data section'
  | 'absolute'
  /** Undefined, and nobody has it. */
  | 'weak'
  | 'missing'
  | 'common';

/** Of sixty, two in three are the kernel's. Cases shrink to the first. */
export const SYMBOLS: readonly Kind[] = (
  [
    ['kernel', 40],
    ['text', 4],
    ['data', 2],
    ['error', 1],
    ['text section', 1],
    ['data section', 1],
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
    return this.define({ bind: STB_LOCAL, section, value });
  }

  /** A new symbol for a row, at S if it can be; the first or second of its group. */
  drawn(g: SymbolChoices, which: 'first' | 'second', S: bigint, row: CaseRow | undefined): CaseSymbol {
    const { others = [], symbolTypes = [], names = [], dotted = false } = this.target.hints;
    const { a, b } = g;
    const kind = this.kindOf(g.symbol, row);
    const type = (which === 'first' ? a : b).which % 2 === 1 ? STT_FUNC : 0;
    const other = b.delta > 4 ? (others[b.which % others.length] ?? 0) : 0;
    const low = (a.low % 16) * 4;
    const nobody = (symbol: Omit<KoSymbol, 'name'>, name?: string): CaseSymbol => ({
      name: this.define(symbol, name),
      S: undefined,
    });
    switch (kind) {
      case 'text':
      case 'data':
        return {
          name: this.define({ type, other, section: `.${kind}`, value: low }),
          S: this.address(`.${kind}`, low),
        };
      case 'text section':
        return this.sectionSymbol('.text');
      case 'data section':
        return this.sectionSymbol('.data');
      case 'absolute':
        return { name: this.define({ type, other, section: SHN_ABS, value: S }), S };
      case 'weak':
        return nobody({ type, bind: STB_WEAK });
      case 'common':
        if (a.low % 4 === 1) return nobody({ section: SHN_COMMON, value: 8 });
        break;
      case 'missing':
        if (a.low % 4 === 1) return nobody({});
        break;
      case 'named':
        if (names.length > 0) return nobody({ type, other }, names[a.low % names.length]);
        break;
      case 'hooked':
        if (symbolTypes.length > 0) return nobody({ type: symbolTypes[a.low % symbolTypes.length]! });
        break;
    }
    const at =
      kind === 'error'
        ? wrapWord(this.target.format, SPECIAL[a.low % SPECIAL.length]!)
        : kind === 'descriptor'
          ? this.address('.data', low)
          : S;
    const exported = this.newName();
    this.exports[exported] = at;
    const bind = kind === 'weak kernel' && { bind: STB_WEAK };
    const name = kind === 'hooked' && dotted ? `.${exported}` : exported;
    return { name: this.define({ type, other, ...bind }, name), S: at };
  }

  /** Some of the kernel's are something else, for those who want that. */
  private kindOf(symbol: number, row: CaseRow | undefined): Kind {
    const { own = 0, descriptors = 0 } = this.target.hints;
    if (symbol < own) return 'data';
    if (symbol < 30 && row?.defined) return 'absolute';
    if (symbol >= 30 && symbol < 30 + descriptors) return 'descriptor';
    return SYMBOLS[symbol]!;
  }

  private sectionSymbol(section: Place): CaseSymbol {
    const known = this.table.find((x) => x.type === STT_SECTION && x.section === section);
    const name = known?.name ?? this.define({ type: STT_SECTION, bind: STB_LOCAL, section, value: 0 });
    return { name, S: this.address(section, 0) };
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

  private define(symbol: Omit<KoSymbol, 'name'>, name = this.newName()): string {
    if (!this.table.some((known) => known.name === name)) this.table.push({ name, ...symbol });
    return name;
  }
}
