/** What generated cases are for, and what holds for each of them: the rows, what hints say of them, and recipes. */
import { type Arch, configOf } from '../arch/index.ts';
import { type Machine, machineOf } from '../fixtures/machines.ts';
import type { ElfFormat } from '../relocs/elf.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Config, ModuleView, Version } from '../relocs/module-view.ts';
import { rowFor } from '../relocs/rules.ts';
import { type Hints, hints } from './hints.ts';
import { type Part, type Recipe, recipes } from './recipes.ts';
import { type Shape, shapeOf } from './values.ts';

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

/** A row, and what its values, words and addends have to be to matter. */
export interface CaseRow extends Howto {
  readonly shape: Shape;
  /** Of `Hints`, what is said of the row. */
  readonly words: readonly number[] | undefined;
  readonly addends: readonly number[] | undefined;
  readonly typeData: number;
  readonly defined: boolean;
}

/** One relocation of a recipe, with the rows of its types that this kernel has. */
export interface CasePart extends Part {
  readonly rows: readonly CaseRow[];
}

export interface CaseRecipe extends Recipe {
  readonly parts: readonly CasePart[];
}

/** What holds for every case of a range. */
export interface Target {
  readonly range: CaseRange;
  readonly format: ElfFormat;
  readonly insnLittle: boolean;
  readonly machine: Machine | undefined;
  /** One or both; the more usual one first. */
  readonly forms: readonly ('REL' | 'RELA')[];
  readonly hints: Hints;
  readonly rows: ReadonlyMap<number, CaseRow>;
  readonly recipes: readonly CaseRecipe[];
  /** Types that are asked for. */
  readonly handled: readonly number[];
  /** Those that make sense alone. */
  readonly sensible: readonly number[];
  /** Types with a row that refuses them. */
  readonly refused: readonly number[];
  /** Types that another version or configuration has a row for, and one that nobody has. */
  readonly elsewhere: readonly number[];
}

/** 'CALL26' of 'R_AARCH64_CALL26', as hints and recipes call it. */
const shortName = (row: Howto): string => row.name.replace(/^R_[A-Z0-9]+?_(?=[A-Z0-9])/, '');

export function targetOf(range: CaseRange): Target {
  const { arch, version, little } = range;
  const { is64, rules } = arch;
  const hint = hints[`${arch.backend} ${range.config}`] ?? hints[arch.backend] ?? {};
  const machine = machineOf(arch.e_machine[0]!, is64 ? 64 : 32, little ? 'little' : 'big');
  const e_flags = range.e_flags ?? machine?.e_flags ?? 0;
  const config = configOfRange(range, e_flags);
  const format = { is64, little };
  const view: Partial<ModuleView> = { format, e_flags, config, version };
  const usual = machine?.form ?? arch.forms[0]!;

  const known = [...rules.rows.keys()];
  const all = known.map((type) => rowFor(rules, type, version, config)).filter((row) => row !== undefined);
  const rows = new Map(all.map((row) => [row.type, caseRow(row, hint, is64)]));
  const handled = range.types ?? all.filter((row) => row.action !== 'refuse').map((row) => row.type);
  const seldom = all.filter((row) => hint.seldom?.test(shortName(row))).map((row) => row.type);
  return {
    range,
    format,
    insnLittle: rules.insnLittle(view as ModuleView),
    machine,
    forms: range.form === undefined ? [usual, ...arch.forms.filter((form) => form !== usual)] : [range.form],
    hints: hint,
    rows,
    recipes: caseRecipes(range, [...rows.values()]),
    handled,
    sensible: range.types ?? handled.filter((type) => !seldom.includes(type)),
    refused: all.filter((row) => row.action === 'refuse').map((row) => row.type),
    elsewhere: [...known, Math.max(...rows.keys()) + 1].filter((type) => !rows.has(type)),
  };
}

/** The configuration that a case of the range will be replayed with. */
function configOfRange({ arch, version, ...range }: CaseRange, e_flags: number): Config {
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
  return { ...configOf(arch, version), DYNAMIC_FTRACE: false, ...arch.replayConfig?.(recorded) };
}

function caseRow(row: Howto, hint: Hints, is64: boolean): CaseRow {
  const name = shortName(row);
  const shape = shapeOf(row, is64);
  const ranges = hint.reach?.[name];
  return {
    ...row,
    shape: ranges === undefined ? shape : { ...shape, ranges, align: 4n, base: 'P' },
    words: hint.words?.[name],
    addends: hint.addends?.[name],
    typeData: hint.typeData?.[name] ?? 0,
    defined: hint.defined?.test(name) === true,
  };
}

/** Recipes of which this kernel has every part, and that have to do with what is asked for. */
function caseRecipes({ arch, types }: CaseRange, rows: readonly CaseRow[]): CaseRecipe[] {
  const byName = new Map(rows.map((row) => [shortName(row), row]));
  return (recipes[arch.backend] ?? [])
    .map((recipe) => ({
      ...recipe,
      parts: recipe.parts.map((part) => ({
        ...part,
        rows: part.types.map((name) => byName.get(name)).filter((row) => row !== undefined),
      })),
    }))
    .filter(({ parts }) => parts.every((part) => part.rows.length > 0))
    .filter(
      ({ parts }) => types === undefined || parts.some((part) => part.rows.some((row) => types.includes(row.type))),
    );
}
