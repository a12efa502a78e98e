/** The one assertion elfy makes, for bundles where Node's `assert` does not exist. Throws Error. */
export function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${String(actual)} is not ${String(expected)}`);
}
