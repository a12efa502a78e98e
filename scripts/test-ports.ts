/**
 * The kernel's own handlers as the judge: every port is built (what is in the cache is not built again), runs generated
 * cases beside the reference with `komulator port verify`, and runs the recorded cases of its architecture.
 *
 *     npm run test:ports -- [--seed N] [--runs N] [--minutes N] [--only ARCH,…] [--vectors DIR] [--install] [--write] [7.2 6.12 6.1]
 *
 * What cannot be had (a compiler, an emulator, sources, time) is skipped, with the reason. --install installs Debian's
 * compilers and qemu first, as root. --minutes: what is not done by then is skipped. --write puts the tables into
 * docs/ports.md. Two ports at a time. Ends with `N passed, N failed[, N skipped]`; exit 0, 1, 2 = wrong use, 3 = nothing
 * could be run.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { UsageError } from '../cli/usage-error.ts';
import { PortError, PortProcess } from '../oracle/port-process.ts';
import { withoutPort } from '../oracle/ports.ts';
import { expectDifference, expectOf, portCaseOf } from '../oracle/vector-case.ts';
import { type Version, versions } from '../relocs/module-view.ts';
import { parseVectors } from '../testing/vector.ts';
import { Unavailable } from './debian/cache.ts';
import { debianSource } from './debian/sources.ts';
import { type Ended, run } from './ports/child.ts';
import { install, packagesOf } from './ports/packages.ts';
import { inLanes, type Planned, plan, seriesNamed, withoutOlder } from './ports/plan.ts';
import { closing, type Compared, isWell, type Result, tableText, written } from './ports/report.ts';

const LANES = 2;
/** Minutes of a run that apt-get may take. */
const INSTALLING = 15;
const root = join(import.meta.dirname, '..');
const say = (line: string): void => console.log(line);

/** What `komulator port build --json` says. */
interface Built {
  readonly compiler: string;
  readonly command: readonly [string, ...string[]];
}

/** What `komulator port verify --json` says, as far as it is used here. */
interface Verified {
  readonly agree: boolean;
  readonly cases: number;
  readonly notCompared: number;
  readonly seconds: number;
  readonly again: string;
  readonly types: readonly { readonly cases: number }[];
  readonly blocks: { readonly reached: number; readonly of: number } | null;
}

/** The port cannot be had here. */
class Skip extends Error {}
/** It can be had, and something is wrong with it. */
class Failure extends Error {}

interface Asked {
  readonly seed: string;
  readonly runs: string;
  readonly vectors: readonly string[];
  /** Of performance.now(). */
  readonly deadline: number;
  readonly minutes?: string;
}

/** 'csky', 'alpha 6.1' → why. */
const without = new Map([
  ...Object.entries(withoutPort),
  ...versions.flatMap((one) =>
    Object.entries(withoutOlder[one]).map(([arch, why]) => [`${arch} ${one}`, why] as const),
  ),
]);

class Run {
  readonly #asked: Asked;
  readonly #trees = new Map<Version, Promise<string>>();

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  /** Throws Skip. */
  async compare({ series, arch }: Planned): Promise<Compared> {
    this.#inTime();
    const tree = await this.#tree(series);
    const which = ['--kernel-tree', tree, '--arch', arch];
    const began = performance.now();
    const made = await this.#komulator('port', 'build', ...which, '--json');
    // What a machine lacks is no fault of ours; code that no longer compiles is.
    if (made.code === 3 && !/ does not (compile|link):/.test(made.stderr)) throw new Skip(reasonOf(made));
    if (made.code !== 0) throw new Failure(`not built: ${reasonOf(made)}`);
    const { compiler, command } = JSON.parse(made.stdout) as Built;
    const building = (performance.now() - began) / 1000;

    const { seed, runs } = this.#asked;
    const asked = await this.#komulator('port', 'verify', ...which, '--seed', seed, '--runs', runs, '--json');
    if (asked.code !== 0 && asked.code !== 1) throw new Failure(`not verified: ${reasonOf(asked)}`);
    const verdict = JSON.parse(asked.stdout) as Verified;
    if (!verdict.agree) await this.#show(verdict.again);
    const { cases, notCompared, seconds, types, blocks } = verdict;
    const { recorded, replayed } = await this.#replay(series, arch, command);
    return {
      series,
      arch,
      kernel: fullVersion(tree),
      compiler,
      emulator: await emulatorOf(command),
      types: types.length,
      reached: types.filter((type) => type.cases > 0).length,
      cases,
      agree: cases - notCompared - (verdict.agree ? 0 : 1),
      notCompared,
      recorded,
      replayed,
      blocks: blocks ?? undefined,
      building,
      seconds,
    };
  }

  /** The smallest case of a disagreement, for people. */
  async #show(again: string): Promise<void> {
    // The command of the verdict quotes only what has other characters than a path of the cache.
    const { stdout } = await this.#komulator(...again.split(' ').slice(1));
    say(stdout.trimEnd().replaceAll(/^/gm, '  '));
  }

  /** Recorded cases of this port: ARCH.jsonl.gz is of 7.2, ARCH-VERSION.jsonl.gz of its version. */
  async #replay(
    series: Version,
    arch: string,
    command: readonly [string, ...string[]],
  ): Promise<{ readonly recorded: number; readonly replayed: number }> {
    const names = [`${arch}-${series}.jsonl.gz`, ...(series === '7.2' ? [`${arch}.jsonl.gz`] : [])];
    const files = this.#asked.vectors.flatMap((folder) => names.map((name) => join(folder, name))).filter(existsSync);
    let [recorded, replayed] = [0, 0];
    if (files.length === 0) return { recorded, replayed };
    await using port = new PortProcess({ command });
    for (const file of files) {
      this.#inTime();
      const vectors = parseVectors(gunzipSync(readFileSync(file)).toString());
      const outcomes = await port.run(vectors.map(portCaseOf));
      const differences = vectors.map((v, i) => expectDifference(v.expect, expectOf(v, outcomes[i]!)));
      const other = differences.flatMap((text, i) => (text === '' ? [] : [`  ${vectors[i]!.id} ${text}`]));
      recorded += vectors.length;
      replayed += vectors.length - other.length;
      for (const line of other.slice(0, 10)) say(line);
    }
    return { recorded, replayed };
  }

  /** Folder of the sources, fetched once. */
  #tree(series: Version): Promise<string> {
    const known = this.#trees.get(series) ?? this.#fetch(series);
    this.#trees.set(series, known);
    return known;
  }

  async #fetch(series: Version): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#late()), Math.min(this.#asked.deadline - performance.now(), 2 ** 31 - 1));
    });
    try {
      return await Promise.race([debianSource(series, { log: say }), late]);
    } catch (error) {
      throw error instanceof Unavailable ? new Skip(`no sources of ${series}: ${error.message}`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #komulator(...args: readonly string[]): Promise<Ended> {
    const ended = await run([process.execPath, join(root, 'cli/main.ts'), ...args], this.#asked.deadline);
    if (ended.late) throw this.#late();
    return ended;
  }

  #inTime(): void {
    if (performance.now() >= this.#asked.deadline) throw this.#late();
  }

  #late(): Skip {
    return new Skip(`no time left of ${this.#asked.minutes} minutes`);
  }
}

/** What was to be done, and the first line that says what is wrong with it. */
function reasonOf({ stderr }: Ended): string {
  const [what = '', ...rest] = stderr.slice(stderr.indexOf('error: ') + 'error: '.length).split('\n');
  const wrong = rest.find((line) => /\berror: |\*\*\* \S/.test(line));
  return wrong === undefined ? what : `${what} ${wrong}`;
}

/** VERSION.PATCHLEVEL.SUBLEVEL of a tree. */
function fullVersion(tree: string): string {
  const makefile = readFileSync(join(tree, 'Makefile'), 'utf8');
  const field = (name: string): string => new RegExp(`^${name} = ?(.*)$`, 'm').exec(makefile)?.[1] ?? '';
  return `${field('VERSION')}.${field('PATCHLEVEL')}.${field('SUBLEVEL')}${field('EXTRAVERSION')}`;
}

/** qemu's name and version. */
async function emulatorOf([program, ...rest]: readonly [string, ...string[]]): Promise<string> {
  if (rest.length === 0) return 'the machine itself';
  const { stdout } = await run([program, '--version'], Number.POSITIVE_INFINITY);
  return `${basename(program).replace(/-static$/, '')} ${/version (\S+)/.exec(stdout)?.[1] ?? ''}`.trim();
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: String(Date.now() & 0x3fff_ffff) },
      runs: { type: 'string', default: '10000' },
      minutes: { type: 'string' },
      only: { type: 'string' },
      vectors: {
        type: 'string',
        multiple: true,
        default: [join(root, 'fixtures/vectors'), join(root, '../shared/vectors')],
      },
      install: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  });
  for (const [option, text] of [
    ['--seed', values.seed],
    ['--runs', values.runs],
    ['--minutes', values.minutes ?? '0'],
  ] as const)
    if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${option} ${text}: is no whole number`);
  const list = plan(seriesNamed(positionals), values.only?.split(','));
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes);
  const deadline = performance.now() + minutes * 60_000;

  if (values.install) {
    const needed = packagesOf([...new Set(list.map((one) => one.arch))]);
    const lacking = install(needed, Math.min(minutes, INSTALLING) * 60_000, say);
    if (lacking !== undefined) say(`SKIPPED installation: ${lacking}`);
  }

  const runner = new Run({ ...values, deadline });
  const results = new Map<Planned, Result>();
  await inLanes(list, LANES, async (one) => {
    const result = await runner.compare(one).catch((error: unknown) => refused(one, error));
    results.set(one, result);
    say(`[${results.size}/${list.length}] ${one.series} ${one.arch}: ${described(result)}`);
  });
  const inOrder = list.map((one) => results.get(one)!);
  say(`\n${tableText(inOrder)}`);
  for (const [what, why] of without) say(`no port of ${what}: ${why}`);
  if (values.write) {
    const file = join(root, 'docs/ports.md');
    writeFileSync(file, written(readFileSync(file, 'utf8'), inOrder, Number(values.seed), without));
    say(`written: ${file}`);
  }
  const { code, line } = closing(inOrder);
  say(`seed ${values.seed}`);
  say(line);
  return code;
}

/** An option that parseArgs() does not know, or without its value. */
const isOption = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

/** A port that could not be compared. */
function refused(one: Planned, error: unknown): Result {
  if (error instanceof Skip) return { ...one, how: 'skipped', why: error.message };
  if (error instanceof Failure || error instanceof PortError) return { ...one, how: 'failed', why: error.message };
  throw error;
}

function described(result: Result): string {
  if ('why' in result) return `${result.how.toUpperCase()} ${result.why}`;
  const { cases, agree, notCompared, recorded, replayed, building, seconds } = result;
  const compared = isWell(result) ? `${agree} of ${cases} cases agree` : `FAILED, ${agree} of ${cases} cases agree`;
  const rest = [
    ...(notCompared > 0 ? [`${notCompared} not compared`] : []),
    ...(recorded > 0 ? [`${replayed} of ${recorded} recorded`] : []),
  ];
  return `${[compared, ...rest].join(', ')} (${building.toFixed(1)} + ${seconds.toFixed(1)} s)`;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !isOption(error)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
