/** The declarations of test/mutants cannot rot: what they change is there, and so is the test that is named. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { historicBugsPage } from '../scripts/mutants/table.ts';
import { killerOf, type Mutant } from './mutants/bug.ts';
import { bugs } from './mutants/index.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const mutants = bugs.flatMap(({ id, mutants: all = [] }) => all.map((mutant): [string, Mutant] => [id, mutant]));

test('every bug is there once, and is either made again or told why not', (t) => {
  t.is(new Set(bugs.map(({ id }) => id)).size, bugs.length);
  for (const { id, mutants: all, history, because } of bugs) {
    t.is(all === undefined && history === undefined, because !== undefined, id);
    t.not(all?.length, 0, id);
  }
});

test('scenarios of history are there, on their day, and explored', (t) => {
  const explored = read('test/testing/history.test.ts');
  for (const { history } of bugs) {
    if (history === undefined) continue;
    const { scenario, day } = history;
    const { kernel } = JSON.parse(read(`fixtures/scenarios/${scenario}.json`)) as { kernel?: typeof day };
    if (kernel !== undefined) t.is(day, kernel, scenario);
    t.regex(explored, new RegExp(`^ {2}'?${scenario}'?: `, 'm'));
  }
});

test('what a mutant changes is in its file exactly once, and becomes something else', (t) => {
  for (const [id, { file, find, replace }] of mutants) {
    t.is(read(file).split(find).length - 1, 1, `${id}: ${file}: ${find}`);
    t.not(find, replace, id);
  }
});

test('the test that must find it is in its file', (t) => {
  for (const [id, mutant] of mutants) {
    const { file, title } = killerOf(mutant);
    t.regex(file, /^test\/.*\.test\.ts$/, id);
    // Titles are put together from templates: their words are looked for, and `npm run test:mutants` sees the rest.
    const source = read(file);
    for (const word of title.split(/\W|_/)) t.true(source.includes(word), `${id}: ${file} has no "${word}"`);
  }
});

test('docs/historic-bugs.md is made from them (npm run test:mutants -- --docs)', (t) => {
  t.is(read('docs/historic-bugs.md'), historicBugsPage(bugs));
});

const list = new URL('../../shared/historic-bugs.json', import.meta.url);

test(`all of ../shared/historic-bugs.json${existsSync(list) ? '' : ', which is not here: nothing to compare'}`, (t) => {
  t.pass();
  if (!existsSync(list)) return;
  const known = (JSON.parse(readFileSync(list, 'utf8')) as { bugs: { id: string; scope: string[]; arch: string }[] })
    .bugs;
  const facts = (all: readonly { id: string; scope: readonly string[]; arch: string }[]): string[] =>
    all.map(({ id, scope, arch }) => `${id} ${arch} ${scope.join()}`).toSorted();
  t.deepEqual(facts(bugs), facts(known));
});
