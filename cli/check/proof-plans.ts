/**
 * What an architecture does besides its rows, as far as a proof needs it: calculations that cannot fail, calls whose
 * PLT entries were counted, pairs, sums. An architecture that is not here and has hooks of its own has no proof.
 */
import type { Version } from '../../relocs/module-view.ts';

/** How entries of the PLT are shared: there is none, by neighbours in sorted order, by all calls of a module. */
export type CallSlots = 'none' | 'neighbours' | 'module';

export interface Plan {
  /** Types whose calculation is none of the plain ones and cannot fail. */
  readonly harmless?: readonly number[];
  /** Types that nothing refuses as long as the value is the plain one. */
  readonly direct?: readonly number[];
  /** Calls of an executable section that get an entry of the PLT out of reach, in the order of sorting. */
  readonly calls?: readonly number[];
  readonly callSlots?: CallSlots;
  /** Types that take an entry of the GOT, and those that need one that has been taken. */
  readonly got?: readonly number[];
  readonly gotAgain?: readonly number[];
  /** Types that go through a table in front of the text, which has an entry for each symbol. */
  readonly table?: readonly number[];
  /** And those that only do so out of reach. */
  readonly directOrTable?: readonly number[];
  /** High and low halves of pairs. */
  readonly high?: readonly number[];
  readonly low?: readonly number[];
  /** Steps of sums; summed apart since 6.7. */
  readonly sums?: readonly number[];
  /** Sections without which it refuses a module. */
  readonly needs?: (version: Version) => readonly string[];
  /** And those that it rewrites where they are there. */
  readonly rewrites?: readonly string[];
  readonly looksAtAll?: boolean;
}

export const plans: Readonly<Record<string, Plan>> = {
  arm64: {
    // The low 12 bits of an address.
    harmless: [277, 278, 284, 285, 286, 299],
    calls: [282, 283],
    callSlots: 'neighbours',
    needs: (version) => [
      '.plt',
      '.init.plt',
      '.text.ftrace_trampoline',
      ...(version === '6.1' ? [] : ['.init.text.ftrace_trampoline']),
    ],
  },
  riscv64: {
    direct: [19, 59],
    high: [23],
    low: [24, 25],
    // Without SET_ULEB128, which does not end for a negative sum.
    sums: [33, 34, 35, 36, 37, 38, 39, 40, 52, 53, 54, 55, 56],
    needs: (version) => (version === '6.12' ? [] : ['.plt', '.got', '.got.plt']),
  },
  loongarch64: {
    // Pages, which wrap, and words that are added to.
    harmless: [71, 73, 74],
    sums: [50, 51, 55, 56],
    calls: [66],
    callSlots: 'module',
    got: [75],
    gotAgain: [76],
    needs: () => ['.plt', '.got', '.plt.idx'],
    rewrites: ['.ftrace_trampoline'],
  },
  s390x: {
    table: [26],
    directOrTable: [20],
    looksAtAll: true,
  },
};
