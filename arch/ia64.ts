/**
 * IA-64 (Intel Itanium Processor-specific Application Binary Interface). 6.1: arch/ia64/kernel/module.c and patch.c;
 * the architecture is gone since 6.7.
 *
 * Instructions come in bundles of 128 bits: five bits of template, then three slots of 41 bits. An instruction's
 * address is that of its bundle, plus the number of its slot; movl and brl fill slots 1 and 2. A type number says what
 * it is: bits 7:3 the formula, bits 2:0 the format, and so the kernel reads it, numbers that nobody has named too.
 * Functions are called by descriptors, an address and a global pointer, and data is reached from gp, the middle of the
 * module's core: what lies beyond 2 MiB of it goes through the GOT. The linker script leaves empty sections for GOT,
 * descriptors and two PLTs, one of them for init, which may have been put far away.
 */
import { hex } from '../relocs/bits.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { dont, saying, signed } from '../relocs/check.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA } from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { type Field, field, type Slice, word32, word64 } from '../relocs/field.ts';
import { type Calculation, type Check, howto, refuse, type Row, type Verdict } from '../relocs/howto.ts';
import { descriptorAt } from '../relocs/memory-at.ts';
import type { Memory, ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Site } from '../relocs/site.ts';
import { Slots } from '../relocs/slots.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, defineArch } from './arch.ts';

const SHF_IA_64_SHORT = 0x1000_0000;
const MAX_LTOFF = 1n << 22n;

/** Slices of a slot, as slices of the bundle; one field a slot. */
const bundle = (...slices: readonly Slice[]): Field => field(16, slices, { block: true });
const inSlot = (n: number, slices: readonly Slice[]): Slice[] =>
  slices.map(([hi, lo, at]) => [hi, lo, at + 5 + 41 * n]);
const inAnySlot = (...slices: readonly Slice[]): Field[] => [0, 1, 2].map((n) => bundle(...inSlot(n, slices)));
const imm22 = inAnySlot([21, 21, 36], [20, 16, 22], [15, 7, 27], [6, 0, 13]);
const imm21b = inAnySlot([20, 20, 36], [19, 0, 13]);
/** What makes a mov of an ld8: everything of it but the registers. */
const ld8 = inAnySlot([40, 27, 27], [19, 13, 13]);
const MOV = 1n << 40n;
const imm64 = bundle(...inSlot(2, [[63, 63, 36], [21, 21, 21], [20, 16, 22], [15, 7, 27], [6, 0, 13]]), ...inSlot(1, [[62, 22, 0]])); // biome-ignore format: bits
const imm60 = bundle(
  ...inSlot(2, [
    [59, 59, 36],
    [19, 0, 13],
  ]),
  ...inSlot(1, [[58, 20, 2]]),
);

const enoexec = (r: Site, text: string): Verdict => ({ errno: 'ENOEXEC', log: [`${r.module.name}: ${text}`] });
const reach = (name: string): Check => saying(signed, (r, value) => enoexec(r, `value ${value} out of ${name} range`));
const longSlot = (name: string): Check => ({
  name: 'slot 1 or 2',
  passes: (_, __, r) => (r.P & 3n) === 1n || (r.P & 3n) === 2n,
  refusal: (r) => enoexec(r, `invalid slot number ${r.P & 3n} for ${name}`),
});

/** Where a value goes. Branches count bundles. */
interface Format {
  readonly field: Field;
  readonly checks: readonly Check[];
  readonly branch?: true;
  readonly write?: (r: Site, value: bigint) => void;
}
/** Beyond slot 2 the kernel shifts everything out. */
const anySlot = (fields: readonly Field[], name: string): Format => ({
  field: fields[0]!,
  checks: [reach(name)],
  write: (r, value) => {
    const at = fields[Number(r.P % 16n)];
    if (at !== undefined) r.insert(at, value);
  },
});
const INSN22 = anySlot(imm22, 'IMM22');
const INSN64: Format = { field: imm64, checks: [longSlot('IMM64')] };
const INSN60: Format = { field: imm60, checks: [longSlot('IMM60'), reach('IMM60')], branch: true };
const INSN21B: Format = { ...anySlot(imm21b, 'IMM21b'), branch: true };
const formats: Readonly<Record<number, Format>> = {
  2: INSN22,
  3: INSN64,
  5: { field: word32, checks: [dont] },
  7: { field: word64, checks: [dont] },
};

// Tables

interface Tables {
  readonly got: Slots;
  readonly opd: Slots;
  readonly corePlt: Slots;
  readonly initPlt: Slots;
}
const tables = new StateOf<ModuleView, Tables>(() => {
  throw new Error('frobSections() sizes GOT, PLT and descriptors before anything is relocated');
});

const LTOFF = [0x32, 0x33, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x86];
const PLT = [0x3a, 0x3b, 0x3e, 0x3f, 0x49, 0x80, 0x81];
const FDESC = [0x43, 0x44, 0x45, 0x46, 0x47, 0x49, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x80, 0x81];

/** module_frob_arch_sections(): entries of one symbol, type and addend are one in their relocation section. */
function frobSections(m: ModuleView): void {
  const named = (name: string) => m.sections.findLast((s) => s.name === name);
  const [corePlt, initPlt, got, opd] = [named('.core.plt'), named('.init.plt'), named('.got'), named('.opd')];
  if (!corePlt || !initPlt || !got || !opd) {
    m.log(`${m.name}: sections missing`);
    throw new Refusal('ENOEXEC', `${m.name} was not linked with the kernel's module.lds`);
  }
  const counts = { got: 0, opd: 0, corePlt: 0, initPlt: 0 };
  for (const s of m.sections) {
    if (s.index === 0 || s.sh_type !== SHT_RELA) continue;
    const plt = s.name.includes('.init') ? 'initPlt' : 'corePlt';
    const entries = new Entries(m.format, true, s.bytes);
    const seen = new Set<bigint>();
    for (let i = 0; i < entries.count; i++) {
      const type = genericInfo.type(entries.r_info(i), m.format);
      const key = (entries.r_info(i) << 64n) | BigInt.asUintN(64, entries.r_addend(i));
      if (seen.has(key)) continue;
      seen.add(key);
      if (LTOFF.includes(type)) counts.got++;
      if (FDESC.includes(type)) counts.opd++;
      if (PLT.includes(type)) counts[plt]++;
    }
  }
  const room = (s: typeof got, entrySize: number, max: number, sh_addralign: number, flags: number): Slots => {
    Object.assign(s, { sh_type: SHT_NOBITS, sh_flags: SHF_ALLOC | flags, sh_addralign, sh_size: max * entrySize });
    return new Slots(s, entrySize, max);
  };
  const pltSize = m.config.ITANIUM === true ? 48 : 32;
  tables.set(m, {
    corePlt: room(corePlt, pltSize, counts.corePlt, 16, SHF_EXECINSTR),
    initPlt: room(initPlt, pltSize, counts.initPlt, 16, SHF_EXECINSTR),
    got: room(got, 8, counts.got, 8, SHF_IA_64_SHORT),
    opd: room(opd, 16, counts.opd, 8, 0),
  });
}

const within = (memory: Memory | undefined, address: bigint): boolean =>
  BigInt.asUintN(64, address - (memory?.base ?? 0n)) < BigInt(memory?.size ?? 0);
const inInit = (m: ModuleView, address: bigint): boolean => within(m.memory.init, address);
const inCore = (m: ModuleView, address: bigint): boolean => within(m.memory.core, address);
const isInternal = (m: ModuleView, address: bigint): boolean => inInit(m, address) || inCore(m, address);

/** The middle of the core, or of its last 4 MiB, where the small data is. */
function gp(m: ModuleView): bigint {
  const { base, size } = m.memory.core ?? { base: 0n, size: 0 };
  const all = BigInt(size);
  return base + (((all > MAX_LTOFF ? all - MAX_LTOFF / 2n : all / 2n) + 7n) & ~7n);
}
const gpReaches = (r: Site, value: bigint): boolean => r.word(value - gp(r.module) + MAX_LTOFF / 2n) < MAX_LTOFF;

/** get_ltoff() */
function ltoff(r: Site, value: bigint): bigint {
  const { got } = tables.of(r.module);
  return got.entry(value, (i) => got.bytes(i).setBigUint64(0, value, true)) - gp(r.module);
}

/** Without a single entry the kernel reads and writes what comes after the section. */
function hasRoom(r: Site, slots: Slots): void {
  if (slots.max === 0)
    throw crashes('signal 11', `${r.where()} takes an entry of ${slots.section.name}, which has none`);
}

/** get_fdesc(): outside of the module a function's address is that of its descriptor. */
function fdesc(r: Site, value: bigint): bigint {
  if (value === 0n) {
    r.log(`${r.module.name}: fdesc for zero requested!`);
    return 0n;
  }
  if (!isInternal(r.module, value)) return value;
  const { opd } = tables.of(r.module);
  hasRoom(r, opd);
  return opd.entry(value, (i) => {
    opd.bytes(i).setBigUint64(0, value, true);
    opd.bytes(i).setBigUint64(8, gp(r.module), true);
  });
}

const MOVL_R16 = 0x6000_0002_0000_0000_0000_0001_0000_0005n; // [MLX] nop.m 0; movl r16 = ip
const MOVL_GP = 0x6000_0000_2000_0000_0000_0001_0000_0004n; // [MLX] nop.m 0; movl gp = gp
const BRL = 0xc000_0008_0000_0000_0000_0001_0000_0005n; // [MLX] nop.m 0; brl.many ip
const BR_B6 = 0x0080_0060_0003_8004_8060_0001_0000_0011n; // [MIB] nop.m 0; mov b6 = r16; br.few b6

/** get_plt() for a function descriptor. An entry is found again by the address it jumps to, in bundles. */
function pltEntry(r: Site, value: bigint): bigint {
  const { corePlt, initPlt } = tables.of(r.module);
  const plt = inInit(r.module, r.P) ? initPlt : corePlt;
  const [ip = 0n, targetGp = 0n] = descriptorAt(r.module, value, 2);
  hasRoom(r, plt);
  let i = plt.find(ip);
  if (i === undefined) {
    const brl = plt.addressOf(plt.used) + 16n;
    const distance = r.long(ip - brl) / 16n;
    const itanium = plt.entrySize === 48;
    i = plt.take(itanium ? ip : r.word(brl + 16n * distance));
    const bundles = itanium
      ? [imm64.insert(MOVL_R16, ip), imm64.insert(MOVL_GP, targetGp), BR_B6]
      : [imm64.insert(MOVL_GP, targetGp), imm60.insert(BRL, distance)];
    for (const [n, word] of bundles.entries()) {
      plt.bytes(i).setBigUint64(16 * n, BigInt.asUintN(64, word), true);
      plt.bytes(i).setBigUint64(16 * n + 8, word >> 64n, true);
    }
  }
  return plt.addressOf(i);
}

// Formulas

const target = (r: Site): bigint => r.word(r.S + r.A);
const ofBundle = (P: bigint): bigint => P & ~0xfn;
const bundleRel = calculation('S + A - bundle(P)', (r) => target(r) - ofBundle(r.P));
const branch = calculation('S + A - bundle(P), or PLT(S + A) - bundle(P)', (r) => {
  const { module: m, P } = r;
  let val = target(r);
  if ((inInit(m, val) && inCore(m, P)) || (inCore(m, val) && inInit(m, P))) {
    const delta = r.long(val - P) / 16n;
    if (delta < -(1n << 20n) || delta >= 1n << 20n) val = pltEntry(r, fdesc(r, val));
  } else if (!isInternal(m, val)) val = pltEntry(r, val);
  return val - ofBundle(P);
});
const baseRel = calculation('S + A - BD', (r) => {
  const { init, core } = r.module.memory;
  return target(r) - ((inInit(r.module, target(r)) ? init : core)?.base ?? 0n);
});
const gprel = calculation('@gprel(S + A)', (r) => target(r) - gp(r.module));
/** By bits 7:3 of the type. */
const formulas: Readonly<Record<number, Calculation>> = {
  4: abs,
  5: gprel,
  6: calculation('@ltoff(S + A)', (r) => ltoff(r, target(r))),
  7: calculation('@pltoff(S + A)', (r) => pltEntry(r, target(r))),
  8: calculation('@fptr(S + A)', (r) => fdesc(r, target(r))),
  9: bundleRel,
  10: calculation('@ltoff(@fptr(S + A))', (r) => ltoff(r, fdesc(r, target(r)))),
  11: calculation('@segrel(S + A), of segment 0', target),
  12: calculation('@secrel(S + A)', (r) => target(r) - r.run.target.sh_addr),
  13: baseRel,
  15: bundleRel,
};
const iplt = calculation('@fptr(PLT(S + A))', (r) => fdesc(r, pltEntry(r, target(r))));
const ltoffx: Calculation = calculation('@gprel(S + A), or @ltoff(S + A)', (r) =>
  gpReaches(r, target(r)) ? target(r) - gp(r.module) : ltoff(r, target(r)),
);
const negative = calculation('A - S', (r) => r.A - r.S);
const local: Check = {
  name: 'local symbol',
  passes: (_, __, r) => isInternal(r.module, target(r)),
  refusal: (r) => ({
    errno: 'ENOEXEC',
    log: [`do_reloc: PCREL21BI reloc against non-local symbol (${hex(target(r))})`],
  }),
};

// Types

// biome-ignore format: table
const names = {
  NONE:        0x00,
  IMM14:       0x21, IMM22:         0x22, IMM64:         0x23,
  DIR32MSB:    0x24, DIR32LSB:      0x25, DIR64MSB:      0x26, DIR64LSB:      0x27,
  GPREL22:     0x2a, GPREL64I:      0x2b,
  GPREL32MSB:  0x2c, GPREL32LSB:    0x2d, GPREL64MSB:    0x2e, GPREL64LSB:    0x2f,
  LTOFF22:     0x32, LTOFF64I:      0x33,
  PLTOFF22:    0x3a, PLTOFF64I:     0x3b, PLTOFF64MSB:   0x3e, PLTOFF64LSB:   0x3f,
  FPTR64I:     0x43, FPTR32MSB:     0x44, FPTR32LSB:     0x45, FPTR64MSB:     0x46, FPTR64LSB:     0x47,
  PCREL60B:    0x48, PCREL21B:      0x49, PCREL21M:      0x4a, PCREL21F:      0x4b,
  PCREL32MSB:  0x4c, PCREL32LSB:    0x4d, PCREL64MSB:    0x4e, PCREL64LSB:    0x4f,
  LTOFF_FPTR22: 0x52, LTOFF_FPTR64I: 0x53,
  LTOFF_FPTR32MSB: 0x54, LTOFF_FPTR32LSB: 0x55, LTOFF_FPTR64MSB: 0x56, LTOFF_FPTR64LSB: 0x57,
  SEGREL32MSB: 0x5c, SEGREL32LSB:   0x5d, SEGREL64MSB:   0x5e, SEGREL64LSB:   0x5f,
  SECREL32MSB: 0x64, SECREL32LSB:   0x65, SECREL64MSB:   0x66, SECREL64LSB:   0x67,
  REL32MSB:    0x6c, REL32LSB:      0x6d, REL64MSB:      0x6e, REL64LSB:      0x6f,
  LTV32MSB:    0x74, LTV32LSB:      0x75, LTV64MSB:      0x76, LTV64LSB:      0x77,
  PCREL21BI:   0x79, PCREL22:       0x7a, PCREL64I:      0x7b,
  IPLTMSB:     0x80, IPLTLSB:       0x81, COPY:          0x84, SUB:           0x85,
  LTOFF22X:    0x86, LDXMOV:        0x87,
  TPREL14:     0x91, TPREL22:       0x92, TPREL64I:      0x93, TPREL64MSB:    0x96, TPREL64LSB:    0x97,
  LTOFF_TPREL22: 0x9a, DTPMOD64MSB: 0xa6, DTPMOD64LSB:   0xa7, LTOFF_DTPMOD22: 0xaa,
  DTPREL14:    0xb1, DTPREL22:      0xb2, DTPREL64I:     0xb3,
  DTPREL32MSB: 0xb4, DTPREL32LSB:   0xb5, DTPREL64MSB:   0xb6, DTPREL64LSB:   0xb7, LTOFF_DTPREL22: 0xba,
} as const;
const byType = new Map<number, string>(Object.entries(names).map(([name, type]) => [type, name]));
const nameOf = (type: number): string => byType.get(type) ?? '?';

function row(type: number, calc: Calculation, format: Format, first: readonly Check[] = []): Row {
  const { field: at, checks, write, branch: inBundles } = format;
  const value = inBundles ? calculation(`(${calc.formula}) / 16`, (r) => r.long(calc.value(r)) / 16n) : calc;
  return howto(type, value, at, [...first, ...checks], { ...(write && { write }) });
}

/** The value has been calculated, with the entries it takes, when its format turns out to be none that the kernel has. */
const noFormat = (type: number, calc: Calculation, format: number): Row =>
  refuse(type, (r) => {
    calc.value(r);
    if (format === 0) return enoexec(r, `relocation ${nameOf(type)} resulted in unknown format 0`);
    return enoexec(r, `format ${format} needed by ${nameOf(type)} reloc is not supported`);
  });

/** What is not as its bits say. */
const special: Readonly<Record<number, Row>> = {
  [names.PCREL60B]: row(names.PCREL60B, bundleRel, INSN60),
  [names.PCREL21B]: row(names.PCREL21B, branch, INSN21B),
  [names.PCREL21M]: noFormat(names.PCREL21M, bundleRel, 10),
  [names.PCREL21F]: noFormat(names.PCREL21F, bundleRel, 11),
  [names.PCREL32LSB]: howto(names.PCREL32LSB, pcrel, word32, dont),
  [names.PCREL64LSB]: howto(names.PCREL64LSB, pcrel, word64, dont),
  [names.PCREL21BI]: row(names.PCREL21BI, bundleRel, INSN21B, [local]),
  [names.IPLTMSB]: noFormat(names.IPLTMSB, iplt, 6),
  [names.IPLTLSB]: howto(names.IPLTLSB, iplt, word64, dont),
  [names.COPY]: refuse(names.COPY, (r) => enoexec(r, 'special reloc COPY not supported')),
  [names.SUB]: row(names.SUB, negative, INSN64),
  [names.LTOFF22X]: row(names.LTOFF22X, ltoffx, INSN22),
  [names.LDXMOV]: howto(
    names.LDXMOV,
    calculation('ld8 to mov, if gp reaches S + A', () => MOV),
    ld8[0]!,
    dont,
    {
      write: (r, mov) => {
        const at = ld8[Number(r.P % 16n)];
        if (at !== undefined && gpReaches(r, target(r))) r.insert(at, mov);
      },
    },
  ),
};

/** do_reloc(): what the bits of a type say. */
function decode(type: number): Row {
  const formula = type >> 3;
  const calc = formulas[formula];
  const format = formats[type & 7];
  if (special[type] !== undefined) return special[type];
  if (calc !== undefined) return format === undefined ? noFormat(type, calc, type & 7) : row(type, calc, format);
  if (formula === 14)
    return refuse(type, (r) => {
      throw crashes('BUG', `${r.where()} is for a static linker`);
    });
  if (formula === 16) return refuse(type, (r) => enoexec(r, `unknown special reloc ${type.toString(16)}`));
  if (formula >= 18 && formula <= 23) return refuse(type, (r) => enoexec(r, `${nameOf(type)} reloc not supported`));
  return refuse(type, (r) => enoexec(r, `unknown reloc ${type.toString(16)}`));
}

/** A number that nobody has named is done as its bits say. */
function unnamed(r: Site): Verdict | undefined {
  const decoded = { ...decode(r.type), name: '?' };
  if (decoded.refusal !== undefined) return decoded.refusal(r);
  const value = r.long(decoded.calc.value(r));
  const failed = decoded.checks.find((check) => !check.passes(value, decoded, r));
  if (failed !== undefined) return failed.refusal!(r, value);
  if (decoded.write !== undefined) decoded.write(r, value);
  else r.insert(decoded.field, value);
  return undefined;
}

/** register_unwind_table(): entries by the address they start at, exchanged one with another as they are met. */
function sortUnwind(m: ModuleView): void {
  const unwind = m.sections.findLast((s) => s.name === '.IA_64.unwind');
  if (unwind === undefined) return;
  const { bytes } = unwind;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const all = Array.from({ length: Math.floor(bytes.length / 24) }, (_, i) => ({
    start: view.getBigUint64(24 * i, true),
    entry: bytes.slice(24 * i, 24 * i + 24),
  }));
  const starts = new Set(all.map(({ start }) => start));
  if (starts.size === all.length) all.sort((a, b) => (a.start < b.start ? -1 : 1));
  else
    for (let i = 0; i < all.length; i++)
      for (let j = i + 1; j < all.length; j++) if (all[j]!.start < all[i]!.start) [all[i], all[j]] = [all[j]!, all[i]!];
  for (const [i, { entry }] of all.entries()) bytes.set(entry, 24 * i);
}

export const ia64: Arch = defineArch({
  name: 'ia64',
  backend: 'ia64',
  psABI: 'https://refspecs.linuxfoundation.org/elf/IA64-SysV-psABI.pdf',
  e_machine: [50],
  is64: true,
  orders: ['little'],
  forms: ['RELA'],
  until: '6.1',
  smallFlag: SHF_IA_64_SHORT,
  extable: { size: 8, relative: true },
  pageSize: 16384,
  config: { STRICT_MODULE_RWX: false, LIVEPATCH: false },
  info: { sym: genericInfo.sym, type: (r_info) => Number(r_info & 0xffn) },
  relocs: Object.fromEntries(Object.entries(names).map(([name, type]) => [`R_IA64_${name}`, decode(type)])),
  unknown: unnamed,
  frobSections,
  finalize: sortUnwind,
  /** The vmalloc area, half of which is the kernel's map of its pages. */
  moduleArea: () => ({ text: [0xa000_0002_0000_0000n, 0xa000_4000_0000_0000n], kernel: 0xa000_0001_0000_0000n }),
});
