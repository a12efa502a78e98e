/** A module as komulator has just relocated it, against ld.lld at the same addresses, byte for byte. */
import type { Loading } from '../loader/loading.ts';
import { LoadInfo } from '../loader/load-info.ts';
import { ELF_ST_BIND, SHF_ALLOC, SHN_UNDEF, SHT_NOBITS, SHT_REL, SHT_RELA } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { rowFor } from '../relocs/rules.ts';
import { causeOf, isTable, unchecked, unknownToLld } from './causes.ts';
import { branches, kernelsGot, slotsOf } from './detours.ts';
import { type Difference, differences, type RelocationAt } from './differences.ts';
import { linkAtAddresses } from './lld.ts';
import { tocOf } from './toc.ts';

export interface Comparison {
  /** Sections compared, their bytes, and the relocations that apply to them. */
  readonly sections: number;
  readonly bytes: number;
  readonly relocations: number;
  /** Differences explained, by cause. */
  readonly explained: ReadonlyMap<string, number>;
  /** Everything else, in words: differences that no cause explains, and what the linker complained about. */
  readonly unexplained: readonly string[];
}

export interface CompareOptions {
  /** Path of ld.lld. */
  readonly lld?: string;
  /** Added to the value of the first undefined symbol that has one, to see that the comparison sees it. */
  readonly displace?: bigint;
}

/** Sections whose exact bytes are not relocation's: the symbol table is a working copy. */
const isSymbolTable = (load: Loading, index: number): boolean =>
  index === load.info.index.sym || index === load.info.index.str;

/**
 * Compares every section in memory. `load` must have just done the step `apply_relocations`; `ko` is the file that
 * was loaded. Throws LinkError when ld.lld makes no output.
 */
export async function compareWithLld(load: Loading, ko: Uint8Array, options: CompareOptions = {}): Promise<Comparison> {
  const { module: m, info } = load;
  if (m?.symtab === undefined) throw new Error('compareWithLld() needs a load that has been relocated');
  const { symtab } = m;
  const { name: arch, rules } = m.kernel.arch;
  const file = new LoadInfo(ko, m.format);
  const inFile = (i: number): Uint8Array => {
    const raw = file.shdrs[i]!;
    return ko.subarray(Number(raw.sh_offset), Number(raw.sh_offset + (raw.sh_type === SHT_NOBITS ? 0n : raw.sh_size)));
  };
  /** Entries as the file has them: hooks may have sorted them since. */
  const entriesOf = (i: number): Entries => new Entries(m.format, file.shdrs[i]!.sh_type === SHT_RELA, inFile(i));

  /** Types that this kernel passes over (R_RISCV_RELAX). */
  const isHint = (type: number): boolean => rowFor(rules, type, m.version, m.config)?.action === 'ignore';
  /** The addend; of a branch that holds it in place, how far from S it leads. */
  const addendOf = (r: RelocationAt, bytes: Uint8Array): bigint => {
    const branch = branches[arch];
    if (branch?.inPlace !== true || !branch.types.includes(r.type)) return r.r_addend;
    return BigInt.asIntN(32, branch.target(bytes.subarray(r.r_offset), 0n));
  };

  const addresses = new Map<number, bigint>();
  for (const s of m.sections) {
    const percpu = s.index !== 0 && s.index === info.index.pcpu;
    if (percpu) addresses.set(s.index, m.percpu?.cookie ?? 0n);
    else if ((s.sh_flags & SHF_ALLOC) !== 0 && !isSymbolTable(load, s.index)) addresses.set(s.index, s.sh_addr);
  }
  const symbols = new Map<string, bigint>();
  for (let i = 1; i < symtab.count; i++) {
    const value = symtab.st_value(i);
    if (symtab.st_shndx(i) !== SHN_UNDEF || value === 0n) continue;
    symbols.set(symtab.name(i), symbols.size === 0 ? value + (options.displace ?? 0n) : value);
  }
  const linked = await linkAtAddresses({
    ko,
    addresses,
    symbols,
    without: unknownToLld[arch] ?? [],
    // The linker's .TOC. is 32 KiB into its GOT.
    ...(arch === 'ppc64le' && { spare: tocOf(m) - 0x8000n, options: ['--no-toc-optimize'] }),
    ...(options.lld && { lld: options.lld }),
  });

  /** Thunks may overlap the section that the kernel has put behind theirs. */
  const linkersAt = (address: bigint): Uint8Array[] =>
    Array.from(linked.appended, ([index, thunks]) => {
      const at = address - (addresses.get(index) ?? 0n) - BigInt(m.sections[index]?.sh_size ?? 0);
      return at >= 0n && at < BigInt(thunks.length) ? thunks.subarray(Number(at)) : thunks.subarray(0, 0);
    });
  const kernelsSlots = kernelsGot(m, arch);
  const linkersSlots = linked.spare ? slotsOf(linked.spare.bytes, linked.spare.address, m.format) : new Map();

  const explained = new Map<string, number>();
  const explain = (cause: string): unknown => explained.set(cause, (explained.get(cause) ?? 0) + 1);
  const outOfRange: RegExp[] = [];
  const unexplained: string[] = [];
  let sections = 0;
  let bytes = 0;
  for (const [index, right] of linked.sections) {
    const section = m.sections[index]!;
    if (isTable(arch, section)) continue;
    const left = section.bytes;
    if (left.length !== right.length) {
      unexplained.push(`${m.name}: ${section.name} has ${left.length} bytes here and ${right.length} in the linker`);
      continue;
    }
    sections++;
    bytes += right.length;
    for (const difference of differences(ko, index, left, right, rules.info)) {
      const [relocation, ...others] = difference.relocations.filter(({ type }) => !isHint(type));
      const one = others.length === 0 ? relocation : undefined;
      const sym = one === undefined ? 0 : rules.info.sym(entriesOf(one.section).r_info(one.entry), m.format);
      const rest = left.subarray(one?.r_offset ?? 0);
      const cause = causeOf({
        module: m,
        arch,
        section,
        difference,
        relocation: one,
        percpu: index === info.index.pcpu,
        unrelocated: inFile(index),
        S: symtab.st_value(sym),
        A: one === undefined ? 0n : addendOf(one, inFile(index)),
        P: section.sh_addr + BigInt(one?.r_offset ?? 0),
        bind: ELF_ST_BIND(symtab.st_info(sym)),
        defined: symtab.st_shndx(sym) !== SHN_UNDEF,
        kernels: rest,
        linked: right.subarray(one?.r_offset ?? 0),
        linkedSection: right,
        linkersAt,
        kernelsSlots,
        linkersSlots,
      });
      if (cause === undefined) unexplained.push(`${m.name}: ${inWords(section.name, difference, rules.rows)}`);
      else explain(cause.name);
      if (cause?.outOfRange) outOfRange.push(cause.outOfRange);
    }
  }
  // Each complaint of the linker must have its explained difference, unless the kernel never looks.
  for (const message of linked.messages) {
    const at = outOfRange.findIndex((pattern) => pattern.test(message));
    const passed = unchecked[arch];
    if (at >= 0) outOfRange.splice(at, 1);
    else if (passed?.complaint.test(message)) explain(passed.name);
    else unexplained.push(`${m.name}: ${message}`);
  }
  const relocations = m.sections.reduce((sum, s) => {
    const isRelocation = s.sh_type === SHT_RELA || s.sh_type === SHT_REL;
    return isRelocation && linked.sections.has(s.sh_info) ? sum + entriesOf(s.index).count : sum;
  }, 0);
  return { sections, bytes, relocations, explained, unexplained };
}

/** ".text+0x10 (R_X86_64_PC32 against foo): 0011 here, 0012 in the linker" */
function inWords(
  section: string,
  d: Difference,
  rows: ReadonlyMap<number, readonly { readonly name: string }[]>,
): string {
  const by = d.relocations.map((r) => `${rows.get(r.type)?.[0]?.name ?? r.type} against ${r.symbol || 'a section'}`);
  const what = by.length === 0 ? 'no relocation' : by.join(', ');
  const short = (hex: string): string => (hex.length > 32 ? `${hex.slice(0, 32)}…` : hex);
  return `${section}+0x${d.start.toString(16)} (${what}): ${short(d.left)} here, ${short(d.right)} in the linker`;
}
