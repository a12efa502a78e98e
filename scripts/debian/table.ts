/**
 * What is taken from Debian, and from where. Patch versions move on the mirror, so a row names a series and a flavour,
 * never a package: the newest match is looked up at fetch time and recorded in the manifest.
 */

/** One kernel of ground truth: a row of `KERNELS`. */
export interface KernelRow {
  /** Debian's suite code name. */
  readonly suite: string;
  /** Debian's architecture name, as in `APT::Architecture`. */
  readonly arch: string;
  /** Upstream series, the start of the package's kernel version. */
  readonly series: string;
  /** Debian's kernel flavour, the end of the package name. */
  readonly flavour: string;
}

/** One program of another Debian release, unpacked beside the system with the libraries it needs. */
export interface ToolRow {
  readonly suite: string;
  readonly package: string;
  /** Program name → path inside the package. */
  readonly programs: Readonly<Record<string, string>>;
}

// biome-ignore format: a table is read down its columns
export const KERNELS: Readonly<Record<string, KernelRow>> = {
  amd64:    { suite: 'bookworm', arch: 'amd64',    series: '6.1',  flavour: 'amd64' },
  i386:     { suite: 'bookworm', arch: 'i386',     series: '6.1',  flavour: '686-pae' },
  mips64el: { suite: 'bookworm', arch: 'mips64el', series: '6.1',  flavour: '5kc-malta' },
  arm64:    { suite: 'trixie',   arch: 'arm64',    series: '6.12', flavour: 'arm64' },
  armhf:    { suite: 'trixie',   arch: 'armhf',    series: '6.12', flavour: 'armmp' },
  ppc64el:  { suite: 'trixie',   arch: 'ppc64el',  series: '6.12', flavour: 'powerpc64le' },
  riscv64:  { suite: 'trixie',   arch: 'riscv64',  series: '6.12', flavour: 'riscv64' },
  s390x:    { suite: 'trixie',   arch: 's390x',    series: '6.12', flavour: 's390x' },
  loong64:  { suite: 'sid',      arch: 'loong64',  series: '7.2',  flavour: 'loong64' },
};

// biome-ignore format: a table is read down its columns
export const TOOLS: Readonly<Record<string, ToolRow>> = {
  kmod: { suite: 'trixie',   package: 'kmod',   programs: { kmod: 'usr/bin/kmod', depmod: 'usr/sbin/depmod' } },
  lld:  { suite: 'bookworm', package: 'lld-19', programs: { 'ld.lld': 'usr/lib/llvm-19/bin/ld.lld' } },
  mold: { suite: 'trixie',   package: 'mold',   programs: { mold: 'usr/bin/mold' } },
  // fixtures/regenerate.sh: bookworm has no binutils for LoongArch.
  'binutils-loongarch64': {
    suite: 'trixie',
    package: 'binutils-loongarch64-linux-gnu',
    programs: {
      'loongarch64-linux-gnu-as': 'usr/bin/loongarch64-linux-gnu-as',
      'loongarch64-linux-gnu-ld': 'usr/bin/loongarch64-linux-gnu-ld',
    },
  },
};

/** Kernel sources: series → suite that carries `linux-source-SERIES`. */
export const SOURCES: Readonly<Record<string, string>> = { '6.1': 'bookworm', '6.12': 'trixie', '7.2': 'sid' };
