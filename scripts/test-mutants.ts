// Makes the historic bugs of test/mutants again, one at a time, and wants the test that is named for each to fail.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { explore } from '../loader/explore.ts';
import { parseScenario, worldsOf } from '../testing/scenario.ts';
import { type Bug, killerOf, type Mutant } from '../test/mutants/bug.ts';
import { bugs } from '../test/mutants/index.ts';
import { historicBugsPage } from './mutants/table.ts';

const root = join(import.meta.dirname, '..');
const ava = join(dirname(fileURLToPath(import.meta.resolve('ava'))), 'cli.js');
const preload = new URL('mutants/mutate.ts', import.meta.url).href;
const WORKERS = 2;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { docs: { type: 'boolean' } } });
const unknown = positionals.find((id) => !bugs.some((bug) => bug.id === id));
if (unknown !== undefined) {
  console.error(`usage: test-mutants [--docs] [ID…]; there is no ${unknown}`);
  process.exit(2);
}
if (values.docs === true) {
  writeFileSync(join(root, 'docs/historic-bugs.md'), historicBugsPage(bugs));
  process.exit(0);
}

interface Result {
  readonly title: string;
  readonly ok: boolean;
  /** Class of the error. */
  readonly error: string;
}

/** Runs tests by their files and parts of their titles, and reads the TAP. */
function run(files: readonly string[], titles: readonly string[], mutant?: Mutant): Promise<Result[]> {
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: `--import ${preload}` };
  if (mutant !== undefined) env['KOMULATOR_MUTANT'] = JSON.stringify(mutant);
  const match = titles.flatMap((title) => ['--match', `*${title}*`]);
  const args = [ava, '--tap', '--timeout=60s', ...files, ...match];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env, maxBuffer: 1 << 28 }, (_, stdout) => resolve(parseTap(stdout)));
  });
}

function parseTap(tap: string): Result[] {
  const results: Result[] = [];
  for (const line of tap.split('\n')) {
    const [, not, title] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (title !== undefined) results.push({ title, ok: not === undefined, error: '' });
    const [, error] = /^ {4}name: (\S+)$/.exec(line) ?? [];
    if (error !== undefined) results.push({ ...results.pop()!, error });
  }
  return results;
}

/** Not found out but broken: the change made nonsense of the source. */
const NONSENSE = ['SyntaxError', 'ReferenceError'];

/** Undefined: the test fails, as it should. */
async function survives(mutant: Mutant): Promise<string | undefined> {
  const { file, title } = killerOf(mutant);
  const results = await run([file], [title], mutant);
  const killed = results.filter((result) => !result.ok && result.title.includes(title));
  const nonsense = killed.find(({ error }) => NONSENSE.includes(error));
  if (nonsense !== undefined) return `${nonsense.error} in "${nonsense.title}"`;
  if (killed.length > 0) return undefined;
  return results.some(({ title: other }) => other.includes(title))
    ? `lives: "${title}" passes`
    : `no test "${title}" was run: ${results.map((result) => result.title).join('; ')}`;
}

const chosen = bugs.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
const all = chosen.flatMap((bug) => (bug.mutants ?? []).map((mutant, n): [Bug, Mutant, number] => [bug, mutant, n]));
let [passed, failed] = [0, 0];

// The same tests, without any change.
const killers = all.map(([, mutant]) => killerOf(mutant));
if (killers.length > 0) {
  const distinct = (what: readonly string[]): string[] => [...new Set(what)];
  const results = await run(distinct(killers.map(({ file }) => file)), distinct(killers.map(({ title }) => title)));
  const bad = results.filter(({ ok }) => !ok);
  for (const { title } of bad) console.log(`fails without any mutant: ${title}`);
  failed += bad.length;
  for (const { file, title } of killers) {
    if (results.some((result) => result.title.includes(title))) continue;
    console.log(`${file} has no test "${title}"`);
    failed++;
  }
}

const queue = all.slice();
async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [bug, mutant, n] = next;
    const name = (bug.mutants?.length ?? 0) > 1 ? `${bug.id}/${n + 1}` : bug.id;
    const why = await survives(mutant);
    if (why === undefined) passed++;
    else failed++;
    console.log(`${why === undefined ? 'found' : 'FAILED'}  ${name.padEnd(9)} ${why ?? mutant.killedBy}`);
  }
}
await Promise.all(Array.from({ length: WORKERS }, work));

// Those of a day of history: the explorer finds them there.
for (const { id, history } of chosen) {
  if (history === undefined) continue;
  const file = `fixtures/scenarios/${history.scenario}.json`;
  const scenario = parseScenario(readFileSync(join(root, file), 'utf8'));
  const { violation } = explore(worldsOf(scenario, history.day));
  if (violation !== undefined) passed++;
  else failed++;
  const what = violation === undefined ? 'nothing breaks' : violation.what;
  console.log(`${violation === undefined ? 'FAILED' : 'found'}  ${id.padEnd(9)} ${file} on ${history.day}: ${what}`);
}
const beyond = chosen.filter(({ because }) => because !== undefined);
for (const { id, because } of beyond) console.log(`cannot  ${id.padEnd(9)} ${because}`);
console.log(`${chosen.length - beyond.length} bugs are made again, ${beyond.length} cannot be (docs/historic-bugs.md)`);
console.log(`${passed} passed, ${failed} failed, ${beyond.length} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
