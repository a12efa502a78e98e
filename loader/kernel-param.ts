/**
 * The `__param` section: struct kernel_param of include/linux/moduleparam.h and the structs it leads to, read from
 * relocated memory, and the bytes that a set() leaves behind.
 */

import { type ElfFormat, sizeofAddr } from '../relocs/elf.ts';
import { cString } from '../relocs/symbols.ts';
import type { BoolKind, NumberKind, ParamDefinition, ParamType, ParamValue } from './params.ts';

/** The relocated memory that the pointers of a `__param` section lead into. */
export interface ParamMemory {
  readonly format: ElfFormat;
  /** The bytes from an address on, as far as memory goes there; undefined where there is none. */
  bytesAt(address: bigint): Uint8Array | undefined;
  /** Name of the symbol at an address (`param_ops_int`): the kernel's exports and the module's own. */
  symbolAt(address: bigint): string | undefined;
}

/** One write into the module's memory. */
export interface Store {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Bytes of each kind, of which `word` is a long. */
export const numberSizes: Readonly<Record<NumberKind | BoolKind, (word: number) => number>> = {
  byte: () => 1,
  short: () => 2,
  ushort: () => 2,
  int: () => 4,
  uint: () => 4,
  hexint: () => 4,
  long: (word) => word,
  ulong: (word) => word,
  ullong: () => 8,
  bool: () => 1,
  bool_enable_only: () => 1,
  invbool: () => 1,
  bint: () => 4,
};

const scalarOps: ReadonlyMap<string, NumberKind | BoolKind | 'charp'> = new Map(
  ([...(Object.keys(numberSizes) as (NumberKind | BoolKind)[]), 'charp'] as const).map((kind) => [
    `param_ops_${kind}`,
    kind,
  ]),
);

/** sizeof(struct kernel_param): name, mod, ops, u16 perm, s8 level, u8 flags, and a pointer. */
export const sizeofKernelParam = (format: ElfFormat): number => (format.is64 ? 40 : 20);

/** The parameters of a relocated `__param` section, in order; a rest smaller than an entry is left, as section_objs(). */
export function readKernelParams(section: Uint8Array, memory: ParamMemory): ParamDefinition[] {
  const size = sizeofKernelParam(memory.format);
  const word = sizeofAddr(memory.format);
  return Array.from({ length: Math.floor(section.length / size) }, (_, i) => {
    const entry = fieldsOf(section.subarray(i * size, (i + 1) * size), memory.format);
    const arg = entry.pointer(word * 3 + (memory.format.is64 ? 8 : 4));
    return {
      name: stringAt(memory, entry.pointer(0)),
      type: readType(memory, entry.pointer(word * 2), arg, 0),
      perm: entry.view.getUint16(word * 3, memory.format.little),
      flags: entry.view.getUint8(word * 3 + 3),
      arg,
    };
  });
}

/**
 * What param_set_*() writes for a value that parseArgs() gave. charp needs memory for its text: `allocate` is
 * kmalloc() with the text in it; without it no pointer is written. Callbacks write nothing that is known.
 */
export function paramStores(
  definition: ParamDefinition,
  value: ParamValue,
  format: ElfFormat,
  allocate?: (text: Uint8Array) => bigint,
): Store[] {
  return definition.arg === undefined ? [] : storesAt(definition.type, definition.arg, value, format, allocate);
}

function storesAt(
  type: ParamType,
  address: bigint,
  value: ParamValue,
  format: ElfFormat,
  allocate: ((text: Uint8Array) => bigint) | undefined,
): Store[] {
  switch (type.kind) {
    case 'callback':
      return [];
    case 'string':
      return type.string === undefined ? [] : [{ address: type.string, bytes: terminated(value) }];
    case 'charp':
      if (allocate === undefined) return [];
      return [{ address, bytes: integer(allocate(terminated(value)), sizeofAddr(format), format) }];
    case 'array': {
      const values = Array.isArray(value) ? (value as readonly ParamValue[]) : [];
      const { elem = 0n, elemsize = 0, num = 0n } = type;
      const stores = values.flatMap((element, i) =>
        storesAt(type.element, elem + BigInt(i * elemsize), element, format, allocate),
      );
      if (num !== 0n) stores.push({ address: num, bytes: integer(BigInt(values.length), 4, format) });
      return stores;
    }
    default: {
      const number = typeof value === 'bigint' ? value : value === true ? 1n : 0n;
      return [{ address, bytes: integer(number, numberSizes[type.kind](sizeofAddr(format)), format) }];
    }
  }
}

/** What the ops pointer means. Depth keeps an array of arrays of itself from going on for ever. */
function readType(memory: ParamMemory, ops: bigint, arg: bigint, depth: number): ParamType {
  const name = memory.symbolAt(ops);
  const scalar = name === undefined ? undefined : scalarOps.get(name);
  if (scalar !== undefined) return { kind: scalar };
  const word = sizeofAddr(memory.format);
  const pointee = memory.bytesAt(arg);
  if (name === 'param_ops_string' && pointee !== undefined && pointee.length >= word * 2) {
    const kps = fieldsOf(pointee, memory.format);
    return { kind: 'string', maxlen: kps.uint(0), string: kps.pointer(word) };
  }
  if (name === 'param_array_ops' && depth < 2 && pointee !== undefined && pointee.length >= word * 3 + 8) {
    const arr = fieldsOf(pointee, memory.format);
    const elem = arr.pointer(word * 2 + 8);
    return {
      kind: 'array',
      max: arr.uint(0),
      elemsize: arr.uint(4),
      num: arr.pointer(8),
      elem,
      element: readType(memory, arr.pointer(word + 8), elem, depth + 1),
    };
  }
  // struct kernel_param_ops begins with its flags; those of vmlinux cannot be read, and its exotic ones are few.
  const own = memory.bytesAt(ops);
  const flags = own !== undefined && own.length >= 4 ? fieldsOf(own, memory.format).uint(0) : 0;
  return { kind: 'callback', ops: name ?? `0x${ops.toString(16)}`, noarg: (flags & 1) !== 0 };
}

interface Fields {
  readonly view: DataView;
  uint(at: number): number;
  pointer(at: number): bigint;
}

function fieldsOf(bytes: Uint8Array, { is64, little }: ElfFormat): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    view,
    uint: (at) => view.getUint32(at, little),
    pointer: (at) => (is64 ? view.getBigUint64(at, little) : BigInt(view.getUint32(at, little))),
  };
}

function stringAt(memory: ParamMemory, address: bigint): string {
  const bytes = memory.bytesAt(address);
  return bytes === undefined ? '' : cString(bytes, 0);
}

function terminated(value: ParamValue): Uint8Array {
  return new TextEncoder().encode(`${typeof value === 'string' ? value : ''}\0`);
}

/** `size` bytes of a two's complement number in the machine's order. */
function integer(value: bigint, size: number, { little }: ElfFormat): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => Number(BigInt.asUintN(8, value >> BigInt(8 * i))));
  return little ? bytes : bytes.toReversed();
}
