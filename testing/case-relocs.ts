/**
 * The relocations of a generated module, in groups: a row alone, or what belongs together. Each gets its place, and a
 * symbol and an addend that bring the row to the value which chance wants of it.
 */
import { signedWord, wrapWord } from '../relocs/elf.ts';
import { type GroupChoices, MANY } from './case-choices.ts';
import { type CaseLayout, type Place, PLACES } from './case-layout.ts';
import type { CasePart, CaseRecipe, CaseRow, Target } from './case-range.ts';
import type { CaseReloc, CaseSection } from './case-section.ts';
import type { CaseSymbols } from './case-symbols.ts';
import { multipleOf, type Shape, valueOf } from './values.ts';

/** A row alone is a recipe of one part. */
const ALONE: CaseRecipe = { parts: [{ types: [], rows: [] }] };
const ADDENDS = [0n, 0n, 0n, 0n, 0n, -4n, 4n, 8n, 2n, 0x800n];
/** Bytes that are left free before a group, where it is aligned to them. */
const GAPS = [0, 0, 0, 0, 4, 2, 8, 8];
/** Places at the section's end or out of it. */
const OUT = [-3, -4, 0, 0x7fff_fff0, -4, -8, -4];
/** No table of symbols is so long. */
const NO_SYMBOL = 0x10_0000;
/** Of `pick`, from here on a type that is refused or unknown. */
const STRANGE = 0xffff * 0.985;

/** A symbol and an addend that others may share. */
interface Shared {
  readonly name: string;
  readonly S: bigint;
  readonly A: bigint;
}

/** A group that has its place. */
interface Laid {
  readonly g: GroupChoices;
  readonly recipe: CaseRecipe;
  readonly place: Place;
  /** By part. */
  readonly offsets: readonly number[];
  readonly types: readonly number[];
  readonly rows: readonly (CaseRow | undefined)[];
  /** Symbols by their letter. */
  readonly letters: Map<string, Shared>;
}

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

export class CaseRelocs {
  readonly types: Set<number> = new Set<number>();
  /** A type was drawn that no row knows. */
  unknown = false;
  private readonly target: Target;
  private readonly layout: CaseLayout;
  private readonly sections: Readonly<Record<Place, CaseSection>>;
  private readonly symbols: CaseSymbols;
  private readonly rela: boolean;
  /** For a later group. */
  private shared: Shared | undefined;
  /** There are relocations enough to fill a table. */
  private full = false;

  constructor(
    target: Target,
    layout: CaseLayout,
    sections: Readonly<Record<Place, CaseSection>>,
    symbols: CaseSymbols,
    form: 'REL' | 'RELA',
  ) {
    this.target = target;
    this.layout = layout;
    this.sections = sections;
    this.symbols = symbols;
    this.rela = form === 'RELA';
  }

  lay(g: GroupChoices): void {
    const { recipes, hints, rows: known } = this.target;
    const recipe = (g.kind >= 10 - (hints.often ?? 3) ? recipes[g.pick % recipes.length] : undefined) ?? ALONE;
    const types = recipe === ALONE ? [this.typeAlone(g)] : recipe.parts.map((part, i) => typeOf(part, g.choice >> i));
    const rows = types.map((type) => known.get(type));
    const drawn = PLACES[g.section]!;
    const { section: wanted = drawn } = recipe;
    const place = (drawn === '.data') === (wanted === '.data') ? drawn : wanted;
    const section = this.sections[place];
    const start = this.start(section, g, recipe, rows);
    const offsets = recipe.parts.map(({ at = 0 }) => start + at);
    const laid: Laid = { g, recipe, place, offsets, types, rows, letters: new Map() };
    for (const [i, word] of (recipe.words ?? []).entries())
      section.put(start + 4 * i, { size: 4, order: 'insn' }, BigInt(word));
    if (recipe === ALONE) this.putWord(section, g, start, rows[0]);
    for (const [i, type] of types.entries()) {
      // What is left out keeps its place: others stay where they are.
      section.reserve(offsets[i]!, Math.max(rows[i]?.field.size ?? 4, 4));
      // Of a stack that grows and shrinks, two at a time: no less would be left in balance.
      if (g.keeps[i] === 0 || (g.last === 0 && i > 0 && i < types.length - 1)) continue;
      section.relocs.push(this.entry(laid, i));
      this.types.add(type);
    }
    if (recipe === ALONE && place !== '.data') this.fillTable(laid);
  }

  /** More of the same kind: a table has to hold them all, and each once. */
  private fillTable(laid: Laid): void {
    const { g, place } = laid;
    const [row] = laid.rows;
    if (g.burst < MANY || this.full || row?.action !== 'apply') return;
    if (row.calc.plainWithin === undefined && !/\b(G|PLT)\b/.test(row.calc.formula)) return;
    this.full = true;
    const section = this.sections[place];
    for (let i = Math.max(MANY, g.burst - g.last); i <= g.burst; i++) {
      // Three symbols of their own, and one that was there before.
      const low = Math.imul(g.a.low + i, 0x9e37_79b1) >>> 0;
      const own = { ...g, a: { ...g.a, low }, share: i % 4 === 3 ? 5 : 0 };
      const start = roundUp(section.end, 8);
      this.putWord(section, own, start, row);
      section.reserve(start, Math.max(row.field.size, 4));
      section.relocs.push(this.entry({ ...laid, g: own, offsets: [start], letters: new Map() }, 0));
    }
  }

  private typeAlone({ pick, choice }: GroupChoices): number {
    const { range, rows, handled, sensible, refused, elsewhere } = this.target;
    const one = (types: readonly number[]): number => types[pick % types.length]!;
    if (range.types !== undefined || pick < STRANGE) return one(choice % 8 === 7 ? handled : sensible);
    const type = pick % 3 > 0 && refused.length > 0 ? one(refused) : pick % 2 > 0 ? one(elsewhere) : pick & 0xff;
    this.unknown ||= !rows.has(type);
    return type;
  }

  /** Offset at which a group begins. */
  private start(
    section: CaseSection,
    g: GroupChoices,
    recipe: CaseRecipe,
    rows: readonly (CaseRow | undefined)[],
  ): number {
    const { unaligned = false } = this.target.hints;
    if (rows.some((row) => row?.field.block)) return roundUp(section.end, 16) + (recipe === ALONE ? g.word % 4 : 0);
    // A handler may read a word whatever the type is.
    const size = Math.max(...rows.map((row) => (row?.action === 'apply' ? row.field.size : 4)));
    if (g.gap === 7 && recipe === ALONE && (unaligned || section.last % size === 0)) return section.last;
    const drawn = GAPS[g.gap]!;
    const gap = g.gap === 6 && unaligned ? g.word & 7 : drawn > 0 && drawn < size ? 8 : drawn;
    section.last = roundUp(section.end, 8) + gap;
    return section.last;
  }

  /** A word that the row's handler has a meaning for. */
  private putWord(section: CaseSection, g: GroupChoices, at: number, row: CaseRow | undefined): void {
    if (row?.words === undefined || g.word % 8 === 7) return;
    section.put(at, row.field, BigInt(row.words[g.word % row.words.length]!));
  }

  /** The relocation of one part. */
  private entry(laid: Laid, i: number): CaseReloc {
    const { g } = laid;
    const row = laid.rows[i];
    const offset = laid.offsets[i]!;
    const type = laid.types[i]! + (g.b.low % 2 ** (row?.typeData ?? 0)) * 0x100;
    if (!this.isOut(g, row)) return { offset, type, ...this.against(laid, i) };
    if (g.choice % 8 === 7) return { offset, type, symbol: NO_SYMBOL };
    return { offset, type, fromEnd: OUT[g.choice % OUT.length]!, ...this.against(laid, i) };
  }

  /** The symbol and the addend of one part: those of its letter, or new ones. */
  private against(laid: Laid, i: number): Pick<CaseReloc, 'symbol' | 'addend'> {
    const { format } = this.target;
    const { g, recipe, place, offsets, letters } = laid;
    const part = recipe.parts[i]!;
    const row = laid.rows[i];
    const to = (symbol: string | number, A: bigint): Pick<CaseReloc, 'symbol' | 'addend'> => ({
      symbol,
      ...(this.rela && { addend: signedWord(format, A) }),
    });
    const given = part.addend ?? row?.addends?.[g.addend % row.addends.length];
    const drawn = given === undefined ? (ADDENDS[g.addend] ?? BigInt(g.b.low | 0)) : BigInt(given);
    const { symbol: letter = 'a' } = part;
    if (letter === 'none') return to(0, drawn);
    if (typeof letter === 'number') return to(this.symbols.label(place, offsets[letter]!), drawn);
    const before = letters.get(letter);
    if (before !== undefined) return to(before.name, given === undefined ? before.A : drawn);

    const section = this.sections[place];
    const at = offsets[i]!;
    const filled = part.fills === undefined ? undefined : laid.rows[part.fills];
    const shape = row && { ...row.shape, ...(filled && { ranges: filled.shape.ranges }) };
    const { difference = false } = recipe;
    const first = letter === 'a';
    const value = valueOf(shape, first ? g.a : g.b, format.is64);
    const base = this.baseOf(shape, section.at + BigInt(at));
    const fixed = given !== undefined || !this.rela;
    let A = this.rela ? drawn : row?.action === 'apply' ? section.addendAt(at, row.field) : 0n;
    // Where the formula has no S, the addend makes the value.
    if (shape?.byAddend && !fixed) A = value + base - (shape.fromGot ? this.layout.pointer : 0n);
    if (difference) A = 0n;
    const wanted = difference ? BigInt(g.b.low) * 0x10001n + (first ? value : 0n) : value - A + base;
    const aim = wrapWord(format, wanted);
    const earlier = first && !difference && g.share >= 5 ? this.shared : undefined;
    const { name, S = aim } = earlier ?? this.symbols.drawn(g, first ? 'first' : 'second', aim, row);
    // What lies elsewhere has the address it has; the addend makes up for it.
    if (!fixed) A = earlier !== undefined && g.share === 5 ? earlier.A : A + aim - S;
    const made: Shared = { name, S, A };
    letters.set(letter, made);
    if (first && !difference) this.shared = made;
    return to(name, A);
  }

  /** What the row's formula takes away from S + A. */
  private baseOf(shape: Shape | undefined, P: bigint): bigint {
    if (shape?.base === undefined) return 0n;
    return multipleOf(shape.cut, (shape.base === 'P' ? P : this.layout.pointer) + shape.plus);
  }

  /** A place that is not in the section, or just is, or a symbol that there is not: a table has not been asked yet. */
  private isOut(g: GroupChoices, row: CaseRow | undefined): boolean {
    return (
      this.target.hints.bounded === true && g.gap === 7 && g.word % 16 === 9 && row?.calc.plainWithin === undefined
    );
  }
}

const typeOf = ({ rows }: CasePart, choice: number): number => rows[choice % rows.length]!.type;
