/** What a run of test:ports says: a table for the terminal, and the one between the marks of docs/ports.md. */
import type { Planned } from './plan.ts';

/** One port, built, asked and compared. */
export interface Compared extends Planned {
  /** The tree's own version: '7.2.0'. */
  readonly kernel: string;
  /** First line of what the compiler calls itself. */
  readonly compiler: string;
  /** What runs it: 'qemu-riscv64 7.2.22', or 'the machine itself'. */
  readonly emulator: string;
  /** Relocation types of the table, and those that some case had. */
  readonly types: number;
  readonly reached: number;
  readonly cases: number;
  /** Cases that agree on return value, log and every byte. */
  readonly agree: number;
  /** Cases in which a wild access to memory hit memory by chance. */
  readonly notCompared: number;
  /** Recorded cases, and those that came out as they were recorded. */
  readonly recorded: number;
  readonly replayed: number;
  /** Basic blocks of the handlers' C that ran, of those in functions that did, when the compiler can tell. */
  readonly blocks: { readonly reached: number; readonly of: number } | undefined;
  /** Seconds for building and for the cases. */
  readonly building: number;
  readonly seconds: number;
}

/** One port that was not compared, and why. */
export interface Untold extends Planned {
  /** skipped: the machine lacks something. failed: it has everything, and the port does not come to be or to answer. */
  readonly how: 'skipped' | 'failed';
  readonly why: string;
}

export type Result = Compared | Untold;

const isUntold = (result: Result): result is Untold => 'why' in result;
const isCompared = (result: Result): result is Compared => !isUntold(result);
const first = (text: string): string => text.split('\n')[0]!;
const n = (count: number): string => count.toLocaleString('en-US');

const columns = 'architecture,kernel,types reached,blocks run,cases,agree,not compared,recorded,seconds'.split(',');

const cells = (r: Compared): string[] => [
  r.arch,
  r.kernel,
  `${r.reached} of ${r.types}`,
  r.blocks === undefined ? '–' : `${r.blocks.reached} of ${r.blocks.of}`,
  n(r.cases),
  n(r.agree),
  n(r.notCompared),
  r.recorded === 0 ? '–' : `${n(r.replayed)} of ${n(r.recorded)}`,
  r.seconds.toFixed(1),
];

/** Aligned for a terminal, what was skipped below it. */
export function tableText(results: readonly Result[]): string {
  const rows = [columns, ...results.filter(isCompared).map(cells)];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return [
    ...rows.map((row) =>
      row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    ),
    ...results
      .filter(isUntold)
      .map(({ arch, series, how, why }) => `${how.toUpperCase()} ${arch} ${series}: ${first(why)}`),
  ].join('\n');
}

/** Whether a port agrees with the reference, and with what was recorded of it. */
export const isWell = (r: Compared): boolean => r.agree + r.notCompared === r.cases && r.replayed === r.recorded;

/** The exit code, and the line that .ci/run counts or, after exit code 3, shows. */
export function closing(results: readonly Result[]): { readonly code: 0 | 1 | 3; readonly line: string } {
  const passed = results.filter((r) => isCompared(r) && isWell(r)).length;
  const skipped = results.filter((r) => isUntold(r) && r.how === 'skipped');
  const failed = results.length - passed - skipped.length;
  if (passed + failed === 0) {
    const [one] = skipped.filter(isUntold);
    return { code: 3, line: `no port could be run: ${one === undefined ? 'none was asked for' : first(one.why)}` };
  }
  const line = `${passed} passed, ${failed} failed`;
  return { code: failed > 0 ? 1 : 0, line: skipped.length > 0 ? `${line}, ${skipped.length} skipped` : line };
}

/** What built and ran them: 'COMPILER' → ports. */
function grouped(results: readonly Compared[], by: (r: Compared) => string): string[] {
  const groups = new Map<string, Set<string>>();
  for (const r of results) groups.set(by(r), (groups.get(by(r)) ?? new Set()).add(r.arch));
  return [...groups].map(([what, names]) => `| ${what} | ${[...names].join(', ')} |`);
}

const BEGIN = '<!-- made by npm run test:ports -- --write -->';
const END = '<!-- end of what is made -->';

/** The text of docs/ports.md with the tables of this run in it. Throws RangeError when its marks are gone. */
export function written(
  document: string,
  results: readonly Result[],
  seed: number,
  without: ReadonlyMap<string, string>,
): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new RangeError(`the document lacks ${BEGIN} or ${END}`);
  const compared = results.filter(isCompared);
  const sum = (of: (r: Compared) => number): string => n(compared.reduce((all, r) => all + of(r), 0));
  const made = [
    BEGIN,
    '',
    `${compared.length} ports, ${sum((r) => r.cases)} generated cases of seed ${seed}: ${sum((r) => r.agree)} agree on return`,
    `value, stage, log, WARNs and every byte, ${sum((r) => r.notCompared)} are not compared. ${sum((r) => r.replayed)} of ${sum((r) => r.recorded)} recorded cases came out as they were`,
    'recorded.',
    '',
    `| ${columns.join(' | ')} |`,
    `|${columns.map((_, i) => (i < 2 ? '---' : '--:')).join('|')}|`,
    ...compared.map((r) => `| ${cells(r).join(' | ')} |`),
    ...results
      .filter(isUntold)
      .map(({ arch, series, how, why }) => `| ${arch} | ${series} | ${how}: ${first(why)} | | | | | | |`),
    '',
    '| compiler | ports |',
    '|---|---|',
    ...grouped(compared, (r) => r.compiler),
    '',
    '| run by | ports |',
    '|---|---|',
    ...grouped(compared, (r) => r.emulator),
    '',
    '| no port | why |',
    '|---|---|',
    ...[...without].map(([arch, why]) => `| ${arch} | ${why} |`),
    '',
    END,
  ];
  return `${document.slice(0, from)}${made.join('\n')}${document.slice(to + END.length)}`;
}
