/**
 * `komulator check` against whole Debian trees: nothing invented, every module and relocation counted, modules.dep byte
 * for byte and modules.symbols entry for entry as depmod 34 wrote them; and what the quick look says beside what insmod says
 * of each module, whole and mutated.
 *
 *     npm run test:check -- [amd64 arm64 …]
 *
 * Kernels that are not in the cache are fetched; one that cannot be had is skipped, with the reason. Ends with
 * `N passed, N failed[, N skipped]`; exit 0, 1, 2 = wrong use, 3 = nothing could be had.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../arch/arch.ts';
import { arm64 } from '../arch/arm64.ts';
import { loongarch64 } from '../arch/loongarch.ts';
import { riscv64 } from '../arch/riscv.ts';
import { s390x } from '../arch/s390.ts';
import { x86_64 } from '../arch/x86.ts';
import type { Version } from '../relocs/module-view.ts';
import { Unavailable } from './debian/cache.ts';
import { debianKernel } from './debian/fetch.ts';
import type { DebianKernel } from './debian/manifest.ts';
import { KERNELS } from './debian/table.ts';
import type { CheckedTree } from './kernels/check-tree.ts';
import { proofAgainstInsmod } from './kernels/proof.ts';

const DEFAULT = ['amd64', 'arm64', 'riscv64', 's390x', 'ppc64el', 'armhf', 'loong64'];
/** Trees whose modules are proven, mostly. */
const PROVEN: Readonly<Record<string, readonly [Arch, Version]>> = {
  amd64: [x86_64, '6.1'],
  arm64: [arm64, '6.12'],
  riscv64: [riscv64, '6.12'],
  s390x: [s390x, '6.12'],
  loong64: [loongarch64, '7.2'],
};
/** Megabytes of all threads together. */
const MOST_MEMORY = 250;

const say = (line: string): void => console.log(line);
let passed = 0;
let failed = 0;

function assert(what: string, holds: boolean, otherwise = ''): void {
  if (holds) passed++;
  else failed++;
  say(`  ${holds ? 'ok    ' : 'FAILED'} ${what}`);
  if (!holds && otherwise !== '') say(`         ${otherwise.split('\n').slice(0, 12).join('\n         ')}`);
}

/** The check in a process of its own: its peak memory is the tree's. */
function checked(kernel: DebianKernel): CheckedTree | string {
  const script = join(import.meta.dirname, 'kernels/check-tree.ts');
  const { stdout, stderr, status } = spawnSync(process.execPath, [script, kernel.modulesDir, kernel.symvers], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return status === 0 ? (JSON.parse(stdout) as CheckedTree) : stderr;
}

function testKernel(kernel: DebianKernel): void {
  say(`\n${kernel.name}: ${kernel.version}`);
  const tree = checked(kernel);
  if (typeof tree === 'string') return assert('the check runs', false, tree);
  const { result, dep, symbols, peakKilobytes } = tree;
  const told = result.failed.map(({ module, reason }) => `${module}: ${reason}`).join('\n');
  const n = (count: number): string => count.toLocaleString('en-US');
  assert(
    `${result.loaded} of ${kernel.modules} modules would load, ${n(result.relocations)} relocations, ${result.judged} asked again, ${result.seconds.toFixed(1)} s`,
    result.failed.length === 0 && result.loaded === kernel.modules && result.modules === kernel.modules,
    told,
  );
  const megabytes = peakKilobytes / 1024;
  // The bound is for plain modules; what is packed has buffers and the loader besides.
  if (kernel.name === 'amd64')
    assert(`${megabytes.toFixed(0)} MB, at most ${MOST_MEMORY} MB`, megabytes <= MOST_MEMORY);
  else say(`         ${megabytes.toFixed(0)} MB`);
  const theirs = readFileSync(join(kernel.modulesDir, 'modules.dep'), 'utf8');
  assert(`modules.dep is that of ${kernel.depmod}, byte for byte`, dep === theirs, firstDifference(dep, theirs));
  const listed = sorted(readFileSync(join(kernel.modulesDir, 'modules.symbols'), 'utf8'));
  assert(
    `modules.symbols: the same ${listed.split('\n').length - 2} entries`,
    sorted(symbols) === listed,
    firstDifference(sorted(symbols), listed),
  );
}

const sorted = (text: string): string => text.split('\n').toSorted().join('\n');

function firstDifference(ours: string, their: string): string {
  const [a, b] = [ours.split('\n'), their.split('\n')];
  const i = a.findIndex((line, n) => line !== b[n]);
  return `line ${i + 1}:\nours   ${a[i]}\ndepmod ${b[i]}`;
}

async function main(args: readonly string[]): Promise<number> {
  const names = args.length > 0 ? args : DEFAULT;
  const unknown = names.filter((name) => KERNELS[name] === undefined);
  if (unknown.length > 0) {
    console.error(`unknown kernel: ${unknown.join(' ')}; there are ${Object.keys(KERNELS).join(' ')}`);
    return 2;
  }
  const skipped: string[] = [];
  for (const name of names) {
    try {
      const kernel = await debianKernel(name, { log: say });
      testKernel(kernel);
      const fast = PROVEN[name];
      if (fast === undefined) continue;
      const { modules, proven, agreed, mutants, provenMutants, wrong, doubts } = await proofAgainstInsmod(
        kernel,
        ...fast,
      );
      assert(
        `the quick look proves ${proven} of ${modules} modules, and insmod says the same of ${agreed} of them`,
        proven > 0.99 * modules && agreed === proven,
        [...wrong, ...Object.entries(doubts).map(([why, count]) => `${count} doubted: ${why}`)].join('\n'),
      );
      assert(
        `${provenMutants} of ${mutants} mutants are proven, and insmod takes each`,
        wrong.length === 0 && provenMutants > 0,
        wrong.join('\n'),
      );
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      skipped.push(`SKIPPED ${name}: ${error.message.split('\n')[0]}`);
      say(skipped.at(-1)!);
    }
  }
  say('');
  for (const line of skipped) say(line);
  if (passed + failed === 0) return 3;
  say(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
