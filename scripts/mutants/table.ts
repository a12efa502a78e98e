/** docs/historic-bugs.md, out of the declarations. */
import type { Bug } from '../../test/mutants/bug.ts';
import { killerOf } from '../../test/mutants/bug.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

export function historicBugsPage(bugs: readonly Bug[]): string {
  const [again, beyond] = [
    bugs.filter(({ mutants }) => mutants !== undefined),
    bugs.filter(({ because }) => because !== undefined),
  ];
  const mutants = again.flatMap((bug) => bug.mutants!);
  const count = (letter: string): string => {
    const of = (some: readonly Bug[]): number => some.filter(({ scope }) => scope.some((s) => s === letter)).length;
    return `${of(again)} of ${of(bugs)}`;
  };
  const rows = again.flatMap(({ id, scope, arch, fixed, wrong, mutants: all = [] }) =>
    all.map((mutant, n) => {
      const { file, title } = killerOf(mutant);
      const first = n === 0 ? [id, scope.join(' '), arch, fixed, wrong] : ['', '', '', '', ''];
      return `| ${[...first, mutant.file, `${file}: ${title}`].map(cell).join(' | ')} |`;
    }),
  );
  return [
    '# Bugs that Linux once had',
    '',
    `${bugs.length} bugs of the module loader and of relocation handlers, all mended long ago or lately. ${again.length} of`,
    `them are made again here, one small change of our source each (${mutants.length} changes: some bugs have several`,
    'faces), and a test must fail for every one: `npm run test:mutants` makes them, one after the other, in the loader of',
    'the test runner, and writes nothing. The others need something that is not modelled, and the reason stands with each.',
    'The declarations are in `test/mutants`; this page is made from them (`npm run test:mutants -- --docs`).',
    '',
    `Made again: of handlers (R) ${count('R')}, of the loader (L) ${count('L')}, of states and interleavings (S)`,
    `${count('S')}, of build tools (X) ${count('X')}. Some are of two kinds.`,
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
    ...beyond.map(
      ({ id, scope, arch, fixed, wrong, because }) =>
        `| ${[id, scope.join(' '), arch, fixed, wrong, because!].map(cell).join(' | ')} |`,
    ),
    '',
  ].join('\n');
}
