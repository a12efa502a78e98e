/**
 * Why the kernel's bytes and a linker's may differ where both are right. A cause is a predicate over relocation type,
 * section and values, as narrow as can be: a detour is followed to its end on both sides. What no cause explains is a
 * mistake of one of the two.
 */
import { STB_WEAK } from '../relocs/elf.ts';
import { compareVersions, type ModuleView } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';
import { branches, type Branches, goesToSlot, type Slots } from './detours.ts';
import type { Difference, RelocationAt } from './differences.ts';

/** One place where the two disagree, and what is known about it. */
export interface Differing {
  /** Just relocated, its memory in place. */
  readonly module: ModuleView;
  readonly arch: string;
  readonly section: Section;
  /** Whether `section` is the per-CPU section. */
  readonly percpu: boolean;
  /** The section as it is in the file. */
  readonly unrelocated: Uint8Array;
  readonly difference: Difference;
  /** The one relocation that wrote here; undefined when none did, or several. */
  readonly relocation: RelocationAt | undefined;
  /** S, A and P of `relocation` (0 without one), and its symbol's binding. */
  readonly S: bigint;
  readonly A: bigint;
  readonly P: bigint;
  readonly bind: number;
  /** What the kernel and the linker wrote there, from P on. */
  readonly kernels: Uint8Array;
  readonly linked: Uint8Array;
  /** Bytes of the linker's thunks, GOT and PLT from an address on: several may lie there. */
  readonly linkersAt: (address: bigint) => readonly Uint8Array[];
  /** What the two GOTs hold. */
  readonly kernelsSlots: Slots;
  readonly linkersSlots: Slots;
}

export interface Cause {
  readonly name: string;
  readonly explains: (d: Differing) => boolean;
  /** Types whose complaints "out of range" of the linker this cause explains. */
  readonly outOfRange?: RegExp;
}

const branchOf = (d: Differing): Branches | undefined => {
  const found = branches[d.arch];
  return d.relocation !== undefined && found?.types.includes(d.relocation.type) ? found : undefined;
};

const destination = (d: Differing): bigint => BigInt.asUintN(d.module.format.is64 ? 64 : 32, d.S + d.A);

/** Whether a branch of the kernel leads to `to` by an entry of its PLT. */
const byPlt = (b: Branches, d: Differing, to: bigint): boolean => {
  const entry = b.target(d.kernels, d.P);
  const plt = d.module.sections.find(
    (s) => b.plt.test(s.name) && entry >= s.sh_addr && entry < s.sh_addr + BigInt(s.sh_size),
  );
  return plt !== undefined && b.entry(plt.bytes.subarray(Number(entry - plt.sh_addr)), entry) === to;
};

export const causes: readonly Cause[] = [
  {
    name: 'a branch beyond its reach takes a PLT entry of the kernel, a thunk of the linker',
    explains: (d) => {
      const b = branchOf(d);
      if (b?.thunk === undefined || b.reaches(destination(d) - d.P) || !byPlt(b, d, destination(d))) return false;
      const at = b.target(d.linked, d.P);
      return d.linkersAt(at).some((thunk) => b.thunk?.(thunk, at) === destination(d));
    },
  },
  {
    name: 'a branch beyond its reach takes a PLT entry of the kernel; this linker has no thunks and cuts the distance off',
    outOfRange: /relocation R_LARCH_B26 out of range/,
    explains: (d) => {
      const b = branchOf(d);
      if (b === undefined || b.thunk !== undefined) return false;
      const cut = BigInt.asUintN(64, d.P + BigInt.asIntN(28, destination(d) - d.P));
      return !b.reaches(destination(d) - d.P) && byPlt(b, d, destination(d)) && b.target(d.linked, d.P) === cut;
    },
  },
  {
    name: 'a call of an absent weak symbol goes to 0 by a PLT entry of the kernel, to the next instruction in lld',
    explains: (d) => {
      const b = branchOf(d);
      if (b === undefined || d.bind !== STB_WEAK || d.S !== 0n || d.A !== 0n) return false;
      return byPlt(b, d, 0n) && b.target(d.linked, d.P) === d.P + 4n;
    },
  },
  {
    name: 'the GOT lies elsewhere: both slots hold S',
    explains: (d) => goesToSlot(d),
  },
  {
    name: 'kernels before 7.2 do not relocate .data..percpu',
    explains: (d) => {
      if (!d.percpu || compareVersions(d.module.version, '7.2') >= 0 || d.relocation === undefined) return false;
      const { start, end } = d.difference;
      return equal(d.section.bytes.subarray(start, end), d.unrelocated.subarray(start, end));
    },
  },
];

/** The cause that explains a difference; undefined: none does. */
export const causeOf = (d: Differing): Cause | undefined => causes.find(({ explains }) => explains(d));

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Sections that modules bring as placeholders and the architecture makes into tables of its own. */
const TABLES: Readonly<Record<string, RegExp>> = {
  arm64: /^(\.init)?\.plt$|^(\.init)?\.text\.ftrace_trampoline$/,
  arm: /^(\.init)?\.plt$/,
  riscv64: /^\.(plt|got|got\.plt)$/,
  loongarch64: /^\.(plt|got|plt\.idx|ftrace_trampoline)$/,
};

/** Whether the loader has made something else of a section than what the file holds: those cannot be compared. */
export const isTable = (arch: string, s: Section): boolean => TABLES[arch]?.test(s.name) ?? false;

/** Architectures whose modules ld.lld cannot link as the kernel does, and why. */
export const notLinkable: Readonly<Record<string, string>> = {
  ppc64le: 'ld.lld does not know R_PPC64_ENTRY',
  ppc64: 'ld.lld does not know R_PPC64_ENTRY',
};
