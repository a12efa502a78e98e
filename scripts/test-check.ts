/**
 * `komulator check` against whole Debian trees: nothing invented, every module and relocation counted, modules.dep byte
 * for byte and modules.symbols entry for entry as depmod 34 wrote them; and what the quick look of the x86-64 tree says
 * beside what insmod says of each of its modules, whole and mutated.
 *
 *     npm run test:check -- [amd64 arm64 …]
 *
 * Kernels that are not in the cache are fetched; one that cannot be had is skipped, with the reason. Ends with
 * `N passed, N failed[, N skipped]`; exit 0, 1, 2 = wrong use, 3 = nothing could be had.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from './debian/cache.ts';
import { debianKernel } from './debian/fetch.ts';
import type { DebianKernel } from './debian/manifest.ts';
import { KERNELS } from './debian/table.ts';
import { proofAgainstInsmod } from './kernels/proof.ts';

const DEFAULT = ['amd64', 'arm64', 'riscv64', 's390x', 'ppc64el', 'armhf', 'loong64'];
/** Bytes of all threads together, and of xz. */
const MOST_MEMORY = 250;

const komulator = join(import.meta.dirname, '../cli/main.ts');
const say = (line: string): void => console.log(line);
let passed = 0;
let failed = 0;

function assert(what: string, holds: boolean, otherwise = ''): void {
  if (holds) passed++;
  else failed++;
  say(`  ${holds ? 'ok    ' : 'FAILED'} ${what}`);
  if (!holds && otherwise !== '') say(`         ${otherwise.split('\n').slice(0, 12).join('\n         ')}`);
}

interface CheckJson {
  readonly modules: number;
  readonly loaded: number;
  readonly failed: readonly { readonly module: string; readonly reason: string }[];
  readonly relocations: number;
  readonly seconds: number;
}

/** Runs the command; the third line of stderr is its peak memory in kilobytes. */
function run(args: readonly string[]): { readonly out: string; readonly code: number | null; readonly err: string; readonly megabytes: number } {
  const wrapped = `process.on('exit', () => require('node:fs').writeSync(2, '\\npeak ' + process.resourceUsage().maxRSS));process.argv.splice(1, 0, ${JSON.stringify(komulator)});import(${JSON.stringify(komulator)})`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', wrapped, '--', ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const peak = Number(/\npeak (\d+)/.exec(stderr)?.[1] ?? 0);
  return { out: stdout, code: status, err: stderr.replace(/\npeak \d+/, ''), megabytes: peak / 1024 };
}

function testKernel(kernel: DebianKernel): void {
  const common = ['check', kernel.modulesDir, '--symvers', kernel.symvers];
  const { out, code, err, megabytes } = run([...common, '--json']);
  say(`\n${kernel.name}: ${kernel.version}`);
  if (out === '') return assert('the check runs', false, err);
  const result = JSON.parse(out) as CheckJson;
  const told = result.failed.map(({ module, reason }) => `${module}: ${reason}`).join('\n');
  assert(
    `${result.loaded} of ${kernel.modules} modules would load, ${result.relocations.toLocaleString('en-US')} relocations, ${result.seconds.toFixed(1)} s`,
    code === 0 && result.failed.length === 0 && result.loaded === kernel.modules && result.modules === kernel.modules,
    told,
  );
  assert(`${megabytes.toFixed(0)} MB at most ${MOST_MEMORY} MB`, kernel.name !== 'amd64' || megabytes <= MOST_MEMORY);
  const their = readFileSync(join(kernel.modulesDir, 'modules.dep'), 'utf8');
  const ours = run([...common, '--graph', 'modules.dep']).out;
  assert(`modules.dep is that of ${kernel.depmod}, byte for byte`, ours === their, firstDifference(ours, their));
  const symbols = sorted(readFileSync(join(kernel.modulesDir, 'modules.symbols'), 'utf8'));
  const ourSymbols = sorted(run([...common, '--graph', 'modules.symbols']).out);
  assert(`modules.symbols: the same ${symbols.split('\n').length - 1} entries`, ourSymbols === symbols, firstDifference(ourSymbols, symbols));
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
      // oxlint-disable-next-line no-await-in-loop -- one after the other: they are timed
      const kernel = await debianKernel(name, { log: say });
      testKernel(kernel);
      if (name !== 'amd64') continue;
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { modules, proven, agreed, mutants, provenMutants, wrong } = await proofAgainstInsmod(kernel);
      assert(`the quick look proves ${proven} of ${modules} modules, and insmod takes ${agreed} of them`, proven > 0.99 * modules && agreed === proven, wrong.join('\n'));
      assert(`${provenMutants} of ${mutants} mutants are proven, and insmod takes each`, wrong.length === 0 && provenMutants > 0, wrong.join('\n'));
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
