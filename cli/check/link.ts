/**
 * The tree as a whole: who exports what, whether each import is met by an export that check_version(), the namespace and
 * the licence let through, who depends on whom. Works on the records of the threads, by numbers.
 */
import { moduleName } from '../../loader/depend-files.ts';
import type { Names } from './names.ts';
import {
  DOUBT,
  EXPORT_WORDS,
  EXPORTS,
  FLAGS,
  GPL_ONLY,
  HAS_CRC,
  HEAD,
  IMPORT_WORDS,
  IMPORTS,
  JUDGED,
  LENGTH,
  MEMORY,
  MODULE,
  NAME,
  NAMESPACES,
  PLT,
  PROPRIETARY,
  RELOCATIONS,
  SOFTDEPS,
  UNREADABLE,
  WEAK,
} from './records.ts';
import { LISTED, LISTED_CRC, LISTED_GPL, type Symvers } from './symvers.ts';

/** Who exports a name. */
const NOBODY = -2,
  KERNEL = -1;

/** What is wrong with one import. */
export type ImportFault =
  | { readonly kind: 'missing'; readonly symbol: number }
  | {
      readonly kind: 'crc';
      readonly symbol: number;
      readonly provider: number;
      readonly wanted: number | undefined;
      readonly found: number;
    }
  | { readonly kind: 'namespace'; readonly symbol: number; readonly provider: number; readonly namespace: number }
  | { readonly kind: 'licence'; readonly symbol: number; readonly provider: number };

export interface LinkOptions {
  readonly modversions: boolean;
  /** A symbol that `__versions` does not list is refused (Debian). */
  readonly strictVersions: boolean;
  readonly allowMissingNamespaces: boolean;
  /** 7.2: a namespace that names its modules itself. */
  readonly inModuleNamespace: ((namespace: string, module: string) => boolean) | undefined;
}

export class Link {
  readonly count: number;
  readonly names: Names;
  private readonly symvers: Symvers;
  private readonly options: LinkOptions;
  private readonly chunk: (Int32Array | undefined)[];
  private readonly at: Int32Array;
  /** By name: number of the module, KERNEL or NOBODY; and what is known of the export. */
  private readonly provider: Int32Array;
  private readonly crc: Int32Array;
  private readonly flags: Uint8Array;
  private readonly namespace: Int32Array;

  /** Names by the paths of the files, for those that have not been read. */
  private readonly byPath: (number | undefined)[];
  private readonly paths: readonly string[];

  constructor(paths: readonly string[], names: Names, symvers: Symvers, options: LinkOptions) {
    const count = paths.length;
    this.paths = paths;
    this.byPath = Array.from({ length: count });
    this.count = count;
    this.names = names;
    this.symvers = symvers;
    this.options = options;
    this.chunk = Array.from({ length: count });
    this.at = new Int32Array(count);
    const { ids } = names.shared;
    this.provider = new Int32Array(ids);
    this.crc = new Int32Array(ids);
    this.flags = new Uint8Array(ids);
    this.namespace = new Int32Array(ids);
  }

  /** Takes over what a thread has found. */
  ingest(records: Int32Array): void {
    for (let at = 0; at < records.length; at += records[at + LENGTH]!) {
      const i = records[at + MODULE]!;
      this.chunk[i] = records;
      this.at[i] = at;
    }
  }

  /** A word of a module's record; 0 for one that there is none of. */
  field(i: number, word: number): number {
    return this.chunk[i]?.[this.at[i]! + word] ?? 0;
  }

  has(i: number): boolean {
    return this.chunk[i] !== undefined && (this.field(i, FLAGS) & UNREADABLE) === 0;
  }

  /** Whether a thread has told of it. */
  seen(i: number): boolean {
    return this.chunk[i] !== undefined;
  }

  /** struct module.name, or by the path what it should be. */
  nameId(i: number): number {
    return this.field(i, NAME) || (this.byPath[i] ??= this.names.of(moduleName(this.paths[i]!)));
  }

  name(i: number): string {
    return this.names.name(this.nameId(i));
  }

  doubted(i: number): boolean {
    return this.field(i, DOUBT) !== 0;
  }

  isProprietary(i: number): boolean {
    return (this.field(i, FLAGS) & PROPRIETARY) !== 0;
  }

  relocations(i: number): number {
    return this.field(i, RELOCATIONS);
  }

  memory(i: number): number {
    return this.field(i, MEMORY);
  }

  slots(i: number): number {
    return this.field(i, PLT);
  }

  /** What most modules have in a word: the vermagic, the size of struct module, e_flags. */
  most(word: number): number {
    const counts = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      if (!this.has(i)) continue;
      const value = this.field(i, word);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    let best = 0;
    let most = 0;
    for (const [value, n] of counts) if (n > most) [best, most] = [value, n];
    return best;
  }

  private part(
    i: number,
    skip: number,
    words: number,
  ): { readonly chunk: Int32Array; readonly from: number; readonly end: number } {
    const chunk = this.chunk[i] ?? new Int32Array(0);
    const from = this.at[i]! + HEAD + skip;
    return { chunk, from, end: from + words };
  }

  private imports(i: number): { readonly chunk: Int32Array; readonly from: number; readonly end: number } {
    return this.part(i, 0, this.field(i, IMPORTS) * IMPORT_WORDS);
  }

  private lists(i: number): { readonly chunk: Int32Array; readonly from: number; readonly end: number } {
    return this.part(i, this.field(i, IMPORTS) * IMPORT_WORDS, this.field(i, NAMESPACES) + this.field(i, SOFTDEPS));
  }

  private exportsPart(i: number): { readonly chunk: Int32Array; readonly from: number; readonly end: number } {
    const skip = this.field(i, IMPORTS) * IMPORT_WORDS + this.field(i, NAMESPACES) + this.field(i, SOFTDEPS);
    return this.part(i, skip, this.field(i, EXPORTS) * EXPORT_WORDS);
  }

  /** Names of the namespaces that a module imports. */
  private importsNamespace(i: number, namespace: number): boolean {
    const { chunk, from } = this.lists(i);
    for (let k = 0; k < this.field(i, NAMESPACES); k++) if (chunk[from + k] === namespace) return true;
    return false;
  }

  softdeps(i: number): string[] {
    const { chunk, from, end } = this.lists(i);
    return Array.from(chunk.subarray(from + this.field(i, NAMESPACES), end), (id) => this.names.name(id));
  }

  /** What a module exports: name, bits, CRC, namespace; for one whose tables were not read, what Module.symvers lists. */
  exports(
    i: number,
  ): { readonly name: number; readonly bits: number; readonly crc: number; readonly namespace: number }[] {
    const { chunk, from, end } = this.exportsPart(i);
    const all = [];
    for (let p = from; p < end; p += EXPORT_WORDS)
      if (chunk[p]! > 0)
        all.push({ name: chunk[p]!, bits: chunk[p + 1]!, crc: chunk[p + 2]!, namespace: chunk[p + 3]! });
    return all.length > 0 ? all : (this.listedBy().get(this.nameId(i)) ?? []);
  }

  private listed: Map<number, { name: number; bits: number; crc: number; namespace: number }[]> | undefined;

  private listedBy(): NonNullable<typeof this.listed> {
    if (this.listed !== undefined) return this.listed;
    const { flags, owner, crc, namespace } = this.symvers;
    const listed = new Map<number, { name: number; bits: number; crc: number; namespace: number }[]>();
    for (let id = 0; id < flags.length; id++) {
      if (flags[id] === 0 || owner[id] === 0) continue;
      const bits = ((flags[id]! & LISTED_GPL) === 0 ? 0 : GPL_ONLY) | ((flags[id]! & LISTED_CRC) === 0 ? 0 : HAS_CRC);
      const row = { name: id, bits, crc: crc[id]!, namespace: namespace[id]! };
      const all = listed.get(owner[id]!);
      if (all === undefined) listed.set(owner[id]!, [row]);
      else all.push(row);
    }
    this.listed = listed;
    return listed;
  }

  /**
   * Enters all exports. Of two modules with one export the one that Module.symvers names has it, else the first by path.
   * Gives, by module, what it exports that somebody else does already.
   */
  provide(without: ReadonlySet<number>): Map<number, { readonly symbol: number; readonly owner: number }[]> {
    const { provider, crc, flags, namespace, symvers } = this;
    const duplicates = new Map<number, { symbol: number; owner: number }[]>();
    const clash = (i: number, symbol: number, owner: number): void => {
      const all = duplicates.get(i);
      if (all === undefined) duplicates.set(i, [{ symbol, owner }]);
      else all.push({ symbol, owner });
    };
    for (let id = 0; id < provider.length; id++) {
      const isKernels = symvers.flags[id] !== 0 && symvers.owner[id] === 0;
      provider[id] = isKernels ? KERNEL : NOBODY;
      if (!isKernels) continue;
      const bits = symvers.flags[id]!;
      crc[id] = symvers.crc[id]!;
      flags[id] = ((bits & LISTED_GPL) === 0 ? 0 : GPL_ONLY) | ((bits & LISTED_CRC) === 0 ? 0 : HAS_CRC);
      namespace[id] = symvers.namespace[id]!;
    }
    for (let i = 0; i < this.count; i++) {
      if (without.has(i)) continue;
      const { chunk, from, end } = this.exportsPart(i);
      if (from === end && (!this.seen(i) || this.doubted(i)))
        for (const e of this.exports(i)) this.enter(i, e.name, e.bits, e.crc, e.namespace, clash);
      for (let p = from; p < end; p += EXPORT_WORDS)
        if (chunk[p]! > 0) this.enter(i, chunk[p]!, chunk[p + 1]!, chunk[p + 2]!, chunk[p + 3]!, clash);
    }
    return duplicates;
  }

  private enter(
    i: number,
    id: number,
    bits: number,
    crc: number,
    namespace: number,
    clash: (i: number, symbol: number, owner: number) => void,
  ): void {
    const { provider, symvers } = this;
    const before = provider[id]!;
    if (before === i) return;
    if (before !== NOBODY) {
      const isMine =
        before >= 0 &&
        (symvers.flags[id]! & LISTED) !== 0 &&
        symvers.owner[id] === this.nameId(i) &&
        symvers.owner[id] !== this.nameId(before);
      if (!isMine) return clash(i, id, before);
      clash(before, id, i);
    }
    provider[id] = i;
    this.crc[id] = crc;
    this.flags[id] = bits;
    this.namespace[id] = namespace;
  }

  /** Who exports a name: a module's number, or undefined; 'kernel'. */
  providerOf(id: number): number | 'kernel' | undefined {
    const p = this.provider[id]!;
    return p === NOBODY ? undefined : p === KERNEL ? 'kernel' : p;
  }

  /** The module that Module.symvers names as the exporter. */
  listedOwner(id: number): string | undefined {
    const { flags, owner } = this.symvers;
    return (flags[id]! & LISTED) !== 0 && owner[id] !== 0 ? this.names.name(owner[id]!) : undefined;
  }

  /** Whether every import of a module is met. */
  linked(i: number): boolean {
    const { chunk, from, end } = this.imports(i);
    const { provider, options, crc, flags, namespace } = this;
    const hasVersions = options.modversions;
    const proprietary = this.isProprietary(i);
    for (let p = from; p < end; p += IMPORT_WORDS) {
      const id = chunk[p]!;
      const who = provider[id]!;
      const bits = chunk[p + 1]!;
      if (who === NOBODY) {
        if ((bits & WEAK) === 0) return false;
        continue;
      }
      if (proprietary || (who >= 0 && this.isProprietary(who))) return false;
      if (hasVersions && (flags[id]! & HAS_CRC) !== 0 && ((bits & HAS_CRC) === 0 || chunk[p + 2] !== crc[id]))
        return false;
      if (namespace[id] !== 0 && !this.mayUse(i, namespace[id]!)) return false;
    }
    return true;
  }

  private mayUse(i: number, namespace: number): boolean {
    const { names, options } = this;
    if (options.allowMissingNamespaces || this.importsNamespace(i, namespace)) return true;
    return options.inModuleNamespace?.(names.name(namespace), this.name(i)) === true;
  }

  /** Every import that is not met, for the report. */
  faults(i: number): ImportFault[] {
    const { chunk, from, end } = this.imports(i);
    const { provider, options, crc, flags, namespace } = this;
    const all: ImportFault[] = [];
    const proprietary = this.isProprietary(i);
    for (let p = from; p < end; p += IMPORT_WORDS) {
      const symbol = chunk[p]!;
      const who = provider[symbol]!;
      const bits = chunk[p + 1]!;
      if (who === NOBODY) {
        if ((bits & WEAK) === 0) all.push({ kind: 'missing', symbol });
        continue;
      }
      if (proprietary && (flags[symbol]! & GPL_ONLY) !== 0) {
        all.push({ kind: 'licence', symbol, provider: who });
        continue;
      }
      const known = (bits & HAS_CRC) !== 0;
      if (
        options.modversions &&
        (flags[symbol]! & HAS_CRC) !== 0 &&
        (known ? chunk[p + 2] !== crc[symbol] : options.strictVersions)
      ) {
        all.push({
          kind: 'crc',
          symbol,
          provider: who,
          wanted: known ? chunk[p + 2]! >>> 0 : undefined,
          found: crc[symbol]! >>> 0,
        });
        continue;
      }
      const ns = namespace[symbol]!;
      if (ns === 0 || this.mayUse(i, ns)) continue;
      all.push({ kind: 'namespace', symbol, provider: who, namespace: ns });
    }
    return all;
  }

  /** Modules that a module uses, in the order in which its symbols first name them; absent weak ones are none. */
  dependencies(i: number): number[] {
    const { chunk, from, end } = this.imports(i);
    const all: number[] = [];
    for (let p = from; p < end; p += IMPORT_WORDS) {
      const who = this.provider[chunk[p]!]!;
      if (who >= 0 && who !== i && !all.includes(who)) all.push(who);
    }
    return all;
  }

  /** Symbols that `i` takes from `other`. */
  symbolsFrom(i: number, other: number): number[] {
    const { chunk, from, end } = this.imports(i);
    const all: number[] = [];
    for (let p = from; p < end; p += IMPORT_WORDS) if (this.provider[chunk[p]!] === other) all.push(chunk[p]!);
    return all;
  }

  /** Names of all exports, for those who look for one that is like another. */
  *exportedNames(): Generator<string> {
    for (let id = 1; id < this.names.count; id++) if (this.provider[id] !== NOBODY) yield this.names.name(id);
  }

  /** Names that a module imports. */
  importNames(i: number): string[] {
    const { chunk, from, end } = this.imports(i);
    const all: string[] = [];
    for (let p = from; p < end; p += IMPORT_WORDS) all.push(this.names.name(chunk[p]!));
    return all;
  }

  /** Every export of kernel and modules. */
  *allExports(): Generator<{
    name: string;
    owner: string;
    crc: number | undefined;
    gplonly: boolean;
    namespace: string;
  }> {
    for (let id = 1; id < this.names.count; id++) {
      const who = this.provider[id]!;
      if (who === NOBODY) continue;
      const bits = this.flags[id]!;
      yield {
        name: this.names.name(id),
        owner: who === KERNEL ? 'vmlinux' : this.name(who),
        crc: (bits & HAS_CRC) === 0 ? undefined : this.crc[id]! >>> 0,
        gplonly: (bits & GPL_ONLY) !== 0,
        namespace: this.names.name(this.namespace[id]!),
      };
    }
  }

  isJudged(i: number): boolean {
    return (this.field(i, FLAGS) & JUDGED) !== 0;
  }
}
