/** What sets modules apart from the kernel of their tree, and a kernel from its tree. */
import type { Cause, Finding, Warning } from './findings.ts';
import type { Link } from './link.ts';
import { E_FLAGS, STRUCT_SIZE, VERMAGIC } from './records.ts';
import type { TreeKernel } from './tree-kernel.ts';

interface Oddity {
  readonly i: number;
  /** What is odd, as the rest of a sentence that begins with the module. */
  readonly what: string;
}

/** Modules that are built for another kernel than most. */
export function oddities(link: Link, { head }: TreeKernel): Oddity[] {
  const { vermagic, structModuleSize, e_flags } = head;
  const odd = (word: number, value: number, what: (other: number) => string): Oddity[] =>
    link.others(word, value).map((i) => ({ i, what: what(link.field(i, word)) }));
  const hex = (flags: number): string => `0x${(flags >>> 0).toString(16)}`;
  return [
    ...odd(VERMAGIC, link.names.of(vermagic), (other) => `is built for ${link.names.name(other).trim()}`),
    ...odd(STRUCT_SIZE, structModuleSize, (other) => `has a struct module of ${other} bytes, not ${structModuleSize}`),
    ...odd(E_FLAGS, e_flags | 0, (other) => `has e_flags ${hex(other)}, not ${hex(e_flags)}`),
  ];
}

/** Those among them that are taken all the same. */
export function oddWarnings(link: Link, kernel: TreeKernel, isTaken: (i: number) => boolean): Warning[] {
  return oddities(link, kernel)
    .filter(({ i }) => isTaken(i))
    .map(({ i, what }) => ({
      kind: 'odd',
      module: link.name(i),
      text: `${link.name(i)} ${what}, and loads all the same`,
    }));
}

const STRANGE: ReadonlySet<Cause> = new Set(['missing-symbol', 'crc', 'dependency']);

/** Where most modules want other symbols it is hardly they who are wrong. */
export function strangeSymvers(symvers: string, failed: readonly Finding[], checked: number): string[] {
  const strange = failed.filter(({ cause }) => STRANGE.has(cause)).length;
  return strange * 2 > checked ? [`most modules want other symbols than ${symvers} lists: is it this kernel's?`] : [];
}
