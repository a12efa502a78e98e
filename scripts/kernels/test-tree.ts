/** What `npm run test:kernels` asserts of one tree. */

import { stat } from 'node:fs/promises';
import { moduleName } from '../../loader/depend-files.ts';
import type { LoadError } from '../../loader/errors.ts';
import type { Loading } from '../../loader/loading.ts';
import type { Module } from '../../loader/module.ts';
import { relocationSections } from '../../loader/relocate.ts';
import { notLinkable } from '../../oracle/causes.ts';
import { type Comparison, compareWithLld } from '../../oracle/compare.ts';
import { SHT_RELA } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import { rowFor } from '../../relocs/rules.ts';
import type { DebianKernel } from '../debian/manifest.ts';
import { loadTree, NoArch, openTree, type Tree, type TreeModule } from './tree.ts';

/** What is printed, and how many assertions held. */
export interface Report {
  readonly lines: readonly string[];
  readonly passed: number;
  readonly failed: number;
  /** Why nothing was tested. */
  readonly skipped: string | undefined;
}

/** Loads and compares one tree. `sample`: modules to compare with ld.lld. */
export async function testTree(debian: DebianKernel, sample: number, lld: string | undefined): Promise<Report> {
  try {
    return await new TreeTest(await openTree(debian), lld).run(sample);
  } catch (error) {
    if (!(error instanceof NoArch)) throw error;
    return { lines: [`${debian.name}: ${debian.version}`], passed: 0, failed: 0, skipped: error.message };
  }
}

class TreeTest {
  private readonly tree: Tree;
  private readonly lld: string | undefined;
  private readonly lines: string[] = [];
  private passed = 0;
  private failed = 0;

  private readonly refusals: string[] = [];
  private readonly wrongDependencies: string[] = [];
  private readonly relocationsByType = new Map<number, number>();
  private readonly types = new Set<number>();
  private symbols = 0;
  private references = 0;
  private crcs = 0;
  private loaded = 0;

  private compared = 0;
  private comparedBytes = 0;
  private comparedRelocations = 0;
  private readonly causes = new Map<string, number>();
  private readonly unexplained: string[] = [];
  private displacementSeen: boolean | undefined;
  private lldSeconds = 0;

  constructor(tree: Tree, lld: string | undefined) {
    this.tree = tree;
    this.lld = notLinkable[tree.arch.name] === undefined ? lld : undefined;
  }

  async run(size: number): Promise<Report> {
    const { debian, arch, kernel, modules } = this.tree;
    this.lines.push(
      `${debian.name}: ${debian.version} (${arch.name}, profile ${kernel.version}), ${modules.size} modules`,
    );
    const sample = this.lld === undefined ? new Set<string>() : await sampleOf([...modules.values()], size);
    const begin = performance.now();
    const full = await loadTree(this.tree, {
      wantsFile: ({ name }) => sample.has(name),
      resolved: (_, symbol) => {
        this.references++;
        // Whoever gets here has been through check_version().
        if (symbol.crc !== undefined && kernel.switch('MODVERSIONS')) this.crcs++;
      },
      step: ({ step, load, unwinding }, module, file) => {
        if (unwinding || step !== 'apply_relocations' || load.module === undefined) return undefined;
        this.count(load, load.module);
        return sample.has(module.name) ? this.compare(load, file) : undefined;
      },
      loaded: (loaded, module) => {
        this.loaded++;
        this.checkDependencies(loaded, module);
      },
      failed: (error, { name }) => this.refusals.push(`${name}: ${inWords(error)}`),
    });
    const seconds = (performance.now() - begin) / 1000 - this.lldSeconds;
    const relocations = [...this.relocationsByType.values()].reduce((a, b) => a + b, 0);

    this.assert(
      `${this.loaded} of ${debian.modules} modules loaded in ${seconds.toFixed(1)} s, ${n(relocations)} relocations`,
      this.loaded === debian.modules && this.refusals.length === 0,
      this.refusals,
    );
    if (full > 0) this.lines.push(`  the module area was full ${full} times and was emptied`);
    this.assert(
      `${this.types.size} relocation types, each known: ${this.typesInWords()}`,
      [...this.types].every((type) => this.rowName(type) !== undefined),
      [...this.types].filter((type) => this.rowName(type) === undefined).map((type) => `type ${type} has no row`),
    );
    this.assert(
      `${n(this.references)} undefined references resolved, ${n(this.crcs)} with a CRC that matched; ${n(this.symbols)} symbol table entries`,
      this.references > 0 && (!kernel.switch('MODVERSIONS') || this.crcs === this.references),
    );
    this.assert(
      'modules use exactly what depmod says they depend on',
      this.wrongDependencies.length === 0,
      this.wrongDependencies,
    );
    const wrongExports = this.wrongExports();
    this.assert('modules export exactly what Module.symvers lists', wrongExports.length === 0, wrongExports);
    if (sample.size > 0) this.assertCompared(sample.size);
    const why = notLinkable[arch.name];
    if (why !== undefined) this.lines.push(`  not compared with ld.lld: ${why}`);
    this.lines.push(`  peak RSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`);
    return { lines: this.lines, passed: this.passed, failed: this.failed, skipped: undefined };
  }

  private assertCompared(size: number): void {
    this.assert(
      `${this.compared} modules equal to ld.lld's in every byte, or for a cause: ${n(this.comparedRelocations)} relocations, ` +
        `${(this.comparedBytes / 1e6).toFixed(1)} MB, ${this.lldSeconds.toFixed(1)} s`,
      this.compared === size && this.unexplained.length === 0,
      this.unexplained,
    );
    for (const [cause, count] of this.causes) this.lines.push(`      ${n(count)} × ${cause}`);
    this.assert('the comparison notices one symbol displaced by 16 bytes', this.displacementSeen === true);
  }

  private assert(what: string, holds: boolean, otherwise: readonly string[] = []): void {
    if (holds) this.passed++;
    else this.failed++;
    this.lines.push(`  ${holds ? 'ok    ' : 'FAILED'} ${what}`);
    if (holds) return;
    for (const line of otherwise.slice(0, 20)) this.lines.push(`         ${line}`);
    if (otherwise.length > 20) this.lines.push(`         … and ${otherwise.length - 20} more`);
  }

  /** Relocations, their types and symbols of a module that has been relocated. */
  private count(load: Loading, m: Module): void {
    const { rules } = m.kernel.arch;
    this.symbols += m.symtab?.count ?? 0;
    for (const s of relocationSections(m, load.info.index.pcpu)) {
      const entries = new Entries(m.format, s.sh_type === SHT_RELA, s.bytes.subarray(0, s.sh_size));
      for (let i = 0; i < entries.count; i++) {
        const type = rules.info.type(entries.r_info(i), m.format);
        this.types.add(type);
        this.relocationsByType.set(type, (this.relocationsByType.get(type) ?? 0) + 1);
      }
    }
  }

  private rowName(type: number): string | undefined {
    const { arch, version, config } = this.tree.kernel;
    return rowFor(arch.rules, type, version, config)?.name;
  }

  private typesInWords(): string {
    return [...this.relocationsByType]
      .toSorted((a, b) => b[1] - a[1])
      .map(([type, count]) => `${this.rowName(type) ?? type} ${n(count)}`)
      .join(', ');
  }

  private async compare(load: Loading, file: Uint8Array): Promise<void> {
    const begin = performance.now();
    const lld = this.lld === undefined ? {} : { lld: this.lld };
    const found: Comparison = await compareWithLld(load, file, lld);
    this.compared++;
    this.comparedBytes += found.bytes;
    this.comparedRelocations += found.relocations;
    for (const [cause, count] of found.explained) this.causes.set(cause, (this.causes.get(cause) ?? 0) + count);
    for (const line of found.unexplained) this.unexplained.push(line);
    if (this.displacementSeen === undefined && found.relocations > 0) {
      const { unexplained } = await compareWithLld(load, file, { ...lld, displace: 16n });
      this.displacementSeen = unexplained.length > found.unexplained.length;
    }
    this.lldSeconds += (performance.now() - begin) / 1000;
  }

  /** depmod lists direct and indirect dependencies; the loader's references are the direct ones. */
  private checkDependencies(loaded: Module, { name, dependencies }: TreeModule): void {
    const used = new Set<string>();
    const visit = (m: Module): void => {
      for (const target of m.targets) {
        if (used.has(target.name)) continue;
        used.add(target.name);
        visit(target);
      }
    };
    visit(loaded);
    const missing = [...used].filter((other) => !dependencies.includes(other));
    const unused = dependencies.filter((other) => !used.has(other));
    if (missing.length > 0)
      this.wrongDependencies.push(`${name} uses ${missing.join(' ')}, which depmod does not list`);
    if (unused.length > 0) this.wrongDependencies.push(`${name} does not use ${unused.join(' ')}, which depmod lists`);
  }

  /** Names, CRCs, licences and namespaces of all exports of modules, against Module.symvers. */
  private wrongExports(): string[] {
    const wrong: string[] = [];
    const { kernel, symvers } = this.tree;
    const listed = new Set<string>();
    for (const row of symvers) {
      const owner = moduleName(row.owner);
      if (row.owner === 'vmlinux' || !this.tree.modules.has(owner)) continue;
      listed.add(`${owner} ${row.name}`);
      const ours = kernel.moduleExports.get(row.name)?.find((e) => e.owner?.name === owner);
      if (ours === undefined) wrong.push(`${owner} does not export ${row.name}`);
      else if (ours.crc !== row.crc) wrong.push(`${owner}: ${row.name} has CRC ${ours.crc}, listed is ${row.crc}`);
      else if (ours.gplonly !== row.gplonly)
        wrong.push(`${owner}: ${row.name} is ${ours.gplonly ? '' : 'not '}GPL-only`);
      else if (ours.namespace !== row.namespace)
        wrong.push(`${owner}: ${row.name} is in namespace '${ours.namespace}', listed is '${row.namespace}'`);
    }
    for (const [name, exports] of kernel.moduleExports) {
      for (const { owner } of exports)
        if (!listed.has(`${owner?.name} ${name}`)) wrong.push(`${owner?.name} exports ${name}, which is not listed`);
    }
    return wrong;
  }
}

/** The same modules each time: the biggest and the smallest tenth, the rest spread evenly over the folders. */
async function sampleOf(modules: readonly TreeModule[], size: number): Promise<Set<string>> {
  const sized = await Promise.all(modules.map(async (module) => ({ module, size: (await stat(module.path)).size })));
  const bySize = sized.toSorted((a, b) => b.size - a.size).map(({ module }) => module.name);
  const tenth = Math.floor(size / 10);
  const names = new Set([...bySize.slice(0, tenth), ...bySize.slice(bySize.length - tenth)]);
  const rest = modules.filter(({ name }) => !names.has(name)).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const wanted = Math.min(size - names.size, rest.length);
  for (let i = 0; i < wanted; i++) names.add(rest[Math.floor((i * rest.length) / wanted)]!.name);
  return names;
}

const inWords = (error: LoadError): string => `${error.errno} ${error.check} in ${error.step}: ${error.reason}`;

const n = (count: number): string => count.toLocaleString('en-US');
