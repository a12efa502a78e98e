/** `komulator check`: every module of a tree, linked. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Vendor } from '../loader/kernel.ts';
import type { Version } from '../relocs/module-view.ts';
import { withBaseline, writeBaseline } from './check/baseline.ts';
import type { GraphFormat } from './check/depmod.ts';
import { report, type Reporter } from './check/reporters.ts';
import { runCheck, type RunOptions } from './check/run-check.ts';
import { fileError } from './file-error.ts';
import { type Exit, exit, type Io } from './io.ts';
import { UsageError } from './usage-error.ts';

export interface CheckOptions {
  readonly symvers?: string;
  readonly symbols?: string;
  readonly kernel?: Version;
  readonly vendor?: Vendor;
  readonly config?: string;
  readonly jobs?: string;
  readonly shard?: string;
  readonly reporter?: Reporter;
  readonly json?: boolean;
  readonly output?: string;
  readonly baseline?: string;
  readonly writeBaseline?: string;
  readonly graph?: GraphFormat;
  readonly diff?: boolean;
  readonly oldSymvers?: string;
}

/** @throws UsageError, InputError */
export async function check(dirs: readonly string[], options: CheckOptions, io: Io): Promise<Exit> {
  const reporter = options.json === true ? 'json' : (options.reporter ?? 'pretty');
  const run: RunOptions = {
    symvers: options.symvers,
    symbols: options.symbols,
    kernel: options.kernel,
    vendor: options.vendor,
    config: options.config,
    jobs: jobsOf(options.jobs),
    shard: shardOf(options.shard),
  };
  if (options.diff === true) {
    const [old, now] = dirs;
    if (old === undefined || now === undefined || dirs.length > 2)
      throw new UsageError('--diff compares two trees: komulator check --diff OLD NEW');
    if (reporter !== 'json' && reporter !== 'pretty')
      throw new UsageError(`--diff is told by --reporter pretty or json, not ${reporter}`);
    const { diffTrees } = await import('./check/diff.ts');
    return diffTrees(old, now, run, options.oldSymvers, reporter, io);
  }
  const [dir, ...more] = dirs;
  if (dir === undefined || more.length > 0) throw new UsageError('one tree at a time; --diff compares two');
  const checked = await runCheck(dir, run, io);
  let { result } = checked;
  if (options.graph !== undefined) {
    const { graphText } = await import('./check/depmod.ts');
    io.print(graphText(options.graph, checked));
    return result.interrupted ? exit.interrupted : exit.well;
  }
  if (options.writeBaseline !== undefined) {
    writeBaseline(result, options.writeBaseline);
    io.complain(`${options.writeBaseline}: ${result.failed.length} findings are accepted from now on`);
  }
  const baseline = options.writeBaseline ?? options.baseline;
  if (baseline !== undefined) result = withBaseline(result, baseline, run.shard === undefined);
  const lines = report(reporter, result, options.output === undefined ? io.paint : (_, text) => text);
  if (options.output === undefined) for (const line of lines) io.print(line);
  else write(options.output, lines);
  if (result.interrupted) return exit.interrupted;
  return result.failed.length > 0 ? exit.findings : exit.well;
}

function write(file: string, lines: readonly string[]): void {
  try {
    writeFileSync(file, `${lines.join('\n')}\n`);
  } catch (error) {
    throw fileError(file, error);
  }
}

function jobsOf(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  const jobs = Number(text);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 256)
    throw new UsageError(`--jobs ${text}: expected a number of threads, 1 to 256`);
  return jobs;
}

function shardOf(text: string | undefined): RunOptions['shard'] {
  if (text === undefined) return undefined;
  const found = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = [Number(found?.[1]), Number(found?.[2])];
  if (found === null || index < 1 || index > count)
    throw new UsageError(`--shard ${text}: expected i/n with i from 1 to n, as in 1/4`);
  return { index: index - 1, count };
}
