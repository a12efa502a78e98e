/** A verdict in the words of people, machines and CI. */
import type { BlockCoverage } from '../../oracle/blocks.ts';
import type { Disagreement, Ending, Verdict } from '../../oracle/verify.ts';
import type { RelocationFacts } from '../../oracle/relocation-facts.ts';
import type { Howto } from '../../relocs/howto.ts';
import type { Version } from '../../relocs/module-view.ts';
import { count, hex, type Io, toJson } from '../io.ts';

/** A verdict, and what was asked. */
export interface Verified {
  readonly arch: string;
  readonly kernel: Version;
  /** What was run, for people. */
  readonly port: string;
  readonly verdict: Verdict;
  /** What ran of the handlers' code, when the port was built here and its compiler can tell. */
  readonly blocks: BlockCoverage | undefined;
  /** Rows that the kernel has, or those that were asked for. */
  readonly rows: readonly Howto[];
  /** The command that shows the same again. */
  readonly again: string;
}

export const reporterNames = ['pretty', 'json', 'tap', 'junit', 'github'] as const;
export type Reporter = (typeof reporterNames)[number];

type Lines = (v: Verified, io: Io) => string[];

const bytes = (b: Uint8Array | undefined): string =>
  b === undefined ? '(not told)' : Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
const signed = (v: bigint): string => hex(v);
const title = ({ arch, kernel }: Verified): string => `${arch} ${kernel}`;

const how = ({ ret, stage, crash, warns }: Ending): string => {
  const warned = warns === 0 ? '' : `, ${count(warns, 'warning')}`;
  if (ret === 'crash') return `crash (${crash ?? 'unknown'})${warned}`;
  return `ret ${ret}${stage === undefined ? '' : ` in ${stage}`}${warned}`;
};
export const ending = (who: string, e: Ending): string[] => [
  `  ${who.padEnd(10)} ${how(e)}`,
  ...e.log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => `    dmesg: ${line}`),
];

/** `told`: whether there is a port. */
export function relocationLines(r: RelocationFacts, i: number, told = true): string[] {
  const lines = [
    `  relocation ${i}: ${r.section}+${hex(r.offset)}  ${r.name} (${r.type}) against ${r.symbol === '' ? 'no name' : r.symbol}`,
    `    S = ${hex(r.S)}  A = ${signed(r.A)}  P = ${hex(r.P)}  value = ${r.formula}`,
    `    bytes     before ${bytes(r.before)}  reference ${bytes(r.reference)}${told ? `  port ${bytes(r.port)}` : ''}`,
  ];
  for (const { slice, before, reference, port } of r.slices) {
    const [hi, lo, at] = slice;
    const mark = port !== undefined && port !== reference ? '  <- differs' : '';
    lines.push(
      `    value[${hi}:${lo}] in bit ${at}:  before ${hex(before)}  reference ${hex(reference)}${!told ? '' : `  port ${port === undefined ? '(not told)' : hex(port)}${mark}`}`,
    );
  }
  return lines;
}

function disagreementLines(d: Disagreement): string[] {
  return [
    ...(d.alone
      ? []
      : ['  The case agrees when it is run alone: the port keeps something of earlier cases, or leaves it to chance.']),
    ...d.relocations.flatMap((r, i) => relocationLines(r, i)),
    ...ending('reference', d.reference),
    ...ending('port', d.port),
    ...d.differences.map(
      ({ what, expected, actual }) => `  ${what}: reference ${shown(actual)}, port ${shown(expected)}`,
    ),
  ];
}

export const shown = (text: string): string =>
  text === '' || text === 'undefined' ? '(nothing)' : text.replaceAll('\n', ' | ');

const seconds = (v: Verdict): string => `${(v.milliseconds / 1000).toFixed(1)} s`;

/** Ways of one check behind its name: "signed: inside 3, low end 1; %4: passes 4". */
function byCheck(ways: readonly string[]): string {
  const checks = new Map<string, string[]>();
  for (const way of ways) {
    const at = way.indexOf(': ');
    const check = way.slice(0, Math.max(at, 0));
    checks.set(check, [...(checks.get(check) ?? []), at < 0 ? way : way.slice(at + 2)]);
  }
  return [...checks].map(([check, list]) => `${check === '' ? '' : `${check}: `}${list.join(', ')}`).join('; ');
}

/** Rows and what was reached of them. */
function reachedLines({ verdict, rows }: Verified): string[] {
  const lines: string[] = [];
  const missing = verdict.coverage.missing(rows);
  const width = Math.max(...rows.map((row) => row.name.length), 0);
  for (const row of rows) {
    const cases = verdict.reached.get(row.type) ?? 0;
    const ways = byCheck([...(verdict.coverage.reached.get(row.name) ?? [])].map(([way, n]) => `${way} ${n}`));
    lines.push(
      `  ${row.name.padEnd(width)}  ${cases === 0 ? 'never' : count(cases, 'case')}${row.action === 'refuse' ? ', refused by its type' : ''}${ways === '' ? '' : `; ${ways}`}`,
    );
    const never = cases === 0 ? undefined : missing.get(row.name);
    if (never !== undefined) lines.push(`  ${''.padEnd(width)}  not reached: ${byCheck(never)}`);
  }
  return lines;
}

/** Blocks of the handlers' C: most of what is left is what no relocation decides. */
function blockLines(blocks: BlockCoverage | undefined): string[] {
  if (blocks === undefined) return [];
  const { reached, total, notReached, neverRun } = blocks;
  const never = [...neverRun].map(([name, n]) => `${name} (${n})`);
  return [
    `basic blocks reached: ${reached} of ${total} in the handlers' functions that ran`,
    ...(notReached.length === 0 ? [] : [`  not reached: ${byFile(notReached)}`]),
    ...(never.length === 0 ? [] : [`  never run, with blocks: ${never.join(', ')}`]),
  ];
}

/** 'a.c:1, 2; b.c:3'. */
function byFile(places: readonly string[]): string {
  const files = new Map<string, string[]>();
  for (const place of places) {
    const at = place.lastIndexOf(':');
    const file = place.slice(0, at);
    files.set(file, [...(files.get(file) ?? []), place.slice(at + 1)]);
  }
  return [...files].map(([file, lines]) => `${file}:${lines.join(', ')}`).join('; ');
}

const pretty: Lines = (v, io) => {
  const { verdict } = v;
  const d = verdict.disagreement;
  const reached = v.rows.filter((row) => verdict.reached.has(row.type)).length;
  const endings = [...verdict.endings]
    .toSorted((a, b) => b[1] - a[1])
    .map(([end, n]) => `${end}: ${n}`)
    .join(', ');
  return [
    `${title(v)}: ${v.port}`,
    d === undefined
      ? io.paint(
          'green',
          `${count(verdict.runs, 'case')} agree on return value, log and every byte (${seconds(verdict)}, seed ${verdict.seed})`,
        )
      : io.paint(
          'red',
          `disagree after ${count(verdict.runs, 'case')}, shrunk ${count(d.shrinks, 'time')} to ${count(d.relocations.length, 'relocation')} (${seconds(verdict)})`,
        ),
    ...(d === undefined ? [] : ['', ...disagreementLines(d), '']),
    `endings of the port: ${endings}`,
    ...(verdict.lucky === 0
      ? []
      : [
          `${count(verdict.lucky, 'case')} not compared: the handler goes astray in memory, and the port lived by chance${(verdict.endings.get('crash WARN') ?? 0) > 0 ? '; or objects cannot go on after a WARN' : ''}`,
        ]),
    `types reached: ${reached} of ${v.rows.length}`,
    ...(d === undefined ? reachedLines(v) : []),
    ...(d === undefined ? blockLines(v.blocks) : []),
    `again: ${v.again}`,
  ];
};

const json: Lines = (v) => {
  const { verdict, rows } = v;
  const missing = verdict.coverage.missing(rows);
  const d = verdict.disagreement;
  return [
    toJson({
      arch: v.arch,
      kernel: v.kernel,
      port: v.port,
      agree: d === undefined,
      seed: verdict.seed,
      cases: verdict.runs,
      seconds: Number((verdict.milliseconds / 1000).toFixed(3)),
      again: v.again,
      endings: verdict.endings,
      notCompared: verdict.lucky,
      types: rows.map((row) => ({
        name: row.name,
        type: row.type,
        action: row.action,
        cases: verdict.reached.get(row.type) ?? 0,
        reached: verdict.coverage.reached.get(row.name) ?? {},
        notReached: missing.get(row.name) ?? [],
      })),
      blocks:
        v.blocks === undefined
          ? null
          : {
              reached: v.blocks.reached,
              of: v.blocks.total,
              notReached: v.blocks.notReached,
              neverRun: v.blocks.neverRun,
            },
      disagreement:
        d === undefined
          ? null
          : {
              seed: d.seed,
              path: d.path,
              shrinks: d.shrinks,
              alone: d.alone,
              reference: d.reference,
              port: d.port,
              differences: d.differences.map(({ what, expected, actual }) => ({
                what,
                reference: actual,
                port: expected,
              })),
              relocations: d.relocations.map((r) => ({
                ...r,
                before: bytes(r.before),
                reference: r.reference === undefined ? null : bytes(r.reference),
                port: r.port === undefined ? null : bytes(r.port),
              })),
              vector: d.vector,
            },
    }),
  ];
};

/** Without what only a terminal shows. */
const plain = (v: Verified): string[] => [...disagreementLines(v.verdict.disagreement!), `again: ${v.again}`];

const tap: Lines = (v) => {
  const { verdict } = v;
  const name = `${title(v)}: ${count(verdict.runs, 'case')} agree with the reference`;
  if (verdict.disagreement === undefined) return ['TAP version 14', '1..1', `ok 1 - ${name} # seed ${verdict.seed}`];
  return [
    'TAP version 14',
    '1..1',
    `not ok 1 - ${name}`,
    '  ---',
    // The first line may be indented more than the last.
    '  message: |2',
    ...plain(v).map((line) => `    ${line}`),
    '  ...',
  ];
};

const xml = (text: string): string =>
  text.replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c] ?? c);

const junit: Lines = (v) => {
  const { verdict } = v;
  const failed = verdict.disagreement !== undefined;
  const time = (verdict.milliseconds / 1000).toFixed(3);
  const test = `name="${xml(title(v))}" classname="komulator.port.verify" time="${time}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites><testsuite name="komulator port verify" tests="1" failures="${failed ? 1 : 0}" errors="0" time="${time}">`,
    ...(failed
      ? [`<testcase ${test}><failure message="${xml(summary(v))}">${xml(plain(v).join('\n'))}</failure></testcase>`]
      : [`<testcase ${test}/>`]),
    '</testsuite></testsuites>',
  ];
};

/** One sentence. */
const summary = (v: Verified): string => {
  const d = v.verdict.disagreement!;
  const types = [...new Set(d.relocations.map((r) => r.name))].join(', ');
  return `${title(v)}: port and reference disagree on ${types || 'a module without relocations'} (${d.differences.map(({ what }) => what).join(', ')})`;
};

/** Workflow commands: a message is one line. */
const github: Lines = (v) => {
  const { verdict } = v;
  if (verdict.disagreement === undefined)
    return [`::notice title=komulator::${title(v)}: ${count(verdict.runs, 'case')} agree (seed ${verdict.seed})`];
  const escaped = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return [`::error title=komulator::${escaped([summary(v), ...plain(v)].join('\n'))}`];
};

export const reporters: Readonly<Record<Reporter, Lines>> = { pretty, json, tap, junit, github };
