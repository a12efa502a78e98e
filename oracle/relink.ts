/**
 * A module rewritten so that an ordinary static linker does to it what apply_relocations() does, and nothing else.
 *
 * Linkers treat sections by name, type and flags: they merge strings, parse .eh_frame and .note.gnu.property, sort
 * .init_array, drop groups, follow link order. The copy takes all of that away: every placed section becomes plain
 * PROGBITS or NOBITS with a name of its own, alignment 1 and no flag but WRITE, ALLOC and EXECINSTR; every other
 * section but the symbol table and the relocations of placed sections becomes SHT_NULL. Contents, symbols and
 * relocations are not touched (unless the caller wants a type left out), so section numbers and offsets mean the same in
 * both.
 */

import { LoadInfo, type RawShdr } from '../loader/load-info.ts';
import {
  type ElfFormat,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_NULL,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  sizeofShdr,
} from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { Symtab } from '../relocs/symbols.ts';

/** A section that the linker is to place. */
export interface PlacedSection {
  /** Number in the module's section table. */
  readonly index: number;
  /** Its name in the copy. */
  readonly name: string;
  readonly address: bigint;
  /** sh_size. */
  readonly size: number;
  /** Whether it has no bytes in the file. */
  readonly nobits: boolean;
}

/** What `relinkable` gives. */
export interface Relinkable {
  /** The ET_REL file for the linker. */
  readonly bytes: Uint8Array;
  readonly placed: readonly PlacedSection[];
  /** Names of the undefined symbols, each once. */
  readonly undefinedNames: readonly string[];
}

/**
 * The copy of module `ko`. `addresses`: final address by section number; sections that are not listed are left out of
 * the link. `without`: relocation types that become type 0, which is NONE everywhere.
 */
export function relinkable(
  ko: Uint8Array,
  addresses: ReadonlyMap<number, bigint>,
  without: readonly number[] = [],
): Relinkable {
  const format: ElfFormat = { is64: ko[4] === 2, little: ko[5] === 1 };
  const info = new LoadInfo(ko, format);
  const { shdrs } = info;
  const { e_shoff, e_shstrndx } = info.hdr;
  const table = Number(e_shoff);

  const placed: PlacedSection[] = [];
  for (const [index, shdr] of shdrs.entries()) {
    const address = addresses.get(index);
    if (index === 0 || address === undefined) continue;
    const nobits = shdr.sh_type === SHT_NOBITS;
    placed.push({ index, name: `.k${index}`, address, size: Number(shdr.sh_size), nobits });
  }

  // Names go behind the file: nothing that is there moves.
  const names = new TextEncoder().encode(`\0${placed.map(({ name }) => `${name}\0`).join('')}`);
  const bytes = new Uint8Array(ko.length + names.length);
  bytes.set(ko);
  bytes.set(names, ko.length);
  const view = new DataView(bytes.buffer);
  const isPlaced = new Set(placed.map(({ index }) => index));
  for (const [index, shdr] of shdrs.entries()) {
    writeShdr(view, table + index * sizeofShdr(format), format, kept(shdr, isPlaced) ? { ...shdr, sh_name: 0 } : NULL);
  }
  let sh_name = 1;
  for (const { index, name, nobits } of placed) {
    const shdr = shdrs[index] ?? NULL;
    writeShdr(view, table + index * sizeofShdr(format), format, {
      ...shdr,
      sh_name,
      sh_type: nobits ? SHT_NOBITS : SHT_PROGBITS,
      sh_flags: shdr.sh_flags & BigInt(SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR),
      sh_addr: 0n,
      sh_link: 0,
      sh_info: 0,
      sh_addralign: 1n,
      sh_entsize: 0n,
    });
    sh_name += name.length + 1;
  }
  writeShdr(view, table + e_shstrndx * sizeofShdr(format), format, {
    ...NULL,
    sh_type: SHT_STRTAB,
    sh_offset: BigInt(ko.length),
    sh_size: BigInt(names.length),
    sh_addralign: 1n,
  });
  if (without.length > 0) leaveOut(bytes, info, without);
  return { bytes, placed, undefinedNames: undefinedNames(info) };
}

/**
 * The linker script that puts every placed section at its address, gives the undefined symbols that `symbols` lists
 * their values, and the linker's own tables (.got, .plt, .branch_lt) the address `spare`.
 */
export function linkerScript(
  { placed, undefinedNames: names }: Relinkable,
  symbols: ReadonlyMap<string, bigint>,
  spare: bigint,
): string {
  const lines: string[] = [];
  for (const name of names) {
    const value = symbols.get(name);
    if (value !== undefined) lines.push(`"${name}" = ${hex(value)};`);
  }
  lines.push('SECTIONS {');
  // AT() gives each section a segment of its own, so that the gaps between addresses do not become part of the file.
  for (const { name, address } of placed) lines.push(`  ${name} ${hex(address)} : AT(${hex(address)}) { *(${name}) }`);
  lines.push(`  .spare ${hex(spare)} : AT(${hex(spare)}) { *(.got .got.plt .plt .iplt .igot.plt .branch_lt) }`, '}');
  return `${lines.join('\n')}\n`;
}

const NULL: RawShdr = {
  sh_name: 0,
  sh_type: SHT_NULL,
  sh_flags: 0n,
  sh_addr: 0n,
  sh_offset: 0n,
  sh_size: 0n,
  sh_link: 0,
  sh_info: 0,
  sh_addralign: 0n,
  sh_entsize: 0n,
};

function kept({ sh_type, sh_flags, sh_info }: RawShdr, isPlaced: ReadonlySet<number>): boolean {
  if (sh_type === SHT_REL || sh_type === SHT_RELA) return isPlaced.has(sh_info);
  return sh_type === SHT_SYMTAB || (sh_type === SHT_STRTAB && (sh_flags & BigInt(SHF_ALLOC)) === 0n);
}

/** Makes the types `without` into type 0. */
function leaveOut(bytes: Uint8Array, { format, shdrs }: LoadInfo, without: readonly number[]): void {
  for (const { sh_type, sh_offset, sh_size } of shdrs) {
    if (sh_type !== SHT_REL && sh_type !== SHT_RELA) continue;
    const table = bytes.subarray(Number(sh_offset), Number(sh_offset + sh_size));
    const entries = new Entries(format, sh_type === SHT_RELA, table);
    for (let i = 0; i < entries.count; i++) {
      if (without.includes(genericInfo.type(entries.r_info(i), format))) entries.setInfo(i, 0n);
    }
  }
}

function undefinedNames(info: LoadInfo): string[] {
  const table = info.shdrs.find((shdr) => shdr.sh_type === SHT_SYMTAB);
  const strings = table === undefined ? undefined : info.shdrs[table.sh_link];
  if (table === undefined || strings === undefined) return [];
  const symtab = new Symtab(info.format, contents(info, table), contents(info, strings));
  const names = new Set<string>();
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_shndx(i) === SHN_UNDEF) names.add(symtab.name(i));
  }
  names.delete('');
  return [...names];
}

function contents(info: LoadInfo, { sh_offset, sh_size }: RawShdr): Uint8Array {
  return info.bytes.subarray(Number(sh_offset), Number(sh_offset + sh_size));
}

function writeShdr(view: DataView, at: number, { is64, little }: ElfFormat, shdr: RawShdr): void {
  const { sh_flags, sh_addr, sh_offset, sh_size, sh_addralign, sh_entsize } = shdr;
  view.setUint32(at, shdr.sh_name, little);
  view.setUint32(at + 4, shdr.sh_type, little);
  const word = (index: number, value: bigint, gap: number): void =>
    is64
      ? view.setBigUint64(at + 8 + index * 8 + gap, value, little)
      : view.setUint32(at + 8 + index * 4 + gap, Number(value), little);
  for (const [index, value] of [sh_flags, sh_addr, sh_offset, sh_size].entries()) word(index, value, 0);
  // sh_link and sh_info are 32 bits wide in both classes.
  const link = at + 8 + 4 * (is64 ? 8 : 4);
  view.setUint32(link, shdr.sh_link, little);
  view.setUint32(link + 4, shdr.sh_info, little);
  for (const [index, value] of [sh_addralign, sh_entsize].entries()) word(index + 4, value, 8);
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
