/** The text of a state: what has the same text goes on in the same way. On that rests all that the explorer leaves out. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { parseScenario, worldsOf } from '../../testing/scenario.ts';
import { meetings, movesAndTexts, parting } from './meetings.ts';

const folder = new URL('../../fixtures/scenarios/', import.meta.url);

for (const file of readdirSync(folder)) {
  const scenario = parseScenario(readFileSync(new URL(file, folder), 'utf8'));
  for (const kernel of [...(scenario.kernel === undefined ? [] : [scenario.kernel]), '7.2'] as const) {
    test(`${file}, ${kernel}: two schedules to one state go on in the same way`, (t) => {
      const make = worldsOf(scenario, kernel);
      let compared = 0;
      for (const [one, other] of meetings(make, 15)) {
        t.deepEqual(movesAndTexts(make, other), movesAndTexts(make, one), `${one.join()} and ${other.join()}`);
        compared++;
      }
      t.true(compared > 0 || Object.keys(scenario.threads).length < 3);
    });
  }
}

/** What two states once shared a text in, and went on from otherwise. */
const confused = {
  'which symbol a load waits at, and whether one was missing before': {
    modules: {
      A: { exports: ['a'], init: ['yield'] },
      B: { exports: ['b'], init: ['yield'] },
      top: { uses: ['a', 'b'] },
    },
    threads: { t1: ['load B'], t2: ['load A'], t3: ['load top'] },
  },
  'what time it is, for code of modules': {
    modules: { m: { init: ['sleep 5000'] }, n: { init: ['by 6000'] } },
    threads: { a: ['load m', 'unload m'], b: ['load m', 'load m', 'unload m', 'load n'] },
  },
  'whom kthread_stop waits for': {
    modules: {
      m: {
        init: ['register d', 'kthread_run f'],
        exit: ['unregister d', 'kthread_stop f'],
        functions: { d: ['kthread_run f'], f: ['yield', 'yield'] },
      },
    },
    threads: { a: ['load m', 'unload m'], b: ['open-uncounted d', 'call d'] },
  },
  'whom synchronize_rcu() waits for': {
    modules: {
      m: {
        init: ['register hook'],
        exit: ['synchronize_rcu', 'unregister hook'],
        functions: { hook: ['yield'] },
      },
    },
    threads: { a: ['load m', 'unload m'], b: ['pass hook', 'pass hook'], c: ['pass hook'] },
  },
  'which of two modules of one name a packet is in': {
    kernel: '2.4',
    modules: { m: { init: ['register hook'], functions: { hook: ['yield', 'yield'] } } },
    threads: { a: ['load m', 'unload m'], b: ['pass hook'], c: ['load m'] },
  },
  'whom the memory of an init waits for': {
    modules: {
      m: {
        init: ['register hook', 'kthread_run f'],
        functions: { hook: ['yield'], '__init f': ['yield', 'yield', 'yield'] },
      },
    },
    threads: { a: ['load m'], b: ['pass hook'], c: ['pass hook'] },
  },
};

for (const [what, scenario] of Object.entries(confused)) {
  test(`a state has in its text ${what}`, (t) => {
    const make = worldsOf(parseScenario(JSON.stringify(scenario)));
    let compared = 0;
    for (const [one, other] of meetings(make, Infinity)) {
      const parted = parting(make, one, other, compared);
      if (parted !== undefined)
        t.deepEqual(parted.by[1], parted.by[0], `${one.join()} and ${other.join()}, then ${parted.after.join()}`);
      compared++;
    }
    t.true(compared > 100, `${compared}`);
  });
}
