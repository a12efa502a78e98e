/** Address space, regions that do not fit (C67), and per-CPU memory (C71). */
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import type { KoSection } from '../../fixtures/build.ts';
import { PercpuArea } from '../../loader/kernel.ts';
import { insmod } from '../../loader/load.ts';
import { AddressSpace } from '../../loader/memory.ts';
import { archOf, kernelOf, loads, moduleFor, refuses, UNSIGNED, unsigned, versions } from './bench.ts';

const noMemory = (version: string): readonly string[] =>
  version === '6.1' ? [] : ['execmem: unable to allocate memory'];
const bss = (size: bigint | number): KoSection => ({ name: '.bss', flags: 3, type: 8, header: { sh_size: size } });

test('the lowest address that is free, aligned, with a guard page behind it', (t) => {
  const space = new AddressSpace();
  t.is(space.alloc(0x1000, 0x10_0000n, 0x11_0000n), 0x10_0000n);
  t.is(space.alloc(1, 0x10_0000n, 0x11_0000n), 0x10_2000n);
  t.is(space.alloc(0x2000, 0x10_0000n, 0x11_0000n), 0x10_4000n);
  space.free(0x10_2000n);
  t.is(space.alloc(0x1001, 0x10_0000n, 0x11_0000n), 0x10_7000n, 'the hole is too small');
  t.is(space.alloc(0x1000, 0x10_0000n, 0x11_0000n), 0x10_2000n);
  space.free(0x42n);
  t.is(space.ranges.length, 4);
});

test('what is left of a last page is no gap', (t) => {
  const space = new AddressSpace();
  const page = 0x4000n;
  t.is(space.alloc(0x4000, 0x10_0000n, 0x20_0000n, page), 0x10_0000n);
  t.is(space.alloc(0x10, 0x10_0000n, 0x20_0000n, page), 0x10_8000n);
  t.deepEqual(space.ranges, [
    { start: 0x10_0000n, end: 0x10_8000n },
    { start: 0x10_8000n, end: 0x10_c000n },
  ]);
  space.free(0x10_0000n);
  t.is(space.alloc(0x7000, 0x10_0000n, 0x20_0000n, page), 0x10_0000n);
});

test('the end of the range is exact', (t) => {
  t.is(new AddressSpace().alloc(0x1000, 0n, 0x1000n), 0n);
  t.is(new AddressSpace().alloc(0x1001, 0n, 0x1000n), undefined);
  t.is(new AddressSpace().alloc(0x1000, 1n, 0x1fffn), undefined);
});

testProp(
  'ranges never overlap, and freeing all gives all back',
  [fc.array(fc.record({ size: fc.integer({ min: 1, max: 0x5000 }), free: fc.boolean() }), { maxLength: 40 })],
  (t, steps) => {
    const space = new AddressSpace();
    const live: { base: bigint; size: number }[] = [];
    for (const { size, free } of steps) {
      if (free && live.length > 0) space.free(live.shift()!.base);
      const base = space.alloc(size, 0x1000n, 0x40_0000n);
      if (base !== undefined) live.push({ base, size });
    }
    const sorted = live.toSorted((a, b) => (a.base < b.base ? -1 : 1));
    sorted.forEach(({ base, size }, i) => {
      const next = sorted[i + 1];
      if (next !== undefined) t.true(base + BigInt(size) < next.base);
    });
    for (const { base } of live) space.free(base);
    t.is(space.ranges.length, 0);
  },
);

for (const version of versions) {
  test(`${version}: C67 a region that memory or the module area cannot hold`, (t) => {
    const large = { errno: 'ENOMEM', check: 'C67', log: noMemory(version), step: 'layout_and_allocate' } as const;
    for (const size of [0x2000_0000, 0x7fff_f000, 0xffff_0000])
      refuses(t, kernelOf(version), moduleFor(version, { sections: [bss(size)] }), large);
    // Next to 4 GiB the rounding wraps to nothing. Nothing cannot be allocated; 6.1 rounds before it adds the symbols,
    // allocates room for those, and copies the rest over its end.
    const wraps = version === '6.1' ? ({ errno: 'EFAULT', check: 'C69', log: [] } as const) : large;
    refuses(t, kernelOf(version), moduleFor(version, { sections: [bss(0xffff_f800)] }), wraps);
    const tight = kernelOf(version, { ram: 0x10_0000 });
    loads(t, tight, moduleFor(version, { sections: [bss(0x8_0000)] }));
    refuses(t, tight, moduleFor(version, { thisModule: { name: 'large' }, sections: [bss(0x10_0000)] }), large);
  });

  test(`${version}: the module area is used to its end, and what failed halfway is given back`, (t) => {
    const arch = {
      ...archOf('x86_64'),
      moduleArea: () => ({ text: [0xffff_ffff_c000_0000n, 0xffff_ffff_c001_0000n] as const }),
    };
    const k = kernelOf(version, { arch });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const fits = names.findIndex((name) => {
      try {
        insmod(k, moduleFor(version, { thisModule: { name } }));
        return false;
      } catch {
        return true;
      }
    });
    t.true(fits > 0, `${fits} fit`);
    refuses(t, k, moduleFor(version, { thisModule: { name: 'more' } }), {
      errno: 'ENOMEM',
      check: 'C67',
      log: noMemory(version),
    });
  });

  test(`${version}: sizes are added in 32 bits, so that 2^62 is nothing`, (t) => {
    for (const size of [1n << 62n, 1n << 63n, 1n << 32n]) {
      const m = loads(
        t,
        kernelOf(version),
        moduleFor(version, { sections: [bss(size), { name: '.data', flags: 3, data: 'abc' }] }),
      );
      const [, , data] = m!.sections;
      const at = m!.placement[1]!;
      t.deepEqual(m!.placement[2], { region: at.region, offset: at.offset }, '.data lies where .bss does');
      t.is(new TextDecoder().decode(data!.bytes), 'abc');
      t.true(m!.size < 0x10000);
    }
    const m = loads(
      t,
      kernelOf(version),
      moduleFor(version, { sections: [bss((1n << 60n) + 5n), { name: '.data', flags: 3, data: 'abc' }] }),
    );
    t.is(m!.placement[2]!.offset - m!.placement[1]!.offset, 5);
  });

  const percpu = (size: number, header: KoSection['header'] = {}, name = 'minimal'): Uint8Array =>
    moduleFor(version, {
      thisModule: { name },
      sections: [
        { name: '.text', flags: 6, size: 4 },
        { name: '.data..percpu', flags: 3, size, header },
      ],
      symbols: [{ name: 'counter', section: '.data..percpu', value: 8 }],
    });
  const could = (size: number | bigint, name = 'minimal'): string =>
    `${name}: Could not allocate ${size} bytes percpu data`;

  test(`${version}: C71 the reserve ends exactly, and is given back`, (t) => {
    const k = kernelOf(version, { percpuReserve: 0x100 });
    const first = loads(t, k, percpu(0x80), UNSIGNED)!;
    refuses(t, k, percpu(0x84, {}, 'second'), {
      errno: 'ENOMEM',
      check: 'C71',
      log: [could(0x84, 'second')],
      step: 'percpu_modalloc',
    });
    const second = loads(t, k, percpu(0x80, {}, 'second'), [])!;
    t.is(second.percpu!.cookie - first.percpu!.cookie, 0x80n);
    t.is(k.percpu.used, 0x100);
    refuses(t, k, percpu(1, {}, 'third'), { errno: 'ENOMEM', check: 'C71', log: [could(1, 'third')] });
    // A symbol of the section is relative to the cookie; the section itself stays where it was.
    const { symtab } = second;
    t.is(symtab!.st_value(1), second.percpu!.cookie + 8n);
    t.is(second.placement[2], undefined);
  });

  test(`${version}: C71 pcpu_alloc() gives at most 32 KiB, and wants a power of two`, (t) => {
    loads(t, kernelOf(version), percpu(0x8000));
    refuses(t, kernelOf(version), percpu(0x8001), { errno: 'ENOMEM', check: 'C71', log: [...UNSIGNED, could(0x8001)] });
    refuses(t, kernelOf(version), percpu(8, { sh_addralign: 24 }), {
      errno: 'ENOMEM',
      check: 'C71',
      log: [...UNSIGNED, could(8)],
    });
    const huge = { sh_type: 8, sh_size: (1n << 63n) + 1n };
    refuses(t, kernelOf(version), percpu(8, huge), {
      errno: 'ENOMEM',
      check: 'C71',
      log: [...UNSIGNED, could((1n << 63n) + 1n)],
    });
    for (const sh_addralign of [0, 1, 3, 4, 64, 4096]) loads(t, kernelOf(version), percpu(8, { sh_addralign }));
  });

  test(`${version}: an alignment above the page is cut, aloud`, (t) => {
    const line = (v: bigint | number): string => `minimal: per-cpu alignment ${v} > 4096`;
    loads(t, kernelOf(version), percpu(8, { sh_addralign: 4097 }), [...UNSIGNED, line(4097)]);
    loads(t, kernelOf(version), percpu(8, { sh_addralign: 8192 }), [...UNSIGNED, line(8192)]);
    loads(t, kernelOf(version), percpu(8, { sh_addralign: (1n << 62n) + 1n }), [...UNSIGNED, line((1n << 62n) + 1n)]);
    loads(t, kernelOf(version), percpu(8, { sh_addralign: 1n << 63n }), [...UNSIGNED, line(-(1n << 63n))]);
  });

  test(`${version}: without SMP .data..percpu is a section like any other`, (t) => {
    const k = kernelOf(version, { config: { SMP: false }, percpuReserve: 0 });
    const m = loads(t, k, percpu(0x9000))!;
    t.is(m.percpu, undefined);
    t.is(m.placement[2]!.region, version === '6.1' ? 'core' : 'data');
    t.is(m.symtab!.st_value(1), m.sections[2]!.sh_addr + 8n);
  });

  test(`${version}: an empty per-CPU section is not allocated`, (t) => {
    t.is(loads(t, kernelOf(version, { percpuReserve: 0 }), percpu(0))!.percpu, undefined);
  });
}

test('a module that is not per-CPU keeps its section 0', (t) => {
  const k = kernelOf('7.2', { percpuReserve: 0 });
  loads(t, k, moduleFor('7.2', { thisModule: { name: 'plain' } }), [unsigned('plain')]);
});

testProp(
  'per-CPU pieces never overlap and are aligned',
  [
    fc.array(
      fc.record({
        size: fc.integer({ min: 1, max: 300 }),
        align: fc.constantFrom(1, 4, 8, 64, 256),
        free: fc.boolean(),
      }),
      { maxLength: 30 },
    ),
  ],
  (t, steps) => {
    const area = new PercpuArea(0x1000n, 0x1000);
    const live: { at: bigint; size: number }[] = [];
    for (const { size, align, free } of steps) {
      if (free && live.length > 0) area.free(live.shift()!.at);
      const at = area.alloc(size, align);
      if (at === undefined) continue;
      t.is(at % BigInt(Math.max(align, 4)), 0n);
      for (const other of live) t.true(at + BigInt(size) <= other.at || at >= other.at + BigInt(other.size));
      live.push({ at, size });
    }
    for (const { at } of live) area.free(at);
    t.is(area.used, 0);
  },
);
