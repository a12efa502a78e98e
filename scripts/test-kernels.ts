/**
 * The heavy truth: every module of real Debian kernels, loaded against its own Module.symvers with every check on, and
 * a sample of them linked by ld.lld at the same addresses and compared byte for byte.
 *
 *     npm run test:kernels -- [--sample N] amd64 arm64 riscv64 …
 *
 * Kernels that are not in the cache are fetched; one that cannot be had is skipped, with the reason. Each kernel is
 * loaded in a process of its own, two at a time. Ends with `N passed, N failed[, N skipped]`; exit 0, 1, 2 = wrong use,
 * 3 = nothing could be had.
 */

import { fork } from 'node:child_process';
import { Unavailable } from './debian/cache.ts';
import { debianKernel } from './debian/fetch.ts';
import { KERNELS } from './debian/table.ts';
import { debianProgram } from './debian/tools.ts';
import { type Report, testTree } from './kernels/test-tree.ts';

const DEFAULT = ['amd64', 'arm64', 'riscv64'];
const SAMPLE = 200;
const PROCESSES = 2;
/** Young objects die young here: a small nursery costs no time and saves 100 MB. */
const SMALL_HEAP = ['--max-semi-space-size=8'];

const say = (line: string): void => console.log(line);

async function main(args: readonly string[]): Promise<number> {
  const names: string[] = [];
  let sample = SAMPLE;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--sample') sample = Number(args[++i]);
    else if (arg === 'all') names.push(...Object.keys(KERNELS));
    else names.push(arg);
  }
  if (names.length === 0) names.push(...DEFAULT);
  const unknown = names.filter((name) => KERNELS[name] === undefined);
  if (unknown.length > 0 || !Number.isInteger(sample) || sample < 0) {
    for (const name of unknown) console.error(`unknown kernel: ${name}`);
    console.error(`usage: npm run test:kernels -- [--sample N] [all | ${Object.keys(KERNELS).join(' | ')}] …`);
    return 2;
  }

  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  const skip = (what: string, why: string): void => {
    skipped.push(`SKIPPED ${what}: ${why}`);
    say(skipped.at(-1) ?? '');
  };
  const lld = await had(
    () => debianProgram('lld', 'ld.lld', say),
    (why) => skip('comparison with ld.lld', why),
  );

  const waiting: string[] = [];
  // One after the other: they share the mirror and its lock.
  for (const name of names) {
    const kernel = await had(
      () => debianKernel(name, { log: say }),
      (why) => skip(name, why),
    );
    if (kernel !== undefined) waiting.push(name);
  }
  const run = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await inProcess(name, lld === undefined ? 0 : sample, lld);
      say(`\n${report.lines.join('\n')}`);
      if (report.skipped !== undefined) skip(name, report.skipped);
      passed += report.passed;
      failed += report.failed;
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, run));

  say('');
  for (const line of skipped) say(line);
  if (passed + failed === 0) return 3;
  say(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  return failed > 0 ? 1 : 0;
}

/** The result, or undefined after telling why it cannot be had. */
async function had<T>(get: () => Promise<T>, otherwise: (why: string) => void): Promise<T | undefined> {
  try {
    return await get();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    otherwise(error.message.split('\n')[0] ?? error.message);
    return undefined;
  }
}

/** testTree() in a process of its own: its peak memory is the tree's. */
function inProcess(name: string, sample: number, lld: string | undefined): Promise<Report> {
  return new Promise((resolve) => {
    let report: Report | undefined;
    const child = fork(import.meta.filename, ['--tree', name, String(sample), lld ?? ''], { execArgv: SMALL_HEAP });
    child.on('message', (message) => {
      report = message as Report;
    });
    child.on('exit', (code, signal) => {
      const died = {
        lines: [`${name}: FAILED the process ended with ${signal ?? `exit ${code}`}`],
        passed: 0,
        failed: 1,
      };
      resolve(report ?? { ...died, skipped: undefined });
    });
  });
}

if (process.argv[2] === '--tree') {
  const [, , , name = '', sample, lld] = process.argv;
  const report = await testTree(await debianKernel(name), Number(sample), lld === '' ? undefined : lld);
  process.send?.(report, () => process.disconnect());
} else {
  process.exitCode = await main(process.argv.slice(2));
}
