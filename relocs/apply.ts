/**
 * apply_relocate() and apply_relocate_add(): the obvious interpreter of the rows, which is their specification. The
 * compiled loop (compile.ts) is held equal to it by a property test.
 */
import { addendOf } from './field.ts';
import type { Check, Howto, Verdict } from './howto.ts';
import { crashes, type Refusal, TypeRefusal } from './refusal.ts';
import { rowFor, wouldAccept } from './rules.ts';
import { type Run, Site } from './site.ts';

/** Told of every relocation that is applied, when somebody asked. Bytes are copies. */
export interface Trace {
  relocation(r: Site, row: Howto, value: bigint, before: Uint8Array, after: Uint8Array): void;
  /** Told of every check as well, before what does not pass is refused. */
  checked?(r: Site, row: Howto, check: Check, value: bigint, passes: boolean): void;
}

/**
 * Applies one relocation section, in the order of its entries, and stops at the first that is refused.
 *
 * @throws Refusal with the kernel's errno; its lines are in the log, earlier entries stay applied.
 */
export function applySection(run: Run, trace?: Trace): void {
  const site = new Site(run);
  run.rules.beginSection?.(run);
  for (let i = 0; i < run.entries.count; i++) {
    site.moveTo(i);
    applyOne(site, trace);
  }
  run.rules.endSection?.(run);
}

/** Applies the entry the site stands on. */
export function applyOne(r: Site, trace?: Trace): void {
  const { rules, module } = r.run;
  if (rules.before?.(r) === 'skip') return;
  const row = rowFor(rules, r.type, module.version, module.config);
  if (row === undefined) {
    const verdict = rules.unknown(r);
    if (verdict === undefined) return;
    throw typeRefused(r, { reason: wouldAccept(rules, r.type, module.version, module.config), ...verdict });
  }
  r.row = row;
  if (row.action === 'ignore') return;
  if (row.refusal !== undefined) throw typeRefused(r, row.refusal(r));
  if (!r.run.symtab.holds(r.sym))
    throw crashes('signal 11', `${r.where()} names symbol ${r.sym} of ${r.run.symtab.count}, which it never checks`);

  if (!r.run.entries.rela || row.inPlace) r.A += addendOf(row.field, r.readField(row.field));
  const before = trace && bytesAtPlace(r, row);
  const value = r.long(row.calc.value(r));
  const writesFirst = rules.writesFirst(module.version);
  if (writesFirst) {
    wantsZero(r, row, value);
    write(r, row, value);
  }
  for (const check of row.checks) {
    const passes = check.passes(value, row, r);
    trace?.checked?.(r, row, check, value, passes);
    if (!passes) throw refused(r, (check.refusal ?? rules.overflow)(r, value));
  }
  if (!writesFirst) {
    wantsZero(r, row, value);
    write(r, row, value);
  }
  if (trace && before) trace.relocation(r, row, value, before, bytesAtPlace(r, row));
}

function wantsZero(r: Site, row: Howto, value: bigint): void {
  const { nonZeroPlace } = r.run.rules;
  if (nonZeroPlace !== undefined && r.readField(row.field) !== 0n) nonZeroPlace(r, value);
}

function write(r: Site, row: Howto, value: bigint): void {
  if (row.write !== undefined) row.write(r, value);
  else r.insert(row.field, value);
}

function bytesAtPlace(r: Site, row: Howto): Uint8Array {
  const at = Math.max(Number(r.r_offset) + r.deltaOf(row.field), 0);
  return r.run.target.bytes.slice(at, at + row.field.size);
}

function typeRefused(r: Site, verdict: Verdict): TypeRefusal {
  const { errno, message } = refused(r, verdict);
  return new TypeRefusal(errno, message);
}

function refused(r: Site, verdict: Verdict): Refusal {
  const row = r.row;
  const S = `S=${signedHex(r.S)} A=${signedHex(r.A)} P=${signedHex(r.P)}`;
  const range = row?.checks.map((c) => c.range?.(row, r.format.is64)).find((x) => x !== undefined);
  const wanted = range ? `; ${row!.name} holds ${signedHex(range[0])} … ${signedHex(range[1])}` : '';
  const why = verdict.reason ? `: ${verdict.reason}` : '';
  return r.refusal(verdict.errno, verdict.log, `${r.where()}: ${S}${wanted}${why}`);
}

const signedHex = (v: bigint): string => `${v < 0n ? '-' : ''}0x${(v < 0n ? -v : v).toString(16)}`;
