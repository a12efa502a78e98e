/**
 * Debian kernels for ground truth: modules, `Module.symvers`, config, and `modules.dep` made by Debian's own depmod.
 *
 *     node scripts/debian/fetch.ts amd64 arm64 riscv64     # or: all
 *
 * Prints progress on stderr and the manifests, one JSON document, on stdout. Exit 2 = wrong use, 3 = unavailable.
 */

import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log, PackageInfo } from './apt.ts';
import { Apt, exists, need, unpackDeb } from './apt.ts';
import { cacheDir, Unavailable, withLock } from './cache.ts';
import { fetchNames } from './command.ts';
import type { DebianKernel } from './manifest.ts';
import { readManifest, toManifest, writeWhole } from './manifest.ts';
import { downloadNewest } from './older.ts';
import { kernelCandidates } from './pick.ts';
import type { KernelRow } from './table.ts';
import { KERNELS } from './table.ts';
import { debianProgram } from './tools.ts';
import { vermagicFromFile } from './vermagic.ts';

export type { DebianKernel };

/**
 * Kernel `name` of `KERNELS`: what is in the cache, without any network, or else fetched now. `refresh` fetches again.
 * The manifest is written last; a folder without one is a broken start and is redone. Throws Unavailable when the
 * machine is offline or lacks a program.
 */
export async function debianKernel(
  name: string,
  options: { readonly refresh?: boolean; readonly log?: Log } = {},
): Promise<DebianKernel> {
  const row = KERNELS[name];
  if (row === undefined) throw new RangeError(`no kernel named ${name}: choose from ${Object.keys(KERNELS).join(' ')}`);
  const log = options.log ?? (() => {});
  const dir = cacheDir('kernels', name);
  return withLock(`${dir}.lock`, async () => {
    if (options.refresh !== true) {
      const present = await readManifest(dir);
      if (present !== undefined) {
        log(`${name}: ${present.version} is there, ${present.modules} modules`);
        return present;
      }
    }
    return fetchKernel(name, row, dir, log);
  });
}

async function fetchKernel(name: string, row: KernelRow, dir: string, log: Log): Promise<DebianKernel> {
  const depmod = await debianProgram('kmod', 'depmod', log);
  const apt = await Apt.open(row.suite, row.arch, log);
  const download = async ({ packages }: Build): Promise<readonly string[]> => {
    const names = packages.map((info) => info.name);
    log(`${name}: ${names.join(' ')}`);
    return apt.download(names, `${dir}.debs`);
  };
  // What is there stays until the download has succeeded.
  const { build, debs, warnings } = await downloadNewest(await listed(apt, row), download, (line) =>
    log(`${name}: ${line}`),
  );
  const { version, packages } = build;
  await rm(dir, { recursive: true, force: true });
  const unpacked = join(dir, 'unpacked');
  for (const deb of debs) await unpackDeb(deb, unpacked);
  await rm(`${dir}.debs`, { recursive: true });

  const modulesDir = join(dir, 'lib/modules', version);
  await mkdir(join(dir, 'lib/modules'), { recursive: true });
  // Suites from trixie on ship usr/lib.
  const shipped = (await exists(join(unpacked, 'usr/lib/modules', version))) ? 'usr/lib/modules' : 'lib/modules';
  await rename(join(unpacked, shipped, version), modulesDir);
  // Links into /usr/src that lead nowhere here.
  for (const link of ['build', 'source']) await rm(join(modulesDir, link), { force: true });
  const symvers = join(dir, 'Module.symvers');
  const systemMap = join(dir, 'System.map');
  const config = join(dir, 'config');
  await rename(join(unpacked, `usr/src/linux-headers-${version}/Module.symvers`), symvers);
  for (const file of ['System.map', 'config']) {
    // In /boot until trixie, beside the modules after it.
    const boot = join(unpacked, `boot/${file}-${version}`);
    await rename((await exists(boot)) ? boot : join(modulesDir, file), join(dir, file));
  }
  await rm(unpacked, { recursive: true });

  log(`${name}: depmod`);
  await need(depmod, ['-b', dir, version]);
  const files = await moduleFiles(modulesDir);
  const first = files[0];
  if (first === undefined) throw new Unavailable(`${version} holds no modules`);
  let bytes = 0;
  for (const file of files) bytes += (await stat(file)).size;
  const kernel: DebianKernel = {
    name,
    suite: row.suite,
    arch: row.arch,
    version,
    packages,
    dir,
    modulesDir,
    symvers,
    systemMap,
    config,
    vermagic: await vermagicFromFile(first),
    suffix: first.slice(first.lastIndexOf('.ko')),
    modules: files.length,
    bytes,
    depmod: (await need(depmod, ['--version'])).split('\n')[0] ?? '',
    fetched: new Date().toISOString(),
    warnings: [...apt.warnings, ...warnings],
  };
  await writeWhole(join(dir, 'manifest.json'), toManifest(kernel));
  log(`${name}: ${version}, ${kernel.modules} modules, ${(bytes / 1e6).toFixed(0)} MB`);
  return kernel;
}

/** One build as the mirror lists it. */
interface Build {
  readonly version: string;
  readonly packages: readonly PackageInfo[];
}

/** The builds the mirror lists, newest first: names without a version are other packages' mentions. */
async function listed(apt: Apt, row: KernelRow): Promise<Build[]> {
  const builds: Build[] = [];
  for (const { version, packages } of kernelCandidates(await apt.names('linux-'), row)) {
    const infos = await Promise.all(packages.map((name) => apt.info(name)));
    const there = infos.filter((info) => info !== undefined);
    if (there.length === packages.length) builds.push({ version, packages: there });
  }
  if (builds.length > 0) return builds;
  const wanted = `linux-image-${row.series}.*-${row.flavour} with its linux-headers`;
  throw new Unavailable([`${row.suite}/${row.arch} has no ${wanted}`, ...apt.warnings].join('\n'));
}

/** Every module file below `dir`, sorted by path. */
export async function moduleFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.ko(\.[a-z0-9]+)?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

if (import.meta.main) {
  process.exitCode = await fetchNames('fetch.ts', KERNELS, (name, refresh, log) =>
    debianKernel(name, { refresh, log }),
  );
}
