/** Fixture modules against ld.lld, and the causes of their differences. */
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { archOf, arches, headerFacts } from '../../arch/index.ts';
import { Kernel, loadModule, LoadError, parseSymvers, parseSystemMap, withAddresses } from '../../loader/index.ts';
import { LoadInfo } from '../../loader/load-info.ts';
import type { Loading } from '../../loader/loading.ts';
import { type Comparison, type CompareOptions, compareWithLld } from '../../oracle/compare.ts';
import { findLld } from '../../oracle/lld.ts';
import { SHF_EXECINSTR, SHT_PROGBITS, SHT_RELA } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
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
  ko: Uint8Array = read(`ko/${name}/${module}.ko`),
): Promise<boolean> {
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

for (const name of ['x86_64', 'i386', 'arm64', 'riscv64', 'arm', 'mips64el', 's390x', 'loongarch64', 'powerpc64le']) {
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
  for (const name of ['x86_64', 'arm64', 'riscv64', 'arm', 's390x', 'powerpc64le']) {
    const { unexplained } = await compare(name, 'hello', '6.12', { displace: 16n });
    t.true(unexplained.length > 0, name);
  }
});

const THUNK = 'a branch beyond its reach takes a PLT entry of the kernel, a thunk of the linker';
const NO_THUNK = 'a branch beyond its reach takes a PLT entry of the kernel; this linker has no thunk and complains';
const WEAK = 'a call of an absent weak symbol goes to 0 by a PLT entry of the kernel, to the next instruction in lld';
const GOT = 'the GOT lies elsewhere: both slots hold S';
const PERCPU = 'kernels before 7.2 do not relocate .data..percpu';

const STUB = 'powerpc64: a call out of the module takes a stub of the kernel, which restores r2 behind it';
const ABSENT = 'powerpc64: a call of an absent weak symbol goes to 0 by a stub of the kernel, to itself in lld';
const ENTRY = 'powerpc64: where r2 is in reach, the kernel adds its distance instead of loading it (ENTRY)';
const UNCHECKED = 'powerpc64: the kernel does not check whether TOC16_HA reaches, the linker complains';

const met: readonly (readonly [name: string, module: string, version: Version, causes: readonly string[]])[] = [
  ['x86_64', 'far', '6.12', []],
  ['arm64', 'far', '6.12', [THUNK]],
  ['arm', 'far', '6.12', [THUNK]],
  ['loongarch64', 'far', '6.12', [NO_THUNK, GOT]],
  ['riscv64', 'far-relax', '6.1', [NO_THUNK, GOT]],
  ['s390x', 'far', '6.12', [NO_THUNK, GOT]],
  ['arm64', 'weak', '6.12', [WEAK]],
  ['powerpc64le', 'far', '6.12', [STUB]],
  ['powerpc64le', 'far', '7.2', [STUB]],
  ['powerpc64le', 'weak', '6.12', [ABSENT, STUB]],
  ['powerpc64le', 'percpu', '7.2', [STUB, UNCHECKED]],
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

/** Bytes from one that counts to the next. */
const STEP: Readonly<Record<string, number>> = { arm: 8, powerpc64le: 40 };

/** Module, table that the kernel built (undefined: the start of the text memory), and a byte in it that counts. */
const spoilt: readonly (readonly [name: string, module: string, table: string | undefined, at: number])[] = [
  ['arm64', 'far', '.plt', 5],
  ['arm', 'far', '.plt', 1],
  ['loongarch64', 'far', '.plt', 2],
  ['loongarch64', 'far', '.got', 0],
  ['riscv64', 'far-relax', '.got.plt', 0],
  ['riscv64', 'far-relax', '.got', 0],
  ['s390x', 'far', undefined, 7],
  // An instruction of each stub, then the address alone.
  ['powerpc64le', 'far', '.stubs', 0],
  ['powerpc64le', 'far', '.stubs', 32],
];
for (const [name, module, table, at] of spoilt) {
  linked(`${name}/${module}: no cause explains a wrong entry of ${table ?? 'the GOT'}, byte ${at}`, async (t) => {
    let found = -1;
    await relocated(name, module, name === 'riscv64' ? '6.1' : '6.12', async (load, ko) => {
      const m = load.module!;
      const bytes = table === undefined ? m.memory.text!.bytes : m.sections.find((s) => s.name === table)!.bytes;
      // Every entry, as not all of them are in use.
      for (let i = at; i < Math.min(bytes.length, 256); i += STEP[name] ?? (table === '.plt' ? 4 : 8))
        bytes[i]! ^= 0x10;
      found = (await compareWithLld(load, ko)).unexplained.length;
    });
    t.true(found > 0, `${found} unexplained`);
  });
}

/**
 * far.ko with far_calls() entered as functions of the large code model are: ld r2, …(r12); add r2, r2, r12. The
 * doubleword that this loads lies at 0x90.
 */
function withEntry(): Uint8Array {
  const ko = Uint8Array.from(read('ko/powerpc64le/far.ko'));
  const format = { is64: true, little: true };
  const { shdrs } = new LoadInfo(ko, format);
  const text = shdrs.findIndex(
    (s) => s.sh_type === SHT_PROGBITS && (s.sh_flags & BigInt(SHF_EXECINSTR)) !== 0n && s.sh_size >= 0xa0n,
  );
  const rela = shdrs.find((s) => s.sh_type === SHT_RELA && s.sh_info === text)!;
  const view = new DataView(ko.buffer);
  const code = Number(shdrs[text]!.sh_offset);
  view.setUint32(code, 0xe84c_0090, true);
  view.setUint32(code + 4, 0x7c42_6214, true);
  const entries = new Entries(format, true, ko.subarray(Number(rela.sh_offset), Number(rela.sh_offset + rela.sh_size)));
  const toc = entries.r_info(0) >> 32n;
  entries.setInfo(0, (toc << 32n) | 118n);
  entries.setInfo(1, (toc << 32n) | 44n);
  // r_offset and r_addend of the second
  view.setBigUint64(Number(rela.sh_offset) + 24, 0x90n, true);
  view.setBigInt64(Number(rela.sh_offset) + 40, 0x90n, true);
  return ko;
}

/** Compares a module in whose .text the word at `at` was changed after it was relocated. */
async function withWord(
  t: ExecutionContext,
  ko: Uint8Array,
  at: number,
  from: number,
  to: number,
): Promise<Comparison> {
  let found: Comparison | undefined;
  await relocated(
    'powerpc64le',
    'far',
    '6.12',
    async (load) => {
      const { bytes } = load.module!.sections.find((s) => s.name === '.text')!;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      t.is(view.getUint32(at, true), from);
      view.setUint32(at, to, true);
      found = await compareWithLld(load, ko);
    },
    ko,
  );
  if (found === undefined) throw new Error('far does not load');
  return found;
}

linked('powerpc64le: a prologue that the kernel has rewritten finds the same TOC, or has no cause', async (t) => {
  const ko = withEntry();
  // addi r2, r2, …: the low part is known from a module that was left alone.
  let addis = 0;
  let addi = 0;
  await relocated(
    'powerpc64le',
    'far',
    '6.12',
    async (load) => {
      const { bytes } = load.module!.sections.find((s) => s.name === '.text')!;
      [addis = 0, addi = 0] = new Uint32Array(bytes.slice(0, 8).buffer);
      const { explained, unexplained } = await compareWithLld(load, ko);
      t.deepEqual(unexplained, []);
      t.is(explained.get(ENTRY), 1);
    },
    ko,
  );
  t.is(addis >>> 16, 0x3c4c);
  t.is(addi >>> 16, 0x3842);
  for (const [at, from, to] of [
    [0, addis, addis ^ 1],
    [4, addi, addi ^ 4],
    [0, addis, 0xe84c_0090],
  ] as const) {
    const { explained, unexplained } = await withWord(t, ko, at, from, to);
    t.is(explained.get(ENTRY), undefined);
    t.is(unexplained.length, 1);
  }
});

linked('powerpc64le: no cause explains a call after which r2 is not restored', async (t) => {
  const ko = read('ko/powerpc64le/far.ko');
  const whole = await withWord(t, ko, 0x20, 0xe841_0018, 0xe841_0018);
  t.deepEqual(whole.unexplained, []);
  const calls = whole.explained.get(STUB) ?? 0;
  const forgotten = await withWord(t, ko, 0x20, 0xe841_0018, 0x6000_0000);
  t.is(forgotten.unexplained.length, 1);
  t.is(forgotten.explained.get(STUB), calls - 1);
});
