// Records fixtures/vectors anew: what the kernel's own handlers, built from unpacked sources, make of generated cases.
//   node scripts/record-vectors.ts SOURCES [ARCH…]     SOURCES holds the trees as 7.2, 6.12 and 6.1
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { processIo } from '../cli/io.ts';
import { portRecord } from '../cli/port/record.ts';
import { ports } from '../oracle/ports.ts';

/** Versions of which only these are recorded. */
const OLDER = ['riscv64', 'riscv32', 'arm64', 'arm', 'x86_64', 'i386', 's390x', 'ppc64', 'ppc64le', 'ppc32'];
const [sources, ...wanted] = process.argv.slice(2);
if (sources === undefined) {
  console.error('usage: record-vectors SOURCES [ARCH…]');
  process.exit(2);
}
const folder = join(import.meta.dirname, '../fixtures/vectors');
mkdirSync(folder, { recursive: true });
const io = processIo();
for (const kernel of ['7.2', '6.12', '6.1'] as const) {
  const kernelTree = join(sources, kernel);
  if (!existsSync(kernelTree)) continue;
  for (const arch of Object.keys(ports)) {
    if ((wanted.length > 0 && !wanted.includes(arch)) || (kernel !== '7.2' && !OLDER.includes(arch))) continue;
    const out = join(folder, `${arch}-${kernel}.jsonl.gz`);
    try {
      const code = await portRecord({ arch, kernelTree, kernel, out, most: '300', runs: '6000', seed: '1' }, io);
      if (code !== 0) process.exitCode = 1;
    } catch (error) {
      io.complain(`${arch} ${kernel}: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
}
