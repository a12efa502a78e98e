/** The registry: one line an architecture. */
import type { Arch } from './arch.ts';
import { arm64 } from './arm64.ts';
import { mips, mips64 } from './mips.ts';
import { riscv32, riscv64 } from './riscv.ts';
import { s390x } from './s390.ts';
import { i386, x86_64 } from './x86.ts';

export type { Arch, ArchSpec, HeaderFacts, Hooks, ModuleArea } from './arch.ts';
export { archOf, headerFacts } from './arch-of.ts';
export { acceptsHeader, configOf, defineArch, isExitSection, isInitSection } from './arch.ts';

export const arches: readonly Arch[] = [x86_64, i386, arm64, riscv64, riscv32, s390x, mips, mips64];
