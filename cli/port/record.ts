/** `komulator port record`: what a port makes of generated cases, as vectors, one for each way through each row. */
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { record } from '../../oracle/record.ts';
import { fileError } from '../file-error.ts';
import { count, type Exit, exit, type Io, toJson } from '../io.ts';
import { UsageError } from '../usage-error.ts';
import { withFailures } from './failure.ts';
import { openPort, type PortOptions, positive, whole } from './open.ts';

export interface RecordCommand extends PortOptions {
  readonly out?: string;
  readonly seed?: string;
  readonly runs?: string;
  readonly most?: string;
  readonly json?: boolean;
}

const [RUNS, MOST] = [20_000, 300];

export const portRecord = (options: RecordCommand, io: Io): Promise<Exit> =>
  withFailures(options.json === true, io, async () => {
    const { out } = options;
    if (out === undefined) throw new UsageError('--out FILE is missing: where are the vectors to be written?');
    const runs = positive('--runs', options.runs, RUNS);
    const most = positive('--most', options.most, MOST);
    const seed = whole('--seed', options.seed) ?? 1;
    const { name, process, range } = await openPort(options, io);
    try {
      const progress = (done: number, kept: number): void =>
        io.progress(`${name}: ${done} of ${runs} cases, ${kept} kept`);
      const { vectors, ways, disagree } = await record(process, { ...range, name, runs, seed, most, progress });
      io.progress();
      const text = vectors.map((v) => `${JSON.stringify(v)}\n`).join('');
      try {
        await writeFile(out, out.endsWith('.gz') ? gzipSync(text, { level: 9 }) : text);
      } catch (error) {
        throw fileError(out, error);
      }
      if (options.json === true)
        io.print(
          toJson({ out, arch: name, kernel: range.version, cases: runs, vectors: vectors.length, ways, disagree }),
        );
      else
        io.print(`${out}: ${count(vectors.length, 'vector')} for ${count(ways, 'way')}, out of ${count(runs, 'case')}`);
      if (disagree > 0)
        io.complain(
          `${count(disagree, 'vector disagrees', 'vectors disagree')} with the reference: komulator vectors replay ${out}`,
        );
      return disagree > 0 ? exit.findings : exit.well;
    } finally {
      io.progress();
      await process.close();
    }
  });
