/** Which kernel a module was built for, told by its version magic. */
import { compareVersions, type Version, versions } from '../relocs/module-view.ts';
import type { Vendor } from '../loader/kernel.ts';

export interface Profile {
  readonly version: Version;
  /** Set where the profile is not the module's own version. */
  readonly note?: string;
}

/**
 * The newest profile that is not newer than a release ("6.1.0-56-amd64"); every 7.x is taken as 7.2. Older kernels than
 * the oldest profile are taken as that, and no release at all as the newest.
 */
export function profileOf(release: string | undefined): Profile {
  const newest = versions.at(-1)!;
  const found = /^(\d+)\.(\d+)/.exec(release ?? '');
  if (found === null) {
    const why =
      release === undefined ? 'the module does not say which kernel it is for' : `'${release}' is no kernel version`;
    return { version: newest, note: `${why}: loading as ${newest} would (--kernel chooses)` };
  }
  const wanted = `${found[1]}.${found[2]}`;
  const exact = versions.find((v) => v === wanted);
  if (exact !== undefined) return { version: exact };
  const series = found[1] === '7' ? '7.2' : versions.findLast((v) => compareVersions(v, wanted) <= 0);
  const version = series ?? versions[0];
  return { version, note: `there is no profile of ${wanted}: loading as ${version} would (--kernel chooses)` };
}

/** Flavours at the end of Debian's releases: the architecture, or the machine where there are several. */
const FLAVOUR =
  /-(?:(?:cloud|rt)-)?(?:amd64|686|686-pae|arm64|arm64-16k|armmp|armmp-lpae|rpi|marvell|riscv64|s390x|powerpc|powerpc-smp|powerpc64|powerpc64le|powerpc64le-64k|loong64|loong32|[45]kc-malta|octeon|loongson-3|mips(?:64)?r[26](?:el|eb)|m68k|parisc(?:64)?(?:-16k)?|sparc64(?:-smp)?|alpha-(?:generic|smp)|sh7751r|sh7785lcr|itanium|mckinley)$/;

/** Debian's kernels bear "+deb" or one of its flavours; others count as mainline. */
export const vendorOf = (release: string | undefined): Vendor =>
  release !== undefined && (/[+~]deb|\+bpo/.test(release) || FLAVOUR.test(release)) ? 'debian' : 'mainline';
