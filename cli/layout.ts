/** `komulator layout`: where everything of a module would lie, and how much room its PLT and GOT need. */
import { DecompressionError } from '../loader/compression.ts';
import { LoadError } from '../loader/errors.ts';
import { loadModule } from '../loader/load.ts';
import type { Loading } from '../loader/loading.ts';
import type { Module } from '../loader/module.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../relocs/elf.ts';
import type { Section } from '../relocs/section.ts';
import { type Slots, slotsOf } from '../relocs/slots.ts';
import { type Attempt, attempt, unpackingRefused } from './attempt.ts';
import { count, type Exit, exit, hex, type Io, toJson } from './io.ts';
import { readModuleFile } from './module-file.ts';
import { moduleHead } from './module-head.ts';
import { type OpenKernel, openKernel, type ProfileOptions } from './open-kernel.ts';
import { failureJson, failureLines, kernelJson } from './report.ts';
import { placedRegions, placedSections } from './sections.ts';

export interface LayoutOptions extends ProfileOptions {
  readonly json?: boolean;
}

/** A module laid out, in a kernel of its own. */
interface LaidOut {
  readonly file: string;
  readonly opened: OpenKernel;
  readonly module: Module;
  /** Sections whose size the architecture set: PLT, GOT, trampolines. */
  readonly tables: readonly Section[];
  /** Bytes the architecture keeps at the start of a region. */
  readonly heads: ReadonlyMap<string, number>;
}

interface Refused {
  readonly opened: OpenKernel;
  readonly refused: Attempt;
}

export async function layout(files: readonly string[], options: LayoutOptions, io: Io): Promise<Exit> {
  const all: (LaidOut | Refused)[] = [];
  for (const file of files) all.push(await layOut(file, options));
  const maps = all.filter((one) => 'module' in one);
  const failed = all.filter((one) => 'refused' in one);
  if (options.json === true) {
    io.print(
      toJson({ layouts: maps.map(mapJson), failed: failed.map(({ refused, opened }) => failureJson(refused, opened)) }),
    );
  } else {
    for (const one of all) {
      if ('module' in one) mapLines(one, io);
      else failureLines(one.refused, one.opened, io);
    }
  }
  return failed.length > 0 ? exit.findings : exit.well;
}

async function layOut(file: string, options: LayoutOptions): Promise<LaidOut | Refused> {
  let bytes: Uint8Array;
  try {
    bytes = await readModuleFile(file);
  } catch (error) {
    if (!(error instanceof DecompressionError)) throw error;
    const opened = await openKernel(undefined, options);
    return { opened, refused: unpackingRefused(opened.kernel, file, error) };
  }
  const opened = await openKernel(moduleHead(bytes, file), options);
  const { kernel } = opened;
  const sizes = new Map<number, number>();
  const steps = loadModule(kernel, bytes);
  try {
    for (;;) {
      const next = steps.next();
      if (next.done) throw new Error('the load ended before its layout');
      const { step, load } = next.value;
      if (step === 'early_mod_check') for (const s of load.info.sections) sizes.set(s.index, s.sh_size);
      if (step === 'percpu_modalloc') return laidOut(file, opened, load, sizes);
    }
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    // Once more in a kernel that has seen nothing of it: this time for the report.
    const again = await openKernel(moduleHead(bytes, file), options);
    return { opened: again, refused: attempt(again.kernel, file, bytes) };
  }
}

function laidOut(
  file: string,
  opened: OpenKernel,
  { module: m }: Loading,
  sizes: ReadonlyMap<number, number>,
): LaidOut {
  const module = m!;
  const { arch } = opened.kernel;
  const tables = module.sections.filter((s) => (s.sh_flags & SHF_ALLOC) !== 0 && s.sh_size !== sizes.get(s.index));
  const heads = new Map(
    placedRegions(module).flatMap(({ region }) => {
      const size = region === 'percpu' ? 0 : (arch.regionHead?.(module, region) ?? 0);
      return size > 0 ? [[region, size] as const] : [];
    }),
  );
  return { file, opened, module, tables, heads };
}

/** What arch_mod_section_prepend() reserves in front of sections (parisc's stubs). */
function stubsOf(
  { kernel }: OpenKernel,
  m: Module,
): { readonly section: string; readonly index: number; readonly size: number }[] {
  return m.sections.flatMap(({ name, index }) => {
    const size = m.placement[index] === undefined ? 0 : (kernel.arch.sectionPrepend?.(m, index) ?? 0);
    return size > 0 ? [{ section: name, index, size }] : [];
  });
}

/** The table in a section, where its architecture counted what it may need at most. */
function entriesOf(s: Section): Slots | undefined {
  const slots = slotsOf(s);
  return slots !== undefined && slots.max > 0 && Number.isFinite(slots.max) ? slots : undefined;
}

function entriesText(s: Section): string {
  const slots = entriesOf(s);
  return slots === undefined ? '' : ` (${count(slots.max, 'entry', 'entries')} of ${slots.entrySize} at most)`;
}

const flagsOf = (s: Section): string =>
  `${(s.sh_flags & SHF_ALLOC) === 0 ? '' : 'A'}${(s.sh_flags & SHF_WRITE) === 0 ? '' : 'W'}${(s.sh_flags & SHF_EXECINSTR) === 0 ? '' : 'X'}`;

function mapLines({ file, opened, module: m, tables, heads }: LaidOut, io: Io): void {
  const { kernel } = opened;
  io.print(io.paint('bold', m.name) + io.paint('dim', ` (${file}) on ${kernel.arch.name} ${kernel.version}`));
  for (const note of opened.notes) io.complain(`${io.paintError('yellow', 'note:')} ${note}`);
  const sections = placedSections(m);
  const wide = Math.min(Math.max(...sections.map(({ name }) => name.length), 8), 40);
  for (const { region, base, size } of placedRegions(m)) {
    const address = base.toString(16).padStart(m.format.is64 ? 16 : 8, '0');
    io.print(io.paint('cyan', `${region.padEnd(wide + 2)} 0x${address} ${hex(size).padStart(9)}`));
    const head = heads.get(region);
    if (head !== undefined) io.print(`  ${'(PLT and GOT)'.padEnd(wide)} ${'+0x0'.padEnd(18)} ${hex(head).padStart(9)}`);
    const inside = sections.filter((s) => s.region === region).map((s) => ({ ...s, offset: offsetOf(m, s.index) }));
    for (const s of inside.toSorted((a, b) => a.offset - b.offset || a.index - b.index)) {
      const made = tables.some(({ index }) => index === s.index) ? '  sized by the loader' : '';
      io.print(
        `  ${s.name.padEnd(wide)} ${`+${hex(s.offset)}`.padEnd(18)} ${hex(s.size).padStart(9)}  ${flagsOf(m.sections[s.index]!)}${made}`,
      );
    }
  }
  const slots = tables.filter((s) => s.sh_size > 0).map((s) => `${s.name} ${s.sh_size} bytes${entriesText(s)}`);
  for (const { section, size } of stubsOf(opened, m)) slots.push(`${size} bytes in front of ${section}`);
  for (const [region, size] of heads) slots.push(`${size} bytes in front of ${region}`);
  io.print(`  PLT, GOT and trampolines: ${slots.length === 0 ? 'none needed' : slots.join(', ')}`);
}

const offsetOf = (m: Module, index: number): number => m.placement[index]?.offset ?? 0;

function mapJson({ file, opened, module: m, tables, heads }: LaidOut): object {
  return {
    file,
    module: m.name,
    kernel: kernelJson(opened.kernel),
    size: m.size,
    regions: placedRegions(m).map(({ region, base, size }) => ({ region, base, size, head: heads.get(region) ?? 0 })),
    sections: placedSections(m).map((s) => {
      const { sh_addralign } = m.sections[s.index]!;
      return { ...s, offset: offsetOf(m, s.index), align: sh_addralign, flags: flagsOf(m.sections[s.index]!) };
    }),
    tables: tables.map((s) => {
      const slots = entriesOf(s);
      return {
        section: s.name,
        index: s.index,
        size: s.sh_size,
        entries: slots?.max ?? null,
        entrySize: slots?.entrySize ?? null,
      };
    }),
    stubs: stubsOf(opened, m),
    notes: opened.notes,
  };
}
