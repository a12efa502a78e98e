/** Memory by address: what a handler reads or writes when it does not stay in the section it works on. */
import { SHF_ALLOC } from './elf.ts';
import type { ModuleView } from './module-view.ts';
import { crashes } from './refusal.ts';

/**
 * The `size` bytes of the module's memory at `address`, in whatever section they lie, or between sections. Dies where
 * the module has no memory.
 *
 * @param what who looks there, for the sentence of the crash
 */
export function memoryAt(m: ModuleView, address: bigint, size: number, what: string): DataView {
  const view = moduleMemory(m, address, size);
  if (view === undefined)
    throw crashes('signal 11', `${what} at 0x${address.toString(16)}, where the module has no memory`);
  return view;
}

/** The same; undefined where the module has no memory. */
export function moduleMemory(m: ModuleView, address: bigint, size: number): DataView | undefined {
  const inside = (base: bigint, length: number): boolean =>
    address >= base && address + BigInt(size) <= base + BigInt(length);
  const view = (bytes: Uint8Array, base: bigint): DataView =>
    new DataView(bytes.buffer, bytes.byteOffset + Number(address - base), size);
  for (const s of m.sections) {
    if ((s.sh_flags & SHF_ALLOC) !== 0 && inside(s.sh_addr, s.bytes.length)) return view(s.bytes, s.sh_addr);
  }
  for (const { base, bytes } of Object.values(m.memory)) if (inside(base, bytes.length)) return view(bytes, base);
  return undefined;
}

/** A copy of what moduleMemory() gives, with the ends of sections that reach into it. */
function acrossSections(m: ModuleView, address: bigint, size: number): DataView | undefined {
  const found = moduleMemory(m, address, size);
  if (found === undefined) return undefined;
  const copy = new Uint8Array(found.buffer, found.byteOffset, size).slice();
  for (const s of m.sections) {
    if ((s.sh_flags & SHF_ALLOC) === 0 || s.sh_addr >= address + BigInt(size)) continue;
    const from = Number(s.sh_addr - address);
    if (from + s.bytes.length <= 0) continue;
    copy.set(s.bytes.subarray(Math.max(-from, 0), Math.max(-from, 0) + size - Math.max(from, 0)), Math.max(from, 0));
  }
  return new DataView(copy.buffer);
}

/**
 * The words of a function descriptor: code address, then global pointer and what else there is. Of the kernel's and of
 * other modules' descriptors nothing but the address is known here: it stands for the code, and the rest is 0. With
 * ONLY_OWN_MEMORY reading those dies.
 */
export function descriptorAt(m: ModuleView, address: bigint, words: number): readonly bigint[] {
  const own = acrossSections(m, address, 8 * words);
  if (own !== undefined) return Array.from({ length: words }, (_, i) => own.getBigUint64(8 * i, m.format.little));
  if (address === 0n || m.config.ONLY_OWN_MEMORY === true)
    throw crashes('signal 11', `the function descriptor at 0x${address.toString(16)} is read, and nothing is there`);
  return Array.from({ length: words }, (_, i) => (i === 0 ? address : 0n));
}
