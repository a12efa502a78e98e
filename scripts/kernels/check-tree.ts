/** One process that checks one tree and tells all of it: `node scripts/kernels/check-tree.ts DIR SYMVERS`. */
import { availableParallelism } from 'node:os';
import { graphText } from '../../cli/check/depmod.ts';
import type { CheckResult } from '../../cli/check/findings.ts';
import { runCheck } from '../../cli/check/run-check.ts';
import { processIo } from '../../cli/io.ts';

/** What is printed, as JSON. */
export interface CheckedTree {
  readonly result: CheckResult;
  readonly dep: string;
  readonly symbols: string;
  readonly peakKilobytes: number;
}

if (import.meta.main) {
  const [dir = '', symvers] = process.argv.slice(2);
  const checked = await runCheck(dir, { symvers, jobs: availableParallelism() }, processIo());
  const peakKilobytes = process.resourceUsage().maxRSS;
  const tree: CheckedTree = {
    result: checked.result,
    dep: `${graphText('modules.dep', checked)}\n`,
    symbols: `${graphText('modules.symbols', checked)}\n`,
    peakKilobytes,
  };
  process.stdout.write(JSON.stringify(tree));
}
