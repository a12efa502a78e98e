/** The modules that laws are tried on: the same wherever they lie, under any configuration an architecture asks for. */
import { type Arch, configOf } from '../arch/index.ts';
import { machineOf } from '../fixtures/machines.ts';
import { applyOne } from '../relocs/apply.ts';
import type { Config, ModuleView, Version } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import { rowApplies } from '../relocs/rules.ts';
import { Site } from '../relocs/site.ts';
import { versionsOf } from './law.ts';
import { type Given, type GivenReloc, move, runsOf, unloaded } from './relocate.ts';

/** Sections that asm/module.h makes for some configurations only. */
const ALSO = ['.mygot'];

/** Where the pieces of a law's module lie, from its base. */
export const AT = { text: 0x1000n, data: 0x2000n, tables: 0x3000n, init: 0x8000n };
export const SLOT = 16;
export const SLOTS = 14;

/** A module that is the same wherever it lies. */
export interface Shape {
  readonly version: Version;
  readonly little: boolean;
  readonly config: Config;
  readonly symbols: Readonly<Record<string, bigint>>;
  readonly relocs: Readonly<Record<string, readonly GivenReloc[]>>;
  readonly text: Uint8Array;
}

export function moduleAt(arch: Arch, base: bigint, shape: Shape): Given {
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
export const baseOf = (arch: Arch, version: Version): bigint =>
  (arch.moduleArea(version, configOf(arch, version)).text[0] & ~0xffffn) + 0x2_0000n;

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
export function attempt<T>(run: () => T): T | Refusal {
  try {
    return run();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}
