/**
 * Cases of relocation for an architecture, made from its own rows: values at and beside the ends of every range, random
 * words, far and near symbols, weak and missing ones, several sections; and from hints.ts, what belongs together. What
 * comes out is a recorded case without what is expected, so that anything can be asked for its outcome: the reference,
 * the kernel's own handlers, a port.
 */
import * as fc from 'fast-check';
import { type Arch, configOf } from '../arch/index.ts';
import {
  type KoReloc,
  type KoSection,
  type KoSymbol,
  ko,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  SHN_COMMON,
  SHT_NOBITS,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STT_SECTION,
} from '../fixtures/build.ts';
import { type Machine, machines } from '../fixtures/machines.ts';
import { type ElfFormat, signedWord, wrapWord } from '../relocs/elf.ts';
import { addendOf, type Field } from '../relocs/field.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Config, ModuleView, Version } from '../relocs/module-view.ts';
import { rowFor } from '../relocs/rules.ts';
import { type Hints, hints } from './hints.ts';
import { type Part, type Recipe, recipes } from './recipes.ts';
import { multipleOf, type Shape, shapeOf, valueOf, values, type Wanted } from './values.ts';
import { toBase64, type Vector } from './vector.ts';
import { readWord, writeWord } from './words.ts';

/** What generated cases are for. */
export interface CaseRange {
  readonly arch: Arch;
  readonly version: Version;
  readonly little: boolean;
  /** Where modules go: free ranges of 512 KiB in the port's user space. */
  readonly bases: readonly bigint[];
  /** e_flags of the module; default, as fixtures have them. */
  readonly e_flags?: number;
  /** Only these relocation types; default, all rows and now and then an unknown one. */
  readonly types?: readonly number[];
  /** SHT_REL or SHT_RELA, where an architecture has both; default, as its fixtures have it. */
  readonly form?: 'REL' | 'RELA';
  /** Most groups of relocations in a case. Default 6. */
  readonly most?: number;
  /** Values of `variant` of a recorded case. */
  readonly variants?: readonly number[];
  /** `config` and `dp` of a recorded case. */
  readonly config?: string;
  readonly dp?: bigint;
}

/** A case takes 0x80000 bytes from its base on. */
const [TEXT, UNLIKELY, TABLES, DATA, TOC, INIT] = [0x1000n, 0x3000n, 0x8000n, 0x10000n, 0x12000n, 0x40000n];
const FILLED = 0xc000n;
/** The text section may lie across the end of a page. */
const STARTS = [TEXT, TEXT, 0x1ff0n, 0x1fe0n];
const MOVED = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0x7f0n, 0xff0n, 0x7f0n, 0xff0n, 0n];
/** Of MOVED, with a table of contents in another range. */
const FAR = 11;
const [RX, RW] = [SHF_ALLOC | SHF_EXECINSTR, SHF_ALLOC | SHF_WRITE];
const PLACES = ['.text', '.data', '.text', '.init.text', '.text.unlikely'] as const;
type Place = (typeof PLACES)[number];

/** One row, or one recipe of hints.ts, with everything that is left to chance as numbers that shrink to 0. */
interface Group {
  /** The last `often` of ten are recipes. */
  readonly kind: number;
  readonly pick: number;
  readonly choice: number;
  readonly section: number;
  readonly gap: number;
  readonly a: Wanted;
  readonly b: Wanted;
  readonly addend: number;
  readonly symbol: number;
  readonly share: number;
  readonly word: number;
  /** From MANY on, a row that may want an entry of a table comes so many times more, to fill the table. */
  readonly burst: number;
  /** Of those, the last so many and one. 0 leaves of a recipe its first part and its last. */
  readonly last: number;
  /** 0 leaves that part of a recipe out; the first is also for a row alone. */
  readonly keeps: readonly number[];
}

interface Made {
  readonly groups: readonly Group[];
  readonly fill: number;
  readonly zeros: number;
  readonly base: number;
  readonly variant: number;
  readonly start: number;
  /** How far tables are moved: they may lie across the end of a page. */
  readonly tables: number;
  /** Which of the architecture's forms of relocation sections, its usual one first. */
  readonly form: number;
  /** A section that a hook looks for is left out, or one is there that it does not want. */
  readonly odd: number;
}

/** Values that handlers take for an error, or for no symbol: both sides of IS_ERR_VALUE(). */
const SPECIAL = [-4095n, -4096n, -1n, 0n, 1n];
/** Offsets from here on count from a section's end. */
const END = 0x4000_0000;
const OUT = [-4, -3, -4, 0, 0x7fff_fff0, -4, -8];
const MANY = 110;
const keep = fc.integer({ min: 0, max: 31 });
const group: fc.Arbitrary<Group> = fc.record({
  kind: fc.integer({ min: 0, max: 9 }),
  pick: fc.integer({ min: 0, max: 0xffff }),
  choice: fc.integer({ min: 0, max: 0xff }),
  section: fc.integer({ min: 0, max: PLACES.length - 1 }),
  gap: fc.integer({ min: 0, max: 7 }),
  a: values,
  b: values,
  addend: fc.integer({ min: 0, max: 11 }),
  symbol: fc.integer({ min: 0, max: 59 }),
  share: fc.integer({ min: 0, max: 6 }),
  word: fc.integer({ min: 0, max: 0xff }),
  burst: fc.integer({ min: 0, max: MANY + 40 }),
  last: fc.integer({ min: 0, max: 40 }),
  keeps: fc.tuple(keep, keep, keep, keep, keep),
});

/** Generated cases; shrinks to few relocations, small values and zero words. */
export function cases(range: CaseRange): fc.Arbitrary<Vector> {
  const target = targetOf(range);
  return fc
    .record({
      groups: fc.array(group, { minLength: 0, maxLength: range.most ?? 6, size: 'max' }),
      fill: fc.integer({ min: 0, max: 0xffff_ffff }),
      zeros: fc.integer({ min: 0, max: 9 }),
      base: fc.integer({ min: 0, max: range.bases.length - 1 }),
      variant: fc.integer({ min: 0, max: Math.max((range.variants?.length ?? 1) - 1, 0) }),
      start: fc.integer({ min: 0, max: STARTS.length - 1 }),
      tables: fc.integer({ min: 0, max: MOVED.length - 1 }),
      form: fc.integer({ min: 0, max: Math.max(target.forms.length * 2 - 1, 0) }),
      odd: fc.integer({ min: 0, max: 39 }),
    })
    .map((made) => new Build(target, made).vector());
}

/** What holds for every case of a range. */
interface Target {
  readonly range: CaseRange;
  readonly config: Config;
  readonly format: ElfFormat;
  readonly insnLittle: boolean;
  readonly machine: Machine | undefined;
  /** One or both; the more usual one first. */
  readonly forms: readonly ('REL' | 'RELA')[];
  readonly hints: Hints;
  readonly handled: readonly number[];
  /** Those that make sense alone. */
  readonly sensible: readonly number[];
  /** Types with a row that refuses them. */
  readonly refused: readonly number[];
  /** Types that another version or configuration has a row for. */
  readonly elsewhere: readonly number[];
  readonly recipes: readonly Recipe[];
  readonly rows: ReadonlyMap<number, Howto>;
  readonly byName: ReadonlyMap<string, Howto>;
  readonly shapes: ReadonlyMap<number, Shape>;
}

/** 'CALL26' of 'R_AARCH64_CALL26', as hints.ts calls it. */
const shortName = (row: Howto): string => row.name.replace(/^R_[A-Z0-9]+?_(?=[A-Z0-9])/, '');

function targetOf(range: CaseRange): Target {
  const { arch, version, little } = range;
  const hint = hints[`${arch.backend} ${range.config}`] ?? hints[arch.backend] ?? {};
  const machine = machines.find(
    (x) =>
      arch.e_machine.includes(x.e_machine) && (x.elfClass === 64) === arch.is64 && (x.endian === 'little') === little,
  );
  const e_flags = range.e_flags ?? machine?.e_flags ?? 0;
  const recorded = {
    config: range.config,
    variant: range.variants?.[0],
    flavour: undefined,
    dp: range.dp?.toString(),
    arch: arch.name,
    cls: 'generated',
    types: range.types ?? [],
    e_flags,
    sections: [],
    live: false,
  };
  const config = { ...configOf(arch, version), DYNAMIC_FTRACE: false, ...arch.replayConfig?.(recorded) };
  const rows = new Map<number, Howto>();
  for (const type of arch.rules.rows.keys()) {
    const row = rowFor(arch.rules, type, version, config);
    if (row !== undefined) rows.set(type, row);
  }
  const all = [...rows.values()];
  const handled = range.types ?? all.filter((row) => row.action !== 'refuse').map((row) => row.type);
  const byName = new Map(all.map((row) => [shortName(row), row]));
  const seldom = (type: number): boolean => {
    const row = rows.get(type);
    return row !== undefined && hint.seldom?.test(shortName(row)) === true;
  };
  const sensible = handled.filter((type) => !seldom(type));
  const usable = (part: Part): boolean => part.types.some((name) => byName.has(name));
  const wanted = (recipe: Recipe): boolean =>
    range.types === undefined ||
    recipe.parts.some((part) => part.types.some((name) => range.types!.includes(byName.get(name)?.type ?? -1)));
  const usual = machine?.form ?? arch.forms[0]!;
  const format = { is64: arch.is64, little };
  const view: Partial<ModuleView> = { format, e_flags, config, version };
  return {
    range,
    config,
    format,
    machine,
    handled,
    sensible,
    rows,
    byName,
    hints: hint,
    insnLittle: arch.rules.insnLittle(view as ModuleView),
    forms: range.form === undefined ? [usual, ...arch.forms.filter((form) => form !== usual)] : [range.form],
    refused: all.filter((row) => row.action === 'refuse').map((row) => row.type),
    recipes: (recipes[arch.backend] ?? []).filter((recipe) => recipe.parts.every(usable) && wanted(recipe)),
    elsewhere: [...arch.rules.rows.keys(), Math.max(...rows.keys()) + 1].filter((type) => !rows.has(type)),
    shapes: new Map(
      all.map((row) => {
        const shape = shapeOf(row, arch.is64);
        const ranges = hint.reach?.[shortName(row)];
        return [row.type, ranges === undefined ? shape : { ...shape, ranges, align: 4n, base: 'P' }];
      }),
    ),
  };
}

const ADDENDS = [0n, 0n, 0n, 0n, 0n, -4n, 4n, 8n, 2n, 0x800n];
const hex = (v: bigint): string => `0x${v.toString(16)}`;

/** A section in the making. */
interface Making {
  readonly at: bigint;
  readonly flags: number;
  cursor: number;
  /** The last place, to lay something else on it. */
  last: number;
  readonly relocs: KoReloc[];
  readonly words: (Pick<Field, 'size' | 'order'> & { readonly at: number; readonly word: bigint })[];
  used: boolean;
}

class Build {
  private readonly t: Target;
  private readonly made: Made;
  private readonly rela: boolean;
  private readonly base: bigint;
  private readonly making: Record<Place, Making>;
  private readonly symbols: KoSymbol[] = [];
  private readonly given: Record<string, string> = {};
  private readonly types = new Set<number>();
  /** Symbol and addend that a later group may share. */
  private shared: { readonly name: string; readonly S: bigint; readonly A: bigint } | undefined;
  private odd = false;
  /** There are relocations enough to fill a table. */
  private full = false;

  constructor(t: Target, made: Made) {
    this.t = t;
    this.made = made;
    this.rela = t.forms[Math.max(made.form - t.forms.length, 0)] === 'RELA';
    this.base = t.range.bases[made.base]!;
    const make = (at: bigint, flags: number): Making => ({
      at: this.base + at,
      flags,
      cursor: 0,
      last: 0,
      relocs: [],
      words: [],
      used: false,
    });
    this.making = {
      '.text': make(STARTS[made.start]!, RX),
      '.text.unlikely': make(UNLIKELY, RX),
      '.init.text': make(INIT + TEXT, RX),
      '.data': make(DATA, RW),
    };
    this.making['.text'].used = true;
    for (const g of made.groups) this.lay(g);
  }

  private lay(g: Group): void {
    const { t } = this;
    const recipe =
      g.kind >= 10 - (t.hints.often ?? 3) && t.recipes.length > 0 ? t.recipes[g.pick % t.recipes.length] : undefined;
    const parts = recipe?.parts ?? [{ types: [] }];
    const types =
      recipe === undefined ? [this.singleType(g)] : recipe.parts.map((part, i) => this.partType(part, g.choice >> i));
    const rows = types.map((type) => t.rows.get(type));
    const sections = recipe?.section;
    const name: Place =
      sections === undefined
        ? PLACES[g.section]!
        : sections === '.data'
          ? '.data'
          : PLACES[g.section] === '.data'
            ? '.text'
            : PLACES[g.section]!;
    const s = this.making[name];
    s.used = true;
    const start = this.start(s, g, recipe, rows);
    for (const [i, word] of (recipe?.words ?? []).entries())
      s.words.push({ at: start + 4 * i, size: 4, order: 'insn', word: BigInt(word) });
    if (recipe === undefined) this.putWord(s, g, start, rows[0]);
    const letters = new Map<string, { readonly name: string; readonly A: bigint }>();
    parts.forEach((part, i) => {
      const at = start + (part.at ?? 0);
      const type = types[i]!;
      // What is left out keeps its place: others stay where they are.
      s.cursor = Math.max(s.cursor, at + Math.max(rows[i]?.field.size ?? 4, 4));
      // Of a stack that grows and shrinks, two at a time: no less would be left in balance.
      if (g.keeps[i] === 0 || (g.last === 0 && i > 0 && i < parts.length - 1)) return;
      s.relocs.push(
        this.entry(s, name, g, part, {
          at,
          start,
          type,
          row: rows[i],
          parts,
          difference: recipe?.difference === true,
          letters,
        }),
      );
      this.types.add(type);
    });
    for (const w of s.words) s.cursor = Math.max(s.cursor, w.at + w.size);
    if (recipe === undefined && name !== '.data') this.fillTable(s, name, g, types[0]!);
  }

  /** More of the same kind: a table has to hold them all, and each once. */
  private fillTable(s: Making, name: Place, g: Group, type: number): void {
    const row = this.t.rows.get(type);
    if (g.burst < MANY || this.full || row?.action !== 'apply') return;
    if (row.calc.plainWithin === undefined && !/\b(G|PLT)\b/.test(row.calc.formula)) return;
    this.full = true;
    for (let i = Math.max(MANY, g.burst - g.last); i <= g.burst; i++) {
      // Three symbols of their own, and one that was there before.
      const low = Math.imul(g.a.low + i, 0x9e37_79b1) >>> 0;
      const own = { ...g, a: { ...g.a, low }, share: i % 4 === 3 ? 5 : 0 };
      const at = Math.ceil(s.cursor / 8) * 8;
      const part: Part = { types: [] };
      this.putWord(s, own, at, row);
      s.relocs.push(
        this.entry(s, name, own, part, {
          at,
          start: at,
          type,
          row,
          parts: [part],
          difference: false,
          letters: new Map(),
        }),
      );
      s.cursor = at + Math.max(row.field.size, 4);
    }
  }

  private singleType({ pick, choice }: Group): number {
    const { handled, refused, range, sensible } = this.t;
    if (range.types === undefined && pick < 0xffff * 0.985 && choice % 8 !== 7)
      return sensible[pick % sensible.length]!;
    if (range.types !== undefined || pick < 0xffff * 0.985) return handled[pick % handled.length]!;
    const { elsewhere } = this.t;
    const type =
      pick % 3 > 0 && refused.length > 0
        ? refused[pick % refused.length]!
        : pick % 2 > 0 && elsewhere.length > 0
          ? elsewhere[pick % elsewhere.length]!
          : pick & 0xff;
    if (!this.t.rows.has(type)) this.odd = true;
    return type;
  }

  private partType(part: Part, choice: number): number {
    const rows = part.types.map((name) => this.t.byName.get(name)).filter((row) => row !== undefined);
    return rows[choice % rows.length]!.type;
  }

  /** Offset at which a group begins. */
  private start(s: Making, g: Group, recipe: Recipe | undefined, rows: readonly (Howto | undefined)[]): number {
    const block = rows.some((row) => row?.field.block);
    // A handler may read a word whatever the type is.
    const size = Math.max(...rows.map((row) => (row?.action === 'apply' ? row.field.size : 4)));
    if (block) return Math.ceil(s.cursor / 16) * 16 + (recipe === undefined ? g.word % 4 : 0);
    if (g.gap === 7 && recipe === undefined && (this.t.hints.unaligned || s.last % size === 0)) return s.last;
    const aligned = Math.ceil(s.cursor / 8) * 8;
    const gap =
      g.gap < 4
        ? 0
        : g.gap === 4 && size <= 4
          ? 4
          : g.gap === 5 && size <= 2
            ? 2
            : g.gap === 6 && this.t.hints.unaligned
              ? g.word & 7
              : 8;
    s.last = aligned + gap;
    return s.last;
  }

  /** A word that the row's handler has a meaning for. */
  private putWord(s: Making, g: Group, at: number, row: Howto | undefined): void {
    const known = row === undefined ? undefined : this.t.hints.words?.[shortName(row)];
    if (row === undefined || known === undefined || g.word % 8 === 7) return;
    const { size, order } = row.field;
    s.words.push({ at, size, order, word: BigInt(known[g.word % known.length]!) });
  }

  private entry(
    s: Making,
    section: Place,
    g: Group,
    part: Part,
    x: {
      readonly at: number;
      readonly start: number;
      readonly type: number;
      readonly row: Howto | undefined;
      readonly parts: readonly Part[];
      readonly difference: boolean;
      readonly letters: Map<string, { readonly name: string; readonly A: bigint }>;
    },
  ): KoReloc {
    const { t } = this;
    const { at, row } = x;
    const bitsAbove = row === undefined ? 0 : (t.hints.typeData?.[shortName(row)] ?? 0);
    const type = bitsAbove === 0 ? x.type : x.type + (g.b.low % 2 ** bitsAbove) * 256;
    const common = { offset: this.isOut(g, row) ? END + g.choice : at, type };
    // No table of symbols is so long.
    if (this.isOut(g, row) && g.choice % 8 === 7) return { offset: at, type, symbol: 0x10_0000 };
    const explicit = (A: bigint): { addend?: bigint } => (this.rela ? { addend: signedWord(t.format, A) } : {});
    const few = row && t.hints.addends?.[shortName(row)];
    const given = part.addend ?? few?.[g.addend % few.length];
    const drawn = given === undefined ? (ADDENDS[g.addend] ?? BigInt(g.b.low | 0)) : BigInt(given);
    const which = part.symbol ?? 'a';
    if (which === 'none') return { ...common, symbol: 0, ...explicit(drawn) };
    if (typeof which === 'number') {
      const value = x.start + (x.parts[which]?.at ?? 0);
      return { ...common, symbol: this.define({ bind: STB_LOCAL, section, value }), ...explicit(drawn) };
    }
    const known = x.letters.get(which);
    if (known !== undefined)
      return { ...common, symbol: known.name, ...explicit(given === undefined ? known.A : drawn) };

    const A = this.rela ? drawn : this.inPlace(s, at, row);
    const filled = part.fills === undefined ? undefined : x.parts[part.fills];
    const ranges = filled && t.shapes.get(this.partType(filled, g.choice >> part.fills!))?.ranges;
    const own = row && t.shapes.get(row.type);
    const shape = own && ranges ? { ...own, ranges } : own;
    const P = s.at + BigInt(at);
    const made = x.difference
      ? {
          S: wrapWord(t.format, BigInt(g.b.low) * 0x10001n + (which === 'a' ? valueOf(shape, g.a, t.format.is64) : 0n)),
          A: this.rela ? 0n : A,
        }
      : this.symbolValue(g, which, A, given !== undefined, shape, P);
    const name = 'name' in made ? made.name : this.symbol(g, which, made.S, row);
    const S = this.valueOfSymbol(name, made.S);
    // What lies in the module has the address it has; the addend makes up for it.
    const addend = this.rela && given === undefined && S !== undefined ? made.A + made.S - S : made.A;
    x.letters.set(which, { name, A: addend });
    if (which === 'a' && !x.difference) this.shared = { name, S: S ?? made.S, A: addend };
    return { ...common, symbol: name, ...explicit(addend) };
  }

  /** S for the value that the row's calculation is to come to; or what an earlier group had. */
  private symbolValue(
    g: Group,
    which: string,
    A: bigint,
    fixed: boolean,
    shape: Shape | undefined,
    P: bigint,
  ): { S: bigint; A: bigint; name?: string } {
    const { t } = this;
    const wanted = valueOf(shape, which === 'a' ? g.a : g.b, t.format.is64);
    const base = this.baseOf(shape, P);
    // Where the formula has no S, the addend makes the value.
    if (shape?.byAddend && this.rela && !fixed) A = wanted + base - (shape.fromGot ? this.pointer() : 0n);
    const S = wrapWord(t.format, wanted - A + base);
    if (which !== 'a' || this.shared === undefined || g.share < 5) return { S, A };
    if (fixed) return { ...this.shared, A };
    if (g.share === 5 || !this.rela) return this.shared;
    return { name: this.shared.name, S: this.shared.S, A: A + S - this.shared.S };
  }

  private baseOf(shape: Shape | undefined, P: bigint): bigint {
    if (shape?.base === undefined) return 0n;
    return multipleOf(shape.cut, (shape.base === 'P' ? P : this.pointer()) + shape.plus);
  }

  /** What GP, TOC or GOT in a formula is. */
  private pointer(): bigint {
    const { pointer } = this.t.hints;
    if (pointer === undefined) return this.t.range.dp ?? 0n;
    const at = pointer.section === undefined ? this.base : this.placeOf(pointer.section);
    return multipleOf(pointer.align ?? 1n, at) + pointer.plus;
  }

  private placeOf(name: string): bigint {
    const { bases } = this.t.range;
    const { tables } = this.made;
    if (name === '.toc') {
      const base = tables === FAR ? bases[(this.made.base + 1) % bases.length]! : this.base;
      return base + TOC + (MOVED[tables]! >> 3n);
    }
    return (
      this.base +
      TABLES +
      MOVED[this.made.tables]! +
      BigInt((this.t.machine?.placeholders ?? []).indexOf(name)) * 0x800n
    );
  }

  /** The addend of an SHT_REL entry, as the bytes will be. */
  private inPlace(s: Making, at: number, row: Howto | undefined): bigint {
    if (row === undefined || row.action !== 'apply') return 0n;
    const size = Math.max(at + 16, s.cursor);
    return addendOf(row.field, readWord(this.bytes(s, size), at, row.field, this.t));
  }

  /** A place that is not in the section, or just is, or a symbol that there is not: a table has not been asked yet. */
  private isOut(g: Group, row: Howto | undefined): boolean {
    return this.t.hints.bounded === true && g.gap === 7 && g.word % 16 === 9 && row?.calc.plainWithin === undefined;
  }

  /** A new symbol that comes to S if it can. */
  private symbol(g: Group, which: string, S: bigint, row: Howto | undefined): string {
    const { symbol, a, b } = g;
    const { symbolTypes = [], descriptors = 0 } = this.t.hints;
    const hooked = symbol === 59 ? symbolTypes[a.low % symbolTypes.length] : undefined;
    if (hooked !== undefined) return this.define({ type: hooked });
    const type = (which === 'a' ? a.which : b.which) % 2 === 1 ? STT_FUNC : 0;
    const others = this.t.hints.others ?? [];
    const other = others.length > 0 && b.delta > 4 ? others[b.which % others.length]! : 0;
    const low = (a.low % 16) * 4;
    const own = symbol < (this.t.hints.own ?? 0);
    if (own || (symbol >= 40 && symbol < 46)) {
      const section = !own && symbol < 44 ? '.text' : '.data';
      this.making[section].used = true;
      return this.define({ type, other, section, value: low });
    }
    if (symbol === 47 || symbol === 48) {
      const section = symbol === 47 ? '.text' : '.data';
      this.making[section].used = true;
      const known = this.symbols.find((x) => x.type === STT_SECTION && x.section === section);
      return known?.name ?? this.define({ type: STT_SECTION, bind: STB_LOCAL, section, value: 0 });
    }
    const defined = symbol < 30 && row !== undefined && this.t.hints.defined?.test(shortName(row)) === true;
    if (defined || (symbol >= 49 && symbol < 53)) return this.define({ type, other, section: SHN_ABS, value: S });
    if (symbol === 53 || symbol === 54) return this.define({ type, bind: STB_WEAK });
    if (symbol === 55 && a.low % 4 === 1) return this.define({ section: SHN_COMMON, value: 8 });
    if (symbol === 56 && a.low % 4 === 1) return this.define({});
    const { names = [], dotted } = this.t.hints;
    const known = names[a.low % names.length];
    if (symbol === 58 && known !== undefined) return this.define({ type, other }, known);
    const bind = symbol === 57 && { bind: STB_WEAK };
    const bare = `s${this.symbols.length + 1}`;
    const name = this.define({ type, other, ...bind }, symbol === 59 && dotted ? `.${bare}` : bare);
    if (symbol === 46) S = wrapWord(this.t.format, SPECIAL[a.low % SPECIAL.length]!);
    const described = symbol >= 30 && symbol < 30 + descriptors;
    if (described) this.making['.data'].used = true;
    this.given[bare] = hex(described ? this.making['.data'].at + BigInt(low) : S);
    return name;
  }

  private define(symbol: Omit<KoSymbol, 'name'>, name = `s${this.symbols.length + 1}`): string {
    if (!this.symbols.some((known) => known.name === name)) this.symbols.push({ name, ...symbol });
    return name;
  }

  /** st_value that a symbol of the module will have; undefined when it is nobody's, or as it was asked for. */
  private valueOfSymbol(name: string, wanted: bigint): bigint | undefined {
    const symbol = this.symbols.find((x) => x.name === name);
    const given = this.given[name.replace(/^\./, '')];
    if (given !== undefined) return BigInt(given);
    if (symbol?.section === SHN_ABS) return wanted;
    if (typeof symbol?.section !== 'string') return undefined;
    return this.making[symbol.section as Place].at + BigInt(symbol.value ?? 0);
  }

  private bytes(s: Making, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const zero = this.t.range.arch.rules.nonZeroPlace !== undefined ? this.made.zeros < 9 : this.made.zeros < 2;
    let x = zero ? 0 : this.made.fill;
    for (let i = 0; i < size && x !== 0; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      bytes[i] = x >>> 24;
    }
    for (const w of s.words) if (w.at + w.size <= size) writeWord(bytes, w.at, w, w.word, this.t);
    return bytes;
  }

  /** The section that a formula counts from, where a module has to bring it along. */
  private get basis(): string[] {
    const { machine, hints: hint } = this.t;
    const section = hint.pointer?.section;
    return section === undefined || machine?.placeholders.includes(section) ? [] : [section];
  }

  /** What a hook looks for and does not find. */
  private lacks(): string | undefined {
    const { machine, hints: hint } = this.t;
    const sought = [
      ...(machine?.placeholders ?? []),
      ...this.basis,
      ...(hint.filled ?? []),
      ...(hint.needsSymtab ? ['.symtab'] : []),
    ];
    return this.made.odd === 38 ? sought[this.made.fill % sought.length] : undefined;
  }

  vector(): Vector {
    const { range, machine, hints: hint } = this.t;
    const { rela } = this;
    const { arch, version, little } = range;
    const place: Record<string, string> = {};
    const sections: KoSection[] = [];
    const relocs: Record<string, readonly KoReloc[]> = {};
    for (const [name, s] of Object.entries(this.making)) {
      if (!s.used) continue;
      place[name] = hex(s.at);
      const size = Math.ceil((s.cursor + 24) / 16) * 16;
      const offset = (at: number): number => (at < END ? at : size + OUT[at % OUT.length]!);
      if (s.relocs.length > 0) relocs[name] = s.relocs.map((r) => ({ ...r, offset: offset(Number(r.offset)) }));
      sections.push({ name, flags: s.flags, align: 16, data: this.bytes(s, size) });
    }
    const lacks = this.lacks();
    for (const name of machine?.placeholders ?? []) {
      if (name === lacks) continue;
      place[name] = hex(this.placeOf(name));
      if (machine?.nobitsPlaceholders) sections.push({ name, type: SHT_NOBITS, flags: RX, size: 1 });
      else sections.push({ name, flags: SHF_ALLOC | (name.includes('got') ? 0 : SHF_EXECINSTR), data: [0] });
    }
    for (const name of this.basis) {
      if (name === lacks) continue;
      place[name] = hex(this.placeOf(name));
      sections.push({ name, flags: RW, align: 8, data: new Uint8Array(16) });
    }
    const also = this.made.odd === 39 && hint.also?.[this.made.fill % hint.also.length];
    if (also) {
      place[also] = hex(this.base + FILLED);
      sections.push({ name: also, flags: RW, align: 8, size: 8 });
    }
    for (const [n, name] of (hint.filled ?? []).entries()) {
      if (name === lacks) continue;
      place[name] = hex(this.base + FILLED + BigInt(n) * 0x1000n);
      sections.push({ name, type: SHT_NOBITS, flags: RW, align: 8, size: 1 });
    }
    const elf = ko({
      machine: machine?.e_machine ?? arch.e_machine[0]!,
      elfClass: arch.is64 ? 64 : 32,
      endian: little ? 'little' : 'big',
      ...(range.e_flags === undefined ? {} : { e_flags: range.e_flags }),
      rel: rela ? 'RELA' : 'REL',
      sections,
      symbols: this.symbols,
      relocs,
      ...(lacks === '.symtab' && { omit: [lacks] }),
    });
    const variant = range.variants?.[this.made.variant];
    const { base } = this;
    const flavour = arch.forms.length > 1 ? (rela ? 'RELA' : 'REL') : undefined;
    return {
      id: 'generated',
      arch: arch.name,
      kernel: version,
      elf: toBase64(elf),
      place,
      symbols: this.given,
      mem:
        version === '6.1'
          ? { core: { base: hex(base), size: 0x20000 }, init: { base: hex(base + INIT), size: 0x4000 } }
          : {
              text: { base: hex(base), size: 0x10000 },
              data: { base: hex(base + DATA), size: 0x4000 },
              init_text: { base: hex(base + INIT), size: 0x4000 },
            },
      ...(variant !== undefined && { variant }),
      ...(range.config !== undefined && { config: range.config }),
      ...(flavour !== undefined && { flavour }),
      ...(range.dp !== undefined && { dp: hex(range.dp) }),
      cls: this.odd ? 'unknown' : 'generated',
      types: [...this.types],
      expect: { ret: 0 },
    };
  }
}
