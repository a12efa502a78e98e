/**
 * Kernel sources as Debian ships them (patched), unpacked into the cache, to read and to build handlers from.
 *
 *     node scripts/debian/sources.ts 7.2 6.12 6.1
 */

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log, PackageInfo } from './apt.ts';
import { Apt, exists, hostArch, need, unpackDeb } from './apt.ts';
import { cacheDir, Unavailable, withLock } from './cache.ts';
import { fetchNames } from './command.ts';
import { writeWhole } from './manifest.ts';
import { downloadNewest } from './older.ts';
import { SOURCES } from './table.ts';

/**
 * Folder of the kernel tree of `series`: what is in the cache, however it came there, or else fetched now and recorded
 * in `SERIES.json` beside it. Throws Unavailable.
 */
export async function debianSource(
  series: string,
  options: { readonly refresh?: boolean; readonly log?: Log } = {},
): Promise<string> {
  const log = options.log ?? (() => {});
  const suite = SOURCES[series];
  if (suite === undefined)
    throw new RangeError(`no sources for ${series}: choose from ${Object.keys(SOURCES).join(' ')}`);
  const dir = cacheDir('sources', series);
  return withLock(`${dir}.lock`, async () => {
    if (options.refresh !== true && (await exists(join(dir, 'Makefile')))) {
      log(`${series}: ${dir} is there`);
      return dir;
    }
    const name = `linux-source-${series}`;
    const apt = await Apt.open(suite, await hostArch(), log);
    const listed = await apt.versions(name);
    if (listed.length === 0) throw new Unavailable(`${suite} has no package ${name}\n${apt.warnings.join('\n')}`);
    const partial = `${dir}.partial`;
    await rm(partial, { recursive: true, force: true });
    const tree = join(partial, 'tree');
    await mkdir(tree, { recursive: true });
    const download = async ({ version }: PackageInfo): Promise<readonly string[]> => {
      log(`${series}: ${name} ${version}`);
      return apt.download([`${name}=${version}`], join(partial, 'debs'));
    };
    const { build, debs, warnings } = await downloadNewest(listed, download, (line) => log(`${series}: ${line}`));
    for (const deb of debs) await unpackDeb(deb, join(partial, 'package'));
    const shipped = join(partial, 'package/usr/src');
    const archive = (await readdir(shipped)).find((file) => file.startsWith(`${name}.tar`));
    if (archive === undefined) throw new Unavailable(`${name} ${build.version} holds no source archive`);
    await need('tar', ['-xf', join(shipped, archive), '-C', tree, '--strip-components=1']);
    const record = { series, suite, ...build, warnings: [...apt.warnings, ...warnings] };
    await writeWhole(`${dir}.json`, `${JSON.stringify(record, null, 2)}\n`);
    await rm(dir, { recursive: true, force: true });
    await rename(tree, dir);
    await rm(partial, { recursive: true });
    return dir;
  });
}

if (import.meta.main) {
  process.exitCode = await fetchNames('sources.ts', SOURCES, (series, refresh, log) =>
    debianSource(series, { refresh, log }),
  );
}
