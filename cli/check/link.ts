/**
 * The tree as a whole: who exports what, whether each import is met by an export that check_version(), the namespace and
 * the licence let through, who depends on whom. Works on the records of the threads, by numbers; loops over all of them
 * are in wasm/link.ts.
 */
import { moduleName } from '../../loader/depend-files.ts';
import type { Arena } from './arena.ts';
import {
  CLASH_WORDS,
  E_BITS,
  E_CRC,
  E_LISTED,
  E_LISTED_CRC,
  E_LISTED_NAMESPACE,
  E_NAMESPACE,
  E_OWNER,
  E_PROVIDER,
  KERNEL,
  LISTED,
  LISTED_CRC,
  LISTED_GPL,
  MODULE_0,
  NOBODY,
} from './export-rows.ts';
import type { Exporter } from './judge.ts';
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
  MEMORY,
  NAME,
  NAMESPACES,
  PLT,
  PROPRIETARY,
  RELOCATIONS,
  SOFTDEPS,
  UNREADABLE,
  WEAK,
} from './records.ts';

/** What is wrong with one import. */
export type ImportFault =
  | { readonly kind: 'missing'; readonly symbol: number }
  | {
      readonly kind: 'crc';
      readonly symbol: number;
      readonly provider: Provider;
      readonly wanted: number | undefined;
      readonly found: number;
    }
  | { readonly kind: 'namespace'; readonly symbol: number; readonly provider: Provider; readonly namespace: number }
  | { readonly kind: 'licence'; readonly symbol: number; readonly provider: Provider };

/** Who exports a name: a module's number, or the kernel. */
export type Provider = number | 'kernel';

/** An export by numbers: name, bits, CRC, namespace. */
export interface ExportRow {
  readonly name: number;
  readonly bits: number;
  readonly crc: number;
  readonly namespace: number;
}

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
  private readonly arena: Arena;
  private readonly options: LinkOptions;
  private readonly paths: readonly string[];
  /** Names by the paths of the files, for those that have not been read. */
  private readonly byPath: (number | undefined)[];
  private listed: Map<number, ExportRow[]> | undefined;

  /** The rows for Module.symvers are there from now on; see readSymvers(). */
  constructor(paths: readonly string[], arena: Arena, options: LinkOptions) {
    this.paths = paths;
    this.count = paths.length;
    this.byPath = Array.from({ length: paths.length });
    this.arena = arena;
    this.names = arena.names;
    this.options = options;
    arena.core.createLink(options.modversions);
  }

  /** A word of a module's record; 0 for one that there is none of. */
  field(i: number, word: number): number {
    return this.arena.core.field(i, word);
  }

  /** Whether a thread has told of it. */
  seen(i: number): boolean {
    return this.arena.core.recordOf(i) !== 0;
  }

  has(i: number): boolean {
    return this.seen(i) && (this.field(i, FLAGS) & UNREADABLE) === 0;
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

  isJudged(i: number): boolean {
    return (this.field(i, FLAGS) & JUDGED) !== 0;
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

  /** Modules with something else in a word: the vermagic, the size of struct module, e_flags. */
  others(word: number, value: number): number[] {
    const { core } = this.arena;
    const others: number[] = [];
    for (let i = core.nextOther(word, value, 0); i >= 0; i = core.nextOther(word, value, i + 1)) others.push(i);
    return others;
  }

  /** Words of a record, from `skip` words behind its head. */
  private part(i: number, skip: number, words: number): Int32Array {
    const part = new Int32Array(words);
    const from = this.arena.core.recordOf(i) + (HEAD + skip) * 4;
    for (let k = 0; k < words; k++) part[k] = this.arena.word(from + k * 4);
    return part;
  }

  private imports(i: number): Int32Array {
    return this.part(i, 0, this.field(i, IMPORTS) * IMPORT_WORDS);
  }

  softdeps(i: number): string[] {
    const count = this.field(i, SOFTDEPS);
    if (count === 0) return [];
    const ids = this.part(i, this.field(i, IMPORTS) * IMPORT_WORDS + this.field(i, NAMESPACES), count);
    return Array.from(ids, (id) => this.names.name(id));
  }

  /** What a module exports; for one whose tables were not read, what Module.symvers lists. */
  exports(i: number): readonly ExportRow[] {
    const { arena } = this;
    const all: ExportRow[] = [];
    const count = this.field(i, EXPORTS);
    for (let k = 0, at = arena.core.exportsOf(i); k < count; k++, at += EXPORT_WORDS * 4) {
      const name = arena.word(at);
      if (name > 0)
        all.push({ name, bits: arena.word(at + 4), crc: arena.word(at + 8), namespace: arena.word(at + 12) });
    }
    return all.length > 0 ? all : (this.listedBy().get(this.nameId(i)) ?? []);
  }

  private row(id: number, word: number): number {
    return this.arena.word(this.arena.core.rowOf(id) + word);
  }

  private listedBy(): ReadonlyMap<number, ExportRow[]> {
    if (this.listed !== undefined) return this.listed;
    const listed = new Map<number, ExportRow[]>();
    for (let id = 0; id < this.names.count; id++) {
      const flags = this.row(id, E_LISTED);
      const owner = this.row(id, E_OWNER);
      if (flags === 0 || owner === 0) continue;
      const bits = ((flags & LISTED_GPL) === 0 ? 0 : GPL_ONLY) | ((flags & LISTED_CRC) === 0 ? 0 : HAS_CRC);
      const row = { name: id, bits, crc: this.row(id, E_LISTED_CRC), namespace: this.row(id, E_LISTED_NAMESPACE) };
      const all = listed.get(owner);
      if (all === undefined) listed.set(owner, [row]);
      else all.push(row);
    }
    this.listed = listed;
    return listed;
  }

  /**
   * Enters all exports. Of two modules with one export the one that Module.symvers names has it, else the first by path.
   * Gives, by module, what it exports that somebody else does already.
   */
  provide(without: ReadonlySet<number>): Map<number, { readonly symbol: number; readonly owner: Provider }[]> {
    const { core } = this.arena;
    core.provideKernel();
    for (let i = 0; i < this.count; i++) {
      if (without.has(i) || core.provide(i) !== 0) continue;
      for (const { name, bits, crc, namespace } of this.exports(i)) core.enter(i, name, bits, crc, namespace);
    }
    return this.settle();
  }

  /** Says who has what more than one exports. */
  private settle(): Map<number, { readonly symbol: number; readonly owner: Provider }[]> {
    const { arena } = this;
    const duplicates = new Map<number, { symbol: number; owner: Provider }[]>();
    const clash = (i: number, symbol: number, owner: Provider): void => {
      const all = duplicates.get(i);
      if (all === undefined) duplicates.set(i, [{ symbol, owner }]);
      else all.push({ symbol, owner });
    };
    const from = arena.core.found.value as number;
    const end = from + arena.core.foundWords() * 4;
    for (let at = from; at < end; at += CLASH_WORDS * 4) {
      const [i, id] = [arena.word(at), arena.word(at + 4)];
      const before = this.providerOf(id);
      if (before === undefined || before === i) continue;
      const isMine =
        before !== 'kernel' &&
        (this.row(id, E_LISTED) & LISTED) !== 0 &&
        this.row(id, E_OWNER) === this.nameId(i) &&
        this.row(id, E_OWNER) !== this.nameId(before);
      if (!isMine) clash(i, id, before);
      else {
        clash(before, id, i);
        arena.core.assign(i, id, arena.word(at + 8), arena.word(at + 12), arena.word(at + 16));
      }
    }
    return duplicates;
  }

  /** Who exports a name; undefined: nobody. */
  providerOf(id: number): Provider | undefined {
    const who = this.row(id, E_PROVIDER);
    return who === NOBODY ? undefined : who === KERNEL ? 'kernel' : who - MODULE_0;
  }

  /** The module that Module.symvers names as the exporter. */
  listedOwner(id: number): string | undefined {
    const owner = this.row(id, E_OWNER);
    return (this.row(id, E_LISTED) & LISTED) !== 0 && owner !== 0 ? this.names.name(owner) : undefined;
  }

  /** Whether a module is proven and every import of it is met. */
  linked(i: number): boolean {
    const answer = this.arena.core.linked(i);
    return answer === 1 || (answer === 2 && this.faults(i).length === 0);
  }

  private mayUse(i: number, namespace: number): boolean {
    const { names, options } = this;
    if (options.allowMissingNamespaces || this.arena.core.imports(i, namespace) !== 0) return true;
    return options.inModuleNamespace?.(names.name(namespace), this.name(i)) === true;
  }

  /** Every import that is not met, for the report. */
  faults(i: number): ImportFault[] {
    const { options } = this;
    const all: ImportFault[] = [];
    const proprietary = this.isProprietary(i);
    const imports = this.imports(i);
    for (let p = 0; p < imports.length; p += IMPORT_WORDS) {
      const symbol = imports[p]!;
      const provider = this.providerOf(symbol);
      const bits = imports[p + 1]!;
      if (provider === undefined) {
        if ((bits & WEAK) === 0) all.push({ kind: 'missing', symbol });
        continue;
      }
      const exported = this.row(symbol, E_BITS);
      if (proprietary && (exported & GPL_ONLY) !== 0) {
        all.push({ kind: 'licence', symbol, provider });
        continue;
      }
      const isKnown = (bits & HAS_CRC) !== 0;
      const crc = this.row(symbol, E_CRC);
      const hasCrc = options.modversions && (exported & HAS_CRC) !== 0;
      if (hasCrc && (isKnown ? imports[p + 2] !== crc : options.strictVersions)) {
        const wanted = isKnown ? imports[p + 2]! >>> 0 : undefined;
        all.push({ kind: 'crc', symbol, provider, wanted, found: crc >>> 0 });
        continue;
      }
      const namespace = this.row(symbol, E_NAMESPACE);
      if (namespace === 0 || this.mayUse(i, namespace)) continue;
      all.push({ kind: 'namespace', symbol, provider, namespace });
    }
    return all;
  }

  /** The first module from `i` on that is not linked(), or of which that is not sure; -1 where all are. */
  nextLoose(i: number): number {
    return this.arena.core.nextLoose(i);
  }

  /** Whether all modules that could be read have names, and different ones. */
  get namesDiffer(): boolean {
    return this.arena.core.namesDiffer() !== 0;
  }

  /** Notes who uses whom, as exports are now; says whether there is a circle in it. */
  linkModules(): boolean {
    return this.arena.core.linkModules() === 0;
  }

  /** What was noted: modules that a module uses, in the order in which its symbols first name them; absent weak ones are none. */
  uses(i: number): number[] {
    const { arena } = this;
    const at = arena.core.usesOf(i);
    return Array.from({ length: arena.core.useCount(i) }, (_, n) => arena.word(at + n * 4));
  }

  /** Symbols that `i` takes from `other`. */
  symbolsFrom(i: number, other: number): number[] {
    const all: number[] = [];
    const imports = this.imports(i);
    for (let p = 0; p < imports.length; p += IMPORT_WORDS)
      if (this.providerOf(imports[p]!) === other) all.push(imports[p]!);
    return all;
  }

  /** Names of all exports, for those who look for one that is like another. */
  *exportedNames(): Generator<string> {
    for (let id = 1; id < this.names.count; id++) if (this.providerOf(id) !== undefined) yield this.names.name(id);
  }

  /** Names that a module imports. */
  importNames(i: number): string[] {
    const all: string[] = [];
    const imports = this.imports(i);
    for (let p = 0; p < imports.length; p += IMPORT_WORDS) all.push(this.names.name(imports[p]!));
    return all;
  }

  /** What the modules export, for insmod: of those that are not left out, what nobody else has. */
  exporters(without: ReadonlySet<number>): Exporter[] {
    const all: Exporter[] = [];
    for (let i = 0; i < this.count; i++) {
      const exports = without.has(i) ? [] : this.exports(i).filter(({ name }) => this.providerOf(name) === i);
      if (exports.length === 0) continue;
      all.push({
        name: this.name(i),
        proprietary: this.isProprietary(i),
        exports: exports.map(({ name, bits, crc, namespace }) => ({
          name: this.names.name(name),
          crc: (bits & HAS_CRC) === 0 ? undefined : crc >>> 0,
          gplonly: (bits & GPL_ONLY) !== 0,
          namespace: this.names.name(namespace),
        })),
      });
    }
    return all;
  }

  /** Forgets exports that the kernel does not find, as in a table out of order; says whether there were any. */
  keepExports(i: number, names: readonly string[]): boolean {
    const { arena } = this;
    const found = new Set(names.map((name) => this.names.of(name)));
    const count = this.field(i, EXPORTS);
    let hidden = false;
    for (let k = 0, at = arena.core.exportsOf(i); k < count; k++, at += EXPORT_WORDS * 4) {
      if (arena.word(at) <= 0 || found.has(arena.word(at))) continue;
      arena.setWord(at, -1);
      hidden = true;
    }
    return hidden;
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
      const who = this.providerOf(id);
      if (who === undefined) continue;
      const bits = this.row(id, E_BITS);
      yield {
        name: this.names.name(id),
        owner: who === 'kernel' ? 'vmlinux' : this.name(who),
        crc: (bits & HAS_CRC) === 0 ? undefined : this.row(id, E_CRC) >>> 0,
        gplonly: (bits & GPL_ONLY) !== 0,
        namespace: this.names.name(this.row(id, E_NAMESPACE)),
      };
    }
  }
}
