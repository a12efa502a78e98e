/** Words of a section that is being made, in the order in which a field reads them. */
import type { Field } from '../relocs/field.ts';

export interface Order {
  readonly format: { readonly little: boolean };
  readonly insnLittle: boolean;
}

/** `size` bytes at `at`, unsigned; bytes beyond the end read as 0. */
function read(bytes: Uint8Array, at: number, size: number, little: boolean): bigint {
  let word = 0n;
  for (let i = 0; i < size; i++) word = (word << 8n) | BigInt(bytes[little ? at + size - 1 - i : at + i] ?? 0);
  return word;
}

/** The word that a field's row finds at `at`. */
export function readWord(
  bytes: Uint8Array,
  at: number,
  field: Pick<Field, 'size' | 'order' | 'block'>,
  o: Order,
): bigint {
  const little = field.order === 'data' ? o.format.little : o.insnLittle;
  const from = field.block ? at - (at % field.size) : at;
  if (field.order === 'halfwords') return (read(bytes, from, 2, little) << 16n) | read(bytes, from + 2, 2, little);
  if (field.order === 'words') return (read(bytes, from, 4, little) << 32n) | read(bytes, from + 4, 4, little);
  return read(bytes, from, field.size, little);
}

/** Puts the low `size` bytes of `word` at `at`. */
export function writeWord(
  bytes: Uint8Array,
  at: number,
  { size, order, word }: { readonly size: number; readonly order: 'data' | 'insn'; readonly word: bigint },
  o: Order,
): void {
  const little = order === 'data' ? o.format.little : o.insnLittle;
  for (let i = 0; i < size; i++) bytes[little ? at + i : at + size - 1 - i] = Number((word >> BigInt(8 * i)) & 0xffn);
}
