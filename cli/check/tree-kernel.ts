/** The kernel that a tree is for: by its modules, and by what the call says of it. */
import type { Arch } from '../../arch/arch.ts';
import { InputError } from '../../loader/input-error.ts';
import type { Vendor } from '../../loader/kernel.ts';
import type { Config, Version } from '../../relocs/module-view.ts';
import { profileOf, vendorOf } from '../profile.ts';
import { UsageError } from '../usage-error.ts';
import type { JudgeSetup } from './judge.ts';
import { treeHead, type TreeHead } from './head.ts';
import { archFor } from './tree-arch.ts';
import { type ModuleFiles, symversFor } from './tree.ts';

export interface KernelOptions {
  readonly symvers?: string | undefined;
  readonly kernel?: Version | undefined;
  readonly vendor?: Vendor | undefined;
  readonly config?: string | undefined;
}

export interface TreeKernel {
  readonly head: TreeHead;
  readonly arch: Arch;
  readonly version: Version;
  readonly vendor: Vendor;
  readonly config: Config | undefined;
  /** CONFIG_MODVERSIONS, by --config or the vermagic. */
  readonly modversions: boolean;
  /** The file that says what it exports. */
  readonly symvers: string;
  /** What was assumed, as sentences. */
  readonly notes: readonly string[];
}

/** Throws UsageError and InputError. */
export async function treeKernel({ dir, paths }: ModuleFiles, options: KernelOptions): Promise<TreeKernel> {
  const notes: string[] = [];
  const symvers = options.symvers ?? symversFor(dir);
  if (symvers === undefined)
    throw new UsageError(
      `${dir} has no Module.symvers: --symvers FILE says what the kernel exports (Debian: in linux-headers)`,
    );
  if (options.symvers === undefined) notes.push(`symbols from ${symvers}`);
  const head = await treeHead(dir, paths);
  if (head === undefined)
    throw new InputError(`${dir}: none of the files is a kernel module that can be read`, { file: dir });
  const [release] = head.vermagic.split(' ');
  const profile = options.kernel === undefined ? profileOf(release) : { version: options.kernel };
  if ('note' in profile && profile.note !== undefined) notes.push(profile.note);
  if (options.config !== undefined)
    notes.push('with --config each module goes through insmod, which takes longer than a proof');
  const config =
    options.config === undefined ? undefined : await (await import('../kernel-config.ts')).readConfig(options.config);
  return {
    head,
    arch: await archFor(head, dir),
    version: profile.version,
    vendor: options.vendor ?? vendorOf(release),
    config,
    modversions: isOn(config, 'MODVERSIONS', / modversions /.test(head.vermagic)),
    symvers,
    notes,
  };
}

/** Whether a switch of the kernel is on; `otherwise` where nobody says so. */
export function isOn(config: Config | undefined, name: string, otherwise: boolean): boolean {
  return (config?.[name] ?? otherwise) === true;
}

/** The same kernel for insmod. */
export function judgeSetup({ arch, version, vendor, head, config, modversions }: TreeKernel): JudgeSetup {
  return {
    arch: arch.name,
    order: head.little ? 'little' : 'big',
    version,
    vendor,
    config: { ...config, MODVERSIONS: modversions },
    vermagic: head.vermagic,
    structModuleSize: head.structModuleSize,
  };
}
