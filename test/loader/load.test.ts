/** load_module() as a whole: its steps, its result, and that no file whatever makes it do anything but load or refuse. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { readFileSync } from 'node:fs';
import { LoadError } from '../../loader/errors.ts';
import { type KernelExport, parseSymvers, parseSystemMap, withAddresses } from '../../loader/exports.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { LoadOptions } from '../../loader/loading.ts';
import type { Module } from '../../loader/module.ts';
import type { Version } from '../../relocs/module-view.ts';
import {
  archOf,
  exported,
  importing,
  kernelOf,
  loads,
  moduleFor,
  snapshot,
  UNSIGNED,
  vermagic,
  versions,
} from './bench.ts';

for (const version of versions) {
  test(`${version}: the steps, each after it has been done`, (t) => {
    const k = kernelOf(version);
    const steps = loadModule(k, moduleFor(version));
    const seen: string[] = [];
    let next = steps.next();
    for (; !next.done; next = steps.next()) {
      const { step, unwinding, load } = next.value;
      t.is(unwinding, undefined);
      seen.push(`${step} ${load.module?.state ?? '-'} ${k.modules.length}`);
    }
    t.deepEqual(seen, [
      'module_sig_check - 0',
      version === '6.1' ? 'elf_validity_check - 0' : 'elf_validity_cache_copy - 0',
      'early_mod_check - 0',
      'module_frob_arch_sections UNFORMED 0',
      'layout_and_allocate UNFORMED 0',
      'add_unformed_module UNFORMED 1',
      'percpu_modalloc UNFORMED 1',
      'find_module_sections UNFORMED 1',
      'setup_modinfo UNFORMED 1',
      'simplify_symbols UNFORMED 1',
      'apply_relocations UNFORMED 1',
      'post_relocation UNFORMED 1',
      'complete_formation COMING 1',
      'prepare_coming_module COMING 1',
      'parse_args COMING 1',
      'mod_sysfs_setup COMING 1',
      'free_copy COMING 1',
      'do_init_module LIVE 1',
    ]);
    t.is(next.value, k.modules[0]!);
  });

  test(`${version}: modules are listed newest first`, (t) => {
    const k = kernelOf(version);
    for (const name of ['a', 'b', 'c']) insmod(k, moduleFor(version, { thisModule: { name } }));
    t.deepEqual(
      k.modules.map(({ name }) => name),
      ['c', 'b', 'a'],
    );
  });

  test(`${version}: place puts sections where one wants them`, (t) => {
    const k = kernelOf(version, { exports: [exported('known')] });
    const file = moduleFor(version, {
      imports: ['known'],
      ...importing('known'),
      symbols: [{ name: 'here', section: '.data', value: 1 }],
    });
    const m = loads(t, k, file, UNSIGNED, { place: { '.text': 0x1_0000n, '#2': 0xffff_0000_0000_1000n } })!;
    t.is(m.sections[1]!.sh_addr, 0x1_0000n);
    t.is(m.sections[2]!.sh_addr, 0xffff_0000_0000_1000n);
  });
}

/** Final bytes of every section in memory, and of init memory as it was. */
const contents = (m: Module): unknown => ({
  sections: m.sections.map(({ name, sh_addr, bytes }) => [name, sh_addr, bytes.slice()]),
  memory: Object.entries({ ...m.memory, ...m.freed }).map(([region, { base, bytes }]) => [region, base, bytes.slice()]),
});

// ---- anything at all -----------------------------------------------------------------------------------------------

interface Subject {
  readonly name: string;
  readonly arch: string;
  readonly file: (version: Version) => Uint8Array;
  readonly options?: LoadOptions;
}

const bundled = (arch: string, name: string): Subject => {
  const read = (file: string): Uint8Array =>
    readFileSync(new URL(`../../fixtures/ko/${arch}/${file}.ko`, import.meta.url));
  return {
    name: `${arch}/${name}`,
    arch,
    file: (version) => (name === 'exporter' && version !== '7.2' ? read('exporter-6.12') : read(name)),
  };
};

/** What vmlinux exports according to fixtures/ko. */
const vmlinux = (arch: string): readonly KernelExport[] => {
  let rows = symvers.get(arch);
  if (rows === undefined) {
    const text = (file: string): string =>
      readFileSync(new URL(`../../fixtures/ko/${arch}/${file}`, import.meta.url), 'utf8');
    const all = parseSymvers(text('Module.symvers')).filter(({ owner }) => owner === 'vmlinux');
    rows = withAddresses(all, parseSystemMap(text('System.map')));
    symvers.set(arch, rows);
  }
  return rows;
};
const symvers = new Map<string, readonly KernelExport[]>();

const handMade: Subject = {
  name: 'hand made',
  arch: 'x86_64',
  options: { params: 'count=1 x', behaviour: { init: () => 0 } },
  file: (version) =>
    moduleFor('7.2', {
      exportStyle: version === '7.2' ? '7.x' : '6.x',
      imports: ['known', 'param_ops_int'],
      sections: [
        { name: '.text', flags: 6, align: 16, size: 32 },
        { name: '.init.text', flags: 6, align: 16, size: 16 },
        { name: '.exit.text', flags: 6, align: 16, size: 16 },
        { name: '.data', flags: 3, align: 8, size: 16 },
        { name: '.bss', flags: 3, align: 8, type: 8, size: 64 },
        { name: '.data..percpu', flags: 3, align: 8, size: 16 },
        { name: '.data..ro_after_init', flags: 3, size: 8 },
        { name: '.rodata.str', flags: 2, data: 'count\0' },
        { name: '__param', flags: 2, align: 8, size: 40 },
        { name: '__ex_table', flags: 2, align: 4, size: 36 },
        { name: '.klp.rela.ext4..text', flags: 0x10_0000, type: 4, info: 1, size: 24 },
      ],
      symbols: [
        { name: 'mine', section: '.text' },
        { name: 'weak', bind: 2 },
        { name: 'counter', section: '.data..percpu' },
        { name: 'init_module', section: '.init.text' },
        { name: 'cleanup_module', section: '.exit.text' },
      ],
      exports: [{ name: 'mine', crc: 1, ns: 'NS' }],
      ...(version === '7.2'
        ? {
            extendedVersions: [
              ['module_layout', 0x90392bcd],
              ['known', 0x1234],
              ['param_ops_int', 0x1234],
            ] as const,
          }
        : {}),
      thisModule: { name: 'minimal', init: 'init_module', exit: 'cleanup_module' },
      relocs: {
        '.text': [
          { offset: 4, type: 2, symbol: 'known', addend: -4 },
          { offset: 12, type: 4, symbol: '.init.text', addend: -4 },
        ],
        '.init.text': [{ offset: 4, type: 11, symbol: 'counter' }],
        '.data': [
          { offset: 0, type: 1, symbol: 'known' },
          { offset: 8, type: 1, symbol: 'weak' },
        ],
        '.data..percpu': [{ offset: 8, type: 1, symbol: 'known' }],
        __param: [
          { offset: 0, type: 1, symbol: '.rodata.str' },
          { offset: 16, type: 1, symbol: 'param_ops_int' },
          { offset: 32, type: 1, symbol: '.data' },
        ],
        __ex_table: [
          { offset: 0, type: 2, symbol: '.text', addend: 8 },
          { offset: 12, type: 2, symbol: '.text' },
          { offset: 24, type: 2, symbol: '.init.text' },
        ],
      },
    }).slice(),
};

const subjects: readonly Subject[] = [
  handMade,
  bundled('x86_64', 'exporter'),
  bundled('x86_64', 'extable'),
  bundled('i386', 'far'),
  bundled('arm64', 'far'),
  bundled('arm64', 'sections'),
  bundled('riscv64', 'far'),
  bundled('riscv32', 'percpu'),
];

/** The fictional kernel of the bundled modules, with another module in it. */
const kernelFor = ({ arch }: Subject, version: Version): Kernel => {
  const { e_machine, is64 } = archOf(arch);
  const k = kernelOf(version, {
    arch: archOf(arch),
    vermagic: vermagic('7.2', arch),
    config: { MODULE_SECTIONS: true },
    exports: [...vmlinux(arch), exported('known'), exported('param_ops_int', { value: 0xffff_ffff_8200_0000n })],
  });
  insmod(k, moduleFor('7.2', { machine: e_machine[0]!, elfClass: is64 ? 64 : 32, thisModule: { name: 'peer' } }));
  return k;
};

/** Loads; a refusal is a LoadError that leaves the kernel alone and takes no long time. */
function survives(
  t: Parameters<typeof loads>[0],
  subject: Subject,
  version: Version,
  file: Uint8Array,
): Module | undefined {
  const k = kernelFor(subject, version);
  const before = snapshot(k);
  const from = Date.now();
  try {
    return insmod(k, file, subject.options);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    t.deepEqual(snapshot(k), before);
    t.regex(error.check, /^C\d+$/);
    t.true(error.reason.length > 0);
    return undefined;
  } finally {
    t.true(Date.now() - from < 5000, 'it takes no long time');
  }
}

const NUMBERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  4n,
  8n,
  0x3fn,
  0x40n,
  0xffn,
  0x100n,
  0xfff1n,
  0xffffn,
  0x1000n,
  0xffff_ffffn,
  0x8000_0000n,
  0x7fff_ffffn,
  1n << 32n,
  1n << 40n,
  1n << 52n,
  1n << 53n,
  1n << 62n,
  1n << 63n,
  (1n << 64n) - 1n,
  (1n << 64n) - 0x1000n,
  0xffff_f001n,
];

/** Changes of a file: bits flipped, cut, bytes overwritten, words of headers and tables replaced by awkward numbers. */
type Change =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly keep: number }
  | { readonly kind: 'word'; readonly at: number; readonly size: 2 | 4 | 8; readonly value: bigint }
  | { readonly kind: 'header'; readonly section: number; readonly field: number; readonly value: bigint };

const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flip' as const), at: fraction, bit: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), keep: fraction }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('word' as const),
      at: fraction,
      size: fc.constantFrom(2 as const, 4 as const, 8 as const),
      value,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('header' as const), section: fraction, field: fc.nat(9), value }),
  },
);

/** Offset and size of the fields of Elf64_Shdr and Elf32_Shdr. */
const FIELDS = {
  64: [
    [0, 4],
    [4, 4],
    [8, 8],
    [16, 8],
    [24, 8],
    [32, 8],
    [40, 4],
    [44, 4],
    [48, 8],
    [56, 8],
  ],
  32: [
    [0, 4],
    [4, 4],
    [8, 4],
    [12, 4],
    [16, 4],
    [20, 4],
    [24, 4],
    [28, 4],
    [32, 4],
    [36, 4],
  ],
} as const;

function changed(original: Uint8Array, changes: readonly Change[]): Uint8Array {
  let file = original.slice();
  const is64 = original[4] === 2;
  const view = new DataView(original.buffer, original.byteOffset, original.byteLength);
  const e_shoff = is64 ? Number(view.getBigUint64(40, true)) : view.getUint32(32, true);
  const e_shnum = view.getUint16(is64 ? 60 : 48, true);
  const put = (at: number, size: number, v: bigint): void => {
    for (let i = 0; i < size && at + i < file.length; i++) file[at + i] = Number((v >> BigInt(8 * i)) & 0xffn);
  };
  for (const c of changes) {
    if (c.kind === 'flip') file[Math.floor(c.at * file.length)]! ^= 1 << c.bit;
    else if (c.kind === 'cut') file = file.slice(0, Math.floor(c.keep * file.length));
    else if (c.kind === 'word') put(Math.floor((c.at * file.length) / c.size) * c.size, c.size, c.value);
    else {
      const [at, size] = FIELDS[is64 ? 64 : 32][c.field]!;
      put(e_shoff + Math.floor(c.section * e_shnum) * (is64 ? 64 : 40) + at, size, c.value);
    }
  }
  return file;
}

for (const subject of subjects) {
  const files = new Map(versions.map((version) => [version, subject.file(version)]));

  test(`${subject.name}: loading twice gives the same bytes, and leaves the file alone`, (t) => {
    for (const version of versions) {
      const file = files.get(version)!;
      const copy = file.slice();
      const twice = [1, 2].map(() => {
        const m = survives(t, subject, version, file);
        return m === undefined ? undefined : contents(m);
      });
      t.deepEqual(twice[0], twice[1]);
      t.deepEqual(file, copy);
      t.not(twice[0], undefined, 'it loads');
    }
  });

  testProp(
    `${subject.name}: whatever is changed, it loads or is refused and nothing is left`,
    [fc.constantFrom(...versions), fc.array(change, { minLength: 1, maxLength: 4 })],
    (t, version, changes) => {
      survives(t, subject, version, changed(files.get(version)!, changes));
      t.pass();
    },
    { numRuns: 120 },
  );
}

testProp(
  'bytes that are no file at all',
  [fc.constantFrom(...versions), fc.uint8Array({ maxLength: 400 })],
  (t, version, bytes) => {
    t.is(survives(t, handMade, version, bytes), undefined);
    const headed = bytes.slice();
    headed.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].slice(0, headed.length));
    t.is(survives(t, handMade, version, headed), undefined);
  },
);
