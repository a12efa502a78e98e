/**
 * The laws that every architecture keeps: its table against itself, the engine against the table, and a module against
 * the same module elsewhere, later or under another configuration. For the suite of a port:
 *
 *     for (const law of laws) test(keepsLaw, myArch, law);
 *
 * A broken law names architecture, type, value and word, and the seed that finds it again.
 */
import fc from 'fast-check';
import { type Arch, configOf } from '../arch/index.ts';
import { machineOf } from '../fixtures/machines.ts';
import { applyOne } from '../relocs/apply.ts';
import { ones } from '../relocs/bits.ts';
import { SHT_NOBITS, signedWord, wrapWord } from '../relocs/elf.ts';
import { addendOf, type Field } from '../relocs/field.ts';
import type { Howto } from '../relocs/howto.ts';
import { type Config, compareVersions, type ModuleView, type Version, versions } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import { rowApplies } from '../relocs/rules.ts';
import { Site } from '../relocs/site.ts';
import { type Given, type GivenReloc, move, type Outcome, relocate, runsOf, unloaded } from './relocate.ts';

/** How many cases, and from which seed; as fast-check has them. */
export type LawOptions = Pick<fc.Parameters, 'numRuns' | 'seed' | 'path'>;

export interface Law {
  readonly name: string;
  /** Throws an Error that names the counterexample. */
  holds(arch: Arch, options?: LawOptions): void;
}

const hex = (v: bigint): string => (v < 0n ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`);
/** Fails with what a counterexample must name. */
function broken(arch: Arch, row: Howto, value: bigint, word: bigint, what: string): never {
  throw new Error(`${arch.name} ${row.name} (${row.type}), value ${hex(value)}, word ${hex(word)}: ${what}`);
}

function forAll<T>(name: string, options: LawOptions, arbitrary: fc.Arbitrary<T>, keeps: (made: T) => void): void {
  const details = fc.check(fc.property(arbitrary, keeps), { ...options, numRuns: options.numRuns ?? 100 });
  if (!details.failed) return;
  const why = details.errorInstance instanceof Error ? details.errorInstance.message : 'too many cases were set aside';
  const again = `seed ${details.seed}`;
  throw new Error(`${name}: ${why} (${again}, after ${details.numRuns} cases)`);
}

/** Kernels that have the architecture. */
export const versionsOf = (arch: Arch): Version[] =>
  versions.filter(
    (v) =>
      (arch.since === undefined || compareVersions(v, arch.since) >= 0) &&
      (arch.until === undefined || compareVersions(v, arch.until) <= 0),
  );

/** Sections that asm/module.h makes for some configurations only. */
const ALSO = ['.mygot'];

const applied = (arch: Arch): Howto[] => [...arch.rules.rows.values()].flat().filter((row) => row.action === 'apply');
const withField = (arch: Arch): Howto[] => applied(arch).filter((row) => row.field.mask !== 0n);
const anyWord = (bytes: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: ones(8 * bytes) });
/**
 * Also the ends of what the field holds. A field of its own making is given what it holds, but for the lowest value,
 * which has no magnitude.
 */
const anyValue = (field: Field): fc.Arbitrary<bigint> => {
  const top = 1n << BigInt(field.hi);
  const near = fc
    .tuple(fc.constantFrom(0n, top, -top, 2n * top), fc.integer({ min: -3, max: 3 }))
    .map(([v, delta]) => v + BigInt(delta));
  const all = fc.oneof(fc.bigInt({ min: -(1n << 63n), max: ones(63) }), near);
  if (field.slices !== undefined) return all;
  return all.map((v) => BigInt.asIntN(field.hi + 1, v)).filter((v) => v !== -top);
};
/** A row with a field, a word and a value for it. */
const rowWordValue = (rows: readonly Howto[]): fc.Arbitrary<readonly [Howto, bigint, bigint]> =>
  fc.constantFrom(...rows).chain((row) => fc.tuple(fc.constant(row), anyWord(row.field.size), anyValue(row.field)));

const uniqueTypes: Law = {
  name: 'type numbers and psABI names are unique',
  holds: (arch) => {
    const numbers = new Map<string, number>();
    for (const [type, rows] of arch.rules.rows) {
      for (const { name } of rows) {
        if (!/^R_[A-Z0-9]+_\w+$/.test(name)) throw new Error(`${arch.name}: ${name} (${type}) is no name of a psABI`);
        const other = numbers.get(name);
        if (other !== undefined && other !== type)
          throw new Error(`${arch.name}: ${name} is both ${other} and ${type}`);
        numbers.set(name, type);
      }
      for (const version of versionsOf(arch)) {
        const row = rows.filter((r) => r.needs === undefined && rowApplies(r, version, configOf(arch, version)));
        if (row.length > 1)
          throw new Error(`${arch.name} ${rows[0]!.name} (${type}): ${version} has ${row.length} rows`);
      }
    }
  },
};

const maskIsInsert: Law = {
  name: 'a mask is what insert writes, and no other bit changes',
  holds: (arch, options = {}) => {
    const rows = withField(arch);
    if (rows.length === 0) return;
    for (const row of rows) {
      const { mask, round, hi } = row.field;
      let written = 0n;
      for (const word of [0n, ones(8 * row.field.size)]) {
        if (word === row.field.keeps) continue;
        const zero = row.field.insert(word, -round);
        const top = row.field.slices === undefined ? hi - 1 : hi;
        for (let bit = 0; bit <= top; bit++) written |= zero ^ row.field.insert(word, (1n << BigInt(bit)) - round);
        written |= (zero ^ row.field.insert(word, -1n - round)) | (zero ^ word);
      }
      if (written !== mask) broken(arch, row, -1n, 0n, `the mask is ${hex(mask)}, insert writes ${hex(written)}`);
    }
    forAll(maskIsInsert.name, options, rowWordValue(rows), ([row, word, value]) => {
      const changed = (row.field.insert(word, value) ^ word) & ~row.field.mask;
      if (changed !== 0n) broken(arch, row, value, word, `bits ${hex(changed)} are not the field's`);
    });
  },
};

/** What a field keeps of a value: the bits of its slices, rounded, with the sign that extract() gives. */
function kept(field: Field, value: bigint): bigint {
  let bits = 0n;
  for (const [hi, lo] of field.slices ?? []) bits |= ones(hi - lo + 1) << BigInt(lo);
  const low = (value + field.round) & bits;
  return field.extract(field.mask) < 0n ? BigInt.asIntN(field.hi + 1, low) : low;
}

const extractInverts: Law = {
  name: 'extract gives what insert was given',
  holds: (arch, options = {}) => {
    const rows = withField(arch);
    if (rows.length === 0) return;
    forAll(extractInverts.name, options, rowWordValue(rows), ([row, word, value]) => {
      const { field } = row;
      if (word === field.keeps) return;
      const inserted = field.insert(word, value);
      const got = field.extract(inserted);
      if (field.slices !== undefined) {
        if (inserted !== field.keeps && got !== kept(field, value))
          broken(arch, row, value, word, `extract gives ${hex(got)}`);
        return;
      }
      // A part of a value, which others complete, is an addend and no more.
      if (field.addend !== undefined) return;
      // A field of its own making: what is read and put back reads the same.
      const again = field.extract(field.insert(inserted, got - field.round));
      if (again !== got) broken(arch, row, value, word, `extract gives ${hex(got)}, and for that ${hex(again)}`);
    });
  },
};

// Modules

/** Where the pieces of a law's module lie, from its base. */
const AT = { text: 0x1000n, data: 0x2000n, tables: 0x3000n, init: 0x8000n };
const SLOT = 16;
const SLOTS = 14;

/** A module that is the same wherever it lies. */
interface Shape {
  readonly version: Version;
  readonly little: boolean;
  readonly config: Config;
  readonly symbols: Readonly<Record<string, bigint>>;
  readonly relocs: Readonly<Record<string, readonly GivenReloc[]>>;
  readonly text: Uint8Array;
}

function moduleAt(arch: Arch, base: bigint, shape: Shape): Given {
  const { version, little, config, text } = shape;
  const { placeholders = [] } = machineOf(arch.e_machine[0]!, arch.is64 ? 64 : 32, little ? 'little' : 'big') ?? {};
  const tables = Object.fromEntries(
    [...placeholders, ...ALSO].map((name, i) => [name, { addr: base + AT.tables + BigInt(i) * 0x400n, data: 1 }]),
  );
  const core = { base, size: Number(AT.init) };
  const init = { base: base + AT.init, size: 0x1000 };
  return {
    arch,
    version,
    little,
    config,
    text: base,
    memory: version === '6.1' ? { core, init } : { text: core, init_text: init },
    sections: {
      '.text': { addr: base + AT.text, data: text },
      '.data': { addr: base + AT.data, data: text },
      '.init.text': { addr: base + AT.init, data: text },
      ...tables,
    },
    symbols: shape.symbols,
    relocs: shape.relocs,
  };
}

/** Behind what an architecture keeps at the very start of its area, on a boundary of 64 KiB. */
const baseOf = (arch: Arch, version: Version): bigint =>
  (arch.moduleArea(version, configOf(arch, version)).text[0] & ~0xffffn) + 0x2_0000n;

const platforms = (arch: Arch): fc.Arbitrary<{ version: Version; little: boolean }> =>
  fc.record({
    version: fc.constantFrom(...versionsOf(arch)),
    little: fc.constantFrom(...arch.orders.map((order) => order === 'little')),
  });

/** Switches that an architecture asks for while it loads one relocation of each type; numbers are left alone. */
export function switchesOf(arch: Arch): string[] {
  const asked = new Set<string>();
  for (const version of versionsOf(arch)) {
    for (const type of arch.rules.rows.keys()) {
      const shape = {
        version,
        little: arch.orders[0] === 'little',
        config: {},
        symbols: { s: 0n },
        text: new Uint8Array(256),
      };
      const given = moduleAt(arch, baseOf(arch, version), { ...shape, relocs: { '.text': [[SLOT, type, 's']] } });
      const { module } = unloaded(given);
      const config = new Proxy(module.config, {
        get: (held, name) => {
          const value = Reflect.get(held, name) as Config[string] | undefined;
          if (typeof name === 'string' && typeof value !== 'number' && !/SHIFT|OFFSET|POINTER|SIZE/.test(name))
            asked.add(name);
          return value;
        },
      });
      attempt(() => {
        const m: ModuleView = { ...module, config };
        for (const row of arch.rules.rows.get(type)!) rowApplies(row, version, config);
        move(m, given);
        for (const run of runsOf(m, arch)) {
          const site = new Site(run);
          site.moveTo(0);
          applyOne(site);
        }
      });
    }
  }
  return [...asked].toSorted();
}

/** Undefined when the kernel refuses. */
function attempt<T>(run: () => T): T | Refusal {
  try {
    return run();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

// One relocation, again and again

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
  const found = new Set<bigint>();
  for (const check of row.checks) {
    const range = check.range?.(row, is64);
    for (const end of range ?? [])
      for (const by of [-step, -1n, 0n, 1n, step]) found.add(end + by), found.add((end & ~(step - 1n)) + by);
  }
  const top = 1n << BigInt(row.field.hi);
  for (const end of [0n, top, -top, 2n * top, -2n * top]) found.add(end), found.add(end - step), found.add(end + 1n);
  return [...found];
}

function expectedToPass(bench: Bench, value: bigint): boolean {
  const { row, site } = bench;
  return row.checks.every((check) => {
    const range = check.range?.(row, site.format.is64);
    const inside = range === undefined || (value >= range[0] && value <= range[1]);
    return inside && (range !== undefined || check.passes(value, row, site));
  });
}

const rangesHold: Law = {
  name: 'the last value of a range passes, the next is refused or wraps, and only the field changes',
  holds: (arch, options = {}) => {
    const benches: (() => Bench)[] = [];
    for (const version of versionsOf(arch))
      for (const order of arch.orders)
        for (const row of withField(arch)) {
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
    forAll(rangesHold.name, options, cases, ([bench, word, wanted]) => {
      const { row, site } = bench;
      const value = signedWord(site.format, wanted);
      if (value !== wanted) return;
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
};

/** No byte outside of [from, to) has changed. */
// biome-ignore format: one thing
function sameOutside(arch: Arch, { row, site }: Bench, value: bigint, word: bigint, before: Uint8Array, after: Uint8Array, from: number, to: number): void {
  const at = before.findIndex((b, i) => (i < from || i >= to) && b !== after[i]);
  if (at >= 0) broken(arch, row, value, word, `byte ${at - Number(site.r_offset)} from its place has changed`);
}

// Whole modules

const SYMBOLS = ['near', 'text', 'init', 'far', 'farther', 'data'] as const;

/** Modules of one to eight relocations, against symbols in the module and far from it. */
function shapes(arch: Arch, rows: readonly Howto[], switches: readonly string[], inData = true): fc.Arbitrary<Shape> {
  const reloc = fc.record({
    row: fc.constantFrom(...rows),
    slot: fc.nat(SLOTS - 1),
    shift: fc.constantFrom(0, 0, 0, 4, 8),
    insn: fc.constantFrom(0, 1, 2),
    symbol: fc.constantFrom(...SYMBOLS),
    addend: fc.constantFrom(0n, 0n, 0n, 4n, -4n, 16n),
    section: fc.constantFrom('.text', '.text', '.init.text', ...(inData ? ['.data'] : [])),
  });
  return fc
    .record({
      at: platforms(arch),
      on: fc.subarray([...switches]),
      list: fc.array(reloc, { minLength: 1, maxLength: 8 }),
      text: arch.rules.nonZeroPlace
        ? fc.constant(new Uint8Array(256))
        : fc.uint8Array({ minLength: 256, maxLength: 256 }),
    })
    .map(({ at, on, list, text }) => {
      const relocs: Record<string, GivenReloc[]> = {};
      const taken = new Set<string>();
      for (const { row, slot, shift, insn, symbol, addend, section } of list) {
        const place = `${section}+${slot}`;
        if (taken.has(place)) continue;
        taken.add(place);
        const offset = SLOT * slot + (row.field.block ? insn : shift);
        (relocs[section] ??= []).push([offset, row.type, symbol, addend]);
      }
      const base = baseOf(arch, at.version);
      const { kernel = base - 0x0200_0000n } = arch.moduleArea(at.version, configOf(arch, at.version));
      const word = (v: bigint): bigint => (arch.is64 ? BigInt.asUintN(64, v) : BigInt.asUintN(32, v));
      const symbols = {
        near: base + AT.text + 0x80n,
        text: base + AT.text,
        init: base + AT.init + 0x20n,
        data: base + AT.data + 0x40n,
        far: word(kernel + 0x1234_5670n),
        farther: word(kernel + 0x3456_7890n),
      };
      return {
        ...at,
        config: Object.fromEntries(switches.map((name) => [name, on.includes(name)])),
        symbols,
        relocs,
        text,
      };
    });
}

const describe = (arch: Arch, shape: Shape): string => {
  const nameOf = (type: string | number): string => arch.rules.rows.get(Number(type))?.[0]?.name ?? String(type);
  const relocs = Object.entries(shape.relocs).flatMap(([section, list]) =>
    list.map(([at, type, symbol, addend = 0n]) => {
      const word = Array.from(shape.text.slice(Number(at), Number(at) + 4), (b) =>
        b.toString(16).padStart(2, '0'),
      ).join(' ');
      const value = shape.symbols[symbol]! + addend;
      return `${section}+${hex(BigInt(at))} ${nameOf(type)} (${type}) ${symbol}, value ${hex(value)}, word ${word}`;
    }),
  );
  const on = Object.entries(shape.config)
    .filter(([, value]) => value === true)
    .map(([name]) => name);
  return `${arch.name} ${shape.version} ${shape.little ? 'little' : 'big'}-endian [${on.join(' ')}] ${relocs.join('; ')}`;
};

/** The formula takes the place, or something of the module's own, away again. */
const isRelative = (row: Howto): boolean =>
  row.write === undefined && /- (P|GP|TOC|GOT|BD|Page\(P\)|bundle\(P\))|@(gp|lt|sec)/.test(row.calc.formula);

const movesAlong: Law = {
  name: 'moving a module and its symbols by pages changes only what is absolute',
  holds: (arch, options = {}) => {
    const rows = withField(arch);
    if (rows.length === 0) return;
    const moved = fc.tuple(shapes(arch, rows, []), fc.integer({ min: 1, max: 0xff }));
    forAll(movesAlong.name, options, moved, ([shape, pages]) => {
      const by = BigInt(pages) * 0x1_0000n;
      const word = (v: bigint): bigint => (arch.is64 ? BigInt.asUintN(64, v) : BigInt.asUintN(32, v));
      const symbols = Object.fromEntries(Object.entries(shape.symbols).map(([name, v]) => [name, word(v + by)]));
      const base = baseOf(arch, shape.version);
      const here = relocate(moduleAt(arch, base, shape));
      const there = relocate(moduleAt(arch, base + by, { ...shape, symbols }));
      const at = (type: string | number): Howto => arch.rules.rows.get(Number(type))![0]!;
      const relocs = Object.entries(shape.relocs).flatMap(([section, list]) =>
        list.map((r) => ({ section, r, row: at(r[1]) })),
      );
      const fail = (what: string): never => {
        throw new Error(`${describe(arch, shape)}; moved by ${hex(by)}: ${what}`);
      };
      const outcome = (o: Outcome): string => o.crash ?? o.errno ?? 'loaded';
      if (outcome(here) !== outcome(there)) {
        if (relocs.every(({ row }) => isRelative(row))) fail(`${outcome(here)}, then ${outcome(there)}`);
        return;
      }
      if (here.errno !== undefined || here.crash !== undefined) return;
      for (const s of here.module.sections) {
        if (s.sh_type === SHT_NOBITS || !(s.name in moduleAt(arch, base, shape).sections)) continue;
        const other = there.section(s.name).bytes;
        for (const [i, b] of s.bytes.entries()) {
          if (b === other[i]) continue;
          const owner = relocs.find(({ section, r: [offset], row }) => {
            const from = Number(offset);
            return section === s.name && !isRelative(row) && i >= from - SLOT && i < from + SLOT;
          });
          if (owner === undefined)
            fail(`${s.name}+${hex(BigInt(i))} was ${b.toString(16)} and is ${other[i]!.toString(16)}`);
        }
      }
    });
  },
};

const countsEnough: Law = {
  name: 'what is counted of PLT, GOT and stubs is enough for what is emitted',
  holds: (arch, options = {}) => {
    const rows = applied(arch);
    if (arch.frobSections === undefined || rows.length === 0) return;
    // Kernels count what code needs, and die of the same in data.
    forAll(countsEnough.name, options, shapes(arch, rows, switchesOf(arch), false), (shape) => {
      const o = relocate(moduleAt(arch, baseOf(arch, shape.version), shape));
      if (o.crash === 'BUG') throw new Error(`${describe(arch, shape)}: ${o.reason}`);
    });
  },
};

/** Everything a load has made: bytes by section, log, outcome. */
function image(o: Outcome): string {
  const bytes = o.module.sections.map((s) => `${s.name} ${s.sh_size} ${s.bytes.join()}`);
  return [o.errno ?? o.crash ?? 'loaded', ...o.log, ...bytes].join('\n');
}

const loadsAgain: Law = {
  name: 'loading twice, and after another was freed, gives the same bytes',
  holds: (arch, options = {}) => {
    const rows = applied(arch);
    if (rows.length === 0) return;
    const made = shapes(arch, rows, switchesOf(arch));
    forAll(loadsAgain.name, options, fc.tuple(made, made), ([shape, between]) => {
      const load = (x: Shape): Outcome => relocate(moduleAt(arch, baseOf(arch, x.version), x));
      const first = load(shape);
      const bytes = image(first);
      load(between);
      if (image(first) !== bytes) throw new Error(`${describe(arch, shape)}: changed by another load`);
      for (const s of first.module.sections) s.bytes.fill(0xa5);
      const second = image(load(shape));
      if (second !== bytes)
        throw new Error(`${describe(arch, shape)}: loaded again it is another\n${bytes}\n${second}`);
    });
  },
};

const letsGoOfImage: Law = {
  name: 'nothing that is kept of a module points into the temporary image',
  holds: (arch, options = {}) => {
    const rows = applied(arch);
    if (rows.length === 0) return;
    forAll(letsGoOfImage.name, options, shapes(arch, rows, switchesOf(arch)), (shape) => {
      const given = moduleAt(arch, baseOf(arch, shape.version), shape);
      const { module } = unloaded(given);
      const names = Object.keys(given.sections);
      const temporary = module.sections.map((s) => s.bytes);
      const loaded = attempt(() => {
        move(module, { ...given });
        // move_module(): from here on the sections are copies.
        for (const s of module.sections) if (names.includes(s.name)) s.bytes = s.bytes.slice();
        for (const run of runsOf(module, arch)) {
          arch.rules.beginSection?.(run);
          const site = new Site(run);
          for (let i = 0; i < run.entries.count; i++) {
            site.moveTo(i);
            applyOne(site);
          }
          arch.rules.endSection?.(run);
        }
        arch.finalize?.(module);
      });
      if (loaded instanceof Refusal) return;
      const kept = (): string =>
        names
          .map(
            (name) =>
              `${module.sections.find((s) => s.name === name)!.bytes.join()} ${arch.stubBytes?.(module, name)?.join() ?? ''}`,
          )
          .join('\n');
      const before = kept();
      for (const bytes of temporary) bytes.fill(0xa5);
      arch.cleanup?.(module);
      if (kept() !== before) throw new Error(`${describe(arch, shape)}: it changes with the temporary image`);
    });
  },
};

export const laws: readonly Law[] = [
  uniqueTypes,
  maskIsInsert,
  extractInverts,
  rangesHold,
  movesAlong,
  countsEnough,
  loadsAgain,
  letsGoOfImage,
];

/** A macro for AVA: `test(keepsLaw, arch, law, { numRuns: 1000 })`. */
export const keepsLaw: {
  exec(t: { notThrows(run: () => void): unknown }, arch: Arch, law: Law, options?: LawOptions): void;
  title(given: string | undefined, arch: Arch, law: Law): string;
} = {
  exec: (t, arch, law, options) => void t.notThrows(() => law.holds(arch, options)),
  title: (given, arch, law) => given ?? `${arch.name}: ${law.name}`,
};
