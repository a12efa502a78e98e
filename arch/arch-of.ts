/** Which architecture a file is for, by its ELF header. */
import { type Arch, configOf, type HeaderFacts } from './arch.ts';

/** The fields that elf_check_arch() looks at, read as e_ident says; undefined when this is no ELF header. */
export function headerFacts(file: Uint8Array): HeaderFacts | undefined {
  const [m0, m1, m2, m3, ei_class, ei_data] = file;
  if (m0 !== 0x7f || m1 !== 0x45 || m2 !== 0x4c || m3 !== 0x46) return undefined;
  const is64 = ei_class === 2;
  const little = ei_data === 1;
  if (file.length < (is64 ? 64 : 52)) return undefined;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  return {
    is64,
    little,
    e_machine: view.getUint16(18, little),
    e_flags: view.getUint32(is64 ? 48 : 36, little),
    e_entry: is64 ? view.getBigUint64(24, little) : BigInt(view.getUint32(24, little)),
  };
}

/** The architecture of `candidates` that a header belongs to: by machine, class and byte order, then by its own test. */
export function archOf(header: HeaderFacts, candidates: readonly Arch[]): Arch | undefined {
  const order = header.little ? 'little' : 'big';
  const fitting = candidates.filter(
    (a) => a.is64 === header.is64 && a.orders.includes(order) && a.e_machine.includes(header.e_machine),
  );
  return fitting.find((a) => a.accepts?.(header, configOf(a, '7.2')) ?? true) ?? fitting[0];
}
