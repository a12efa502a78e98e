/** Words of a section that is being made, in the order in which a field reads them. */
import type { Field } from '../relocs/field.ts';

export interface Order {
  readonly format: { readonly little: boolean };
  readonly insnLittle: boolean;
}

/** Bytes of each piece of a word; the piece at the lower address is the upper one. */
const pieceOf = ({ size, order }: Pick<Field, 'size' | 'order'>): number =>
  order === 'halfwords' ? 2 : order === 'words' ? 4 : size;

const isLittle = ({ order }: Pick<Field, 'order'>, o: Order): boolean =>
  order === 'data' ? o.format.little : o.insnLittle;

/** Offset in the word's bytes of the i-th byte from its top. */
const byteAt = (i: number, piece: number, little: boolean): number =>
  little ? i - (i % piece) + piece - 1 - (i % piece) : i;

/** The word that a field's row finds at `at`, unsigned; bytes beyond the end read as 0. */
export function readWord(
  bytes: Uint8Array,
  at: number,
  field: Pick<Field, 'size' | 'order' | 'block'>,
  o: Order,
): bigint {
  const from = field.block ? at - (at % field.size) : at;
  const [piece, little] = [pieceOf(field), isLittle(field, o)];
  let word = 0n;
  for (let i = 0; i < field.size; i++) word = (word << 8n) | BigInt(bytes[from + byteAt(i, piece, little)] ?? 0);
  return word;
}

/** Puts the low `size` bytes of `word` at `at`. */
export function writeWord(
  bytes: Uint8Array,
  at: number,
  field: Pick<Field, 'size' | 'order'>,
  word: bigint,
  o: Order,
): void {
  const [piece, little] = [pieceOf(field), isLittle(field, o)];
  for (let i = 0; i < field.size; i++)
    bytes[at + byteAt(i, piece, little)] = Number((word >> BigInt(8 * (field.size - 1 - i))) & 0xffn);
}
