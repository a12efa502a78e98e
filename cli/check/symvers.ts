/** Module.symvers as columns by name, read without a string. */
import { parseSymvers } from '../../loader/exports.ts';
import { moduleName } from '../../loader/depend-files.ts';
import type { Names } from './names.ts';

/** Bits of `flags`. */
export const LISTED = 1,
  LISTED_GPL = 2,
  LISTED_CRC = 4;

/** By number of the symbol's name. */
export interface Symvers {
  readonly flags: Uint8Array;
  readonly crc: Int32Array;
  readonly namespace: Int32Array;
  /** Name of the module that exports it; 0 for vmlinux. */
  readonly owner: Int32Array;
}

const TAB = 9;
const LF = 10;

/** Throws InputError with the line's number for what is no Module.symvers. */
export function readSymvers(bytes: Uint8Array, names: Names): Symvers {
  const { ids } = names.shared;
  const table: Symvers = {
    flags: new Uint8Array(ids),
    crc: new Int32Array(ids),
    namespace: new Int32Array(ids),
    owner: new Int32Array(ids),
  };
  const vmlinux = names.of('vmlinux');
  let ownerFrom = 0;
  let ownerLength = -1;
  let module = 0;
  const owners = new Map<number, number>([[vmlinux, 0]]);
  let anyCrc = 0;
  for (let at = 0; at < bytes.length; ) {
    let end = bytes.indexOf(LF, at);
    if (end < 0) end = bytes.length;
    const next = end + 1;
    if (bytes[end - 1] === 13) end--;
    if (end > at) {
      const tab1 = tabAt(bytes, at, end);
      const tab2 = tabAt(bytes, tab1 + 1, end);
      const tab3 = tabAt(bytes, tab2 + 1, end);
      const tab4 = tabAt(bytes, tab3 + 1, end);
      const kind = tab4 - tab3 - 1;
      const crc = hex(bytes, at, tab1);
      // Whatever is odd goes to the parser that has the words for it.
      if (tab3 >= end || tab1 + 1 >= tab2 || tab2 + 1 >= tab3 || crc < 0 || (kind !== 13 && kind !== 17))
        return slowly(bytes, names, table);
      const id = names.intern(bytes, tab1 + 1, tab2);
      // Lines of one owner stand together, mostly.
      if (tab3 - tab2 !== ownerLength || !same(bytes, ownerFrom, tab2, ownerLength)) {
        const owner = names.intern(bytes, tab2 + 1, tab3);
        const known = owners.get(owner);
        module = known ?? names.of(moduleName(names.name(owner)));
        if (known === undefined) owners.set(owner, module);
        ownerFrom = tab2;
        ownerLength = tab3 - tab2;
      }
      put(table, id, crc, kind === 17, tab4 < end ? names.intern(bytes, tab4 + 1, end) : 0, module);
      anyCrc |= crc;
    }
    at = next;
  }
  // A build without CONFIG_MODVERSIONS writes 0 for every CRC.
  if (anyCrc === 0) for (let i = 0; i < ids; i++) table.flags[i]! &= ~LISTED_CRC;
  return table;
}

function put(table: Symvers, id: number, crc: number, gplonly: boolean, namespace: number, owner: number): void {
  // The kernel's own word counts first.
  if ((table.flags[id]! & LISTED) !== 0 && table.owner[id] === 0) return;
  table.flags[id] = LISTED | (gplonly ? LISTED_GPL : 0) | LISTED_CRC;
  table.crc[id] = crc | 0;
  table.namespace[id] = namespace;
  table.owner[id] = owner;
}

function slowly(bytes: Uint8Array, names: Names, table: Symvers): Symvers {
  table.flags.fill(0);
  for (const row of parseSymvers(bytes)) {
    const owner = row.owner === 'vmlinux' ? 0 : names.of(moduleName(row.owner));
    const id = names.of(row.name);
    put(table, id, row.crc ?? 0, row.gplonly, names.of(row.namespace), owner);
    if (row.crc === undefined) table.flags[id]! &= ~LISTED_CRC;
  }
  return table;
}

function same(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 1; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

function tabAt(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== TAB) at++;
  return at;
}

/** `0x` and one to eight digits, or -1. */
function hex(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 3 || end - at > 10 || bytes[at] !== 48 || bytes[at + 1] !== 120) return -1;
  let value = 0;
  for (let i = at + 2; i < end; i++) {
    const c = bytes[i]!;
    const digit = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
