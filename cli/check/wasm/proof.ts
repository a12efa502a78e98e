/** The proof table of the architecture, and relocation and symbol tables of 64-bit files, whose fields are little-endian by now. */
import {
  P_CALL_COUNT,
  P_CALLS,
  P_EXPORT_TYPE,
  P_EXPORT_WORD,
  P_NEED_COUNT,
  P_NEEDS,
  P_REWRITTEN_COUNT,
  P_ROWS,
  P_TYPES,
  R_BITS,
} from '../proof-table';
import { section } from './image';
import { little } from './frame';

/** Where the table is; 0: there is no proof. */
let table: usize = 0;

export function attachProof(at: usize): void {
  table = at;
}
export function hasProof(): bool {
  return table !== 0;
}
/** A word of the head. */
export function fact(field: usize): i32 {
  return load<i32>(table + field);
}
/** The row of a type; 0 where there is none. */
export function row(type: u32): usize {
  return type < load<u32>(table, P_TYPES) ? table + P_ROWS + ((<usize>type) << R_BITS) : 0;
}
export function exportType(): u32 {
  return load<u32>(table, P_EXPORT_TYPE);
}
export function exportWord(): i32 {
  return load<i32>(table, P_EXPORT_WORD);
}
/** Sections that the architecture rewrites, of which it needs the first so many. */
export function rewrittenCount(): i32 {
  return load<i32>(table, P_REWRITTEN_COUNT);
}
export function needCount(): i32 {
  return load<i32>(table, P_NEED_COUNT);
}
/** The number of one of them, by its place in the list; 0 where there is none. */
export function needed(n: i32): i32 {
  return section(load<i32>(table + ((<usize>n) << 2), P_NEEDS));
}
export function isRewritten(i: i32): bool {
  for (let n = 0; n < rewrittenCount(); n++) if (needed(n) === i) return true;
  return false;
}
/** Which of the calls a type is, in the order of sorting. */
export function callOf(type: u32): i32 {
  let n = load<i32>(table, P_CALL_COUNT);
  while (--n > 0 && load<u32>(table + ((<usize>n) << 2), P_CALLS) !== type);
  return n;
}

/** Elf64_Rela. */
export const RELA: usize = 24;
export function r_offset(rel: usize): u64 {
  return load<u64>(rel);
}
export function r_type(rel: usize): u32 {
  return load<u32>(rel, 8);
}
export function r_sym(rel: usize): u32 {
  return load<u32>(rel, 12);
}
export function r_addend(rel: usize): i64 {
  return load<i64>(rel, 16);
}

/** Elf64_Sym, whose first eight bytes have been swapped as one number in big-endian files. */
export const SYM: usize = 24;
export function st_shndx(sym: usize): i32 {
  return little ? load<u16>(sym, 6) : load<u16>(sym);
}
export function st_bind(sym: usize): i32 {
  return <i32>(little ? load<u8>(sym, 4) : load<u8>(sym, 3)) >> 4;
}
export function st_value(sym: usize): u64 {
  return load<u64>(sym, 8);
}
