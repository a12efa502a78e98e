/** How Debian's kernels are started under qemu-system, and where their C functions find their arguments. */

export interface Machine {
  /** qemu-system-NAME, and the Debian package that has it. */
  readonly qemu: string;
  readonly package: string;
  readonly args: readonly string[];
  /** console= of the kernel's command line. */
  readonly console: string;
  /** The first and the second argument, by gdb's numbers. */
  readonly registers: readonly [number, number];
  /** Bytes behind the symbol where callers enter: ELFv2 passes over the TOC. */
  readonly entry?: number;
}

const pc = { package: 'qemu-system-x86', args: ['-machine', 'q35', '-cpu', 'max'], console: 'ttyS0' };
const virt = (cpu?: string): string[] => ['-machine', 'virt', ...(cpu === undefined ? [] : ['-cpu', cpu])];

/** Rows of scripts/debian/table.ts that can be recorded. */
// biome-ignore format: a table is read down its columns
export const MACHINES: Readonly<Record<string, Machine>> = {
  amd64:   { ...pc, qemu: 'x86_64', registers: [5, 4] },
  i386:    { ...pc, qemu: 'i386', registers: [0, 2] },
  arm64:   { qemu: 'aarch64', package: 'qemu-system-arm', args: virt('cortex-a57'), console: 'ttyAMA0', registers: [0, 1] },
  armhf:   { qemu: 'arm', package: 'qemu-system-arm', args: virt('cortex-a15'), console: 'ttyAMA0', registers: [0, 1] },
  riscv64: { qemu: 'riscv64', package: 'qemu-system-misc', args: virt(), console: 'ttyS0', registers: [10, 11] },
  s390x:   { qemu: 's390x', package: 'qemu-system-misc', args: [], console: 'ttysclp0', registers: [4, 5] },
  ppc64el: { qemu: 'ppc64', package: 'qemu-system-ppc', args: [], console: 'hvc0', registers: [3, 4], entry: 8 },
};

export const WITHOUT: Readonly<Record<string, string>> = {
  mips64el: 'the gdb stub reads only what happens to be in the TLB',
  loong64: 'it takes a newer qemu than Debian 12 has, and UEFI firmware',
};
