/** sort_extable() of lib/extable.c: the exception table in order of instruction address. */
import { extableOf } from '../arch/index.ts';
import { SHT_NOBITS } from '../relocs/elf.ts';
import { kernelSort } from '../relocs/sort.ts';
import type { Section } from '../relocs/section.ts';
import type { Module } from './module.ts';

/** Sorts in place; relative entries are adjusted by the distance they move. */
export function sortExtable(m: Module, s: Section): void {
  const { size, relative } = extableOf(m.kernel.arch, m.version);
  const { bytes } = s;
  // Nothing but zeros is in order, however much of it there is.
  if (s.sh_type === SHT_NOBITS) return;
  const count = Math.floor(Math.min(s.sh_size, bytes.length) / size);
  const { little, is64 } = m.format;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insn = (i: number): bigint => {
    const at = i * size;
    if (relative !== false) return BigInt.asUintN(is64 ? 64 : 32, s.sh_addr + BigInt(at + v.getInt32(at, little)));
    return size === 16 ? v.getBigUint64(at, little) : BigInt(v.getUint32(at, little));
  };
  const swap = (i: number, j: number): void => {
    const a = i * size;
    const b = j * size;
    const x = bytes.slice(a, a + size);
    const y = bytes.slice(b, b + size);
    bytes.set(y, a);
    bytes.set(x, b);
    if (relative === false) return;
    for (const field of relative === 'insn' ? [0] : [0, 4]) {
      v.setInt32(a + field, v.getInt32(a + field, little) + (b - a), little);
      v.setInt32(b + field, v.getInt32(b + field, little) - (b - a), little);
    }
  };
  let sorted = true;
  for (let i = 1; i < count && sorted; i++) sorted = insn(i - 1) <= insn(i);
  if (sorted && new Set(Array.from({ length: count }, (_, i) => insn(i))).size === count) return;
  kernelSort(m.version, count, (i, j) => Number(signOf(insn(i) - insn(j))), swap);
}

const signOf = (v: bigint): bigint => (v > 0n ? 1n : v < 0n ? -1n : 0n);
