/** Where two final images of one section disagree, and which relocations wrote there. */

import { LoadInfo } from '../loader/load-info.ts';
import { SHT_REL, SHT_RELA, SHT_SYMTAB } from '../relocs/elf.ts';
import { Entries, genericInfo, type RInfo } from '../relocs/entries.ts';
import { Symtab } from '../relocs/symbols.ts';

/** A relocation as the module's file has it. */
export interface RelocationAt {
  /** Number of the relocation section, and of the entry in it. */
  readonly section: number;
  readonly entry: number;
  readonly r_offset: number;
  readonly type: number;
  /** The symbol's name; a section symbol's is empty. */
  readonly symbol: string;
  /** 0 where the addend is in the section's bytes. */
  readonly r_addend: bigint;
}

/** One place of disagreement. */
export interface Difference {
  /** From the first differing byte to after the last one. */
  readonly start: number;
  readonly end: number;
  /** Bytes [start, end) of both, in hex. */
  readonly left: string;
  readonly right: string;
  /**
   * The relocations nearest before it, all of one offset and at most `WIDEST` bytes away; empty when none is: then
   * something else than a relocation has changed the bytes.
   */
  readonly relocations: readonly RelocationAt[];
}

/** Bytes that the widest relocation rewrites: auipc and jalr, pcaddu18i and jirl, a doubleword. */
const WIDEST = 8;

/**
 * Every difference between two images of section `index` of module `ko`, in order of offset. Bytes are one place when
 * the same relocations wrote them, or, where none did, when they are neighbours. Bytes that only the longer image has
 * are not compared.
 */
export function differences(
  ko: Uint8Array,
  index: number,
  left: Uint8Array,
  right: Uint8Array,
  info: RInfo = genericInfo,
): Difference[] {
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left[at] === right[at]) at++;
  if (at === length) return [];

  const relocations = relocationsOf(ko, index, info);
  const found: { start: number; end: number; group: readonly RelocationAt[] }[] = [];
  for (; at < length; at++) {
    if (left[at] === right[at]) continue;
    const group = nearest(relocations, at);
    const last = found.at(-1);
    if (last?.group === group && (group.length > 0 || last.end === at)) last.end = at + 1;
    else found.push({ start: at, end: at + 1, group });
  }
  return found.map(({ start, end, group }) => ({
    start,
    end,
    left: hex(left.subarray(start, end)),
    right: hex(right.subarray(start, end)),
    relocations: group,
  }));
}

/** Relocations of section `index`, grouped by offset, ascending. */
function relocationsOf(ko: Uint8Array, index: number, info: RInfo): RelocationAt[][] {
  const format = { is64: ko[4] === 2, little: ko[5] === 1 };
  const file = new LoadInfo(ko, format);
  const bytesOf = (section: number): Uint8Array => {
    const shdr = file.shdrs[section];
    return shdr === undefined
      ? ko.subarray(0, 0)
      : ko.subarray(Number(shdr.sh_offset), Number(shdr.sh_offset + shdr.sh_size));
  };
  const table = file.shdrs.findIndex((shdr) => shdr.sh_type === SHT_SYMTAB);
  const symtab = new Symtab(format, bytesOf(table), bytesOf(file.shdrs[table]?.sh_link ?? 0));
  const groups = new Map<number, RelocationAt[]>();
  for (const [section, { sh_type, sh_info }] of file.shdrs.entries()) {
    if ((sh_type !== SHT_REL && sh_type !== SHT_RELA) || sh_info !== index) continue;
    const entries = new Entries(format, sh_type === SHT_RELA, bytesOf(section));
    for (let entry = 0; entry < entries.count; entry++) {
      const r_offset = Number(entries.r_offset(entry));
      const r_info = entries.r_info(entry);
      const sym = info.sym(r_info, format);
      const type = info.type(r_info, format);
      const symbol = sym < symtab.count ? symtab.name(sym) : '';
      const group = groups.get(r_offset) ?? [];
      group.push({ section, entry, r_offset, type, symbol, r_addend: entries.r_addend(entry) });
      groups.set(r_offset, group);
    }
  }
  return [...groups.values()].toSorted((a, b) => offsetOf(a) - offsetOf(b));
}

const NONE: readonly RelocationAt[] = [];

/** The last group whose offset is at or before `at`, when it is near enough. */
function nearest(groups: readonly RelocationAt[][], at: number): readonly RelocationAt[] {
  let low = 0;
  let high = groups.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsetOf(groups[middle]) <= at) low = middle + 1;
    else high = middle;
  }
  const group = groups[low - 1];
  return group !== undefined && at < offsetOf(group) + WIDEST ? group : NONE;
}

function offsetOf(group: readonly RelocationAt[] | undefined): number {
  return group?.[0]?.r_offset ?? 0;
}

/** Lower case, no separators. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
