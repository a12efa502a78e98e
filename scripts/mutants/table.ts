/** docs/historic-bugs.md, out of the declarations. */
import { type Bug, killerOf } from '../../test/mutants/bug.ts';

const row = (...cells: readonly string[]): string =>
  `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;

export function historicBugsPage(bugs: readonly Bug[]): string {
  const again = bugs.filter(({ because }) => because === undefined);
  const beyond = bugs.filter(({ because }) => because !== undefined);
  const mutants = again.flatMap((bug) => bug.mutants ?? []).length;
  const count = (letter: string): string => {
    const of = (some: readonly Bug[]): number => some.filter(({ scope }) => scope.some((s) => s === letter)).length;
    return `${of(again)} of ${of(bugs)}`;
  };
  const rows = again.flatMap(({ id, scope, arch, fixed, wrong, mutants: all = [], history }) => {
    const ways = all.map((mutant): [string, string] => {
      const { file, title } = killerOf(mutant);
      return [mutant.file, `${file}: ${title}`];
    });
    if (history !== undefined)
      ways.push([`testing/history, ${history.day}`, `the explorer: fixtures/scenarios/${history.scenario}.json`]);
    return ways.map((way, n) =>
      row(...(n === 0 ? [id, scope.join(' '), arch, fixed, wrong] : ['', '', '', '', '']), ...way),
    );
  });
  return [
    '# Bugs that Linux once had',
    '',
    `${bugs.length} bugs of the module loader and of relocation handlers, all mended long ago or lately. ${again.length} of them are made`,
    `again here: by small changes of our source, ${mutants} in all, for some bugs have several faces, or by a kernel of the day`,
    'that had them. For every change a test must fail: `npm run test:mutants` makes them, one after the other, as the test',
    'runner loads the source, and writes nothing. Of the kernels of history `test/testing/history.test.ts` sees that the',
    'explorer finds them broken (docs/history.md). The other bugs need something that is not modelled; the reason stands with',
    'each. The declarations are in `test/mutants`, and this page is made from them (`npm run test:mutants -- --docs`).',
    '',
    `Made again: of handlers (R) ${count('R')}, of the loader (L) ${count('L')}, of states and interleavings (S) ${count('S')},`,
    `of build tools (X) ${count('X')}. Some are of two kinds.`,
    '',
    '## Made again, and found',
    '',
    '| bug | kind | of | mended | what was wrong | changed here | found by |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
    '## Not made again',
    '',
    '| bug | kind | of | mended | what was wrong | why not |',
    '|---|---|---|---|---|---|',
    ...beyond.map(({ id, scope, arch, fixed, wrong, because }) =>
      row(id, scope.join(' '), arch, fixed, wrong, because ?? ''),
    ),
    '',
  ].join('\n');
}
