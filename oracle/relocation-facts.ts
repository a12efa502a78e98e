/** The relocations of a case in the letters of the psABI, with the bytes that both made of them. */
import { SHT_REL, SHT_RELA } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { addendOf, type Slice } from '../relocs/field.ts';
import type { Howto } from '../relocs/howto.ts';
import { rowFor } from '../relocs/rules.ts';
import type { Section } from '../relocs/section.ts';
import type { Outcome } from '../testing/replay.ts';
import { fromBase64, type Vector } from '../testing/vector.ts';
import { readWord } from '../testing/words.ts';
import { LoadInfo } from '../loader/load-info.ts';

/** One slice of a field: value[hi:lo] at bit `at`, and what it holds. */
export interface SliceFacts {
  readonly slice: Slice;
  readonly before: bigint;
  readonly reference: bigint;
  /** Undefined when the port did not say. */
  readonly port: bigint | undefined;
}

export interface RelocationFacts {
  /** Name of the section that is relocated. */
  readonly section: string;
  readonly offset: bigint;
  readonly type: number;
  /** 'type 77' for one that no row knows. */
  readonly name: string;
  readonly formula: string;
  readonly S: bigint;
  /** Of the entry, or read from the bytes before. */
  readonly A: bigint;
  readonly P: bigint;
  readonly symbol: string;
  /** Bytes of the field. */
  readonly size: number;
  /** At P, as many as the field has. */
  readonly before: Uint8Array;
  /** Undefined when the reference crashed: nobody could look. */
  readonly reference: Uint8Array | undefined;
  readonly port: Uint8Array | undefined;
  /** Empty for a field that is no plain slices, and when the reference crashed. */
  readonly slices: readonly SliceFacts[];
}

/** All relocations of a case, in file order. `vector.expect` is what the port did, `outcome` what the reference did. */
export function relocationFacts(vector: Vector, { ret, module: m }: Outcome): RelocationFacts[] {
  const { symtab } = m;
  if (symtab === undefined) return [];
  const { rules } = m.kernel.arch;
  const original = originalBytes(vector, m.format);
  const crashed = ret === 'crash';
  const port = (s: Section): Uint8Array | undefined => {
    const text = vector.expect.sections?.[s.name] ?? vector.expect.sections?.[`#${s.index}`];
    return text === undefined ? undefined : fromBase64(text);
  };
  const order = { format: m.format, insnLittle: rules.insnLittle(m) };
  return m.sections.flatMap((s) => {
    const target = m.sections[s.sh_info];
    if ((s.sh_type !== SHT_REL && s.sh_type !== SHT_RELA) || target === undefined) return [];
    const entries = new Entries(m.format, s.sh_type === SHT_RELA, s.bytes);
    const before = original[target.index] ?? new Uint8Array(0);
    const after = port(target);
    return Array.from({ length: entries.count }, (_, i): RelocationFacts => {
      const offset = entries.r_offset(i);
      const type = rules.info.type(entries.r_info(i), m.format);
      const sym = rules.info.sym(entries.r_info(i), m.format);
      const row = rowFor(rules, type, m.version, m.config);
      const at = Number(offset);
      const size = row?.field.size ?? 4;
      const explicit = entries.rela && row?.inPlace !== true;
      const A =
        explicit || row?.action !== 'apply'
          ? entries.r_addend(i)
          : entries.r_addend(i) + addendOf(row.field, readWord(before, at, row.field, order));
      const known = symtab.holds(sym);
      return {
        section: target.name,
        offset,
        type,
        name: row?.name ?? `type ${type}`,
        formula: row?.calc.formula ?? '-',
        S: known ? symtab.st_value(sym) : 0n,
        A,
        P: target.sh_addr + offset,
        symbol: known ? symtab.name(sym) : `#${sym}`,
        size,
        before: before.slice(at, at + size),
        reference: crashed ? undefined : target.bytes.slice(at, at + size),
        port: after?.slice(at, at + size),
        slices: row === undefined || crashed ? [] : sliceFacts(row, at, before, target.bytes, after, order),
      };
    });
  });
}

function sliceFacts(
  { field }: Howto,
  at: number,
  before: Uint8Array,
  reference: Uint8Array,
  port: Uint8Array | undefined,
  order: Parameters<typeof readWord>[3],
): SliceFacts[] {
  const part = (bytes: Uint8Array, [hi, lo, bit]: Slice): bigint =>
    BigInt.asUintN(hi - lo + 1, readWord(bytes, at, field, order) >> BigInt(bit));
  return (field.slices ?? []).map((slice) => ({
    slice,
    before: part(before, slice),
    reference: part(reference, slice),
    port: port && part(port, slice),
  }));
}

/** Contents of the sections in the file, by number. */
export function originalBytes(
  vector: Vector,
  format: { readonly is64: boolean; readonly little: boolean },
): readonly Uint8Array[] {
  const info = new LoadInfo(fromBase64(vector.elf), format);
  info.openSections();
  return info.sections.map((s) => s.bytes);
}
