/** One relocation under the glass: formula in letters and numbers, field, check, bytes before and after. */
import type { Loading } from '../loader/loading.ts';
import type { LoadError } from '../loader/errors.ts';
import { ELF_ST_BIND, SHN_ABS, SHN_UNDEF, STB_WEAK } from '../relocs/elf.ts';
import type { Howto } from '../relocs/howto.ts';
import { rowFor, wouldAccept } from '../relocs/rules.ts';
import { Site } from '../relocs/site.ts';
import { drawField } from './draw-field.ts';
import { hex } from './io.ts';
import type { Numbered, Pick } from './numbering.ts';

type Outcome = 'applied' | 'ignored' | 'refused' | 'not reached';

/** What is known of one relocation, before and after its turn. */
export class Watched {
  readonly pick: Pick;
  readonly number: number;
  readonly site: Site;
  readonly row: Howto | undefined;
  private readonly load: Loading;
  private readonly sections: readonly Numbered[];
  /** S, A and P as the kernel computes with them. */
  A: bigint;
  value: bigint | undefined;
  before: Uint8Array;
  after: Uint8Array | undefined;
  /** The same bytes when the whole section was done. */
  settled: Uint8Array | undefined;
  error: LoadError | undefined;
  private done = false;

  /** To be made when symbols have their addresses and nothing is relocated yet. */
  constructor(load: Loading, all: readonly Numbered[], chosen: Pick) {
    const { numbered, index } = chosen;
    const { kernel } = load;
    this.load = load;
    this.sections = all;
    this.pick = chosen;
    this.number = numbered.first + index;
    this.site = new Site(numbered.run);
    this.site.moveTo(index);
    this.row = rowFor(kernel.arch.rules, this.site.type, kernel.version, kernel.config);
    this.site.row = this.row;
    this.A = this.site.A;
    this.before = this.bytes();
  }

  /** Trace.relocation() */
  see(r: Site, value: bigint, before: Uint8Array, after: Uint8Array): void {
    if (r.run.section !== this.pick.numbered.run.section || r.index !== this.pick.index) return;
    this.A = r.A;
    this.value = value;
    this.before = before;
    this.after = after;
  }

  /** apply_relocations() is over, well or not. */
  finish(error: LoadError | undefined): void {
    this.done = true;
    this.settled = this.bytes();
    if (error?.step === 'apply_relocations') this.error = error;
  }

  get outcome(): Outcome {
    if (this.value !== undefined) return 'applied';
    if (this.error === undefined) return this.done ? 'ignored' : 'not reached';
    // Where it stopped is in its sentence: Site.where().
    const [, index = '', name = ''] = /\(relocation (\d+) of (\S+),/.exec(this.error.reason) ?? [];
    const section = this.sections.find(({ run }) => run.section.name === name);
    if (section === undefined) return 'not reached';
    const stopped = section.first + Number(index);
    return this.number < stopped ? 'ignored' : this.number === stopped ? 'refused' : 'not reached';
  }

  private bytes(): Uint8Array {
    const { target } = this.pick.numbered.run;
    const at = this.site.r_offset;
    if (at > BigInt(target.bytes.length)) return new Uint8Array(0);
    return target.bytes.slice(Number(at), Number(at) + (this.row?.field.size ?? 8));
  }

  /** "_printk", with what it is. */
  get symbol(): { readonly name: string; readonly what: string } {
    const { site } = this;
    const { symtab } = site.run;
    if (site.sym >= symtab.count) return { name: `symbol ${site.sym}`, what: 'there is no such symbol' };
    const shndx = site.st_shndx;
    const section = this.load.module?.sections[shndx]?.name;
    const name = site.symbolName === '' ? (section ?? `symbol ${site.sym}`) : site.symbolName;
    if (shndx === SHN_UNDEF) {
      if (site.sym === 0) return { name: 'no symbol', what: 'counts as 0' };
      const weak = ELF_ST_BIND(symtab.st_info(site.sym)) === STB_WEAK;
      const found = site.S !== 0n || !weak;
      return { name, what: found ? 'from outside of the module' : 'weak, and nobody has it' };
    }
    if (shndx === SHN_ABS) return { name, what: 'absolute' };
    return { name, what: section === undefined ? 'of the module' : `in the module's ${section}` };
  }
}

/** The letters of a formula replaced by numbers; V is the word that is there. */
export function inNumbers(formula: string, S: bigint, A: bigint, P: bigint, V: bigint): string {
  return formula
    .replace(/\+ A\b/g, A < 0n ? `- ${hex(-A)}` : `+ ${hex(A)}`)
    .replace(/- A\b/g, A < 0n ? `+ ${hex(-A)}` : `- ${hex(A)}`)
    .replace(/(?<![\w])([SAPV])(?![\w])/g, (_, letter: string) => hex({ S, A, P, V }[letter] ?? 0n));
}

const hexBytes = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ');
const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The word that a row's field stands in, of its bytes: as Site.read() puts it together. */
function word(w: Watched, { field }: Howto, bytes: Uint8Array): bigint {
  const little = field.order === 'data' ? w.site.format.little : w.site.run.rules.insnLittle(w.site.module);
  const unit = field.order === 'halfwords' ? 2 : field.order === 'words' ? 4 : field.size;
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += unit) {
    const part = bytes.slice(at, at + unit);
    for (const byte of little ? part.toReversed() : part) sum = (sum << 8n) | BigInt(byte);
  }
  return sum;
}

/** Lines for people. */
export function relocationLines(w: Watched): string[] {
  const { site, row, symbol } = w;
  const { run } = site;
  const place = `${run.target.name}+${hex(site.r_offset)}`;
  const lines = [
    `relocation ${w.number}: entry ${w.pick.index} of ${run.section.name}`,
    `  at      ${place}`,
    `  type    ${row?.name ?? 'unknown'} (${site.type})`,
    `  symbol  ${symbol.name}, ${symbol.what}`,
    '',
    `  S = ${hex(site.S)}  (the symbol's address)`,
    `  A = ${hex(w.A)}  (the addend${run.entries.rela && row?.inPlace !== true ? ', from the entry' : ', from the bytes at the place'})`,
    `  P = ${hex(site.P)}  (the place's address)`,
  ];
  if (row === undefined) {
    const why = wouldAccept(run.rules, site.type, site.module.version, site.module.config);
    lines.push('', `  This kernel has no handler for type ${site.type}: ${why}.`);
  } else if (row.action === 'ignore') {
    lines.push('', `  ${row.name} is accepted, and nothing is written.`);
  } else if (row.action === 'refuse') {
    lines.push('', `  ${row.name} is a type that this kernel knows and refuses.`);
  } else lines.push(...appliedLines(w, row));
  if (w.outcome === 'refused')
    lines.push(
      '',
      `  Refused: ${w.error!.errno}. ${w.error!.reason}`,
      ...w.error!.log.map((line) => `  dmesg: ${line}`),
    );
  if (w.outcome === 'not reached') lines.push('', '  The load was refused before this relocation had its turn.');
  return lines;
}

function appliedLines(w: Watched, row: Howto): string[] {
  const { site } = w;
  const V = word(w, row, w.before);
  const { formula } = row.calc;
  const lines = ['', `  value = ${formula}`];
  const numbers = inNumbers(formula, site.S, w.A, site.P, V);
  if (numbers !== formula) lines.push(`        = ${numbers}`);
  if (w.value === undefined) return lines;
  if (/\bV\b/.test(formula)) lines.push('    V is what this place holds so far; S + A is worked into it.');
  else lines.push(`        = ${hex(w.value)}${w.value < 0n ? `  (as a word ${hex(site.word(w.value))})` : ''}`);
  const through = throughTable(w, row);
  if (through !== undefined) lines.push(`    ${through}`);
  for (const c of row.checks) {
    const range = c.range?.(row, site.format.is64);
    if (range !== undefined)
      lines.push(`  check ${c.name.includes('…') ? 'range' : c.name}: ${hex(range[0])} … ${hex(range[1])} holds it`);
    else
      lines.push(
        c.name === 'dont' ? '  not checked: bits that do not fit are lost in silence' : `  check ${c.name}: passes`,
      );
  }
  const after = w.after ?? w.before;
  if (row.field.mask !== 0n) {
    lines.push('', ...drawField(row.field, V, word(w, row, after), w.value).map((line) => `  ${line}`));
    if (row.write !== undefined) lines.push('  (this type does more than fill in its field)');
  }
  lines.push('', `  bytes before  ${hexBytes(w.before)}`, `  bytes after   ${hexBytes(after)}`);
  if (w.settled !== undefined && !same(w.settled, after))
    lines.push(
      `  at the end    ${hexBytes(w.settled)}  (other relocations have this place too, or it is written last of all)`,
    );
  return lines;
}

/** Where a value leads that is not the symbol itself: an entry of PLT or GOT. */
function throughTable(w: Watched, row: Howto): string | undefined {
  const { formula } = row.calc;
  if (w.value === undefined || !/PLT|GOT/.test(formula)) return undefined;
  const { site } = w;
  const direct = site.word(site.S + w.A);
  const leads = site.word(/- P\b/.test(formula) ? w.value + site.P : w.value);
  if (leads === direct) return 'It is in reach: no entry of a table is needed.';
  const inSection = w.site.module.sections.find(
    (s) => leads >= s.sh_addr && leads < s.sh_addr + BigInt(s.sh_size) && s.sh_addr !== 0n,
  );
  return (
    inSection &&
    `It goes through ${inSection.name}+${hex(leads - inSection.sh_addr)}, an entry that the loader made for ${hex(direct)}.`
  );
}

/** The same for machines. */
export function relocationJson(w: Watched): object {
  const { site, row } = w;
  const V = row === undefined ? 0n : word(w, row, w.before);
  return {
    number: w.number,
    section: site.run.section.name,
    index: w.pick.index,
    target: site.run.target.name,
    offset: site.r_offset,
    type: site.type,
    name: row?.name ?? null,
    outcome: w.outcome,
    symbol: w.symbol.name,
    S: site.S,
    A: w.A,
    P: site.P,
    formula: row?.calc.formula ?? null,
    numbers: row === undefined ? null : inNumbers(row.calc.formula, site.S, w.A, site.P, V),
    value: w.value ?? null,
    field:
      row === undefined
        ? null
        : { name: row.field.name, bits: row.field.size * 8, mask: row.field.mask, slices: row.field.slices ?? null },
    checks: (row?.checks ?? []).map((c) => {
      const range = row && c.range?.(row, site.format.is64);
      return { name: c.name, min: range?.[0] ?? null, max: range?.[1] ?? null };
    }),
    before: hexBytes(w.before),
    after: w.after === undefined ? null : hexBytes(w.after),
    end: w.settled === undefined ? null : hexBytes(w.settled),
    reason: w.outcome === 'refused' ? w.error!.reason : null,
  };
}

/** "  12  .text+0x10  R_X86_64_PLT32  _printk - 0x4" */
export function entryLine({ run, first }: Numbered, index: number): string {
  const site = new Site(run);
  site.moveTo(index);
  const { module } = run;
  const row = rowFor(run.rules, site.type, module.version, module.config);
  const section = site.sym < run.symtab.count ? module.sections[site.st_shndx]?.name : undefined;
  const name = site.symbolName === '' ? (section ?? '') : site.symbolName;
  const addend = site.A === 0n ? '' : site.A < 0n ? ` - ${hex(-site.A)}` : ` + ${hex(site.A)}`;
  const place = `${run.target.name}+${hex(site.r_offset)}`;
  return `${String(first + index).padStart(6)}  ${place.padEnd(28)} ${(row?.name ?? `type ${site.type}`).padEnd(28)} ${name}${addend}`;
}
