/** The laws of a table on its own: numbers, names, masks, and fields that read what they wrote. */
import * as fc from 'fast-check';
import { configOf } from '../arch/index.ts';
import { ones } from '../relocs/bits.ts';
import type { Field } from '../relocs/field.ts';
import type { Howto } from '../relocs/howto.ts';
import { rowApplies } from '../relocs/rules.ts';
import { anyWord, broken, hex, type Law, lawOf, versionsOf, withField } from './law.ts';

/**
 * Also the ends of what the field holds. A field of its own making is given what it holds, but for the lowest value,
 * which has no magnitude.
 */
const anyValue = (field: Field): fc.Arbitrary<bigint> => {
  const top = 1n << BigInt(field.hi);
  const near = fc
    .tuple(fc.constantFrom(0n, top, -top, 2n * top), fc.integer({ min: -3, max: 3 }))
    .map(([v, delta]) => v + BigInt(delta));
  const all = fc.oneof(fc.bigInt({ min: -(1n << 63n), max: ones(63) }), near);
  if (field.slices !== undefined) return all;
  return all.map((v) => BigInt.asIntN(field.hi + 1, v)).filter((v) => v !== -top);
};
/** A row with a field, a word and a value for it. */
const rowWordValue = (rows: readonly Howto[]): fc.Arbitrary<readonly [Howto, bigint, bigint]> =>
  fc.constantFrom(...rows).chain((row) => fc.tuple(fc.constant(row), anyWord(row.field.size), anyValue(row.field)));

export const uniqueTypes: Law = {
  name: 'type numbers and psABI names are unique',
  holds: (arch) => {
    const numbers = new Map<string, number>();
    for (const [type, rows] of arch.rules.rows) {
      for (const { name } of rows) {
        if (!/^R_[A-Z0-9]+_\w+$/.test(name)) throw new Error(`${arch.name}: ${name} (${type}) is no name of a psABI`);
        const other = numbers.get(name);
        if (other !== undefined && other !== type)
          throw new Error(`${arch.name}: ${name} is both ${other} and ${type}`);
        numbers.set(name, type);
      }
      for (const version of versionsOf(arch)) {
        const row = rows.filter((r) => r.needs === undefined && rowApplies(r, version, configOf(arch, version)));
        if (row.length > 1)
          throw new Error(`${arch.name} ${rows[0]!.name} (${type}): ${version} has ${row.length} rows`);
      }
    }
  },
};

export const maskIsInsert: Law = lawOf(
  'a mask is what insert writes, and no other bit changes',
  withField,
  (arch, rows, forAll) => {
    for (const row of rows) {
      const { mask, round, hi } = row.field;
      let written = 0n;
      for (const word of [0n, ones(8 * row.field.size)]) {
        if (word === row.field.keeps) continue;
        const zero = row.field.insert(word, -round);
        const top = row.field.slices === undefined ? hi - 1 : hi;
        for (let bit = 0; bit <= top; bit++) written |= zero ^ row.field.insert(word, (1n << BigInt(bit)) - round);
        written |= (zero ^ row.field.insert(word, -1n - round)) | (zero ^ word);
      }
      if (written !== mask) broken(arch, row, -1n, 0n, `the mask is ${hex(mask)}, insert writes ${hex(written)}`);
    }
    forAll(rowWordValue(rows), ([row, word, value]) => {
      const changed = (row.field.insert(word, value) ^ word) & ~row.field.mask;
      if (changed !== 0n) broken(arch, row, value, word, `bits ${hex(changed)} are not the field's`);
    });
  },
);

/** What a field keeps of a value: the bits of its slices, rounded, with the sign that extract() gives. */
function kept(field: Field, value: bigint): bigint {
  let bits = 0n;
  for (const [hi, lo] of field.slices ?? []) bits |= ones(hi - lo + 1) << BigInt(lo);
  const low = (value + field.round) & bits;
  return field.extract(field.mask) < 0n ? BigInt.asIntN(field.hi + 1, low) : low;
}

export const extractInverts: Law = lawOf('extract gives what insert was given', withField, (arch, rows, forAll) => {
  forAll(rowWordValue(rows), ([row, word, value]) => {
    const { field } = row;
    if (word === field.keeps) return;
    const inserted = field.insert(word, value);
    const got = field.extract(inserted);
    if (field.slices !== undefined) {
      if (inserted !== field.keeps && got !== kept(field, value))
        broken(arch, row, value, word, `extract gives ${hex(got)}`);
      return;
    }
    // A part of a value, which others complete, is an addend and no more.
    if (field.addend !== undefined) return;
    // A field of its own making: what is read and put back reads the same.
    const again = field.extract(field.insert(inserted, got - field.round));
    if (again !== got) broken(arch, row, value, word, `extract gives ${hex(got)}, and for that ${hex(again)}`);
  });
});
