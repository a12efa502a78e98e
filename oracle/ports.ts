/** What building and running the handlers of each architecture takes. Every quirk is a row here, none is in build.ts. */

/** How the handlers of one architecture are built, linked and started. */
export interface PortSpec {
  /** ARCH= of the kernel's make. */
  readonly arch: string;
  /** Configuration targets of make, by spaces. 'new|old': what the tree has of them. */
  readonly defconfig: string;
  /** Arguments of scripts/config after it, on top of the common ones. */
  readonly config: readonly string[];
  /** Prefix of compiler and binutils; what begins with '-' is a suffix of LLVM's programs. */
  readonly cross: string;
  /** Debian package of the compiler, for messages. */
  readonly package: string;
  /** More of them, by VERSION.PATCHLEVEL. */
  readonly versions: Readonly<Record<string, readonly string[]>>;
  /**
   * The kernel's files under test, compiled unmodified with port/redefine.h in front. A missing file is passed over, and
   * one with '?OPTION' behind it where the configuration lacks the option.
   */
  readonly sources: readonly string[];
  /** Objects that are linked as the kernel's own build makes them. A missing source is passed over. */
  readonly objects: readonly string[];
  /** Objects that were built by others have this section renamed, so that the harness finds it. */
  readonly renamed: readonly [from: string, to: string] | undefined;
  /** Flags after the kernel's. */
  readonly flags: readonly string[];
  /** Flags after those, for the harness alone. */
  readonly harness: readonly string[];
  /** Flags of the linker. */
  readonly link: readonly string[];
  /** Whether libgcc is linked: functions that the compiler calls by itself. */
  readonly libgcc: boolean;
  /** Undefined symbols that are data, with a size in bytes. All others that nobody defines are functions never called. */
  readonly data: Readonly<Record<string, number>>;
  /** qemu-user's name. */
  readonly qemu: string;
  /** -cpu of qemu-user, where its default is too old. */
  readonly cpu: string | undefined;
  /** Node's architecture that needs no emulator. */
  readonly native: NodeJS.Architecture | undefined;
  /** Name in the registry of `arch/`, where it is not the port's. */
  readonly reference: string | undefined;
  /** What the reference is told about the configuration: `config` of a recorded case. */
  readonly told: string | undefined;
  readonly word: 32 | 64;
  readonly little: boolean;
  /** Where generated cases may put a module: bases of free ranges of 16 MiB that the emulated user space has. */
  readonly arenas: readonly bigint[];
  /** Values of `flags` that mean something. */
  readonly variants: readonly number[];
  /** The option without which variant 1 cannot be. */
  readonly capability: string | undefined;
  /** parisc: the data pointer that the port is linked with. */
  readonly dp: bigint | undefined;
}

/** What all rows share. */
const common = {
  config: [],
  versions: {},
  objects: ['lib/sort.o'],
  renamed: undefined,
  flags: [],
  harness: [],
  link: [],
  libgcc: false,
  data: {},
  cpu: undefined,
  native: undefined,
  reference: undefined,
  told: undefined,
  variants: [0],
  capability: undefined,
  dp: undefined,
} as const;

/** Low addresses: what every 32-bit target and every restricted 64-bit one has. */
const low: readonly bigint[] = [0x2000_0000n, 0x3000_0000n];
const wide: readonly bigint[] = [0x2000_0000n, 0x10_0000_0000n, 0x23_4560_0000n];

const words = (text: string): readonly string[] => text.split(' ');

const riscv = {
  ...common,
  arch: 'riscv',
  sources: words('arch/riscv/kernel/module.c arch/riscv/kernel/module-sections.c?MODULE_SECTIONS'),
  cross: 'riscv64-linux-gnu-',
  package: 'gcc-riscv64-linux-gnu',
  // Nobody sets gp, which relaxed code would count from.
  link: ['--no-relax'],
  little: true,
} as const;

const x86 = {
  ...common,
  sources: words('arch/x86/kernel/module.c'),
  // Nothing of what mitigations put around calls and returns runs in user space.
  config: words(
    '-d CPU_MITIGATIONS -d SPECULATION_MITIGATIONS -d X86_KERNEL_IBT -d RETPOLINE -d UNWINDER_ORC -e UNWINDER_FRAME_POINTER',
  ),
  data: { boot_cpu_data: 4096, x86_nops: 256 },
  little: true,
} as const;

const mips = {
  ...common,
  arch: 'mips',
  sources: words('arch/mips/kernel/module.c'),
} as const;

const powerpc = {
  ...common,
  arch: 'powerpc',
} as const;

const arm = {
  ...common,
  arch: 'arm',
  defconfig: 'multi_v7_defconfig',
  cross: 'arm-linux-gnueabi-',
  package: 'gcc-arm-linux-gnueabi',
  sources: words('arch/arm/kernel/module.c arch/arm/kernel/module-plts.c?ARM_MODULE_PLTS'),
  libgcc: true,
  qemu: 'qemu-arm',
  word: 32,
  little: true,
  arenas: low,
} as const;

const ppc64le = {
  ...powerpc,
  defconfig: 'ppc64le_defconfig',
  sources: words('arch/powerpc/kernel/module.c arch/powerpc/kernel/module_64.c arch/powerpc/lib/code-patching.c'),
  cross: 'powerpc64le-linux-gnu-',
  package: 'gcc-powerpc64le-linux-gnu',
  qemu: 'qemu-ppc64le',
  word: 64,
  little: true,
  arenas: wide,
} as const;

export const ports: Readonly<Record<string, PortSpec>> = {
  riscv64: {
    ...riscv,
    defconfig: 'defconfig',
    config: words('-e RELOCATABLE'),
    // As Debian has it, and the reference therefore: 6.12 without RELOCATABLE has no MODULE_SECTIONS.
    versions: { '6.12': words('-d RELOCATABLE') },
    qemu: 'qemu-riscv64',
    word: 64,
    arenas: [...wide, 0x3f_1200_0000n],
  },
  riscv32: {
    ...riscv,
    defconfig: 'defconfig 32-bit.config',
    config: words('-e RELOCATABLE -e NONPORTABLE -d 64BIT -e ARCH_RV32I'),
    qemu: 'qemu-riscv32',
    word: 32,
    arenas: low,
  },
  arm64: {
    ...common,
    arch: 'arm64',
    defconfig: 'defconfig',
    config: words('-e ARM64_ERRATUM_843419 -d SHADOW_CALL_STACK -d ARM64_PTR_AUTH_KERNEL'),
    cross: 'aarch64-linux-gnu-',
    package: 'gcc-aarch64-linux-gnu',
    sources: words('arch/arm64/kernel/module.c arch/arm64/kernel/module-plts.c arch/arm64/lib/insn.c'),
    // What a boot patches decides about capabilities.
    renamed: ['.altinstructions', 'port_alternatives'],
    qemu: 'qemu-aarch64',
    word: 64,
    little: true,
    arenas: [...wide, 0x3fff_f000_0000n],
    variants: [0, 1],
    capability: 'ARM64_ERRATUM_843419',
  },
  arm: { ...arm, config: words('-e ARM_MODULE_PLTS -d THUMB2_KERNEL -d STACKPROTECTOR_PER_TASK') },
  'arm-thumb': {
    ...arm,
    config: words('-e ARM_MODULE_PLTS -e THUMB2_KERNEL -d STACKPROTECTOR_PER_TASK'),
    reference: 'arm',
    told: 'thumb',
  },
  // Instructions stay little-endian (BE8), data are not.
  armeb: {
    ...arm,
    config: words(
      '-e ARM_MODULE_PLTS -d THUMB2_KERNEL -d STACKPROTECTOR_PER_TASK -d CPU_LITTLE_ENDIAN -e CPU_BIG_ENDIAN',
    ),
    // Debian's libgcc is little-endian.
    objects: words('lib/sort.o arch/arm/lib/lib1funcs.o'),
    libgcc: false,
    link: ['--be8'],
    qemu: 'qemu-armeb',
    little: false,
    reference: 'arm',
  },
  s390x: {
    ...common,
    arch: 's390',
    defconfig: 'defconfig',
    config: words('-e EXPOLINE'),
    cross: 's390x-linux-gnu-',
    package: 'gcc-s390x-linux-gnu',
    sources: words('arch/s390/kernel/module.c'),
    objects: words('lib/sort.o arch/s390/lib/expoline.o'),
    qemu: 'qemu-s390x',
    word: 64,
    little: false,
    arenas: [...wide, 0x3ff_0000_0000n],
    variants: [0, 1],
    capability: 'EXPOLINE',
  },
  x86_64: {
    ...x86,
    arch: 'x86_64',
    defconfig: 'x86_64_defconfig',
    cross: 'x86_64-linux-gnu-',
    package: 'gcc-x86-64-linux-gnu',
    qemu: 'qemu-x86_64',
    native: 'x64',
    word: 64,
    arenas: wide,
  },
  i386: {
    ...x86,
    arch: 'i386',
    defconfig: 'i386_defconfig',
    cross: 'i686-linux-gnu-',
    package: 'gcc-i686-linux-gnu',
    qemu: 'qemu-i386',
    word: 32,
    arenas: low,
  },
  ppc64le,
  // Kernels for nothing older than POWER10: prefixed instructions and no TOC.
  'ppc64le-pcrel': {
    ...ppc64le,
    config: words(
      '-d GENERIC_CPU -d POWER8_CPU -d POWER9_CPU -e POWER10_CPU -e PPC_KERNEL_PREFIXED -e PPC_KERNEL_PCREL',
    ),
    cpu: 'power10',
    reference: 'ppc64le',
    told: 'pcrel',
  },
  // The ABI of functions with descriptors, which is what big-endian kernels are still built with.
  ppc64: {
    ...powerpc,
    defconfig: 'ppc64_defconfig',
    sources: words('arch/powerpc/kernel/module.c arch/powerpc/kernel/module_64.c arch/powerpc/lib/code-patching.c'),
    config: words('-e EXPERT -d PPC64_BIG_ENDIAN_ELF_ABI_V2'),
    cross: 'powerpc64-linux-gnu-',
    package: 'gcc-powerpc64-linux-gnu',
    qemu: 'qemu-ppc64',
    word: 64,
    little: false,
    arenas: wide,
  },
  ppc32: {
    ...powerpc,
    defconfig: 'pmac32_defconfig',
    sources: words('arch/powerpc/kernel/module.c arch/powerpc/kernel/module_32.c arch/powerpc/lib/code-patching.c'),
    cross: 'powerpc-linux-gnu-',
    package: 'gcc-powerpc-linux-gnu',
    libgcc: true,
    qemu: 'qemu-ppc',
    word: 32,
    little: false,
    arenas: low,
  },
  mips: {
    ...mips,
    defconfig: '32r2_defconfig',
    cross: 'mips-linux-gnu-',
    package: 'gcc-mips-linux-gnu',
    qemu: 'qemu-mips',
    word: 32,
    little: false,
    arenas: low,
  },
  mipsel: {
    ...mips,
    defconfig: '32r2el_defconfig',
    cross: 'mipsel-linux-gnu-',
    package: 'gcc-mipsel-linux-gnu',
    qemu: 'qemu-mipsel',
    word: 32,
    little: true,
    arenas: low,
  },
  mips64: {
    ...mips,
    defconfig: '64r2_defconfig',
    cross: 'mips64-linux-gnuabi64-',
    package: 'gcc-mips64-linux-gnuabi64',
    // The kernel's addresses are sign-extended from 32 bits.
    link: ['-Ttext-segment=0x1000000'],
    qemu: 'qemu-mips64',
    word: 64,
    little: false,
    // 40 bits of user space.
    arenas: wide,
  },
  mips64el: {
    ...mips,
    defconfig: '64r2el_defconfig',
    cross: 'mips64el-linux-gnuabi64-',
    package: 'gcc-mips64el-linux-gnuabi64',
    link: ['-Ttext-segment=0x1000000'],
    qemu: 'qemu-mips64el',
    word: 64,
    little: true,
    arenas: wide,
  },
  loongarch64: {
    ...common,
    arch: 'loongarch',
    defconfig: 'loongson64_defconfig|loongson3_defconfig',
    config: words('-e RELOCATABLE'),
    // Debian 12 has no GCC for it.
    cross: '-19',
    package: 'clang-19',
    sources: words(
      'arch/loongarch/kernel/module.c arch/loongarch/kernel/module-sections.c arch/loongarch/kernel/inst.c',
    ),
    link: ['--no-relax'],
    qemu: 'qemu-loongarch64',
    word: 64,
    little: true,
    arenas: wide,
  },
  sparc64: {
    ...common,
    arch: 'sparc64',
    defconfig: 'sparc64_defconfig',
    cross: 'sparc64-linux-gnu-',
    package: 'gcc-sparc64-linux-gnu',
    sources: words('arch/sparc/kernel/module.c'),
    qemu: 'qemu-sparc64',
    word: 64,
    little: false,
    // The handler refuses to patch anything at or above 4 GiB.
    arenas: low,
  },
  sparc32: {
    ...common,
    arch: 'sparc',
    defconfig: 'sparc32_defconfig',
    cross: 'sparc64-linux-gnu-',
    package: 'gcc-sparc64-linux-gnu',
    sources: words('arch/sparc/kernel/module.c'),
    qemu: 'qemu-sparc',
    word: 32,
    little: false,
    arenas: low,
  },
  parisc: {
    ...common,
    arch: 'parisc',
    defconfig: 'generic-32bit_defconfig',
    cross: 'hppa-linux-gnu-',
    package: 'gcc-hppa-linux-gnu',
    sources: words('arch/parisc/kernel/module.c'),
    link: ['--defsym=$global$=0x500000'],
    libgcc: true,
    qemu: 'qemu-hppa',
    word: 32,
    little: false,
    arenas: low,
    dp: 0x500000n,
  },
  alpha: {
    ...common,
    arch: 'alpha',
    defconfig: 'defconfig',
    cross: 'alpha-linux-gnu-',
    package: 'gcc-alpha-linux-gnu',
    sources: words('arch/alpha/kernel/module.c'),
    libgcc: true,
    qemu: 'qemu-alpha',
    word: 64,
    little: true,
    arenas: wide,
  },
  m68k: {
    ...common,
    arch: 'm68k',
    defconfig: 'multi_defconfig',
    cross: 'm68k-linux-gnu-',
    package: 'gcc-m68k-linux-gnu',
    sources: words('arch/m68k/kernel/module.c'),
    libgcc: true,
    qemu: 'qemu-m68k',
    word: 32,
    little: false,
    arenas: low,
  },
  sh: {
    ...common,
    arch: 'sh',
    defconfig: 'rts7751r2dplus_defconfig',
    cross: 'sh4-linux-gnu-',
    package: 'gcc-sh4-linux-gnu',
    sources: words('arch/sh/kernel/module.c'),
    // GCC 12 loses tests of the loops in runtime.c when it optimizes.
    harness: ['-O0'],
    libgcc: true,
    qemu: 'qemu-sh4',
    word: 32,
    little: true,
    arenas: low,
  },
  openrisc: {
    ...common,
    arch: 'openrisc',
    defconfig: 'or1ksim_defconfig',
    cross: 'or1k-elf-',
    package: 'gcc-or1k-elf',
    sources: words('arch/openrisc/kernel/module.c'),
    libgcc: true,
    qemu: 'qemu-or1k',
    word: 32,
    little: false,
    arenas: low,
  },
  xtensa: {
    ...common,
    arch: 'xtensa',
    defconfig: 'iss_defconfig',
    cross: 'xtensa-lx106-elf-',
    package: 'gcc-xtensa-lx106',
    sources: words('arch/xtensa/kernel/module.c'),
    qemu: 'qemu-xtensa',
    word: 32,
    little: true,
    arenas: low,
  },
  hexagon: {
    ...common,
    arch: 'hexagon',
    defconfig: 'comet_defconfig',
    cross: '-19',
    package: 'clang-19',
    sources: words('arch/hexagon/kernel/module.c'),
    // qemu 7.2 stumbles over what LLVM makes of loops.
    harness: ['-O0'],
    qemu: 'qemu-hexagon',
    word: 32,
    little: true,
    arenas: low,
  },
};

/** Architectures of the kernel that cannot be built or run with what Debian has, and why. */
export const withoutPort: Readonly<Record<string, string>> = {
  arc: 'qemu has no user-mode emulation of ARC',
  arm64be: 'BROKEN in 7.2',
  csky: 'no compiler in Debian',
  loongarch32: 'qemu-user emulates no 32-bit LoongArch',
  microblaze: 'no compiler in Debian',
  nios2: 'no compiler in Debian; the kernel and qemu have given it up',
  sheb: "Debian's linker for SuperH knows little-endian files only",
  parisc64: 'qemu-user emulates no 64-bit PA-RISC',
};
