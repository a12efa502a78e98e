/** docs/planted-faults.md: what was planted, and how soon it was found. It is read, too, to go on from. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

export interface Planted {
  readonly arch: string;
  readonly name: string;
  readonly file: string;
  readonly function: string;
  readonly line: number;
  /** Absent: nothing found it. */
  readonly found?: { readonly seconds: number; readonly cases: number; readonly relocations: number };
  /** Why nothing could find it. */
  readonly why?: string;
}

const row = ({ arch, name, file, function: where, line, found, why }: Planted): string => {
  const end =
    why ?? (found === undefined ? 'not found' : `${found.seconds.toFixed(1)} | ${found.cases} | ${found.relocations}`);
  return `| ${arch} | ${name} | ${file.replace(/^arch\//, '')}:${line} | ${where === '' ? '–' : where} | ${end} |`;
};

export function readTable(path: string): Planted[] {
  if (!existsSync(path)) return [];
  return [...readFileSync(path, 'utf8').matchAll(/^\| ([\w-]+) \| ([^|]+) \| (\S+):(\d+) \| (\S+) \| (.*) \|$/gm)].map(
    (match) => {
      const [, arch = '', name = '', file = '', line = '', where = '', end = ''] = match;
      const [seconds = '', cases, relocations] = end.split(' | ');
      const common = { arch, name, file: `arch/${file}`, function: where === '–' ? '' : where, line: Number(line) };
      if (relocations !== undefined)
        return {
          ...common,
          found: { seconds: Number(seconds), cases: Number(cases), relocations: Number(relocations) },
        };
      return end === 'not found' ? common : { ...common, why: end };
    },
  );
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;

/** One line for an architecture. */
function summary(arch: string, rows: readonly Planted[]): string {
  const real = rows.filter(({ why }) => why === undefined);
  const found = real.map((x) => x.found).filter((x) => x !== undefined);
  const seconds = found.map((x) => x.seconds);
  const cases = found.map((x) => x.cases);
  const most = Math.max(...found.map((x) => x.relocations));
  return `| ${arch} | ${real.length} | ${found.length} | ${median(seconds).toFixed(1)} | ${Math.max(...seconds).toFixed(1)} | ${median(cases)} | ${Math.max(...cases)} | ${most} |`;
}

/** `order`: names of all ports, as the table has them. */
export function writeTable(path: string, all: readonly Planted[], order: readonly string[]): void {
  const arches = order.filter((arch) => all.some((x) => x.arch === arch));
  const sorted = arches.flatMap((arch) => all.filter((x) => x.arch === arch));
  const real = sorted.filter(({ why }) => why === undefined);
  const found = real.filter((x) => x.found !== undefined);
  const lost = real.filter((x) => x.found === undefined);
  const harmless = sorted.filter(({ why }) => why !== undefined);
  const text = `# Planted faults

How good are the cases that \`komulator port verify\` generates? Each row is a copy of the handlers of Linux 7.2 with one
mistake in one line, of the kinds that people make. The mistakes and the lines are drawn by a seed; none is chosen by
hand, and no two of an architecture are in the same line while it has others. \`port verify\` is then asked for its verdict, with 60 seconds
of time on one core of a small machine that has other work too, and shrinks what it finds.

Written by \`npm run plant-faults -- --write\` (a kernel tree, \`--only ARCH\`, \`--faults N\` and \`--seed N\` can be
given). A mistake that compiles to the very same code is none, and is passed over.

**${found.length} of ${real.length} faults on ${arches.length} ports were found**, half of them within ${median(found.map((x) => x.found!.cases))} cases and ${median(found.map((x) => x.found!.seconds)).toFixed(1)} s, shrinking included; none has more than
${Math.max(...found.map((x) => x.found!.relocations))} relocations after shrinking.

| port | faults | found | s, median | s, most | cases, median | cases, most | relocations, most |
| --- | --: | --: | --: | --: | --: | --: | --: |
${arches
  .map((arch) =>
    summary(
      arch,
      all.filter((x) => x.arch === arch),
    ),
  )
  .join('\n')}

## Found

| port | fault | where | function | s | cases | relocations |
| --- | --- | --- | --- | --: | --: | --: |
${found.map(row).join('\n')}
${
  lost.length === 0
    ? ''
    : `
## Not found

| port | fault | where | function | |
| --- | --- | --- | --- | --- |
${lost.map(row).join('\n')}
`
}
## Passed over

Drawn too, and passed over: no module that loads can tell the difference, or none of less than three relocations.

| port | fault | where | function | why |
| --- | --- | --- | --- | --- |
${harmless.map(row).join('\n')}
`;
  writeFileSync(path, text);
}
