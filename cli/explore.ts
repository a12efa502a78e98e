/** `komulator explore`: every interleaving of a scenario's threads, and the shortest one that breaks something. */
import { readFile } from 'node:fs/promises';
import {
  type Exploration,
  explore,
  type Moment,
  type Move,
  replaySchedule,
  type Violation,
  violationAfter,
} from '../loader/explore.ts';
import { InputError } from '../loader/input-error.ts';
import type { Version } from '../relocs/module-view.ts';
import { exploreRandomly, type RandomExploration } from '../testing/random-schedule.ts';
import { type Day, parseScenario, type Scenario, worldsOf } from '../testing/scenario.ts';
import { fileError } from './file-error.ts';
import { type Exit, exit, type Io, toJson } from './io.ts';
import { positive, whole } from './port/open.ts';
import { UsageError } from './usage-error.ts';

export interface ExploreOptions {
  readonly kernel?: Version | Day;
  readonly states?: string;
  readonly schedule?: string;
  readonly random?: boolean;
  readonly runs?: string;
  readonly seed?: string;
  readonly path?: string;
  readonly json?: boolean;
}

export async function exploreScenario(file: string, options: ExploreOptions, io: Io): Promise<Exit> {
  const scenario = await read(file);
  const followed = options.schedule === undefined ? undefined : await scheduleOf(options.schedule);
  const version = options.kernel ?? followed?.kernel ?? scenario.kernel ?? '7.2';
  const make = worldsOf(scenario, version);
  for (const option of ['runs', 'seed', 'path'] as const)
    if (options[option] !== undefined && options.random !== true)
      throw new UsageError(`--${option} goes with --random`);
  if (followed !== undefined) return follow(make, followed.schedule, options, io);

  if (options.random === true) return tryAtRandom(scenario, version, options, io);
  const states = options.states === undefined ? undefined : Number(options.states);
  if (states !== undefined && !(Number.isInteger(states) && states > 0))
    throw new UsageError('--states is a number above 0');
  const found = explore(make, states === undefined ? {} : { states });
  if (options.json === true)
    io.print(toJson({ title: scenario.title, kernel: version, ...found, schedules: String(found.schedules) }));
  else tell(scenario, version, found, io);
  return found.violation !== undefined || !found.exhausted ? exit.findings : exit.well;
}

/** Exit 0 says here that nothing was found, not that nothing is there. */
function tryAtRandom(scenario: Scenario, version: Version | Day, options: ExploreOptions, io: Io): Exit {
  const seed = whole('--seed', options.seed);
  const { states, path } = options;
  if (states !== undefined) throw new UsageError('--states counts the states of every schedule; --random has --runs');
  if (path !== undefined && seed === undefined) throw new UsageError('--path goes with the --seed it was found under');
  if (path !== undefined && !/^\d+(:\d+)*$/.test(path))
    throw new UsageError(`--path ${path}: is no path such as 17:0:3`);
  const found = exploreRandomly(worldsOf(scenario, version), {
    runs: positive('--runs', options.runs, 1000),
    ...(seed === undefined ? {} : { seed }),
    ...(path === undefined ? {} : { path }),
  });
  if (options.json === true)
    io.print(toJson({ title: scenario.title, kernel: version, ...found, schedules: String(found.schedules) }));
  else tellRandom(scenario, version, found, io);
  return found.violation === undefined ? exit.well : exit.findings;
}

/** Moves, or the file that --json has given, with the kernel that it was found on. */
async function scheduleOf(given: string): Promise<{ schedule: readonly Move[]; kernel?: Version | Day }> {
  if (!given.endsWith('.json')) return { schedule: given.split(',') };
  const text = await textOf(given);
  try {
    const json = JSON.parse(text) as { kernel?: Version | Day; schedule?: Move[]; violation?: { schedule: Move[] } };
    const schedule = json.violation?.schedule ?? json.schedule;
    if (Array.isArray(schedule) && schedule.every((move) => typeof move === 'string'))
      return { schedule, ...(json.kernel === undefined ? {} : { kernel: json.kernel }) };
  } catch {
    // It is said below.
  }
  throw new InputError(`${given}: holds no schedule; explore --json writes one where something breaks`);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(file, error);
  }
}

async function read(file: string): Promise<Scenario> {
  const text = await textOf(file);
  try {
    return parseScenario(text);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

function follow(make: ReturnType<typeof worldsOf>, schedule: readonly Move[], { json }: ExploreOptions, io: Io): Exit {
  let timeline: Moment[];
  let violation: Violation | undefined;
  try {
    timeline = replaySchedule(make, schedule);
    violation = violationAfter(make, schedule);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (json === true) io.print(toJson({ schedule, timeline, ...(violation === undefined ? {} : { violation }) }));
  else {
    lines(timeline, io);
    if (violation !== undefined) stacks(violation, io);
  }
  return exit.well;
}

function tell({ title }: Scenario, version: Version | Day, found: Exploration, io: Io): void {
  io.print(`${title} (${version})`);
  const seen = `${found.states} states, ${found.schedules} schedules, ${found.moves} moves`;
  if (found.violation === undefined) {
    io.print(
      found.exhausted
        ? io.paint('green', `nothing breaks: ${seen}`)
        : `nothing has broken in ${seen}, and there is more: ${found.stopped ?? ''}`,
    );
    return;
  }
  io.print(io.paint('red', found.violation.what));
  io.print('');
  lines(found.violation.timeline, io);
  stacks(found.violation, io);
  io.print('');
  io.print(`found among ${seen}; no shorter schedule breaks it`);
  io.print(`again: --schedule ${found.violation.schedule.join(',')}`);
}

function tellRandom({ title }: Scenario, version: Version | Day, found: RandomExploration, io: Io): void {
  io.print(`${title} (${version})`);
  const seen = `${found.schedules} random schedules (seed ${found.seed}), ${found.states} states, ${found.moves} moves`;
  if (found.violation === undefined) {
    io.print(`nothing has broken in ${seen}; that is no proof`);
    return;
  }
  io.print(io.paint('red', found.violation.what));
  io.print('');
  lines(found.violation.timeline, io);
  stacks(found.violation, io);
  io.print('');
  io.print(`found among ${seen}, and shrunk; a shorter schedule may break it too`);
  io.print(`again: --schedule ${found.violation.schedule.join(',')}`);
  io.print(`or: --random --seed ${found.seed} --path ${found.path}`);
}

function lines(timeline: readonly Moment[], io: Io): void {
  const widest = (key: 'thread' | 'step'): number => Math.max(...timeline.map((moment) => moment[key].length));
  const [threads, steps] = [widest('thread'), widest('step')];
  for (const { thread, step, modules } of timeline)
    io.print(`  ${thread.padEnd(threads)}  ${step.padEnd(steps)}  ${modules.join('; ')}`.trimEnd());
}

/** As an oops has it: innermost first. */
function stacks(violation: Violation, io: Io): void {
  for (const { of, frames } of violation.stacks) {
    io.print('');
    io.print(`${of}:`);
    for (const frame of frames) io.print(`  ${frame}`);
  }
}
