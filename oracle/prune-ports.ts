/** Keeps the cache of ports small: every edit of a handler makes another port, and nobody would remove the old ones. */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

const HOUR = 3_600_000;
/** Of one architecture and version: so many are kept, unless nobody has used them for so long. */
const KEPT = 3;
const UNUSED = 14 * 24 * HOUR;
/** What was used a moment ago may be running. */
const RUNNING = HOUR;

/** What is touched by every use: a port's manifest, a build folder's mark. */
const marks = { port: 'port.json', build: '.komulator' } as const;

/** Remembers that a port and its build folder were used now. A cache that cannot be written is as good. */
export async function touchPort(port: string, build: string): Promise<void> {
  const now = new Date();
  await Promise.allSettled([utimes(join(port, marks.port), now, now), utimes(join(build, marks.build), now, now)]);
}

/**
 * Removes ports and build folders of one `VERSION-ARCH` from a cache: those beyond the last three used, those not used
 * for 14 days, and what a build that was killed has left; never what was used within the hour. Gives their paths.
 */
export async function prunePorts(cache: string, name: string, now: number = Date.now()): Promise<string[]> {
  const removed: string[] = [];
  for (const [folder, mark, digits] of [
    [cache, marks.port, 16],
    [join(cache, 'build'), marks.build, 10],
  ] as const) {
    const pattern = new RegExp(`^[0-9a-f]{${digits}}(\\.\\d+)?$`);
    const isOne = (entry: string): boolean =>
      entry.startsWith(`${name}-`) && pattern.test(entry.slice(name.length + 1));
    const names = (await readdir(folder).catch(() => [])).filter(isOne);
    const used = await Promise.all(
      names.map(async (entry) => [entry, await lastUsed(join(folder, entry), mark)] as const),
    );
    let kept = 0;
    for (const [entry, when] of used.toSorted((a, b) => b[1] - a[1])) {
      const age = now - when;
      const whole = !entry.slice(name.length).includes('.');
      if (age <= RUNNING || (whole && kept < KEPT && age <= UNUSED)) {
        if (whole) kept++;
        continue;
      }
      await rm(join(folder, entry), { recursive: true, force: true });
      removed.push(join(folder, entry));
    }
  }
  return removed;
}

/** Milliseconds of the clock; of a folder that was never finished, when it was begun. */
async function lastUsed(folder: string, mark: string): Promise<number> {
  const found = await stat(join(folder, mark)).catch(() => stat(folder).catch(() => undefined));
  return found?.mtimeMs ?? 0;
}
