/** Scenarios that somebody thought of and explored, and was told wrong things of. */
import test from 'ava';
import { explore, type Exploration } from '../../loader/explore.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { type Day, parseScenario, type Scenario, worldsOf } from '../../testing/scenario.ts';

type Parts = Pick<Scenario, 'modules' | 'threads'>;

const run = (parts: Parts, kernel: Version | Day = '7.2'): Exploration =>
  explore(worldsOf(parseScenario(JSON.stringify(parts)), kernel));

test('a symbol that was missing before the wait for another: the load fails, however the threads are written', (t) => {
  const modules = {
    A: { exports: ['a'], init: ['sleep 10'] },
    B: { exports: ['b'], init: ['sleep 100'] },
    top: { uses: ['a', 'b'] },
  };
  const [t1, t2, t3] = [['load B'], ['sleep 50', 'load A'], ['sleep 50', 'load top', 'must get top']];
  for (const threads of [
    { t1, t2, t3 },
    { t1, t3, t2 },
    { t3, t2, t1 },
  ])
    t.is(run({ modules, threads }).violation?.what, 't3: must get top: no reference');
});

test('the time matters when code of a module asks for it', (t) => {
  const found = run({
    modules: { m: { init: ['sleep 5000'] }, n: { init: ['by 6000'] } },
    threads: { a: ['load m', 'unload m'], b: ['load m', 'load m', 'unload m', 'load n'] },
  });
  t.is(found.violation?.what, 'b comes to "by 6000" at 10000');
});

/** A hook whose packets nobody counts, and an exit that only unregisters it. */
const hook = {
  modules: { filter: { init: ['register hook'], exit: ['unregister hook'] } },
  threads: { admin: ['load filter', 'unload filter'], packet: ['pass hook'] },
};

test('free_module() waits for who reads, and so no packet is in memory that is freed', (t) => {
  for (const version of versions) {
    const found = run(hook, version);
    t.deepEqual([found.violation, found.exhausted], [undefined, true], version);
  }
  t.regex(
    run(hook, '2.4').violation!.what,
    /^use after free: packet (calls|runs) hook in filter, and filter was freed by admin/,
  );
});

test('it waits after the module is off the list, and for those who read then', (t) => {
  const make = worldsOf(parseScenario(JSON.stringify(hook)), '7.2');
  const world = make();
  const [admin, packet] = world.threads;
  admin!.runTo('do_init_module');
  packet!.run();
  t.is(packet!.step, 'hook found');
  admin!.runTo('free_mod_mem');
  t.is(admin!.step, 'synchronize_rcu');
  t.deepEqual(world.kernel.modules, []);
  t.false(admin!.isRunnable);
  packet!.runTo('pass hook');
  t.true(admin!.isRunnable);
});

test('a load that fails waits for who reads too', (t) => {
  for (const version of versions) {
    const found = run(
      {
        modules: { filter: { init: ['register hook', 'unregister hook', 'return -12'] } },
        threads: { admin: ['load filter'], packet: ['pass hook'] },
      },
      version,
    );
    t.deepEqual([found.violation, found.exhausted], [undefined, true], version);
  }
});

test('init memory stays until who reads has left it', (t) => {
  for (const version of versions) {
    const found = run(
      {
        modules: { m: { init: ['register hook', 'unregister hook'], functions: { '__init hook': ['yield'] } } },
        threads: { admin: ['load m', 'unload m'], packet: ['pass hook'] },
      },
      version,
    );
    t.deepEqual([found.violation, found.exhausted], [undefined, true], version);
  }
});

test('a driver that forgets to unregister is found in the registry when it is gone', (t) => {
  for (const verb of ['open', 'open-unlocked', 'open-uncounted']) {
    const found = run({
      modules: { driver: { init: ['register dev'] } },
      threads: { admin: ['load driver', 'unload driver'], user: [`${verb} dev`] },
    });
    t.is(
      found.violation?.what,
      'use after free: user finds dev of driver in the registry, and driver was freed by admin in unload driver',
      verb,
    );
  }
  const failed = run({
    modules: { m: { init: ['register d', 'return -12'] } },
    threads: { a: ['load m'], b: ['open d'] },
  });
  t.is(failed.violation?.what, 'use after free: b finds d of m in the registry, and m was freed by a in load m');
});

test('who closes a device drops a reference in memory that must be there', (t) => {
  const found = run({
    modules: { m: { init: ['register d', 'unregister d', 'return -12'] } },
    threads: { a: ['load m'], b: ['open d', 'close d'] },
  });
  t.is(found.violation?.what, 'use after free: b closes d of m, and m was freed by a in load m');
});

test('who waits for a name and who wakes concern each other: pruning leaves out no state', (t) => {
  for (const verbs of [
    ['load m', 'unload m', 'load m'],
    ['finit m', 'unload m', 'load m'],
    ['load m', 'load m', 'load n'],
  ]) {
    const threads = Object.fromEntries(verbs.map((op, i) => [`t${i}`, [op]]));
    for (const version of ['6.1', '7.2'] as const)
      for (const init of [['yield'], ['return -5']]) {
        const modules = { m: { init, exports: ['f'] }, n: { uses: ['f'] } };
        const make = worldsOf(parseScenario(JSON.stringify({ modules, threads })), version);
        const [all, pruned] = [explore(make, { prune: false }), explore(make)];
        t.deepEqual([pruned.states, pruned.schedules, pruned.violation], [all.states, all.schedules, all.violation]);
      }
  }
});
