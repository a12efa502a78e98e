/** What one's own suite needs to hold a port or a kernel to the reference. */
export { keepsLaw, type Law, type LawOptions, laws } from './laws.ts';
export { exploreRandomly, type RandomExploration, type RandomLimits } from './random-schedule.ts';
export { type Difference, type Outcome, replay, run } from './replay.ts';
export { type Day, dayNames, parseScenario, type Scenario, type ScenarioModule, worldsOf } from './scenario.ts';
export { fromBase64, parseVectors, toBase64, type Vector } from './vector.ts';
