// Replays fixtures/findings and fixtures/finalize on ports built from kernel sources: every case must come out as its
// file says, at the port and at the reference. Kernels before 7.2 on the architectures that CI builds; --all: on all
// that build.
//   node scripts/replay-findings.ts [--all] [7.2 6.12 6.1]
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { BuildError, buildPort, startPort } from '../oracle/build.ts';
import { parseCaseFile } from '../oracle/case-file.ts';
import { ports } from '../oracle/ports.ts';
import { runCase } from '../oracle/run-case.ts';
import { versions } from '../relocs/module-view.ts';
import { debianSource } from './debian/sources.ts';

const OLDER = new Set(['riscv64', 'arm64', 's390x', 'x86_64', 'i386', 'arm', 'ppc64le', 'ppc64']);
const { values, positionals } = parseArgs({ allowPositionals: true, options: { all: { type: 'boolean' } } });
const root = join(import.meta.dirname, '..');
const cases = globSync('fixtures/{findings,finalize}/*.json', { cwd: root })
  .toSorted()
  .map((file) => ({ name: basename(file, '.json'), c: parseCaseFile(readFileSync(join(root, file), 'utf8')) }));
let [passed, failed] = [0, 0];
for (const version of versions.toReversed()) {
  if (positionals.length > 0 && !positionals.includes(version)) continue;
  const tree = await debianSource(version, { log: (line) => console.error(line) });
  for (const arch of new Set(cases.map(({ c }) => c.arch))) {
    if (!(arch in ports) || (version !== '7.2' && values.all !== true && !OLDER.has(arch))) continue;
    const here = cases.filter(({ c }) => c.arch === arch && c.expect[version] !== undefined);
    if (here.length === 0) continue;
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
      // Not every architecture of an old kernel builds with the compilers of today.
      if (version === '7.2' || OLDER.has(arch)) failed++;
      console.log(`${arch} ${version}: ${error.message.split('\n').at(-1)}`);
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
