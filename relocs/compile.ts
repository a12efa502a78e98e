/**
 * The rows of one kernel as a flat hot loop. It applies what is plain: words and sliced fields of S + A, S + A - P and
 * the page difference, whose checks are intervals. Everything else, and everything that is refused, is left to the
 * interpreter (apply.ts), entry by entry, so that there is one place that words errors.
 *
 * A property test holds the two equal. Only 64-bit little-endian images on a little-endian machine come here: that is
 * where modules have hundreds of thousands of relocations.
 */
import { applyOne, applySection, type Trace } from './apply.ts';
import type { Howto } from './howto.ts';
import type { Config, Version } from './module-view.ts';
import { type Rules, rowFor } from './rules.ts';
import { type Run, Site } from './site.ts';

/** What the loop does with a type. */
const SLOW = 0;
const SKIP = 1;
const WORD32 = 2;
const WORD64 = 3;
const INSN32 = 4;

const ABS = 0;
const PCREL = 1;
const PAGE = 2;

/** Parallel arrays by type number. */
interface Plan {
  readonly op: Uint8Array;
  readonly calc: Uint8Array;
  /** Accepted values, both ends included. */
  readonly lo: BigInt64Array;
  readonly hi: BigInt64Array;
  /** Sliced fields: what is added, how far the value is shifted down, the mask, and the slices [mask, down, up]. */
  readonly round: BigInt64Array;
  readonly shift: BigInt64Array;
  readonly mask: Int32Array;
  readonly slices: readonly (readonly number[])[];
  /** A word that `insert` leaves as it is, where hasKept is 1. */
  readonly kept: Int32Array;
  readonly hasKept: Uint8Array;
}

const MIN = -(1n << 63n);
const MAX = (1n << 63n) - 1n;

const hostIsLittle: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Plans by rules, then by configuration (compared by identity) and version. */
const plans = new WeakMap<Rules, WeakMap<Config, Map<Version, Plan>>>();

function planFor(rules: Rules, config: Config, version: Version): Plan {
  let byConfig = plans.get(rules);
  if (byConfig === undefined) plans.set(rules, (byConfig = new WeakMap()));
  let byVersion = byConfig.get(config);
  if (byVersion === undefined) byConfig.set(config, (byVersion = new Map()));
  let plan = byVersion.get(version);
  if (plan === undefined) byVersion.set(version, (plan = makePlan(rules, config, version)));
  return plan;
}

function makePlan(rules: Rules, config: Config, version: Version): Plan {
  const size = Math.max(...rules.rows.keys()) + 1;
  const plan: Plan & { slices: number[][] } = {
    op: new Uint8Array(size),
    calc: new Uint8Array(size),
    lo: new BigInt64Array(size),
    hi: new BigInt64Array(size),
    round: new BigInt64Array(size),
    shift: new BigInt64Array(size),
    mask: new Int32Array(size),
    slices: Array.from({ length: size }, () => []),
    kept: new Int32Array(size),
    hasKept: new Uint8Array(size),
  };
  for (const type of rules.rows.keys()) {
    const row = rowFor(rules, type, version, config);
    if (row !== undefined) planRow(plan, row);
  }
  return plan;
}

function planRow(plan: Plan & { slices: number[][] }, row: Howto): void {
  const { type, calc, field } = row;
  if (row.action === 'ignore') {
    plan.op[type] = SKIP;
    return;
  }
  const range = plainRange(row);
  if (row.action !== 'apply' || row.write || row.inPlace || calc.plain === undefined || range === undefined) return;
  const { slices } = field;
  if (slices === undefined) return;
  const whole = slices.length === 1 && slices[0]![2] === 0 && slices[0]![1] === 0 && field.hi === field.size * 8 - 1;
  if (field.order === 'data' && whole && field.size === 8) plan.op[type] = WORD64;
  else if (field.order === 'data' && whole && field.size === 4) plan.op[type] = WORD32;
  else if (field.order === 'insn' && field.size === 4 && field.hi - field.lo < 32) plan.op[type] = INSN32;
  else return;
  plan.calc[type] = calc.plain === 'abs' ? ABS : calc.plain === 'pcrel' ? PCREL : PAGE;
  [plan.lo[type], plan.hi[type]] = range;
  plan.round[type] = field.round;
  plan.shift[type] = BigInt(field.lo);
  plan.mask[type] = Number(BigInt.asIntN(32, field.mask));
  if (field.keeps !== undefined) {
    plan.hasKept[type] = 1;
    plan.kept[type] = Number(BigInt.asIntN(32, field.keeps));
  }
  for (const [h, l, at] of slices) {
    const width = h - l + 1;
    plan.slices[type]!.push(width === 32 ? -1 : (1 << width) - 1, l - field.lo, at);
  }
}

/** The values for which a row is nothing but its plain formula; undefined when a check is no interval. */
function plainRange(row: Howto): [bigint, bigint] | undefined {
  let lo = MIN;
  let hi = MAX;
  const ranges = row.checks.filter((c) => c.name !== 'dont').map((c) => c.range?.(row, true));
  for (const range of [...ranges, row.calc.plainWithin ?? ([MIN, MAX] as const)]) {
    if (range === undefined) return undefined;
    if (range[0] > lo) lo = range[0];
    if (range[1] < hi) hi = range[1];
  }
  return [lo, hi];
}

/** A relocation section as aligned words, or undefined when it does not lie so. */
function aligned(bytes: Uint8Array): BigUint64Array | undefined {
  return bytes.byteOffset % 8 === 0 ? new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3) : undefined;
}

/**
 * Applies one relocation section as applySection() does, quicker.
 *
 * @throws Refusal
 */
export function applyCompiled(run: Run, trace?: Trace): void {
  const { rules, module, entries, symtab, target } = run;
  const { is64, little } = module.format;
  const words = aligned(entries.bytes);
  const symbols = aligned(symtab.bytes);
  const plain = rules.before === undefined || rules.beforeConcerns === 'errValues';
  if (
    trace ||
    !is64 ||
    !little ||
    !hostIsLittle ||
    !entries.rela ||
    !plain ||
    !words ||
    !symbols ||
    rules.info.generic !== true
  ) {
    return applySection(run, trace);
  }
  const site = new Site(run);
  rules.beginSection?.(run);
  const guard = rules.before === undefined ? 0xffff_ffff_ffff_ffffn : 0xffff_ffff_ffff_f000n;
  const plan = planFor(rules, module.config, module.version);
  hot(run, site, plan, words, symbols, target.bytes, guard, rules.nonZeroPlace !== undefined);
  rules.endSection?.(run);
}

/** Everything is local and flat on purpose: V8 keeps the 64-bit values in registers only so. */
function hot(
  run: Run,
  site: Site,
  plan: Plan,
  words: BigUint64Array,
  symbols: BigUint64Array,
  bytes: Uint8Array,
  guard: bigint,
  wantsZero: boolean,
): void {
  const { op, calc, lo, hi, round, shift, mask, slices, kept, hasKept } = plan;
  const info = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = BigInt.asUintN(64, run.target.sh_addr);
  const length = bytes.byteLength;
  const types = op.length;
  const count = run.entries.count;
  const nsyms = run.symtab.count;
  const out = new BigInt64Array(1);
  const halves = new Int32Array(out.buffer);

  for (let i = 0; i < count; i++) {
    const type = info[i * 6 + 2]!;
    const what = type < types ? op[type]! : SLOW;
    if (what === SKIP && guard === 0xffff_ffff_ffff_ffffn) continue;
    const sym = info[i * 6 + 3]!;
    const at = info[i * 6]!;
    const size = what === WORD64 ? 8 : 4;
    if (what === SLOW || sym >= nsyms || info[i * 6 + 1]! !== 0 || at + size > length) {
      site.moveTo(i);
      applyOne(site);
      continue;
    }
    const S = symbols[sym * 3 + 1]!;
    if (S > guard) {
      site.moveTo(i);
      applyOne(site);
      continue;
    }
    if (what === SKIP) continue;
    const target = BigInt.asUintN(64, S + words[i * 3 + 2]!);
    let value = BigInt.asIntN(64, target);
    if (calc[type] === PCREL) value = BigInt.asIntN(64, target - BigInt.asUintN(64, base + BigInt(at)));
    else if (calc[type] === PAGE)
      value = BigInt.asIntN(
        64,
        (target & 0xffff_ffff_ffff_f000n) - (BigInt.asUintN(64, base + BigInt(at)) & 0xffff_ffff_ffff_f000n),
      );
    if (value < lo[type]! || value > hi[type]!) {
      site.moveTo(i);
      applyOne(site);
      continue;
    }
    if (what === INSN32) {
      const v = Number(BigInt.asIntN(32, BigInt.asIntN(64, value + round[type]!) >> shift[type]!));
      const s = slices[type]!;
      const was = view.getInt32(at, true);
      if (hasKept[type] === 1 && was === kept[type]!) continue;
      let word = was & ~mask[type]!;
      for (let k = 0; k < s.length; k += 3) word |= ((v >>> s[k + 1]!) & s[k]!) << s[k + 2]!;
      view.setInt32(at, word, true);
      continue;
    }
    out[0] = value;
    if (wantsZero && (view.getInt32(at, true) !== 0 || (what === WORD64 && view.getInt32(at + 4, true) !== 0))) {
      site.moveTo(i);
      applyOne(site);
      continue;
    }
    view.setInt32(at, halves[0]!, true);
    if (what === WORD64) view.setInt32(at + 4, halves[1]!, true);
  }
}
