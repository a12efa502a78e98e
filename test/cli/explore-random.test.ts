/** `komulator explore --random`: seeds, paths and what it exits with. */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { komulator } from './captured.ts';

const scenario = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/scenarios/${name}.json`, import.meta.url));

test('what breaks at random is told as a timeline, and found again by seed, by path and by schedule', async (t) => {
  const args = ['explore', scenario('rcu-callback'), '--random', '--seed', '7'];
  const { code, out } = await komulator(...args);
  t.is(code, 1);
  const lines = out.trimEnd().split('\n');
  t.is(lines[1], 'use after free: a callback of filter is called, and filter was freed by admin in unload filter');
  t.regex(out, /^ {2}admin {2}do_init_module +filter LIVE 0$/m);
  t.regex(out, /^found among \d+ random schedules \(seed 7\), \d+ states, \d+ moves, and shrunk;/m);
  t.is((await komulator(...args)).out, out);
  const path = /^or: --random --seed 7 --path (\S+)$/m.exec(out)?.[1] ?? '';
  const told = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('  '));
  t.deepEqual(told((await komulator(...args, '--path', path)).out), told(out));
  const schedule = /^again: --schedule (\S+)$/m.exec(out)?.[1] ?? '';
  t.deepEqual(told((await komulator('explore', scenario('rcu-callback'), '--schedule', schedule)).out), told(out));
});

test('nothing found is no proof; JSON has what exhaustive exploration has, and the seed', async (t) => {
  const { code, out } = await komulator('explore', scenario('open'), '--random', '--runs', '20', '--seed', '3');
  t.is(code, 0);
  t.regex(
    out,
    /\nnothing has broken in 20 random schedules \(seed 3\), \d+ states, \d+ moves, 4 of them cut off before all threads had ended; that is no proof\n$/,
  );
  const json = await komulator('explore', scenario('open'), '--random', '--runs', '20', '--seed', '3', '--json');
  const found = JSON.parse(json.out) as Record<string, unknown>;
  t.deepEqual([found['seed'], found['schedules'], found['exhausted'], found['kernel']], [3, '20', false, '7.2']);
  t.is(typeof found['states'], 'number');
});

test('wrong use', async (t) => {
  for (const [args, message] of [
    [['--seed', '1'], /--seed goes with --random/],
    [['--runs', '1'], /--runs goes with --random/],
    [['--random', '--path', '1'], /--path goes with the --seed/],
    [['--random', '--seed', '1', '--path', 'x'], /--path x: is no path/],
    [['--random', '--seed', 'x'], /--seed x: is no whole number/],
    [['--random', '--runs', '0'], /--runs 0: is less than 1/],
    [['--random', '--states', '5'], /--random has --runs/],
  ] as const) {
    const { code, err } = await komulator('explore', scenario('open'), ...args);
    t.is(code, 2);
    t.regex(err, message);
  }
});
