import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import type { Arch } from '../../../arch/arch.ts';
import { arm64 } from '../../../arch/arm64.ts';
import { loongarch64 } from '../../../arch/loongarch.ts';
import { riscv64 } from '../../../arch/riscv.ts';
import { s390x } from '../../../arch/s390.ts';
import { x86_64 } from '../../../arch/x86.ts';
import { Arena } from '../../../cli/check/arena.ts';
import { Judge } from '../../../cli/check/judge.ts';
import { Link } from '../../../cli/check/link.ts';
import { WELL_KNOWN } from '../../../cli/check/names.ts';
import { proofTable } from '../../../cli/check/proof.ts';
import { DOUBT, EXPORTS, IMPORTS, NAME, PLT, RELOCATIONS, STRUCT_SIZE, VERMAGIC } from '../../../cli/check/records.ts';
import { DOUBTS, Scanner } from '../../../cli/check/scan.ts';
import { readSymvers } from '../../../cli/check/symvers.ts';
import { minimalModule, ko, SHF_ALLOC, SHF_EXECINSTR } from '../../../fixtures/build.ts';
import { elfSection } from '../../../loader/elf-image.ts';
import { getModinfo } from '../../../loader/modinfo.ts';
import { insmod } from '../../../loader/load.ts';
import { Kernel } from '../../../loader/kernel.ts';
import { type KernelExport, parseSymvers } from '../../../loader/exports.ts';
import type { Version } from '../../../relocs/module-view.ts';
import { fixture } from '../captured.ts';
import { ElfEdit } from './elf-edit.ts';
import { HEALTHY, KERNEL, moduleFile, PLANTED, symvers } from './planted.ts';

const VERMAGIC_72 = '7.2.0-komulator SMP preempt mod_unload modversions ';
const SIZE = 1280;

/** Where, as a share of the file, and what to write there. */
const mutations = fc.array(
  fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.oneof(fc.constantFrom(0, 1, 2, 4, 8, 0x7f, 0x80, 0xff), fc.nat(255)),
  ),
  { minLength: 1, maxLength: 4 },
);

/** Half of the mutations hit headers and tables, where they matter. */
function mutated(
  source: Uint8Array,
  bytes: readonly (readonly [where: number, value: number])[],
  table: boolean,
  little: boolean,
): Uint8Array {
  const file = new Uint8Array(source);
  const from = table ? Number(new DataView(file.buffer).getBigUint64(40, little)) : 0;
  for (const [where, value] of bytes) file[from + Math.floor(where * (file.length - from))] = value;
  return file;
}

const headOf = (file: Uint8Array): { vermagic: string; size: number } => ({
  vermagic: getModinfo(elfSection(file, '.modinfo')!, 'vermagic')!,
  size: elfSection(file, '.gnu.linkonce.this_module')!.length,
});

/** Values at which something begins or ends, beside those that stand there already. */
const EDGES = [
  0n,
  1n,
  2n,
  3n,
  4n,
  8n,
  24n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 24n,
  1n << 27n,
  -1n,
  -4n,
  0xff00n,
  0xfff1n,
];

/** A field of a header, a symbol or a relocation, and what becomes of it: an edge, a little more or less, or another's. */
const edits = fc.array(
  fc.record({
    field: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    other: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    value: fc.oneof(
      fc.constantFrom(...EDGES),
      fc.constantFrom(...[-8n, -4n, -1n, 1n, 4n, 8n].map((by) => ({ by }))),
      fc.constant('other'),
    ),
  }),
  { minLength: 1, maxLength: 2 },
);
type Edits = typeof edits extends fc.Arbitrary<infer T> ? T : never;

function edited(source: Uint8Array, list: Edits): Uint8Array {
  const elf = new ElfEdit(source);
  const fields = elf.fields();
  for (const { field, other, value } of list) {
    const to = fields[Math.floor(field * fields.length)]!;
    const same = fields.filter(({ bytes }) => bytes === to.bytes);
    const from = same[Math.floor(other * same.length)]!;
    elf.set(to, value === 'other' ? elf.get(from) : typeof value === 'bigint' ? value : elf.get(to) + value.by);
  }
  return elf.file;
}

/** The quick look and insmod side by side, for modules of one kernel. */
class Both {
  private readonly scanner: Scanner;
  private readonly link: Link;
  private readonly judge: Judge;
  private readonly vermagic: number;
  private readonly size: number;

  constructor(
    text: string,
    others: readonly string[] = [],
    arch: Arch = x86_64,
    like?: Uint8Array,
    version: Version = '7.2',
  ) {
    const { vermagic, size } = like === undefined ? { vermagic: VERMAGIC_72, size: SIZE } : headOf(like);
    this.size = size;
    const order = arch.orders[0]!;
    const paths = ['it.ko', ...others];
    const arena = Arena.create(paths.length, 1 << 13, 1 << 19);
    arena.setFrame({
      is64: true,
      little: order === 'little',
      e_machine: arch.e_machine[0]!,
      version,
      modversions: true,
      signed: false,
      proof: arena.keep(proofTable(arch, version)!).at,
    });
    this.scanner = new Scanner(arena);
    this.link = new Link(paths, arena, {
      modversions: true,
      strictVersions: false,
      allowMissingNamespaces: false,
      inModuleNamespace: undefined,
    });
    readSymvers(new TextEncoder().encode(text), arena);
    this.vermagic = arena.names.of(vermagic);
    const rows = parseSymvers(text);
    this.judge = new Judge(
      {
        arch: arch.name,
        order,
        version,
        vendor: 'mainline',
        config: { MODVERSIONS: true },
        vermagic,
        structModuleSize: size,
      },
      rows.filter(({ owner }) => owner === 'vmlinux'),
    );
    this.judge.assume(
      others.map((path) => ({
        name: path.slice(0, -3),
        proprietary: false,
        exports: rows.filter(({ owner }) => owner.endsWith(`/${path.slice(0, -3)}`)),
      })),
    );
  }

  /** Whether the check would take a module without asking insmod. */
  proven(file: Uint8Array): boolean {
    const { link } = this;
    this.scanner.scan(0, new Uint8Array(file), true);
    const duplicates = link.provide(new Set());
    return (
      link.field(0, VERMAGIC) === this.vermagic &&
      link.field(0, STRUCT_SIZE) === this.size &&
      !duplicates.has(0) &&
      link.linked(0)
    );
  }

  /** What insmod says: undefined when it takes it. */
  refused(file: Uint8Array, name = 'it'): string | undefined {
    const verdict = this.judge.judge(name, new Uint8Array(file));
    return 'errno' in verdict ? `${verdict.errno} ${verdict.check} ${verdict.reason}` : undefined;
  }

  /** How insmod disagrees with a proof. */
  disagreement(file: Uint8Array, name = 'it'): string | undefined {
    const verdict = this.judge.judge(name, new Uint8Array(file));
    if ('errno' in verdict) return `${verdict.errno} ${verdict.check} ${verdict.reason}`;
    const { link } = this;
    const [relocations, slots] = [link.field(0, RELOCATIONS), link.field(0, PLT)];
    if (relocations !== verdict.relocations || slots !== verdict.slots)
      return `${verdict.relocations} relocations and ${verdict.slots} table entries, not ${relocations} and ${slots}`;
    const told = (e: Omit<KernelExport, 'owner' | 'value'>): string =>
      `${e.name} ${e.crc ?? 'none'} ${e.gplonly} ${e.namespace}`;
    const [theirs] = link.exporters(new Set([1]));
    const [ours, its] = [(theirs?.exports ?? []).map(told), verdict.exports.map(told)];
    if (ours.join() !== its.join()) return `exports ${its.join()}, not ${ours.join()}`;
    const imports = new Set(link.importNames(0));
    const strange = [...verdict.resolved].find((symbol) => !imports.has(symbol));
    return strange === undefined ? undefined : `it resolves ${strange}, which is no import`;
  }
}

const modulesOf = (name: string): { folder: string; files: string[] } => {
  const folder = fixture(`ko/${name}`);
  return { folder, files: readdirSync(folder).filter((file) => file.endsWith('.ko')) };
};
const bundledFor = (arch: Arch, version: Version = '7.2', others: readonly string[] = ['exporter.ko']): Both =>
  new Both(
    readFileSync(join(modulesOf(arch.name).folder, 'Module.symvers'), 'utf8'),
    others,
    arch,
    readFileSync(join(modulesOf(arch.name).folder, 'hello.ko')),
    version,
  );
const { folder } = modulesOf('x86_64');
const bundled = bundledFor(x86_64);
const planted = new Both(symvers(), ['good.ko']);

/** What a module may take at an end of the area. */
const ROOM = 0x10_0000n;
/** Architectures with a proof, and how many of the bundled modules it holds for at least. */
const PROVEN: readonly (readonly [arch: Arch, atLeast: number])[] = [
  [x86_64, 7],
  [arm64, 7],
  [riscv64, 5],
  [s390x, 7],
  [loongarch64, 6],
];

for (const [arch, atLeast] of PROVEN) {
  test(`${arch.name}: bundled modules that are proven are taken by insmod`, (t) => {
    const both = bundledFor(arch);
    const proven: string[] = [];
    const { folder: of, files } = modulesOf(arch.name);
    for (const name of files) {
      const file = readFileSync(join(of, name));
      if (!both.proven(file)) continue;
      proven.push(name);
      t.is(both.disagreement(file, name.slice(0, -3)), undefined, name);
    }
    t.true(
      proven.length >= atLeast,
      `${proven.length} of ${files.length} bundled modules are proven: ${proven.join(' ')}`,
    );
    t.true(proven.includes('hello.ko') && proven.includes('sections.ko'), proven.join(' '));
    t.false(proven.includes('missing.ko') || proven.includes('bad-crc.ko'));
  });

  test(`${arch.name}: bundled modules that are proven are taken at both ends of the module area`, (t) => {
    const both = bundledFor(arch);
    const { folder: of, files } = modulesOf(arch.name);
    const rows = parseSymvers(readFileSync(join(of, 'Module.symvers'), 'utf8'));
    const area = arch.moduleArea('7.2', {});
    for (const name of files) {
      const file = readFileSync(join(of, name));
      if (!both.proven(file)) continue;
      for (const [start, end] of [area.text, area.fallback ?? area.text])
        for (const text of [
          [start, start + ROOM],
          [end - ROOM, end],
        ] as const) {
          const at: Arch = { ...arch, moduleArea: () => ({ ...area, text }) };
          // What a module exports itself nobody else does.
          const exports = rows.filter(({ owner }) => name !== 'exporter.ko' || owner === 'vmlinux');
          const kernel = new Kernel({ arch: at, order: arch.orders[0]!, version: '7.2', exports });
          t.is(insmod(kernel, new Uint8Array(file)).state, 'LIVE', `${name} at 0x${text[0].toString(16)}`);
        }
    }
  });

  test(`${arch.name}: what is proven of mutated modules is taken by insmod`, (t) => {
    const both = bundledFor(arch);
    const { folder: of } = modulesOf(arch.name);
    const files = ['hello', 'far', 'user', 'sections', 'params', 'extable'].map((name) =>
      readFileSync(join(of, `${name}.ko`)),
    );
    let proven = 0;
    fc.assert(
      fc.property(fc.nat(files.length - 1), mutations, fc.boolean(), (which, bytes, table) => {
        const file = mutated(files[which]!, bytes, table, arch.orders[0] === 'little');
        if (!both.proven(file)) return;
        proven++;
        const other = both.disagreement(file);
        if (other !== undefined) throw new Error(`proven, but insmod says ${other}`);
      }),
      { numRuns: 500 },
    );
    t.true(proven > 20, `${proven} of 500 were proven`);
  });
}

/** Modules that export something are judged where nobody does so already. */
const EXPORTERS: Readonly<Record<Version, string>> = {
  '6.1': 'exporter-6.12',
  '6.12': 'exporter-6.12',
  '7.2': 'exporter',
};

for (const [arch] of PROVEN)
  for (const version of ['6.1', '6.12', '7.2'] as const)
    test(`${arch.name}, ${version}: what is proven of modules with an odd field is taken by insmod, with the same exports`, (t) => {
      const { folder: of } = modulesOf(arch.name);
      const cases = ['hello', 'far', 'user', 'sections', 'params', 'extable', EXPORTERS[version]].map((name) => ({
        both: bundledFor(arch, version, name.startsWith('exporter') ? [] : ['exporter.ko']),
        file: readFileSync(join(of, `${name}.ko`)),
      }));
      let proven = 0;
      fc.assert(
        fc.property(fc.nat(cases.length - 1), edits, (which, list) => {
          const { both, file } = cases[which]!;
          const odd = edited(file, list);
          if (!both.proven(odd)) return;
          proven++;
          const other = both.disagreement(odd);
          if (other !== undefined) throw new Error(`proven, but insmod says ${other}`);
        }),
        { numRuns: 300 },
      );
      t.true(proven > 20, `${proven} of 300 were proven`);
    });

const SHT_NOBITS = 8n;

test('what only looks like a module that loads', (t) => {
  const of = (name: string): ElfEdit => new ElfEdit(readFileSync(join(folder, `${name}.ko`)));
  const exporting = bundledFor(x86_64, '7.2', []);
  t.true(exporting.proven(of('exporter').file));
  const cases: [why: string, both: Both, edit: (elf: ElfEdit) => ElfEdit, name: string][] = [
    [
      'a relocation of the symbol table',
      bundled,
      (e) => e.set(e.field(e.section('.rela.init.text'), 'sh_info'), BigInt(e.section('.symtab'))),
      'hello',
    ],
    [
      'a relocation of its strings',
      bundled,
      (e) => e.set(e.field(e.section('.rela.init.text'), 'sh_info'), BigInt(e.section('.strtab'))),
      'hello',
    ],
    [
      'strings with an alignment that nobody has',
      bundled,
      (e) => e.set(e.field(e.section('.strtab'), 'sh_addralign'), 1n << 27n),
      'hello',
    ],
    [
      'a symbol table with such an alignment',
      bundled,
      (e) => e.set(e.field(e.section('.symtab'), 'sh_addralign'), 1n << 27n),
      'hello',
    ],
    [
      'flags of exports that are not in the file',
      exporting,
      (e) => e.set(e.field(e.section('__kflagstab'), 'sh_type'), SHT_NOBITS),
      'exporter',
    ],
    [
      'relocated flags of exports',
      exporting,
      (e) => e.set(e.field(e.section('.rela.text'), 'sh_info'), BigInt(e.section('__kflagstab'))),
      'exporter',
    ],
    [
      'relocated names of exports',
      exporting,
      (e) => e.set(e.field(e.section('.rela.text'), 'sh_info'), BigInt(e.section('__ksymtab_strings'))),
      'exporter',
    ],
  ];
  for (const [why, both, edit, name] of cases) t.false(both.proven(edit(of(name)).file), why);
  // The first one counts, also where it is empty.
  for (const [vermagic, refused] of [
    [[VERMAGIC_72, ''], undefined],
    [['', VERMAGIC_72], 'ENOEXEC C60'],
  ] as const) {
    const file = moduleFile('it', ['_printk'], [], { modinfo: { license: 'GPL', vermagic, name: 'it' } });
    t.is(planted.refused(file)?.split(' ').slice(0, 2).join(' '), refused);
    t.is(planted.proven(file), refused === undefined);
  }
});

test('healthy modules are proven, and none of the planted faults is', (t) => {
  for (const name of ['kernel/user.ko', 'kernel/room.ko']) {
    t.is(planted.refused(HEALTHY[name]!), undefined, name);
    t.true(planted.proven(HEALTHY[name]!), name);
  }
  for (const { module, file } of PLANTED) {
    if (module === 'ring_a' || module === 'ring_b') continue;
    t.not(planted.refused(file), undefined, module);
    t.false(planted.proven(file), module);
  }
});

const text = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, align: 16, size: 32 };
const withReloc = (type: number, offset: number, symbol: string, addend: number, data?: number[]): Uint8Array =>
  ko(
    minimalModule({
      thisModule: { name: 'it' },
      sections: [data === undefined ? text : { ...text, data, size: data.length }],
      relocs: { '.text': [{ offset, type, symbol, addend }] },
      versions: KERNEL.map(([crc, name]) => [name, crc] as const),
    }),
  );

test('both ends of what a relocation may be', (t) => {
  const cases: readonly [why: string, file: Uint8Array, taken: boolean][] = [
    ['the last place', withReloc(2, 28, '_printk', -4), true],
    ['behind it', withReloc(2, 29, '_printk', -4), false],
    ['a place that is zero', withReloc(1, 0, '_printk', 0, Array<number>(16).fill(0)), true],
    ['its last byte not', withReloc(1, 0, '_printk', 0, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), false],
    ['the byte behind it not', withReloc(1, 0, '_printk', 0, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), true],
    ['32S of a small addend', withReloc(11, 0, '_printk', 16), true],
    ['32S far below', withReloc(11, 0, '_printk', -0x7fff_0000), false],
    ['32', withReloc(10, 0, '_printk', 0), false],
    ['an unknown type', withReloc(77, 0, '_printk', 0), false],
  ];
  for (const [why, file, taken] of cases) {
    t.is(planted.refused(file) === undefined, taken, why);
    t.is(planted.proven(file), taken, why);
  }
  const twice = ko(
    minimalModule({
      thisModule: { name: 'it' },
      sections: [text],
      relocs: {
        '.text': [
          { offset: 4, type: 2, symbol: '.text', addend: 0 },
          { offset: 6, type: 2, symbol: '.text', addend: 0 },
        ],
      },
    }),
  );
  t.regex(planted.refused(twice) ?? '', /not zero/);
  t.false(planted.proven(twice));
});

const RUNS = 1000;

test('what is proven of mutated made modules is taken by insmod', (t) => {
  const files = [HEALTHY['kernel/user.ko']!, HEALTHY['kernel/room.ko']!, moduleFile('it', ['_printk'], ['own_fn'])];
  const hello = readFileSync(join(folder, 'hello.ko'));
  let proven = 0;
  let doubted = 0;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: files.length }), mutations, fc.boolean(), (which, bytes, table) => {
      const [both, source] = which === files.length ? [bundled, hello] : [planted, files[which]!];
      const file = mutated(source, bytes, table, true);
      if (!both.proven(file)) {
        doubted++;
        return;
      }
      proven++;
      const other = both.disagreement(file);
      if (other !== undefined) throw new Error(`proven, but insmod says ${other}`);
    }),
    { numRuns: RUNS },
  );
  t.true(proven > 50, `${proven} of ${RUNS} were proven`);
  t.true(doubted > 300, `${doubted} of ${RUNS} were doubted`);
});

const FRAME = {
  is64: true,
  little: true,
  e_machine: 62,
  version: '7.2',
  modversions: true,
  signed: false,
} as const;

/** An arena for x86-64 modules, with as many names as there is room for. */
function arenaOf(modules: number, ids: number): Arena {
  const arena = Arena.create(modules, ids, ids * 40);
  arena.setFrame({ ...FRAME, proof: arena.keep(proofTable(x86_64, '7.2')!).at });
  return arena;
}

test('facts of a record', (t) => {
  const arena = arenaOf(6, 1 << 12);
  new Scanner(arena).scan(5, new Uint8Array(moduleFile('it', ['_printk', 'good_fn'], ['own_fn'])), true);
  const word = (field: number): number => arena.core.field(5, field);
  t.is(word(DOUBT), 0);
  // Two, and module_layout.
  t.is(word(IMPORTS), 3);
  t.is(word(EXPORTS), 1);
  t.is(word(RELOCATIONS), 2 + 3);
  const kernel = new Kernel({ arch: x86_64, version: '7.2', exports: parseSymvers(symvers()) });
  t.is(insmod(kernel, moduleFile('it', ['_printk', 'good_fn'], ['own_fn'])).exports[0]?.name, 'own_fn');
});

test('a file is looked at whatever room there was for it', (t) => {
  const file = moduleFile('it', ['_printk', 'good_fn'], ['own_fn']);
  // Just enough, one byte less, and more than there can be.
  for (const room of [file.length, file.length - 1, 2 ** 30]) {
    const arena = arenaOf(1, 1 << 12);
    const scanner = new Scanner(arena, room);
    scanner.scan(0, new Uint8Array(file), true);
    t.is(arena.core.field(0, DOUBT), 0, `${room} bytes`);
    t.is(arena.core.field(0, EXPORTS), 1);
    // Where there is no more, files are read elsewhere and copied.
    scanner.room.grow(2 ** 30);
    scanner.room.grow(2 ** 30);
    scanner.room.bytes.set(file);
    scanner.scan(0, scanner.room.bytes.subarray(0, file.length), true);
    t.is(arena.core.field(0, DOUBT), 0, `${room} bytes, and then none`);
  }
});

test('a file that finds no room is in doubt, and the next one is not', (t) => {
  const arena = arenaOf(2, 1 << 12);
  const scanner = new Scanner(arena);
  scanner.scan(0, new Uint8Array(2 ** 31), true);
  t.is(DOUBTS[arena.core.field(0, DOUBT)], 'names');
  scanner.scan(1, new Uint8Array(moduleFile('it', ['_printk'], [])), true);
  t.is(arena.core.field(1, DOUBT), 0);
});

test('a module whose names find no room is in doubt, and the next one is not', (t) => {
  const many = moduleFile(
    'many',
    Array.from({ length: 40 }, (_, i) => `absent_${i}`),
    [],
  );
  const arena = arenaOf(2, WELL_KNOWN.length + 1 + 40);
  const scanner = new Scanner(arena);
  scanner.scan(0, new Uint8Array(many), true);
  t.is(DOUBTS[arena.core.field(0, DOUBT)], 'names');
  t.is(arena.names.name(arena.core.field(0, NAME)), 'many');
  scanner.scan(1, new Uint8Array(moduleFile('many', ['absent_1'], [])), true);
  t.is(arena.core.field(1, DOUBT), 0);
  t.is(arena.core.field(1, IMPORTS), 2);
});
