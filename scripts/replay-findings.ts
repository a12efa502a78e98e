// Replays fixtures/findings and fixtures/finalize on ports built from kernel sources: every case must come out as its
// file says, at the port and at the reference. Kernels before 7.2 on the architectures that CI builds; --all: on all
// that build. What a machine lacks (compiler, emulator, sources, time: --minutes) is skipped, and told.
//   node scripts/replay-findings.ts [--all] [--minutes N] [7.2 6.12 6.1]
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { BuildError, buildPort, startPort } from '../oracle/build.ts';
import { parseCaseFile } from '../oracle/case-file.ts';
import { ports } from '../oracle/ports.ts';
import { runCase } from '../oracle/run-case.ts';
import { versions } from '../relocs/module-view.ts';
import { Unavailable } from './debian/cache.ts';
import { debianSource } from './debian/sources.ts';

const OLDER = new Set(['riscv64', 'arm64', 's390x', 'x86_64', 'i386', 'arm', 'ppc64le', 'ppc64']);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean' }, minutes: { type: 'string', default: '60' } },
});
const deadline = performance.now() + Number(values.minutes) * 60_000;
const root = join(import.meta.dirname, '..');
const cases = globSync('fixtures/{findings,finalize}/*.json', { cwd: root })
  .toSorted()
  .map((file) => ({ name: basename(file, '.json'), c: parseCaseFile(readFileSync(join(root, file), 'utf8')) }));
let [passed, failed, skipped] = [0, 0, 0];
const skip = (what: string, why: string): void => {
  skipped++;
  console.log(`SKIPPED ${what}: ${why}`);
};
for (const version of versions.toReversed()) {
  if (positionals.length > 0 && !positionals.includes(version)) continue;
  const tree = await sourceOf(version);
  if (tree === undefined) continue;
  for (const arch of new Set(cases.map(({ c }) => c.arch))) {
    if (!(arch in ports) || (version !== '7.2' && values.all !== true && !OLDER.has(arch))) continue;
    const here = cases.filter(({ c }) => c.arch === arch && c.expect[version] !== undefined);
    if (here.length === 0) continue;
    if (performance.now() > deadline) {
      skip(`${arch} ${version}`, `no time left of ${values.minutes} minutes`);
      continue;
    }
    try {
      await using port = startPort(await buildPort({ kernelTree: tree, arch }));
      for (const { name, c } of here) {
        const { differences, unlike } = await runCase(c, version, port);
        const wrong = [
          ...(unlike?.reference ?? []).map((line) => `reference: ${line}`),
          ...(unlike?.port ?? []).map((line) => `port: ${line}`),
          ...differences.map((d) => `${d.what}: reference ${d.actual}, port ${d.expected}`),
        ];
        if (wrong.length === 0) passed++;
        else failed++;
        for (const line of wrong) console.log(`${name} ${version}: ${line}`);
      }
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      const why = error.message.split('\n').at(-1)!;
      // Not every architecture of an old kernel builds with the compilers of today.
      const must = version === '7.2' || OLDER.has(arch);
      if (!must || !/ does not (compile|link):/.test(error.message)) skip(`${arch} ${version}`, why);
      else {
        failed++;
        console.log(`${arch} ${version}: ${why}`);
      }
    }
  }
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
if (passed + failed === 0) console.log('no port can be had here');
process.exitCode = failed > 0 ? 1 : passed === 0 ? 3 : 0;

async function sourceOf(version: string): Promise<string | undefined> {
  try {
    return await debianSource(version, { log: (line) => console.error(line) });
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    skip(`Linux ${version}`, error.message);
    return undefined;
  }
}
