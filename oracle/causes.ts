/**
 * Why the kernel's bytes and a linker's may differ where both are right. A cause is a predicate over relocation type,
 * section and values, as narrow as can be: a detour is followed to its end on both sides. What no cause explains is a
 * mistake of one of the two.
 */
import { STB_WEAK } from '../relocs/elf.ts';
import { compareVersions, type ModuleView } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';
import { type Branches, branches, goesToSlot, pltTarget, type Slots } from './detours.ts';
import { type Difference, hex, type RelocationAt } from './differences.ts';
import { callsAbsent, ENTRY, goesByStub, reachesToc } from './toc.ts';

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
  /** Whether the module itself defines that symbol. */
  readonly defined: boolean;
  /** What the kernel and the linker wrote there, from P on. */
  readonly kernels: Uint8Array;
  readonly linked: Uint8Array;
  /** All that the linker wrote into this section. */
  readonly linkedSection: Uint8Array;
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

/** Where a branch is to lead. */
const destination = (b: Branches, d: Differing): bigint =>
  BigInt.asUintN(d.module.format.is64 ? 64 : 32, d.S + d.A - (b.bias ?? 0n));

/** What the kernel's branch leads to by an entry of its PLT. */
const byPlt = (b: Branches, d: Differing): bigint | undefined => pltTarget(b, d.module, b.target(d.kernels, d.P));

const tooFar = (b: Branches, d: Differing): boolean => !b.reaches(BigInt.asIntN(64, destination(b, d) - d.P));

export const causes: readonly Cause[] = [
  {
    name: 'a branch beyond its reach takes a PLT entry of the kernel, a thunk of the linker',
    explains: (d) => {
      const b = branchOf(d);
      if (b?.thunk === undefined || !tooFar(b, d) || byPlt(b, d) !== destination(b, d)) return false;
      return d.linkersAt(b.target(d.linked, d.P)).some((thunk) => b.thunk?.(thunk) === destination(b, d));
    },
  },
  {
    // riscv: left as it was; s390 and loongarch: the low bits
    name: 'a branch beyond its reach takes a PLT entry of the kernel; this linker has no thunk and complains',
    outOfRange: /relocation R_(LARCH_B26|390_PLT32DBL|RISCV_CALL_PLT) out of range/,
    explains: (d) => {
      const b = branchOf(d);
      if (b === undefined || b.thunk !== undefined || !tooFar(b, d)) return false;
      if (byPlt(b, d) !== destination(b, d)) return false;
      const { start, end } = d.difference;
      const untouched = hex(d.unrelocated.subarray(start, end)) === d.difference.right;
      const bits = d.arch === 'loongarch64' ? 28 : 33;
      return untouched || BigInt.asUintN(bits, b.target(d.linked, d.P)) === BigInt.asUintN(bits, destination(b, d));
    },
  },
  {
    // The ADRP of arm64's entry reaches 4 GiB, so that the low 33 bits are right.
    name: 'a call of an absent weak symbol goes to 0 by a PLT entry of the kernel, to the next instruction in lld',
    explains: (d) => {
      const b = branchOf(d);
      if (b === undefined || d.bind !== STB_WEAK || d.S !== 0n || d.A !== 0n) return false;
      const to = byPlt(b, d);
      return to !== undefined && BigInt.asUintN(33, to) === 0n && b.target(d.linked, d.P) === d.P + 4n;
    },
  },
  {
    name: 'the GOT lies elsewhere: both slots hold S',
    explains: (d) => goesToSlot(d),
  },
  {
    name: 'powerpc64: a call out of the module takes a stub of the kernel, which restores r2 behind it',
    explains: (d) => goesByStub(d),
  },
  {
    name: 'powerpc64: a call of an absent weak symbol goes to 0 by a stub of the kernel, to itself in lld',
    explains: (d) => callsAbsent(d),
  },
  {
    name: 'powerpc64: where r2 is in reach, the kernel adds its distance instead of loading it (ENTRY)',
    explains: (d) => reachesToc(d),
  },
  {
    name: 'kernels before 7.2 do not relocate .data..percpu',
    explains: (d) => {
      if (!d.percpu || compareVersions(d.module.version, '7.2') >= 0 || d.relocation === undefined) return false;
      const { start, end } = d.difference;
      return hex(d.unrelocated.subarray(start, end)) === d.difference.left;
    },
  },
];

/** The cause that explains a difference; undefined: none does. */
export const causeOf = (d: Differing): Cause | undefined => causes.find(({ explains }) => explains(d));

/** What the linker complains of and the kernel does not check, by architecture: both cut the value off the same. */
export const unchecked: Readonly<Record<string, { readonly name: string; readonly complaint: RegExp }>> = {
  ppc64le: {
    name: 'powerpc64: the kernel does not check whether TOC16_HA reaches, the linker complains',
    complaint: /relocation R_PPC64_TOC16_HA out of range/,
  },
};

/** Sections that modules bring as placeholders and the architecture makes into tables of its own. */
const TABLES: Readonly<Record<string, RegExp>> = {
  arm64: /^(\.init)?\.plt$|^(\.init)?\.text\.ftrace_trampoline$/,
  arm: /^(\.init)?\.plt$/,
  riscv64: /^\.(plt|got|got\.plt)$/,
  loongarch64: /^\.(plt|got|plt\.idx|ftrace_trampoline)$/,
  ppc64le: /^\.stubs$/,
};

/** Whether the loader has made something else of a section than what the file holds: those cannot be compared. */
export const isTable = (arch: string, s: Section): boolean => TABLES[arch]?.test(s.name) ?? false;

/** Architectures whose modules ld.lld cannot link as the kernel does, and why. */
export const notLinkable: Readonly<Record<string, string>> = {
  ppc64: 'ld.lld links ELFv2 only',
};

/** Relocation types that ld.lld does not know: it links without them, and a cause explains what the kernel does. */
export const unknownToLld: Readonly<Record<string, readonly number[]>> = { ppc64le: [ENTRY] };
