/** A module that is LIVE without its file: what it exports is known from somewhere else. */
import type { KernelExport } from './exports.ts';
import type { Kernel, ResolvedExport } from './kernel.ts';
import { LoadInfo } from './load-info.ts';
import { Module } from './module.ts';

/** Bytes of a file that is nothing but zeros, enough for an ELF header. */
const NOTHING = 64;

/**
 * Puts a LIVE module into the kernel that exports `exports`, whose values must be known. It has no memory, no sections
 * and no symbols; freeModule() takes it out again.
 */
export function standIn(
  kernel: Kernel,
  name: string,
  exports: Iterable<Omit<KernelExport, 'owner' | 'value'> & { readonly value: bigint }>,
  proprietary = false,
): Module {
  const info = new LoadInfo(new Uint8Array(NOTHING), kernel.format);
  info.sections = [
    {
      index: 0,
      name: '',
      sh_name: 0,
      sh_type: 0,
      sh_flags: 0,
      sh_addr: 0n,
      sh_offset: 0,
      sh_size: 0,
      sh_link: 0,
      sh_info: 0,
      sh_addralign: 0,
      sh_entsize: 0n,
      bytes: new Uint8Array(0),
    },
  ];
  const m = new Module(kernel, info, name, {}, []);
  m.sections = [];
  m.state = 'LIVE';
  m.refcnt = 1;
  if (proprietary) m.taints.add('PROPRIETARY_MODULE');
  m.exports = Array.from(exports, (e): ResolvedExport => ({ ...e, owner: m }));
  for (const e of m.exports) {
    const others = kernel.moduleExports.get(e.name);
    if (others === undefined) kernel.moduleExports.set(e.name, [e]);
    else others.unshift(e);
  }
  kernel.link(m);
  return m;
}
