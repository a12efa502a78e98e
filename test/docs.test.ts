import { readFileSync } from 'node:fs';
import test from 'ava';
import { arches } from '../arch/index.ts';
import { backendsOf } from '../arch/summary.ts';
import { architecturesPage } from '../scripts/architectures.ts';

test('docs/architectures.md is what the rows and fixtures say (npm run docs)', (t) => {
  t.is(readFileSync(new URL('../docs/architectures.md', import.meta.url), 'utf8'), architecturesPage());
});

/** KERNEL-FACTS E.23: 7.2, 6.12, 6.1. */
// biome-ignore format: table
const counts: Readonly<Record<string, readonly [number, number, number]>> = {
  alpha: [15, 15, 15], arc: [3, 3, 3], arm: [22, 22, 22], arm64: [39, 39, 39], csky: [6, 6, 6], hexagon: [5, 5, 5],
  loongarch: [40, 36, 34], m68k: [2, 2, 2], microblaze: [6, 6, 6], mips: [11, 11, 11], nios2: [7, 7, 7],
  openrisc: [7, 7, 4], parisc: [16, 16, 16], powerpc32: [6, 6, 6], powerpc64: [18, 18, 15], riscv: [33, 33, 20],
  s390: [36, 36, 36], sh: [7, 7, 7], sparc: [11, 11, 11], x86_32: [3, 3, 3], x86_64: [7, 7, 7], xtensa: [8, 8, 8],
  ia64: [0, 0, 37],
};

test('every backend handles as many types as KERNEL-FACTS counts', (t) => {
  const handled = Object.fromEntries(
    backendsOf(arches).map((b) => [b.name, [b.handled['7.2'], b.handled['6.12'], b.handled['6.1']]]),
  );
  t.deepEqual(handled, Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, [...n]])));
});
