/**
 * insmod as the judge of one module of a tree: in a kernel where everything that other modules export is there, with
 * the module at one end of the module area, as far from the kernel as it gets, and the others at the other end.
 */
import { readFileSync } from 'node:fs';
import { type Arch, arches, type ModuleArea } from '../../arch/index.ts';
import { LoadError } from '../../loader/errors.ts';
import { moduleName } from '../../loader/depend-files.ts';
import { type KernelExport, parseSymvers } from '../../loader/exports.ts';
import { freeModule } from '../../loader/init.ts';
import { Kernel, type ResolvedExport, type Vendor } from '../../loader/kernel.ts';
import { loadModule } from '../../loader/load.ts';
import type { Loading } from '../../loader/loading.ts';
import type { Module } from '../../loader/module.ts';
import { standIn } from '../../loader/stand-in.ts';
import { slotsOf } from '../../relocs/slots.ts';
import type { Config, Version } from '../../relocs/module-view.ts';
import type { JudgeTables } from './work.ts';

export interface JudgeSetup {
  readonly arch: string;
  readonly order: 'little' | 'big';
  readonly version: Version;
  readonly vendor: Vendor;
  readonly config: Config | undefined;
  readonly vermagic: string;
  readonly structModuleSize: number;
}

/** What a module exports, and whether its licence is one that GPL-only symbols keep away from. */
export interface Exporter {
  readonly name: string;
  readonly proprietary: boolean;
  readonly exports: readonly Omit<KernelExport, 'owner' | 'value'>[];
}

/** What insmod says of a module. */
export interface Verdict {
  readonly errno: string;
  readonly check: string;
  readonly log: readonly string[];
  readonly reason: string;
  /** True where the kernel would crash. */
  readonly crash: boolean;
}

export interface Accepted {
  readonly exports: readonly ResolvedExport[];
  readonly resolved: ReadonlySet<string>;
  readonly relocations: number;
  /** PLT and GOT entries that were taken. */
  readonly slots: number;
}

/** Room for one module at the end of an area. */
const SPAN = 0x1000_0000n;

export class Judge {
  private readonly kernel: Kernel;
  private readonly others: bigint;
  private standIns = new Map<string, Module>();

  constructor(setup: JudgeSetup, exports: Iterable<KernelExport>) {
    const found = arches.find(({ name }) => name === setup.arch)!;
    const { arch, others } = worstPlaced(found, setup);
    this.others = others;
    const { order, version, vendor, config, vermagic, structModuleSize } = setup;
    this.kernel = new Kernel({
      arch,
      order,
      version,
      vendor,
      vermagic,
      structModuleSize,
      exports,
      retainMemory: false,
      ...(config === undefined ? {} : { config }),
    });
  }

  /** The modules that are LIVE from now on. */
  assume(exporters: Iterable<Exporter>): void {
    const { kernel } = this;
    for (const m of this.standIns.values()) freeModule(m);
    this.standIns = new Map();
    let at = this.others;
    for (const { name, proprietary, exports } of exporters) {
      const all = exports.map((e) => ({ ...e, value: (at = BigInt.asUintN(64, at + 16n)) }));
      this.standIns.set(name, standIn(kernel, name, all, proprietary));
    }
  }

  /** Loads and unloads; `file` is spoilt. `name`: of the module that stands in for it meanwhile. */
  judge(name: string, file: Uint8Array): Verdict | Accepted {
    const { kernel } = this;
    const own = this.standIns.get(name);
    const ownExports = own?.exports ?? [];
    if (own !== undefined) freeModule(own);
    kernel.log.length = 0;
    kernel.taints.clear();
    const resolved = new Set<string>();
    let load: Loading | undefined;
    try {
      if (file.length === 0)
        return { errno: 'EINVAL', check: 'C07', log: [], reason: 'the file is empty', crash: false };
      const steps = loadModule(kernel, file, { inPlace: true, onResolved: (symbol) => resolved.add(symbol) });
      let next = steps.next();
      for (; !next.done; next = steps.next()) ({ load } = next.value);
      const m = next.value;
      const accepted = { exports: m.exports, resolved, relocations: load?.relocations ?? 0, slots: slotsTaken(m) };
      freeModule(m);
      return accepted;
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      const { errno, check, log, reason, crash } = error;
      return { errno, check, log: log.length > 0 ? log : [...kernel.log], reason, crash: crash !== undefined };
    } finally {
      if (own !== undefined)
        this.standIns.set(name, standIn(kernel, name, ownExports, own.taints.has('PROPRIETARY_MODULE')));
    }
  }
}

const slotsTaken = (m: Module): number => m.sections.reduce((sum, s) => sum + (slotsOf(s)?.used ?? 0), 0);

/** The architecture with a module area of one end, the one that is farther from the kernel, and an address at the other. */
function worstPlaced(arch: Arch, { version, config }: JudgeSetup): { arch: Arch; others: bigint } {
  const area = arch.moduleArea(version, config ?? {});
  const kernel = area.kernel ?? area.text[0];
  const ranges = area.fallback === undefined ? [area.text] : [area.text, area.fallback];
  const lowest = ranges.reduce((a, [start]) => (start < a ? start : a), area.text[0]);
  const highest = ranges.reduce((a, [, end]) => (end > a ? end : a), area.text[1]);
  const whole = highest - lowest;
  // Others at the other end must be out of reach; of a small area a large module needs half.
  const span = whole >= 4n * SPAN ? SPAN : whole >= SPAN ? whole / 4n : whole / 2n;
  const below = kernel - lowest > highest - kernel;
  const text: ModuleArea['text'] = below ? [lowest, lowest + span] : [highest - span, highest];
  const others = below ? highest - (span < 0x100_0000n ? span : 0x100_0000n) : lowest;
  const moduleArea: Arch['moduleArea'] = (v, c) => {
    const { fallback: _, ...rest } = arch.moduleArea(v, c);
    return { ...rest, kernel, text };
  };
  return { arch: { ...arch, moduleArea }, others };
}

/** The judge of a tree; what other modules export is given, or what Module.symvers lists. */
export function openJudge({ setup, symvers, exporters }: JudgeTables): Judge {
  const rows = parseSymvers(readFileSync(symvers));
  const judge = new Judge(
    setup,
    rows.filter(({ owner }) => owner === 'vmlinux'),
  );
  if (exporters !== undefined) {
    judge.assume(exporters);
    return judge;
  }
  const byOwner = new Map<string, Exporter & { readonly exports: KernelExport[] }>();
  for (const row of rows) {
    if (row.owner === 'vmlinux') continue;
    const name = moduleName(row.owner);
    const known = byOwner.get(name);
    if (known === undefined) byOwner.set(name, { name, proprietary: false, exports: [row] });
    else known.exports.push(row);
  }
  judge.assume(byOwner.values());
  return judge;
}
