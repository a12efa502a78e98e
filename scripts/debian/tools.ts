/**
 * Programs of other Debian releases, unpacked with their libraries and C library into the cache and started through
 * their own dynamic loader, so that neither the system's version nor its packages matter.
 *
 *     node scripts/debian/tools.ts kmod lld mold
 */

import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Log } from './apt.ts';
import { Apt, exists, hostArch, unpackDeb } from './apt.ts';
import { cacheDir, Unavailable, withLock } from './cache.ts';
import { fetchNames } from './command.ts';
import { writeWhole } from './manifest.ts';
import { TOOLS } from './table.ts';

/** An unpacked tool. Its `manifest.json` holds the same. */
export interface Tool {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** Program name → absolute path of a wrapper script. */
  readonly programs: Readonly<Record<string, string>>;
}

/** Tool `name` of `TOOLS`: what is in the cache, or fetched now. Throws Unavailable. */
export async function debianTool(
  name: string,
  options: { readonly refresh?: boolean; readonly log?: Log } = {},
): Promise<Tool> {
  const log = options.log ?? (() => {});
  const row = TOOLS[name];
  if (row === undefined) throw new RangeError(`no tool named ${name}: choose from ${Object.keys(TOOLS).join(' ')}`);
  const dir = cacheDir('tools', name);
  return withLock(`${dir}.lock`, async () => {
    const manifest = join(dir, 'manifest.json');
    if (options.refresh !== true && (await exists(manifest))) {
      const present = JSON.parse(await readFile(manifest, 'utf8')) as Tool;
      if (present.package === row.package) return present;
    }
    const apt = await Apt.open(row.suite, await hostArch(), log);
    const info = await apt.info(row.package);
    if (info === undefined) throw new Unavailable(`${row.suite} has no package ${row.package}`);
    log(`${name}: ${info.name} ${info.version} with its libraries`);
    // What is there stays until the download has succeeded.
    const debs = await apt.download(await apt.withLibraries(row.package), `${dir}.debs`);
    await rm(dir, { recursive: true, force: true });
    const root = join(dir, 'root');
    for (const deb of debs) await unpackDeb(deb, root);
    await rm(`${dir}.debs`, { recursive: true });
    const programs: Record<string, string> = {};
    for (const [program, path] of Object.entries(row.programs)) {
      programs[program] = await writeWrapper(join(dir, 'bin', program), root, join(root, path));
    }
    const tool: Tool = { name, package: info.name, version: info.version, programs };
    await writeWhole(manifest, `${JSON.stringify(tool, null, 2)}\n`);
    return tool;
  });
}

/** Absolute path of one program of a tool. */
export async function debianProgram(tool: string, program: string, log: Log = () => {}): Promise<string> {
  const path = (await debianTool(tool, { log })).programs[program];
  if (path === undefined) throw new RangeError(`tool ${tool} has no program ${program}`);
  return path;
}

async function writeWrapper(path: string, root: string, program: string): Promise<string> {
  const files = await readdir(root, { recursive: true, withFileTypes: true });
  const loader = files.find((file) => file.isFile() && /^ld(-linux.*|64)\.so\.\d$/.test(file.name));
  if (loader === undefined) throw new Unavailable(`no dynamic loader under ${root}`);
  const libraries = new Set(files.filter((file) => /\.so(\.\d+)*$/.test(file.name)).map((file) => file.parentPath));
  await mkdir(dirname(path), { recursive: true });
  const script = [
    '#!/bin/sh',
    `exec '${join(loader.parentPath, loader.name)}' --library-path '${[...libraries].join(':')}' '${program}' "$@"`,
  ];
  await writeFile(path, `${script.join('\n')}\n`);
  await chmod(path, 0o755);
  return path;
}

if (import.meta.main) {
  process.exitCode = await fetchNames('tools.ts', TOOLS, (name, refresh, log) => debianTool(name, { refresh, log }));
}
