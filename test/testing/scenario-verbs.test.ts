/** What each verb does, in schedules that are followed or all of them; and what is wrong, with both stacks. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { applyMove, deadlockOf, explore, type Exploration, movesOf, type World } from '../../loader/explore.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { parseScenario, type Scenario, worldsOf } from '../../testing/scenario.ts';
import { verbs } from '../../testing/scenario-language.ts';

type Parts = Omit<Scenario, 'title'>;

const worlds = (parts: Parts, version?: Version): (() => World) =>
  worldsOf(parseScenario(JSON.stringify(parts)), version);
const all = (parts: Parts, version?: Version): Exploration => explore(worlds(parts, version));

/** Runs thread after thread, each as far as it can; what each step was. */
function inTurn(parts: Parts, version?: Version): { steps: string[]; world: World } {
  const world = worlds(parts, version)();
  const steps: string[] = [];
  for (let moves = movesOf(world); moves.length > 0; moves = movesOf(world)) {
    const thread = applyMove(world, moves[0]!);
    if (thread.outcome === undefined) steps.push(`${thread.name} ${thread.step}`);
  }
  return { steps, world };
}

const stacksOf = ({ violation }: Exploration): Record<string, readonly string[]> =>
  Object.fromEntries(violation!.stacks.map(({ of, frames }) => [of, frames]));

test('every verb is told of in docs/scenarios.md, and used in a scenario of a test', (t) => {
  const page = readFileSync(new URL('../../docs/scenarios.md', import.meta.url), 'utf8');
  const tests = readFileSync(new URL(import.meta.url), 'utf8');
  for (const verb of Object.keys(verbs)) {
    t.regex(page, new RegExp(`\`${verb}[ \`]`), verb);
    t.regex(tests, new RegExp(`'(must )?${verb}[ ']`), verb);
  }
});

// References.

test('get, try_module_get, __module_get, put, module_put: each holder is counted', (t) => {
  const { steps } = inTurn({
    modules: { m: {} },
    threads: {
      a: ['load m', 'get m', 'try_module_get m', '__module_get m', 'unload m', 'put m', 'put m', 'module_put m'],
      b: ['put m', '__module_get m', 'unload m', 'get m', 'module_put m'],
    },
  });
  t.deepEqual(
    steps.filter((step) => / (un)?load m:| put| get|try_module_get|module_(get|put)/.test(step)),
    [
      'a get m',
      'a try_module_get m',
      'a __module_get m',
      'a unload m: EAGAIN',
      'a put m',
      'a put m',
      'a module_put m',
      'b put m: holds none',
      'b __module_get m: holds none',
      'b get m: no reference',
      'b module_put m: no such module',
    ],
  );
});

test('a reference that another thread holds can be given back for it', (t) => {
  const found = all({ modules: { m: {} }, threads: { a: ['load m', 'get m', 'module_put m', 'unload m'] } });
  t.is(found.violation, undefined);
  const passed = inTurn({ modules: { m: {} }, threads: { a: ['load m', 'get m'], b: ['module_put m', 'unload m'] } });
  t.is(passed.world.violation(), undefined);
  t.deepEqual(passed.world.kernel.modules, []);
});

test('underflow: who drops below zero, and who was the last that did not', (t) => {
  const found = all({
    modules: { m: {} },
    threads: { a: ['load m', 'get m', 'put m', 'module_put m'] },
  });
  t.is(
    found.violation?.what,
    'underflow: a drops a reference of m, which nobody holds; the last was dropped by a in put m',
  );
  t.deepEqual(stacksOf(found), { dropped: ['module_put m', 'a'], 'dropped before': ['put m', 'a'] });
});

test('symbol_get and symbol_put pin who exports the symbol', (t) => {
  const { steps } = inTurn({
    modules: { lib: { exports: ['f'] } },
    threads: {
      a: ['symbol_get f', 'load lib', 'symbol_get f', 'unload lib', 'symbol_put f', 'symbol_put f', 'unload lib'],
    },
  });
  t.deepEqual(
    steps.filter((step) => /symbol_(get|put) f|unload lib/.test(step)),
    [
      'a symbol_get f: NULL',
      'a symbol_get f',
      'a unload lib: EAGAIN',
      'a symbol_put f',
      'a symbol_put f: holds none',
      'a unload lib',
    ],
  );
});

test("a module's own code may take references too", (t) => {
  const parts: Parts = {
    modules: { m: { init: ['__module_get m', 'try_module_get m', 'put m', 'module_put m'] } },
    threads: { a: ['load m', 'unload m'] },
  };
  for (const version of versions)
    t.deepEqual([all(parts, version).violation, all(parts, version).exhausted], [undefined, true]);
});

// Freed memory.

test('use after free: who uses it and who freed it, function by function', (t) => {
  const found = all({
    modules: {
      driver: { init: ['register dev'], exit: ['unregister dev'], functions: { dev: ['yield'] } },
    },
    threads: { admin: ['load driver', 'unload driver'], user: ['open-uncounted dev', 'call dev'] },
  });
  t.is(
    found.violation?.what,
    'use after free: user calls dev in driver, and driver was freed by admin in unload driver',
  );
  t.deepEqual(stacksOf(found), {
    used: ['driver.dev', 'call dev', 'user'],
    freed: ['free_module', 'delete_module', 'unload driver', 'admin'],
  });
});

test('a function of the init section runs until init has ended, and not after', (t) => {
  const parts = (init: readonly string[]): Parts => ({
    modules: { driver: { init, exit: ['unregister dev'], functions: { '__init dev': [] } } },
    threads: { admin: ['load driver'], user: ['open dev', 'call dev', 'close dev'] },
  });
  for (const version of versions) {
    const found = all(parts(['register dev', 'yield']), version);
    t.is(
      found.violation?.what,
      'use after free: user calls dev in driver, and the init section of driver was freed by kworker in do_free_init',
    );
    t.deepEqual(stacksOf(found), {
      used: ['driver.dev', 'call dev', 'user'],
      freed: ['do_free_init', 'kworker'],
    });
    const within = all(parts(['register dev', 'open dev', 'must call dev', 'close dev', 'unregister dev']), version);
    t.regex(within.violation?.what ?? '', /^use after free: user (runs|calls) dev/, 'somebody else may have it open');
    const alone: Parts = { ...parts(['register dev', 'open dev', 'must call dev', 'close dev', 'unregister dev']) };
    t.is(all({ ...alone, threads: { admin: ['load driver'] } }, version).violation, undefined);
  }
});

test('a thread of a module that is gone runs code that is gone; kthread_stop waits for it', (t) => {
  const parts = (exit: readonly string[]): Parts => ({
    modules: { m: { init: ['kthread_run work'], exit, functions: { work: ['yield', 'yield'] } } },
    threads: { a: ['load m', 'unload m'] },
  });
  const found = all(parts([]));
  t.is(found.violation?.what, 'use after free: m/work calls work in m, and m was freed by a in unload m');
  t.deepEqual(stacksOf(found)['used'], ['m.work', 'm/work']);
  t.deepEqual(
    [all(parts(['kthread_stop work'])).violation, all(parts(['kthread_stop work'])).exhausted],
    [undefined, true],
  );
});

test('a module freed although its init failed while somebody has it open: every kernel does that', (t) => {
  for (const version of versions) {
    const found = all(
      {
        modules: { driver: { init: ['register dev', 'unregister dev', 'return -12'] } },
        threads: { admin: ['load driver'], user: ['open dev', 'call dev', 'close dev'] },
      },
      version,
    );
    t.regex(
      found.violation?.what ?? '',
      /^use after free: user (calls|runs) dev in driver, and driver was freed by admin/,
    );
  }
});

// Packets, callbacks, grace periods.

test('pass runs the hook, attach leaves something with the packet, release gives it back, wait_objects waits', (t) => {
  const { steps, world } = inTurn({
    modules: {
      m: {
        init: ['register hook'],
        exit: ['unregister hook', 'wait_objects'],
        functions: { hook: ['attach gone'], gone: [] },
      },
    },
    threads: { a: ['load m'], b: ['pass hook'], c: ['release'], d: ['unload m'] },
  });
  t.true(steps.includes('b in hook: attach gone'));
  t.true(steps.includes('c release: has nothing'));
  t.is(steps.at(-1), 'd exit: wait_objects', 'b has the packet for ever');
  t.regex(deadlockOf(world) ?? '', /^deadlock: d sleeps in exit: wait_objects$/);
});

test('synchronize_rcu waits for those who read, and for no others', (t) => {
  const { violation, exhausted } = all({
    modules: {
      m: { init: ['register hook'], exit: ['unregister hook', 'synchronize_rcu'], functions: { hook: ['yield'] } },
    },
    threads: { a: ['load m', 'unload m'], b: ['pass hook', 'pass hook'], c: ['pass hook'] },
  });
  t.deepEqual([violation, exhausted], [undefined, true]);
});

test('call_rcu waits for readers; rcu_barrier waits for callbacks', (t) => {
  const parts = (exit: readonly string[]): Parts => ({
    modules: { m: { init: ['register hook'], exit, functions: { hook: ['yield'], free: [] } } },
    threads: { a: ['load m', 'unload m'], b: ['pass hook'] },
  });
  const found = all(parts(['unregister hook', 'call_rcu free', 'rcu_barrier']));
  t.deepEqual([found.violation, found.exhausted], [undefined, true]);
  const without = all(parts(['unregister hook', 'synchronize_rcu', 'call_rcu free']));
  t.is(without.violation?.what, 'use after free: a callback of m is called, and m was freed by a in unload m');
  t.deepEqual(stacksOf(without)['used'], ['callback of m', 'rcu']);
});

// Others that are asked for.

test('request_module finds by name and by alias, loads what is needed first, and waits', (t) => {
  const { steps, world } = inTurn({
    modules: {
      lib: { exports: ['f'] },
      crypto: { uses: ['f'], alias: ['net-pf-10'] },
      m: { init: ['request_module net-pf-10', 'request_module lib', 'request_module nobody'] },
    },
    threads: { a: ['load m'] },
  });
  t.deepEqual(world.kernel.modules.map(({ name, state }) => `${name} ${state}`).toSorted(), [
    'crypto LIVE',
    'lib LIVE',
    'm LIVE',
  ]);
  t.true(steps.includes('a init: request_module net-pf-10'));
  t.true(steps.includes('a init: request_module nobody: modprobe finds none'));
  t.true(steps.includes('a/modprobe do_init_module'));
});

test('at most 50 modprobes run at once, and who waits five seconds for that gives up; names have an end', (t) => {
  const threads = Object.fromEntries(
    Array.from({ length: 51 }, (_, i) => [`t${i}`, ['request_module m']] as [string, readonly string[]]),
  );
  const { steps, world } = inTurn({
    modules: { m: { init: ['sleep 9000'] } },
    threads: { ...threads, z: ['sleep 9001', 'request_module m', `request_module ${'x'.repeat(56)}`] },
  });
  t.deepEqual(
    steps.filter((step) => step.endsWith('ETIME')),
    ['t50 request_module m: ETIME'],
  );
  t.true(
    world.kernel.log.includes(
      'request_module: modprobe m cannot be processed, kmod busy with 50 threads for more than 5 seconds now',
    ),
  );
  t.true(steps.includes(`z request_module ${'x'.repeat(56)}: ENAMETOOLONG`));
});

test('modprobe skips what is LIVE, and takes EEXIST for success', (t) => {
  for (const version of versions) {
    const found = all(
      {
        modules: { lib: { exports: ['f'] }, m: { uses: ['f'] } },
        threads: { a: ['must modprobe m'], b: ['must modprobe m'] },
      },
      version,
    );
    t.deepEqual([found.violation?.what, found.exhausted], [undefined, true]);
  }
});

test('a module that asks in its init for one that needs itself waits for ever', (t) => {
  for (const version of versions) {
    const found = all(
      {
        modules: { lib: { exports: ['f'], init: ['request_module user'] }, user: { uses: ['f'] } },
        threads: { a: ['finit lib'] },
      },
      version,
    );
    t.regex(found.violation?.what ?? '', /^deadlock: a sleeps in init: request_module user, a\/modprobe sleeps in /);
  }
});

test('kill ends a sleep that a signal can end, and the one it would have waited for goes on', (t) => {
  const { steps } = inTurn({
    modules: { m: { init: ['sleep 5000'] } },
    threads: { a: ['load m', 'by 0'], b: ['sleep 10', 'kill a'] },
  });
  t.true(steps.includes('a init: sleep 5000: EINTR'));
  t.is(steps.filter((step) => step === 'b sleep 10').length, 2);
});

// Asynchronous probing.

test('a load waits for what its init has scheduled, unless the module has async_probe', (t) => {
  const parts = (async_probe: boolean): Parts => ({
    modules: { m: { init: ['async_schedule probe'], functions: { probe: ['sleep 100'] }, async_probe } },
    threads: { a: ['load m', 'by 0', 'unload m'] },
  });
  for (const version of versions) {
    t.is(all(parts(false), version).violation?.what, 'a comes to "by 0" at 100');
    const found = all(parts(true), version);
    t.deepEqual([found.violation, found.exhausted], [undefined, true], 'and unloading waits for it in any case');
  }
});

test('while a load waits for its asynchronous part the module is LIVE, and cannot be unloaded', (t) => {
  const { steps } = inTurn({
    modules: { m: { init: ['async_schedule probe'], functions: { probe: ['sleep 100'] } } },
    threads: { a: ['load m'], b: ['sleep 50', 'unload m', 'sleep 100', 'unload m'] },
  });
  t.deepEqual(
    steps.filter((step) => step.startsWith('b unload')),
    ['b unload m: EAGAIN', 'b unload m'],
  );
});

test('an asynchronous part that asks for a module whose init waits for all of them sleeps for ever', (t) => {
  const found = all({
    modules: { m: { init: ['async_schedule probe'], functions: { probe: ['request_module lib'] } }, lib: {} },
    threads: { a: ['load m'] },
  });
  t.regex(
    found.violation?.what ?? '',
    /^deadlock: a sleeps in async_synchronize_full, m\/probe sleeps in request_module/,
  );
});

// Time.

test('the clock goes on when nobody can; whose time has come may go on in any order', (t) => {
  const found = all({
    modules: {},
    threads: { a: ['sleep 10', 'by 10'], b: ['sleep 10', 'by 10'], c: ['sleep 5', 'by 5', 'sleep 5', 'by 10', 'by 9'] },
  });
  t.is(found.violation?.what, 'c comes to "by 9" at 10');
  const order = new Set<string>();
  const make = worlds({ modules: {}, threads: { a: ['sleep 10'], b: ['sleep 10'] } });
  const watched = (): World => {
    const world = make();
    const own = world.violation.bind(world);
    const ended: string[] = [];
    world.violation = () => {
      for (const { name, outcome } of world.threads)
        if (outcome !== undefined && !ended.includes(name)) ended.push(name);
      if (ended.length === 2) order.add(ended.join());
      return own();
    };
    return world;
  };
  explore(watched, { prune: false });
  t.deepEqual([...order].toSorted(), ['a,b', 'b,a']);
});

// Behaviour that is none.

test('code that throws: who, in which function, and why', (t) => {
  const found = all({ modules: { m: { init: ['yield', 'throw oops'] } }, threads: { a: ['load m'] } });
  t.is(found.violation?.what, 'a: m.init throws: oops');
  t.deepEqual(stacksOf(found), { there: ['m: throw oops', 'm.init', 'init_module', 'load m', 'a'] });
  t.is(found.violation?.timeline.at(-1)?.step, 'dies');
  const device = all({
    modules: { m: { init: ['register d'], functions: { d: ['throw oops'] } } },
    threads: { a: ['load m', 'open d', 'call d'] },
  });
  t.is(device.violation?.what, 'a: m.d throws: oops');
});

test('threads that start threads without end', (t) => {
  const found = all({
    modules: { m: { init: ['kthread_run f'], functions: { f: ['kthread_run f'] } } },
    threads: { a: ['load m'] },
  });
  t.is(found.violation?.what, 'm/f8: m.f throws: 8 threads of modules run already: is there an end to them?');
});

test('code that never ends: by whom the limit was reached, and what was seen until then', (t) => {
  const make = worlds({ modules: { m: { init: ['forever'] } }, threads: { a: ['load m'], b: ['cpu 1'] } });
  const found = explore(make, { length: 60 });
  t.is(found.stopped, 'a schedule has more than 60 moves, and a goes on with init: forever: it may be endless');
  t.deepEqual([found.exhausted, found.violation], [false, undefined]);
  t.true(found.states > 60);
});

test('must: what may not fail, in a thread and in code', (t) => {
  const found = all({ modules: { m: {} }, threads: { a: ['load m', 'must open dev'] } });
  t.is(found.violation?.what, 'a: must open dev: ENODEV');
  t.deepEqual(stacksOf(found), { there: ['must open dev', 'a'] });
});

test('finit, return, open-unlocked, open-uncounted, close: as their scenarios in fixtures, in turn', (t) => {
  const { steps } = inTurn({
    modules: { m: { init: ['register d', 'return 3'], exit: ['unregister d'] }, n: { init: ['return -5'] } },
    threads: {
      a: ['finit m', 'load n', 'open-unlocked d', 'close d', 'open-uncounted d', 'close d', 'close d', 'unload m'],
    },
  });
  t.deepEqual(
    steps.filter((step) => /open|close|load [mn]/.test(step)),
    [
      'a load n: EIO',
      'a open-unlocked d: found',
      'a open-unlocked d',
      'a close d',
      'a open-uncounted d',
      'a close d',
      'a close d: not open',
      'a unload m',
    ],
  );
});
