/** The `__param` section of a relocated module as parameter definitions, and values put into the module's memory. */
import { SHT_NOBITS } from '../relocs/elf.ts';
import { type ParamMemory, paramStores, readKernelParams } from './kernel-param.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';
import type { ParamDefinition, ParamValue } from './params.ts';

/** The kernel_param_ops that vmlinux exports and parse_args() is emulated for. */
const opsNames: readonly string[] = [
  ...['byte', 'short', 'ushort', 'int', 'uint', 'long', 'ulong', 'ullong', 'hexint'].map((kind) => `param_ops_${kind}`),
  ...['bool', 'bool_enable_only', 'invbool', 'bint', 'charp', 'string'].map((kind) => `param_ops_${kind}`),
  'param_array_ops',
];

/** mod->kp and mod->num_kp of find_module_sections(). */
export function readModuleParams(m: Module, info: LoadInfo): ParamDefinition[] {
  const section = info.section(info.findSec('__param'));
  // Section 0 when there is none. In SHT_NOBITS there are no names.
  return section.sh_type === SHT_NOBITS ? [] : readKernelParams(section.bytes, paramMemory(m));
}

/**
 * Writes what the setters of parse_args() write: numbers, truth values, arrays with their counts, copied strings. A
 * charp's text lies on the kernel's heap, which is not modelled, so its pointer keeps its old value.
 */
export function storeModuleParams(
  m: Module,
  params: readonly ParamDefinition[],
  values: ReadonlyMap<string, ParamValue>,
): void {
  for (const definition of params) {
    const value = values.get(definition.name);
    if (value === undefined) continue;
    for (const { address, bytes } of paramStores(definition, value, m.format)) {
      const room = bytesAt(m, address);
      if (room !== undefined && room.length >= bytes.length) room.set(bytes);
    }
  }
}

function paramMemory(m: Module): ParamMemory {
  const known = new Map<bigint, string>();
  for (const name of opsNames) {
    const ops = m.kernel.exports.get(name);
    if (ops !== undefined) known.set(ops.value, name);
  }
  return {
    format: m.format,
    bytesAt: (address) => bytesAt(m, address),
    symbolAt: (address) => known.get(address) ?? ownSymbol(m, address),
  };
}

function bytesAt(m: Module, address: bigint): Uint8Array | undefined {
  for (const section of m.sections) {
    if (m.placement[section.index] === undefined) continue;
    const at = address - section.sh_addr;
    if (at >= 0n && at < BigInt(section.bytes.length)) return section.bytes.subarray(Number(at));
  }
  return undefined;
}

function ownSymbol(m: Module, address: bigint): string | undefined {
  const { symtab } = m;
  if (symtab === undefined) return undefined;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_value(i) === address && symtab.st_shndx(i) !== 0 && symtab.name(i) !== '') return symtab.name(i);
  }
  return undefined;
}
