/** What a kernel exports to its modules, and Module.symvers, the file in which a build writes it down. */

import { InputError } from './input-error.ts';
import { hexDigit } from './system-map.ts';

export { exportsOfSymbols, parseSystemMap, withAddresses } from './system-map.ts';
export { parseVmlinux } from './vmlinux.ts';

/** One exported symbol: struct kernel_symbol, its CRC and its owner. */
export interface KernelExport {
  readonly name: string;
  /** Absolute address, or undefined when the source does not tell (Module.symvers never does). */
  readonly value: bigint | undefined;
  /** Undefined when the exporter was built without CONFIG_MODVERSIONS. */
  readonly crc: number | undefined;
  readonly gplonly: boolean;
  /** '' when there is none. */
  readonly namespace: string;
  /** `vmlinux`, a module's name, or the path in front of `.ko` as Module.symvers has it. */
  readonly owner: string;
}

/**
 * Reads Module.symvers as read_dump() of scripts/mod/modpost.c does: crc, name, owner, kind and (since 5.4)
 * namespace, separated by tabs. Throws InputError with the line number at the first line that is none.
 *
 * A build without CONFIG_MODVERSIONS writes 0 as every CRC: then all are undefined.
 */
export function parseSymvers(text: string | Uint8Array): KernelExport[] {
  const source = typeof text === 'string' ? text : new TextDecoder().decode(text);
  const exports: KernelExport[] = [];
  const owners = new Map<string, string>();
  let anyCrc = false;

  for (let line = 1, at = 0; at < source.length; line++) {
    let end = source.indexOf('\n', at);
    if (end < 0) end = source.length;
    const next = end + 1;
    if (end > at && source.charCodeAt(end - 1) === 13) end--;
    if (end > at) {
      const row = parseRow(source, at, end, line, owners);
      if (row.crc !== 0) anyCrc = true;
      exports.push(row);
    }
    at = next;
  }
  return anyCrc ? exports : exports.map((row) => ({ ...row, crc: undefined }));
}

function parseRow(source: string, at: number, end: number, line: number, owners: Map<string, string>): KernelExport {
  const crcEnd = fieldEnd(source, at, end);
  const nameEnd = fieldEnd(source, crcEnd + 1, end);
  const ownerEnd = fieldEnd(source, nameEnd + 1, end);
  const kindEnd = fieldEnd(source, ownerEnd + 1, end);
  if (ownerEnd >= end) throw malformed(line, 'expected crc, name, owner and kind of export separated by tabs');
  const crc = hexCrc(source, at, crcEnd);
  if (crc < 0) throw malformed(line, `the CRC '${shown(source.slice(at, crcEnd))}' is no 0x number of 32 bits`);
  if (nameEnd === crcEnd + 1) throw malformed(line, 'the name is empty');
  if (ownerEnd === nameEnd + 1) throw malformed(line, 'the owner is empty');
  const gplonly = kindEnd - ownerEnd - 1 === 17;
  const kind = gplonly ? 'EXPORT_SYMBOL_GPL' : 'EXPORT_SYMBOL';
  if (!source.startsWith(kind, ownerEnd + 1) || kindEnd - ownerEnd - 1 !== kind.length) {
    const found = shown(source.slice(ownerEnd + 1, kindEnd));
    throw malformed(line, `the kind is '${found}', not EXPORT_SYMBOL or EXPORT_SYMBOL_GPL`);
  }
  const namespaceEnd = kindEnd < end ? fieldEnd(source, kindEnd + 1, end) : end;
  if (namespaceEnd < end) throw malformed(line, 'more than five fields');

  const owner = source.slice(nameEnd + 1, ownerEnd);
  let shared = owners.get(owner);
  if (shared === undefined) owners.set(owner, (shared = owner));
  return {
    name: source.slice(crcEnd + 1, nameEnd),
    value: undefined,
    crc,
    gplonly,
    namespace: kindEnd < end ? source.slice(kindEnd + 1, namespaceEnd) : '',
    owner: shared,
  };
}

function malformed(line: number, what: string): InputError {
  return new InputError(`Module.symvers, line ${line}: ${what}`, { line });
}

/** At most 40 characters of a wrong field, so that a binary file does not fill the screen. */
function shown(field: string): string {
  const text = field.length > 40 ? `${field.slice(0, 40)}…` : field;
  return Array.from(text, (c) => (c < ' ' || c === '\x7f' ? '?' : c)).join('');
}

function fieldEnd(source: string, at: number, end: number): number {
  for (let i = at; i < end; i++) if (source.charCodeAt(i) === 9) return i;
  return end;
}

/** `0x` and one to eight hex digits, or -1. */
function hexCrc(source: string, at: number, end: number): number {
  if (end - at < 3 || end - at > 10 || source.charCodeAt(at) !== 48 || source.charCodeAt(at + 1) !== 120) return -1;
  let value = 0;
  for (let i = at + 2; i < end; i++) {
    const digit = hexDigit(source.charCodeAt(i));
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
