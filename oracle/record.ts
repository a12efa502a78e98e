/** Vectors out of generated cases: few of them, and every way through every row once. */
import * as fc from 'fast-check';
import { Coverage } from '../testing/coverage.ts';
import { compare, run } from '../testing/replay.ts';
import type { Vector } from '../testing/vector.ts';
import type { PortProcess } from './port-process.ts';
import { expectOf, portCaseOf } from './vector-case.ts';
import { casesOf, CHUNK, type PortRange } from './verify.ts';

export interface RecordOptions extends PortRange {
  /** What the port is called: the beginning of every id. */
  readonly name: string;
  /** Cases to choose from. */
  readonly runs: number;
  readonly seed: number;
  /** Most vectors to keep. */
  readonly most: number;
  readonly progress?: (done: number, kept: number) => void;
}

export interface Recorded {
  readonly vectors: readonly Vector[];
  /** Ways through rows, and endings, that the vectors go. */
  readonly ways: number;
  /** Vectors for which the reference says something else. */
  readonly disagree: number;
}

/** Small cases are looked at first, so that a way is shown by as little as can be. */
const SIZES = [1, 3, 6];

export async function record(port: PortProcess, options: RecordOptions): Promise<Recorded> {
  const { arch, version, name, runs, seed, most } = options;
  const seen = new Set<string>();
  const vectors: Vector[] = [];
  let disagree = 0;
  const look = async (given: Vector): Promise<void> => {
    const coverage = new Coverage(arch.is64);
    const outcome = run(given, coverage);
    const ways = [...coverage.reached].flatMap(([row, classes]) => [...classes.keys()].map((way) => `${row} ${way}`));
    ways.push(
      ...(given.types ?? []).map((type) => `${type} ${outcome.ret === 'crash' ? 'crash' : (outcome.stage ?? 'well')}`),
    );
    const fresh = ways.filter((way) => !seen.has(way));
    if (fresh.length === 0 || vectors.length >= most) return;
    const [answer] = await port.run([portCaseOf(given)]);
    const expect = expectOf(given, answer!);
    // What killed the port took the log and the bytes with it: it cannot be recorded well.
    if (expect.ret === 'crash' && expect.log === '' && outcome.log !== '') return;
    const vector = {
      ...given,
      id: `${name}-${version}-${String(vectors.length).padStart(5, '0')}`,
      arch: name,
      cls: given.cls === 'unknown' ? 'unknown' : (fresh[0] ?? 'generated'),
      expect,
    };
    if (compare(vector, outcome).length > 0) disagree++;
    for (const way of ways) seen.add(way);
    vectors.push(vector);
  };
  let done = 0;
  for (const [i, size] of SIZES.entries()) {
    const arbitrary = casesOf({ ...options, most: size });
    const until = Math.round((runs * (i + 1)) / SIZES.length);
    for (let chunk = 0; done < until && vectors.length < most; chunk++) {
      const numRuns = Math.min(CHUNK, until - done);
      for (const given of fc.sample(arbitrary, { seed: (seed + chunk) | 0, numRuns })) await look(given);
      done += numRuns;
      options.progress?.(done, vectors.length);
    }
  }
  return { vectors, ways: seen.size, disagree };
}
