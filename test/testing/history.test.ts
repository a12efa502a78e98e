/** fixtures/scenarios, each on its day, on the day that mended it, and on the kernels of today. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { explore, type Exploration, type World } from '../../loader/explore.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { type Day, dayNames, parseScenario, worldsOf } from '../../testing/scenario.ts';

const folder = new URL('../../fixtures/scenarios/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(`${name}.json`, folder), 'utf8');
const run = (name: string, kernel?: Version | Day): Exploration => explore(worldsOf(parseScenario(read(name)), kernel));

interface Told {
  /** Broken on its own day, so. */
  readonly what?: RegExp;
  /** Whole from this day on, and in the profiles of today. */
  readonly mended?: Day;
  /** What today's profiles still have: the module's own fault, or a bug of theirs. */
  readonly today?: Partial<Record<Version, RegExp>>;
}

const always = (what: RegExp): Told => ({ today: { '6.1': what, '6.12': what, '7.2': what } });
const eexist = /^a: load m says EEXIST, and no m is LIVE$/;

const told: Readonly<Record<string, Told>> = {
  'try-inc-mod-count': { what: /^driver goes, and 1 references of it are held$/, mended: '2.4' },
  'can-unload': {
    what: /^use after free: user calls dev in driver, and driver was freed by admin in unload driver$/,
    mended: '2.4',
  },
  'two-stage-delete': {
    what: /^use after free: packet calls hook in filter, and filter was freed by admin in unload filter$/,
    mended: '2.4',
  },
  conntrack: {
    what: /^use after free: packet calls destroy in conntrack, and conntrack was freed by admin in unload conntrack$/,
    mended: '2.6.5',
  },
  'init-asks': {
    what: /^deadlock: a sleeps in init: request_module input, a\/modprobe sleeps in module_mutex$/,
    mended: '2.5.51',
  },
  'init-enters-itself': { what: /^a: must open hda: ENODEV$/, mended: '2.5.51' },
  'init-race': { what: /^user uses lib, which is COMING$/, mended: '2.5.52' },
  'rmmod-wait': {
    what: /^lost wake-up: admin sleeps in wait_for_zero_refcount, and what it waits for has come$/,
    mended: '2.6.14',
  },
  'rcu-pending': {
    what: /^use after free: a callback of cache is called, and cache was freed by admin in unload cache$/,
    mended: '2.6.33',
  },
  'per-cpu-count': { what: /^m goes, and 1 references of it are held$/, mended: '2.6.34' },
  libcrc32c: { what: /^b comes to "by 20000" at 30000$/, mended: '3.6' },
  'already-loaded': { what: /^b: load driver says EEXIST, and no driver is LIVE$/, mended: '5.2' },
  'duplicates-going': { what: /^b: load m says EEXIST, and no m is LIVE$/, mended: '5.4' },
  'duplicates-wake': {
    what: /^lost wake-up: b sleeps in finished_loading, and what it waits for has come$/,
    mended: '6.0',
  },
  'duplicates-storm': { what: /^b comes to "by 9000" at 10000$/ },
  'finit-error': { what: /^deadlock: b sleeps in idempotent_wait_for_completion$/, mended: '6.10' },
  'finit-signal': { what: /^b comes to "by 2000" at 20000$/ },
  'init-eexist': { today: { '6.1': eexist, '6.12': eexist } },
  'rcu-callback': always(
    /^use after free: a callback of filter is called, and filter was freed by admin in unload filter$/,
  ),
  'open-uncounted': always(
    /^use after free: user calls dev in driver, and driver was freed by admin in unload driver$/,
  ),
  'open-unlocked': always(
    /^use after free: user takes a reference of driver, which it found in the registry, and driver was freed by/,
  ),
  'rcu-barrier': {},
  open: {},
  duplicates: {},
  idempotent: {},
  waiting: {},
};
/** Too large for every day: what a part of its states shows. */
const LARGE = 'three-by-three';

test('each scenario is tested, and told of in docs/history.md', (t) => {
  const files = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));
  t.deepEqual(files.toSorted(), [...Object.keys(told), LARGE].toSorted());
  const page = readFileSync(new URL('../../docs/history.md', import.meta.url), 'utf8');
  for (const file of files) t.true(page.includes(`${file}.json`), file);
  for (const day of dayNames) t.true(page.includes(`\`${day}\``), day);
});

test('a scenario has a day exactly when it broke on one, and every day is told of', (t) => {
  for (const [name, { what }] of Object.entries(told))
    t.is(parseScenario(read(name)).kernel !== undefined, what !== undefined, name);
  const days = new Set(
    Object.entries(told).flatMap(([name, { mended }]) => [parseScenario(read(name)).kernel, mended]),
  );
  for (const day of dayNames) t.true(days.has(day), day);
});

for (const [name, { what, mended, today = {} }] of Object.entries(told)) {
  if (what !== undefined) {
    test(`${name}: broken on its day`, (t) => {
      const found = run(name);
      t.regex(found.violation?.what ?? '', what);
      t.false(found.exhausted);
    });
  }
  for (const kernel of [...(mended === undefined ? [] : [mended]), ...versions]) {
    const still = kernel in today ? today[kernel as Version] : undefined;
    test(`${name}: ${kernel}: ${still === undefined ? 'nothing breaks' : 'still breaks'}`, (t) => {
      const found = run(name, kernel);
      if (still === undefined) t.deepEqual([found.violation, found.exhausted], [undefined, true]);
      else t.regex(found.violation?.what ?? '', still);
      t.true(found.states > 8, `${found.states} states`);
    });
  }
}

test('three modules and three threads: nothing breaks in the first states', (t) => {
  const found = explore(worldsOf(parseScenario(read(LARGE)), '7.2'), { states: 500 });
  t.deepEqual([found.violation, found.states, found.exhausted], [undefined, 500, false]);
  t.is(found.stopped, 'there are more than 500 states');
});

test('one file loaded three times: since 6.5 who comes meanwhile has loaded it too', (t) => {
  for (const version of versions) {
    const make = worldsOf(parseScenario(read('idempotent')), version);
    const winners = new Set<number>();
    // What threads have heard is no part of a state: every order is looked at.
    const watched = (): World => {
      const world = make();
      const { threads } = world;
      const own = world.violation.bind(world);
      world.violation = () => {
        if (threads.every(({ outcome }) => outcome !== undefined))
          winners.add(threads.filter(({ step }) => !step.startsWith('finit m: EEXIST')).length);
        return own();
      };
      return world;
    };
    t.true(explore(watched, { prune: false }).exhausted);
    t.deepEqual(
      [...winners].toSorted((a, b) => a - b),
      version === '6.1' ? [1] : [1, 2, 3],
    );
  }
});

test('without the wake-up at the end of a load, who waits for it sleeps for ever', (t) => {
  const make = worldsOf(parseScenario(read('duplicates')), '7.2');
  const { violation } = explore(() => {
    const world = make();
    world.kernel.moduleWq.wakeAll = () => undefined;
    return world;
  });
  t.regex(violation?.what ?? '', /^lost wake-up: . sleeps in module_patient_check_exists/);
});

for (const name of ['duplicates', 'idempotent', 'waiting', 'conntrack', 'rcu-pending', 'duplicates-storm', 'open']) {
  test(`${name}: all orders come to the same states as those that are left when moves are pruned`, (t) => {
    const make = worldsOf(parseScenario(read(name)), '7.2');
    const all = explore(make, { prune: false });
    const pruned = explore(make);
    t.is(all.states, pruned.states);
    t.is(all.schedules, pruned.schedules);
    t.true(pruned.moves <= all.moves);
  });
}

test('a violation is as near with pruning as without', (t) => {
  for (const name of ['rcu-callback', 'open-uncounted', 'open-unlocked', 'init-eexist']) {
    const make = worldsOf(parseScenario(read(name)), '6.12');
    t.is(explore(make).violation!.schedule.length, explore(make, { prune: false }).violation!.schedule.length, name);
  }
});
