/** What can be told of a module file before there is a kernel to load it into. */
import { type Arch, arches, archOf, headerFacts } from '../arch/index.ts';
import { elfSection } from '../loader/elf-image.ts';
import { getModinfo } from '../loader/modinfo.ts';
import { cString } from '../relocs/symbols.ts';
import { machineName } from './machine-names.ts';
import { UsageError } from './usage-error.ts';

export interface ModuleHead {
  readonly arch: Arch;
  readonly order: 'little' | 'big';
  /** UTS_RELEASE of the kernel it was built for; undefined where it does not say. */
  readonly release: string | undefined;
  /** struct module.name; undefined where there is none. */
  readonly name: string | undefined;
}

/**
 * Undefined for what is no ELF file: every kernel refuses that in the same words.
 *
 * @throws UsageError for a machine that the registry does not have
 */
export function moduleHead(bytes: Uint8Array, file: string): ModuleHead | undefined {
  const header = headerFacts(bytes);
  if (header === undefined) return undefined;
  const { e_machine, is64, little } = header;
  const arch = archOf(header, arches);
  if (arch === undefined) {
    const known = arches.map(({ name }) => name).join(', ');
    throw new UsageError(
      `${file} is for ${machineName(e_machine, is64, little)}, which is not supported; there are ${known}`,
    );
  }
  const modinfo = elfSection(bytes, '.modinfo');
  const self = elfSection(bytes, '.gnu.linkonce.this_module');
  const release = modinfo && getModinfo(modinfo, 'vermagic')?.split(' ')[0];
  return { arch, order: little ? 'little' : 'big', release, name: self && cString(self, is64 ? 24 : 12) };
}
