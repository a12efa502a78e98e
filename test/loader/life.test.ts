/** Random lives of modules against the model of life-model.ts; `npm run test:model` lives longer. */
import * as fc from 'fast-check';
import test from 'ava';
import { endLife, graphs, lives, newLife } from './life-model.ts';
import { versions } from './bench.ts';

for (const version of versions) {
  test(`${version}: a kernel and a model that knows nothing of it agree on every step`, (t) => {
    let steps = 0;
    fc.assert(
      fc.property(graphs, lives(60), (graph, commands) => {
        const setup = newLife(version, graph);
        fc.modelRun(() => setup, commands);
        endLife(setup.model, setup.real);
        steps += setup.real.steps;
      }),
      { numRuns: 30 },
    );
    t.true(steps > 200, `only ${steps} steps`);
  });
}
