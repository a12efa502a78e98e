/** Choosing packages: pure functions over names and versions. */

import type { KernelRow } from './table.ts';

/** The packages of one kernel build. */
export interface KernelPackages {
  /** Kernel version as in `lib/modules/VERSION`, flavour included. */
  readonly version: string;
  /** Modules, config, System.map, and the headers for `Module.symvers`. */
  readonly packages: readonly string[];
}

/**
 * Order of two Debian version strings (deb-version(7)): negative, zero or positive. Runs of non-digits compare with `~`
 * before the end and letters before other characters; runs of digits compare as numbers; an epoch comes first.
 */
export function compareVersions(a: string, b: string): number {
  const [epochA, restA] = splitEpoch(a);
  const [epochB, restB] = splitEpoch(b);
  if (epochA !== epochB) return epochA - epochB;
  const runsA: string[] = restA.match(/\D+|\d+/g) ?? [];
  const runsB: string[] = restB.match(/\D+|\d+/g) ?? [];
  // Both lists must alternate from a non-digit run, possibly empty.
  if (/^\d/.test(restA)) runsA.unshift('');
  if (/^\d/.test(restB)) runsB.unshift('');
  for (let i = 0; i < Math.max(runsA.length, runsB.length); i++) {
    const runA = runsA[i] ?? '';
    const runB = runsB[i] ?? '';
    const order = i % 2 === 0 ? compareText(runA, runB) : compareDigits(runA, runB);
    if (order !== 0) return order;
  }
  return 0;
}

/**
 * The newest kernel of `row` among package `names`, or undefined. The image may be signed or `-unsigned`, whichever
 * exists, signed first; a version without its headers is passed over.
 */
export function pickKernel(names: Iterable<string>, row: KernelRow): KernelPackages | undefined {
  return kernelCandidates(names, row)[0];
}

/** Every build of `row` that has an image and headers, newest first. */
export function kernelCandidates(names: Iterable<string>, row: KernelRow): KernelPackages[] {
  const known = new Set(names);
  // 6.1.0-56, 6.12.90+deb13.1, 7.2.13+deb14: no dash but the ABI number's, so that rt, cloud and 16k stay out.
  const pattern = new RegExp(
    `^linux-image-(${escape(row.series)}\\.\\d+(?:-\\d+)?(?:[+~][\\w.+~]+)?-${escape(row.flavour)})(?:-unsigned)?$`,
  );
  const found = new Map<string, KernelPackages>();
  for (const image of known) {
    const version = pattern.exec(image)?.[1];
    if (version === undefined) continue;
    const headers = `linux-headers-${version}`;
    if (!known.has(headers)) continue;
    if (image.endsWith('-unsigned') && known.has(`linux-image-${version}`)) continue;
    // Newer suites split the image: it only depends on these.
    const parts = [`linux-modules-${version}`, `linux-base-${version}`].filter((part) => known.has(part));
    found.set(version, { version, packages: [image, ...parts, headers] });
  }
  return [...found.values()].toSorted((a, b) => compareVersions(b.version, a.version));
}

/** Fields of the first stanza of `apt-cache show`. */
export function parseStanza(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (line === '') break;
    const match = /^([\w-]+): ?(.*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) fields[match[1]] = match[2];
  }
  return fields;
}

/** The two archives Debian publishes a suite in. */
export interface Mirrors {
  readonly main: string;
  readonly security: string | undefined;
}

/**
 * Mirrors this machine already uses, from `apt-get indextargets` lines of `REPO_URI RELEASE`: whatever it trusts for
 * its own release serves the other suites too. Undefined when it has no Debian archive.
 */
export function pickMirrors(lines: readonly string[]): Mirrors | undefined {
  const rows = lines.map((line) => line.trim().split(/\s+/));
  const find = (uri: RegExp, release: RegExp): string | undefined =>
    rows.find((row) => uri.test(row[0] ?? '') && release.test(row[1] ?? ''))?.[0];
  const main = find(/\/debian\/?$/, /^[a-z]+$/);
  if (main === undefined) return undefined;
  return { main, security: find(/\/debian-security\/?$/, /-security$/) };
}

function splitEpoch(version: string): [number, string] {
  const colon = version.indexOf(':');
  return colon < 0 ? [0, version] : [Number(version.slice(0, colon)), version.slice(colon + 1)];
}

function compareText(a: string, b: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = weight(a[i]) - weight(b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
}

function compareDigits(a: string, b: string): number {
  const difference = BigInt(a) - BigInt(b);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

function escape(text: string): string {
  return text.replace(/[.+]/g, '\\$&');
}
