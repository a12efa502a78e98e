/**
 * Running kernels as the judge: Debian's own, unmodified, under qemu-system. Each loads stock modules and is stopped at
 * the entry of module_finalize(), right after apply_relocations(); its section table, symbol values and memory are read
 * out through the gdb stub, and the reference has to lay the module out and relocate it to the same bytes.
 *
 *     npm run test:live -- [--modules NAME,…] [--write DIR] [--limit SECONDS] amd64 arm64 …
 *
 * --write keeps the recordings as DIR/live-NAME.jsonl.gz, for `komulator vectors replay`: they hold Debian's modules
 * (GPL), so none is for a repository. What cannot be had is skipped, with the reason. Ends with
 * `N passed, N failed[, N skipped]`; exit 0, 1, 2 = wrong use, 3 = nothing could be run.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { readModuleFile } from '../cli/module-file.ts';
import { openModuleTree } from '../cli/module-tree.ts';
import { profileOf } from '../cli/profile.ts';
import { replay } from '../testing/replay.ts';
import { fromBase64, toBase64, type Vector } from '../testing/vector.ts';
import { Unavailable } from './debian/cache.ts';
import { debianKernel } from './debian/fetch.ts';
import type { DebianKernel } from './debian/manifest.ts';
import { boot } from './live/boot.ts';
import { initramfs } from './live/initramfs.ts';
import { type Machine, MACHINES, WITHOUT } from './live/machines.ts';
import { bootFiles } from './live/packages.ts';
import { snapshot, stoppedModule } from './live/snapshot.ts';
import { Target } from './live/target.ts';

/** Exports, per-CPU data, jump labels, tracepoints, PLTs, unwind tables; what a kernel has built in is passed over. */
const MODULES =
  'crc32c_generic,crc16,crc8,libarc4,dummy,jbd2,xfs,btrfs,nf_conntrack,bridge,zram,dm_mod,usbcore,virtio_net,drm,nouveau';
const SECONDS = 600;
const say = (line: string): void => console.log(line);

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals: names } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      modules: { type: 'string', default: MODULES },
      write: { type: 'string' },
      limit: { type: 'string', default: String(SECONDS) },
    },
  });
  const limit = Number(values.limit);
  const unknown = names.filter((name) => MACHINES[name] === undefined && WITHOUT[name] === undefined);
  if (names.length === 0 || unknown.length > 0 || !(limit > 0)) {
    for (const name of unknown) console.error(`unknown kernel: ${name}`);
    console.error(
      `usage: npm run test:live -- [--modules NAME,…] [--write DIR] ${Object.keys(MACHINES).join(' | ')} …`,
    );
    return 2;
  }
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const name of names) {
    try {
      const vectors = await record(name, values.modules.split(','), limit);
      if (values.write !== undefined) keep(values.write, name, vectors);
      const bad = vectors.filter((vector) => !agrees(vector)).length;
      failed += bad;
      passed += vectors.length - bad;
    } catch (error) {
      if (error instanceof Unavailable) {
        say(`SKIPPED ${name}: ${error.message}`);
        skipped++;
        continue;
      }
      say(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      failed++;
    }
  }
  if (passed + failed === 0) return 3;
  say(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return failed > 0 ? 1 : 0;
}

/** Throws Unavailable. */
async function record(name: string, wanted: readonly string[], limit: number): Promise<Vector[]> {
  const machine = MACHINES[name];
  if (machine === undefined) throw new Unavailable(WITHOUT[name] ?? '');
  needsQemu(machine);
  const kernel = await debianKernel(name, { log: say });
  const { image, busybox } = await bootFiles(kernel, say);
  const modules = await filesOf(kernel, wanted);
  const [first] = modules.values();
  if (first === undefined) throw new Unavailable(`${kernel.version} has none of ${wanted.join(' ')}`);
  const target = new Target(first);
  const { version } = profileOf(kernel.version);
  const vectors = new Map<string, Vector>();
  const dir = mkdtempSync(join(tmpdir(), 'komulator-live-'));
  try {
    const initrd = join(dir, 'initrd');
    writeFileSync(initrd, initramfs(busybox, modules));
    const began = performance.now();
    const stopped = async (stub: Parameters<typeof stoppedModule>[0], hdr: bigint, sechdrs: bigint): Promise<void> => {
      const module = await stoppedModule(stub, target, hdr, sechdrs);
      // busybox tries once more what was refused.
      if (vectors.has(module.name)) return;
      const file = unsigned(modules.get(module.name)!);
      const id = `live-${name}-${version}-${module.name}`;
      const recorded = await snapshot(stub, target, module, file, version);
      vectors.set(module.name, { id, arch: name, kernel: version, elf: toBase64(file), ...recorded });
    };
    const loads = await boot({ machine, target, image, initrd, limit, stopped });
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    say(`${name}: ${kernel.version}, ${vectors.size} of ${loads.size} modules got as far, ${seconds} s`);
  } finally {
    rmSync(dir, { recursive: true });
  }
  return [...vectors.values()];
}

function needsQemu({ qemu, package: debian }: Machine): void {
  try {
    execFileSync(`qemu-system-${qemu}`, ['--version'], { stdio: 'ignore' });
  } catch {
    throw new Unavailable(`no qemu-system-${qemu} here: apt install ${debian}`);
  }
}

/** Modules with what they depend on, in the order in which they can be loaded. */
async function filesOf(kernel: DebianKernel, wanted: readonly string[]): Promise<Map<string, Uint8Array>> {
  const tree = openModuleTree(kernel.modulesDir);
  const files = new Map<string, Uint8Array>();
  for (const name of wanted) {
    const found = tree.find(name);
    if (found.kind !== 'module') continue;
    const { modules } = await tree.dependencies(found.module.name);
    for (const { name: each, path } of [...modules, found.module])
      if (!files.has(each)) files.set(each, await readModuleFile(path));
  }
  return files;
}

const MARK = '~Module signature appended~\n';

/** Without Debian's signature: struct module_signature ends in the length of what stands before it. */
function unsigned(file: Uint8Array): Uint8Array {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (bytes.toString('latin1', bytes.length - MARK.length) !== MARK) return file;
  const info = bytes.length - MARK.length - 12;
  return file.subarray(0, info - bytes.readUInt32BE(info + 8));
}

function agrees(vector: Vector): boolean {
  const differences = replay(vector);
  for (const { id, what, expected, actual } of differences)
    say(`  ${id}: ${what}\n    expected ${expected}\n    actual   ${actual}`);
  return differences.length === 0;
}

function keep(dir: string, name: string, vectors: readonly Vector[]): void {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `live-${name}.jsonl.gz`);
  writeFileSync(file, gzipSync(vectors.map((vector) => `${JSON.stringify(vector)}\n`).join('')));
  const bytes = vectors.flatMap(({ expect }) => Object.values(expect.sections ?? {}).map((s) => fromBase64(s).length));
  say(`${file}: ${vectors.length} modules, ${bytes.length} sections, ${bytes.reduce((sum, n) => sum + n, 0)} bytes`);
}

process.exitCode = await main(process.argv.slice(2));
