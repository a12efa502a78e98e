/** `komulator explore`: what it prints, what it exits with, and schedules that are followed again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { run } from '../../cli/run.ts';
import { komulator } from './captured.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-explore-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));
const scenario = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/scenarios/${name}.json`, import.meta.url));

test('a scenario that breaks: what, the timeline, and the schedule', async (t) => {
  const { code, out } = await komulator('explore', scenario('rcu-callback'));
  t.is(code, 1);
  const lines = out.trimEnd().split('\n');
  t.regex(lines[0]!, /\(7\.2\)$/);
  t.is(lines[1], 'use after free: a callback of filter is called, and filter was freed by admin in unload filter');
  t.regex(out, /^ {2}admin {2}do_init_module +filter LIVE 0$/m);
  const schedule = /^again: --schedule (\S+)$/m.exec(out)?.[1] ?? '';
  const again = await komulator('explore', scenario('rcu-callback'), '--schedule', schedule);
  t.is(again.code, 1);
  t.true(out.startsWith(again.out));
  const short = await komulator('explore', scenario('rcu-callback'), '--schedule', 'admin,admin', '--json');
  t.deepEqual((JSON.parse(short.out) as { timeline: unknown }).timeline, [
    { thread: 'admin', step: 'early_mod_check', modules: [] },
    { thread: 'admin', step: 'add_unformed_module', modules: ['filter UNFORMED -1'] },
  ]);
});

test('a scenario that does not, on a kernel of choice, and as JSON', async (t) => {
  const { code, out } = await komulator('explore', scenario('rcu-barrier'), '--kernel', '6.1');
  t.is(code, 0);
  t.regex(out, /\(6\.1\)\nnothing breaks: \d+ states, \d+ schedules, \d+ moves\n$/);
  const json = await komulator('explore', scenario('rcu-callback'), '--json');
  const found = JSON.parse(json.out) as { violation: { schedule: string[] }; schedules: string; exhausted: boolean };
  t.is(json.code, 1);
  t.is(found.violation.schedule.at(-1), 'rcu');
  t.false(found.exhausted);
  t.regex(found.schedules, /^\d+$/);
});

test('too large for the states allowed: says so, and is no success', async (t) => {
  const { code, out } = await komulator('explore', scenario('three-by-three'), '--states', '50');
  t.is(code, 1);
  t.regex(out, /nothing has broken in 50 states, .*, and there is more: there are more than 50 states/);
});

const written = (name: string, content: object): string => {
  const file = join(dir, name);
  writeFileSync(file, JSON.stringify(content));
  return file;
};

test('a behaviour that throws: who, where, why, and what was seen so far', async (t) => {
  const file = written('throws.json', {
    title: 'It throws',
    modules: { m: { init: ['yield', 'throw oops'] } },
    threads: { a: ['load m'], b: ['yield'] },
  });
  const { code, out, err } = await komulator('explore', file);
  t.deepEqual([code, err], [1, '']);
  t.regex(out, /^It throws \(7\.2\)\na: m\.init throws: oops\n/);
  t.regex(out, /^ {2}a {2}dies +m COMING 1$/m);
  t.true(out.includes('\nthere:\n  m: throw oops\n  m.init\n  init_module\n  load m\n  a\n'));
  t.regex(out, /\nfound among \d+ states and \d+ moves; no shorter schedule breaks it\n/);
});

test('an endless behaviour: whose it is, and what was seen so far', async (t) => {
  const file = written('endless.json', {
    modules: { m: { init: ['forever'] } },
    threads: { a: ['load m'], b: ['load m'] },
  });
  const { code, out, err } = await komulator('explore', file);
  t.deepEqual([code, err], [1, '']);
  t.regex(
    out,
    /nothing has broken in \d+ states, \d+ schedules, \d+ moves, and there is more: a schedule has more than 1000 moves, and [ab] goes on with init: forever: it may be endless\n$/,
  );
  const json = await komulator('explore', file, '--json');
  const found = JSON.parse(json.out) as { exhausted: boolean; states: number; stopped: string };
  t.deepEqual([json.code, found.exhausted], [1, false]);
  t.true(found.states > 1000);
  t.regex(found.stopped, /it may be endless$/);
});

test('what --json gave can be followed again, on the kernel it was found on', async (t) => {
  const { out } = await komulator('explore', scenario('already-loaded'), '--json');
  const file = join(dir, 'found.json');
  writeFileSync(file, out);
  const found = JSON.parse(out) as { kernel: string; violation: { timeline: unknown; what: string; stacks: unknown } };
  t.is(found.kernel, '3.6');
  const again = await komulator('explore', scenario('already-loaded'), '--schedule', file, '--json');
  t.is(again.code, 1);
  const followed = JSON.parse(again.out) as typeof found & { title: string; timeline: unknown };
  t.deepEqual([followed.kernel, followed.title === ''], ['3.6', false]);
  t.deepEqual(followed.timeline, found.violation.timeline);
  t.deepEqual([followed.violation.what, followed.violation.stacks], [found.violation.what, found.violation.stacks]);
  const none = join(dir, 'none-in-it.json');
  writeFileSync(none, '{"schedule":[1]}');
  const bad = await komulator('explore', scenario('already-loaded'), '--schedule', none);
  t.is(bad.code, 2);
  t.regex(bad.err, /none-in-it\.json: holds no schedule/);
});

test('use after free: both stacks; and the days of history as kernels', async (t) => {
  const { code, out } = await komulator('explore', scenario('can-unload'));
  t.is(code, 1);
  t.regex(out, /\(2\.4-can_unload\)\nuse after free/);
  t.true(out.includes('\nused:\n  driver.dev\n  call dev\n  user\n\nfreed:\n  free_module\n  delete_module\n'));
  const mended = await komulator('explore', scenario('can-unload'), '--kernel', '2.4');
  t.is(mended.code, 0);
  const wrong = await komulator('explore', scenario('can-unload'), '--kernel', '2.3');
  t.is(wrong.code, 2);
  t.regex(wrong.err, /Allowed choices are 6\.1, 6\.12, 7\.2, 2\.2, /);
});

test('wrong use', async (t) => {
  const bad = join(dir, 'bad.json');
  writeFileSync(bad, '{"modules":{},"threads":{"a":["load m"]}}');
  for (const [args, message] of [
    [[bad], /bad\.json: thread a: "load m": the scenario has no module m/],
    [[join(dir, 'none.json')], /none\.json.*no such file/],
    [[scenario('open'), '--states', '0'], /--states is a number above 0/],
    [[scenario('open'), '--schedule', 'nobody'], /nobody cannot go on/],
    [[scenario('open'), '--schedule', ''], /--schedule is empty/],
    [[scenario('open'), '--schedule', 'a', '--random'], /--random does not go with it/],
    [[scenario('open'), '--schedule', 'a', '--states', '5'], /--states does not go with it/],
    [
      [scenario('open'), '--schedule', written('old.json', { kernel: '9.9', schedule: ['a'] })],
      /there is no kernel "9\.9"/,
    ],
  ] as const) {
    const { code, err } = await komulator('explore', ...args);
    t.is(code, 2);
    t.regex(err, message);
  }
});

test.serial('it tells how far it has come, and Ctrl-C ends it with what was seen: exit 130', async (t) => {
  const out: string[] = [];
  const words: string[] = [];
  const code = await run(['explore', scenario('three-by-three')], {
    print: (line) => out.push(line),
    complain: (line) => t.fail(line),
    progress(said) {
      if (said === undefined) return;
      words.push(said);
      process.emit('SIGINT');
    },
    paint: (_, text) => text,
    paintError: (_, text) => text,
  });
  t.is(code, 130);
  t.is(words.length, 1);
  t.regex(words[0]!, /^\d+ states, \d+ moves$/);
  const [states] = /^\d+/.exec(words[0]!)!;
  t.regex(out[1]!, new RegExp(`^nothing has broken in ${states} states, .* and there is more: it was interrupted$`));
  t.is(process.listenerCount('SIGINT'), 0);
});
