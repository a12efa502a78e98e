/** A file of findings that are known and accepted. */
import { readFileSync, writeFileSync } from 'node:fs';
import { InputError } from '../../loader/input-error.ts';
import { fileError } from '../file-error.ts';
import { type CheckResult, type Finding, keyOf } from './findings.ts';

interface Baseline {
  readonly version: 1;
  /** keyOf() each. */
  readonly findings: readonly string[];
}

/** Takes what the baseline knows out of the findings. `isWhole`: what is not among them is gone. */
export function withBaseline(result: CheckResult, file: string, isWhole: boolean): CheckResult {
  const known = new Set(read(file).findings);
  const isKnown = (finding: Finding): boolean => known.has(keyOf(finding));
  const found = new Set(result.failed.map(keyOf));
  return {
    ...result,
    failed: result.failed.filter((finding) => !isKnown(finding)),
    accepted: result.failed.filter(isKnown),
    gone: result.interrupted || !isWhole ? [] : [...known].filter((key) => !found.has(key)),
  };
}

/** Throws InputError where it cannot be written. */
export function writeBaseline(result: CheckResult, file: string): void {
  const baseline: Baseline = { version: 1, findings: result.failed.map(keyOf).toSorted() };
  try {
    writeFileSync(file, `${JSON.stringify(baseline, null, 2)}\n`);
  } catch (error) {
    throw fileError(file, error);
  }
}

function read(file: string): Baseline {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError(file, error);
  }
  try {
    const baseline = JSON.parse(text) as Baseline;
    if (baseline.version === 1 && Array.isArray(baseline.findings)) return baseline;
  } catch {
    // Said below.
  }
  throw new InputError(`${file}: is no baseline that --write-baseline wrote`, { file });
}
