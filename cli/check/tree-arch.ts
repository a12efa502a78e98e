/** Which architecture a tree is for, by the header of its modules. */
import type { Arch } from '../../arch/arch.ts';
import { UsageError } from '../usage-error.ts';
import type { TreeHead } from './head.ts';

/** The architecture of the tree; one with a proof without all the others. */
export async function archFor(head: TreeHead, dir: string): Promise<Arch> {
  if (head.is64) {
    if (head.e_machine === 62 && head.little) return (await import('../../arch/x86.ts')).x86_64;
    if (head.e_machine === 183) return (await import('../../arch/arm64.ts')).arm64;
    if (head.e_machine === 243 && head.little) return (await import('../../arch/riscv.ts')).riscv64;
    if (head.e_machine === 22 && !head.little) return (await import('../../arch/s390.ts')).s390x;
    if (head.e_machine === 258 && head.little) return (await import('../../arch/loongarch.ts')).loongarch64;
  }
  const { archOf, arches } = await import('../../arch/index.ts');
  const { is64, little, e_machine, e_flags } = head;
  const arch = archOf({ is64, little, e_machine, e_flags, e_entry: 0n }, arches);
  if (arch !== undefined) return arch;
  const { machineName } = await import('../machine-names.ts');
  throw new UsageError(`${dir} is for ${machineName(e_machine, is64, little)}, which is not supported`);
}
