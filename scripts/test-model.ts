// Random lives of modules against the model of test/loader/life-model.ts, until so many steps have been compared.
import { parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { versions } from '../relocs/module-view.ts';
import { endLife, graphs, lives, newLife } from '../test/loader/life-model.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, path: { type: 'string' }, steps: { type: 'string', default: '100000' } },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const wanted = Number(values.steps);
if (!Number.isInteger(seed) || !(wanted > 0)) {
  console.error('usage: test-model [--seed N] [--path PATH] [--steps N]');
  process.exit(2);
}

/** Compares for a while in each version; gives how many steps that were. A round can be repeated alone by its seed. */
function round(own: number): number {
  let steps = 0;
  for (const version of versions) {
    const from = steps;
    const result = fc.check(
      fc.property(graphs, lives(200), (graph, commands) => {
        const setup = newLife(version, graph);
        fc.modelRun(() => setup, commands);
        endLife(setup.model, setup.real);
        steps += setup.real.steps;
      }),
      { seed: own, numRuns: 50, ...(values.path === undefined ? {} : { path: values.path, endOnFailure: true }) },
    );
    if (result.failed) {
      console.error(`${version}: ${fc.defaultReportMessage(result) ?? 'failed'}`);
      console.error(`again: npm run test:model -- --seed ${own}`);
      process.exit(1);
    }
    console.log(`${version}: seed ${own}, ${steps - from} steps without a difference`);
  }
  return steps;
}

let steps = 0;
for (let own = seed; steps < wanted; own++) steps += round(own);
console.log(`${steps} steps without a difference, seed ${seed}`);
