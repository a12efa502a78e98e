/**
 * When a relocation cannot fail, whatever its symbol resolves to and wherever in the module area the module lies: the
 * rows of an architecture turned into what an addend, or the target of a symbol of the module, may be. Made once a run;
 * the rest is comparing integers.
 *
 * What cannot be proven is not wrong: it goes through insmod, the specification.
 */
import { type Arch, configOf, type ModuleArea } from '../../arch/arch.ts';
import type { Howto } from '../../relocs/howto.ts';
import type { Version } from '../../relocs/module-view.ts';
import { rowFor } from '../../relocs/rules.ts';
import { WELL_KNOWN } from './names.ts';
import { type Plan, plans } from './proof-plans.ts';
import {
  ADDEND,
  BY_MODULE,
  BY_NEIGHBOURS,
  CALL,
  DIRECT_OR_TABLE,
  GOT,
  GOT_AGAIN,
  HIGH,
  IGNORED,
  LOW,
  MOST_CALLS,
  MOST_NEEDS,
  NO_SLOTS,
  P_ADDRESS,
  P_CALL_COUNT,
  P_CALL_SLOTS,
  P_CALLS,
  P_EXPORT_TYPE,
  P_EXPORT_WORD,
  P_GUARDED,
  P_LOOKS_AT_ALL,
  P_NEED_COUNT,
  P_NEEDS,
  P_REWRITTEN_COUNT,
  P_ROWS,
  P_SUMS,
  P_TYPES,
  P_WANTS_ZERO,
  PLAIN,
  R_BITS,
  R_FROM,
  R_HI,
  R_INSIDE,
  R_LO,
  R_MASK,
  R_RULE,
  R_SIZE,
  R_TO,
  REACH,
  SUM,
  TABLE,
  TARGET,
} from './proof-table.ts';

/** Numbers beyond this are as good as infinite beside an addend of 32 bits. */
const FAR = 1n << 48n;
/** Room of per-CPU data. */
const PERCPU = 0x10_0000n;
const PAGE = 4096n;
/** As much as a target outside of its section is trusted. */
const MOST_SLACK = 0x10_0000n;

const CALL_SLOTS = { none: NO_SLOTS, neighbours: BY_NEIGHBOURS, module: BY_MODULE } as const;

/** The table, or undefined for an architecture that needs insmod for each module. */
export function proofTable(arch: Arch, version: Version): Uint8Array | undefined {
  const { rules } = arch;
  const config = configOf(arch, version);
  const plan = plans[arch.name];
  const hooks = [
    rules.before,
    rules.beginSection,
    rules.endSection,
    arch.frobSections,
    arch.finalize,
    arch.sectionPrepend,
    arch.regionHead,
  ];
  const isKnown = plan !== undefined || hooks.every((hook) => hook === undefined);
  if (!arch.is64 || rules.info.generic !== true || arch.orders.length > 2 || !isKnown) return undefined;
  const types = Math.max(...rules.rows.keys()) + 1;
  const bytes = new Uint8Array(P_ROWS + (types << R_BITS));
  const table = new DataView(bytes.buffer);
  const put = (at: number, value: number | boolean): void => table.setInt32(at, Number(value), true);
  const list = (count: number, at: number, most: number, values: readonly number[]): void => {
    if (values.length > most) throw new Error(`${arch.name}: the proof table has room for ${most} of ${values.length}`);
    put(count, values.length);
    for (const [n, value] of values.entries()) put(at + n * 4, value);
  };
  put(P_TYPES, types);
  put(P_WANTS_ZERO, rules.nonZeroPlace !== undefined);
  put(P_GUARDED, rules.before !== undefined);
  put(P_CALL_SLOTS, CALL_SLOTS[plan?.callSlots ?? 'none']);
  put(P_LOOKS_AT_ALL, plan?.looksAtAll === true);
  put(P_SUMS, rules.endSection !== undefined);
  put(P_ADDRESS, typeOf(arch, 'abs', 8));
  put(P_EXPORT_TYPE, arch.prel32Exports === true ? typeOf(arch, 'pcrel', 4) : typeOf(arch, 'abs', 8));
  put(P_EXPORT_WORD, arch.prel32Exports === true ? 4 : 8);
  list(P_CALL_COUNT, P_CALLS, MOST_CALLS, plan?.calls ?? []);
  const needs = plan?.needs?.(version) ?? [];
  put(P_NEED_COUNT, needs.length);
  list(
    P_REWRITTEN_COUNT,
    P_NEEDS,
    MOST_NEEDS,
    [...needs, ...(plan?.rewrites ?? [])].map((name) => WELL_KNOWN.indexOf(name) + 1),
  );
  const reach = reachOf(arch.moduleArea(version, config));
  for (const type of rules.rows.keys()) {
    const row = rowFor(rules, type, version, config);
    if (row !== undefined && row.action !== 'refuse')
      enter(new DataView(bytes.buffer, P_ROWS + (type << R_BITS)), row, plan ?? {}, reach);
  }
  return bytes;
}

/** The first type that is a whole word of a plain calculation. */
function typeOf(arch: Arch, plain: 'abs' | 'pcrel', size: number): number {
  for (const [type, rows] of arch.rules.rows)
    if (rows.some(({ calc, field, checks }) => calc.plain === plain && isWord(field, size) && checks.length === 1))
      return type;
  return -1;
}

const isWord = ({ order, size, hi, lo }: Howto['field'], bytes: number): boolean =>
  order === 'data' && size === bytes && lo === 0 && hi === size * 8 - 1;

/** Differences of addresses, both ends included. */
interface Reach {
  /** Of what a module has to a place in it, of what another has to it. */
  readonly own: readonly [bigint, bigint];
  readonly others: readonly [bigint, bigint];
  /** Addresses of symbols, as signed numbers; 0 for an absent one. */
  readonly symbols: readonly [bigint, bigint];
}

function reachOf(area: ModuleArea): Reach {
  const signed = (address: bigint): bigint => BigInt.asIntN(64, address);
  const memory = [area.text, area.data ?? area.text, area.fallback ?? area.text];
  const kernel = area.kernel ?? area.text[0] - 0x200_0000n;
  const percpu = area.percpu ?? kernel + 0x180_0000n;
  const own = span(memory.map(([start, end]) => [signed(start), signed(end - 1n)]));
  const symbols = span([
    own,
    [signed(kernel), signed(kernel) + BigInt(REACH)],
    [signed(percpu), signed(percpu) + PERCPU],
  ]);
  return {
    own: [own[0] - own[1], own[1] - own[0]],
    others: [symbols[0] - own[1], symbols[1] - own[0]],
    symbols: span([symbols, [0n, 0n], [symbols[0], symbols[1] + BigInt(REACH)]]),
  };
}

const span = (ranges: readonly (readonly [bigint, bigint])[]): [bigint, bigint] => [
  ranges.map(([lo]) => lo).reduce((a, b) => (a < b ? a : b)),
  ranges.map(([, hi]) => hi).reduce((a, b) => (a > b ? a : b)),
];

/** Writes what can be said of a type into its row. */
function enter(at: DataView, row: Howto, plan: Plan, reach: Reach): void {
  const { type, field, calc } = row;
  if (field.block === true || row.inPlace === true) return;
  at.setUint8(R_SIZE, field.size);
  at.setInt32(R_INSIDE, -1, true);
  const put = (rule: number): void => at.setUint8(R_RULE, rule);
  const bounds = (lo: number, hi: number, [least, most]: readonly [bigint, bigint]): void => {
    at.setBigInt64(lo, clamp(least), true);
    at.setBigInt64(hi, clamp(most), true);
  };
  const has = (types: readonly number[] | undefined): boolean => types?.includes(type) === true;
  if (row.action === 'ignore') return put(IGNORED);
  if (has(plan.sums)) return put(SUM);
  if (row.write !== undefined) return;

  let range: readonly [bigint, bigint] | undefined = calc.plainWithin;
  for (const check of row.checks) {
    if (check.name === 'dont' || has(plan.direct)) continue;
    const multiple = /^%(\d+)$/.exec(check.name);
    const passing = check.range?.(row, true);
    if (multiple !== null) at.setUint8(R_MASK, Number(multiple[1]) - 1);
    else if (passing === undefined) return;
    else range = range === undefined ? passing : [max(range[0], passing[0]), min(range[1], passing[1])];
  }
  if (has(plan.low)) return put(LOW);
  if (has(plan.got)) return put(GOT);
  if (has(plan.gotAgain)) return put(GOT_AGAIN);
  if (has(plan.harmless) && range === undefined) return put(PLAIN);
  if (range === undefined && calc.plain !== undefined) return put(PLAIN);
  if (range === undefined) return;
  bounds(R_FROM, R_TO, range);
  if (calc.plain === 'abs' && calc.plainWithin === undefined) {
    bounds(R_LO, R_HI, [range[0] - reach.symbols[0], range[1] - reach.symbols[1]]);
    return put(ADDEND);
  }
  const slack = calc.plain === 'page' ? PAGE : 0n;
  bounds(R_LO, R_HI, [range[0] - reach.others[0] + slack, range[1] - reach.others[1] - slack]);
  const room = min(reach.own[0] - slack - range[0], range[1] - reach.own[1] - slack);
  // A PLT reaches everything.
  at.setInt32(R_INSIDE, has(plan.calls) ? 0 : Number(max(-1n, min(room, MOST_SLACK))), true);
  if (has(plan.table)) return put(TABLE);
  if (has(plan.directOrTable)) return put(DIRECT_OR_TABLE);
  if (has(plan.calls)) return put(CALL);
  if (calc.plain === undefined || calc.plain === 'abs') return;
  put(has(plan.high) ? HIGH : TARGET);
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const clamp = (v: bigint): bigint => max(-FAR, min(FAR, v));
