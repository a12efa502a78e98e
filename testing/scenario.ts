/** Scenarios of the life of modules (docs/scenarios.md): reading one, and making the worlds that the explorer runs. */
import type { World } from '../loader/world.ts';
import type { Version } from '../relocs/module-view.ts';
import { type Day, days, isDay } from './history/days.ts';
import { lifeOf } from './history/life.ts';
import { present } from './life.ts';
import { fileOf } from './scenario-file.ts';
import type { Scenario } from './scenario-language.ts';
import { ScenarioWorld, type Stage } from './scenario-world.ts';

export { type Day, dayNames } from './history/days.ts';
export { parseScenario, type Scenario, type ScenarioModule } from './scenario-language.ts';

/** A scenario made ready, for a kernel of today or of a day gone by. */
export function stageOf(scenario: Scenario, kernel: Version | Day = scenario.kernel ?? '7.2'): Stage {
  const [version, life] = isDay(kernel) ? [days[kernel].base, lifeOf(days[kernel])] : [kernel, present];
  const files = new Map(
    Object.entries(scenario.modules).map(([name, m]) => [name, { inode: name, bytes: fileOf(name, m, version) }]),
  );
  return { scenario, version, life, files };
}

/** Makes worlds of a scenario, all alike. */
export function worldsOf(scenario: Scenario, kernel?: Version | Day): () => World {
  const stage = stageOf(scenario, kernel);
  return () => new ScenarioWorld(stage);
}
