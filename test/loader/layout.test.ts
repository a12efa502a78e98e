/** B.2 to B.5 and B.10: which section goes where, in seven regions and in two. C66 comes before. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import type { KoSection, KoSpec, KoSymbol } from '../../fixtures/build.ts';
import type { Arch } from '../../arch/index.ts';
import type { Module } from '../../loader/module.ts';
import type { Region } from '../../relocs/module-view.ts';
import type { Config } from '../../relocs/module-view.ts';
import { archOf, kernelOf, loads, moduleFor, type Profile, refuses, specFor, UNSIGNED, versions } from './bench.ts';

const W = 1;
const A = 2;
const X = 4;
const NOBITS = 8;

/** Section → region and offset. */
const places = (m: Module | undefined): Record<string, string> =>
  Object.fromEntries(
    m!.sections.flatMap((s) => {
      const at = m!.placement[s.index];
      return at === undefined ? [] : [[s.name, `${at.region}+0x${at.offset.toString(16)}`]];
    }),
  );

const named = (names: Readonly<Record<string, Partial<KoSection>>>): KoSection[] =>
  Object.entries(names).map(([name, s]) => ({ name, size: 0x10, ...s }));

/** Loads sections without symbol tables in memory, and gives the places of those that the test made. */
function layout(
  t: Parameters<typeof loads>[0],
  profile: Profile,
  sections: readonly KoSection[],
  { config = {}, arch, ...more }: { config?: Config; arch?: Arch } & Partial<KoSpec> = {},
): Record<string, string> {
  const kernel = kernelOf(profile, { config: { KALLSYMS: false, ...config }, ...(arch ? { arch } : {}) });
  const all = places(loads(t, kernel, moduleFor(profile, { sections, ...more })));
  return Object.fromEntries(sections.flatMap(({ name }) => (all[name] === undefined ? [] : [[name, all[name]]])));
}

/** One of each kind, in an order that is not theirs. */
const kinds = named({
  '.data': { flags: A | W },
  '.init.data': { flags: A | W },
  '.rodata': { flags: A },
  '.comment': { flags: 0 },
  '.text': { flags: A | X },
  '.bss': { flags: A | W, type: NOBITS },
  '.data..ro_after_init': { flags: A | W },
  __jump_table: { flags: A | W },
  '.init.text': { flags: A | X },
  '.init.rodata': { flags: A },
  '.exit.text': { flags: A | X },
  '.text.unlikely': { flags: A | X },
  '.debug': { flags: W },
});

for (const version of ['6.12', '7.2'] as const) {
  test(`${version}: seven regions`, (t) => {
    t.deepEqual(layout(t, version, kinds), {
      '.data': 'data+0x0',
      '.init.data': 'init_data+0x0',
      '.rodata': 'rodata+0x0',
      '.text': 'text+0x0',
      '.bss': 'data+0x10',
      '.data..ro_after_init': 'ro_after_init+0x0',
      __jump_table: 'ro_after_init+0x10',
      '.init.text': 'init_text+0x0',
      '.init.rodata': 'init_rodata+0x0',
      '.exit.text': 'text+0x10',
      '.text.unlikely': 'text+0x20',
    });
  });

  test(`${version}: regions are whole pages also where nothing is write-protected`, (t) => {
    const k = kernelOf(version, { config: { STRICT_MODULE_RWX: false } });
    const m = loads(t, k, moduleFor(version, { sections: named({ '.text': { flags: A | X, size: 0x123 } }) }))!;
    t.is(m.memory.text!.size, 4096);
    for (const { size } of Object.values(m.memory)) t.is(size % 4096, 0);
  });

  test(`${version}: regions are whole pages, in the order of enum mod_mem_type, each with a guard page behind it`, (t) => {
    const m = loads(t, kernelOf(version), moduleFor(version, { sections: kinds }), UNSIGNED)!;
    const all = { ...m.memory, ...m.freed };
    const order: Region[] = ['text', 'data', 'rodata', 'ro_after_init', 'init_text', 'init_data', 'init_rodata'];
    const bases = order.map((region) => all[region]!.base);
    t.deepEqual(
      bases,
      bases.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    for (const region of order) {
      t.is(all[region]!.size % 4096, 0, region);
      t.is(all[region]!.base % 4096n, 0n, region);
    }
    t.deepEqual(Object.keys(m.memory).toSorted(), ['data', 'ro_after_init', 'rodata', 'text']);
    t.deepEqual(Object.keys(m.freed).toSorted(), ['init_data', 'init_rodata', 'init_text']);
  });

  test(`${version}: an empty region is not allocated, one of empty sections neither`, (t) => {
    const k = kernelOf(version, { config: { KALLSYMS: false } });
    const m = loads(
      t,
      k,
      moduleFor(version, {
        sections: named({ '.text': { flags: A | X, size: 0 }, '.rodata': { flags: A, size: 0, align: 64 } }),
      }),
    )!;
    t.deepEqual(Object.keys(m.memory), ['data']);
    t.is(m.sections[1]!.sh_addr, 0n);
    t.is(m.sections[2]!.sh_addr, 0n);
    t.is(k.memory.ranges.length, 1);
  });
}

test('7.2: .static_call_sites is read-only after init where static calls are inline, by name alone', (t) => {
  const sections = named({ '.static_call_sites': { flags: A | W }, __jump_table: { flags: A } });
  t.deepEqual(layout(t, '7.2', sections, { config: { HAVE_STATIC_CALL_INLINE: true } }), {
    '.static_call_sites': 'ro_after_init+0x0',
    __jump_table: 'rodata+0x0',
  });
  t.is(layout(t, '7.2', sections, { config: { HAVE_STATIC_CALL_INLINE: false } })['.static_call_sites'], 'data+0x0');
  t.is(layout(t, '6.12', sections, { config: { HAVE_STATIC_CALL_INLINE: true } })['.static_call_sites'], 'data+0x0');
});

test('7.2: x86_64 and ppc32 have static calls inline without being told, others have not', (t) => {
  const sections = named({ '.static_call_sites': { flags: A | W } });
  t.is(layout(t, '7.2', sections)['.static_call_sites'], 'ro_after_init+0x0');
  const inline = (name: string): boolean => kernelOf('7.2', { arch: archOf(name) }).switch('HAVE_STATIC_CALL_INLINE');
  t.true(inline('ppc32'));
  for (const name of ['i386', 'arm64', 'ppc64']) t.false(inline(name), name);
});

test('two sections called __jump_table: 7.2 marks both, 6.x the first in memory', (t) => {
  const twice: KoSection[] = [1, 2].map(() => ({ name: '__jump_table', flags: A | W, size: 8 }));
  for (const [version, regions] of [
    ['6.12', ['ro_after_init', 'data']],
    ['7.2', ['ro_after_init', 'ro_after_init']],
  ] as const) {
    const m = loads(t, kernelOf(version, { config: { KALLSYMS: false } }), moduleFor(version, { sections: twice }));
    t.deepEqual(
      [1, 2].map((i) => m!.placement[i]?.region),
      regions,
    );
  }
});

test('.init is a prefix, and so is .exit', (t) => {
  const sections = named({
    '.init_array': { flags: A | W },
    '.initcall': { flags: A },
    '.ini': { flags: A },
    'x.init': { flags: A },
    '.exitcall': { flags: A },
    '.exit.data': { flags: A | W },
  });
  const regions = (config: Config): string[] =>
    Object.values(layout(t, '7.2', sections, { config })).map((at) => at.replace(/\+.*/, ''));
  t.deepEqual(regions({}), ['init_data', 'init_rodata', 'rodata', 'rodata', 'rodata', 'data']);
  t.deepEqual(regions({ MODULE_UNLOAD: false }), [
    'init_data',
    'init_rodata',
    'rodata',
    'rodata',
    'init_rodata',
    'init_data',
  ]);
});

test('sh_addr of an object file is not looked at', (t) => {
  for (const version of versions) {
    const sections = named({ '.text': { flags: A | X }, '.data': { flags: A | W, header: { sh_addr: 1 } } });
    const m = loads(t, kernelOf(version), moduleFor(version, { sections }))!;
    const data = m.sections.find(({ name }) => name === '.data')!;
    const { region, offset } = m.placement[data.index]!;
    t.is(data.sh_addr, m.memory[region]!.base + BigInt(offset));
  }
});

test('room in front of each section, where the architecture wants some', (t) => {
  const arch: Arch = { ...archOf('x86_64'), sectionPrepend: (_, index) => 24 * index };
  const sections = named({
    '.text': { flags: A | X, align: 16 },
    '.text.b': { flags: A | X },
    '.data': { flags: A | W },
  });
  t.deepEqual(layout(t, '7.2', sections, { arch }), {
    '.text': 'text+0x20',
    '.text.b': 'text+0x60',
    '.data': 'data+0x48',
  });
  t.deepEqual(layout(t, '6.1', sections, { arch }), {
    '.text': 'core+0x20',
    '.text.b': 'core+0x60',
    '.data': 'core+0x1048',
  });
});

test('powerpc: a PLT for init code lies with it, the other with the rest', (t) => {
  for (const version of versions) {
    const kernel = kernelOf(version, { arch: archOf('ppc32'), config: { KALLSYMS: false } });
    const m = loads(t, kernel, moduleFor(version, { machine: 20, elfClass: 32, endian: 'big' }));
    const [core, init] = version === '6.1' ? ['core', 'init'] : ['text', 'init_text'];
    const at = places(m);
    t.deepEqual([at['.plt'], at['.init.plt']], [`${core}+0x10`, `${init}+0x0`]);
  }
});

test('offsets are aligned one after the other', (t) => {
  const data = (size: number, align: number): Partial<KoSection> => ({ flags: A, size, align });
  t.deepEqual(
    layout(t, '7.2', named({ a: data(1, 1), b: data(3, 16), c: data(0, 0), d: data(5, 8192), e: data(1, 2) })),
    {
      a: 'rodata+0x0',
      b: 'rodata+0x10',
      c: 'rodata+0x13',
      d: 'rodata+0x2000',
      e: 'rodata+0x2006',
    },
  );
});

test('an alignment that is no power of two, or wider than 32 bits, is taken as ALIGN() takes it', (t) => {
  const at = (size: number, sh_addralign: bigint): string | undefined =>
    layout(t, '7.2', [
      { name: 'a', flags: A, size },
      { name: 'b', flags: A, size: 4, header: { sh_addralign } },
    ])['b'];
  // (x + a - 1) & ~(a - 1)
  t.is(at(2, 3n), 'rodata+0x4');
  t.is(at(3, 3n), 'rodata+0x5');
  t.is(at(5, 12n), 'rodata+0x10');
  t.is(at(100, 1n << 32n), 'rodata+0x0', '2^32 is 0 in an unsigned int');
  t.is(at(100, (1n << 63n) + 16n), 'rodata+0x70');
  t.is(at(100, 1n << 63n), 'rodata+0x0');
  t.is(at(100, 0n), 'rodata+0x64');
});

test('a layout that wraps and then copies over the end would crash the kernel', (t) => {
  for (const version of versions) {
    const sections: KoSection[] = [
      { name: 'a', flags: A, size: 0x2_0000, data: new Uint8Array(0x2_0000) },
      { name: 'b', flags: A, size: 4, header: { sh_addralign: 1n << 32n } },
    ];
    if (version === '6.1') continue;
    const error = refuses(t, kernelOf(version), moduleFor(version, { sections }), {
      errno: 'EFAULT',
      check: 'C69',
      log: [],
    });
    t.is(error?.crash, 'signal 11');
  }
});

test('SHT_NULL in memory is copied from wherever it says', (t) => {
  const at = (sh_offset: bigint | number): Uint8Array =>
    moduleFor('7.2', { sections: [{ name: 'a', flags: A, header: { sh_type: 0, sh_offset, sh_size: 4 } }] });
  const m = loads(t, kernelOf('7.2', { config: { KALLSYMS: false } }), at(0));
  t.deepEqual([...m!.sections[1]!.bytes], [0x7f, 0x45, 0x4c, 0x46]);
  t.is(refuses(t, kernelOf('7.2'), at(1n << 40n), { errno: 'EFAULT', check: 'C69', log: [] })?.crash, 'signal 11');
});

test('ARCH_SHF_SMALL: small sections come last, whatever they are', (t) => {
  const SMALL = 0x1000_0000;
  const arch = { ...archOf('x86_64'), smallFlag: SMALL };
  const sections = named({
    '.sdata': { flags: A | W | SMALL },
    '.srodata': { flags: A | SMALL },
    '.stext': { flags: A | X | SMALL },
    '.data': { flags: A | W },
  });
  // struct module lies between: its section comes behind those of the test.
  t.deepEqual(layout(t, '7.2', sections, { arch }), {
    '.sdata': 'data+0x540',
    '.srodata': 'data+0x550',
    '.stext': 'data+0x560',
    '.data': 'data+0x0',
  });
  t.is(layout(t, '7.2', sections)['.sdata'], 'data+0x0', 'the flag means nothing elsewhere');
});

for (const version of versions) {
  test(`${version}: C66 nothing is both writable and executable, in memory or not`, (t) => {
    const line = (name: string, index: number): string =>
      `minimal: section ${name} (index ${index}) has invalid WRITE|EXEC flags`;
    const bad = (name: string, flags: number): Uint8Array =>
      moduleFor(version, {
        sections: [
          { name: '.text', flags: A | X, size: 1 },
          { name, flags, size: 1 },
        ],
      });
    for (const flags of [W | X, W | X | A, 0xffff_ffff])
      refuses(t, kernelOf(version), bad('.wx', flags), { errno: 'ENOEXEC', check: 'C66', log: [line('.wx', 2)] });
    const zero = ko({ ...specFor(version), headers: { '': { sh_flags: W | X } } });
    refuses(t, kernelOf(version), zero, { errno: 'ENOEXEC', check: 'C66', log: [line('', 0)] });
    loads(t, kernelOf(version), bad('.w', W | A));
    loads(t, kernelOf(version), bad('.x', X | A));
    const m = loads(t, kernelOf(version, { config: { STRICT_MODULE_RWX: false } }), bad('.wx', W | X | A));
    t.is(m!.placement[2]!.region, version === '6.1' ? 'core' : 'text');
    // Flags in the upper half do not hide those in the lower.
    const upper = ko({ ...specFor(version, { sections: [{ name: '.wx', flags: (1n << 63n) | 7n, size: 1 }] }) });
    refuses(t, kernelOf(version), upper, { errno: 'ENOEXEC', check: 'C66', log: [line('.wx', 1)] });
  });
}

test('6.1: two blobs, page aligned behind text, read-only data, ro_after_init and the whole', (t) => {
  t.deepEqual(layout(t, '6.1', kinds), {
    '.text': 'core+0x0',
    '.exit.text': 'core+0x10',
    '.text.unlikely': 'core+0x20',
    '.rodata': 'core+0x1000',
    '.data..ro_after_init': 'core+0x2000',
    __jump_table: 'core+0x2010',
    '.data': 'core+0x3000',
    '.bss': 'core+0x3010',
    '.init.text': 'init+0x0',
    '.init.rodata': 'init+0x1000',
    '.init.data': 'init+0x2000',
  });
});

test('6.1 without STRICT_MODULE_RWX: the same order, packed', (t) => {
  t.deepEqual(layout(t, '6.1', kinds, { config: { STRICT_MODULE_RWX: false } }), {
    '.text': 'core+0x0',
    '.exit.text': 'core+0x10',
    '.text.unlikely': 'core+0x20',
    '.rodata': 'core+0x30',
    '.data..ro_after_init': 'core+0x40',
    __jump_table: 'core+0x50',
    '.data': 'core+0x60',
    '.bss': 'core+0x70',
    '.init.text': 'init+0x0',
    '.init.rodata': 'init+0x10',
    '.init.data': 'init+0x20',
  });
  const k = kernelOf('6.1', { config: { STRICT_MODULE_RWX: false, KALLSYMS: false } });
  const m = loads(t, k, moduleFor('6.1', { sections: kinds }))!;
  t.is(m.memory.core!.size, 0x80 + 0x500, 'not a whole page');
});

test('6.1 without MODULE_UNLOAD: exit code is init code', (t) => {
  const at = layout(t, '6.1', kinds, { config: { MODULE_UNLOAD: false } });
  t.is(at['.init.text'], 'init+0x0');
  t.is(at['.exit.text'], 'init+0x10');
  t.is(at['.text.unlikely'], 'core+0x10');
});

test('6.1 with data in vmalloc: three blobs', (t) => {
  t.deepEqual(layout(t, '6.1', kinds, { config: { ARCH_WANTS_MODULES_DATA_IN_VMALLOC: true } }), {
    '.text': 'core+0x0',
    '.exit.text': 'core+0x10',
    '.text.unlikely': 'core+0x20',
    '.rodata': 'data+0x0',
    '.data..ro_after_init': 'data+0x1000',
    __jump_table: 'data+0x1010',
    '.data': 'data+0x2000',
    '.bss': 'data+0x2010',
    '.init.text': 'init+0x0',
    '.init.rodata': 'init+0x1000',
    '.init.data': 'init+0x2000',
  });
});

// ---- symbol tables -------------------------------------------------------------------------------------------------

const symbols: KoSymbol[] = [
  { name: 'core_text', section: '.text' },
  { name: 'core_data', section: '.data' },
  { name: 'init_text', section: '.init.text' },
  { name: 'not_loaded', section: '.comment' },
  { name: 'absolute', section: 0xfff1 },
  { name: 'weak', bind: 2 },
  { name: 'counter', section: '.data..percpu' },
];
const sections = named({
  '.text': { flags: A | X },
  '.data': { flags: A | W },
  '.init.text': { flags: A | X },
  '.comment': {},
  '.data..percpu': { flags: A | W },
});

/** Bytes behind the sections of `data`: symbols, names and types of what is kept. */
const kept = (names: readonly string[], entry = 24): number =>
  (names.length + 1) * entry + names.reduce((sum, name) => sum + name.length + 1, 1) + names.length + 1;

for (const version of ['6.12', '7.2'] as const) {
  const sized = (
    t: Parameters<typeof loads>[0],
    config: Config,
    modinfo = {},
    log = UNSIGNED,
  ): Record<string, number> => {
    const m = loads(
      t,
      kernelOf(version, { config: { PAGE_SIZE: 1, ...config } }),
      moduleFor(version, { sections, symbols, modinfo }),
      log,
    )!;
    const tables = {
      sym: m.sections.find((s) => s.name === '.symtab')!,
      str: m.sections.find((s) => s.name === '.strtab')!,
    };
    const init = m.freed.init_data?.size ?? 0;
    t.is(m.placement[tables.sym.index]?.region, config['KALLSYMS'] === false ? undefined : 'init_data');
    return { data: m.memory.data!.size, init, sym: tables.sym.sh_size, str: tables.str.sh_size };
  };
  // struct module (0x500) behind .data (0x10), aligned to 64.
  const struct = 0x40 + 0x500;

  test(`${version}: data ends in the symbols that stay, init data in all of them`, (t) => {
    const few = ['core_text'];
    const all = ['core_text', 'core_data', 'counter', '__this_module'];
    t.is(sized(t, { KALLSYMS_ALL: false })['data'], struct + kept(few));
    t.is(sized(t, { KALLSYMS_ALL: true })['data'], struct + kept(all));
    t.is(sized(t, { KALLSYMS: false })['data'], struct);
    // Without SMP the per-CPU section is an ordinary one, in memory as .data is.
    t.is(sized(t, { KALLSYMS_ALL: true, SMP: false })['data'], 0x40 + 0x500 + kept(all));
    const every = [...all, 'init_text', 'not_loaded', 'absolute', 'weak'];
    const klp = sized(t, { KALLSYMS_ALL: false }, { livepatch: 'Y' }, [
      'minimal: tainting kernel with TAINT_LIVEPATCH',
      ...UNSIGNED,
    ]);
    t.is(klp['data'], struct + kept(every), 'a livepatch keeps all');
    const { init, sym, str } = sized(t, {});
    t.is(sym, 9 * 24);
    t.is(init, Math.ceil((sym! + str!) / 8) * 8 + 32 + 9, 'tables, struct mod_kallsyms, a type each');
    t.is(sized(t, { KALLSYMS: false })['init'], 0);
  });
}

test('6.1: both blobs are page aligned again behind the symbols', (t) => {
  const m = loads(t, kernelOf('6.1'), moduleFor('6.1', { sections, symbols }))!;
  t.is(m.memory.core!.size, 0x3000, 'text, data, and the symbols that stay');
  t.is(m.freed.init!.size, 0x2000);
  t.deepEqual(m.placement[m.sections.find((s) => s.name === '.symtab')!.index], { region: 'init', offset: 0x1000 });
  const loose = loads(
    t,
    kernelOf('6.1', { config: { STRICT_MODULE_RWX: false } }),
    moduleFor('6.1', { sections, symbols }),
  )!;
  t.is(loose.memory.core!.size, 0x540 + kept(['core_text', 'core_data', 'counter', '__this_module']));
});

test('a symbol table of odd size: what is not a whole entry does not count', (t) => {
  for (const version of versions) {
    const file = (less: number): Uint8Array => {
      const spec = specFor(version, { symbols: [{ name: 'gone' }] });
      const sh_size = 2 * 24 - less;
      return ko({ ...spec, headers: { '.symtab': { sh_size } } });
    };
    refuses(t, kernelOf(version), file(0), {
      errno: 'ENOENT',
      check: 'C79',
      log: [...UNSIGNED, 'minimal: Unknown symbol gone (err -2)'],
    });
    loads(t, kernelOf(version), file(1));
  }
});

testProp(
  'sections of a region follow one another without overlap, aligned, in file order',
  [
    fc.array(
      fc.record({
        flags: fc.constantFrom(A, A | W, A | X),
        size: fc.nat(0x300),
        align: fc.constantFrom(0, 1, 2, 8, 64, 4096),
        init: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    ),
    fc.constantFrom(...versions),
  ],
  (t, all, version) => {
    const made = all.map(({ init, ...s }, i) => ({ name: `${init ? '.init' : ''}.s${i}`, ...s }));
    const k = kernelOf(version, { config: { KALLSYMS: false } });
    const m = loads(t, k, moduleFor(version, { sections: made }))!;
    const ends = new Map<Region, number>();
    const row = (flags: number): number => ((flags & X) !== 0 ? 0 : (flags & W) !== 0 ? 3 : 1);
    const mine = m.sections.filter((s) => /\.s\d+$/.test(s.name));
    // Within a blob of 6.1 the rows come one after the other.
    for (const s of mine.toSorted((a, b) => row(a.sh_flags) - row(b.sh_flags) || a.index - b.index)) {
      const at = m.placement[s.index]!;
      t.true(at.offset >= (ends.get(at.region) ?? 0), `${s.name} at ${at.offset}`);
      t.is(at.offset % Math.max(s.sh_addralign, 1), 0);
      ends.set(at.region, at.offset + s.sh_size);
      t.is(at.region.startsWith('init'), s.name.startsWith('.init'));
    }
  },
  { numRuns: 60 },
);
