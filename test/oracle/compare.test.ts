/** Fixture modules against ld.lld, and the causes of their differences. */
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { archOf, arches, headerFacts } from '../../arch/index.ts';
import { Kernel, loadModule, LoadError, parseSymvers, parseSystemMap, withAddresses } from '../../loader/index.ts';
import type { Loading } from '../../loader/loading.ts';
import { type Comparison, type CompareOptions, compareWithLld } from '../../oracle/compare.ts';
import { findLld } from '../../oracle/lld.ts';
import type { Config, Version } from '../../relocs/module-view.ts';

const lld = await findLld();
const linked = (title: string, body: (t: ExecutionContext) => Promise<void>): void => {
  if (lld === undefined) {
    console.log(`skipped, no ld.lld here (node scripts/debian/tools.ts lld): ${title}`);
    test.skip(title, body);
  } else test(title, body);
};

const fixtures = new URL('../../fixtures/', import.meta.url);
const read = (file: string): Buffer => readFileSync(new URL(file, fixtures));
const kernels = JSON.parse(read('kernels.json').toString()) as Record<string, { config: Config; order?: string }>;

/** Loads a fixture module up to its relocation and hands it over; false when this kernel refuses it before. */
async function relocated(
  name: string,
  module: string,
  version: Version,
  use: (load: Loading, ko: Uint8Array) => Promise<void>,
): Promise<boolean> {
  const ko = read(`ko/${name}/${module}.ko`);
  const facts = headerFacts(ko);
  const arch = facts && archOf(facts, arches);
  if (facts === undefined || arch === undefined) throw new Error(`${name} has no architecture`);
  const symvers = parseSymvers(read(`ko/${name}/Module.symvers`)).filter(({ owner }) => owner === 'vmlinux');
  const kernel = new Kernel({
    arch,
    version,
    order: facts.little ? 'little' : 'big',
    config: kernels[name]?.config ?? {},
    exports: withAddresses(symvers, parseSystemMap(read(`ko/${name}/System.map`))),
  });
  try {
    for (const { step, load, unwinding } of loadModule(kernel, ko)) {
      if (step !== 'apply_relocations' || unwinding) continue;
      await use(load, ko);
      return true;
    }
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
  }
  return false;
}

async function compare(name: string, module: string, version: Version, options?: CompareOptions): Promise<Comparison> {
  let found: Comparison | undefined;
  await relocated(name, module, version, async (load, ko) => {
    found = await compareWithLld(load, ko, options);
  });
  if (found === undefined) throw new Error(`${name}/${module} does not load on ${version}`);
  return found;
}

for (const name of ['x86_64', 'i386', 'arm64', 'riscv64', 'arm', 'mips64el', 's390x', 'loongarch64']) {
  linked(`${name}: every fixture module is what ld.lld makes of it, or differs for a cause`, async (t) => {
    let compared = 0;
    let relocations = 0;
    for (const file of readdirSync(new URL(`ko/${name}/`, fixtures)).filter((entry) => entry.endsWith('.ko'))) {
      await relocated(name, file.slice(0, -3), '6.12', async (load, ko) => {
        const found = await compareWithLld(load, ko);
        t.deepEqual(found.unexplained, [], file);
        compared++;
        relocations += found.relocations;
      });
    }
    t.true(compared >= 6, `${compared} modules`);
    t.true(relocations > 50, `${relocations} relocations`);
  });
}

linked('one symbol that is elsewhere is a difference without a cause', async (t) => {
  for (const name of ['x86_64', 'arm64', 'riscv64', 'arm', 's390x']) {
    const { unexplained } = await compare(name, 'hello', '6.12', { displace: 16n });
    t.true(unexplained.length > 0, name);
  }
});

const THUNK = 'a branch beyond its reach takes a PLT entry of the kernel, a thunk of the linker';
const NO_THUNK = 'a branch beyond its reach takes a PLT entry of the kernel; this linker has no thunk and complains';
const WEAK = 'a call of an absent weak symbol goes to 0 by a PLT entry of the kernel, to the next instruction in lld';
const GOT = 'the GOT lies elsewhere: both slots hold S';
const PERCPU = 'kernels before 7.2 do not relocate .data..percpu';

const met: readonly (readonly [name: string, module: string, version: Version, causes: readonly string[]])[] = [
  ['x86_64', 'far', '6.12', []],
  ['arm64', 'far', '6.12', [THUNK]],
  ['arm', 'far', '6.12', [THUNK]],
  ['loongarch64', 'far', '6.12', [NO_THUNK, GOT]],
  ['riscv64', 'far-relax', '6.1', [NO_THUNK, GOT]],
  ['s390x', 'far', '6.12', [NO_THUNK, GOT]],
  ['arm64', 'weak', '6.12', [WEAK]],
  ['x86_64', 'percpu', '6.12', [PERCPU]],
  ['x86_64', 'percpu', '7.2', []],
];
for (const [name, module, version, causes] of met) {
  linked(
    `${name}, ${version}: ${module} differs for ${causes.length === 0 ? 'nothing' : causes.join(' and ')}`,
    async (t) => {
      const { explained, unexplained } = await compare(name, module, version);
      t.deepEqual([...explained.keys()].toSorted(), causes.toSorted());
      t.deepEqual(unexplained, []);
    },
  );
}

/** Module, table that the kernel built (undefined: the start of the text memory), and a byte in it that counts. */
const spoilt: readonly (readonly [name: string, module: string, table: string | undefined, at: number])[] = [
  ['arm64', 'far', '.plt', 5],
  ['arm', 'far', '.plt', 1],
  ['loongarch64', 'far', '.plt', 2],
  ['loongarch64', 'far', '.got', 0],
  ['riscv64', 'far-relax', '.got.plt', 0],
  ['riscv64', 'far-relax', '.got', 0],
  ['s390x', 'far', undefined, 7],
];
for (const [name, module, table, at] of spoilt) {
  linked(`${name}/${module}: no cause explains a wrong entry of ${table ?? 'the GOT'}`, async (t) => {
    let found = -1;
    await relocated(name, module, name === 'riscv64' ? '6.1' : '6.12', async (load, ko) => {
      const m = load.module!;
      const bytes = table === undefined ? m.memory.text!.bytes : m.sections.find((s) => s.name === table)!.bytes;
      // Every entry, as not all of them are in use.
      for (let i = at; i < Math.min(bytes.length, 256); i += table === '.plt' && name !== 'arm' ? 4 : 8)
        bytes[i]! ^= 0x10;
      found = (await compareWithLld(load, ko)).unexplained.length;
    });
    t.true(found > 0, `${found} unexplained`);
  });
}
