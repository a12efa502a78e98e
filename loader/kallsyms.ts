/** kernel/module/kallsyms.c: which symbol of a module an address belongs to, and the modules' part of /proc/kallsyms. */
import {
  ELF_ST_BIND,
  ELF_ST_TYPE,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_NOBITS,
  STB_WEAK,
  STT_OBJECT,
  wrapWord,
} from '../relocs/elf.ts';
import type { Memory, Region } from '../relocs/module-view.ts';
import type { Symtab } from '../relocs/symbols.ts';
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';
import type { ShownTo } from './proc.ts';
import { textSize } from './symbol-get.ts';

/** Names are cut to one less. */
const KSYM_NAME_LEN = 512;

const INIT: readonly Region[] = ['init', 'init_text', 'init_data', 'init_rodata'];

const covers = ({ base, size }: Memory, address: bigint): boolean => address >= base && address < base + BigInt(size);

/** __module_address(): the module whose memory covers an address; UNFORMED ones are not seen. */
export function moduleAddress(kernel: Kernel, address: bigint): Module | undefined {
  return kernel.modules.find(
    (m) => m.state !== 'UNFORMED' && Object.values(m.memory).some((at) => covers(at, address)),
  );
}

/** A symbol, how far behind it an address is, and how far behind it the next symbol or the end is. */
export interface AddressSymbol {
  readonly module: Module;
  readonly name: string;
  readonly offset: bigint;
  readonly size: bigint;
}

/** module_address_lookup(): undefined for what is no module's, and where no symbol comes before it. */
export function moduleAddressLookup(kernel: Kernel, address: bigint): AddressSymbol | undefined {
  const m = moduleAddress(kernel, address);
  return m && findKallsymsSymbol(m, address);
}

const symtabOf = (m: Module): Symtab | undefined => (m.kernel.switch('KALLSYMS') ? m.symtab : undefined);

/** find_kallsyms_symbol() */
function findKallsymsSymbol(m: Module, address: bigint): AddressSymbol | undefined {
  const symtab = symtabOf(m);
  const bounds = boundsOf(m, address);
  if (symtab === undefined || bounds === undefined) return undefined;
  let [best, { first: bestval, end: nextval }] = [0, bounds];
  for (const i of numbersOf(m, symtab)) {
    if (symtab.st_shndx(i) === SHN_UNDEF || isPassedOver(m, symtab.name(i))) continue;
    const value = symbolValue(m, symtab, i);
    if (value <= address && value > bestval) [best, bestval] = [i, value];
    if (value > address && value < nextval) nextval = value;
  }
  if (best === 0) return undefined;
  const size = wrapWord(m.format, nextval - bestval);
  return { module: m, name: nameOf(symtab, best), offset: address - bestval, size };
}

/**
 * What a symbol's value must be above, and where the last one ends: the region, of text only without KALLSYMS_ALL; in
 * 6.1 the end of the text, wherever the address is.
 */
function boundsOf(m: Module, address: bigint): { readonly first: bigint; readonly end: bigint } | undefined {
  const regions = (Object.keys(m.memory) as Region[]).filter((region) => covers(m.memory[region]!, address));
  if (m.version === '6.1') {
    const region = regions[0] === 'init' ? 'init' : 'core';
    const { base } = m.memory[region]!;
    return { first: 0n, end: base + BigInt(textSize(m, region)) };
  }
  const all = m.kernel.switch('KALLSYMS_ALL');
  const region = regions.find((name) => all || name === 'text' || name === 'init_text');
  if (region === undefined) return undefined;
  const { base, size } = m.memory[region]!;
  return { first: base - 1n, end: base + BigInt(size) };
}

/** Unnamed symbols, and those that only mark something for the assembler (is_mapping_symbol()). */
function isPassedOver(m: Module, name: string): boolean {
  if (name === '' || name.startsWith('.L')) return true;
  return m.version === '6.1' ? /^\$[axtd](\.|$)/.test(name) : name.startsWith('L0') || name.startsWith('$');
}

/** kallsyms_symbol_value() */
function symbolValue(m: Module, symtab: Symtab, i: number): bigint {
  const value = symtab.st_value(i);
  return m.kernel.arch.kallsymsSymbolValue?.(m, ELF_ST_TYPE(symtab.st_info(i)), value) ?? value;
}

const nameOf = (symtab: Symtab, i: number): string => symtab.name(i).slice(0, KSYM_NAME_LEN - 1);

/** Numbers of the symbols that are there, from 1 on: all of them until init memory goes, then those of the core. */
function* numbersOf(m: Module, symtab: Symtab): Generator<number> {
  const all = INIT.some((region) => m.memory[region] !== undefined) || m.isLivepatch;
  for (let i = 1; i < symtab.count; i++) if (all || isCore(m, symtab, i)) yield i;
}

const pcpuOf = (m: Module): number =>
  m.kernel.switch('SMP') ? (m.sections.find(({ name }) => name === '.data..percpu')?.index ?? 0) : 0;

/** is_core_symbol() */
function isCore(m: Module, symtab: Symtab, i: number): boolean {
  const shndx = symtab.st_shndx(i);
  const section = m.sections[shndx];
  if (shndx === SHN_UNDEF || section === undefined || symtab.st_name(i) === 0) return false;
  const all = m.kernel.switch('KALLSYMS_ALL');
  if (all && shndx === pcpuOf(m)) return true;
  if ((section.sh_flags & SHF_ALLOC) === 0 || (!all && (section.sh_flags & SHF_EXECINSTR) === 0)) return false;
  const at = m.placement[shndx];
  return at === undefined || !INIT.includes(at.region);
}

/** elf_type(): the letter of nm(1). */
function elfType(m: Module, symtab: Symtab, i: number): string {
  const info = symtab.st_info(i);
  if (ELF_ST_BIND(info) === STB_WEAK) return ELF_ST_TYPE(info) === STT_OBJECT ? 'v' : 'w';
  const shndx = symtab.st_shndx(i);
  if (shndx === SHN_UNDEF) return 'U';
  if (shndx === SHN_ABS || shndx === pcpuOf(m)) return 'a';
  const section = m.sections[shndx];
  if (shndx >= SHN_LORESERVE || section === undefined) return '?';
  const { sh_flags, sh_type, name } = section;
  const small = (sh_flags & (m.kernel.arch.smallFlag ?? 0)) !== 0;
  if ((sh_flags & SHF_EXECINSTR) !== 0) return 't';
  if (sh_type === SHT_NOBITS) return small ? 's' : 'b';
  if ((sh_flags & SHF_ALLOC) !== 0) return (sh_flags & SHF_WRITE) === 0 ? 'r' : small ? 'g' : 'd';
  return name.startsWith('.debug') ? 'n' : '?';
}

/** is_exported(): by name and value. 6.x does not look among what is GPL-only. */
const isExported = (m: Module, name: string, value: bigint): boolean =>
  m.exports.some((e) => e.name === name && e.value === value && (!e.gplonly || m.version === '7.2'));

/** /proc/kallsyms from where the modules come on, newest first. A capital letter: exported. */
export function procKallsyms(kernel: Kernel, { hidden = false }: ShownTo = {}): string {
  const lines: string[] = [];
  for (const m of kernel.modules) {
    const symtab = symtabOf(m);
    if (symtab === undefined || m.state === 'UNFORMED') continue;
    for (const i of numbersOf(m, symtab)) {
      const name = nameOf(symtab, i);
      if (name === '') continue;
      const value = symbolValue(m, symtab, i);
      const letter = elfType(m, symtab, i);
      const shown = (hidden ? 0n : value).toString(16).padStart(m.format.is64 ? 16 : 8, '0');
      const type = isExported(m, name, value) ? letter.toUpperCase() : letter.toLowerCase();
      lines.push(`${shown} ${type} ${name}\t[${m.name}]\n`);
    }
  }
  return lines.join('');
}
