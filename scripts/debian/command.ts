/** What the three commands here share: names in, progress on stderr, results on stdout, exit codes. */

import type { Log } from './apt.ts';
import { Unavailable } from './cache.ts';

/**
 * Runs `fetch` for each name on the command line (`all` = every known one) and prints the results as one JSON
 * document. Gives the exit code: 0, 2 = wrong use, 3 = something was unavailable; the other names are still tried.
 */
export async function fetchNames(
  script: string,
  known: Readonly<Record<string, unknown>>,
  fetch: (name: string, refresh: boolean, log: Log) => Promise<unknown>,
): Promise<number> {
  const args = process.argv.slice(2);
  const refresh = args.includes('--refresh');
  const asked = args.filter((arg) => arg !== '--refresh');
  const names = asked.includes('all') ? Object.keys(known) : asked;
  const unknown = names.filter((name) => known[name] === undefined);
  if (names.length === 0 || unknown.length > 0) {
    for (const name of unknown) console.error(`unknown name: ${name}`);
    console.error(`usage: node scripts/debian/${script} [--refresh] all | ${Object.keys(known).join(' | ')} …`);
    return 2;
  }
  const results: unknown[] = [];
  let status = 0;
  for (const name of names) {
    try {
      results.push(await fetch(name, refresh, (line) => console.error(line)));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      console.error(`unavailable: ${name}: ${error.message}`);
      status = 3;
    }
  }
  console.log(JSON.stringify(results, null, 2));
  return status;
}
