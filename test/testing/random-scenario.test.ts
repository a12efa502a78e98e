/** Scenarios at random, of operations that cannot be wrong by themselves: in no schedule anything breaks. */
import { fc, testProp } from '@fast-check/ava';
import { explore } from '../../loader/explore.ts';
import { versions } from '../../relocs/module-view.ts';
import { parseScenario, type Scenario, worldsOf } from '../../testing/scenario.ts';
import { meetings, movesAndTexts, parting } from './meetings.ts';

const names = ['a', 'b', 'c'] as const;

/** Each may use those before it, has a device, and an init that lets others run, sleeps or fails. */
const module = (i: number): fc.Arbitrary<object> =>
  fc
    .record({
      uses: fc.subarray(names.slice(0, i).map((name) => `${name}_get`)),
      init: fc.constantFrom(
        [],
        ['yield'],
        [`register ${names[i]}_dev`],
        // Not one that may need it: that waits for ever, in every kernel.
        names.slice(0, i).map((name) => `request_module ${name}`),
        ['sleep 40', `register ${names[i]}_dev`],
        ['return -5'],
        ['return 1'],
        ['async_schedule later'],
      ),
      async_probe: fc.boolean(),
    })
    .map((parts) => ({
      ...parts,
      exports: [`${names[i]}_get`],
      exit: [`unregister ${names[i]}_dev`],
      functions: { later: ['yield'] },
    }));

const operation = fc
  .tuple(
    fc.constantFrom(
      'load',
      'load',
      'finit',
      'modprobe',
      'unload',
      'get',
      'put',
      'symbol_get',
      'symbol_put',
      'open',
      'call',
      'close',
    ),
    fc.constantFrom(...names),
  )
  .map(([verb, name]) => {
    if (verb.startsWith('symbol')) return `${verb} ${name}_get`;
    return ['open', 'call', 'close'].includes(verb) ? `${verb} ${name}_dev` : `${verb} ${name}`;
  });

const scenarios: fc.Arbitrary<Scenario> = fc
  .record({
    modules: fc.tuple(module(0), module(1), module(2)),
    threads: fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 2 }),
  })
  .map(({ modules, threads }) =>
    parseScenario(
      JSON.stringify({
        modules: Object.fromEntries(modules.map((m, i) => [names[i], m])),
        threads: Object.fromEntries(threads.map((ops, i) => [`t${i}`, ops])),
      }),
    ),
  );

/** Two owners that take their time, and one that needs both: what it has found before a wait decides how that ends. */
const owners: fc.Arbitrary<Scenario> = fc
  .record({
    inits: fc.tuple(...[0, 1].map(() => fc.constantFrom(['yield'], ['sleep 10'], ['sleep 100'], ['return -5']))),
    uses: fc.constantFrom(['a', 'b'], ['b', 'a']),
    pauses: fc.tuple(...[0, 1, 2].map(() => fc.constantFrom([], ['sleep 50']))),
    verb: fc.constantFrom('load', 'finit'),
    order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
  })
  .map(({ inits, uses, pauses, verb, order }) => {
    const loads = ['load A', 'load B', `${verb} top`].map((op, i) => [...pauses[i]!, op]);
    const modules = {
      A: { exports: ['a'], init: inits[0] },
      B: { exports: ['b'], init: inits[1] },
      top: { uses },
    };
    const threads = Object.fromEntries(order.map((i) => [`t${i}`, loads[i]!]));
    return parseScenario(JSON.stringify({ modules, threads }));
  });

for (const version of versions) {
  testProp(
    `${version}: two slow owners: two schedules to one state go on in the same way`,
    [owners],
    (t, scenario) => {
      const make = worldsOf(scenario, version);
      let n = 0;
      for (const [one, other] of meetings(make, 300))
        t.is(parting(make, one, other, n++), undefined, `${one.join()} and ${other.join()}`);
    },
    { numRuns: 5 },
  );

  testProp(
    `${version}: nothing breaks`,
    [scenarios],
    (t, scenario) => {
      const found = explore(worldsOf(scenario, version), { states: 1500 });
      t.is(found.violation?.what, undefined, JSON.stringify(scenario));
    },
    { numRuns: 8 },
  );

  testProp(
    `${version}: what is left out leads where something else leads`,
    [scenarios],
    (t, scenario) => {
      const make = worldsOf(scenario, version);
      for (const [one, other] of meetings(make, 15))
        t.deepEqual(movesAndTexts(make, other), movesAndTexts(make, one), `${one.join()} and ${other.join()}`);
      const all = explore(make, { prune: false, states: 600 });
      if (!all.exhausted) return;
      const pruned = explore(make);
      t.deepEqual([pruned.states, pruned.schedules], [all.states, all.schedules], JSON.stringify(scenario));
    },
    { numRuns: 4 },
  );
}
