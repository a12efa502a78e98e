/**
 * PA-RISC, 32 and 64 bits (Processor-Specific ELF for PA-RISC; arch/parisc/kernel/module.c).
 *
 * An address is a left part of 21 bits and a right one of 11, to which the right instruction adds up to 8 KiB of addend:
 * the field selectors LR' and RR' round the addend to 8 KiB for the left one. Immediates lie scrambled in their
 * instructions. Branches count words from the instruction after the delay slot and reach 256 KiB or 8 MiB; what is
 * farther takes a stub, and each branch that may need one has its own, in front of the section that it is in. 32-bit
 * data is found from the kernel's own global pointer, register 27.
 *
 * 64-bit functions are called by descriptor, an address and a global pointer. The descriptors of a module's own
 * functions lie at the start of its text, behind a GOT with an entry for each value; every call out of the module takes
 * a GOT entry, and a stub that loads both words of the descriptor. Nothing differs between 6.1, 6.12 and 7.2 but what
 * belongs to a module.
 */
import { align, hex } from '../relocs/bits.ts';
import { abs, calculation } from '../relocs/calculations.ts';
import { dont, saying, signed } from '../relocs/check.ts';
import { SHF_ALLOC, SHT_RELA, SHT_SYMTAB, sizeofAddr, sizeofSym } from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { type Field, insn32, word32, word64 } from '../relocs/field.ts';
import { type Calculation, howto } from '../relocs/howto.ts';
import type { Memory, ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Site } from '../relocs/site.ts';
import { kernelSort } from '../relocs/sort.ts';
import { StateOf } from '../relocs/state.ts';
import { Symtab } from '../relocs/symbols.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

// biome-ignore format: value[hi:lo] → bit of the instruction
const [LEFT21, RIGHT14, W17, W22] = [
  insn32([[31, 31, 0], [30, 20, 1], [19, 18, 14], [17, 13, 16], [12, 11, 12]]),
  insn32([[13, 13, 0], [12, 0, 1]]),
  insn32([[18, 18, 0], [17, 13, 16], [12, 12, 2], [11, 2, 3]]),
  insn32([[23, 23, 0], [22, 18, 21], [17, 13, 16], [12, 12, 2], [11, 2, 3]]),
];
const [PCREL17F, LTOFF21L, LTOFF14R, FPTR64, PCREL22F] = [12, 34, 38, 64, 74];
const MAX_GOTS = 4095;
const FDESC = 32;
const stubSize = (m: ModuleView): number => (m.format.is64 ? 16 : 8);

/** The stubs of one section. */
interface Stubs {
  readonly counted: number;
  /** stub_entries */
  left: number;
  /** stub_offset: address of the next one; 0: none used yet. */
  next: bigint;
  /** What lies in front of the section, once somebody asks. */
  bytes: Uint8Array | undefined;
}

/** struct mod_arch_specific. The GOT is at the start of the text. */
class Tables {
  gots = 0;
  fdescs = 0;
  readonly stubs = new Map<number, Stubs>();
  /** Entries by value. */
  readonly got = new Map<bigint, number>();
  readonly fdesc = new Map<bigint, number>();

  /** module_frob_arch_sections() */
  constructor(m: ModuleView) {
    const { is64 } = m.format;
    for (const s of m.sections) {
      if (s.index === 0 || s.sh_type !== SHT_RELA) continue;
      const entries = new Entries(m.format, true, s.bytes);
      let stubs = 0;
      for (let i = 0; i < entries.count; i++) {
        const type = genericInfo.type(entries.r_info(i), m.format);
        if (type === PCREL22F || (type === PCREL17F && !is64)) stubs++;
        if (is64 && [LTOFF21L, LTOFF14R, PCREL22F].includes(type)) this.gots++;
        if (is64 && type === FPTR64) this.fdescs++;
      }
      if (stubs === 0) continue;
      const before = this.stubs.get(s.sh_info)?.counted ?? 0;
      if (before > 0) m.warn(`section ${s.sh_info} has several relocation sections`);
      this.stubs.set(s.sh_info, { counted: before + stubs, left: before + stubs, next: 0n, bytes: undefined });
    }
  }

  get fdescOffset(): number {
    return align(this.gots * 8, 16);
  }

  get headSize(): number {
    return this.fdescOffset + this.fdescs * FDESC;
  }
}
const tables: StateOf<ModuleView, Tables> = new StateOf((m) => new Tables(m));

function text(m: ModuleView): Memory {
  const memory = m.memory[m.version === '6.1' ? 'core' : 'text'];
  if (memory === undefined) throw crashes('signal 11', `${m.name} has no memory for text, and its GOT would be at 0`);
  return memory;
}

/** arch_mod_section_prepend(): a stub more than was counted, for alignment; of sections without any stub too. */
const prepend = (m: ModuleView, index: number): number =>
  ((tables.of(m).stubs.get(index)?.counted ?? 0) + 1) * stubSize(m);

/** The bytes in front of a section: a piece of its region, if the section is one. */
function stubBytes(m: ModuleView, s: Section): Uint8Array {
  const size = prepend(m, s.index);
  const { buffer, byteOffset } = s.bytes;
  const inRegion = byteOffset >= size && Object.values(m.memory).some(({ bytes }) => bytes.buffer === buffer);
  const stubs = tables.of(m).stubs.get(s.index);
  const bytes = stubs?.bytes ?? (inRegion ? new Uint8Array(buffer, byteOffset - size, size) : new Uint8Array(size));
  if (stubs) stubs.bytes = bytes;
  return bytes;
}

/** get_stub(): the next one of the section that the site is in. */
function takeStub(r: Site, insnsOf: () => readonly bigint[]): bigint {
  const { target, module } = r.run;
  const size = BigInt(stubSize(module));
  const stubs = tables.of(module).stubs.get(target.index);
  if (stubs === undefined || stubs.left === 0)
    throw crashes('BUG', `${r.where()} needs one more stub than was counted`);
  // ALIGN(): up, by less than the stub that was counted for it.
  if (stubs.next === 0n) stubs.next = r.word((target.sh_addr - BigInt(stubs.left + 1) * size + size - 1n) & -size);
  const at = stubs.next;
  stubs.next += size;
  stubs.left--;
  const bytes = stubBytes(module, target);
  const offset = Number(at - (target.sh_addr - BigInt(bytes.length)));
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, Number(size));
  insnsOf().forEach((insn, n) => view.setUint32(4 * n, Number(insn)));
  return at;
}

/** Rounded to 8 KiB. */
const rnd = (a: bigint): bigint => (a + 0x1000n) & ~0x1fffn;
const lr = (s: bigint, a: bigint): bigint => s + rnd(a);
const rr = (s: bigint, a: bigint): bigint => ((s + rnd(a)) & 0x7ffn) + a - rnd(a);

const direct32 = (r: Site): bigint =>
  takeStub(r, () => [
    LEFT21.insert(0x2020_0000n, lr(r.S, r.A)), // ldil L'target, %r1
    W17.insert(0xe020_2002n, rr(r.S, r.A)), // be,n R'target(%sr4, %r1)
  ]);
/** ldil L'target, %r1; ldo R'target(%r1), %r1 */
const target64 = (r: Site): bigint[] => [
  LEFT21.insert(0x2020_0000n, lr(r.S, r.A)),
  RIGHT14.insert(0x3421_0000n, rr(r.S, r.A)),
];
/** bve,n (%r1); the fourth instruction stays what it is. */
const direct64 = (r: Site): bigint => takeStub(r, () => [...target64(r), 0xe820_d002n]);
/** ldd 10(%r1), %r1; bve,n (%r1) */
const milli = (r: Site): bigint => takeStub(r, () => [...target64(r), 0x5021_0020n, 0xe820_d002n]);
/** ldd d(%dp), %dp; ldd 10(%dp), %r1; bve (%r1); ldd 18(%dp), %dp */
const viaGot = (r: Site): bigint =>
  takeStub(r, () => {
    const d = gotOffset(r);
    // A short displacement has its sign in bit 0, as has a long one, whose upper two bits are xored with it.
    const sign = (d >> 15n) & 1n;
    const ldd = d <= 15n ? 0x0f60_10dbn | (d << 17n) : 0x537b_0000n | (((d << 1n) & 0xffffn) ^ (sign * 0xc000n)) | sign;
    return [ldd, 0x5361_0020n, 0xe820_d000n, 0x537b_0030n];
  });

/** get_got() */
function gotOffset(r: Site): bigint {
  const m = r.module;
  const { got, gots } = tables.of(m);
  const value = r.word(r.S + r.A);
  if (value === 0n) throw crashes('BUG', `${r.where()} wants a GOT entry for 0, which marks the end of the GOT`);
  const { bytes } = text(m);
  let i = got.get(value);
  if (i === undefined) {
    i = got.size;
    if (i >= gots) throw crashes('BUG', `${r.where()} needs one more GOT entry than was counted`);
    got.set(value, i);
    new DataView(bytes.buffer, bytes.byteOffset + i * 8, 8).setBigUint64(0, value);
  }
  return BigInt(i * 8);
}

/** get_fdesc() */
function fdescAddress(r: Site, value: bigint): bigint {
  const m = r.module;
  if (value === 0n) {
    m.log(`${m.name}: zero OPD requested!`);
    return 0n;
  }
  const { fdesc, fdescs, fdescOffset } = tables.of(m);
  const { base, bytes } = text(m);
  let i = fdesc.get(value);
  if (i === undefined) {
    i = fdesc.size;
    if (i >= fdescs) throw crashes('BUG', `${r.where()} needs one more function descriptor than was counted`);
    fdesc.set(value, i);
    const view = new DataView(bytes.buffer, bytes.byteOffset + fdescOffset + i * FDESC, FDESC);
    view.setBigUint64(16, value);
    view.setBigUint64(24, base);
  }
  return base + BigInt(fdescOffset + i * FDESC);
}

/** within_module(); in 6.1 in_local(), which takes the address behind either memory for local. */
function isLocal(m: ModuleView, address: bigint): boolean {
  if (m.version !== '6.1')
    return Object.values(m.memory).some(({ base, size }) => address >= base && address < base + BigInt(size));
  return [m.memory.core, m.memory.init].some((memory) => {
    const { base, size } = memory ?? { base: 0n, size: 0 };
    return address >= base && address <= base + BigInt(size);
  });
}

// Calculations. `dot` is the word of P.

const from = (r: Site, target: bigint): bigint => r.long(target - (r.P & ~3n) - 8n);
const reaches = (field: Field, distance: bigint): boolean => BigInt.asIntN(field.hi + 1, distance) === distance;
const pcrel = calculation('S + A - P - 8', (r) => from(r, r.S + r.A));
const stubbed = (field: Field): Calculation =>
  calculation('S + A - P - 8, or STUB(S + A) - P - 8', (r) => {
    const distance = from(r, r.S + r.A);
    return reaches(field, distance) ? distance : from(r, direct32(r));
  });
const called: Calculation = calculation('S + A - P - 8 in the module, or STUB(S + A) - P - 8', (r) => {
  if (!isLocal(r.module, r.word(r.S + r.A))) return from(r, r.symbolName.startsWith('$$') ? milli(r) : viaGot(r));
  const distance = from(r, r.S + r.A);
  return reaches(W22, distance) ? distance : from(r, direct64(r));
});
const dirL = calculation("LR'(S + A)", (r) => lr(r.S, r.A));
const dirR = calculation("RR'(S + A)", (r) => rr(r.S, r.A));
/** Register 27 of the kernel: $global$. */
const dp = (r: Site): bigint => BigInt(r.module.config['GLOBAL_POINTER'] as number);
const dpL = calculation("LR'(S - DP + A)", (r) => lr(r.word(r.S - dp(r)), r.A));
const dpR = calculation("RR'(S - DP + A)", (r) => rr(r.word(r.S - dp(r)), r.A));
const ltoffL = calculation("LR'(LTOFF(S + A))", gotOffset);
const ltoffR = calculation("RR'(LTOFF(S + A))", (r) => gotOffset(r) & 0x7ffn);
const fptr = calculation('FPTR(S + A) in the module, or S + A', (r) => {
  const value = r.word(r.S + r.A);
  return isLocal(r.module, value) ? fdescAddress(r, value) : value;
});

/** CHECK_RELOC(): in words, and without the bits that dividing by 4 has lost. */
const reach = saying(signed, (r, value) => {
  const words = hex(r.word(value) >> 2n);
  const what = `relocation of symbol ${r.symbolName} is out of range (0x${words} in ${r.row!.field.hi - 1} bits)`;
  return { errno: 'ENOEXEC', log: [`module ${r.module.name} ${what}`] };
});

// module_finalize()

/** unwind_table_add(): the last section of the name, sorted by address. */
function sortUnwindTable(m: ModuleView): void {
  const s = m.sections.findLast((section) => section.index > 0 && section.name.startsWith('.PARISC.unwind'));
  if (s === undefined || (s.sh_flags & SHF_ALLOC) === 0) return;
  const { bytes } = s;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length >> 4;
  kernelSort(
    m.version,
    count,
    (i, j) => (view.getUint32(16 * i) - view.getUint32(16 * j)) | 0,
    (i, j) => {
      const was = bytes.slice(16 * i, 16 * i + 16);
      bytes.copyWithin(16 * i, 16 * j, 16 * j + 16);
      bytes.set(was, 16 * j);
    },
  );
  const at = (i: number): string => hex(s.sh_addr + BigInt(16 * i), 2 * sizeofAddr(m.format));
  for (let i = 1; i < count; i++) {
    if (view.getUint32(16 * i - 12) > view.getUint32(16 * i))
      m.log(`Out of order unwind entry! ${at(i - 1)} and ${at(i)}`);
  }
}

/** Takes the symbols named .L… out of the symbol table that kallsyms got to keep. */
function dropLocalLabels(m: ModuleView): void {
  const s = m.sections.find(({ sh_type, sh_flags }) => sh_type === SHT_SYMTAB && (sh_flags & SHF_ALLOC) !== 0);
  if (s === undefined) return;
  const size = sizeofSym(m.format);
  const symtab = new Symtab(m.format, s.bytes, m.sections[s.sh_link]?.bytes ?? new Uint8Array(0));
  let kept = 1;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.name(i).startsWith('.L')) continue;
    if (kept !== i) s.bytes.copyWithin(kept * size, i * size, (i + 1) * size);
    kept++;
  }
  s.sh_size = kept * size;
}

const common = {
  backend: 'parisc',
  psABI: 'https://parisc.wiki.kernel.org/index.php/File:Elf-pa-hp.pdf',
  e_machine: [15],
  orders: ['big'],
  forms: ['RELA'],
  extable: { size: 12, relative: true },
  unknown: (r: Site) => ({ errno: 'ENOEXEC', log: [`module ${r.module.name}: Unknown relocation: ${r.type}`] }),
  overflow: reach.refusal!,
  /** A value of 0 is taken for an unresolved symbol, weak or not. */
  before: (r: Site) => {
    if (r.S !== 0n || !r.run.symtab.holds(r.sym)) return undefined;
    throw r.refusal('ENOENT', `${r.module.name}: Unknown symbol ${r.symbolName}`);
  },
  frobSections: (m) => void tables.of(m),
  regionHead: (m, region) => (region === 'text' || region === 'core' ? tables.of(m).headSize : 0),
  sectionPrepend: prepend,
  stubBytes: (m, name) => {
    const s = m.sections.find((section) => section.name === name);
    return s && stubBytes(m, s);
  },
  finalize: (m) => {
    sortUnwindTable(m);
    const used = tables.of(m).got.size;
    if (used > MAX_GOTS) {
      m.log(`${m.name}: Global Offset Table overflow (used ${used}, allowed ${MAX_GOTS})`);
      throw new Refusal('EINVAL', `ldd reaches ${MAX_GOTS} GOT entries, and ${m.name} needs ${used}`);
    }
    dropLocalLabels(m);
  },
} satisfies Partial<ArchSpec>;

export const parisc: Arch = defineArch({
  ...common,
  name: 'parisc',
  is64: false,
  // biome-ignore format: table
  relocs: {
    //                         type  calculation   field    overflow
    R_PARISC_DIR32:      howto(1,    abs,          word32,  dont),
    R_PARISC_DIR21L:     howto(2,    dirL,         LEFT21,  dont),
    R_PARISC_DIR14R:     howto(6,    dirR,         RIGHT14, dont),
    R_PARISC_PCREL32:    howto(9,    pcrel,        word32,  dont),
    R_PARISC_PCREL17F:   howto(12,   stubbed(W17), W17,     reach),
    R_PARISC_DPREL21L:   howto(18,   dpL,          LEFT21,  dont),
    R_PARISC_DPREL14R:   howto(22,   dpR,          RIGHT14, dont),
    R_PARISC_SECREL32:   howto(41,   abs,          word32,  dont),
    R_PARISC_SEGREL32:   howto(49,   abs,          word32,  dont),   // unwind entries want the address
    R_PARISC_PLABEL32:   howto(65,   abs,          word32,  dont),   // there are no descriptors
    R_PARISC_PCREL22F:   howto(74,   stubbed(W22), W22,     reach),
  },
  accepts: (h) => h.e_machine === 15 && !h.is64,
  config: { LIVEPATCH: false, GLOBAL_POINTER: 0x1090_0000 },
  replayConfig: ({ dp: r27 }) => (r27 === undefined ? {} : { GLOBAL_POINTER: Number(BigInt(r27)) }),
  /** The vmalloc area, below the kernel. */
  moduleArea: () => ({ text: [0x0000_8000n, 0x0f70_0000n], kernel: 0x1010_0000n }),
});

export const parisc64: Arch = defineArch({
  ...common,
  name: 'parisc64',
  is64: true,
  // biome-ignore format: table
  relocs: {
    //                         type  calculation   field    overflow
    R_PARISC_PCREL32:    howto(9,    pcrel,        word32,  dont),
    R_PARISC_LTOFF21L:   howto(34,   ltoffL,       LEFT21,  dont),
    R_PARISC_LTOFF14R:   howto(38,   ltoffR,       RIGHT14, dont),
    R_PARISC_SECREL32:   howto(41,   abs,          word32,  dont),
    R_PARISC_SEGREL32:   howto(49,   abs,          word32,  dont),
    R_PARISC_FPTR64:     howto(64,   fptr,         word64,  dont),
    R_PARISC_PCREL64:    howto(72,   pcrel,        word64,  dont),
    R_PARISC_PCREL22F:   howto(74,   called,       W22,     reach),
    R_PARISC_DIR64:      howto(80,   abs,          word64,  dont),
  },
  accepts: (h) => h.e_machine === 15 && h.is64,
  config: { LIVEPATCH: false },
  moduleArea: () => ({ text: [0x0000_8000n, 0x3f70_0000n], kernel: 0x4010_0000n }),
});
