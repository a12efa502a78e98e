/** Recorded vectors as cases for a port, and outcomes of a port as what a vector records. */
import { headerFacts } from '../arch/index.ts';
import { LoadInfo } from '../loader/load-info.ts';
import { SHF_ALLOC, SHN_UNDEF, SHT_SYMTAB } from '../relocs/elf.ts';
import type { Section } from '../relocs/section.ts';
import { Symtab } from '../relocs/symbols.ts';
import { fromBase64, toBase64, type Vector } from '../testing/vector.ts';
import { type PortCase, type PortOutcome, type PortRegion, portRegions } from './port-protocol.ts';

/** The two blobs of 6.1 in terms of the regions of the protocol. */
const blobs: Readonly<Record<string, PortRegion>> = { core: 'text', init: 'init_text' };

/** Section headers and symbol table of a case's file. Throws RangeError when it has none. */
function openFile(elf: Uint8Array): { readonly sections: readonly Section[]; readonly symtab: Symtab | undefined } {
  const header = headerFacts(elf);
  if (header === undefined) throw new RangeError('the file of this case is no ELF file');
  const info = new LoadInfo(elf, { is64: header.is64, little: header.little });
  info.openSections();
  const { sections } = info;
  const symbols = sections.find((s) => s.sh_type === SHT_SYMTAB);
  const strings = symbols && sections[symbols.sh_link];
  const symtab = symbols && strings && new Symtab(info.format, symbols.bytes, strings.bytes);
  return { sections, symtab };
}

/** How a vector calls a section: by name, or by number where two have the same. */
function sectionNames(sections: readonly Section[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const s of sections) counts.set(s.name, (counts.get(s.name) ?? 0) + 1);
  return sections.map((s) => (counts.get(s.name) === 1 ? s.name : `#${s.index}`));
}

/** A recorded vector as a case for a port. */
export function portCaseOf(v: Vector): PortCase {
  const elf = fromBase64(v.elf);
  const { sections, symtab } = openFile(elf);
  const places = new Map<number, bigint>();
  for (const s of sections) {
    const at = v.place[`#${s.index}`] ?? v.place[s.name];
    if (s.index > 0 && at !== undefined && (s.sh_flags & SHF_ALLOC) !== 0) places.set(s.index, BigInt(at));
  }
  const symbols = new Map<number, bigint>();
  for (let i = 1; i < (symtab?.count ?? 0); i++) {
    if (symtab?.st_shndx(i) !== SHN_UNDEF) continue;
    const name = symtab.name(i);
    // ELFv1's frob hook takes the dot away before symbols are looked up.
    const value = v.symbols[name] ?? v.symbols[name.replace(/^\./, '')];
    if (value !== undefined) symbols.set(i, BigInt(value));
  }
  const mem: Partial<Record<PortRegion, { base: bigint; size: number }>> = {};
  for (const [name, { base, size }] of Object.entries(v.mem ?? {})) {
    const region = blobs[name] ?? portRegions.find((known) => known === name);
    if (region !== undefined) mem[region] = { base: BigInt(base), size: size ?? 0 };
  }
  return { flags: v.variant ?? 0, finalize: v.finalize ?? false, dp: BigInt(v.dp ?? 0), mem, places, symbols, elf };
}

/** What a vector of this case expects after this outcome. */
export function expectOf(v: Pick<Vector, 'elf' | 'mem'>, outcome: PortOutcome): Vector['expect'] {
  const { ret, stage, crash, warns, log } = outcome;
  const names = sectionNames(openFile(fromBase64(v.elf)).sections);
  const sections: Record<string, string> = {};
  for (const [index, bytes] of outcome.sections) sections[names[index] ?? `#${index}`] = toBase64(bytes);
  const extra: Record<string, string | { addr: string; data: string }> = {};
  for (const [name, bytes] of outcome.extra) {
    const head = name === '#mem.text.head' ? headOf(v) : undefined;
    const data = toBase64(bytes);
    extra[head?.name ?? name] = head === undefined ? data : { addr: head.base, data };
  }
  return {
    ret,
    ...(stage === undefined ? {} : { stage }),
    ...(crash === undefined ? {} : { crash }),
    ...(warns === 0 ? {} : { warns }),
    log,
    sections,
    ...(outcome.extra.size === 0 ? {} : { extra }),
  };
}

/** The region that text is in: a kernel with two blobs has it in core. */
function headOf({ mem }: Pick<Vector, 'mem'>): { readonly name: string; readonly base: string } | undefined {
  const region = mem?.['core'] === undefined ? 'text' : 'core';
  const base = mem?.[region]?.base;
  return base === undefined ? undefined : { name: `#mem.${region}.head`, base };
}

/**
 * What differs between an outcome and what was recorded: '' when nothing does. Sections and extra bytes that were not
 * recorded are not compared, nor are addresses a signal was caught at.
 */
export function expectDifference(expected: Vector['expect'], actual: Vector['expect']): string {
  for (const key of ['ret', 'stage', 'warns'] as const) {
    if ((expected[key] ?? 0) !== (actual[key] ?? 0)) return `${key}: ${expected[key]}, not ${actual[key]}`;
  }
  const signal = (crash: string | undefined): string | undefined => crash?.replace('signal -', 'signal ');
  if (signal(expected.crash) !== signal(actual.crash)) return `crash: ${expected.crash}, not ${actual.crash}`;
  if ((expected.log ?? '') !== (actual.log ?? '')) {
    return `log: ${JSON.stringify(expected.log ?? '')}, not ${JSON.stringify(actual.log ?? '')}`;
  }
  for (const [name, bytes] of Object.entries(expected.sections ?? {})) {
    if (bytes !== actual.sections?.[name]) return firstByte(name, bytes, actual.sections?.[name]);
  }
  for (const [name, value] of Object.entries(expected.extra ?? {})) {
    const data = (x: typeof value | undefined): string | undefined => (typeof x === 'object' ? x.data : x);
    if (data(value) !== data(actual.extra?.[name]))
      return firstByte(name, data(value) ?? '', data(actual.extra?.[name]));
  }
  return '';
}

function firstByte(name: string, expected: string, actual: string | undefined): string {
  if (actual === undefined) return `${name}: absent`;
  const want = fromBase64(expected);
  const have = fromBase64(actual);
  const at = want.findIndex((byte, i) => byte !== have[i]);
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes.subarray(at & ~3, (at & ~3) + 12), (b) => b.toString(16).padStart(2, '0')).join('');
  if (at < 0) return `${name}: ${want.length} bytes, not ${have.length}`;
  return `${name}+0x${(at & ~3).toString(16)}: ${hex(want)}, not ${hex(have)}`;
}
