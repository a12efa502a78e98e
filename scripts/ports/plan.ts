/** Which handlers are built: of every kernel, every port that its sources and Debian's compilers can give. */
import { UsageError } from '../../cli/usage-error.ts';
import { ports } from '../../oracle/ports.ts';
import { type Version, versions } from '../../relocs/module-view.ts';

/** One port of one kernel. */
export interface Planned {
  readonly series: Version;
  /** A name of `ports`. */
  readonly arch: string;
}

/** Ports of 7.2 that older kernels do not have, and why. */
export const withoutOlder: Readonly<Record<Version, Readonly<Record<string, string>>>> = {
  '7.2': {},
  '6.12': {},
  '6.1': {
    alpha: "Debian's 6.1.192 does not compile: ptep_clear_flush() passes too few arguments",
    loongarch64: 'the sources cannot be compiled by clang yet, and Debian 12 has no GCC for it',
    'ppc64le-pcrel': 'the kernel has no PPC_KERNEL_PCREL yet',
  },
};

/** What most people run a kernel on: these come first. */
const first = 'riscv64 riscv32 arm64 arm x86_64 i386 s390x ppc64le ppc64'.split(' ');

/** Kernels by their names, newest first; all when none is named. Throws UsageError. */
export function seriesNamed(names: readonly string[]): Version[] {
  const foreign = names.find((name) => !versions.some((version) => version === name));
  if (foreign !== undefined) throw new UsageError(`no kernel ${foreign}: choose from ${versions.join(' ')}`);
  return versions.filter((version) => names.length === 0 || names.includes(version)).toReversed();
}

/**
 * Newest kernel first, and of older ones what most people run them on before the others: a run may not have the time
 * for all. Throws UsageError for a name that no port has.
 */
export function plan(series: readonly Version[], only?: readonly string[]): Planned[] {
  const unknown = only?.find((name) => ports[name] === undefined);
  if (unknown !== undefined)
    throw new UsageError(`no port named ${unknown}: choose from ${Object.keys(ports).join(' ')}`);
  const names = Object.keys(ports).filter((name) => only === undefined || only.includes(name));
  const rank = ({ series: one, arch }: Planned): number => (one === '7.2' ? 0 : first.includes(arch) ? 1 : 2);
  return series
    .flatMap((one) =>
      names.filter((arch) => withoutOlder[one][arch] === undefined).map((arch): Planned => ({ series: one, arch })),
    )
    .toSorted((a, b) => rank(a) - rank(b));
}

/** Works on the list in order, so many at a time. */
export async function inLanes<T>(list: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...list];
  const lane = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
