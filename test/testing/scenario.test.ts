/** fixtures/scenarios: each broken as docs/history.md tells, or whole, on every kernel; and scenarios that are none. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { explore } from '../../loader/explore.ts';
import { InputError } from '../../loader/input-error.ts';
import { versions } from '../../relocs/module-view.ts';
import { parseScenario, worldsOf } from '../../testing/scenario.ts';

const folder = new URL('../../fixtures/scenarios/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(`${name}.json`, folder), 'utf8');

/** What the explorer finds in each; undefined: nothing, in all schedules. */
const findings: Readonly<Record<string, RegExp | undefined>> = {
  'rcu-callback': /^use after free: a callback of filter is called, and filter was freed by admin in unload filter$/,
  'rcu-barrier': undefined,
  'open-uncounted': /^use after free: user calls dev in driver, and driver was freed by admin in unload driver$/,
  'open-unlocked': /^use after free: user takes a reference of driver, which it found in the registry, and driver was/,
  open: undefined,
  duplicates: undefined,
  idempotent: undefined,
  waiting: undefined,
};
/** Too large for every day: what a part of its states shows. */
const LARGE = 'three-by-three';

test('each scenario is tested, and told of in docs/history.md', (t) => {
  const files = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));
  t.deepEqual(files.toSorted(), [...Object.keys(findings), LARGE].toSorted());
  const page = readFileSync(new URL('../../docs/history.md', import.meta.url), 'utf8');
  for (const file of files) t.true(page.includes(`${file}.json`), file);
});

for (const version of versions) {
  for (const [name, what] of Object.entries(findings)) {
    test(`${version}: ${name}: ${what === undefined ? 'nothing breaks' : 'breaks'}`, (t) => {
      const found = explore(worldsOf(parseScenario(read(name)), version));
      if (what === undefined) t.deepEqual([found.violation, found.exhausted], [undefined, true]);
      else t.regex(found.violation?.what ?? '', what);
      t.true(found.states > 30, `${found.states} states`);
    });
  }
}

test('three modules and three threads: nothing breaks in the first states', (t) => {
  const found = explore(worldsOf(parseScenario(read(LARGE)), '7.2'), { states: 500 });
  t.deepEqual([found.violation, found.states, found.exhausted], [undefined, 500, false]);
});

test('one file loaded three times: since 6.5 who comes meanwhile has loaded it too', (t) => {
  for (const version of versions) {
    const make = worldsOf(parseScenario(read('idempotent')), version);
    const winners = new Set<number>();
    const found = explore(() => {
      const world = make();
      const { threads, daemons, kernel } = world;
      return {
        threads,
        daemons,
        kernel,
        key: () => world.key(),
        violation: () => {
          if (threads.every(({ outcome }) => outcome !== undefined))
            winners.add(threads.filter(({ step }) => !step.startsWith('finit m: EEXIST')).length);
          return world.violation();
        },
      };
    });
    t.true(found.exhausted);
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

for (const [text, message] of [
  ['{', /is JSON/],
  ['[]', /a scenario is an object/],
  ['{"modules":{},"threads":{}}', /has threads/],
  ['{"modules":{},"threads":{"a":[]},"more":1}', /no "more"/],
  ['{"modules":{},"threads":{"a":["load m"]}}', /no module m/],
  ['{"modules":{},"threads":{"a":["fly m"]}}', /"fly" is none of load, /],
  ['{"modules":{},"threads":{"a":["load"]}}', /one name follows load/],
  ['{"modules":{},"threads":{"a":["yield now"]}}', /nothing follows yield/],
  ['{"modules":{},"threads":{"a":"load m"}}', /a list of texts/],
  ['{"modules":{},"threads":{"a!":[]}}', /can be called a!/],
  ['{"modules":{},"threads":{"rcu":[]}}', /can be called rcu/],
  ['{"modules":{"m":{"init":["return x"]}},"threads":{"a":[]}}', /not a number/],
  ['{"modules":{"m":{"init":["load m"]}},"threads":{"a":[]}}', /"load" is none of register/],
  ['{"modules":{"m":{"size":1}},"threads":{"a":[]}}', /there is no "size"/],
  ['{"kernel":"2.6","modules":{},"threads":{"a":[]}}', /one of 6.1, 6.12, 7.2/],
  ['{"title":1,"modules":{},"threads":{"a":[]}}', /is a text/],
] as const) {
  test(`no scenario: ${text}`, (t) => {
    t.throws(() => parseScenario(text), { instanceOf: InputError, message });
  });
}
