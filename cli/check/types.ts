/** The relocation types that a tree uses, by name. Read apart: only a comparison of two builds asks for them. */
import { join } from 'node:path';
import { arches } from '../../arch/index.ts';
import { SHT_REL, SHT_RELA } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import { FileReader } from './file-reader.ts';
import type { Checked } from './run-check.ts';

/** Names, or `type N` for one that no kernel knows. */
export async function typesOf({ result, paths }: Checked): Promise<Set<string>> {
  const { rules } = arches.find(({ name }) => name === result.arch)!;
  const reader = new FileReader();
  const types = new Set<number>();
  for (const path of paths) {
    try {
      collect(await reader.read(join(result.dir, path)), rules.info, types);
    } catch {
      // The check has told of it.
    }
  }
  return new Set(Array.from(types, (type) => rules.rows.get(type)?.[0]?.name ?? `type ${type}`));
}

function collect(
  bytes: Uint8Array,
  info: { type(r_info: bigint, format: { is64: boolean; little: boolean }): number },
  types: Set<number>,
): void {
  const is64 = bytes[4] === 2;
  const little = bytes[5] === 1;
  const format = { is64, little };
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => (is64 ? Number(v.getBigUint64(at, little)) : v.getUint32(at, little));
  const size = is64 ? 64 : 40;
  const shoff = word(is64 ? 40 : 32);
  const count = v.getUint16(is64 ? 60 : 48, little);
  for (let i = 0; i < count; i++) {
    const at = shoff + i * size;
    const type = v.getUint32(at + 4, little);
    if (type !== SHT_RELA && type !== SHT_REL) continue;
    const offset = word(at + (is64 ? 24 : 16));
    const entries = new Entries(
      format,
      type === SHT_RELA,
      bytes.subarray(offset, offset + word(at + (is64 ? 32 : 20))),
    );
    for (let n = 0; n < entries.count; n++) types.add(info.type(entries.r_info(n), format));
  }
}
