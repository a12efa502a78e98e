/** A kernel's own image and a busybox for it, out of Debian's packages and into the cache. */

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Apt, exists, type Log, unpackDeb } from '../debian/apt.ts';
import { cacheDir, Unavailable, withLock } from '../debian/cache.ts';
import type { DebianKernel } from '../debian/manifest.ts';

export interface Booted {
  /** What qemu's -kernel takes. */
  readonly image: string;
  /** Statically linked. */
  readonly busybox: Uint8Array;
}

/** Of the very build whose modules are in the cache. Throws Unavailable. */
export async function bootFiles(kernel: DebianKernel, log: Log): Promise<Booted> {
  const dir = cacheDir('live', kernel.name);
  await withLock(`${dir}.lock`, async () => {
    const mark = join(dir, 'version');
    if ((await exists(mark)) && (await readFile(mark, 'utf8')) === kernel.version) return;
    const image = kernel.packages.find(({ name }) => name.startsWith('linux-image-'));
    if (image === undefined) throw new Unavailable(`${kernel.version} came without a linux-image package`);
    const apt = await Apt.open(kernel.suite, kernel.arch, log);
    const names = [`${image.name}=${image.version}`, 'busybox-static'];
    log(`${kernel.name}: ${names.join(' ')}`);
    const debs = await apt.download(names, `${dir}.debs`);
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    for (const deb of debs) await unpackDeb(deb, dir);
    await rm(`${dir}.debs`, { recursive: true });
    await writeFile(mark, kernel.version);
  });
  const images = (await readdir(join(dir, 'boot'))).filter((file) => /^vmlinu[xz]-/.test(file));
  if (images[0] === undefined) throw new Unavailable(`no image in the package of ${kernel.version}`);
  // In /bin until trixie.
  const old = join(dir, 'bin/busybox');
  const busybox = await readFile((await exists(old)) ? old : join(dir, 'usr/bin/busybox'));
  return { image: join(dir, 'boot', images[0]), busybox };
}
