/** What each step of load_module() did, in the words of this module's numbers. */
import type { ResolvedExport } from '../loader/kernel.ts';
import type { Loading } from '../loader/loading.ts';
import { modinfoStrings } from '../loader/modinfo.ts';
import type { Module } from '../loader/module.ts';
import { SymbolVersions } from '../loader/versions.ts';
import {
  ELF_ST_BIND,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  STB_WEAK,
} from '../relocs/elf.ts';
import type { Howto } from '../relocs/howto.ts';
import type { Section } from '../relocs/section.ts';
import { slotsOf } from '../relocs/slots.ts';
import { entryLine } from './explain-relocation.ts';
import { count, hex } from './io.ts';
import { numbered, type Numbered } from './numbering.ts';
import { paramText, signatureSize } from './report.ts';
import { placedRegions, placedSections } from './sections.ts';

/** A step told: a few lines, the same in full, and the numbers. */
export interface Told {
  readonly lines: readonly string[];
  /** To be asked for at once: later steps change what it looks at. */
  readonly detail: () => readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface StepInfo {
  /** The kernel's functions that do it. */
  readonly does: string;
  readonly in: string;
  readonly tell: (s: Story) => Told;
}

/** What has been seen of the load so far. */
export class Story {
  readonly load: Loading;
  readonly fileSize: number;
  readonly resolved: readonly { readonly name: string; readonly symbol: ResolvedExport }[];
  /** Relocations that wrote something, by row. */
  readonly applied: ReadonlyMap<Howto, number>;
  /** Filled when symbols are resolved. */
  relocations: readonly Numbered[] = [];
  private readonly sizes = new Map<number, number>();
  private imageSize = 0;

  constructor(load: Loading, fileSize: number, resolved: Story['resolved'], applied: Story['applied']) {
    this.load = load;
    this.fileSize = fileSize;
    this.resolved = resolved;
    this.applied = applied;
  }

  get m(): Module {
    return this.load.module!;
  }

  /** Keeps what later steps change. */
  remember(step: string): void {
    const { info } = this.load;
    if (step === 'early_mod_check') for (const s of info.sections) this.sizes.set(s.index, s.sh_size);
    if (step === 'simplify_symbols') this.relocations = numbered(this.load);
    if (info.bytes.length > 0) this.imageSize = info.bytes.length;
  }

  /** Sections that the architecture gave another size. */
  get resized(): Section[] {
    return this.m.sections.filter((s) => this.sizes.get(s.index) !== s.sh_size);
  }

  get temporaryImage(): number {
    return this.imageSize;
  }
}

const told = (lines: readonly string[], facts: Told['facts'] = {}, detail: Told['detail'] = () => []): Told => ({
  lines,
  detail,
  facts,
});

const list = (names: readonly string[], most = 12): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;

function signature({ load, fileSize }: Story): Told {
  const s = load.signature;
  if (!load.kernel.switch('MODULE_SIG'))
    return told(['This kernel does not look for signatures (CONFIG_MODULE_SIG is off).'], { checked: false });
  if (s === undefined)
    return told([`The file has ${count(fileSize, 'byte')}. No signature is appended to it, which taints the kernel.`], {
      file: fileSize,
      signature: null,
    });
  const size = signatureSize(s);
  return told(
    [
      `Of the ${fileSize} bytes the last ${size} are a signature: a PKCS#7 message of ${s.sig_len} bytes and its trailer.`,
      `They are cut off; what follows sees ${load.info.len} bytes. Komulator does not verify the message.`,
    ],
    { file: fileSize, signature: size, left: load.info.len },
  );
}

const typeNames: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'PROGBITS',
  [SHT_SYMTAB]: 'SYMTAB',
  [SHT_STRTAB]: 'STRTAB',
  [SHT_RELA]: 'RELA',
  7: 'NOTE',
  [SHT_NOBITS]: 'NOBITS',
  [SHT_REL]: 'REL',
};

const flagText = (s: Section): string =>
  ((s.sh_flags & SHF_ALLOC) === 0 ? '' : 'A') +
  ((s.sh_flags & SHF_WRITE) === 0 ? '' : 'W') +
  ((s.sh_flags & SHF_EXECINSTR) === 0 ? '' : 'X');

function elf({ load }: Story): Told {
  const { info, kernel } = load;
  const { sections, format } = info;
  const known = info.index.sym === 0 ? 0 : info.symtab.count;
  const inMemory = sections.filter((s) => (s.sh_flags & SHF_ALLOC) !== 0);
  const relocs = sections.filter((s) => s.sh_type === SHT_REL || s.sh_type === SHT_RELA);
  return told(
    [
      `A ${format.is64 ? 64 : 32}-bit ${format.little ? 'little' : 'big'}-endian relocatable file for ${kernel.arch.name}, named ${info.name ?? '(nothing)'}.`,
      `${count(sections.length, 'section')}: ${inMemory.length} to be kept in memory, ${relocs.length} with relocations. ${count(known, 'symbol')}.`,
    ],
    { name: info.name ?? null, sections: sections.length, alloc: inMemory.length, symbols: known },
    () =>
      sections.map(
        (s) =>
          `${String(s.index).padStart(4)}  ${s.name.padEnd(32)} ${(typeNames[s.sh_type] ?? hex(s.sh_type)).padEnd(10)} ${flagText(s).padEnd(3)} offset ${hex(s.sh_offset).padEnd(9)} size ${hex(s.sh_size)}`,
      ),
  );
}

function kernelMagic(mine: string | undefined, kernels: string | undefined): string {
  if (kernels === undefined) return ', which this kernel takes for its own: no other module told it better';
  return `; this kernel's is ${mine === kernels ? 'the same' : `'${kernels}'`}`;
}

function early({ load }: Story): Told {
  const { info, kernel } = load;
  const versions = new SymbolVersions(info);
  const magic = info.modinfo('vermagic');
  const s = info.section(info.index.info);
  const strings = info.index.info === 0 ? [] : modinfoStrings(info.bytes, s.sh_offset, s.sh_size);
  const expected = kernel.exports.get('module_layout')?.crc;
  const crcs = versions.present
    ? `It brings the CRCs of ${count(versions.size, 'symbol')}${versions.extended ? ' (extended format)' : ''}.`
    : 'It brings no CRCs (no __versions).';
  return told(
    [
      `Version magic: ${magic === undefined ? 'none' : `'${magic}'`}${kernelMagic(magic, kernel.vermagic)}.`,
      `${crcs} ${expected === undefined ? 'This kernel has no CRC for module_layout, so struct module is not compared.' : 'The CRC of module_layout, which stands for struct module, agrees.'}`,
      `License: ${info.modinfo('license') ?? 'none'}. Depends on: ${info.modinfo('depends') || 'no other module'}.`,
    ],
    {
      vermagic: magic ?? null,
      crcs: versions.size,
      extended: versions.extended,
      license: info.modinfo('license') ?? null,
    },
    () => [
      '.modinfo:',
      ...strings.map((line) => `  ${line}`),
      `CRCs: ${versions.size}`,
      ...Array.from(versions.entries(), ([name, crc]) => `  0x${crc.toString(16).padStart(8, '0')}  ${name}`),
    ],
  );
}

function frob({ load, m, resized }: { load: Loading; m: Module; resized: readonly Section[] }): Told {
  const { arch } = load.kernel;
  if (arch.frobSections === undefined)
    return told([`${arch.name} needs no PLT and no GOT: there is nothing to size.`], { sized: [] });
  if (resized.length === 0)
    return told(['The architecture counted what its PLT and GOT need: nothing.'], { sized: [] });
  const row = (s: Section): string => `${s.name} ${count(s.sh_size, 'byte')}`;
  return told(
    [`Relocations are counted to size the tables that the loader will fill: ${resized.map(row).join(', ')}.`],
    { sized: resized.map((s) => ({ section: s.name, size: s.sh_size })), module: m.name },
  );
}

const address = (m: Module, v: bigint): string => `0x${v.toString(16).padStart(m.format.is64 ? 16 : 8, '0')}`;

function layout({ m }: Story): Told {
  const sections = placedSections(m);
  const regions = placedRegions(m).filter(({ region }) => region !== 'percpu');
  const lines = regions.map(({ region, base, size }) => {
    const inside = sections.filter((s) => s.region === region && s.size > 0).map(({ name }) => name);
    return `${region.padEnd(13)} ${address(m, base)}  ${String(size).padStart(8)} bytes  ${list(inside, 4)}`;
  });
  return told(
    ['Sections are sorted into regions by what may be done with them, and copied to where they will stay:', ...lines],
    { regions, sections },
    () =>
      regions.flatMap(({ region, base, size }) => [
        `${region} ${address(m, base)}, ${size} bytes`,
        ...sections
          .filter((s) => s.region === region)
          .map((s) => `  ${address(m, s.addr)}  ${hex(s.size).padStart(9)}  ${s.name}`),
      ]),
  );
}

const unformed = ({ m }: Story): Told =>
  told(
    [
      `${m.name} is put at the head of the list of modules, UNFORMED: the name is taken, nobody can use it yet.`,
      m.taints.size === 0
        ? 'It does not taint the kernel.'
        : `It taints the kernel: ${[...m.taints].join(', ')} (${m.taintLetters}).`,
    ],
    { state: m.state, taints: [...m.taints] },
  );

const percpu = ({ m }: Story): Told =>
  m.percpu === undefined
    ? told(['No per-CPU data.'], { percpu: null })
    : told([`${count(m.percpu.size, 'byte')} of per-CPU data at ${hex(m.percpu.cookie)}, for each CPU once.`], {
        percpu: m.percpu,
      });

/** Sections that find_module_sections() and its neighbours look for, and what is in them. */
const optional: Readonly<Record<string, string>> = {
  __param: 'parameters',
  __ksymtab: 'exports',
  __ksymtab_gpl: 'GPL-only exports',
  __ksymtab_strings: 'names of exports',
  __kcrctab: 'CRCs of exports',
  __kcrctab_gpl: 'CRCs of GPL-only exports',
  __kflagstab: 'flags of exports',
  '.ctors': 'constructors',
  '.init_array': 'constructors',
  __tracepoints_ptrs: 'tracepoints',
  __jump_table: 'static branches',
  _ftrace_events: 'trace events',
  __ex_table: 'exception table',
  __bug_table: 'places of BUG and WARN',
  __mcount_loc: 'ftrace call sites',
  __patchable_function_entries: 'ftrace call sites',
  '.static_call_sites': 'static calls',
  __dyndbg: 'dynamic debug messages',
  '.altinstructions': 'alternatives',
  '.orc_unwind': 'stack unwinding',
  __trace_printk_fmt: 'trace_printk formats',
  __srcu_struct_ptrs: 'SRCU structures',
  '.note.gnu.build-id': 'build id',
};

function found({ m }: Story): Told {
  const rows = m.sections.flatMap((s) => {
    const what = optional[s.name];
    return what === undefined || (s.sh_flags & SHF_ALLOC) === 0 || s.sh_size === 0
      ? []
      : [{ section: s.name, size: s.sh_size, what }];
  });
  if (rows.length === 0)
    return told(['None of the optional sections is there: no parameters, no exports, no tables.'], { found: [] });
  const lines = rows.map(
    ({ section, size, what }) => `  ${section.padEnd(28)} ${String(size).padStart(7)} bytes  ${what}`,
  );
  return told(['Sections that have a meaning to the kernel:', ...lines], { found: rows });
}

const modinfo = ({ m }: Story): Told =>
  told(
    [
      `Version: ${m.versionString ?? 'none'}. Source version: ${m.srcversion ?? 'none'}. ` +
        `Imported namespaces: ${m.importedNamespaces.length === 0 ? 'none' : m.importedNamespaces.join(', ')}.`,
    ],
    { version: m.versionString ?? null, srcversion: m.srcversion ?? null, namespaces: m.importedNamespaces },
  );

function symbols({ m, resolved }: Story): Told {
  const symtab = m.symtab!;
  const counts = { defined: 0, absolute: 0, references: resolved.length };
  const weak: string[] = [];
  const known = new Set(resolved.map(({ name }) => name));
  for (let i = 1; i < symtab.count; i++) {
    const shndx = symtab.st_shndx(i);
    if (shndx === SHN_ABS) counts.absolute++;
    else if (shndx !== SHN_UNDEF) counts.defined++;
    else if (ELF_ST_BIND(symtab.st_info(i)) === STB_WEAK && !known.has(symtab.name(i))) weak.push(symtab.name(i));
  }
  const owners = new Map<string, string[]>();
  for (const { name, symbol } of resolved) {
    const owner = symbol.owner?.name ?? 'the kernel';
    const names = owners.get(owner);
    if (names === undefined) owners.set(owner, [name]);
    else names.push(name);
  }
  const lines = [`${count(counts.defined, 'symbol')} of its own: each gets its section's address added.`];
  for (const [owner, names] of owners) lines.push(`${names.length} found in ${owner}: ${list(names, 8)}.`);
  if (owners.size === 0) lines.push('It refers to nothing outside of itself.');
  if (weak.length > 0) lines.push(`Nobody has ${list(weak)}: weak, so 0 will do.`);
  if (m.targets.size > 0)
    lines.push(`It now holds a reference on ${[...m.targets].map(({ name }) => name).join(', ')}.`);
  return told(
    lines,
    { ...counts, weak, owners: Object.fromEntries([...owners].map(([owner, names]) => [owner, names.length])) },
    () =>
      resolved.map(({ name, symbol }) => {
        const crc = symbol.crc === undefined ? '' : `  CRC 0x${symbol.crc.toString(16).padStart(8, '0')}`;
        const namespace = symbol.namespace === '' ? '' : `  namespace ${symbol.namespace}`;
        return `${address(m, symbol.value)}  ${name.padEnd(32)} ${symbol.owner?.name ?? 'vmlinux'}${symbol.gplonly ? '  GPL only' : ''}${crc}${namespace}`;
      }),
  );
}

function relocations(s: Story): Told {
  const { applied, relocations: all } = s;
  const total = all.reduce((sum, { run }) => sum + run.entries.count, 0);
  const written = [...applied.values()].reduce((sum, n) => sum + n, 0);
  if (total === 0) return told(['There is nothing to relocate.'], { relocations: 0 });
  const bySection = all.map(({ run }) => `${run.target.name} ${run.entries.count}`);
  const lines = [`${count(total, 'relocation')} in ${count(all.length, 'section')}: ${list(bySection, 8)}.`];
  const types = [...applied].toSorted(([, a], [, b]) => b - a);
  for (const [row, n] of types) lines.push(`  ${String(n).padStart(7)}  ${row.name.padEnd(28)} ${row.calc.formula}`);
  if (written < total) lines.push(`  ${String(total - written).padStart(7)}  accepted, and nothing written`);
  const tables = s.m.sections.flatMap((section) => {
    const slots = slotsOf(section);
    return slots === undefined || slots.used === 0
      ? []
      : [{ section: section.name, used: slots.used, counted: slots.max }];
  });
  for (const { section, used, counted } of tables)
    lines.push(
      `${section}: ${used}${Number.isFinite(counted) ? ` of the ${counted} counted` : ''} entries are in use.`,
    );
  return told(
    lines,
    {
      relocations: total,
      tables,
      types: Object.fromEntries(types.map(([row, n]) => [row.name, n])),
      sections: Object.fromEntries(all.map(({ run }) => [run.section.name, run.entries.count])),
    },
    () => [
      'number  place                        type                         symbol and addend',
      ...all.flatMap((n) => Array.from({ length: n.run.entries.count }, (_, i) => entryLine(n, i))),
    ],
  );
}

function post({ load, m }: Story): Told {
  const extable = load.info.findSec('__ex_table');
  const lines: string[] = [];
  if (extable !== 0)
    lines.push(
      `The exception table, ${count(load.info.section(extable).sh_size, 'byte')}, is sorted by the address of the instruction.`,
    );
  if (m.percpu !== undefined) lines.push('The per-CPU section is copied to every CPU.');
  lines.push(
    `module_finalize() of ${load.kernel.arch.name} has its turn${load.kernel.arch.finalize === undefined ? ' and only patches code for the CPU it runs on.' : '.'}`,
  );
  return told(lines, { extable: extable !== 0 });
}

function formation({ m }: Story): Told {
  const names = m.exports.map(({ name, gplonly }) => (gplonly ? `${name} (GPL only)` : name));
  return told(
    [
      names.length === 0
        ? 'It exports nothing.'
        : `None of its ${count(names.length, 'export')} exists already: ${list(names)}.`,
      'Its memory gets its final protection, and its state is COMING: others may see it.',
    ],
    {
      exports: m.exports.map(({ name, value, crc, gplonly, namespace }) => ({
        name,
        value,
        crc: crc ?? null,
        gplonly,
        namespace,
      })),
      state: m.state,
    },
    () =>
      m.exports.map(
        (e) =>
          `${address(m, e.value)}  ${e.name}${e.gplonly ? '  GPL only' : ''}${e.namespace === '' ? '' : `  namespace ${e.namespace}`}`,
      ),
  );
}

function params({ load, m }: Story): Told {
  const values = [...m.params].map(([name, value]) => `${name}=${paramText(value)}`);
  const given = load.options.params ?? '';
  return told(
    [`Arguments: ${given === '' ? 'none' : `'${given}'`}.${values.length === 0 ? '' : ` Set: ${values.join(', ')}.`}`],
    { arguments: given, values: Object.fromEntries([...m.params].map(([name, value]) => [name, paramText(value)])) },
  );
}

function init({ m }: Story): Told {
  const freed = Object.entries(m.freed).map(([region, { size }]) => ({ region, size }));
  const bytes = freed.reduce((sum, { size }) => sum + size, 0);
  const start = m.symtab === undefined ? undefined : addressOf(m, 'init_module');
  return told(
    [
      m.hasInit
        ? `Its init function${start === undefined ? '' : ` at ${address(m, start)}`} is called and returns ${m.behaviour.init === undefined ? '0 (taken for granted)' : 'well'}.`
        : 'It has no init function.',
      bytes === 0
        ? 'There is no init memory to free.'
        : `${bytes} bytes of init memory are freed (${freed.map(({ region }) => region).join(', ')}).`,
      `${m.name} is LIVE, ${m.size} bytes, ${m.hasExit ? 'and can be unloaded' : m.hasInit ? 'and cannot be unloaded (it has no exit function)' : 'and can be unloaded'}.`,
    ],
    { state: m.state, size: m.size, freed },
  );
}

function addressOf(m: Module, name: string): bigint | undefined {
  const { symtab } = m;
  if (symtab === undefined) return undefined;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_shndx(i) !== SHN_UNDEF && symtab.name(i) === name) return symtab.st_value(i);
  }
  return undefined;
}

const main = 'kernel/module/main.c';
const validity = { in: main, tell: elf };

/** By the name of the step; what is not here has no story. */
export const steps: Readonly<Record<string, StepInfo>> = {
  module_sig_check: { does: 'module_sig_check()', in: 'kernel/module/signing.c', tell: signature },
  elf_validity_check: { does: 'elf_validity_check(), setup_load_info()', ...validity },
  elf_validity_cache_copy: { does: 'elf_validity_cache_copy()', ...validity },
  early_mod_check: {
    does: 'blacklisted(), rewrite_section_headers(), check_modstruct_version(), check_modinfo()',
    in: main,
    tell: early,
  },
  module_frob_arch_sections: { does: 'module_frob_arch_sections()', in: 'arch/', tell: frob },
  layout_and_allocate: { does: 'layout_sections(), layout_symtab(), move_module()', in: main, tell: layout },
  add_unformed_module: { does: 'add_unformed_module(), taints', in: main, tell: unformed },
  percpu_modalloc: { does: 'percpu_modalloc(), module_unload_init()', in: main, tell: percpu },
  find_module_sections: { does: 'find_module_sections(), check_export_symbol_sections()', in: main, tell: found },
  setup_modinfo: { does: 'setup_modinfo()', in: main, tell: modinfo },
  simplify_symbols: { does: 'simplify_symbols(), resolve_symbol()', in: main, tell: symbols },
  apply_relocations: { does: 'apply_relocations(), apply_relocate_add()', in: `${main}, arch/`, tell: relocations },
  post_relocation: { does: 'post_relocation(), module_finalize()', in: main, tell: post },
  complete_formation: { does: 'complete_formation(), verify_exported_symbols()', in: main, tell: formation },
  prepare_coming_module: {
    does: 'prepare_coming_module()',
    in: main,
    tell: () => told(['ftrace, livepatch and everybody on the notifier chain hear of MODULE_STATE_COMING.']),
  },
  parse_args: { does: 'parse_args()', in: 'kernel/params.c', tell: params },
  mod_sysfs_setup: {
    does: 'mod_sysfs_setup()',
    in: 'kernel/module/sysfs.c',
    tell: ({ m }) =>
      told([
        `/sys/module/${m.name} appears${m.targets.size === 0 ? '' : `, and holders/${m.name} below ${[...m.targets].map(({ name }) => name).join(', ')}`}.`,
      ]),
  },
  free_copy: {
    does: 'free_copy()',
    in: main,
    tell: (s) =>
      told(
        [`The temporary copy of the file, ${count(s.temporaryImage, 'byte')}, is freed. Only what was moved stays.`],
        { bytes: s.temporaryImage },
      ),
  },
  do_init_module: { does: 'do_init_module(), do_free_init()', in: main, tell: init },
};

/** What a label at the end of load_module() undoes. */
export const labels: Readonly<Record<string, string>> = {
  coming_cleanup: 'state GOING; parameters are destroyed, the notifier chain hears MODULE_STATE_GOING',
  bug_cleanup: 'state GOING; the table of BUG places is taken off its list',
  ddebug_cleanup: 'ftrace lets go, readers are waited for, the copy of the arguments is freed',
  free_arch_cleanup: 'module_arch_cleanup()',
  free_modinfo: 'copies of version and srcversion are freed',
  free_unload: 'references on other modules are dropped',
  unlink_mod: 'off the list of modules; whoever waited for the name is woken',
  percpu_modfree: 'per-CPU memory is given back',
  free_module: 'all memory regions are freed',
  free_copy: 'the temporary copy of the file is freed',
};
