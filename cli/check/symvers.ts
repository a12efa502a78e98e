/** Module.symvers into the rows of a link, read without a string. */
import { parseSymvers } from '../../loader/exports.ts';
import { moduleName } from '../../loader/depend-files.ts';
import type { Arena } from './arena.ts';
import { LISTED, LISTED_CRC, LISTED_GPL } from './export-rows.ts';

/** Throws InputError with the line's number for what is no Module.symvers, and NamesFull. */
export function readSymvers(bytes: Uint8Array, arena: Arena): void {
  const { core, names } = arena;
  const { at, end } = arena.keep(bytes);
  if (names.orFull(() => core.symvers(at, end)) !== 0) return;
  core.unlist(-1);
  for (const row of parseSymvers(bytes)) {
    const owner = row.owner === 'vmlinux' ? 0 : names.of(moduleName(row.owner));
    const bits = LISTED | (row.gplonly ? LISTED_GPL : 0) | (row.crc === undefined ? 0 : LISTED_CRC);
    core.listExport(names.of(row.name), bits, row.crc ?? 0, names.of(row.namespace), owner);
  }
}
