/** Going on to an older build: while a mirror syncs, its package list names builds that its pool does not have. */

import type { Log } from './apt.ts';
import { Unavailable } from './cache.ts';

/** What was downloaded, of which build. */
export interface Delivery<Build> {
  readonly build: Build;
  /** Paths of the .deb files. */
  readonly debs: readonly string[];
  /** A sentence for each newer build that could not be had. */
  readonly warnings: readonly string[];
}

/** A pool lags by one upload or two; when it lacks more, something is wrong that older builds do not mend. */
const MOST_BUILDS = 3;

/** apt's words for a mirror that did not answer at all. */
const NO_ANSWER = /could not connect|unable to connect|connection (?:failed|refused|timed out)|resolv/i;

/**
 * Downloads the first of `builds`, newest first, that the mirror delivers. Throws Unavailable with every reason when
 * none of the first three is, or when the mirror does not answer.
 */
export async function downloadNewest<Build extends { readonly version: string }>(
  builds: readonly Build[],
  download: (build: Build) => Promise<readonly string[]>,
  log: Log,
): Promise<Delivery<Build>> {
  const missing: string[] = [];
  const reasons: string[] = [];
  for (const build of builds.slice(0, MOST_BUILDS)) {
    try {
      const debs = await download(build);
      const warnings = missing.map((newer) => `${newer} could not be downloaded: ${build.version} is used instead`);
      for (const warning of warnings) log(warning);
      return { build, debs, warnings };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      missing.push(build.version);
      reasons.push(error.message);
      // apt waits up to minutes for each file, and would for those of every other build.
      if (NO_ANSWER.test(error.message)) break;
    }
  }
  throw new Unavailable(reasons.join('\n'));
}
