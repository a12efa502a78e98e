/** `komulator port verify`: a port and the reference side by side on generated cases. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { configOf } from '../../arch/index.ts';
import { blockCoverage } from '../../oracle/blocks.ts';
import { verify, type Verdict } from '../../oracle/verify.ts';
import { rowFor } from '../../relocs/rules.ts';
import { fileError } from '../file-error.ts';
import { type Exit, exit, type Io } from '../io.ts';
import { UsageError } from '../usage-error.ts';
import { withFailures } from './failure.ts';
import { type OpenPort, openPort, type PortOptions, positive, quote, whole } from './open.ts';
import { type Reporter, reporters, type Verified } from './reporters.ts';

export interface VerifyCommand extends PortOptions {
  readonly seed?: string;
  readonly runs?: string;
  readonly path?: string;
  readonly save?: string;
  readonly reporter?: Reporter;
  readonly json?: boolean;
}

const RUNS = 10_000;

export const portVerify = (options: VerifyCommand, io: Io): Promise<Exit> =>
  withFailures(options.json === true, io, async () => {
    const seed = whole('--seed', options.seed);
    if (options.path !== undefined && seed === undefined)
      throw new UsageError('--path goes with the --seed it was found under');
    if (options.path !== undefined && !/^\d+(:\d+)*$/.test(options.path))
      throw new UsageError(`--path ${options.path}: is no path such as 17:0:3`);
    const runs = positive('--runs', options.runs, RUNS);
    const reporter = options.json === true ? 'json' : (options.reporter ?? 'pretty');
    const port = await openPort(options, io);
    const verdict = await asked(port, { runs, seed, path: options.path }, io);
    const verified = facts(port, verdict);
    for (const line of reporters[reporter](verified, io)) io.print(line);
    await save(options.save, verified, io);
    return verdict.disagreement === undefined ? exit.well : exit.findings;
  });

async function asked(
  { name, process, range }: OpenPort,
  wanted: { readonly runs: number; readonly seed: number | undefined; readonly path: string | undefined },
  io: Io,
): Promise<Verdict> {
  try {
    return await verify(process, {
      ...range,
      runs: wanted.runs,
      ...(wanted.seed !== undefined && { seed: wanted.seed }),
      ...(wanted.path !== undefined && { path: wanted.path }),
      progress: (done, runs) => io.progress(`${name}: ${done} of ${runs} cases`),
      shrinking: (shrinks) => io.progress(`${name}: a disagreement, shrunk ${shrinks} times`),
    });
  } finally {
    io.progress();
    await process.close();
  }
}

/** The verdict with everything that reporters say. */
function facts({ name, range, what, again, blocks }: OpenPort, verdict: Verdict): Verified {
  const { arch, version } = range;
  const config = configOf(arch, version);
  const rows = [...arch.rules.rows.keys()]
    .map((type) => rowFor(arch.rules, type, version, config))
    .filter((row) => row !== undefined)
    .filter((row) => range.types === undefined || range.types.includes(row.type));
  const { disagreement: d } = verdict;
  const command = 'komulator port verify';
  return {
    arch: name,
    kernel: version,
    port: what,
    verdict,
    blocks: blocks === undefined ? undefined : blockCoverage(blocks, verdict.blocks),
    rows,
    again:
      d === undefined
        ? `${command} ${again} --seed ${verdict.seed} --runs ${verdict.runs}`
        : `${command} ${again} --seed ${d.seed} --path ${d.path}`,
  };
}

async function save(file: string | undefined, { verdict }: Verified, io: Io): Promise<void> {
  if (file === undefined) return;
  if (verdict.disagreement === undefined) {
    io.complain(`nothing to save in ${file}: no case disagrees`);
    return;
  }
  const line = `${JSON.stringify(verdict.disagreement.vector)}\n`;
  try {
    await writeFile(resolve(file), file.endsWith('.gz') ? process.getBuiltinModule('node:zlib').gzipSync(line) : line);
  } catch (error) {
    throw fileError(file, error);
  }
  io.complain(`saved: komulator vectors replay ${quote(file)} shows it`);
}
