/** What the engine must know of an architecture: its rows, and how it words and orders its refusals. */
import { type RInfo, genericInfo } from './entries.ts';
import type { Howto, Row, Verdict } from './howto.ts';
import { type Config, compareVersions, type ModuleView, type Version } from './module-view.ts';
import type { Run, Site } from './site.ts';

export interface Rules {
  /** Rows by type number. Two rows of one number differ in `since`/`until` or `needs`. */
  readonly rows: ReadonlyMap<number, readonly Howto[]>;
  readonly info: RInfo;
  /** True where instructions are little-endian in this module whatever the data order is. */
  insnLittle(m: ModuleView): boolean;
  /** The line for a type that no row of this kernel handles; undefined: logged by the rule itself and passed over. */
  unknown(r: Site): Verdict | undefined;
  /** The line for a value that does not pass its row's check; none where no row checks. */
  overflow(r: Site, value: bigint): Verdict;
  /** True: the word is written before the check (what memory holds after a refusal differs). */
  writesFirst(version: Version): boolean;
  /** Looked at before the type (unresolved symbols of mips, riscv, loongarch, parisc; arm's bounds); 'skip' passes over. */
  before?(r: Site): 'skip' | undefined;
  /** 'errValues': `before` has nothing to say of symbols below the last 4095 addresses (IS_ERR_VALUE). */
  readonly beforeConcerns?: 'errValues';
  /** Called when bytes that are about to be written are not all zero (x86-64 refuses). */
  nonZeroPlace?(r: Site, value: bigint): void;
  /** Before the first entry of a section. */
  beginSection?(run: Run): void;
  /** After the last entry of a section (sums of riscv, HI16 queue of mips). */
  endSection?(run: Run): void;
}

type Required = 'unknown';

export interface RulesSpec extends Partial<Omit<Rules, 'rows' | 'writesFirst' | Required>>, Pick<Rules, Required> {
  /** Keyed by psABI name; several rows of one name in an array. */
  readonly relocs: Readonly<Record<string, Row | readonly Row[]>>;
  readonly writesFirst?: boolean | ((version: Version) => boolean);
}

/** Builds Rules: names the rows and fills in the defaults. Throws on a row whose number an unrelated row has taken. */
export function rules(spec: RulesSpec): Rules {
  const rows = new Map<number, Howto[]>();
  for (const [name, given] of Object.entries(spec.relocs)) {
    for (const row of (Array.isArray(given) ? given : [given]) as Row[]) {
      const at = rows.get(row.type) ?? [];
      if (at.some((other) => other.name !== name))
        throw new Error(`relocation type ${row.type} is both ${at[0]!.name} and ${name}`);
      at.push({ ...row, name });
      rows.set(row.type, at);
    }
  }
  const { writesFirst = false, relocs: _, ...hooks } = spec;
  return {
    info: genericInfo,
    insnLittle: (m) => m.format.little,
    overflow: (r) => ({
      errno: 'ENOEXEC',
      log: [],
      reason: `${r.where()} has a check, and its architecture no line for it`,
    }),
    ...hooks,
    rows,
    writesFirst: typeof writesFirst === 'function' ? writesFirst : () => writesFirst,
  };
}

/** Whether a kernel of this version and configuration has the row. */
export function rowApplies(row: Howto, version: string, config: Config): boolean {
  if (row.since !== undefined && compareVersions(version, row.since) < 0) return false;
  if (row.until !== undefined && compareVersions(version, row.until) >= 0) return false;
  return row.needs === undefined || row.needs.when(config);
}

/** The row for a type under a kernel, if it has one. */
export function rowFor(r: Rules, type: number, version: string, config: Config): Howto | undefined {
  return r.rows.get(type)?.find((row) => rowApplies(row, version, config));
}

/** Why the kernel has no row for `type`: what would accept it, if anything would. */
export function wouldAccept(r: Rules, type: number, version: string, config: Config): string {
  for (const row of r.rows.get(type) ?? []) {
    if (row.action === 'refuse') continue;
    if (row.since !== undefined && compareVersions(version, row.since) < 0)
      return `${row.name} is handled since ${row.since}`;
    if (row.until !== undefined && compareVersions(version, row.until) >= 0)
      return `${row.name} is no longer handled since ${row.until}`;
    if (row.needs !== undefined && !row.needs.when(config)) return `${row.name} needs ${row.needs.config}`;
  }
  return `no kernel handles type ${type} on this architecture`;
}
