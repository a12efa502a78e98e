/** __ksymtab and its companions: formats, order, bsearch(), C73 and C93. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import type { KoExport, KoSpec } from '../../fixtures/build.ts';
import { insmod } from '../../loader/load.ts';
import { findSymbol } from '../../loader/symbols.ts';
import {
  archOf,
  exported,
  kernelOf,
  loads,
  moduleFor,
  refuses,
  specFor,
  UNSIGNED,
  unsigned,
  versions,
} from './bench.ts';

const CRC = 7;
const exporting = (exports: readonly KoExport[], more: Partial<KoSpec> = {}): Partial<KoSpec> => ({
  symbols: exports.map(({ name, symbol }, i) => ({ name: symbol ?? name, section: '.text', value: i })),
  exports,
  ...more,
});
const named = (...names: string[]): KoExport[] => names.map((name) => ({ name, crc: CRC }));

for (const version of versions) {
  const kernel = (more: Parameters<typeof kernelOf>[1] = {}): ReturnType<typeof kernelOf> => kernelOf(version, more);

  for (const arch of ['x86_64', 'i386', 'arm64', 'riscv64', 'riscv32']) {
    test(`${version}: exports of ${arch} have value, CRC, licence, namespace and owner`, (t) => {
      const { e_machine, is64 } = archOf(arch);
      const k = kernel({ arch: archOf(arch) });
      const exports: KoExport[] = [
        { name: 'a', crc: 1 },
        { name: 'b', crc: 0xffff_ffff, gpl: true, ns: 'NS' },
        { name: 'c', symbol: 'impl', crc: 3, ns: 'NS' },
      ];
      const m = loads(
        t,
        k,
        moduleFor(version, { machine: e_machine[0]!, elfClass: is64 ? 64 : 32, ...exporting(exports) }),
      );
      const text = m!.sections.find(({ name }) => name === '.text')!.sh_addr;
      const want = [
        { name: 'a', value: text, crc: 1, gplonly: false, namespace: '', owner: m },
        { name: 'b', value: text + 1n, crc: 0xffff_ffff, gplonly: true, namespace: 'NS', owner: m },
        { name: 'c', value: text + 2n, crc: 3, gplonly: false, namespace: 'NS', owner: m },
      ];
      for (const e of want) t.deepEqual(findSymbol(k, e.name, true), e as never);
      t.is(findSymbol(k, 'b', false), undefined);
      t.is(findSymbol(k, 'impl', true), undefined);
    });
  }

  test(`${version}: C93 a duplicate of the kernel's or of another module's`, (t) => {
    const k = kernel({ exports: [exported('printk'), exported('free', { gplonly: true })] });
    const bad = { errno: 'ENOEXEC', check: 'C93', step: 'complete_formation' } as const;
    const duplicate = (symbol: string, owner: string, module = 'minimal'): string =>
      `${module}: exports duplicate symbol ${symbol} (owned by ${owner})`;
    refuses(t, k, moduleFor(version, exporting(named('printk'))), {
      ...bad,
      log: [...UNSIGNED, duplicate('printk', 'kernel')],
    });
    refuses(t, k, moduleFor(version, exporting(named('free'))), { ...bad, log: [duplicate('free', 'kernel')] });
    loads(t, k, moduleFor(version, exporting([{ name: 'f', crc: 1, gpl: true }])), []);
    const other = { thisModule: { name: 'other' } };
    refuses(t, k, moduleFor(version, exporting(named('e', 'f', 'printk'), other)), {
      ...bad,
      log: [duplicate('f', 'minimal', 'other')],
    });
    loads(t, k, moduleFor(version, exporting(named('e'), other)), []);
    // One that is UNFORMED is not seen, one that is going is.
    const third = moduleFor(version, exporting(named('e'), { thisModule: { name: 'third' } }));
    k.modules[0]!.state = 'GOING';
    refuses(t, k, third, { ...bad, log: [duplicate('e', 'other', 'third')] });
    k.modules[0]!.state = 'UNFORMED';
    loads(t, k, third, []);
  });

  test(`${version}: a module's own duplicates go unnoticed`, (t) => {
    const k = kernel();
    loads(
      t,
      k,
      moduleFor(
        version,
        exporting(named('a', 'a', 'b'), {
          symbols: [
            { name: 'a', section: '.text' },
            { name: 'b', section: '.text' },
          ],
        }),
      ),
    );
    t.is(k.moduleExports.get('a')?.length, 1, 'bsearch() finds one of them');
  });

  test(`${version}: H28 an unsorted table loses symbols, for users and not for duplicates`, (t) => {
    const k = kernel();
    // bsearch() looks at b, then goes to the right for c and to the left for a.
    loads(t, k, moduleFor(version, exporting(named('c', 'b', 'a'), { sortExports: false })));
    t.is(findSymbol(k, 'b', true)?.name, 'b');
    t.is(findSymbol(k, 'a', true), undefined);
    t.is(findSymbol(k, 'c', true), undefined);
    refuses(t, k, moduleFor(version, { thisModule: { name: 'user' }, symbols: [{ name: 'a' }] }), {
      errno: 'ENOENT',
      check: 'C79',
      log: ['user: Unknown symbol a (err -2)'],
    });
    // verify_exported_symbols() goes through the table and searches for each name elsewhere.
    const taken = kernel({ exports: [exported('a')] });
    refuses(t, taken, moduleFor(version, exporting(named('c', 'b', 'a'), { sortExports: false })), {
      errno: 'ENOEXEC',
      check: 'C93',
      log: [...UNSIGNED, 'minimal: exports duplicate symbol a (owned by kernel)'],
    });
  });

  test(`${version}: an entry that is not whole does not count`, (t) => {
    const size = (sh_size: number, relas: number): KoSpec =>
      specFor(version, {
        ...exporting(named('a', 'b')),
        headers: { __ksymtab: { sh_size }, '.rela__ksymtab': { sh_size: relas * 24 } },
      });
    const k = kernel();
    loads(t, k, ko(size(23, 5)));
    t.not(findSymbol(k, 'a', true), undefined);
    t.is(findSymbol(k, 'b', true), undefined);
    const none = kernel();
    loads(t, none, ko(size(11, 2)));
    t.is(none.moduleExports.size, 0);
  });

  test(`${version}: exports go with a module that fails later, and are no longer found`, (t) => {
    const k = kernel();
    refuses(
      t,
      k,
      moduleFor(version, exporting(named('a'))),
      { errno: 'ENODEV', check: 'C104', log: UNSIGNED },
      { behaviour: { init: () => -19 } },
    );
    t.is(findSymbol(k, 'a', true), undefined);
    loads(t, k, moduleFor(version, exporting(named('a'))), []);
  });
}

test('7.2: C73 exports want their flags', (t) => {
  const old = { exportStyle: '6.x' } as const;
  const line = 'minimal: no flags for exported symbols';
  refuses(t, kernelOf('7.2'), moduleFor('7.2', exporting(named('a'), old)), {
    errno: 'ENOEXEC',
    check: 'C73',
    log: [...UNSIGNED, line],
  });
  // Flags are wanted before CRCs.
  refuses(t, kernelOf('7.2'), moduleFor('7.2', exporting([{ name: 'a' }], old)), {
    errno: 'ENOEXEC',
    check: 'C73',
    log: [...UNSIGNED, line],
  });
  loads(t, kernelOf('7.2'), moduleFor('7.2', { exports: [], ...old }));
});

test('7.2: the GPL tables of 6.x are said to be ignored, and are', (t) => {
  const k = kernelOf('7.2');
  const old = moduleFor('7.2', exporting([{ name: 'a', gpl: true, crc: 1 }], { exportStyle: '6.x' }));
  loads(t, k, old, [
    ...UNSIGNED,
    'minimal: ignoring obsolete section __ksymtab_gpl',
    'minimal: ignoring obsolete section __kcrctab_gpl',
  ]);
  t.is(k.moduleExports.size, 0);
});

test('6.x does not look at __kflagstab', (t) => {
  for (const version of ['6.1', '6.12'] as const) {
    const k = kernelOf(version);
    loads(t, k, moduleFor(version, exporting([{ name: 'a', gpl: true, crc: 1 }], { exportStyle: '7.x' })));
    t.is(findSymbol(k, 'a', false)?.gplonly, false);
  }
});

test('7.2: only bit 0 of a flag is GPL-only, and a short table has zeros behind it', (t) => {
  const flags = (...bytes: number[]): Uint8Array => {
    const spec = specFor('7.2', exporting(named('a', 'b')));
    return ko({
      ...spec,
      patch: (image, { sections }) => {
        image.set(bytes, sections.find(({ name }) => name === '__kflagstab')!.sh_offset);
      },
    });
  };
  const k = kernelOf('7.2');
  loads(t, k, flags(0xfe, 0xff));
  t.is(findSymbol(k, 'a', false)?.gplonly, false);
  t.is(findSymbol(k, 'b', true)?.gplonly, true);
});

test('6.x: a name in both tables of a module is the free one', (t) => {
  for (const version of ['6.1', '6.12'] as const) {
    const k = kernelOf(version);
    const exports: KoExport[] = [
      { name: 'a', crc: 1 },
      { name: 'a', crc: 2, gpl: true },
    ];
    const m = insmod(k, moduleFor(version, exporting(exports, { symbols: [{ name: 'a', section: '.text' }] })));
    t.is(findSymbol(k, 'a', true)?.crc, 1);
    t.is(findSymbol(k, 'a', true)?.gplonly, false);
    t.is(m.exports.length, 2);
    t.deepEqual(k.log, [unsigned('minimal')]);
  }
});

testProp(
  'a sorted table loses nothing, whatever the names',
  [fc.uniqueArray(fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_.]{0,6}$/), { maxLength: 20 })],
  (t, names) => {
    const k = kernelOf('7.2');
    insmod(k, moduleFor('7.2', exporting(named(...names))));
    for (const name of names) t.is(findSymbol(k, name, true)?.name, name);
    t.is(k.moduleExports.size, names.length);
  },
  { numRuns: 25 },
);
