/**
 * Kernel sources as Debian ships them (patched), unpacked into the cache, to read and to build handlers from.
 *
 *     node scripts/debian/sources.ts 7.2 6.12 6.1
 */

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from './apt.ts';
import { Apt, exists, hostArch, need, unpackDeb } from './apt.ts';
import { cacheDir, Unavailable, withLock } from './cache.ts';
import { fetchNames } from './command.ts';
import { writeWhole } from './manifest.ts';
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
    const info = await apt.info(name);
    if (info === undefined) throw new Unavailable(`${suite} has no package ${name}\n${apt.warnings.join('\n')}`);
    log(`${series}: ${name} ${info.version}`);
    const partial = `${dir}.partial`;
    await rm(partial, { recursive: true, force: true });
    const tree = join(partial, 'tree');
    await mkdir(tree, { recursive: true });
    for (const deb of await apt.download([name], join(partial, 'debs'))) await unpackDeb(deb, join(partial, 'package'));
    const shipped = join(partial, 'package/usr/src');
    const archive = (await readdir(shipped)).find((file) => file.startsWith(`${name}.tar`));
    if (archive === undefined) throw new Unavailable(`${name} ${info.version} holds no source archive`);
    await need('tar', ['-xf', join(shipped, archive), '-C', tree, '--strip-components=1']);
    await writeWhole(`${dir}.json`, `${JSON.stringify({ series, suite, ...info, warnings: apt.warnings }, null, 2)}\n`);
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
