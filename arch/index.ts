/** The registry: one line an architecture. */
import { alpha } from './alpha.ts';
import { arc, arcompact } from './arc.ts';
import type { Arch } from './arch.ts';
import { arm } from './arm.ts';
import { arm64 } from './arm64.ts';
import { csky } from './csky.ts';
import { hexagon } from './hexagon.ts';
import { ia64 } from './ia64.ts';
import { loongarch32, loongarch64 } from './loongarch.ts';
import { m68k } from './m68k.ts';
import { microblaze } from './microblaze.ts';
import { mips, mips64 } from './mips.ts';
import { nios2 } from './nios2.ts';
import { openrisc } from './openrisc.ts';
import { ppc32 } from './ppc32.ts';
import { ppc64, ppc64le } from './ppc64.ts';
import { parisc, parisc64 } from './parisc.ts';
import { riscv32, riscv64 } from './riscv.ts';
import { s390x } from './s390.ts';
import { sh } from './sh.ts';
import { sparc32, sparc64 } from './sparc.ts';
import { i386, x86_64 } from './x86.ts';
import { xtensa } from './xtensa.ts';

export type { Arch, ArchSpec, HeaderFacts, Hooks, ModuleArea } from './arch.ts';
export { archOf, headerFacts } from './arch-of.ts';
export { acceptsHeader, configOf, defineArch, extableOf, isExitSection, isInitSection } from './arch.ts';

export const arches: readonly Arch[] = [
  x86_64,
  i386,
  arm,
  arm64,
  riscv64,
  riscv32,
  s390x,
  m68k,
  sparc32,
  sparc64,
  alpha,
  sh,
  csky,
  openrisc,
  mips,
  mips64,
  ppc32,
  ppc64,
  ppc64le,
  loongarch64,
  loongarch32,
  nios2,
  hexagon,
  microblaze,
  arc,
  arcompact,
  xtensa,
  ia64,
  parisc,
  parisc64,
];
