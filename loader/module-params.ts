/** The `__param` section of a relocated module as parameter definitions, and values put into the module's memory. */
import { SHT_NOBITS } from '../relocs/elf.ts';
import { cString } from '../relocs/symbols.ts';
import { numberSizes, type ParamMemory, paramStores, readKernelParams } from './kernel-param.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';
import type { BoolKind, NumberKind, ParamDefinition, ParamType, ParamValue } from './params.ts';

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

/** The same of a module that is in memory, as /sys/module shows them; none once its memory has been dropped. */
export function paramsInMemory(m: Module): ParamDefinition[] {
  const section = m.sections.find((s) => s.name === '__param' && m.placement[s.index] !== undefined);
  return section === undefined || section.sh_type === SHT_NOBITS ? [] : readKernelParams(section.bytes, paramMemory(m));
}

/** What reading a parameter gives. The get() of a callback is the module's own code: nothing is known of its text. */
export function paramText(m: Module, { name, type, arg }: ParamDefinition): string {
  const text = arg === undefined ? undefined : textAt(m, type, arg, m.params.get(name));
  return text === undefined ? '' : `${text}\n`;
}

/** Without the newline; undefined where there is not even that: an array of nothing. */
function textAt(m: Module, type: ParamType, address: bigint, given: ParamValue | undefined): string | undefined {
  switch (type.kind) {
    case 'callback':
      return undefined;
    case 'string':
      return type.string === undefined ? undefined : stringAt(m, type.string);
    case 'charp': {
      // A text that was given lies on the heap.
      if (typeof given === 'string') return given;
      const pointer = numberAt(m, address, m.format.is64 ? 8 : 4);
      return pointer === undefined || pointer === 0n ? '(null)' : stringAt(m, pointer);
    }
    case 'array': {
      const { elem = 0n, elemsize = 0, num = 0n } = type;
      const count = num === 0n ? type.max : Math.min(Number(numberAt(m, num, 4) ?? 0n), type.max);
      const values: readonly (ParamValue | undefined)[] = Array.isArray(given) ? given : [];
      const texts = Array.from({ length: count }, (_, i) =>
        textAt(m, type.element, elem + BigInt(i * elemsize), values[i]),
      );
      return count === 0 ? undefined : texts.join(',');
    }
    default:
      return numberText(
        type.kind,
        numberAt(m, address, numberSizes[type.kind](m.format.is64 ? 8 : 4)),
        m.format.is64 ? 64 : 32,
      );
  }
}

function numberText(kind: NumberKind | BoolKind, value: bigint | undefined, word: number): string | undefined {
  if (value === undefined) return undefined;
  switch (kind) {
    case 'bool':
    case 'bool_enable_only':
      return value === 0n ? 'N' : 'Y';
    case 'invbool':
      return value === 0n ? 'Y' : 'N';
    case 'short':
      return String(BigInt.asIntN(16, value));
    case 'int':
    case 'bint':
      return String(BigInt.asIntN(32, value));
    case 'long':
      return String(BigInt.asIntN(word, value));
    // "%#08x": nothing before a zero.
    case 'hexint':
      return value === 0n ? '00000000' : `0x${value.toString(16).padStart(6, '0')}`;
    default:
      return String(value);
  }
}

function numberAt(m: Module, address: bigint, size: number): bigint | undefined {
  const bytes = bytesAt(m, address);
  if (bytes === undefined || bytes.length < size) return undefined;
  const ordered = m.format.little ? bytes.slice(0, size).reverse() : bytes.slice(0, size);
  return ordered.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function stringAt(m: Module, address: bigint): string {
  const bytes = bytesAt(m, address);
  return bytes === undefined ? '' : cString(bytes, 0);
}
