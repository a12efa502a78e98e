/**
 * A module in ten lines, without an ELF file, and relocated: for what a test has to say about one architecture. Sections
 * lie where they are put; tables that the frob hook sizes get zeroed memory afterwards, as move_module() does.
 */
import { type Arch, configOf } from '../arch/index.ts';
import { applySection } from '../relocs/apply.ts';
import {
  type ElfFormat,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  sizeofRel,
  sizeofRela,
  sizeofSym,
} from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import type { Config, ModuleView, Region, Version } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Run } from '../relocs/site.ts';
import { Symtab } from '../relocs/symbols.ts';

export interface GivenSection {
  readonly addr: bigint;
  /** Bytes, also as hexadecimal or as a count of zeros. */
  readonly data?: Uint8Array | string | number;
  /** Default: ALLOC, and EXECINSTR when the name has `text` in it. */
  readonly flags?: number;
  /** SHT_NOBITS: an empty table that the frob hook sizes. */
  readonly nobits?: true;
}

export interface GivenSymbol {
  readonly value: bigint;
  readonly weak?: boolean;
  readonly shndx?: number;
  /** STT_… */
  readonly type?: number;
  readonly st_other?: number;
}

/** r_offset, type name or number, symbol, addend. */
export type GivenReloc = readonly [at: number | bigint, type: string | number, symbol: string, addend?: bigint];

export interface Given {
  readonly arch: Arch;
  readonly version?: Version;
  readonly config?: Config;
  /** Default: the architecture's first order. */
  readonly little?: boolean;
  /** Default: the architecture's first form. */
  readonly form?: 'REL' | 'RELA';
  /** Without a symbol table. */
  readonly stripped?: boolean;
  /** How r_info is packed; default, as the generic ABI has it. */
  readonly info?: (sym: bigint, type: bigint) => bigint;
  /** Where the module's text region starts, and with it what the frob hook puts there (s390's GOT and PLT). */
  readonly text?: bigint;
  /** Memory regions, where an architecture asks which one an address lies in. */
  readonly memory?: Partial<Record<Region, { readonly base: bigint; readonly size: number }>>;
  readonly sections: Readonly<Record<string, GivenSection>>;
  readonly symbols?: Readonly<Record<string, bigint | GivenSymbol>>;
  /** By target section. */
  readonly relocs?: Readonly<Record<string, readonly GivenReloc[]>>;
}

export interface Outcome {
  readonly errno: string | undefined;
  readonly crash: string | undefined;
  /** The sentence for people. */
  readonly reason: string;
  readonly log: readonly string[];
  /** WARN_ONs. */
  readonly warns: number;
  readonly module: ModuleView;
  /** Final bytes of a section, in hexadecimal. */
  hex(section: string): string;
  section(name: string): Section;
}

export function typeNumber(arch: Arch, type: string | number): number {
  if (typeof type === 'number') return type;
  for (const [number, rows] of arch.rules.rows) if (rows[0]!.name === type) return number;
  throw new Error(`${arch.name} has no ${type}`);
}

/** A module before anything is done to it, and what is said of it. */
export interface Unloaded {
  readonly module: ModuleView;
  readonly log: string[];
  readonly warnings: string[];
}

/** The sections as the file has them, relocation sections behind the others. */
export function unloaded(given: Given): Unloaded {
  const { arch, version = '7.2', form = arch.forms[0]! } = given;
  const little = given.little ?? arch.orders[0] === 'little';
  const format: ElfFormat = { is64: arch.is64, little };
  const symbols = Object.entries(given.symbols ?? {});
  const sections: Section[] = [section(0, '', 0n, new Uint8Array(0), 0, 0)];
  for (const [name, { addr, data = 0, flags, nobits }] of Object.entries(given.sections)) {
    const bytes =
      typeof data === 'number' ? new Uint8Array(data) : typeof data === 'string' ? fromHex(data) : data.slice();
    const exec = name.includes('text') ? SHF_EXECINSTR : 0;
    const type = nobits ? SHT_NOBITS : SHT_PROGBITS;
    sections.push(section(sections.length, name, addr, bytes, flags ?? SHF_ALLOC | exec, type));
  }
  const rela = form === 'RELA';
  for (const [target, relocs] of Object.entries(given.relocs ?? {})) {
    const index = sections.findIndex((s) => s.name === target);
    const bytes = encode(given, format, rela, relocs, (name) => 1 + symbols.findIndex(([n]) => n === name));
    const type = rela ? SHT_RELA : SHT_REL;
    sections.push({ ...section(sections.length, `.rela${target}`, 0n, bytes, 0, type), sh_info: index });
  }
  const log: string[] = [];
  const warnings: string[] = [];
  const memory: ModuleView['memory'] = {};
  const within = (region: Region, address: bigint): boolean => {
    const at = memory[region];
    return at !== undefined && address >= at.base && address < at.base + BigInt(at.size);
  };
  const module: ModuleView = {
    name: 'fix',
    format,
    e_machine: arch.e_machine[0]!,
    e_flags: 0,
    sections,
    symtab: given.stripped ? undefined : encodeSymbols(format, symbols),
    version,
    config: { ...configOf(arch, version), ...given.config },
    memory,
    log: (line) => void log.push(line),
    warn: (what) => void warnings.push(what),
    withinInit: (address) =>
      (['init', 'init_text', 'init_data', 'init_rodata'] as const).some((region) => within(region, address)),
    isInitLayout: (name) => name.startsWith('.init'),
  };
  return { module, log, warnings };
}

/** module_frob_arch_sections(), then move_module(): everything to its place. */
export function move(m: ModuleView, given: Given): void {
  const { arch } = given;
  arch.frobSections?.(m);
  for (const s of m.sections) if (s.sh_type === SHT_NOBITS) s.bytes = new Uint8Array(s.sh_size);
  const region = m.version === '6.1' ? 'core' : 'text';
  const size = arch.regionHead?.(m, region) ?? 0;
  m.memory[region] = { base: given.text ?? 0n, size, bytes: new Uint8Array(size) };
  for (const [name, at] of Object.entries(given.memory ?? {}))
    m.memory[name as Region] = { ...at, bytes: new Uint8Array(at.size) };
}

/** What relocation has to do, in the order it is done. */
export function runsOf(m: ModuleView, arch: Arch): Run[] {
  return m.sections
    .filter((s) => s.sh_type === SHT_RELA || s.sh_type === SHT_REL)
    .map((s) => ({
      module: m,
      rules: arch.rules,
      section: s,
      entries: new Entries(m.format, s.sh_type === SHT_RELA, s.bytes),
      target: m.sections[s.sh_info]!,
      symtab: m.symtab!,
    }));
}

/** Frob, then each relocation section in order, as load_module() does; stops at the first refusal. */
export function relocate(given: Given): Outcome {
  const { module, log, warnings } = unloaded(given);
  const named = (name: string): Section => module.sections.find((s) => s.name === name)!;
  const outcome = { log, module, section: named, hex: (name: string) => toHex(named(name).bytes) };
  try {
    move(module, given);
    for (const run of runsOf(module, given.arch)) applySection(run);
    return { ...outcome, warns: warnings.length, errno: undefined, crash: undefined, reason: '' };
  } catch (e) {
    if (!(e instanceof Refusal)) throw e;
    const { crash, message: reason } = e;
    return { ...outcome, warns: warnings.length, errno: crash ? undefined : e.errno, crash, reason };
  }
}

function section(
  index: number,
  name: string,
  sh_addr: bigint,
  bytes: Uint8Array,
  sh_flags: number,
  sh_type: number,
): Section {
  return {
    index,
    name,
    sh_name: 0,
    sh_type,
    sh_flags,
    sh_addr,
    sh_offset: 0,
    sh_size: bytes.length,
    sh_link: 0,
    sh_info: 0,
    sh_addralign: 1,
    sh_entsize: 0n,
    bytes,
  };
}

/** How r_info is packed: as the generic ABI does, or as 64-bit MIPS does on a little-endian machine. */
function packInfo(arch: Arch, format: ElfFormat): NonNullable<Given['info']> {
  const generic = (sym: bigint, type: bigint): bigint => (sym << (format.is64 ? 32n : 8n)) | type;
  const apart = (sym: bigint, type: bigint): bigint => sym | (type << 56n);
  return arch.rules.info.sym(generic(1n, 2n), format) === 1 ? generic : apart;
}

function encode(
  { arch, info }: Given,
  format: ElfFormat,
  rela: boolean,
  relocs: readonly GivenReloc[],
  symbol: (name: string) => number,
): Uint8Array {
  const size = rela ? sizeofRela(format) : sizeofRel(format);
  const bytes = new Uint8Array(relocs.length * size);
  const view = new DataView(bytes.buffer);
  const put = (at: number, v: bigint): void =>
    format.is64
      ? view.setBigUint64(at, BigInt.asUintN(64, v), format.little)
      : view.setUint32(at, Number(BigInt.asUintN(32, v)), format.little);
  const word = size / (rela ? 3 : 2);
  const pack = info ?? packInfo(arch, format);
  relocs.forEach(([at, type, name, addend = 0n], i) => {
    put(i * size, BigInt(at));
    put(i * size + word, pack(BigInt(symbol(name)), BigInt(typeNumber(arch, type))));
    if (rela) put(i * size + 2 * word, addend);
  });
  return bytes;
}

function encodeSymbols(format: ElfFormat, symbols: readonly (readonly [string, bigint | GivenSymbol])[]): Symtab {
  const size = sizeofSym(format);
  const bytes = new Uint8Array((symbols.length + 1) * size);
  const view = new DataView(bytes.buffer);
  let strtab = '\0';
  symbols.forEach(([name, given], i) => {
    const {
      value,
      weak = false,
      shndx = 0xfff1,
      type = 0,
      st_other = 0,
    } = typeof given === 'bigint' ? { value: given } : given;
    const at = (i + 1) * size;
    view.setUint32(at, strtab.length, format.little);
    view.setUint8(at + (format.is64 ? 4 : 12), ((weak ? 2 : 1) << 4) | type);
    view.setUint8(at + (format.is64 ? 5 : 13), st_other);
    view.setUint16(at + (format.is64 ? 6 : 14), shndx, format.little);
    strtab += `${name}\0`;
    if (format.is64) view.setBigUint64(at + 8, value, format.little);
    else view.setUint32(at + 4, Number(value), format.little);
  });
  return new Symtab(format, bytes, new TextEncoder().encode(strtab));
}

const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
