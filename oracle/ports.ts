/** What building and running the handlers of each architecture takes. Every quirk is a row here, none is in build.ts. */

/** How the handlers of one architecture are built, linked and started. */
export interface PortSpec {
  /** ARCH= of the kernel's make. */
  readonly arch: string;
  /** Configuration target of make. */
  readonly defconfig: string;
  /** Arguments of scripts/config after it, on top of the common ones. */
  readonly config: readonly string[];
  /** Prefix of compiler and binutils. */
  readonly cross: string;
  /** Debian package of the compiler, for messages. */
  readonly package: string;
  /** The kernel's files under test, compiled unmodified with port/redefine.h in front. A missing file is passed over. */
  readonly sources: readonly string[];
  /** Objects that are linked as the kernel's own build makes them. A missing source is passed over. */
  readonly objects: readonly string[];
  /** Flags after the kernel's. */
  readonly flags: readonly string[];
  /** Flags of the link, next to those about ABI and CPU of the compile line. */
  readonly link: readonly string[];
  /** Whether libgcc is linked: functions that the compiler calls by itself. */
  readonly libgcc: boolean;
  /** Undefined symbols that are data, with a size in bytes. All others that nobody defines are functions never called. */
  readonly data: Readonly<Record<string, number>>;
  /** qemu-user's name; undefined: started as it is on this Node architecture. */
  readonly qemu: string;
  readonly native: NodeJS.Architecture | undefined;
  /** Bits to be or-ed away and in e_flags of every object, where the kernel's float ABI is not libgcc's. */
  readonly word: 32 | 64;
  readonly little: boolean;
  /** Where generated cases may put a module: bases of free ranges of 16 MiB that the emulated user space has. */
  readonly arenas: readonly bigint[];
  /** Values of `flags` that mean something. */
  readonly variants: readonly number[];
  /** parisc: the data pointer that the port is linked with. */
  readonly dp: bigint | undefined;
}

/** What all rows share. */
const common = {
  config: [],
  objects: ['lib/sort.o'],
  flags: [],
  link: [],
  libgcc: false,
  data: {},
  native: undefined,
  variants: [0],
  dp: undefined,
} as const;

/** Low addresses: what every 32-bit target and every restricted 64-bit one has. */
const low: readonly bigint[] = [0x2000_0000n, 0x3000_0000n];
const wide: readonly bigint[] = [0x2000_0000n, 0x10_0000_0000n, 0x23_4560_0000n];

const only = (sources: string): { readonly sources: readonly string[] } => ({ sources: sources.split(' ') });

const mips = {
  ...common,
  ...only('arch/mips/kernel/module.c'),
  arch: 'mips',
  config: ['-d', 'CPU_HAS_MSA', '-d', 'MIPS_FP_SUPPORT_O32'],
};
const powerpc = {
  ...common,
  arch: 'powerpc',
  objects: ['lib/sort.o'],
} as const;
const powerpc64 = {
  ...powerpc,
  ...only('arch/powerpc/kernel/module.c arch/powerpc/kernel/module_64.c'),
  word: 64,
  arenas: wide,
} as const;

export const ports: Readonly<Record<string, PortSpec>> = {
  riscv64: {
    ...common,
    ...only('arch/riscv/kernel/module.c arch/riscv/kernel/module-sections.c'),
    arch: 'riscv',
    defconfig: 'defconfig',
    config: ['-e', 'RELOCATABLE', '-e', 'MODULE_SECTIONS'],
    // Nobody sets gp, which relaxed code would count from.
    link: ['-Wl,--no-relax'],
    cross: 'riscv64-linux-gnu-',
    package: 'gcc-riscv64-linux-gnu',
    qemu: 'qemu-riscv64',
    word: 64,
    little: true,
    arenas: [...wide, 0x3f_1200_0000n],
  },
  arm64: {
    ...common,
    ...only('arch/arm64/kernel/module.c arch/arm64/kernel/module-plts.c arch/arm64/lib/insn.c'),
    arch: 'arm64',
    defconfig: 'defconfig',
    config: ['-e', 'ARM64_ERRATUM_843419', '-d', 'SHADOW_CALL_STACK', '-d', 'ARM64_PTR_AUTH_KERNEL'],
    cross: 'aarch64-linux-gnu-',
    package: 'gcc-aarch64-linux-gnu',
    qemu: 'qemu-aarch64',
    word: 64,
    little: true,
    arenas: [...wide, 0x3fff_f000_0000n],
    variants: [0, 1],
  },
  s390x: {
    ...common,
    ...only('arch/s390/kernel/module.c'),
    arch: 's390',
    defconfig: 'defconfig',
    config: ['-e', 'EXPOLINE'],
    objects: ['lib/sort.o', 'arch/s390/lib/expoline.o'],
    cross: 's390x-linux-gnu-',
    package: 'gcc-s390x-linux-gnu',
    qemu: 'qemu-s390x',
    word: 64,
    little: false,
    arenas: [...wide, 0x3ff_0000_0000n],
    variants: [0, 1],
  },
};
