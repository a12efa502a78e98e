/** e_machine numbers people may meet, for the sentence that says we cannot load a module. */
const names: Readonly<Record<number, string>> = {
  2: 'sparc',
  3: 'i386',
  4: 'm68k',
  6: 'i486',
  8: 'mips',
  15: 'parisc (hppa)',
  18: 'sparc (v8plus)',
  20: 'powerpc',
  21: 'powerpc64',
  22: 's390',
  40: 'arm',
  42: 'sh',
  43: 'sparc64',
  45: 'arc (ARCompact)',
  50: 'ia64',
  62: 'x86_64',
  92: 'openrisc',
  93: 'arc (A5)',
  94: 'xtensa',
  106: 'blackfin',
  113: 'nios2',
  164: 'hexagon',
  183: 'arm64',
  189: 'microblaze',
  191: 'tilegx',
  195: 'arc (ARCv2)',
  243: 'riscv',
  247: 'bpf',
  252: 'csky',
  258: 'loongarch',
  0x9026: 'alpha',
  0xa390: 's390',
  0xbaab: 'microblaze',
  0x5441: 'frv',
  0xfeb0: 'openrisc',
};

/** "s390 (e_machine 22, 64-bit big-endian)" */
export function machineName(e_machine: number, is64: boolean, little: boolean): string {
  const name = names[e_machine] ?? 'an unknown machine';
  return `${name} (e_machine ${e_machine}, ${is64 ? 64 : 32}-bit ${little ? 'little' : 'big'}-endian)`;
}
