/** Where the sections of a generated module lie, and which tables are there for the hooks. */
import { type KoSection, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS } from '../fixtures/build.ts';
import type { Target } from './case-range.ts';
import { multipleOf } from './values.ts';

/** Sections with relocations; drawn, text more often than the others. */
export const PLACES = ['.text', '.data', '.text', '.init.text', '.text.unlikely'] as const;
export type Place = (typeof PLACES)[number];

/** A case takes 0x80000 bytes from its base on. */
const AT = {
  text: 0x1000n,
  unlikely: 0x3000n,
  tables: 0x8000n,
  filled: 0xc000n,
  data: 0x10000n,
  toc: 0x12000n,
  init: 0x40000n,
};
/** The text section may lie across the end of a page. */
export const STARTS: readonly bigint[] = [AT.text, AT.text, 0x1ff0n, 0x1fe0n];
/** And so may tables. */
export const TABLES_MOVED: readonly bigint[] = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0x7f0n, 0xff0n, 0x7f0n, 0xff0n, 0n];
/** Of these, with a table of contents in another range. */
const FAR = 11;
const [RX, RW] = [SHF_ALLOC | SHF_EXECINSTR, SHF_ALLOC | SHF_WRITE];

/** What of places is left to chance. */
export interface LayoutChoices {
  /** Which of the range's bases, of STARTS and of TABLES_MOVED. */
  readonly base: number;
  readonly start: number;
  readonly tables: number;
}

interface Placed {
  readonly at: bigint;
  readonly section: KoSection;
}

export interface CaseLayout {
  readonly base: bigint;
  readonly sections: Readonly<Record<Place, { readonly at: bigint; readonly flags: number }>>;
  /** Sections that hooks or handlers look for, and what they fill. */
  readonly tables: readonly Placed[];
  /** What GP, TOC or GOT in a formula is. */
  readonly pointer: bigint;
  /** Memory of the module, as a recorded case has it. */
  readonly mem: Readonly<Record<string, { readonly base: bigint; readonly size: number }>>;
}

export function layoutOf(target: Target, choices: LayoutChoices): CaseLayout {
  const { bases, version, dp = 0n } = target.range;
  const { pointer } = target.hints;
  const base = bases[choices.base]!;
  const tables = tablesOf(target, choices);
  const basis =
    pointer?.section === undefined ? base : tables.find(({ section }) => section.name === pointer.section)!.at;
  return {
    base,
    sections: {
      '.text': { at: base + STARTS[choices.start]!, flags: RX },
      '.text.unlikely': { at: base + AT.unlikely, flags: RX },
      '.init.text': { at: base + AT.init + AT.text, flags: RX },
      '.data': { at: base + AT.data, flags: RW },
    },
    tables,
    pointer: pointer === undefined ? dp : multipleOf(pointer.align ?? 1n, basis) + pointer.plus,
    mem:
      version === '6.1'
        ? { core: { base, size: 0x20000 }, init: { base: base + AT.init, size: 0x4000 } }
        : {
            text: { base, size: 0x10000 },
            data: { base: base + AT.data, size: 0x4000 },
            init_text: { base: base + AT.init, size: 0x4000 },
          },
  };
}

function tablesOf({ range, machine, hints }: Target, choices: LayoutChoices): Placed[] {
  const { placeholders = [], nobitsPlaceholders = false } = machine ?? {};
  const base = range.bases[choices.base]!;
  const moved = TABLES_MOVED[choices.tables]!;
  const placed = placeholders.map((name, i): Placed => {
    const flags = SHF_ALLOC | (name.includes('got') ? 0 : SHF_EXECINSTR);
    return {
      at: base + AT.tables + moved + BigInt(i) * 0x800n,
      section: nobitsPlaceholders ? { name, type: SHT_NOBITS, flags: RX, size: 1 } : { name, flags, size: 1 },
    };
  });
  // What a formula counts from a module has to bring along, where no hook asks for it.
  const basis = hints.pointer?.section;
  if (basis !== undefined && !placeholders.includes(basis)) {
    const there = choices.tables === FAR ? range.bases[(choices.base + 1) % range.bases.length]! : base;
    placed.push({ at: there + AT.toc + (moved >> 3n), section: { name: basis, flags: RW, align: 8, size: 16 } });
  }
  for (const [i, name] of (hints.filled ?? []).entries()) {
    const at = base + AT.filled + BigInt(i) * 0x1000n;
    placed.push({ at, section: { name, type: SHT_NOBITS, flags: RW, align: 8, size: 1 } });
  }
  return placed;
}

/** A section that is there only for a handler to see it. */
export const unwanted = ({ base }: CaseLayout, name: string): Placed => ({
  at: base + AT.filled,
  section: { name, flags: RW, align: 8, size: 8 },
});
