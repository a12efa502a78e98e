/** Where branches and loads lead that do not go straight to their symbol: PLT entries, thunks, GOT slots, decoded. */
import type { ElfFormat } from '../relocs/elf.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import type { Differing } from './causes.ts';

/** The branches of an architecture that may take a detour. */
export interface Branches {
  readonly types: readonly number[];
  /** True: the addend is in the branch itself. */
  readonly inPlace?: boolean;
  /** How far S + A lies behind the address that the branch leads to; default, 0. */
  readonly bias?: bigint;
  readonly reaches: (distance: bigint) => boolean;
  /** Address a branch at P goes to. */
  readonly target: (code: Uint8Array, P: bigint) => bigint;
  /** Sections with the kernel's entries; undefined: they lie in the text memory, in front of its sections. */
  readonly plt: RegExp | undefined;
  /** Address that an entry of the kernel leads to; undefined when it is none. */
  readonly entry: (code: Uint8Array, at: bigint, m: ModuleView) => bigint | undefined;
  /** The same for a thunk of lld, where it makes thunks. */
  readonly thunk?: (code: Uint8Array) => bigint | undefined;
}

/** Address that the PLT entry at `at` leads to; undefined when there is none. */
export function pltTarget(b: Branches, m: ModuleView, at: bigint): bigint | undefined {
  const code = b.plt === undefined ? memoryAt(m, at) : sectionAt(m, b.plt, at);
  return code && b.entry(code, at, m);
}

/** Bytes from `at` on, of the section of one of these names in which it lies. */
export function sectionAt(m: ModuleView, names: RegExp, at: bigint): Uint8Array | undefined {
  const s = m.sections.find(
    ({ name, sh_addr, sh_size }) => names.test(name) && at >= sh_addr && at < sh_addr + BigInt(sh_size),
  );
  return s?.bytes.subarray(Number(at - s.sh_addr));
}

function memoryAt(m: ModuleView, at: bigint): Uint8Array | undefined {
  const memory = Object.values(m.memory).find(({ base, size }) => at >= base && at < base + BigInt(size));
  return memory?.bytes.subarray(Number(at - memory.base));
}

/** Little-endian; 0 behind the end. */
export const u32 = (code: Uint8Array, at: number): number =>
  at + 4 <= code.length ? new DataView(code.buffer, code.byteOffset + at, 4).getUint32(0, true) : 0;
/** Little-endian. */
export const u64 = (code: Uint8Array, at: number): bigint => (BigInt(u32(code, at + 4)) << 32n) | BigInt(u32(code, at));
const within = (bits: number) => (distance: bigint) => BigInt.asIntN(bits, distance) === BigInt.asIntN(64, distance);
const isLike = (insn: number, mask: number, wanted: number): boolean => (insn & mask) >>> 0 === wanted;

/** What auipc and the I-type behind it add to the address. */
const auipcPair = (code: Uint8Array): bigint =>
  BigInt(u32(code, 0) & ~0xfff) + BigInt.asIntN(12, BigInt(u32(code, 4) >>> 20));

/** ldr pc, [pc, #imm]: the word it loads. */
const loadPc = (code: Uint8Array): bigint | undefined => {
  const ldr = u32(code, 0);
  if (!isLike(ldr, 0xff7f_f000, 0xe51f_f000)) return undefined;
  const imm12 = ldr & 0xfff;
  return BigInt(u32(code, 8 + ((ldr & 0x80_0000) === 0 ? -imm12 : imm12)));
};

/** Branches by name of the architecture's row of the registry. */
export const branches: Readonly<Record<string, Branches>> = {
  arm64: {
    types: [282, 283], // JUMP26, CALL26
    reaches: within(28),
    target: (code, P) => BigInt.asUintN(64, P + BigInt.asIntN(28, BigInt(u32(code, 0) & 0x3ff_ffff) << 2n)),
    plt: /^(\.init)?\.plt$/,
    /** adrp x16; add x16, x16, #lo12; br x16 */
    entry: (code, at) => {
      const [adrp, add, br] = [u32(code, 0), u32(code, 4), u32(code, 8)];
      if (!isLike(adrp, 0x9f00_001f, 0x9000_0010) || !isLike(add, 0xffc0_03ff, 0x9100_0210) || br !== 0xd61f_0200) {
        return undefined;
      }
      const pages = BigInt.asIntN(21, BigInt((((adrp >>> 5) & 0x7ffff) << 2) | ((adrp >>> 29) & 3)));
      return BigInt.asUintN(64, (at & ~0xfffn) + (pages << 12n) + BigInt((add >>> 10) & 0xfff));
    },
    /** ldr x16, .+8; br x16; the address */
    thunk: (code) => (u32(code, 0) === 0x5800_0050 && u32(code, 4) === 0xd61f_0200 ? u64(code, 8) : undefined),
  },
  arm: {
    types: [1, 28, 29], // PC24, CALL, JUMP24
    inPlace: true,
    reaches: within(26),
    target: (code, P) => BigInt.asUintN(32, P + 8n + BigInt.asIntN(26, BigInt(u32(code, 0) & 0xff_ffff) << 2n)),
    plt: /^(\.init)?\.plt$/,
    entry: loadPc,
    thunk: loadPc,
  },
  loongarch64: {
    types: [66], // B26
    reaches: within(28),
    target: (code, P) => {
      const b = u32(code, 0);
      return BigInt.asUintN(64, P + BigInt.asIntN(28, BigInt(((b & 0x3ff) << 16) | ((b >>> 10) & 0xffff)) << 2n));
    },
    plt: /^\.plt$/,
    /** lu12i.w t1; lu32i.d t1; lu52i.d t1, t1; jirl zero, t1 */
    entry: (code) => {
      const [lu12i, lu32i, lu52i, jirl] = [u32(code, 0), u32(code, 4), u32(code, 8), u32(code, 12)];
      const isEntry =
        isLike(lu12i, 0xfe00_001f, 0x1400_000d) &&
        isLike(lu32i, 0xfe00_001f, 0x1600_000d) &&
        isLike(lu52i, 0xffc0_03ff, 0x0300_01ad) &&
        isLike(jirl, 0xfc00_03ff, 0x4c00_01a0);
      if (!isEntry) return undefined;
      const base =
        (BigInt((lu52i >>> 10) & 0xfff) << 52n) |
        (BigInt((lu32i >>> 5) & 0xf_ffff) << 32n) |
        (BigInt((lu12i >>> 5) & 0xf_ffff) << 12n);
      return BigInt.asUintN(64, base + BigInt.asIntN(18, BigInt((jirl >>> 10) & 0xffff) << 2n));
    },
  },
  riscv64: {
    types: [19], // CALL_PLT
    reaches: (distance) => distance >= -0x8000_0800n && distance < 0x7fff_f800n,
    target: (code, P) => BigInt.asUintN(64, P + auipcPair(code)),
    plt: /^\.plt$/,
    /** auipc t0; ld t1, (t0); jr t1 */
    entry: (code, at, m) => {
      const isEntry =
        isLike(u32(code, 0), 0xfff, 0x297) && isLike(u32(code, 4), 0xf_ffff, 0x2_b303) && u32(code, 8) === 0x3_0067;
      const slot = isEntry ? sectionAt(m, /^\.got\.plt$/, BigInt.asUintN(64, at + auipcPair(code))) : undefined;
      return slot && u64(slot, 0);
    },
  },
  s390x: {
    types: [20], // PLT32DBL
    bias: 2n,
    reaches: within(33),
    target: (code, P) =>
      BigInt.asUintN(64, P - 2n + 2n * BigInt(new DataView(code.buffer, code.byteOffset, 4).getInt32(0))),
    plt: undefined,
    /** basr %r1,0; lg %r1,12(%r1); br %r1 or a jump to the thunk; the address */
    entry: (code) => {
      const view = new DataView(code.buffer, code.byteOffset, 22);
      return view.getUint32(0) === 0x0d10_e310 && view.getUint32(4) === 0x100c_0004 ? view.getBigUint64(14) : undefined;
    },
  },
};

/** Whether an instruction that loads from the GOT means the slot at an address. */
type Loads = (code: Uint8Array, d: Differing, slot: bigint) => boolean;

const page = (address: bigint): bigint => address & ~0xfffn;

/** Loads by architecture and relocation type. */
const loads: Readonly<Record<string, Readonly<Record<number, Loads>>>> = {
  s390x: {
    // GOTENT: halfwords from the instruction's start, which is the addend's bytes before P.
    26: (code, { P, A }, slot) => {
      const halfwords = new DataView(code.buffer, code.byteOffset, 4).getInt32(0);
      return slot === BigInt.asUintN(64, P - A + 2n * BigInt(halfwords));
    },
  },
  riscv64: {
    // GOT_HI20: auipc
    20: (code, { P }, slot) => BigInt(u32(code, 0) & ~0xfff) === (BigInt.asIntN(64, slot - P + 0x800n) >> 12n) << 12n,
    // PCREL_LO12_I: S is the place of the auipc.
    24: (code, { S }, slot) => BigInt(u32(code, 0) >>> 20) === BigInt.asUintN(12, slot - S),
  },
  loongarch64: {
    // GOT_PC_HI20: pcalau12i, whose low part is signed
    75: (code, { P }, slot) => {
      const pages = BigInt.asIntN(20, BigInt((u32(code, 0) >>> 5) & 0xf_ffff));
      return BigInt.asUintN(64, page(P) + (pages << 12n)) === page(BigInt.asUintN(64, slot + 0x800n));
    },
    // GOT_PC_LO12: ld.d
    76: (code, _, slot) => BigInt((u32(code, 0) >>> 10) & 0xfff) === (slot & 0xfffn),
  },
};

/** Types whose S is not what the slot holds, but the place of the instruction they belong to. */
const lowParts: Readonly<Record<string, readonly number[]>> = { riscv64: [24] };

/** Whether both sides load the same from a slot of their GOT: S, where the type says so. */
export function goesToSlot(d: Differing): boolean {
  const type = d.relocation?.type ?? -1;
  const means = loads[d.arch]?.[type];
  if (means === undefined) return false;
  const side = (slots: Slots, code: Uint8Array, value: bigint): boolean =>
    (slots.get(value) ?? []).some((slot) => means(code, d, slot));
  const values = lowParts[d.arch]?.includes(type) ? [...d.kernelsSlots.keys()] : [d.S];
  return values.some((value) => side(d.kernelsSlots, d.kernels, value) && side(d.linkersSlots, d.linked, value));
}

/** Addresses of the slots of a GOT by what they hold. */
export type Slots = ReadonlyMap<bigint, readonly bigint[]>;

/** Reads a GOT that lies at `base`. */
export function slotsOf(bytes: Uint8Array, base: bigint, { is64, little }: ElfFormat): Slots {
  const slots = new Map<bigint, bigint[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = is64 ? 8 : 4;
  for (let at = 0; at + size <= bytes.length; at += size) {
    const value = is64 ? view.getBigUint64(at, little) : BigInt(view.getUint32(at, little));
    const same = slots.get(value);
    if (same === undefined) slots.set(value, [base + BigInt(at)]);
    else same.push(base + BigInt(at));
  }
  return slots;
}

/** The GOT that the kernel's loader has built: a section, or on s390 the start of the text memory. */
export function kernelsGot(m: ModuleView, arch: string): Slots {
  if (arch !== 's390x') {
    const got = m.sections.find((s) => s.name === '.got');
    return got === undefined ? new Map() : slotsOf(got.bytes, got.sh_addr, m.format);
  }
  const text = m.memory.text ?? m.memory.core;
  if (text === undefined) return new Map();
  const inText = m.sections.map((s) => Number(s.sh_addr - text.base)).filter((at) => at >= 0 && at < text.size);
  return slotsOf(text.bytes.subarray(0, Math.min(...inText)), text.base, m.format);
}
