/** The record of what was fetched, written last: its presence says that a kernel's folder is complete. */

import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageInfo } from './apt.ts';

/** An unpacked kernel. Its `manifest.json` holds the same, paths relative to the folder. */
export interface DebianKernel {
  readonly name: string;
  readonly suite: string;
  readonly arch: string;
  /** `uname -r`, the folder's name under lib/modules. */
  readonly version: string;
  readonly packages: readonly PackageInfo[];
  /** Folder of everything below; a base folder for `depmod -b`. */
  readonly dir: string;
  /** `lib/modules/VERSION`, with modules.dep and friends. */
  readonly modulesDir: string;
  readonly symvers: string;
  /** Debian's System.map in an image package is a stub of one line. */
  readonly systemMap: string;
  readonly config: string;
  /** `vermagic` of the first module by path. */
  readonly vermagic: string;
  /** Ending of the module files: `.ko` or `.ko.xz`. */
  readonly suffix: string;
  readonly modules: number;
  /** Size of all module files together, as stored. */
  readonly bytes: number;
  readonly depmod: string;
  /** ISO date of the fetch. */
  readonly fetched: string;
  /** What apt complained about during the fetch, and newer builds that could not be downloaded. */
  readonly warnings: readonly string[];
}

const PATHS = ['modulesDir', 'symvers', 'systemMap', 'config'] as const;

/** The manifest's text: paths are relative to the kernel's folder, so that the cache can be moved. */
export function toManifest(kernel: DebianKernel): string {
  const relative = Object.fromEntries(PATHS.map((key) => [key, kernel[key].slice(kernel.dir.length + 1)]));
  return `${JSON.stringify({ ...kernel, dir: '.', ...relative }, null, 2)}\n`;
}

/** The inverse of `toManifest`; undefined for text that is cut or not a manifest. */
export function fromManifest(text: string, dir: string): DebianKernel | undefined {
  try {
    const kernel = JSON.parse(text) as DebianKernel;
    const absolute = Object.fromEntries(PATHS.map((key) => [key, join(dir, kernel[key])]));
    return { ...kernel, ...absolute, dir };
  } catch {
    return undefined;
  }
}

/** The manifest of a complete kernel folder, or undefined. */
export async function readManifest(dir: string): Promise<DebianKernel | undefined> {
  const text = await readFile(join(dir, 'manifest.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : fromManifest(text, dir);
}

/** Writes text whole or not at all. */
export async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
