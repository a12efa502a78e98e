/**
 * Cases of relocation for an architecture, made from its own rows: values at and beside the ends of every range, random
 * words, far and near symbols, weak and missing ones, several sections. What comes out is a recorded case without what
 * is expected, so that anything can be asked for its outcome: the reference, the kernel's own handlers, a port.
 */
import fc from 'fast-check';
import { configOf, type Arch } from '../arch/index.ts';
import {
  type KoReloc,
  type KoSection,
  type KoSymbol,
  ko,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
} from '../fixtures/build.ts';
import { machines } from '../fixtures/machines.ts';
import { wrapWord } from '../relocs/elf.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Version } from '../relocs/module-view.ts';
import { rowFor } from '../relocs/rules.ts';
import { toBase64, type Vector } from './vector.ts';

/** What a generated case is for. */
export interface CaseRange {
  readonly arch: Arch;
  readonly version: Version;
  readonly little: boolean;
  /** e_flags of the module; default, as fixtures have them. */
  readonly e_flags?: number;
  /** Only these relocation types; default, all rows and now and then an unknown one. */
  readonly types?: readonly number[];
  /** Where the module's text goes; the other sections follow. User space of the emulator must reach it. */
  readonly base: bigint;
  /** Most relocations in a case. */
  readonly most?: number;
  /** Told to the port (`variant` of a recorded case). */
  readonly variant?: number;
}

const SYMBOLS = 6;
const TEXT_WORDS = 24;
const PAGE = 0x4000n;

/** One relocation to be: which row, and the value its calculation should come to. */
interface Wish {
  readonly type: number;
  readonly slot: number;
  readonly target: '.text' | '.data' | '.init.text';
  readonly symbol: number;
  readonly addend: bigint;
  /** What the row is to compute, if it is S + A or S + A - P; else S itself. */
  readonly value: bigint;
  readonly keepsSymbol: boolean;
}

/** Values around the ends of a row's range and of its field, around 0 and pages, and anything at all. */
function valuesFor(row: Howto | undefined, is64: boolean): fc.Arbitrary<bigint> {
  const bits = is64 ? 64n : 32n;
  const ends = new Set<bigint>([0n, -1n, 0x7ffn, 0x800n, 0x801n, 0xfffn, 0x1000n, 1n << (bits - 1n)]);
  if (row !== undefined) {
    for (const check of row.checks) for (const end of check.range?.(row, is64) ?? []) ends.add(end);
    if (row.calc.plainWithin) for (const end of row.calc.plainWithin) ends.add(end);
    for (const n of [row.field.hi, row.field.hi + 1]) {
      ends.add(1n << BigInt(n));
      ends.add(-(1n << BigInt(n)));
    }
  }
  const near = fc
    .tuple(fc.constantFrom(...ends), fc.integer({ min: -9, max: 9 }))
    .map(([end, delta]) => end + BigInt(delta));
  const aligned = near.map((v) => v & ~3n);
  return fc.oneof(
    { weight: 5, arbitrary: aligned },
    { weight: 3, arbitrary: near },
    { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: (1n << bits) - 1n }) },
    { weight: 2, arbitrary: fc.integer({ min: -0x2000, max: 0x2000 }).map((n) => BigInt(n * 4)) },
  );
}

/** Generated cases; shrinks to few relocations, small values and zero words. */
export function cases(range: CaseRange): fc.Arbitrary<Vector> {
  const { arch, version, little } = range;
  const config = configOf(arch, version);
  const rows = [...arch.rules.rows.keys()]
    .map((n) => rowFor(arch.rules, n, version, config))
    .filter((row) => row !== undefined);
  const handled = range.types ?? rows.filter((row) => row.action !== 'refuse').map((row) => row.type);
  const refused = rows.filter((row) => row.action === 'refuse').map((row) => row.type);
  const others = fc.oneof(fc.nat(255), ...(refused.length > 0 ? [fc.constantFrom(...refused)] : []));
  const types = fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom(...handled) },
    { weight: range.types ? 0 : 1, arbitrary: others },
  );
  const format = { is64: arch.is64, little };
  const wish: fc.Arbitrary<Wish> = types.chain((type) =>
    fc.record({
      type: fc.constant(type),
      slot: fc.nat(TEXT_WORDS - 3),
      target: fc.constantFrom('.text', '.text', '.data', '.init.text'),
      symbol: fc.nat(SYMBOLS - 1),
      addend: fc.oneof(
        fc.constant(0n),
        fc.constant(0n),
        fc.constantFrom(-4n, 4n, 8n, -8n, 0x800n),
        fc.integer().map(BigInt),
      ),
      value: valuesFor(rowFor(arch.rules, type, version, config), arch.is64),
      keepsSymbol: fc.boolean(),
    }),
  );
  const words = fc.oneof(
    { weight: arch.rules.nonZeroPlace ? 8 : 1, arbitrary: fc.constant(new Uint8Array(TEXT_WORDS * 8)) },
    { weight: 2, arbitrary: fc.uint8Array({ minLength: TEXT_WORDS * 8, maxLength: TEXT_WORDS * 8 }) },
  );
  return fc
    .record({
      wishes: fc.array(wish, { minLength: 1, maxLength: range.most ?? 6 }),
      text: words,
      data: words,
      kinds: fc.array(fc.constantFrom('given', 'given', 'given', 'given', 'local', 'weak', 'section', 'missing'), {
        minLength: SYMBOLS,
        maxLength: SYMBOLS,
      }),
      functions: fc.array(fc.boolean(), { minLength: SYMBOLS, maxLength: SYMBOLS }),
    })
    .map((made) => build(range, format, made));
}

interface Made {
  readonly wishes: readonly Wish[];
  readonly text: Uint8Array;
  readonly data: Uint8Array;
  readonly kinds: readonly string[];
  readonly functions: readonly boolean[];
}

function build(range: CaseRange, format: { is64: boolean; little: boolean }, made: Made): Vector {
  const { arch, version, base } = range;
  const machine = machines.find(
    (x) =>
      arch.e_machine.includes(x.e_machine) &&
      (x.elfClass === 64) === arch.is64 &&
      (x.endian === 'little') === format.little,
  );
  const placeholders = machine?.placeholders ?? [];
  const rela = arch.forms.includes('RELA');
  const at: Record<string, bigint> = { '.text': base, '.init.text': base + PAGE, '.data': base + 4n * PAGE };
  placeholders.forEach((name, i) => (at[name] = base + 2n * PAGE + BigInt(i) * 0x400n));

  const wants = new Map<number, bigint>();
  const relocs: Record<string, KoReloc[]> = { '.text': [], '.init.text': [], '.data': [] };
  const taken = new Set<string>();
  for (const w of made.wishes) {
    const place = `${w.target}+${w.slot}`;
    const offset = w.slot * 8;
    if (taken.has(place) && !w.keepsSymbol) continue;
    taken.add(place);
    const A = rela ? w.addend : 0n;
    const row = arch.rules.rows.get(w.type)?.[0];
    const P = row?.calc.plain === 'abs' ? 0n : at[w.target]! + BigInt(offset);
    if (!wants.has(w.symbol)) wants.set(w.symbol, wrapWord(format, w.value - A + P));
    relocs[w.target]!.push({
      offset,
      type: w.type,
      symbol: `s${w.symbol + 1}`,
      ...(rela ? { addend: BigInt.asIntN(format.is64 ? 64 : 32, A) } : {}),
    });
  }

  const given: Record<string, string> = {};
  const symbols: KoSymbol[] = Array.from({ length: SYMBOLS }, (_, i) => {
    const name = `s${i + 1}`;
    const type = made.functions[i] ? 2 : 0;
    const used = wants.has(i);
    const kind = used ? made.kinds[i] : 'local';
    if (kind === 'local') return { name, type, section: '.text', value: (i * 12) & ~3 };
    if (kind === 'section') return { name, type, section: '.data', value: i * 8 };
    if (kind === 'weak') return { name, type, bind: 2 };
    // One symbol in six may be missing, so that most cases get as far as relocation.
    if (kind === 'missing' && i === SYMBOLS - 1) return { name, type };
    given[name] = `0x${(wants.get(i) ?? 0n).toString(16)}`;
    return { name, type };
  });

  const RX = SHF_ALLOC | SHF_EXECINSTR;
  const sections: KoSection[] = [
    { name: '.text', flags: RX, data: made.text, align: 16 },
    { name: '.init.text', flags: RX, data: made.text, align: 16 },
    { name: '.data', flags: SHF_ALLOC | SHF_WRITE, data: made.data, align: 16 },
    ...placeholders.map(
      (name): KoSection =>
        machine?.nobitsPlaceholders
          ? { name, type: SHT_NOBITS, flags: RX, size: 1 }
          : { name, flags: SHF_ALLOC | (name.includes('plt') ? SHF_EXECINSTR : 0), data: [0] },
    ),
  ];
  const elf = ko({
    machine: arch.e_machine[0]!,
    elfClass: arch.is64 ? 64 : 32,
    endian: format.little ? 'little' : 'big',
    ...(range.e_flags === undefined ? {} : { e_flags: range.e_flags }),
    rel: rela ? 'RELA' : 'REL',
    sections,
    symbols,
    relocs: Object.fromEntries(Object.entries(relocs).filter(([, list]) => list.length > 0)),
  });
  const hex = (v: bigint): string => `0x${v.toString(16)}`;
  return {
    id: 'generated',
    arch: arch.name,
    kernel: version,
    elf: toBase64(elf),
    place: Object.fromEntries(Object.entries(at).map(([name, v]) => [name, hex(v)])),
    symbols: given,
    mem: {
      text: { base: hex(base), size: Number(PAGE) },
      init_text: { base: hex(base + PAGE), size: Number(PAGE) },
      data: { base: hex(base + 4n * PAGE), size: Number(PAGE) },
    },
    ...(range.variant === undefined ? {} : { variant: range.variant }),
    types: [...new Set(made.wishes.map((w) => w.type))],
    expect: { ret: 0 },
  };
}
