/** C74 and C82: CRCs of imported symbols, in both kinds of table, for both vendors. */
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import type { KoSpec } from '../../fixtures/build.ts';
import { insmod } from '../../loader/load.ts';
import { taintLetters } from '../../loader/taint.ts';
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

const LAYOUT = ['module_layout', 0x90392bcd] as const;
const unknown = (symbol: string): string => `minimal: Unknown symbol ${symbol} (err -22)`;
const symbols = [{ name: 'a' }, { name: 'b' }];
const exports = [exported('a', { crc: 0x1234 }), exported('b', { crc: 0x8000_0001 })];
const EINVAL = { errno: 'EINVAL', check: 'C82' } as const;

for (const version of versions) {
  const kernel = (more: Parameters<typeof kernelOf>[1] = {}): ReturnType<typeof kernelOf> =>
    kernelOf(version, { exports, ...more });
  const file = (table: KoSpec['versions'], more: Partial<KoSpec> = {}): Uint8Array =>
    moduleFor(version, { symbols, versions: table ?? [], ...more });

  test(`${version}: CRCs of 32 bits agree or do not`, (t) => {
    loads(t, kernel(), file([LAYOUT, ['a', 0x1234], ['b', 0x8000_0001]]));
    refuses(t, kernel(), file([LAYOUT, ['a', 0x1235], ['b', 0x8000_0001]]), {
      ...EINVAL,
      log: [...UNSIGNED, 'minimal: disagrees about version of symbol a', unknown('a')],
    });
    refuses(t, kernel(), file([LAYOUT, ['a', 0x1234], ['b', 1]]), {
      ...EINVAL,
      log: [...UNSIGNED, 'minimal: disagrees about version of symbol b', unknown('b')],
    });
    // The first entry of a name decides.
    loads(t, kernel(), file([LAYOUT, ['a', 0x1234], ['a', 0], ['b', 0x8000_0001]]));
    // An exporter without a CRC is believed, and so is everybody without MODVERSIONS.
    loads(
      t,
      kernel({ exports: [exported('a', { crc: undefined }), exported('b', { crc: undefined })] }),
      file([LAYOUT]),
    );
    loads(t, kernel({ config: { MODVERSIONS: false } }), file([['a', 1]]));
  });

  test(`${version}: these lines bear modinfo's name, the others struct module's`, (t) => {
    refuses(
      t,
      kernel(),
      file([LAYOUT, ['a', 1], ['b', 0x8000_0001]], {
        thisModule: { name: 'inside' },
        modinfo: ['name=outside', 'intree=Y', 'license=GPL', `vermagic=${kernel().vermagic}`],
      }),
      {
        ...EINVAL,
        log: [unsigned('inside'), 'outside: disagrees about version of symbol a', 'inside: Unknown symbol a (err -22)'],
      },
    );
  });

  test(`${version}: H6 a missing entry: mainline warns once and loads, Debian refuses each time`, (t) => {
    const none = file([LAYOUT]);
    const k = kernel();
    loads(t, k, none, [...UNSIGNED, 'minimal: no symbol version for a']);
    loads(t, k, file([LAYOUT], { thisModule: { name: 'second' } }), []);
    for (const MODULE_FORCE_LOAD of [false, true]) {
      const debian = kernel({ vendor: 'debian', config: { MODULE_FORCE_LOAD } });
      refuses(t, debian, none, {
        ...EINVAL,
        log: [
          ...UNSIGNED,
          'minimal: no symbol version for a',
          unknown('a'),
          'minimal: no symbol version for b',
          unknown('b'),
        ],
      });
      t.false(debian.taints.has('FORCED_MODULE'));
    }
  });

  test(`${version}: no table: refused in silence, or forced with a taint said once`, (t) => {
    const { versions: _, ...rest } = specFor(version, { symbols });
    const free = kernel({ exports: [...exports, exported('module_layout', { crc: undefined })] });
    refuses(t, free, ko(rest), { ...EINVAL, log: [...UNSIGNED, unknown('a'), unknown('b')] });
    const forced = kernel({
      config: { MODULE_FORCE_LOAD: true },
      exports: [...exports, exported('module_layout', { crc: undefined })],
    });
    t.is(loads(t, forced, ko(rest), [...UNSIGNED, 'minimal: a: kernel tainted.'])?.taintLetters, 'FE');
    t.is(taintLetters(forced.taints), 'FE');
    loads(t, forced, ko({ ...rest, thisModule: { name: 'second' } }), []);
  });

  test(`${version}: a name of the full width runs on into the next entry`, (t) => {
    const name = 'n'.repeat(56);
    const wide = kernelOf(version, { exports: [exported(name, { crc: 0x41 })] });
    const spec = specFor(version, { symbols: [{ name }], versions: [LAYOUT, ['x', 0x41], ['y', 0]] });
    const image = ko({
      ...spec,
      patch: (bytes, { sections }) => {
        const { sh_offset } = sections.find((s) => s.name === '__versions')!;
        bytes.fill(0x6e, sh_offset + 64 + 8, sh_offset + 128);
        bytes.fill(0, sh_offset + 128, sh_offset + 136);
      },
    });
    loads(t, wide, image);
    const running = ko({
      ...spec,
      patch: (bytes, { sections }) => {
        const { sh_offset } = sections.find((s) => s.name === '__versions')!;
        bytes.fill(0x6e, sh_offset + 64 + 8, sh_offset + 129);
      },
    });
    // Now it is 57 bytes long, and no other has it.
    refuses(t, kernelOf(version, { vendor: 'debian', exports: [exported(name, { crc: 0x41 })] }), running, {
      ...EINVAL,
      log: [...UNSIGNED, `minimal: no symbol version for ${name}`, unknown(name)],
    });
  });

  test(`${version}: C74 exports without CRCs, where CRCs are looked at`, (t) => {
    const bare = (gpl: boolean): Uint8Array =>
      moduleFor(version, { symbols: [{ name: 'f', section: '.text' }], exports: [{ name: 'f', gpl }] });
    for (const gpl of [false, true]) {
      refuses(t, kernel(), bare(gpl), { errno: 'ENOEXEC', check: 'C74', log: UNSIGNED });
      loads(t, kernel({ config: { MODVERSIONS: false } }), bare(gpl));
      const k = kernel({ config: { MODULE_FORCE_LOAD: true } });
      t.is(
        loads(t, k, bare(gpl), [...UNSIGNED, 'minimal: no versions for exported symbols: kernel tainted.'])
          ?.taintLetters,
        'FE',
      );
    }
    loads(t, kernel(), moduleFor(version, { exports: [] }));
  });
}

test('6.x wants CRCs for each of its two tables', (t) => {
  for (const version of ['6.1', '6.12'] as const) {
    const file = (free: number | undefined, gpl: number | undefined): Uint8Array =>
      moduleFor(version, {
        symbols: [
          { name: 'f', section: '.text' },
          { name: 'g', section: '.text' },
        ],
        exports: [
          { name: 'f', ...(free === undefined ? {} : { crc: free }) },
          { name: 'g', gpl: true, ...(gpl === undefined ? {} : { crc: gpl }) },
        ],
      });
    loads(t, kernelOf(version), file(1, 1));
    refuses(t, kernelOf(version), file(1, undefined), { errno: 'ENOEXEC', check: 'C74', log: UNSIGNED });
    refuses(t, kernelOf(version), file(undefined, 1), { errno: 'ENOEXEC', check: 'C74', log: UNSIGNED });
  }
});

test('7.2: the extended table alone counts where it is, and missing names are accepted once aloud', (t) => {
  const kernel = (vendor: 'mainline' | 'debian' = 'mainline'): ReturnType<typeof kernelOf> =>
    kernelOf('7.2', { exports, vendor });
  const file = (extendedVersions: NonNullable<KoSpec['extendedVersions']>, name = 'minimal'): Uint8Array =>
    moduleFor('7.2', { thisModule: { name }, symbols, versions: [LAYOUT, ['a', 1], ['b', 1]], extendedVersions });
  loads(t, kernel(), file([LAYOUT, ['a', 0x1234], ['b', 0x8000_0001]]));
  loads(t, kernel(), file([LAYOUT, ['a', 0x1234], ['a', 2], ['b', 0x8000_0001]]));
  refuses(t, kernel(), file([LAYOUT, ['a', 0x1234], ['b', 2]]), {
    ...EINVAL,
    log: [...UNSIGNED, 'minimal: disagrees about version of symbol b', unknown('b')],
  });
  for (const vendor of ['mainline', 'debian'] as const) {
    const k = kernel(vendor);
    loads(t, k, file([LAYOUT, ['a', 0x1234]]), [...UNSIGNED, 'minimal: no extended symbol version for b']);
    loads(t, k, file([LAYOUT], 'second'), []);
  }
  // A name that does not fit into struct modversion_info.
  const long = 'l'.repeat(200);
  const k = kernelOf('7.2', { exports: [exported(long, { crc: 7 })] });
  refuses(t, k, moduleFor('7.2', { symbols: [{ name: long }], extendedVersions: [LAYOUT, [long, 8]] }), {
    ...EINVAL,
    log: [...UNSIGNED, `minimal: disagrees about version of symbol ${long}`, unknown(long)],
  });
});

test('a CRC from 0x80000000 on, in big-endian words of 64 bits', (t) => {
  for (const version of versions) {
    const k = kernelOf(version, { arch: archOf('s390x'), exports });
    const file = (crc: number): Uint8Array =>
      moduleFor(version, { machine: 22, endian: 'big', symbols: [{ name: 'b' }], versions: [LAYOUT, ['b', crc]] });
    refuses(t, k, file(0x8000_0000), {
      ...EINVAL,
      log: [...UNSIGNED, 'minimal: disagrees about version of symbol b', unknown('b')],
    });
    loads(t, k, file(0x8000_0001), []);
  }
});

test("a CRC of a module's export is read from its __kcrctab", (t) => {
  for (const version of versions) {
    const k = kernelOf(version);
    insmod(
      k,
      moduleFor(version, {
        thisModule: { name: 'lib' },
        symbols: [{ name: 'f', section: '.text' }],
        exports: [{ name: 'f', crc: 0xfedc_ba98 }],
      }),
    );
    const user = (crc: number): Uint8Array =>
      moduleFor(version, { symbols: [{ name: 'f' }], versions: [LAYOUT, ['f', crc]] });
    refuses(t, k, user(0xfedc_ba99), {
      ...EINVAL,
      log: ['minimal: disagrees about version of symbol f', unknown('f')],
    });
    loads(t, k, user(0xfedc_ba98), []);
  }
});
