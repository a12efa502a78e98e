/** A word in bits, with the field that a relocation fills. */
import { bits } from '../relocs/bits.ts';
import type { Field, Slice } from '../relocs/field.ts';

/** The letter of the n-th slice in a drawing. */
const letter = (n: number): string => 'abcdefghijklmnopqrstuvwxyz'[n % 26]!;

/**
 * Lines of bits, 32 to a line, the most significant first: positions, word before, field, word after, and what part of
 * the value each letter is.
 */
export function drawField(field: Field, before: bigint, after: bigint, value: bigint): string[] {
  const width = field.size * 8;
  const lines: string[] = [];
  const marks = marksOf(field, width);
  for (let hi = width; hi > 0; hi -= 32) {
    const lo = Math.max(hi - 32, 0);
    const part = (text: string): string => groups(text.slice(width - hi, width - lo));
    lines.push(`bit     ${scale(hi - 1, lo)}`);
    lines.push(`before  ${part(binary(before, width))}`);
    lines.push(`field   ${part(marks)}`);
    lines.push(`after   ${part(binary(after, width))}`);
  }
  return [...lines, ...legend(field, value)];
}

const binary = (word: bigint, width: number): string => word.toString(2).padStart(width, '0');

const groups = (text: string): string => text.replace(/(.{8})(?=.)/g, '$1 ');

/** "31       24 23 …": the numbers of the first bits of each group of eight. */
function scale(hi: number, lo: number): string {
  const starts: string[] = [];
  for (let bit = hi; bit > lo; bit -= 8) starts.push(`${bit}`.padEnd(8 - String(bit - 7).length) + `${bit - 7}`);
  return starts.join(' ');
}

/** A letter for every bit that a slice fills, '^' where only the mask is known, '.' for bits that stay. */
function marksOf(field: Field, width: number): string {
  const marks: string[] = Array.from({ length: width }, (_, i) =>
    ((field.mask >> BigInt(width - 1 - i)) & 1n) === 1n ? '^' : '.',
  );
  field.slices?.forEach(([hi, lo, at], n) => {
    for (let bit = at; bit <= at + hi - lo; bit++) marks[width - 1 - bit] = letter(n);
  });
  return marks.join('');
}

/** "a = value[20:20] = 0x1" */
function legend(field: Field, value: bigint): string[] {
  if (field.slices === undefined) return ['^ = bits that this type fills, in a way of its own'];
  const rounded = value + field.round;
  const name = field.round === 0n ? 'value' : `(value + 0x${field.round.toString(16)})`;
  return field.slices.map(([hi, lo]: Slice, n) => {
    const range = hi === lo ? `${hi}` : `${hi}:${lo}`;
    return `${letter(n)} = ${name}[${range}] = 0x${bits(rounded, hi, lo).toString(16)}`;
  });
}
