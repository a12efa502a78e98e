/**
 * Holds a port and the reference side by side on generated cases, and shrinks the first disagreement to its smallest
 * form.
 */
import * as fc from 'fast-check';
import type { CaseRange } from '../testing/case-range.ts';
import { cases } from '../testing/generate.ts';
import { Coverage } from '../testing/coverage.ts';
import { compare, type Difference, type Outcome, run } from '../testing/replay.ts';
import { fromBase64, type Vector } from '../testing/vector.ts';
import { type PortCase, PortError, type PortOutcome } from './port-process.ts';
import { type RelocationFacts, relocationFacts } from './relocation-facts.ts';
import { expectOf, portCaseOf } from './vector-case.ts';

/** PortProcess, or what answers like one. */
export interface Answering {
  run(cases: readonly PortCase[]): Promise<PortOutcome[]>;
}

/** Cases that a port can take. */
export interface PortRange extends CaseRange {
  /** Whether module_finalize() runs as well. Default false. */
  readonly finalize?: boolean;
  /** Switches of the port's configuration that are not as the profile has them. */
  readonly switches?: Readonly<Record<string, boolean>>;
}

/** Cases of a range, as vectors without an outcome. */
export const casesOf = (range: PortRange): fc.Arbitrary<Vector> => {
  const { finalize = false, switches = {} } = range;
  const more = { ...(finalize && { finalize }), ...(Object.keys(switches).length > 0 && { switches }) };
  return Object.keys(more).length > 0 ? cases(range).map((v) => ({ ...v, ...more })) : cases(range);
};

export interface VerifyOptions extends PortRange {
  /** Cases to be run. */
  readonly runs: number;
  /** Seed of the first CHUNK of cases; the next has the next seed. Default, by the clock. */
  readonly seed?: number;
  /** Path of fast-check under `seed`: this case alone, and smaller ones if it disagrees. */
  readonly path?: string;
  /** Milliseconds for shrinking. Default 30,000. */
  readonly shrinkTime?: number;
  /** Told after every batch how far it is. */
  readonly progress?: (done: number, runs: number) => void;
  /** Told after every successful shrink. */
  readonly shrinking?: (shrinks: number) => void;
}

/** Where reference and port part. */
export interface Disagreement {
  /** The smallest case found; `expect` is what the port did. */
  readonly vector: Vector;
  readonly differences: readonly Difference[];
  readonly relocations: readonly RelocationFacts[];
  readonly reference: Ending;
  readonly port: Ending;
  /** Seed and path that lead to this case. */
  readonly seed: number;
  readonly path: string;
  readonly shrinks: number;
  /** False: run by itself the case agrees, so it depends on the cases before it, or on chance. */
  readonly alone: boolean;
}

/** How a case ended. */
export interface Ending {
  readonly ret: number | 'crash';
  readonly stage: string | undefined;
  readonly crash: string | undefined;
  readonly warns: number;
  readonly log: string;
}

export interface Verdict {
  readonly seed: number;
  readonly runs: number;
  /** Relocation type → cases with it. */
  readonly reached: ReadonlyMap<number, number>;
  /** Ways through the rows that the reference took. */
  readonly coverage: Coverage;
  /** Cases in which the reference sees a wild access to memory, and the port lived: by chance it hit memory that is there. */
  readonly lucky: number;
  /** Addresses at which the port says that its code ran; empty when it does not say. */
  readonly blocks: ReadonlySet<bigint>;
  /** How cases ended with the port: '0', '-8 relocate', 'crash BUG' → count. */
  readonly endings: ReadonlyMap<string, number>;
  readonly milliseconds: number;
  readonly disagreement: Disagreement | undefined;
}

/** Cases under one seed. */
export const CHUNK = 1000;
/** Cases given to the port at a time, after a few small batches: a port may be wrong in all of them. */
const BATCH = 64;

/** Runs the cases; stops at the first disagreement, shrunk. Throws PortError when the port cannot be run. */
export async function verify(asked: Answering, options: VerifyOptions): Promise<Verdict> {
  const started = performance.now();
  // Seeds are 32 bits and signed.
  const seed = options.seed ?? Date.now() & 0x3fff_ffff;
  const tally = new Tally(options.arch.is64);
  const arbitrary = casesOf(options);
  const port = new Warm(asked, options);
  await port.start();
  const verdict = (runs: number, disagreement?: Disagreement): Verdict => {
    const { reached, coverage, endings, lucky } = tally;
    const { blocks } = port;
    return {
      seed,
      runs,
      reached,
      coverage,
      blocks,
      endings,
      lucky,
      milliseconds: performance.now() - started,
      disagreement,
    };
  };
  if (options.path !== undefined) {
    const [given] = fc.sample(arbitrary, { seed, path: startOf(options.path), numRuns: 1 });
    const shrunk = await shrink(port, options, arbitrary, seed, options.path);
    if (shrunk === undefined) tally.add((await askAll(port, [given!], true))[0]!);
    return verdict(1, shrunk);
  }
  let done = 0;
  for (let chunk = 0; done < options.runs; chunk++) {
    const chunkSeed = (seed + chunk) | 0;
    const list = fc.sample(arbitrary, { seed: chunkSeed, numRuns: Math.min(CHUNK, options.runs - done) });
    for (let i = 0, size = done === 0 ? 1 : BATCH; i < list.length; i += size, size = Math.min(size * 2, BATCH)) {
      const batch = list.slice(i, i + size);
      for (const [n, both] of (await askAll(port, batch, chunk % 4 !== 3, tally.coverage)).entries()) {
        tally.add(both);
        if (both.differences.length > 0) {
          const path = String(i + n);
          const shrunk = await shrink(port, options, arbitrary, chunkSeed, path);
          return verdict(done + n + 1, shrunk ?? found(both, chunkSeed, path, 0, false));
        }
      }
      done += batch.length;
      options.progress?.(done, options.runs);
    }
  }
  return verdict(done);
}

/**
 * Puts an empty case in front of others: a port may have to be started for it, which is no fault of the next. Keeps what
 * is told about the port's code.
 */
class Warm implements Answering {
  readonly blocks = new Set<bigint>();
  private readonly port: Answering;
  private readonly empty: PortCase;

  constructor(port: Answering, range: CaseRange) {
    this.port = port;
    this.empty = portCaseOf(fc.sample(cases({ ...range, most: 0 }), { seed: 0, numRuns: 1 })[0]!);
  }

  async run(given: readonly PortCase[]): Promise<PortOutcome[]> {
    return (await this.ask([this.empty, ...given])).slice(1);
  }

  private async ask(given: readonly PortCase[]): Promise<PortOutcome[]> {
    const outcomes = await this.port.run(given);
    for (const { reached = [] } of outcomes) for (const address of reached) this.blocks.add(address);
    return outcomes;
  }

  /** Throws PortError: what cannot load a module without relocations is no port. */
  async start(): Promise<void> {
    const [outcome] = await this.ask([this.empty]);
    if (outcome?.ret !== 'crash') return;
    const how = outcome.crash === 'timeout' ? 'does not answer' : `crashes (${outcome.crash})`;
    throw new PortError(`the port ${how} when it is given a module without relocations`);
  }
}

/** The first number of a path: which case of a seed it starts from. */
const startOf = (path: string): string => path.split(':')[0]!;

/** What a run adds up to. */
class Tally {
  readonly reached = new Map<number, number>();
  readonly endings = new Map<string, number>();
  readonly coverage: Coverage;
  lucky = 0;

  constructor(is64: boolean) {
    this.coverage = new Coverage(is64);
  }

  add({ vector, outcome }: Asked): void {
    if (isLucky(vector, outcome)) this.lucky++;
    for (const type of vector.types ?? []) count(this.reached, type);
    const { ret, stage, crash } = vector.expect;
    count(this.endings, [ret, stage ?? crash ?? ''].join(' ').trim());
  }
}

const count = <K>(map: Map<K, number>, key: K): Map<K, number> => map.set(key, (map.get(key) ?? 0) + 1);

/** A case that both were asked. The vector says what the port did. */
interface Asked {
  readonly vector: Vector;
  readonly outcome: Outcome;
  readonly differences: readonly Difference[];
}

/** Asks both at once. Traced, the reference interprets its rows; otherwise it runs its compiled loop. */
async function askAll(
  port: Answering,
  given: readonly Vector[],
  traced: boolean,
  coverage?: Coverage,
): Promise<Asked[]> {
  const packed = given.map(portCaseOf);
  const answers = answersOf(port, packed);
  // The port works while the reference does; if it fails, that is told below.
  answers.catch(() => {});
  const outcomes = given.map((v) => run(v, traced ? (coverage ?? { relocation: () => {} }) : undefined));
  return (await answers).map((answer, i) => {
    const vector = { ...given[i]!, expect: expectOf(given[i]!, answer) };
    return { vector, outcome: outcomes[i]!, differences: differencesOf(vector, outcomes[i]!) };
  });
}

/** The outcomes of cases. A port that says nothing of use about one of them has crashed in it. */
async function answersOf(port: Answering, packed: readonly PortCase[]): Promise<PortOutcome[]> {
  try {
    return await port.run(packed);
  } catch (error) {
    if (!(error instanceof PortError)) throw error;
  }
  const outcomes: PortOutcome[] = [];
  for (const c of packed) {
    try {
      outcomes.push(...(await port.run([c])));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      const [what = 'no outcome', ...words] = error.message.split('\n');
      const crash = words.length > 0 ? `${what.split(':')[0]}: ${words.at(-1)}` : what;
      outcomes.push({
        ret: 'crash',
        stage: undefined,
        crash,
        warns: 0,
        log: '',
        sections: new Map(),
        extra: new Map(),
      });
    }
  }
  return outcomes;
}

/**
 * Where a wild access goes, and whether there is memory, is no part of a case. Objects that others have built end with
 * the trap of a WARN.
 */
const isLucky = ({ expect }: Vector, { crash, warns }: Outcome): boolean =>
  (crash === 'signal 11' && expect.ret !== 'crash') || (expect.crash === 'WARN' && warns > 0);

/** A port that died took its log with it. */
export function differencesOf(vector: Vector, outcome: Outcome): Difference[] {
  if (isLucky(vector, outcome)) return [];
  const { ret, log = '' } = vector.expect;
  const untold = ret === 'crash' && log === '';
  const differences = compare(vector, outcome).filter(({ what }) => !(untold && (what === 'log' || what === 'warns')));
  // A recorded section may be cut short, but a port tells all of it.
  for (const [name, text] of Object.entries(vector.expect.sections ?? {})) {
    const s = outcome.module.sections.find((x) => (name.startsWith('#') ? `#${x.index}` : x.name) === name);
    const size = fromBase64(text).length;
    if (s !== undefined && s.bytes.length > size)
      differences.push({
        id: vector.id,
        what: `section ${name} size`,
        expected: String(size),
        actual: String(s.bytes.length),
      });
  }
  return differences;
}

/** Both ways of the reference against the port, one case. */
async function askBoth(port: Answering, given: Vector): Promise<Asked> {
  const [traced] = await askAll(port, [given], true);
  if (traced!.differences.length > 0) return traced!;
  const outcome = run(given);
  return { ...traced!, outcome, differences: differencesOf(traced!.vector, outcome) };
}

/** The smallest case from a path on, or undefined when the case agrees. */
async function shrink(
  port: Answering,
  options: VerifyOptions,
  arbitrary: fc.Arbitrary<Vector>,
  seed: number,
  path: string,
): Promise<Disagreement | undefined> {
  const deadline = performance.now() + (options.shrinkTime ?? 30_000);
  let smallest: Asked | undefined;
  let shrinks = 0;
  // The first case has to be looked at whatever time it takes.
  const property = fc.asyncProperty(arbitrary, async (v) => {
    if (smallest !== undefined && performance.now() > deadline) return true;
    const asked = await askBoth(port, v);
    if (asked.differences.length === 0) return true;
    smallest = asked;
    options.shrinking?.(shrinks++);
    return false;
  });
  const result = await fc.check(property, { seed, path, numRuns: 1, endOnFailure: false });
  if (smallest === undefined || !result.failed) return undefined;
  return found(smallest, seed, result.counterexamplePath ?? path, result.numShrinks, true);
}

function found(
  { vector, outcome, differences }: Asked,
  seed: number,
  path: string,
  shrinks: number,
  alone: boolean,
): Disagreement {
  const { ret, stage, crash, warns, log } = outcome;
  const { expect } = vector;
  return {
    vector: { ...vector, id: `seed ${seed} path ${path}` },
    differences,
    relocations: relocationFacts(vector, outcome),
    reference: { ret, stage, crash, warns, log },
    port: {
      ret: expect.ret,
      stage: expect.stage,
      crash: expect.crash,
      warns: expect.warns ?? 0,
      log: expect.log ?? '',
    },
    seed,
    path,
    shrinks,
    alone,
  };
}
