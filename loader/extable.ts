/** lib/extable.c: the exception table in order of instruction address, without what is gone, and looked up. */
import { extableOf } from '../arch/index.ts';
import { SHT_NOBITS } from '../relocs/elf.ts';
import { kernelSort } from '../relocs/sort.ts';
import type { Section } from '../relocs/section.ts';
import { moduleAddress } from './kallsyms.ts';
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';

/** Sorts in place; relative entries are adjusted by the distance they move. */
export function sortExtable(m: Module, s: Section): void {
  const { size, relative } = extableOf(m.kernel.arch, m.version);
  const { bytes } = s;
  // Nothing but zeros is in order, however much of it there is.
  if (s.sh_type === SHT_NOBITS) return;
  const count = countOf(m, s);
  const { little } = m.format;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insn = (i: number): bigint => addressIn(m, s, i, 0);
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

const countOf = (m: Module, s: Section): number =>
  Math.floor(Math.min(s.sh_size, s.bytes.length) / extableOf(m.kernel.arch, m.version).size);

/** Address of the instruction (0) or the fixup (1) of entry i. */
function addressIn(m: Module, s: Section, i: number, field: 0 | 1): bigint {
  const { size, relative } = extableOf(m.kernel.arch, m.version);
  const { little, is64 } = m.format;
  const v = new DataView(s.bytes.buffer, s.bytes.byteOffset, s.bytes.byteLength);
  const wide = relative === false && size === 16;
  const at = i * size + field * (wide ? 8 : 4);
  if (relative !== false) return BigInt.asUintN(is64 ? 64 : 32, s.sh_addr + BigInt(at + v.getInt32(at, little)));
  return wide ? v.getBigUint64(at, little) : BigInt(v.getUint32(at, little));
}

/** mod->extable and mod->num_exentries: the entries that count, sorted. */
export interface ModuleExtable {
  readonly section: Section;
  readonly first: number;
  readonly count: number;
}

/** The table of a module as it is found; undefined where it has no contents. */
export const extableIn = (m: Module, section: Section): ModuleExtable | undefined =>
  section.sh_type === SHT_NOBITS ? undefined : { section, first: 0, count: countOf(m, section) };

/** trim_init_extable(): sorted, entries of init code lie at the beginning or at the end, and go with it. */
export function trimInitExtable(m: Module): void {
  if (m.extable === undefined) return;
  const { section } = m.extable;
  let { first, count } = m.extable;
  const inInit = (i: number): boolean => m.withinInit(addressIn(m, section, i, 0));
  for (; count > 0 && inInit(first); count--) first++;
  while (count > 0 && inInit(first + count - 1)) count--;
  m.extable = { section, first, count };
}

/**
 * search_module_extables(): where to go on when the instruction at `address` faults; undefined when nowhere. Of alpha,
 * whose fixup is no address, the entry's own instruction.
 */
export function searchModuleExtables(kernel: Kernel, address: bigint): bigint | undefined {
  const m = moduleAddress(kernel, address);
  if (m?.extable === undefined || m.extable.section.bytes.length === 0) return undefined;
  const { section, first, count } = m.extable;
  let [low, high] = [first, first + count];
  while (low < high) {
    const pivot = (low + high) >> 1;
    const insn = addressIn(m, section, pivot, 0);
    if (insn === address)
      return extableOf(m.kernel.arch, m.version).relative === 'insn' ? insn : addressIn(m, section, pivot, 1);
    if (insn < address) low = pivot + 1;
    else high = pivot;
  }
  return undefined;
}
