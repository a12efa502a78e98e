/** `komulator explore`: every interleaving of a scenario's threads, and the shortest one that breaks something. */
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import {
  type Exploration,
  exploring,
  type Limits,
  type Moment,
  type Move,
  replaySchedule,
  type Violation,
  violationAfter,
  type World,
} from '../loader/explore.ts';
import { InputError } from '../loader/input-error.ts';
import { type Version, versions } from '../relocs/module-view.ts';
import { exploreRandomly, type RandomExploration } from '../testing/random-schedule.ts';
import { type Day, dayNames, parseScenario, type Scenario, worldsOf } from '../testing/scenario.ts';
import { Interrupt } from './check/interrupt.ts';
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
  if (options.schedule !== undefined)
    for (const option of ['random', 'states'] as const)
      if (options[option] !== undefined)
        throw new UsageError(`--schedule follows one schedule; --${option} does not go with it`);
  for (const option of ['runs', 'seed', 'path'] as const)
    if (options[option] !== undefined && options.random !== true)
      throw new UsageError(`--${option} goes with --random`);
  if (followed !== undefined)
    return follow(make, followed.schedule, { title: scenario.title, kernel: version }, options, io);

  if (options.random === true) return tryAtRandom(scenario, version, options, io);
  const states = options.states === undefined ? undefined : Number(options.states);
  if (states !== undefined && !(Number.isInteger(states) && states > 0))
    throw new UsageError('--states is a number above 0');
  const { found, interrupted } = await exploreAll(make, states === undefined ? {} : { states }, io);
  if (options.json === true)
    io.print(toJson({ title: scenario.title, kernel: version, ...found, schedules: String(found.schedules) }));
  else tell(scenario, version, found, io);
  if (interrupted) return exit.interrupted;
  return found.violation !== undefined || !found.exhausted ? exit.findings : exit.well;
}

/** Milliseconds between two words about how far it has come. */
const SILENCE = 200;

/** SIGINT ends it with what was seen. */
async function exploreAll(
  make: () => World,
  limits: Limits,
  io: Io,
): Promise<{ found: Exploration; interrupted: boolean }> {
  const interrupt = new Interrupt(() => undefined);
  const steps = exploring(make, limits);
  let told = performance.now();
  try {
    for (let next = steps.next(); ; next = steps.next()) {
      if (next.done) return { found: next.value, interrupted: false };
      if (performance.now() - told < SILENCE) continue;
      io.progress(progressOf(next.value));
      // A signal can only be heard now.
      await setImmediate();
      if (interrupt.happened) return { found: next.value.stop('it was interrupted'), interrupted: true };
      told = performance.now();
    }
  } finally {
    interrupt.close();
    io.progress();
  }
}

const progressOf = ({ states, moves }: { states: number; moves: number }): string => `${states} states, ${moves} moves`;

/** Exit 0 says here that nothing was found, not that nothing is there. */
function tryAtRandom(scenario: Scenario, version: Version | Day, options: ExploreOptions, io: Io): Exit {
  const seed = whole('--seed', options.seed);
  const { states, path } = options;
  if (states !== undefined) throw new UsageError('--states counts the states of every schedule; --random has --runs');
  if (path !== undefined && seed === undefined) throw new UsageError('--path goes with the --seed it was found under');
  if (path !== undefined && !/^\d+(:\d+)*$/.test(path))
    throw new UsageError(`--path ${path}: is no path such as 17:0:3`);
  let told = performance.now();
  const found = exploreRandomly(worldsOf(scenario, version), {
    onMove(soFar) {
      if (performance.now() - told < SILENCE) return;
      told = performance.now();
      io.progress(progressOf(soFar));
    },
    runs: positive('--runs', options.runs, 1000),
    ...(seed === undefined ? {} : { seed }),
    ...(path === undefined ? {} : { path }),
  });
  io.progress();
  if (options.json === true)
    io.print(toJson({ title: scenario.title, kernel: version, ...found, schedules: String(found.schedules) }));
  else tellRandom(scenario, version, found, io);
  return found.violation === undefined ? exit.well : exit.findings;
}

/** Moves, or the file that --json has given, with the kernel that it was found on. */
async function scheduleOf(given: string): Promise<{ schedule: readonly Move[]; kernel?: Version | Day }> {
  if (given === '') throw new UsageError('--schedule is empty: names of threads, or a file that --json gave');
  if (!given.endsWith('.json')) return { schedule: given.split(',') };
  const { kernel, schedule, violation } = record(parsed(await textOf(given)));
  const moves = violation === undefined ? schedule : record(violation)['schedule'];
  if (!Array.isArray(moves) || moves.length === 0 || !moves.every((move) => typeof move === 'string'))
    throw new InputError(`${given}: holds no schedule; explore --json writes one where something breaks`);
  if (kernel === undefined) return { schedule: moves };
  const known = [...versions, ...dayNames].find((one) => one === kernel);
  if (known === undefined) throw new InputError(`${given}: there is no kernel ${JSON.stringify(kernel)}`);
  return { schedule: moves, kernel: known };
}

/** What a JSON text says; of one that is none, nothing. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const record = (json: unknown): Readonly<Record<string, unknown>> =>
  typeof json === 'object' && json !== null ? { ...json } : {};

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

function follow(
  make: () => World,
  schedule: readonly Move[],
  of: { readonly title: string; readonly kernel: Version | Day },
  { json }: ExploreOptions,
  io: Io,
): Exit {
  let timeline: Moment[];
  let violation: Violation | undefined;
  try {
    timeline = replaySchedule(make, schedule);
    violation = violationAfter(make, schedule);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (json === true) io.print(toJson({ ...of, schedule, timeline, ...(violation === undefined ? {} : { violation }) }));
  else {
    io.print(`${of.title} (${of.kernel})`);
    io.print(violation === undefined ? io.paint('green', 'nothing has broken') : io.paint('red', violation.what));
    io.print('');
    lines(timeline, io);
    if (violation !== undefined) stacks(violation, io);
  }
  return violation === undefined ? exit.well : exit.findings;
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
  // Of schedules only beginnings are known.
  io.print(`found among ${found.states} states and ${found.moves} moves; no shorter schedule breaks it`);
  io.print(`again: --schedule ${found.violation.schedule.join(',')}`);
}

function tellRandom({ title }: Scenario, version: Version | Day, found: RandomExploration, io: Io): void {
  io.print(`${title} (${version})`);
  const seen = `${found.schedules} random schedules (seed ${found.seed}), ${found.states} states, ${found.moves} moves`;
  if (found.violation === undefined) {
    const cut = found.cut === 0 ? '' : `, ${found.cut} of them cut off before all threads had ended`;
    io.print(`nothing has broken in ${seen}${cut}; that is no proof`);
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
