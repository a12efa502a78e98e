/** Findings in words: what stops a module, which symbol, who nearly provides it. */
import { readFileSync } from 'node:fs';
import { moduleName } from '../../loader/depend-files.ts';
import { fileError } from '../file-error.ts';
import { closest } from '../suggest.ts';
import { causeOf, type Finding, type SymbolFault } from './findings.ts';
import type { Verdict } from './judge.ts';
import type { ImportFault, Link, Provider } from './link.ts';

/** Symbols for which one that is like them is looked for: it takes milliseconds. */
const MOST_LIKES = 100;

export class Teller {
  private readonly link: Link;
  private readonly paths: readonly string[];
  /** What has been found so far, by module; grows while this tells. */
  private readonly failed: ReadonlyMap<number, Finding>;
  /** System.map or kallsyms: what the kernel has, exported or not. */
  private readonly symbols: string | undefined;
  private builtIn: ReadonlySet<string> | undefined;
  private byName: ReadonlyMap<string, number> | undefined;
  private allNames: readonly string[] | undefined;
  private readonly likes = new Map<number, string>();
  private readonly exported = new Map<number, ReadonlySet<number>>();

  constructor(link: Link, paths: readonly string[], failed: ReadonlyMap<number, Finding>, symbols: string | undefined) {
    this.link = link;
    this.paths = paths;
    this.failed = failed;
    this.symbols = symbols;
  }

  /** What is said of a module that insmod refuses. */
  finding(
    i: number,
    verdict: Verdict,
    duplicates: ReadonlyMap<number, readonly { readonly symbol: number; readonly owner: Provider }[]>,
    circle: readonly number[] | undefined,
  ): Finding {
    const { link } = this;
    const { errno, log, reason, check, crash } = verdict;
    const faults = check === 'read' || !link.has(i) ? [] : link.faults(i);
    const symbols: SymbolFault[] = faults.map((fault) => this.describe(fault, i));
    for (const { symbol, owner } of duplicates.get(i) ?? []) {
      const provider = owner === 'kernel' ? 'vmlinux' : link.name(owner);
      symbols.push({
        symbol: link.names.name(symbol),
        kind: 'duplicate',
        provider,
        near: `${provider} exports it already`,
      });
    }
    const base = { module: link.name(i), path: this.paths[i]!, errno, log, check: check === 'read' ? '' : check };
    if (circle !== undefined && check === 'C79') {
      const needs = circle.map((other) => link.name(other));
      return {
        ...base,
        cause: 'cycle',
        // None of them is the reason: each is exported, by one that waits for this one.
        symbols: [],
        needs,
        reason: `${needs.join(', ')} need each other: none of them can be loaded first`,
      };
    }
    const gone = this.link
      .uses(i)
      .filter((other) => this.failed.has(other))
      .map((other) => link.name(other));
    const onlyGone =
      faults.length > 0 && faults.every((f) => f.kind === 'missing' && this.ownerOf(f.symbol, i) !== undefined);
    if (check === 'C79' && gone.length > 0 && onlyGone)
      return {
        ...base,
        cause: 'dependency',
        symbols,
        needs: gone,
        reason: `needs ${gone.join(', ')}, which ${gone.length === 1 ? 'does' : 'do'} not load`,
      };
    const cause = crash ? 'invalid-file' : causeOf(check, errno);
    return { ...base, cause, symbols: symbols.filter(belongsTo(cause)), needs: gone, reason };
  }

  /** The failed module among a module's dependencies that exports a symbol. */
  private ownerOf(symbol: number, i: number): number | undefined {
    return this.link
      .uses(i)
      .find((other) => (this.failed.has(other) || other === i) && this.exportsOf(other).has(symbol));
  }

  private exportsOf(i: number): ReadonlySet<number> {
    const known = this.exported.get(i);
    if (known !== undefined) return known;
    const names = new Set(this.link.exports(i).map(({ name }) => name));
    this.exported.set(i, names);
    return names;
  }

  /** What is said of a symbol that nobody exports; not all of them are looked for, where it is the kernel that is wrong. */
  private likeOf(id: number, symbol: string): string {
    const known = this.likes.get(id);
    if (known !== undefined) return known;
    this.allNames ??= [...this.link.exportedNames()];
    const text = this.likes.size < MOST_LIKES ? like(closest(symbol, this.allNames)) : 'nobody exports it';
    this.likes.set(id, text);
    return text;
  }

  private describe(fault: ImportFault, i: number): SymbolFault {
    const { link } = this;
    const symbol = link.names.name(fault.symbol);
    if (fault.kind === 'missing') {
      const owner = this.ownerOf(fault.symbol, i);
      if (owner !== undefined) {
        const provider = link.name(owner);
        return { symbol, kind: 'missing', provider, near: `exported by ${provider}, which does not load` };
      }
      const listed = link.listedOwner(fault.symbol);
      if (listed !== undefined)
        return {
          symbol,
          kind: 'missing',
          provider: listed,
          near: `Module.symvers lists it for ${listed}, ${this.whereIs(listed)}`,
        };
      if (this.kernelHas(symbol))
        return { symbol, kind: 'missing', provider: 'vmlinux', near: 'built into the kernel, but not exported' };
      return { symbol, kind: 'missing', near: this.likeOf(fault.symbol, symbol) };
    }
    const provider = fault.provider === 'kernel' ? 'vmlinux' : link.name(fault.provider);
    switch (fault.kind) {
      case 'crc': {
        const wanted =
          fault.wanted === undefined
            ? 'the module does not list it in __versions'
            : `the module wants ${hex32(fault.wanted)}`;
        return {
          symbol,
          kind: 'crc',
          provider,
          near: `${provider} exports it with CRC ${hex32(fault.found)}, ${wanted}`,
        };
      }
      case 'namespace': {
        const namespace = link.names.name(fault.namespace);
        return {
          symbol,
          kind: 'namespace',
          provider,
          near: `${provider} exports it in namespace ${namespace}: MODULE_IMPORT_NS("${namespace}") is missing`,
        };
      }
      case 'licence':
        return { symbol, kind: 'licence', provider, near: `${provider} exports it GPL-only` };
    }
  }

  private whereIs(module: string): string {
    this.byName ??= new Map(this.paths.map((path, i) => [moduleName(path), i]));
    const at = this.byName.get(module);
    if (at === undefined) return 'which is not in this tree';
    return this.failed.has(at) ? 'which does not load' : 'which does not export it';
  }

  /** `--symbols`: what the kernel has, exported or not. */
  private kernelHas(symbol: string): boolean {
    const { symbols } = this;
    if (symbols === undefined) return false;
    this.builtIn ??= new Set(
      readText(symbols)
        .split('\n')
        .map((line) => line.split(/\s+/)[2] ?? ''),
    );
    return this.builtIn.has(symbol);
  }
}

/** Which faults speak for a cause: a module with a wrong CRC and a missing symbol is listed under what insmod said. */
const belongsTo =
  (cause: string) =>
  ({ kind }: SymbolFault): boolean => {
    switch (cause) {
      case 'missing-symbol':
      case 'crc':
      case 'namespace':
      case 'licence':
        return kind !== 'duplicate';
      case 'duplicate-export':
        return kind === 'duplicate';
      default:
        return false;
    }
  };

const like = (names: readonly string[]): string =>
  names.length === 0 ? 'nobody exports it, nor anything like it' : `nobody exports it; there is ${names.join(', ')}`;

const hex32 = (v: number): string => `0x${v.toString(16).padStart(8, '0')}`;

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw fileError(path, error);
  }
}
