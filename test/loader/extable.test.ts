/** sort_extable(): absolute and relative tables, in each order and width. */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { readFileSync } from 'node:fs';
import type { KoSpec } from '../../fixtures/build.ts';
import { extableIn, searchModuleExtables, sortExtable } from '../../loader/extable.ts';
import { Kernel } from '../../loader/kernel.ts';
import { insmod } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import type { Section } from '../../relocs/section.ts';
import type { Version } from '../../relocs/module-view.ts';
import { archOf, kernelOf, loads, moduleFor, versions } from './bench.ts';

const BASE = 0xffff_ffff_c010_0000n;

/** A table in memory; entries are written by `set`. */
function table(arch: string, version: Version, count: number, size: number): { m: Module; s: Section; view: DataView } {
  const kernel = kernelOf(version, { arch: archOf(arch) });
  const bytes = new Uint8Array(count * size);
  const s: Section = {
    index: 1,
    name: '__ex_table',
    sh_name: 0,
    sh_type: 1,
    sh_flags: 2,
    sh_addr: BASE,
    sh_offset: 0,
    sh_size: bytes.length,
    sh_link: 0,
    sh_info: 0,
    sh_addralign: 4,
    sh_entsize: 0n,
    bytes,
  };
  return { m: { kernel, format: kernel.format, version } as Module, s, view: new DataView(bytes.buffer) };
}

interface Entry {
  readonly insn: number;
  readonly fixup: number;
  readonly data: number;
}

/** x86-64: insn and fixup are offsets from their own fields, data is moved as it is. */
function sortRelative(version: Version, entries: readonly Entry[]): Entry[] {
  const { m, s, view } = table('x86_64', version, entries.length, 12);
  entries.forEach(({ insn, fixup, data }, i) => {
    view.setInt32(i * 12, insn - i * 12, true);
    view.setInt32(i * 12 + 4, fixup - (i * 12 + 4), true);
    view.setInt32(i * 12 + 8, data, true);
  });
  sortExtable(m, s);
  return entries.map((_, i) => ({
    insn: view.getInt32(i * 12, true) + i * 12,
    fixup: view.getInt32(i * 12 + 4, true) + i * 12 + 4,
    data: view.getInt32(i * 12 + 8, true),
  }));
}

const entry = fc.record({
  insn: fc.integer({ min: -0x1000_0000, max: 0x1000_0000 }),
  fixup: fc.integer({ min: -0x1000_0000, max: 0x1000_0000 }),
  data: fc.nat(0xffff),
});

for (const version of versions) {
  testProp(
    `${version}: a relative table is sorted by address, and each entry keeps what it points to`,
    [fc.uniqueArray(entry, { selector: ({ insn }) => insn, maxLength: 40 })],
    (t, entries) => {
      t.deepEqual(
        sortRelative(version, entries),
        entries.toSorted((a, b) => a.insn - b.insn),
      );
    },
  );

  testProp(
    `${version}: entries of the same address all stay`,
    [fc.array(fc.record({ insn: fc.nat(3), fixup: fc.nat(100), data: fc.nat(9) }), { maxLength: 12 })],
    (t, entries) => {
      const sorted = sortRelative(version, entries);
      const key = ({ insn, fixup, data }: Entry): string => `${insn} ${fixup} ${data}`;
      t.deepEqual(sorted.map(key).toSorted(), entries.map(key).toSorted());
      t.deepEqual(
        sorted.map(({ insn }) => insn),
        entries.map(({ insn }) => insn).toSorted((a, b) => a - b),
      );
    },
  );
}

test('a table that is not a whole number of entries keeps its end', (t) => {
  const { m, s, view } = table('x86_64', '7.2', 3, 12);
  s.sh_size = 35;
  for (const i of [0, 1, 2]) view.setInt32(i * 12, 100 - i * 50, true);
  sortExtable(m, s);
  t.is(view.getInt32(24, true), 0, 'the third is not one');
  t.true(view.getInt32(0, true) < view.getInt32(12, true) + 12);
});

test('nothing but zeros is not gone through, however much', (t) => {
  for (const version of versions)
    loads(
      t,
      kernelOf(version),
      moduleFor(version, { sections: [{ name: '__ex_table', flags: 2, type: 8, size: 0x400_0000 }] }),
    );
});

/** x86-64's R_X86_64_PC32 from the two fields of an entry to symbols. */
const entriesFor = (pairs: readonly (readonly [insn: string, fixup: string])[]): Partial<KoSpec> => ({
  sections: [
    { name: '.text', flags: 6, align: 16, size: 0x40 },
    { name: '.init.text', flags: 6, align: 16, size: 0x40 },
    { name: '__ex_table', flags: 2, align: 4, size: 12 * pairs.length },
  ],
  symbols: ['c0', 'c1', 'c2'].flatMap((name, i) => [
    { name, section: '.text', value: 0x10 * i },
    { name: name.replace('c', 'i'), section: '.init.text', value: 0x10 * i },
  ]),
  relocs: {
    __ex_table: pairs.flatMap(([insn, fixup], i) => [
      { offset: 12 * i, type: 2, symbol: insn },
      { offset: 12 * i + 4, type: 2, symbol: fixup },
    ]),
  },
});

test('entries of init code go with it, wherever init memory lies; the others are found', (t) => {
  for (const version of versions) {
    const pairs = [
      ['c1', 'c2'],
      ['i1', 'i2'],
      ['c0', 'c1'],
      ['i0', 'i1'],
    ] as const;
    const [above, below] = [0xffff_ffff_c010_0000n, 0xffff_ffff_b000_0000n];
    for (const place of [undefined, { '.init.text': above }, { '.init.text': below }]) {
      const k = kernelOf(version, { config: { MODULE_SIG: false } });
      let during: (bigint | undefined)[] = [];
      const where = (m: Module, name: string): bigint => {
        const s = m.sections.find((x) => x.name === (name.startsWith('c') ? '.text' : '.init.text'))!;
        return s.sh_addr + 0x10n * BigInt(name.slice(1));
      };
      const look = (m: Module): (bigint | undefined)[] =>
        ['c0', 'c1', 'c2', 'i0', 'i1'].map((name) => searchModuleExtables(k, where(m, name)));
      const init = (m: Module): number => {
        during = look(m);
        return 0;
      };
      const m = insmod(k, moduleFor(version, entriesFor(pairs)), { behaviour: { init }, ...(place && { place }) });
      const at = (...names: string[]): (bigint | undefined)[] =>
        names.map((name) => (name === '' ? undefined : where(m, name)));
      if (place === undefined) t.deepEqual(during, at('c1', 'c2', '', 'i1', 'i2'));
      t.deepEqual(look(m), at('c1', 'c2', '', '', ''));
      t.is(m.extable?.count, 2);
      // Another module where init memory was: its faults are its own affair.
      const next = insmod(k, moduleFor(version, { thisModule: { name: 'next' }, ...entriesFor([['c2', 'c0']]) }));
      t.is(searchModuleExtables(k, where(next, 'c2')), where(next, 'c0'));
      t.is(searchModuleExtables(k, where(next, 'c0')), undefined);
    }
  }
});

test('a table of init code only has nothing left', (t) => {
  const k = kernelOf('7.2');
  const m = insmod(k, moduleFor('7.2', entriesFor([['i1', 'i2']])));
  t.is(m.extable?.count, 0);
  const none = insmod(k, moduleFor('7.2', { thisModule: { name: 'none' } }));
  t.is(none.extable, undefined);
});

test('absolute tables: two words an entry, which move as they are, and are found', (t) => {
  for (const [arch, size, version] of [
    ['mips64', 16, '7.2'],
    ['mips', 8, '6.12'],
    ['loongarch64', 16, '6.1'],
  ] as const) {
    const { m, s, view } = table(arch, version, 3, size);
    const { little } = m.format;
    const base = size === 16 ? 0xffff_ffff_c000_0000n : 0xc000_0000n;
    const put = (at: number, v: bigint): void =>
      size === 16 ? view.setBigUint64(at, v, little) : view.setUint32(at, Number(v), little);
    const get = (at: number): bigint =>
      size === 16 ? view.getBigUint64(at, little) : BigInt(view.getUint32(at, little));
    for (const [i, n] of [0x30n, 0x10n, 0x20n].entries()) {
      put(i * size, base + n);
      put(i * size + size / 2, base + n + 1n);
    }
    sortExtable(m, s);
    t.deepEqual(
      Array.from({ length: 6 }, (_, i) => get((i * size) / 2) - base),
      [0x10n, 0x11n, 0x20n, 0x21n, 0x30n, 0x31n],
      arch,
    );
    const section: Section = { ...s, sh_addr: base + 0x1000n };
    const memory = { text: { base, size: 0x2000, bytes: new Uint8Array(0) } };
    Object.assign(m, { state: 'LIVE', memory, extable: extableIn(m, section) });
    m.kernel.modules.push(m);
    for (const [address, fixup] of [
      [0x10n, 0x11n],
      [0x20n, 0x21n],
      [0x30n, 0x31n],
      [0x11n, undefined],
      [0xfn, undefined],
      [0x31n, undefined],
    ] as const)
      t.is(searchModuleExtables(m.kernel, base + address), fixup && base + fixup, `${arch} ${address}`);
  }
});

test('alpha: the fixup is no address and stays as it is', (t) => {
  const { m, s, view } = table('alpha', '7.2', 2, 8);
  for (const [i, [insn, fixup]] of [
    [0x40, 0x1234],
    [0x20, 0x5678],
  ].entries()) {
    view.setInt32(i * 8, insn! - i * 8, true);
    view.setInt32(i * 8 + 4, fixup!, true);
  }
  sortExtable(m, s);
  t.deepEqual([view.getInt32(0, true), view.getInt32(4, true)], [0x20, 0x5678]);
  t.deepEqual([view.getInt32(8, true), view.getInt32(12, true)], [0x40 - 8, 0x1234]);
});

test('who keeps no memory finds nothing', (t) => {
  const k = kernelOf('7.2', { retainMemory: false });
  const m = insmod(k, moduleFor('7.2', entriesFor([['c1', 'c2']])));
  t.is(searchModuleExtables(k, m.memory.text!.base + 0x10n), undefined);
});

test('the bundled module has its table in order behind its relocations', (t) => {
  for (const version of versions) {
    const file = readFileSync(new URL('../../fixtures/ko/x86_64/extable.ko', import.meta.url));
    const kernel = new Kernel({ arch: archOf('x86_64'), version, config: { MODVERSIONS: false } });
    let name: string | undefined;
    try {
      const m = insmod(kernel, file);
      const s = m.sections.find((section) => section.name === '__ex_table')!;
      ({ name } = m);
      const view = new DataView(s.bytes.buffer, s.bytes.byteOffset);
      const insns = Array.from(
        { length: s.sh_size / 12 },
        (_, i) => s.sh_addr + BigInt(i * 12 + view.getInt32(i * 12, true)),
      );
      t.true(insns.length > 1);
      t.deepEqual(
        insns,
        insns.toSorted((a, b) => (a < b ? -1 : 1)),
      );
    } finally {
      t.is(name, 'extable', kernel.log.join('\n'));
    }
  }
});
