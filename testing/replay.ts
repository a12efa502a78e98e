/**
 * Runs a recorded case against the reference: temporary image, module_frob_arch_sections(), sections to their place,
 * symbols, then every relocation section in order, and module_finalize() where it was recorded: as the recorder did
 * around the kernel's own handlers.
 */
import { arches, type Arch, archOf, headerFacts } from '../arch/index.ts';
import { frobArchSections, markSections } from '../loader/allocate.ts';
import { rewriteSectionHeaders } from '../loader/early.ts';
import { errnos, LoadError } from '../loader/errors.ts';
import { Kernel } from '../loader/kernel.ts';
import { layoutSections, type Placement } from '../loader/layout.ts';
import { Loading } from '../loader/loading.ts';
import { Module } from '../loader/module.ts';
import { applyRelocations } from '../loader/relocate.ts';
import { simplifySymbols } from '../loader/symbols.ts';
import type { Trace } from '../relocs/apply.ts';
import { SHF_ALLOC, SHT_NOBITS, SHT_SYMTAB } from '../relocs/elf.ts';
import type { Config, Region } from '../relocs/module-view.ts';
import { SymbolVersions } from '../loader/versions.ts';
import { fromBase64, type Vector } from './vector.ts';

/** What the reference made of a case. */
export interface Outcome {
  readonly ret: number | 'crash';
  readonly stage: 'frob' | 'symbols' | 'relocate' | 'finalize' | undefined;
  readonly crash: string | undefined;
  readonly warns: number;
  readonly log: string;
  readonly module: Module;
  readonly layout: readonly (Placement | undefined)[];
}

/** One difference between what was recorded and what the reference does. */
export interface Difference {
  readonly id: string;
  /** 'ret', 'stage', 'log', 'warns', 'crash', 'layout .text', 'section .text+0x10', 'extra …'. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** The architecture a case's file is for. Throws when the registry has none. */
function archOfCase(file: Uint8Array): Arch {
  const header = headerFacts(file);
  if (header === undefined) throw new Error('the file of this case is no ELF file');
  const arch = archOf(header, arches);
  if (arch !== undefined) return arch;
  const { e_machine, is64, little } = header;
  throw new Error(
    `no architecture for e_machine ${e_machine}, ${is64 ? 64 : 32} bits, ${little ? 'little' : 'big'} endian`,
  );
}

/** Kernel configuration that a case was recorded with. */
function configOfCase(v: Vector, arch: Arch, file: Uint8Array): Config {
  const live = v.layout !== undefined;
  const base: Config = { DYNAMIC_FTRACE: false, KALLSYMS: live, MODULE_UNLOAD: true };
  const { config, variant, flavour, dp, cls, types = [] } = v;
  const e_flags = headerFacts(file)?.e_flags ?? 0;
  const sections = Object.keys(v.place);
  const recorded = { config, variant, flavour, dp, arch: v.arch, cls, types, e_flags, sections, live };
  return { ...base, ...arch.replayConfig?.(recorded), ...v.switches };
}

/**
 * Runs a case; with a trace, by the interpreter. Never throws for what a module can do; throws for a case that cannot be
 * run at all.
 */
export function run(v: Vector, trace?: Trace): Outcome {
  const file = fromBase64(v.elf);
  const arch = archOfCase(file);
  const kernel = new Kernel({
    arch,
    version: v.kernel,
    order: file[5] === 1 ? 'little' : 'big',
    config: configOfCase(v, arch, file),
    exports: Object.entries(v.symbols).map(([name, value]) => ({
      name,
      value: BigInt(value),
      crc: undefined,
      gplonly: false,
      namespace: '',
      owner: 'vmlinux',
    })),
  });
  const load = new Loading(kernel, file, trace === undefined ? {} : { trace });
  const { info } = load;
  info.openSections();
  info.index.sym = Math.max(
    info.sections.findIndex((s) => s.sh_type === SHT_SYMTAB),
    0,
  );
  info.index.str = info.section(info.index.sym).sh_link;
  info.index.mod = info.findSec('.gnu.linkonce.this_module');
  info.index.info = info.findAnySec('.modinfo');
  info.index.vers = info.findSec('__versions');
  info.index.pcpu = info.findSec('.data..percpu');
  rewriteSectionHeaders(load);
  const name = v.layout === undefined ? 'fix' : info.structModuleName();
  const m = new Module(kernel, info, name, {}, load.lines);
  load.module = m;

  let layout: (Placement | undefined)[] = [];
  let stage: Outcome['stage'] = 'frob';
  let failure: LoadError | undefined;
  try {
    frobArchSections(load, m);
    markSections(m, info);
    const areas = layoutSections(m, info);
    layout = areas.placement;
    toPlace(m, v, areas.placement, areas.sizes);
    if (info.index.sym !== 0) m.symtab = info.reopenSymtab();
    stage = 'symbols';
    if (info.index.sym !== 0) simplifySymbols(m, info, { versions: new SymbolVersions(info) });
    stage = 'relocate';
    applyRelocations(load, m);
    stage = 'finalize';
    if (v.finalize === true)
      load.asking(
        () => 'C91',
        () => arch.finalize?.(m),
      );
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    failure = error;
  }
  return {
    ret: failure === undefined ? 0 : failure.crash !== undefined ? 'crash' : -errnos[failure.errno],
    stage: failure === undefined || failure.crash !== undefined ? undefined : stage,
    crash: failure?.crash,
    warns: m.warnings.length,
    log: load.lines.join('\n'),
    module: m,
    layout,
  };
}

/** Copies every SHF_ALLOC section to its place, at the address the case gives. */
function toPlace(
  m: Module,
  v: Vector,
  placement: readonly (Placement | undefined)[],
  sizes: ReadonlyMap<Region, number>,
): void {
  m.placement = placement;
  for (const [region, { base, size }] of Object.entries(v.mem ?? {})) {
    const bytes = size ?? sizes.get(region as Region) ?? 0;
    m.memory[region as Region] = { base: BigInt(base), size: bytes, bytes: new Uint8Array(bytes) };
  }
  const percpu = v.place['.data..percpu'];
  if (percpu !== undefined) m.percpu = { cookie: BigInt(percpu), size: 0 };
  for (const s of m.sections) {
    if ((s.sh_flags & SHF_ALLOC) === 0) continue;
    const at = v.place[`#${s.index}`] ?? v.place[s.name];
    if (at === undefined) continue;
    const bytes = new Uint8Array(s.sh_size);
    if (s.sh_type !== SHT_NOBITS) bytes.set(s.bytes.subarray(0, s.sh_size));
    s.bytes = bytes;
    s.sh_addr = BigInt(at);
  }
}

/** printk's %p is not comparable: what stands for an address in these lines is blotted out. */
const blot = (log: string): string =>
  log.replace(/\b(PC = |at |Address |range of )(0x)?[0-9a-f]+(\+0x\S+)?/g, '$1%p').trimEnd();

/** Runs a case and compares everything it recorded. */
export const replay = (v: Vector): Difference[] => compare(v, run(v));

/** Compares an outcome with everything that the case recorded. */
export function compare(v: Vector, got: Outcome): Difference[] {
  const differences: Difference[] = [];
  const differ = (what: string, expected: unknown, actual: unknown): void => {
    if (expected !== actual) differences.push({ id: v.id, what, expected: String(expected), actual: String(actual) });
  };
  const { expect } = v;
  differ('ret', expect.ret, got.ret);
  differ('stage', expect.stage, got.stage);
  if (expect.crash !== undefined || got.crash !== undefined)
    differ('crash', crashKind(expect.crash), crashKind(got.crash));
  differ('log', blot(expect.log ?? ''), blot(got.log));
  differ('warns', expect.warns ?? 0, got.warns);
  for (const [name, text] of Object.entries(expect.sections ?? {})) {
    const s = name.startsWith('#')
      ? got.module.sections[Number(name.slice(1))]
      : got.module.sections.find((x) => x.name === name);
    compareBytes(`section ${name}`, fromBase64(text), s?.bytes, differ);
  }
  for (const [name, extra] of Object.entries(expect.extra ?? {})) {
    const text = typeof extra === 'string' ? extra : extra.data;
    compareBytes(`extra ${name}`, fromBase64(text), extraBytes(got.module, name), differ);
  }
  for (const [name, want] of Object.entries(v.layout ?? {})) {
    const s = got.module.sections.find((x) =>
      name.startsWith('#') ? x.index === Number(name.slice(1)) : x.name === name,
    );
    const at = s && got.layout[s.index];
    differ(
      `layout ${name}`,
      `${want.region}+${want.offset} size ${want.size}`,
      at && `${at.region}+${at.offset} size ${s.sh_size}`,
    );
  }
  return differences;
}

/** An address a signal was caught at differs from run to run; which signal does not. */
const crashKind = (crash: string | undefined): string | undefined => crash?.replace('signal -', 'signal ');

/** '#mem.text.head' and 'SECTION#stubs'. */
function extraBytes(m: Module, name: string): Uint8Array | undefined {
  const head = /^#mem\.(\w+)\.head$/.exec(name)?.[1];
  if (head !== undefined) return m.memory[head as Region]?.bytes;
  return m.kernel.arch.stubBytes?.(m, name.replace(/#stubs$/, ''));
}

function compareBytes(
  what: string,
  expected: Uint8Array,
  actual: Uint8Array | undefined,
  differ: (what: string, expected: unknown, actual: unknown) => void,
): void {
  if (actual === undefined) return differ(what, `${expected.length} bytes`, 'absent');
  if (actual.length < expected.length) return differ(`${what} size`, expected.length, actual.length);
  for (let i = 0; i < expected.length; i++) {
    if (expected[i] === actual[i]) continue;
    const window = (b: Uint8Array): string =>
      Array.from(b.subarray(i & ~3, (i & ~3) + 12), (x) => x.toString(16).padStart(2, '0')).join('');
    return differ(`${what}+0x${(i & ~3).toString(16)}`, window(expected), window(actual));
  }
}
