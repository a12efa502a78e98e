/**
 * Numbers and booleans from text: lib/kstrtox.c. Strings are C strings held one byte a character.
 *
 * Bases by prefix: 0x and a hex digit, a leading 0 for octal, else decimal. One newline may end the text. The three
 * versions differ only in the words of kstrtobool().
 */

import type { Version } from '../relocs/module-view.ts';
import { compareVersions } from '../relocs/module-view.ts';

export type KstrtoError = 'EINVAL' | 'ERANGE';

const ULLONG_MAX = (1n << 64n) - 1n;

/** kstrtoull(s, 0): [0, 2^64), one leading + allowed. */
export function kstrtoull(s: string): bigint | KstrtoError {
  return unsigned(s.startsWith('+') ? s.slice(1) : s);
}

/** kstrtoll(s, 0): [-2^63, 2^63). */
export function kstrtoll(s: string): bigint | KstrtoError {
  if (!s.startsWith('-')) return within(kstrtoull(s), 0n, 1n << 63n);
  const magnitude = unsigned(s.slice(1));
  return typeof magnitude === 'bigint' ? within(-magnitude, -(1n << 63n), 1n) : magnitude;
}

/** kstrtou8, kstrtou16, kstrtouint, kstrtoul: what fits `bits` bits, else ERANGE. */
export function kstrtou(s: string, bits: number): bigint | KstrtoError {
  return within(kstrtoull(s), 0n, 1n << BigInt(bits));
}

/** kstrtos16, kstrtoint, kstrtol: what fits `bits` bits with sign, else ERANGE. */
export function kstrtos(s: string, bits: number): bigint | KstrtoError {
  const half = 1n << BigInt(bits - 1);
  return within(kstrtoll(s), -half, half);
}

/**
 * kstrtobool(): the first character decides, for `o` the first two. 7.2 also knows enable and disable by their first
 * letters.
 */
export function kstrtobool(s: string, version: Version): boolean | 'EINVAL' {
  const first = s.slice(0, 1).toLowerCase();
  const first2 = s.slice(0, 2).toLowerCase();
  if ('yt1'.includes(first) && first !== '') return true;
  if ('nf0'.includes(first) && first !== '') return false;
  if (first2 === 'on') return true;
  if (first2 === 'of') return false;
  if (compareVersions(version, '7.2') >= 0) {
    if (first === 'e') return true;
    if (first === 'd') return false;
  }
  return 'EINVAL';
}

/** Half-open [lo, hi), an error passed through. */
function within(value: bigint | KstrtoError, lo: bigint, hi: bigint): bigint | KstrtoError {
  if (typeof value !== 'bigint') return value;
  return value >= lo && value < hi ? value : 'ERANGE';
}

/** _kstrtoull(): overflow is told before what follows the digits is looked at. */
function unsigned(s: string): bigint | KstrtoError {
  const hex = /^0[xX][0-9a-fA-F]/.test(s);
  const base = hex ? 16 : s.startsWith('0') ? 8 : 10;
  const start = hex ? 2 : 0;
  let end = start;
  while (end < s.length && digit(s.charCodeAt(end)) < base) end++;
  if (end === start) return 'EINVAL';
  const value = parse(s.slice(start, end), base);
  if (value > ULLONG_MAX) return 'ERANGE';
  const rest = s.slice(end);
  return rest === '' || rest === '\n' ? value : 'EINVAL';
}

/** Stops once the value cannot fit any more, so that a long run of digits costs no quadratic time. */
function parse(digits: string, base: number): bigint {
  let value = 0n;
  for (let i = 0; i < digits.length && value <= ULLONG_MAX; i++) {
    value = value * BigInt(base) + BigInt(digit(digits.charCodeAt(i)));
  }
  return value;
}

function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : 99;
}
