import test from 'ava';
import * as fc from 'fast-check';
import { type Arch, arches, configOf } from '../../arch/index.ts';
import { existsIn } from '../../arch/summary.ts';
import type { Howto } from '../../relocs/howto.ts';
import { rowApplies, rowFor } from '../../relocs/rules.ts';
import { versions, type Version } from '../../relocs/module-view.ts';
import type { CaseRange } from '../../testing/case-range.ts';
import { Coverage } from '../../testing/coverage.ts';
import { cases } from '../../testing/generate.ts';
import { run } from '../../testing/replay.ts';

const newest = (arch: Arch): Version => versions.findLast((v) => existsIn(arch, v)) ?? '7.2';
const range = (arch: Arch, version: Version = newest(arch)): CaseRange => ({
  arch,
  version,
  little: arch.orders[0] === 'little',
  bases: [0x2000_0000n],
});
const CASES = 2000;

/** Rows whose value no symbol and no addend decides, or which take a table beyond their reach. */
const UNSTEERED: Readonly<Record<string, RegExp>> = {
  alpha: /LITERAL|GPDISP/,
  arm64: /CALL26|JUMP26/,
  arm: /CALL|JUMP24|PC24/,
  s390x: /PLT|GOTPC|GOTENT/,
  loongarch64: /B26|POP/,
  loongarch32: /B26|POP/,
  parisc: /PCREL..F/,
  parisc64: /PCREL..F/,
  ia64: /./,
};

for (const arch of arches) {
  test(`${arch.name}: the last value that every check accepts and the first that it refuses come up`, (t) => {
    const version = newest(arch);
    const rows = [...arch.rules.rows.keys()]
      .map((type) => rowFor(arch.rules, type, version, configOf(arch, version)))
      .filter((row): row is Howto => row?.action === 'apply' && UNSTEERED[arch.name]?.test(row.name) !== true)
      .filter((row) => row.checks.some((check) => check.range?.(row, arch.is64) !== undefined));
    const coverage = new Coverage(arch.is64);
    const missing = (): string[] =>
      rows.flatMap((row) => {
        const seen = [...(coverage.reached.get(row.name)?.keys() ?? [])].map((way) => way.replace(/^.*: /, ''));
        const has = (...ways: string[]): boolean => ways.some((way) => seen.includes(way));
        return [
          ...(has('low end') ? [] : [`${row.name} low end`]),
          ...(has('high end') ? [] : [`${row.name} high end`]),
          ...(has('one below', 'below') ? [] : [`${row.name} below`]),
          ...(has('one above', 'above') ? [] : [`${row.name} above`]),
        ];
      });
    for (let seed = 0; seed < CASES / 200 && (seed === 0 || missing().length > 0); seed++) {
      for (const v of fc.sample(cases(range(arch)), { seed, numRuns: 200 })) run(v, coverage);
    }
    t.deepEqual(missing(), []);
  });

  test(`${arch.name}: a good part of the cases loads, and what is refused is refused late`, (t) => {
    const endings = fc.sample(cases(range(arch)), { seed: 11, numRuns: 100 }).map((v) => run(v));
    const share = (of: (x: (typeof endings)[number]) => boolean): number => endings.filter(of).length;
    t.true(share(({ ret }) => ret === 0) >= 25, 'loads');
    t.true(share(({ stage }) => stage === 'symbols') <= 15, 'symbols');
    t.true(share(({ stage }) => stage === 'frob') <= 10, 'frob');
  });
}

test('types: only these, alone or with what belongs to them', (t) => {
  const arch = arches.find((a) => a.name === 'arm64')!;
  for (const v of fc.sample(cases({ ...range(arch), types: [275] }), { seed: 1, numRuns: 100 })) {
    const { length } = v.types!;
    t.true(length === 0 || v.types!.includes(275) || length === 1);
  }
});

test('a seed always gives the same cases', (t) => {
  const arch = arches.find((a) => a.name === 'mips')!;
  const some = (): unknown => fc.sample(cases(range(arch)), { seed: 5, numRuns: 20 });
  t.deepEqual(some(), some());
});

test('6.1: two blobs of memory, and no type that came later', (t) => {
  const arch = arches.find((a) => a.name === 'riscv64')!;
  const handled = new Set(
    [...arch.rules.rows.values()]
      .flat()
      .filter((row) => rowApplies(row, '6.1', {}))
      .map((row) => row.type),
  );
  const list = fc.sample(cases(range(arch, '6.1')), { seed: 1, numRuns: 200 });
  t.deepEqual(Object.keys(list[0]!.mem!), ['core', 'init']);
  t.true(list.every((v) => v.cls === 'unknown' || v.types!.every((type) => handled.has(type))));
});
