// Builds the kernel's own handlers for every architecture that Debian has a compiler and an emulator for, into the
// user's cache; what is there and unchanged is not built again. --fresh empties the cache first and so times a full
// build. --packages prints what must be installed, and builds nothing. --only ARCH[,ARCH…] builds some.
//
//     node scripts/build-ports.ts [--fresh] [--packages] [--only ARCH,…] [7.2 6.12 6.1]
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { BuildError, buildPort } from '../oracle/build.ts';
import { ports, withoutPort } from '../oracle/ports.ts';
import { cacheDir } from './debian/cache.ts';
import { debianSource } from './debian/sources.ts';

/** Kernels before 7.2: the architectures that most people run them on. */
const older = ['riscv64', 'arm64', 's390x', 'x86_64', 'i386', 'arm', 'ppc64le', 'ppc64'];
const tools = ['bc', 'bison', 'flex', 'libelf-dev', 'lld-19', 'llvm-19', 'make', 'qemu-user-static'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fresh: { type: 'boolean' }, packages: { type: 'boolean' }, only: { type: 'string' } },
});
if (values.packages === true) {
  console.log([...new Set([...tools, ...Object.values(ports).map((spec) => spec.package)])].toSorted().join(' '));
  process.exit(0);
}
if (values.fresh === true) await rm(cacheDir('ports'), { recursive: true, force: true });

const only = values.only?.split(',');
let built = 0;
let failed = 0;
const begin = performance.now();
for (const series of positionals.length > 0 ? positionals : ['7.2', '6.12', '6.1']) {
  const kernelTree = await debianSource(series, { log: (line) => console.error(line) });
  for (const arch of only ?? (series === '7.2' ? Object.keys(ports) : older)) {
    const from = performance.now();
    try {
      await buildPort({ kernelTree, arch });
      built++;
      console.log(`${series} ${arch}: ${seconds(from)} s`);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      failed++;
      console.error(`${series} ${arch}: ${error.message}`);
    }
  }
}
for (const [arch, why] of Object.entries(withoutPort)) console.log(`no port of ${arch}: ${why}`);
console.log(`${built} built, ${failed} failed, ${seconds(begin)} s`);
process.exitCode = failed > 0 ? 1 : 0;

function seconds(from: number): string {
  return ((performance.now() - from) / 1000).toFixed(1);
}
