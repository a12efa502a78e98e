/**
 * powerpc64 (ELFv2) on both sides: where r2 points, what a call leads to, and how a function finds r2.
 *
 * The kernel sends every call of an undefined symbol through `.stubs`, however near, and makes the nop behind it
 * restore r2. The linker takes the symbols for its own, so that r2 may stay: it calls them directly, or by a thunk that
 * loads their address relative to the same r2.
 */
import { KERNEL_TOC } from '../arch/ppc64.ts';
import { STB_WEAK } from '../relocs/elf.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import type { Differing } from './causes.ts';
import { sectionAt, u32, u64 } from './detours.ts';

/** R_PPC64_ENTRY and R_PPC64_REL24 */
export const ENTRY = 118;
const REL24 = 10;

const [NOP, MTCTR_R12, BCTR, LD_R2_24_R1] = [0x6000_0000, 0x7d89_03a6, 0x4e80_0420, 0xe841_0018];
const [STD_R2_24_R1, LD_R12_32_R11, LD_R12_16_R13] = [0xf841_0018, 0xe98b_0020, 0xe98d_0010];
const ADD_R2_R2_R12 = 0x7c42_6214;

/** Where the module's r2 points: 32 KiB behind the 256 bytes in which its TOC begins. */
export function tocOf(m: ModuleView): bigint {
  const toc = m.sections.find(({ name }) => name === '.toc') ?? m.sections.find(({ name }) => name === '.stubs');
  return ((toc?.sh_addr ?? 0n) & ~0xffn) + 0x8000n;
}

/** What an instruction of these upper 16 bits adds: its lower 16, signed. Undefined: it is another. */
const immediate = (insn: number, upper: number): bigint | undefined =>
  insn >>> 16 === upper ? BigInt.asIntN(16, BigInt(insn)) : undefined;

/** What addis and the instruction behind it, with these upper halves, add to a register. */
function pairAt(code: Uint8Array, at: number, addis: number, second: number): bigint | undefined {
  const ha = immediate(u32(code, at), addis);
  const lo = immediate(u32(code, at + 4), second);
  return ha === undefined || lo === undefined ? undefined : (ha << 16n) + lo;
}

/** The words of `code` from the n-th on are these. */
const follow = (code: Uint8Array, n: number, insns: readonly number[]): boolean =>
  insns.every((insn, i) => u32(code, 4 * (n + i)) === insn);

/** Where a stub of the kernel at `at` leads to, and whether it leaves r2 alone, as those of ftrace do. */
function stubAt(m: ModuleView, at: bigint): { readonly to: bigint; readonly keepsR2: boolean } | undefined {
  const code = sectionAt(m, /^\.stubs$/, at);
  if (code === undefined || code.length < 40) return undefined;
  // addis r11, r2; addi r11, r11: its own address, and the word 32 bytes on
  const self = pairAt(code, 0, 0x3d62, 0x396b);
  if (self !== undefined && follow(code, 2, [STD_R2_24_R1, LD_R12_32_R11, MTCTR_R12, BCTR])) {
    return BigInt.asUintN(64, tocOf(m) + self) === at ? { to: u64(code, 32), keepsR2: false } : undefined;
  }
  // The kernel's TOC from the paca; addis r12, r12; addi r12, r12
  const offset = pairAt(code, 4, 0x3d8c, 0x398c);
  if (offset === undefined || u32(code, 0) !== LD_R12_16_R13 || !follow(code, 3, [MTCTR_R12, BCTR])) return undefined;
  return { to: BigInt.asUintN(64, KERNEL_TOC + offset), keepsR2: true };
}

/** Where a thunk of the linker leads to: addis r12, r2; ld r12, …(r12); and the word that this loads. */
function thunkTarget(code: Uint8Array, d: Differing): bigint | undefined {
  const offset = pairAt(code, 0, 0x3d82, 0xe98c);
  if (offset === undefined || !follow(code, 2, [MTCTR_R12, BCTR])) return undefined;
  const word = BigInt.asUintN(64, tocOf(d.module) + offset);
  for (const [value, slots] of d.linkersSlots) if (slots.includes(word)) return value;
  return undefined;
}

/** Whether both sides call the same, the kernel by a stub and with r2 restored. */
export const goesByStub = (d: Differing): boolean =>
  callsByStub(d, (direct, to) => direct === to || d.linkersAt(direct).some((thunk) => thunkTarget(thunk, d) === to));

/** Whether the kernel calls 0 by a stub, and the linker, which takes an absent weak symbol for unreachable, P. */
export const callsAbsent = (d: Differing): boolean =>
  d.bind === STB_WEAK && d.S === 0n && d.A === 0n && callsByStub(d, (direct) => direct === d.P);

/** `follows`: whether the linker's branch to `direct` leads to `to`. */
function callsByStub(d: Differing, follows: (direct: bigint, to: bigint) => boolean): boolean {
  if (d.arch !== 'ppc64le' || d.relocation?.type !== REL24 || d.defined) return false;
  const [ours, theirs] = [u32(d.kernels, 0), u32(d.linked, 0)];
  const LI = 0x3ff_fffc;
  if ((ours & ~LI) !== (theirs & ~LI) || ours >>> 26 !== 18) return false;
  const leadsTo = (insn: number): bigint => BigInt.asUintN(64, d.P + BigInt.asIntN(26, BigInt(insn & LI)));

  const to = BigInt.asUintN(64, d.S + d.A);
  const stub = stubAt(d.module, leadsTo(ours));
  if (stub?.to !== to) return false;
  if (!follows(leadsTo(theirs), to)) return false;

  const [behindOurs, behindTheirs] = [u32(d.kernels, 4), u32(d.linked, 4)];
  const links = (ours & 1) === 1;
  if (!links || stub.keepsR2) return behindOurs === behindTheirs;
  return behindOurs === LD_R2_24_R1 && behindTheirs === NOP;
}

/**
 * Whether both sides set r2 to the TOC, r12 being P: the linker as compiled, by the doubleword that ld r2, …(r12) loads
 * from its own image; the kernel by addis r2, r12 and addi r2, r2.
 */
export function reachesToc(d: Differing): boolean {
  if (d.arch !== 'ppc64le' || d.relocation?.type !== ENTRY) return false;
  const distance = BigInt.asIntN(64, tocOf(d.module) - d.P);
  const load = immediate(u32(d.linked, 0), 0xe84c);
  if (load === undefined || (load & 3n) !== 0n || u32(d.linked, 4) !== ADD_R2_R2_R12) return false;
  const at = d.relocation.r_offset + Number(load);
  if (at < 0 || at + 8 > d.linkedSection.length) return false;
  return BigInt.asIntN(64, u64(d.linkedSection, at)) === distance && pairAt(d.kernels, 0, 0x3c4c, 0x3842) === distance;
}
