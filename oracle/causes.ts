/**
 * Why the kernel's bytes and a linker's may differ where both are right. A cause is a predicate over relocation type,
 * section and values, as narrow as can be; what no cause explains is a mistake of one of the two.
 */
import { STB_WEAK } from '../relocs/elf.ts';
import { compareVersions, type ModuleView } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';
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
  /** What the linker wrote there, from P on. */
  readonly linked: Uint8Array;
  /** Bytes of the linker's thunks from an address on: thunks of several sections may lie there. */
  readonly thunksAt: (address: bigint) => readonly Uint8Array[];
}

export interface Cause {
  readonly name: string;
  readonly explains: (d: Differing) => boolean;
}

const JUMP26 = 282;
const CALL26 = 283;
const isBranch26 = (d: Differing): boolean =>
  d.arch === 'arm64' && (d.relocation?.type === CALL26 || d.relocation?.type === JUMP26);

/** Where a B or BL at P goes. */
const target26 = (bytes: Uint8Array, P: bigint): bigint =>
  BigInt.asUintN(64, P + BigInt.asIntN(28, BigInt(word(bytes, 0) & 0x3ff_ffff) << 2n));

const inReach = (d: Differing): boolean => {
  const distance = BigInt.asIntN(64, d.S + d.A - d.P);
  return distance >= -0x800_0000n && distance < 0x800_0000n;
};

export const causes: readonly Cause[] = [
  {
    // Both detours are followed to their end.
    name: 'arm64: a branch beyond 128 MiB takes a PLT entry of the kernel, a thunk of the linker',
    explains: (d) => {
      if (!isBranch26(d) || inReach(d)) return false;
      const kernels = d.section.bytes.subarray(Number(d.P - d.section.sh_addr));
      if (pltTarget(d.module, target26(kernels, d.P)) !== d.S + d.A) return false;
      return d.thunksAt(target26(d.linked, d.P)).some((thunk) => thunkTarget(thunk) === d.S + d.A);
    },
  },
  {
    name: 'arm64: a call of a weak symbol that is absent goes to 0 by a PLT entry in the kernel, to the next instruction in lld',
    explains: (d) => {
      if (!isBranch26(d) || d.bind !== STB_WEAK || d.S !== 0n || d.A !== 0n) return false;
      const kernels = d.section.bytes.subarray(Number(d.P - d.section.sh_addr));
      return pltTarget(d.module, target26(kernels, d.P)) === 0n && target26(d.linked, d.P) === d.P + 4n;
    },
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

/** Name of the cause that explains a difference; undefined: nothing does. */
export const causeOf = (d: Differing): string | undefined => causes.find(({ explains }) => explains(d))?.name;

/** Where an entry of .plt or .init.plt leads: adrp x16; add x16, x16, #lo12; br x16. */
function pltTarget(m: ModuleView, entry: bigint): bigint | undefined {
  const plt = m.sections.find(
    (s) => /^\.(init\.)?plt$/.test(s.name) && entry >= s.sh_addr && entry < s.sh_addr + BigInt(s.sh_size),
  );
  if (plt === undefined) return undefined;
  const code = plt.bytes.subarray(Number(entry - plt.sh_addr));
  const [adrp, add, br] = [word(code, 0), word(code, 4), word(code, 8)];
  if ((adrp & 0x9f00_001f) >>> 0 !== 0x9000_0010 || (add & 0xffc0_03ff) >>> 0 !== 0x9100_0210 || br !== 0xd61f_0200) {
    return undefined;
  }
  const pages = BigInt.asIntN(21, BigInt((((adrp >>> 5) & 0x7ffff) << 2) | ((adrp >>> 29) & 3)));
  return BigInt.asUintN(64, (entry & ~0xfffn) + (pages << 12n) + BigInt((add >>> 10) & 0xfff));
}

/** Where a long thunk of lld leads: ldr x16, .+8; br x16; the address. */
function thunkTarget(code: Uint8Array): bigint | undefined {
  if (code.length < 16 || word(code, 0) !== 0x5800_0050 || word(code, 4) !== 0xd61f_0200) return undefined;
  return new DataView(code.buffer, code.byteOffset).getBigUint64(8, true);
}

const word = (bytes: Uint8Array, at: number): number =>
  at + 4 <= bytes.length ? new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true) : 0;

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Sections that modules bring as placeholders and the architecture replaces by tables of its own. */
const TABLES: Readonly<Record<string, RegExp>> = {
  arm64: /^(\.init)?\.plt$|^(\.init)?\.text\.ftrace_trampoline$/,
  riscv64: /^\.(plt|got|got\.plt)$/,
};

/** Whether the loader has made something else of a section than what the file holds: those cannot be compared. */
export const isTable = (arch: string, s: Section): boolean => TABLES[arch]?.test(s.name) ?? false;
