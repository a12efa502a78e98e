/** The laws of whole modules: moved, counted, loaded again, and let go of. */
import * as fc from 'fast-check';
import { type Arch, configOf } from '../arch/index.ts';
import { applyOne } from '../relocs/apply.ts';
import { SHT_NOBITS, wrapWord } from '../relocs/elf.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Version } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import { Site } from '../relocs/site.ts';
import { applied, hex, type Law, lawOf, versionsOf, withField } from './law.ts';
import { AT, attempt, baseOf, moduleAt, type Shape, SLOT, SLOTS, switchesOf } from './law-module.ts';
import { type GivenReloc, move, type Outcome, relocate, runsOf, unloaded } from './relocate.ts';

const platforms = (arch: Arch): fc.Arbitrary<{ version: Version; little: boolean }> =>
  fc.record({
    version: fc.constantFrom(...versionsOf(arch)),
    little: fc.constantFrom(...arch.orders.map((order) => order === 'little')),
  });

/** These must be given one: outside of the module every function is. */
const BEGINS_WITH_DESCRIPTOR = /@pltoff|@fptr\(PLT/;
const SYMBOLS = ['near', 'text', 'init', 'far', 'farther', 'data'] as const;

/** Modules of one to eight relocations, against symbols in the module and far from it. */
function shapes(arch: Arch, rows: readonly Howto[], switches: readonly string[], inData = true): fc.Arbitrary<Shape> {
  const reloc = fc.record({
    row: fc.constantFrom(...rows),
    slot: fc.nat(SLOTS - 1),
    shift: fc.constantFrom(0, 0, 0, 4, 8),
    insn: fc.constantFrom(0, 1, 2),
    symbol: fc.constantFrom(...SYMBOLS),
    addend: fc.constantFrom(0n, 0n, 0n, ...(inData ? [4n, -4n] : []), 16n),
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
        const called = BEGINS_WITH_DESCRIPTOR.test(row.calc.formula) ? 'far' : symbol;
        (relocs[section] ??= []).push([offset, row.type, called, addend]);
      }
      const base = baseOf(arch, at.version);
      const { kernel = base - 0x0200_0000n } = arch.moduleArea(at.version, configOf(arch, at.version));
      const format = { is64: arch.is64, little: at.little };
      const symbols = {
        near: base + AT.text + 0x80n,
        text: base + AT.text,
        init: base + AT.init + 0x20n,
        data: base + AT.data + 0x40n,
        far: wrapWord(format, kernel + 0x1234_5670n),
        farther: wrapWord(format, kernel + 0x3456_7890n),
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

export const movesAlong: Law = lawOf(
  'moving a module and its symbols by pages changes only what is absolute',
  withField,
  (arch, rows, forAll) => {
    const moved = fc.tuple(shapes(arch, rows, []), fc.integer({ min: 1, max: 0xff }));
    forAll(moved, ([shape, pages]) => {
      const by = BigInt(pages) * 0x1_0000n;
      const format = { is64: arch.is64, little: shape.little };
      const symbols = Object.fromEntries(
        Object.entries(shape.symbols).map(([name, v]) => [name, wrapWord(format, v + by)]),
      );
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
);

export const countsEnough: Law = lawOf(
  'what is counted of PLT, GOT and stubs is enough for what is emitted',
  applied,
  (arch, rows, forAll) => {
    if (arch.frobSections === undefined) return;
    // Kernels count what code needs, and die of the same in data; functions begin at multiples of 16 (ia64 loses count
    // of others).
    forAll(shapes(arch, rows, switchesOf(arch), false), (shape) => {
      const o = relocate(moduleAt(arch, baseOf(arch, shape.version), shape));
      if (o.crash === 'BUG') throw new Error(`${describe(arch, shape)}: ${o.reason}`);
    });
  },
);

/** Everything a load has made: bytes by section, log, outcome. */
function image(o: Outcome): string {
  const bytes = o.module.sections.map((s) => `${s.name} ${s.sh_size} ${s.bytes.join()}`);
  return [o.errno ?? o.crash ?? 'loaded', ...o.log, ...bytes].join('\n');
}

export const loadsAgain: Law = lawOf(
  'loading twice, and after another was freed, gives the same bytes',
  applied,
  (arch, rows, forAll) => {
    const made = shapes(arch, rows, switchesOf(arch));
    forAll(fc.tuple(made, made), ([shape, between]) => {
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
);

export const letsGoOfImage: Law = lawOf(
  'nothing that is kept of a module points into the temporary image',
  applied,
  (arch, rows, forAll) => {
    forAll(shapes(arch, rows, switchesOf(arch)), (shape) => {
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
);
