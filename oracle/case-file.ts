/**
 * Cases written by hand: a module in a few lines of JSON, where it lies, and what each kernel makes of it. Each is a
 * finding of docs/upstream-findings.md or a step of module_finalize() (fixtures/finalize).
 */
import { type Arch, arches } from '../arch/index.ts';
import { type KoReloc, type KoSection, type KoSymbol, ko } from '../fixtures/build.ts';
import { machines } from '../fixtures/machines.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHN_ABS, SHT_NOBITS } from '../relocs/elf.ts';
import type { Version } from '../relocs/module-view.ts';
import { fromBase64, toBase64, type Vector } from '../testing/vector.ts';
import { ports } from './ports.ts';

/** One entry: offset, type's name or number, symbol ('' is symbol 0), and the addend of SHT_RELA. */
export type CaseRelocation = readonly [
  offset: number,
  type: string | number,
  symbol: string | number,
  addend?: number | string,
];

export interface CaseSection {
  /** Address. */
  readonly at: string;
  /** In the order of memory, spaces as one likes; zeros behind up to `size`. */
  readonly bytes?: string;
  readonly size?: number;
  /** A, W, X. Default: by the name. */
  readonly flags?: string;
  readonly nobits?: boolean;
  readonly relocations?: readonly CaseRelocation[];
}

/**
 * '0x…': undefined here, and the kernel has it there. '.text+0x4': at that place. '=0x…': absolute. 'weak': undefined, weak
 * and nowhere. The other form is what a symbol table can hold besides.
 */
export type CaseSymbol = string | Omit<KoSymbol, 'name'>;

/** What came of it. Sections that are not named were not looked at. */
export interface CaseEnding {
  readonly ret: number | 'crash';
  readonly stage?: 'frob' | 'symbols' | 'relocate' | 'finalize';
  readonly crash?: string;
  readonly warns?: number;
  readonly log?: string;
  /** The handler reads or writes outside of the module: what comes of it depends on what is there. */
  readonly wild?: boolean;
  /** 'SECTION', 'SECTION+0x…' or '#mem.text.head' → bytes. */
  readonly bytes?: Readonly<Record<string, string>>;
}

export interface CaseFile {
  /** A sentence. */
  readonly title: string;
  /** A name of `ports`, or of the registry where there is no port. */
  readonly arch: string;
  /** Kernels of which the title is a complaint. */
  readonly affected?: readonly Version[];
  readonly sections: Readonly<Record<string, CaseSection>>;
  readonly symbols?: Readonly<Record<string, CaseSymbol>>;
  readonly form?: 'REL' | 'RELA';
  /** Where text's memory begins. Default: at the first section. s390 keeps its GOT and PLT there. */
  readonly region?: string;
  readonly variant?: number;
  readonly finalize?: boolean;
  /** What the kernels of these versions make of it. */
  readonly expect: Readonly<Partial<Record<Version, CaseEnding>>>;
}

/** The file is no case. */
export class CaseFileError extends Error {
  override readonly name: string = 'CaseFileError';
}

/** Reads a case. Throws CaseFileError. */
export function parseCaseFile(text: string): CaseFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CaseFileError(error instanceof Error ? error.message : 'is no JSON', { cause: error });
  }
  const has = (of: unknown, key: string): boolean =>
    typeof of === 'object' && of !== null && typeof (of as Record<string, unknown>)[key] === 'object';
  if (!has(parsed, 'sections') || !has(parsed, 'expect') || typeof (parsed as CaseFile).arch !== 'string')
    throw new CaseFileError('is no case: it needs arch, sections and expect');
  return parsed as CaseFile;
}

/** The registry's architecture of a port: 'mips' of 'mipsel'. */
export const archOfPort = (name: string): Arch | undefined =>
  arches.find((a) => a.name === (ports[name]?.reference ?? name)) ??
  arches.find((a) => a.name === name.replace(/(el|le|eb|be|32)$/, '')) ??
  arches.find((a) => a.backend === name);

const bytesOf = (text: string): number[] =>
  (text.replaceAll(/\s/g, '').match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

/** What sections of these names have in modules. */
function flagsOf(name: string, letters: string | undefined): number {
  const said = letters ?? (/text/.test(name) ? 'AX' : /rodata/.test(name) ? 'A' : 'AW');
  return (
    (said.includes('A') ? SHF_ALLOC : 0) |
    (said.includes('W') ? SHF_WRITE : 0) |
    (said.includes('X') ? SHF_EXECINSTR : 0)
  );
}

/** Where sections that the linker script adds go, when the case does not say: behind 8 MiB from its first section. */
const PLACEHOLDERS = 0x80_0000n;

/** The case as a vector. Throws CaseFileError. */
export function vectorOfCase(c: CaseFile, version: Version): Vector {
  try {
    return build(c, version);
  } catch (error) {
    // A number that is none, a field of another kind.
    if (!(error instanceof SyntaxError || error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new CaseFileError(error.message, { cause: error });
  }
}

function build(c: CaseFile, version: Version): Vector {
  const arch = archOfPort(c.arch);
  if (arch === undefined) throw new CaseFileError(`no architecture is named ${c.arch}`);
  const spec = ports[c.arch];
  const little = spec?.little ?? arch.orders[0] === 'little';
  const machine = machines.find(
    (m) =>
      arch.e_machine.includes(m.e_machine) && (m.elfClass === 64) === arch.is64 && (m.endian === 'little') === little,
  );
  const types = new Map([...arch.rules.rows.values()].flat().map((row) => [row.name, row.type]));
  const used = new Set<number>();
  const typeOf = (type: string | number): number => {
    const number = typeof type === 'number' ? type : types.get(type);
    if (number === undefined) throw new CaseFileError(`${c.arch} has no relocation type ${type}`);
    used.add(number);
    return number;
  };
  const place: Record<string, string> = {};
  const sections: KoSection[] = [];
  const relocs: Record<string, readonly KoReloc[]> = {};
  for (const [name, s] of Object.entries(c.sections)) {
    place[name] = s.at;
    const data = bytesOf(s.bytes ?? '');
    while (data.length < (s.size ?? 0)) data.push(0);
    const flags = flagsOf(name, s.flags);
    sections.push(
      s.nobits === true
        ? { name, type: SHT_NOBITS, flags, align: 8, size: s.size ?? 1 }
        : { name, flags, align: 8, data },
    );
    const entries = (s.relocations ?? []).map(
      ([offset, type, symbol, addend]): KoReloc => ({
        offset,
        type: typeOf(type),
        symbol: symbol === '' ? 0 : symbol,
        ...(addend !== undefined && { addend: BigInt(addend) }),
      }),
    );
    if (entries.length > 0) relocs[name] = entries;
  }
  const first = BigInt(Object.values(c.sections)[0]?.at ?? 0);
  for (const [i, name] of (machine?.placeholders ?? []).entries()) {
    if (name in place) continue;
    place[name] = `0x${(first + PLACEHOLDERS + BigInt(i) * 0x1000n).toString(16)}`;
    if (machine?.nobitsPlaceholders === true)
      sections.push({ name, type: SHT_NOBITS, flags: SHF_ALLOC | SHF_EXECINSTR, size: 1 });
    else sections.push({ name, flags: SHF_ALLOC | (name.includes('got') ? 0 : SHF_EXECINSTR), data: [0] });
  }
  const found: Record<string, string> = {};
  const symbols = Object.entries(c.symbols ?? {}).map(([name, s]): KoSymbol => {
    if (typeof s !== 'string') return { name, ...s };
    if (s === 'weak') return { name, bind: 2 };
    if (s.startsWith('=')) return { name, section: SHN_ABS, value: BigInt(s.slice(1)) };
    const [, section, plus] = /^([^0-9+][^+]*)(?:\+(0x[0-9a-f]+|\d+))?$/.exec(s) ?? [];
    if (section !== undefined) return { name, section, value: BigInt(plus ?? 0) };
    found[name] = s;
    return { name };
  });
  const form = c.form ?? machine?.form ?? arch.forms[0] ?? 'RELA';
  const elf = ko({
    machine: machine?.e_machine ?? arch.e_machine[0]!,
    elfClass: arch.is64 ? 64 : 32,
    endian: little ? 'little' : 'big',
    rel: form,
    sections,
    symbols,
    relocs,
  });
  const base = c.region ?? `0x${first.toString(16)}`;
  const regions = version === '6.1' ? { core: { base, size: 0x20000 } } : { text: { base, size: 0x10000 } };
  const expect = c.expect[version];
  return {
    id: c.title,
    arch: arch.name,
    kernel: version,
    elf: toBase64(elf),
    place,
    symbols: found,
    mem: regions,
    ...(c.variant === undefined ? {} : { variant: c.variant }),
    ...(c.finalize === undefined ? {} : { finalize: c.finalize }),
    ...(spec?.told === undefined ? {} : { config: spec.told }),
    ...(spec?.dp === undefined ? {} : { dp: `0x${spec.dp.toString(16)}` }),
    ...(arch.forms.length > 1 ? { flavour: form } : {}),
    cls: 'generated',
    types: [...used],
    expect: { ret: expect?.ret ?? 0 },
  };
}

type Came = Pick<Vector['expect'], 'ret' | 'stage' | 'crash' | 'warns' | 'log' | 'sections' | 'extra'>;

/** 'SECTION' or 'SECTION+0x…' of what sections and extra bytes hold. */
function bytesAt({ sections, extra }: Came, where: string, size: number): string | undefined {
  const [name = '', plus = '0'] = where.split('+');
  const found = sections?.[name] ?? extra?.[name];
  if (found === undefined) return undefined;
  const text = typeof found === 'string' ? found : found.data;
  const at = Number(plus);
  return hexOf(fromBase64(text).subarray(at, at + size));
}

/** What the reference says of an access outside of the module's memory. */
const WILD: CaseEnding = { ret: 'crash', crash: 'signal 11' };

/** What a case says of the reference. */
export const saidOfReference = (said: CaseEnding): CaseEnding => (said.wild === true ? WILD : said);

/** What is otherwise than the case says; empty when nothing is. `sections`: name → base64. */
export function unlike(said: CaseEnding, came: Came): string[] {
  const lines: string[] = [];
  const differ = (what: string, wanted: unknown, actual: unknown): void => {
    if (wanted !== actual) lines.push(`${what}: ${String(actual)}, and not ${String(wanted)}`);
  };
  differ('ret', said.ret, came.ret);
  differ('stage', said.stage, came.stage);
  differ('crash', said.crash, came.crash?.replace('signal -', 'signal '));
  differ('warns', said.warns ?? 0, came.warns ?? 0);
  // A port that died took its log with it.
  if (said.log !== undefined && came.crash === undefined) differ('log', said.log, (came.log ?? '').trimEnd());
  for (const [where, text] of Object.entries(said.bytes ?? {})) {
    const wanted = text.replaceAll(/\s/g, '');
    differ(where, wanted, bytesAt(came, where, wanted.length / 2));
  }
  return lines;
}
