/** Taint flags (include/linux/panic.h): bit, letter, and whether /proc/modules showed it before 7.2. */
export const taints = {
  PROPRIETARY_MODULE: { bit: 0, letter: 'P', module: true },
  FORCED_MODULE: { bit: 1, letter: 'F', module: true },
  FORCED_RMMOD: { bit: 3, letter: 'R', module: false },
  USER: { bit: 6, letter: 'U', module: false },
  CRAP: { bit: 10, letter: 'C', module: true },
  OOT_MODULE: { bit: 12, letter: 'O', module: true },
  UNSIGNED_MODULE: { bit: 13, letter: 'E', module: true },
  LIVEPATCH: { bit: 15, letter: 'K', module: true },
  TEST: { bit: 18, letter: 'N', module: true },
} as const;

export type Taint = keyof typeof taints;

/** module_flags_taint(): the letters of a module's taints, in bit order. */
export const taintLetters = (set: ReadonlySet<Taint>): string =>
  (Object.keys(taints) as Taint[])
    .filter((t) => set.has(t))
    .map((t) => taints[t].letter)
    .join('');
