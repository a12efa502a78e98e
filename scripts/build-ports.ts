// Builds the kernel's own handlers for every architecture that Debian has a compiler and an emulator for, into the
// user's cache, two at a time; what is there and unchanged is not built again.
//
//     npm run build:ports -- [--fresh] [--install] [--packages] [--only ARCH,…] [7.2 6.12 6.1]
//
// --fresh does all of it from nothing, sources included, in a folder that is thrown away, and so times a full build.
// --packages prints what must be installed, and builds nothing. --install installs what is missing, as root.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { UsageError } from '../cli/usage-error.ts';
import { BuildError, buildPort } from '../oracle/build.ts';
import { withoutPort } from '../oracle/ports.ts';
import { versions } from '../relocs/module-view.ts';
import { debianSource } from './debian/sources.ts';
import { install, packagesOf } from './ports/packages.ts';
import { inLanes, type Planned, plan, seriesNamed, withoutOlder } from './ports/plan.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fresh: { type: 'boolean', default: false },
    install: { type: 'boolean', default: false },
    packages: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const only = values.only?.split(',');
const list = asked();
const needed = packagesOf(list.map((one) => one.arch));
if (values.packages) {
  console.log([...needed.keys()].toSorted().join(' '));
  process.exit(0);
}
const began = performance.now();
if (values.install) {
  const lacking = install(needed, 20 * 60_000, (line) => console.error(line));
  if (lacking !== undefined) console.error(lacking);
}
let thrownAway: string | undefined;
if (values.fresh) {
  thrownAway = await mkdtemp(join(tmpdir(), 'komulator-fresh-'));
  process.env['XDG_CACHE_HOME'] = thrownAway;
}

let built = 0;
let failed = 0;
try {
  const trees = new Map<string, string>();
  for (const series of new Set(list.map((one) => one.series))) {
    const from = performance.now();
    trees.set(series, await debianSource(series, { log: (line) => console.error(line) }));
    console.log(`sources of ${series}: ${seconds(from)} s`);
  }
  const from = performance.now();
  await inLanes(list, 2, async ({ series, arch }) => {
    const start = performance.now();
    try {
      await buildPort({ kernelTree: trees.get(series)!, arch });
      built++;
      console.log(`${series} ${arch}: ${seconds(start)} s`);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      failed++;
      console.error(`${series} ${arch}: ${error.message}`);
    }
  });
  for (const [arch, why] of Object.entries(withoutPort)) console.log(`no port of ${arch}: ${why}`);
  for (const one of versions)
    for (const [arch, why] of Object.entries(withoutOlder[one])) console.log(`no port of ${arch} ${one}: ${why}`);
  console.log(`${built} built, ${failed} failed, ${seconds(from)} s; with everything before it ${seconds(began)} s`);
} finally {
  if (thrownAway !== undefined) await rm(thrownAway, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;

function asked(): Planned[] {
  try {
    return plan(seriesNamed(positionals), only);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}

function seconds(from: number): string {
  return ((performance.now() - from) / 1000).toFixed(1);
}
