/** `komulator explore`: every interleaving of a scenario's threads, and the shortest one that breaks something. */
import { readFile } from 'node:fs/promises';
import { type Exploration, explore, type Moment, type Move, replaySchedule } from '../loader/explore.ts';
import { InputError } from '../loader/input-error.ts';
import type { Version } from '../relocs/module-view.ts';
import { parseScenario, type Scenario, worldsOf } from '../testing/scenario.ts';
import { fileError } from './file-error.ts';
import { type Exit, exit, type Io, toJson } from './io.ts';
import { UsageError } from './usage-error.ts';

export interface ExploreOptions {
  readonly kernel?: Version;
  readonly states?: string;
  readonly schedule?: string;
  readonly json?: boolean;
}

export async function exploreScenario(file: string, options: ExploreOptions, io: Io): Promise<Exit> {
  const scenario = await read(file);
  const version = options.kernel ?? scenario.kernel ?? '7.2';
  const make = worldsOf(scenario, version);
  if (options.schedule !== undefined) return follow(make, options.schedule.split(','), options, io);

  const states = options.states === undefined ? undefined : Number(options.states);
  if (states !== undefined && !(Number.isInteger(states) && states > 0))
    throw new UsageError('--states is a number above 0');
  const found = explore(make, states === undefined ? {} : { states });
  if (options.json === true)
    io.print(toJson({ title: scenario.title, kernel: version, ...found, schedules: String(found.schedules) }));
  else tell(scenario, version, found, io);
  return found.violation !== undefined || !found.exhausted ? exit.findings : exit.well;
}

async function read(file: string): Promise<Scenario> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(file, error);
  }
  try {
    return parseScenario(text);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

function follow(make: ReturnType<typeof worldsOf>, schedule: readonly Move[], { json }: ExploreOptions, io: Io): Exit {
  let timeline: Moment[];
  try {
    timeline = replaySchedule(make, schedule);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (json === true) io.print(toJson({ schedule, timeline }));
  else lines(timeline, io);
  return exit.well;
}

function tell({ title }: Scenario, version: Version, found: Exploration, io: Io): void {
  io.print(`${title} (${version})`);
  const seen = `${found.states} states, ${found.schedules} schedules, ${found.moves} moves`;
  if (found.violation === undefined) {
    io.print(
      found.exhausted
        ? io.paint('green', `nothing breaks: ${seen}`)
        : `nothing has broken in ${seen}, and there are more: give more --states`,
    );
    return;
  }
  io.print(io.paint('red', found.violation.what));
  io.print('');
  lines(found.violation.timeline, io);
  io.print('');
  io.print(`found among ${seen}; no shorter schedule breaks it`);
  io.print(`again: --schedule ${found.violation.schedule.join(',')}`);
}

function lines(timeline: readonly Moment[], io: Io): void {
  const widest = (key: 'thread' | 'step'): number => Math.max(...timeline.map((moment) => moment[key].length));
  const [threads, steps] = [widest('thread'), widest('step')];
  for (const { thread, step, modules } of timeline)
    io.print(`  ${thread.padEnd(threads)}  ${step.padEnd(steps)}  ${modules.join('; ')}`.trimEnd());
}
