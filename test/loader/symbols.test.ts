/** C77 to C86: what becomes of each symbol, and of the modules that export them. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { STB_LOCAL, STB_WEAK } from '../../fixtures/build.ts';
import type { KoSpec, KoSymbol } from '../../fixtures/build.ts';
import { insmod } from '../../loader/load.ts';
import type { Module, State } from '../../loader/module.ts';
import { inModuleNamespace } from '../../loader/symbols.ts';
import type { Version } from '../../relocs/module-view.ts';
import { exported, importing, kernelOf, loads, moduleFor, refuses, UNSIGNED, unsigned, versions } from './bench.ts';

const unknown = (symbol: string, err = 2, name = 'minimal'): string =>
  `${name}: Unknown symbol ${symbol} (err -${err})`;
const TEXT = { name: '.text', flags: 6, align: 16, size: 16 } as const;

/** st_value of a symbol after simplify_symbols(), told by the relocation of .data against it. */
const valueOf = (m: Module | undefined, name: string): bigint | undefined => {
  const { symtab } = m!;
  for (let i = 1; i < symtab!.count; i++) if (symtab!.name(i) === name) return symtab!.st_value(i);
  return undefined;
};

/** A module `lib` that exports functions of its .text; further names are its options. */
const lib = (version: Version, exports: KoSpec['exports'], more: Partial<KoSpec> = {}): Uint8Array => {
  const symbols = (exports ?? []).map(({ name }, i): KoSymbol => ({ name, section: '.text', value: i }));
  return moduleFor(version, { thisModule: { name: 'lib' }, symbols, exports: exports ?? [], ...more });
};
const CRC = 0x1234;

for (const version of versions) {
  const kernel = (more: Parameters<typeof kernelOf>[1] = {}): ReturnType<typeof kernelOf> =>
    kernelOf(version, { exports: [exported('known', { value: 0xffff_ffff_8123_4560n })], ...more });

  test(`${version}: every kind of st_shndx`, (t) => {
    const m = loads(
      t,
      kernel(),
      moduleFor(version, {
        imports: ['known'],
        sections: [TEXT, { name: '.data', flags: 3, align: 8, size: 16 }, { name: '.comment', data: 'abc' }],
        symbols: [
          { name: 'absolute', section: 0xfff1, value: 0x1234_5678_9abc_def0n },
          { name: 'patched', section: 0xff20, value: 5 },
          { name: 'known', value: 77 },
          { name: 'weak', bind: STB_WEAK, value: 99 },
          { name: 'weak0', bind: STB_WEAK },
          { name: '_GLOBAL_OFFSET_TABLE_' },
          { name: 'code', section: '.text', value: 4 },
          { name: 'data', section: '.data', value: 8 },
          { name: 'minus', section: '.data', value: 0xffff_ffff_ffff_ffffn },
          { name: '__gnu_lto_v1', section: 0xfff2, value: 3 },
        ],
      }),
    );
    const text = m!.sections.find((s) => s.name === '.text')!.sh_addr;
    const data = m!.sections.find((s) => s.name === '.data')!.sh_addr;
    t.is(valueOf(m, 'absolute'), 0x1234_5678_9abc_def0n);
    t.is(valueOf(m, 'patched'), 5n);
    t.is(valueOf(m, 'known'), 0xffff_ffff_8123_4560n);
    t.is(valueOf(m, 'weak'), 99n);
    t.is(valueOf(m, 'weak0'), 0n);
    t.is(valueOf(m, '_GLOBAL_OFFSET_TABLE_'), 0n);
    t.is(valueOf(m, 'code'), text + 4n);
    t.is(valueOf(m, 'data'), data + 8n);
    t.is(valueOf(m, 'minus'), data - 1n);
    t.is(valueOf(m, '__gnu_lto_v1'), 3n);
  });

  test(`${version}: C77 common symbols, but for __gnu_lto`, (t) => {
    const common = {
      errno: 'ENOEXEC',
      check: 'C77',
      log: [...UNSIGNED, 'minimal: please compile with -fno-common'],
    } as const;
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: 'x', section: 0xfff2 }] }), common);
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: '__gnu_lt', section: 0xfff2 }] }), common);
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: 'x', section: 0xfff2, bind: STB_WEAK }] }), common);
  });

  test(`${version}: C78 a section index that does not exist`, (t) => {
    const symbol = (section: number): Partial<KoSpec> => ({ symbols: [{ name: 'x', section }] });
    const { length } = loads(t, kernel(), moduleFor(version, symbol(1)))!.sections;
    loads(t, kernel(), moduleFor(version, symbol(length - 1)));
    for (const section of [length, 0xff00, 0xff1f, 0xff21, 0xfff0, 0xfff3, 0xffff]) {
      const line = `minimal: Symbol x has an invalid section index ${section} (max ${length - 1})`;
      refuses(t, kernel(), moduleFor(version, symbol(section)), {
        errno: 'ENOEXEC',
        check: 'C78',
        log: [...UNSIGNED, line],
      });
    }
  });

  test(`${version}: C79 an undefined symbol, local ones too`, (t) => {
    const enoent = { errno: 'ENOENT', check: 'C79', step: 'simplify_symbols' } as const;
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: 'gone' }] }), {
      ...enoent,
      log: [...UNSIGNED, unknown('gone')],
    });
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: 'gone', bind: STB_LOCAL }] }), {
      ...enoent,
      log: [...UNSIGNED, unknown('gone')],
    });
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: 'knowN' }] }), {
      ...enoent,
      log: [...UNSIGNED, unknown('knowN')],
    });
    refuses(t, kernel(), moduleFor(version, { symbols: [{ name: '' }] }), {
      ...enoent,
      log: [...UNSIGNED, unknown('')],
    });
  });

  test(`${version}: H3 all symbols are looked at, and the last error counts`, (t) => {
    const k = kernel({ exports: [exported('old', { crc: 5 })] });
    const file = (...names: string[]): Uint8Array =>
      moduleFor(version, {
        imports: ['old'],
        symbols: names.map((name) => (name === 'c' ? { name, section: 0xfff2 } : { name })),
      });
    const old = ['minimal: disagrees about version of symbol old', unknown('old', 22)];
    refuses(t, k, file('gone', 'c', 'old'), {
      errno: 'EINVAL',
      check: 'C82',
      log: [...UNSIGNED, unknown('gone'), 'minimal: please compile with -fno-common', ...old],
    });
    refuses(t, k, file('old', 'gone', 'c'), {
      errno: 'ENOEXEC',
      check: 'C77',
      log: [...old, unknown('gone'), 'minimal: please compile with -fno-common'],
    });
    refuses(t, k, file('c', 'old', 'gone'), {
      errno: 'ENOENT',
      check: 'C79',
      log: ['minimal: please compile with -fno-common', ...old, unknown('gone')],
    });
  });

  test(`${version}: C80 GPL-only exports of the kernel are not there for others`, (t) => {
    const k = kernel({ exports: [exported('free', { gplonly: true })] });
    const user = (license: string): Uint8Array =>
      moduleFor(version, { modinfo: { license }, imports: ['free'], symbols: [{ name: 'free' }] });
    const licence = ["minimal: module license 'Mine' taints kernel."];
    const again = version === '6.1' ? [] : ['minimal: module license taints kernel.'];
    refuses(t, k, user('Mine'), {
      errno: 'ENOENT',
      check: 'C80',
      log: [...licence, ...UNSIGNED, ...again, unknown('free')],
    });
    t.true(loads(t, k, user('GPL'), [])?.usingGplonlySymbols);
    const weak = moduleFor(version, { modinfo: { license: 'Mine' }, symbols: [{ name: 'free', bind: STB_WEAK }] });
    t.is(
      valueOf(
        loads(t, kernel({ exports: [exported('free', { gplonly: true })] }), weak, [...licence, ...UNSIGNED, ...again]),
        'free',
      ),
      0n,
    );
  });

  test(`${version}: GPL-only and free exports of a module`, (t) => {
    const k = kernel();
    loads(
      t,
      k,
      lib(version, [
        { name: 'a', crc: CRC },
        { name: 'b', crc: CRC, gpl: true },
      ]),
      [unsigned('lib')],
    );
    const user = (license: string, name: string, ...symbols: string[]): Uint8Array =>
      moduleFor(version, { thisModule: { name }, modinfo: { license }, imports: symbols, ...importing(...symbols) });
    const again = version === '6.1' ? [] : ['user: module license taints kernel.'];
    refuses(t, k, user('Mine', 'user', 'a', 'b'), {
      errno: 'ENOENT',
      check: 'C80',
      log: ["user: module license 'Mine' taints kernel.", ...again, unknown('b', 2, 'user')],
    });
    loads(t, k, user('Mine', 'user', 'a'), []);
    loads(t, k, user('GPL', 'user2', 'a', 'b'), []);
    const [owner] = k.modules.slice(-1);
    t.deepEqual(
      Array.from(owner!.sources, ({ name }) => name),
      ['user', 'user2'],
    );
    t.is(owner!.refcnt, 3, 'one reference for each user, not for each symbol');
  });

  test(`${version}: H5 a licence is inherited by the order of the symbols`, (t) => {
    const k = kernel({ exports: [exported('free', { gplonly: true })] });
    insmod(
      k,
      lib(
        version,
        [
          { name: 'theirs', crc: CRC },
          { name: 'more', crc: CRC },
        ],
        { modinfo: { license: 'Mine' } },
      ),
    );
    const user = (name: string, symbols: KoSymbol[]): Uint8Array =>
      moduleFor(version, { thisModule: { name }, imports: ['free', 'theirs', 'more'], symbols });
    const inherits = 'user: module uses symbols theirs from proprietary module lib, inheriting taint.';
    refuses(t, k, user('user', [{ name: 'theirs' }, { name: 'more' }, { name: 'free' }]), {
      errno: 'ENOENT',
      check: 'C80',
      log: [inherits, unknown('free', 2, 'user')],
    });
    const using = 'user: module using GPL-only symbols uses symbols theirs from proprietary module lib.';
    refuses(t, k, user('user', [{ name: 'free' }, { name: 'theirs' }]), {
      errno: 'ENOENT',
      check: 'C81',
      log: [using, unknown('theirs', 2, 'user')],
    });
    // Refused that way is not found: a weak symbol survives it.
    const m = loads(t, k, user('user', [{ name: 'free' }, { name: 'theirs', bind: STB_WEAK }]), [using]);
    t.is(m?.taintLetters, 'E');
    t.is(m?.targets.size, 0);
    const heir = loads(t, k, user('heir', [{ name: 'theirs' }, { name: 'more' }]), [inherits.replace('user', 'heir')]);
    t.is(heir?.taintLetters, 'PE');
    t.deepEqual(
      Array.from(heir!.targets, ({ name }) => name),
      ['lib'],
    );
  });

  test(`${version}: H30 weak helps only when the symbol is absent`, (t) => {
    const k = kernel({ exports: [exported('old', { crc: 5 }), exported('ns', { namespace: 'NS' })] });
    const weak = (name: string): Uint8Array =>
      moduleFor(version, { imports: [name], symbols: [{ name, bind: STB_WEAK }] });
    refuses(t, k, weak('old'), {
      errno: 'EINVAL',
      check: 'C82',
      log: [...UNSIGNED, 'minimal: disagrees about version of symbol old', unknown('old', 22)],
    });
    refuses(t, k, weak('ns'), {
      errno: 'EINVAL',
      check: 'C83',
      log: ['minimal: module uses symbol (ns) from namespace NS, but does not import it.', unknown('ns', 22)],
    });
    loads(t, k, weak('gone'), []);
  });

  test(`${version}: a symbol of value 0 is there`, (t) => {
    const k = kernelOf(version, { exports: [exported('zero', { value: 0n })] });
    const m = loads(t, k, moduleFor(version, { imports: ['zero'], ...importing('zero') }));
    t.is(valueOf(m, 'zero'), 0n);
  });

  test(`${version}: C83 namespaces are imported by their exact names`, (t) => {
    const exports = [exported('inside', { namespace: 'DRIVERS' }), exported('empty', { namespace: '' })];
    const user = (import_ns: string | readonly string[], name = 'inside'): Uint8Array =>
      moduleFor(version, { imports: [name], modinfo: { import_ns }, symbols: [{ name }] });
    const line = 'minimal: module uses symbol (inside) from namespace DRIVERS, but does not import it.';
    for (const not of [[], 'DRIVER', 'DRIVERSX', 'drivers', ['A', 'B']])
      refuses(t, kernel({ exports }), user(not), {
        errno: 'EINVAL',
        check: 'C83',
        log: [...UNSIGNED, line, unknown('inside', 22)],
      });
    loads(t, kernel({ exports }), user('DRIVERS'));
    t.deepEqual(loads(t, kernel({ exports }), user(['A', 'DRIVERS']))?.importedNamespaces, ['A', 'DRIVERS']);
    loads(t, kernel({ exports }), user([], 'empty'));
    const lenient = kernel({ exports, config: { MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS: true } });
    loads(t, lenient, user([]), [...UNSIGNED, line]);
  });

  test(`${version}: "module:" namespaces are patterns of module names in 7.2`, (t) => {
    const exports = [exported('inside', { namespace: 'module:mini-mal,kvm*' })];
    const user = (name: string): Uint8Array =>
      moduleFor(version, { thisModule: { name }, imports: ['inside'], symbols: [{ name: 'inside' }] });
    const line = (name: string): string =>
      `${name}: module uses symbol (inside) from namespace module:mini-mal,kvm*, but does not import it.`;
    for (const name of ['mini_mal', 'mini-mal', 'kvm', 'kvm_intel']) {
      if (version === '7.2') loads(t, kernel({ exports }), user(name), [unsigned(name)]);
      else
        refuses(t, kernel({ exports }), user(name), {
          errno: 'EINVAL',
          check: 'C83',
          log: [unsigned(name), line(name), unknown('inside', 22, name)],
        });
    }
    refuses(t, kernel({ exports }), user('mini_mal2'), {
      errno: 'EINVAL',
      check: 'C83',
      log: [unsigned('mini_mal2'), line('mini_mal2'), unknown('inside', 22, 'mini_mal2')],
    });
  });

  test(`${version}: C75 "module:" namespaces cannot be imported in 7.2`, (t) => {
    const exports = [exported('inside', { namespace: 'module:other' })];
    const file = moduleFor(version, {
      modinfo: { import_ns: ['A', 'module:other', 'module:b'] },
      imports: ['inside'],
      symbols: [{ name: 'inside' }],
    });
    if (version === '7.2')
      refuses(t, kernel({ exports }), file, {
        errno: 'EPERM',
        check: 'C75',
        log: [...UNSIGNED, 'minimal: module tries to import module namespace: module:other'],
        step: 'setup_modinfo',
      });
    else loads(t, kernel({ exports }), file);
    loads(t, kernel(), moduleFor(version, { modinfo: { import_ns: ['module', 'xmodule:'] } }));
  });

  test(`${version}: C84 an exporter that is COMING, C85 one that is GOING`, (t) => {
    const k = kernel();
    const owner = insmod(k, lib(version, [{ name: 'a', crc: CRC }]));
    const user = moduleFor(version, { imports: ['a'], symbols: [{ name: 'a', bind: STB_WEAK }] });
    const inState = (state: State): void => {
      owner.state = state;
    };
    inState('COMING');
    refuses(t, k, user, {
      errno: 'EBUSY',
      check: 'C84',
      log: ['minimal: gave up waiting for init of module lib.', unknown('a', 16)],
    });
    inState('GOING');
    refuses(t, k, user, { errno: 'ENOENT', check: 'C85', log: [unknown('a')] });
    // UNFORMED exports are not seen: now the weak symbol is absent.
    inState('UNFORMED');
    t.is(valueOf(loads(t, k, user, []), 'a'), 0n);
    inState('LIVE');
    owner.refcnt = 0;
    refuses(t, k, moduleFor(version, { thisModule: { name: 'u' }, imports: ['a'], symbols: [{ name: 'a' }] }), {
      errno: 'ENOENT',
      check: 'C85',
      log: [unknown('a', 2, 'u')],
    });
  });

  test(`${version}: without MODULE_UNLOAD nothing is counted`, (t) => {
    const k = kernel({ config: { MODULE_UNLOAD: false } });
    const owner = insmod(k, lib(version, [{ name: 'a', crc: CRC }]));
    const { refcnt } = owner;
    const m = loads(t, k, moduleFor(version, { imports: ['a'], symbols: [{ name: 'a' }] }), []);
    t.is(owner.refcnt, refcnt);
    t.is(owner.sources.size, 0);
    t.is(m?.targets.size, 0);
    owner.state = 'COMING';
    refuses(t, k, moduleFor(version, { thisModule: { name: 'u' }, imports: ['a'], symbols: [{ name: 'a' }] }), {
      errno: 'EBUSY',
      check: 'C84',
      log: ['u: gave up waiting for init of module lib.', unknown('a', 16, 'u')],
    });
  });

  test(`${version}: a kernel's export is found before a module's`, (t) => {
    const k = kernel();
    const owner = insmod(k, lib(version, [{ name: 'a', crc: CRC }]));
    k.addExports([exported('a', { value: 0x42n })]);
    t.is(valueOf(loads(t, k, moduleFor(version, { imports: ['a'], symbols: [{ name: 'a' }] }), []), 'a'), 0x42n);
    t.is(owner.refcnt, 1);
  });
}

test('with 65,535 sections the reserved indexes are still reserved', (t) => {
  const many = Array.from({ length: 65_535 - 10 }, () => ({ name: '.x', flags: 0 }));
  const symbols = [
    { name: 'absolute', section: 0xfff1, value: 7 },
    { name: 'last', section: 0xfff0 - 1, value: 1 },
  ];
  const m = loads(t, kernelOf('7.2'), moduleFor('7.2', { sections: [TEXT, ...many], symbols }));
  t.is(valueOf(m, 'absolute'), 7n);
  t.true(valueOf(m, 'last')! > 7n);
});

test('inModuleNamespace() knows lists, globs at the end, and - as _', (t) => {
  const yes = (namespace: string, name: string): boolean =>
    t.true(inModuleNamespace(namespace, name), `${namespace} ${name}`);
  const no = (namespace: string, name: string): boolean =>
    t.false(inModuleNamespace(namespace, name), `${namespace} ${name}`);
  yes('module:a', 'a');
  yes('module:a,b', 'b');
  yes('module:*', 'anything');
  yes('module:a-b', 'a_b');
  yes('module:a_b*', 'a-bc');
  yes('module:a,', 'a');
  yes('module:b,,', '');
  no('module:', '');
  no('module:a,', '');
  no('module:a', 'ab');
  no('module:ab', 'a');
  no('module:*a', 'ba');
  no('Module:a', 'a');
  no('a', 'a');
});

testProp(
  'a list matches what one of its names matches',
  [fc.array(fc.stringMatching(/^[a-c_-]{1,3}\*?$/)), fc.stringMatching(/^[a-c_-]{0,4}$/)],
  (t, names, name) => {
    const fold = (s: string): string => s.replaceAll('-', '_');
    const matches = (p: string): boolean =>
      p.endsWith('*') ? fold(name).startsWith(fold(p.slice(0, -1))) : fold(p) === fold(name);
    t.is(inModuleNamespace(`module:${names.join(',')}`, name), names.some(matches));
  },
);
