/** One relocation applied again and again: the law of the ends of its range. */
import * as fc from 'fast-check';
import { type Arch, configOf } from '../arch/index.ts';
import { applyOne } from '../relocs/apply.ts';
import { ones } from '../relocs/bits.ts';
import { signedWord, wrapWord } from '../relocs/elf.ts';
import { addendOf } from '../relocs/field.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Config, Version } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import { rowApplies } from '../relocs/rules.ts';
import { Site } from '../relocs/site.ts';
import { anyWord, broken, hex, type Law, lawOf, versionsOf, withField } from './law.ts';
import { attempt, baseOf, moduleAt, SLOT } from './law-module.ts';
import { type GivenReloc, move, runsOf, unloaded } from './relocate.ts';

/** A module with one relocation of a row, that can be applied to any word against any symbol. */
interface Bench {
  readonly row: Howto;
  readonly site: Site;
  readonly given: Uint8Array;
  readonly log: string[];
}

/** One that may be used again: nothing is taken of a table, nothing summed up. */
const isPlain = (row: Howto): boolean =>
  row.calc.plain !== undefined && row.calc.plainWithin === undefined && row.write === undefined;

function benchOf(arch: Arch, row: Howto, version: Version, little: boolean): Bench | undefined {
  const config: Config = row.needs === undefined ? {} : { [row.needs.config]: true };
  if (!rowApplies(row, version, { ...configOf(arch, version), ...config })) return undefined;
  const text = new Uint8Array(256);
  const insn = row.field.block ? 2 : 0;
  // Two of them: one alone in its section is too much for some kernels.
  const relocs = { '.text': [2, 4].map((slot): GivenReloc => [SLOT * slot + insn, row.type, 's']) };
  const given = moduleAt(arch, baseOf(arch, version), { version, little, config, symbols: { s: 0n }, relocs, text });
  const { module, log } = unloaded(given);
  move(module, given);
  const run = runsOf(module, arch)[0]!;
  arch.rules.beginSection?.(run);
  return { row, site: new Site(run), given: text, log };
}

/** Puts the site on its entry, with the word in place and `S`; the rest of the section as it was. */
function set({ row, site, given, log }: Bench, word: bigint, S: bigint): void {
  log.length = 0;
  site.run.target.bytes.set(given);
  site.run.symtab.setValue(1, S);
  site.moveTo(0);
  if (row.field.mask !== 0n) site.write(row.field.size, word, row.field.order, site.deltaOf(row.field));
  site.row = row;
}

/** What the row calculates; undefined when it cannot. */
function calculated(bench: Bench, word: bigint, S: bigint): bigint | undefined {
  const { row, site } = bench;
  set(bench, word, S);
  const value = attempt(() => {
    if (!site.run.entries.rela || row.inPlace) site.A += addendOf(row.field, site.readField(row.field));
    return site.long(row.calc.value(site));
  });
  return value instanceof Refusal ? undefined : value;
}

/** The symbol for which the row calculates `wanted`, if it moves with its symbol. */
function symbolFor(bench: Bench, word: bigint, wanted: bigint): bigint | undefined {
  const { format } = bench.site;
  const from = bench.site.run.target.sh_addr;
  const at = calculated(bench, word, from);
  if (at === undefined) return undefined;
  const S = wrapWord(format, from + wanted - at);
  // What the architecture looks at before the type: unresolved symbols.
  if (bench.site.run.rules.before !== undefined && (S === 0n || S >= wrapWord(format, -4095n))) return undefined;
  return calculated(bench, word, S) === wanted ? S : undefined;
}

/** Ends of the row's ranges, and one step beyond each; where nothing is checked, what the field cannot hold. */
function edges(row: Howto, is64: boolean): bigint[] {
  const step = 1n << BigInt(row.field.lo);
  const ends = row.checks.flatMap((check) => check.range?.(row, is64) ?? []);
  const top = 1n << BigInt(row.field.hi);
  const around = [...ends, ...ends.map((end) => end & ~(step - 1n)), 0n, top, -top, 2n * top, -2n * top];
  return [...new Set(around.flatMap((end) => [-step, -1n, 0n, 1n, step].map((by) => end + by)))];
}

function expectedToPass(bench: Bench, value: bigint): boolean {
  const { row, site } = bench;
  return row.checks.every((check) => {
    const range = check.range?.(row, site.format.is64);
    const inside = range === undefined || (value >= range[0] && value <= range[1]);
    return inside && (range !== undefined || check.passes(value, row, site));
  });
}

export const rangesHold: Law = lawOf(
  'the last value of a range passes, the next is refused or wraps, and only the field changes',
  withField,
  (arch, rows, forAll) => {
    const benches: (() => Bench)[] = [];
    for (const version of versionsOf(arch))
      for (const order of arch.orders)
        for (const row of rows) {
          const make = (): Bench | undefined => benchOf(arch, row, version, order === 'little');
          const bench = make();
          if (bench !== undefined) benches.push(isPlain(row) ? () => bench : () => make()!);
        }
    if (benches.length === 0) return;
    const cases = fc.constantFrom(...benches).chain((make) => {
      const bench = make();
      const { is64 } = bench.site.format;
      const value = fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...edges(bench.row, is64)) },
        {
          weight: 1,
          arbitrary: fc.bigInt({ min: is64 ? -(1n << 63n) : -(1n << 31n), max: is64 ? ones(63) : ones(31) }),
        },
      );
      const word = arch.rules.nonZeroPlace ? fc.constant(0n) : anyWord(bench.row.field.size);
      return fc.tuple(fc.constant(bench), word, value);
    });
    forAll(cases, ([bench, word, wanted]) => {
      const { row, site } = bench;
      const value = signedWord(site.format, wanted);
      if (value !== wanted) return;
      for (const check of row.checks) {
        const range = check.range?.(row, site.format.is64);
        const inside = range !== undefined && value >= range[0] && value <= range[1];
        if (range !== undefined && check.passes(value, row, site) !== inside)
          broken(arch, row, value, word, `its check and its range, ${hex(range[0])} … ${hex(range[1])}, disagree`);
      }
      const S = symbolFor(bench, word, value);
      if (S === undefined) return;
      set(bench, word, S);
      const passes = expectedToPass(bench, value);
      set(bench, word, S);
      const before = site.run.target.bytes.slice();
      const outcome = attempt(() => applyOne(site));
      const after = site.run.target.bytes;
      if (outcome instanceof Refusal) {
        if (outcome.crash !== undefined) broken(arch, row, value, word, `this kernel crashes: ${outcome.message}`);
        if (passes) broken(arch, row, value, word, `refused with ${outcome.errno}: ${bench.log.join('; ')}`);
        if (!arch.rules.writesFirst(site.module.version)) sameOutside(arch, bench, value, word, before, after, 0, 0);
        return;
      }
      if (!passes) broken(arch, row, value, word, 'accepted, though out of its range');
      const from = Number(site.r_offset) + site.deltaOf(row.field);
      if (row.write !== undefined)
        return sameOutside(arch, bench, value, word, before, after, from - SLOT, from + 2 * SLOT);
      sameOutside(arch, bench, value, word, before, after, from, from + row.field.size);
      const left = site.readField(row.field);
      if (left !== row.field.insert(word, value)) broken(arch, row, value, word, `it leaves ${hex(left)}`);
    });
  },
);

/** No byte outside of [from, to) has changed. */
// biome-ignore format: one thing
function sameOutside(arch: Arch, { row, site }: Bench, value: bigint, word: bigint, before: Uint8Array, after: Uint8Array, from: number, to: number): void {
  const at = before.findIndex((b, i) => (i < from || i >= to) && b !== after[i]);
  if (at >= 0) broken(arch, row, value, word, `byte ${at - Number(site.r_offset)} from its place has changed`);
}
