/**
 * PowerPC, 64 bits (ELFv1: 64-bit PowerPC ELF ABI Supplement 1.9; ELFv2: 64-Bit ELF V2 ABI Specification 1.5).
 * 7.2: arch/powerpc/kernel/module_64.c.
 *
 * A function finds its data through r2, which points 32 KiB into its module's TOC. Calls that leave the module go
 * through a stub in `.stubs`, reach or no reach, because r2 has to be saved; the nop after the call becomes the
 * instruction that restores it. A stub takes its target from the words behind its code. Under ELFv1 (big-endian) a
 * function symbol is a descriptor of three words, code, TOC and environment, and a leading dot means the code itself;
 * under ELFv2 the symbol is the code, and st_other says how far behind the entry local calls go in. A kernel for
 * Power10 (PPC_KERNEL_PCREL) has no TOC: prefixed instructions of two words reach 8 GiB, and a GOT in `.mygot` serves
 * what lies farther. There is no init memory: `.init` stays.
 *
 * Two architectures, since no kernel reads both orders: ppc64le is ELFv2; ppc64 is ELFv1 unless PPC64_ELF_ABI_V2 says
 * otherwise. Feature fixups depend on the CPU, and where ftrace_caller lies no file tells: left alone.
 */
import { hex } from '../relocs/bits.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { aligned, dont, range, saying, signed } from '../relocs/check.ts';
import { SHN_ABS, SHN_LIVEPATCH, SHN_UNDEF, SHT_RELA } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { field, insn32, word32, word64 } from '../relocs/field.ts';
import { type Calculation, howto, ignore, type Verdict } from '../relocs/howto.ts';
import { descriptorAt, memoryAt } from '../relocs/memory-at.ts';
import type { Config, ModuleView } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Run, Site } from '../relocs/site.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';
import { countRuns, sortDownwards } from './ppc32.ts';

const [REL24, REL24_NOTOC, GOT_PCREL34] = [10, 116, 133];
const isPcrel = (c: Config): boolean => c.PPC_KERNEL_PCREL === true;
const isV2 = (m: ModuleView): boolean => m.config.PPC64_ELF_ABI_V2 === true;
const hasFtrace = (m: ModuleView): boolean => m.config.DYNAMIC_FTRACE === true;
const KERNELBASE = 0xc000_0000_0000_0000n;
/** Where the TOC of a kernel is, only a live one tells; ours lies here. */
export const KERNEL_TOC = 0xc000_0000_0180_8000n;

/** struct mod_arch_specific, and the two tables' entries by what they stand for, so that they need not be searched. */
interface State {
  readonly stubs: Section;
  readonly toc: Section;
  readonly got: Section | undefined;
  /** 0 without one, which is what undefined symbols have. */
  readonly pcpu: number;
  readonly stubOf: Map<bigint, number>;
  readonly gotOf: Map<bigint, number>;
  /** The first entries that are free. */
  stubCount: number;
  gotCount: number;
  tocFixed: boolean;
}
const states = new StateOf<ModuleView, State>(() => {
  throw new Error('frobSections() finds the tables before anything is relocated');
});

/** my_r2() */
const r2 = (m: ModuleView): bigint => (states.of(m).toc.sh_addr & ~0xffn) + 0x8000n;

const [ADDIS_R11_R2, ADDI_R11_R11, LD_R12_R11, LD_R2_R11] = [0x3d62_0000, 0x396b_0000, 0xe98b_0020, 0xe84b_0028];
const [MTCTR_R12, BCTR, NOP, STUB_MAGIC] = [0x7d89_03a6, 0x4e80_0420, 0x6000_0000, 0x7374_7562];
const [LD_R2_R12, ADD_R2_R2_R12, ADDIS_R2_R12, ADDI_R2_R2] = [0xe84c_0000n, 0x7c42_6214n, 0x3c4c_0000n, 0x3842_0000n];
/** std r2, slot(r1) and ld r2, slot(r1) */
const saveR2 = (m: ModuleView): number => (isV2(m) ? 0xf841_0018 : 0xf841_0028);
const restoresR2 = (m: ModuleView): number => (isV2(m) ? 0xe841_0018 : 0xe841_0028);
const lo = (v: bigint): number => Number(v & 0xffffn);
const ha = (v: bigint): number => Number(((v + 0x8000n) >> 16n) & 0xffffn);
const h18 = (v: bigint): number => Number((v >> 16n) & 0x3ffffn);

/** func_desc_t: the words of a descriptor, or the address alone. */
function funcDesc(m: ModuleView, addr: bigint): readonly bigint[] {
  if (isV2(m)) return [addr];
  return descriptorAt(m, addr, 3);
}
const entrySize = (m: ModuleView): number => (isV2(m) ? 40 : 56);
const say = (m: ModuleView, line: string): undefined => m.log(`module_64: ${m.name}: ${line}`) as undefined;

/** is_mprofile_ftrace_call() */
const isFtraceCall = (m: ModuleView, name: string): boolean =>
  m.config.MPROFILE_KERNEL === true &&
  (name === '_mcount' ||
    (hasFtrace(m) &&
      (name === 'ftrace_caller' || (name === 'ftrace_regs_caller' && m.config.DYNAMIC_FTRACE_WITH_REGS === true))));

/** create_stub() and create_ftrace_stub(); false: it said why not. */
function createStub(m: ModuleView, at: bigint, addr: bigint, name: string): boolean {
  const stub = memoryAt(m, at, entrySize(m), `${m.name} has a stub`);
  const { little } = m.format;
  const put = (n: number, insn: number): void => stub.setUint32(4 * n, insn >>> 0, little);
  if (m.version !== '6.1' && at % 8n !== 0n) return say(m, 'Address of stub entry is not 8-byte aligned') ?? false;
  const prefixed = isPcrel(m.config);
  const far = (v: bigint): boolean => BigInt.asIntN(prefixed ? 34 : 32, v) !== v;
  if (isFtraceCall(m, name)) {
    const offset = BigInt.asIntN(64, addr - (prefixed ? KERNELBASE : KERNEL_TOC));
    // ld r12, 16(r13), which is the kernel's TOC or base in the paca
    const code = prefixed ? [0xe98d_0010, NOP, 0x0600_0000, 0x398c_0000] : [0xe98d_0010, 0x3d8c_0000, 0x398c_0000];
    [...code, MTCTR_R12, BCTR].forEach((insn, n) => put(n, insn));
    const base = prefixed ? '34-bit relative address' : 'kernel_toc';
    if (far(offset)) return say(m, `Address of ${name} out of range of ${base}.`) ?? false;
    const from = prefixed ? 2 : 1;
    put(from, code[from]! | (prefixed ? h18(offset) : ha(offset)));
    put(from + 1, code[from + 1]! | lo(offset));
  } else if (prefixed) {
    // pld r12, 32(pc)
    [0x0410_0000, 0xe580_0020, MTCTR_R12, BCTR].forEach((insn, n) => put(n, insn));
  } else {
    const code = [ADDIS_R11_R2, ADDI_R11_R11, saveR2(m), LD_R12_R11, ...(isV2(m) ? [] : [LD_R2_R11]), MTCTR_R12, BCTR];
    code.forEach((insn, n) => put(n, insn));
    const offset = BigInt.asIntN(64, at - r2(m));
    if (far(offset)) {
      // The kernel means r2, and prints where its function my_r2() lies.
      return (
        say(m, `Address ${hex(BigInt.asUintN(64, offset), 16)} of stub out of range of ${hex(r2(m), 16)}.`) ?? false
      );
    }
    put(0, ADDIS_R11_R2 | ha(offset));
    put(1, ADDI_R11_R11 | lo(offset));
  }
  funcDesc(m, addr).forEach((word, n) => stub.setBigUint64(32 + 8 * n, word, little));
  put(7, STUB_MAGIC);
  return true;
}

/** stub_for_addr(): 0 when there is none to be had. */
function stubForAddr(r: Site, addr: bigint): bigint {
  const m = r.module;
  const state = states.of(m);
  const { stubs, stubOf } = state;
  const size = entrySize(m);
  const places = Math.floor(stubs.sh_size / size);
  const address = (i: number): bigint => stubs.sh_addr + BigInt(i * size);
  // 7.2 counts its stubs. Before, one whose target is not 0 is taken, and what lies behind the section looks like one.
  const counts = m.version === '7.2';
  const target = state.stubCount === 0 ? undefined : funcDesc(m, addr)[0]!;
  const known = target === undefined ? undefined : stubOf.get(target);
  if (known !== undefined && known < places) return address(known);
  const i = state.stubCount;
  const taken = counts
    ? i > places
    : i >= places &&
      memoryAt(m, address(i), size, `${r.where()} looks for a stub`).getBigUint64(32, m.format.little) !== 0n;
  if (taken) {
    m.warn(`${stubs.name} was sized for ${places} stubs and more are needed`);
    return 0n;
  }
  if (!createStub(m, address(i), addr, r.symbolName)) return 0n;
  const made = target ?? funcDesc(m, addr)[0]!;
  if (counts || made !== 0n) {
    if (!stubOf.has(made)) stubOf.set(made, i);
    state.stubCount++;
  }
  return address(i);
}

/** got_for_addr(): address 0 looks like the end of the table, so its entry is lost to the next one. */
function gotForAddr(r: Site, addr: bigint): bigint {
  const m = r.module;
  const state = states.of(m);
  const got = state.got!;
  const known = state.gotOf.get(addr);
  const i = known ?? state.gotCount;
  const at = got.sh_addr + BigInt(8 * i);
  if (known !== undefined) return at;
  const entry = memoryAt(m, at, 8, `${r.where()} looks for a GOT entry`);
  if (i >= Math.floor(got.sh_size / 8) && entry.getBigUint64(0, m.format.little) !== 0n) {
    m.warn(`${got.name} was sized for ${i} entries and more are needed`);
    throw r.refusal('ENOENT', [], `${r.where()} needs one more entry in ${got.name} than was counted`);
  }
  entry.setBigUint64(0, addr, m.format.little);
  if (addr !== 0n) {
    state.gotOf.set(addr, i);
    state.gotCount++;
  }
  return at;
}

/** restore_r2(): the instruction after a call, wherever that lies. */
function restoreR2(r: Site): void {
  const m = r.module;
  if (isPcrel(m.config) || isFtraceCall(m, r.symbolName)) return;
  const call = Number(r.read(4, 'insn'));
  const opcode = call >>> 26;
  const isRelativeLink = (opcode === 18 || opcode === 16) && (call & 3) === 1;
  if (!isRelativeLink) return;
  const next = memoryAt(m, r.P + 4n, 4, `${r.where()} is a call, and what follows it is looked at`);
  const insn = next.getUint32(0, m.format.little);
  if (insn === restoresR2(m) && m.version !== '6.1') return;
  if (insn !== NOP) {
    const log = `module_64: ${m.name}: Expected nop after call, got ${hex(BigInt(insn), 8)} at 0x${hex(r.P + 4n)}`;
    throw r.refusal('ENOEXEC', log, `${r.where()} leaves the module, and no nop follows it that could become ld r2`);
  }
  next.setUint32(0, restoresR2(m), m.format.little);
}

/**
 * patch_instruction(): one word, or two where the first is a prefix. So a place that holds a prefix where it should not
 * gets a second word of 0, and where the prefix is missing its suffix stays.
 */
function patch(r: Site, word: bigint, suffix: bigint): void {
  r.write(4, word, 'insn');
  if (word >> 26n !== 1n) return;
  const next = memoryAt(r.module, r.P + 4n, 4, `${r.where()} patches a prefixed instruction`);
  next.setUint32(0, Number(suffix), r.format.little);
}
const patchWord = { write: (r: Site, v: bigint): void => patch(r, LI.insert(r.read(4, 'insn'), v), 0n) };
const patchPair = {
  write: (r: Site, v: bigint): void => {
    const pair = PREFIXED.insert(r.read(8, 'words'), v);
    patch(r, pair >> 32n, pair & 0xffff_ffffn);
  },
};

/** A call: to the stub of what is not here, or behind the part of the function that sets up r2. */
const call: Calculation = {
  formula: 'S + A - P, or STUB(S + A) - P',
  value: (r) => {
    const target = r.word(r.S + r.A);
    if (r.st_shndx !== SHN_UNDEF && r.st_shndx !== SHN_LIVEPATCH) {
      const localEntry = isV2(r.module) ? ((1n << BigInt(r.st_other >> 5)) >> 2n) << 2n : 0n;
      return target + localEntry - r.P;
    }
    const stub = stubForAddr(r, target);
    if (stub === 0n) throw r.refusal('ENOENT', [], `${r.where()} gets no stub`);
    restoreR2(r);
    return stub - r.P;
  },
};

/** Out of reach only per-CPU data may be, which was moved; its address is then loaded from the GOT: pla becomes pld. */
const pcrel34: Calculation = {
  formula: 'S + A - P, or GOT(S + A) - P',
  value: (r) => {
    const distance = r.long(r.S + r.A - r.P);
    if (BigInt.asIntN(34, distance) === distance) return distance;
    if (r.st_shndx !== states.of(r.module).pcpu)
      throw r.refusal('ENOEXEC', err(r, `REL34 ${distance} out of range!`).log);
    const entry = gotForAddr(r, r.word(r.S + r.A));
    const pair = (r.read(8, 'words') & ~0x0200_0000_f800_0000n) | 0xe400_0000n;
    patch(r, pair >> 32n, pair & 0xffff_ffffn);
    return entry - r.P;
  },
};

const toc = calculation('TOC', (r) => r2(r.module));
const tocrel = calculation('S + A - TOC', (r) => r.S + r.A - r2(r.module));
const gotrel = calculation('GOT(S + A) - P', (r) => gotForAddr(r, r.word(r.S + r.A)) - r.P);
const entry = calculation('TOC - P', (r) => r2(r.module) - r.P);

const LI = insn32([[25, 2, 2]]);
const half = (hi: number, low: number, at: number, round = 0n) => field(2, [[hi, low, at]], { round });
const [LO, DS, HA] = [half(15, 0, 0), half(15, 2, 2), half(31, 16, 0, 0x8000n)];
const PREFIXED = field(
  8,
  [
    [33, 16, 32],
    [15, 0, 0],
  ],
  { order: 'words' },
);

/** ld r2, …(r12); add r2, r2, r12 becomes addis, addi where r2 is near enough; anything else stays. */
function writeEntry(r: Site, value: bigint): void {
  if (r.word(value + 0x8000_8000n) > 0xffff_ffffn) return;
  if ((r.read(4, 'insn') & ~0xfffcn) !== LD_R2_R12 || r.read(4, 'insn', 4) !== ADD_R2_R2_R12) return;
  r.write(4, ADDIS_R2_R12 | BigInt(ha(value)), 'insn');
  r.write(4, ADDI_R2_R2 | BigInt(lo(value)), 'insn', 4);
}

const err = (r: Site, line: string): Verdict => ({ errno: 'ENOEXEC', log: [`module_64: ${r.module.name}: ${line}`] });
const bad =
  (name: string) =>
  (r: Site, v: bigint): Verdict =>
    err(r, `bad ${name} relocation (0x${hex(r.word(v))})`);
const far =
  (name: string) =>
  (r: Site, v: bigint): Verdict =>
    err(r, `${name} ${v} out of range!`);
const toc16 = saying(signed, bad('TOC16'));
const toc16ds = [saying(aligned(4n), bad('TOC16_DS')), saying(signed, bad('TOC16_DS'))];
const toc16lods = saying(aligned(4n), bad('TOC16_LO_DS'));
const reach = [saying(range(-0x200_0000n, 0x1ff_ffffn), far('REL24')), saying(aligned(4n), far('REL24'))];
const rel32 = saying(signed, far('REL32'));

const hasToc = { needs: { config: 'a kernel without PPC_KERNEL_PCREL', when: (c: Config) => !isPcrel(c) } };
const prefixed = { needs: { config: 'PPC_KERNEL_PCREL', when: isPcrel }, since: '6.3' };

// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                          type  calculation  field     overflow
  R_PPC64_ADDR32:        howto(1,   abs,         word32,   dont),
  R_PPC64_REL24:         howto(10,  call,        LI,       reach,     patchWord),
  R_PPC64_REL32:         howto(26,  pcrel,       word32,   rel32),
  R_PPC64_ADDR64:        howto(38,  abs,         word64,   dont),
  R_PPC64_REL64:         howto(44,  pcrel,       word64,   dont),
  R_PPC64_TOC16:         howto(47,  tocrel,      LO,       toc16,     hasToc),
  R_PPC64_TOC16_LO:      howto(48,  tocrel,      LO,       dont,      hasToc),
  R_PPC64_TOC16_HA:      howto(50,  tocrel,      HA,       dont,      hasToc),
  R_PPC64_TOC:           howto(51,  toc,         word64,   dont,      hasToc),
  R_PPC64_TOC16_DS:      howto(63,  tocrel,      DS,       toc16ds,   hasToc),
  R_PPC64_TOC16_LO_DS:   howto(64,  tocrel,      DS,       toc16lods, hasToc),
  R_PPC64_TOCSAVE:      ignore(109,                                   hasToc),
  R_PPC64_REL24_NOTOC:   howto(116, call,        LI,       reach,     { ...prefixed, ...patchWord }),
  R_PPC64_ENTRY: [
    howto(118, entry, insn32([[31, 0, 0]]), dont, { ...hasToc, write: writeEntry }),
    ignore(118, prefixed),
  ],
  R_PPC64_PCREL34:       howto(132, pcrel34,     PREFIXED, dont,      { ...prefixed, ...patchPair }),
  R_PPC64_GOT_PCREL34:   howto(133, gotrel,      PREFIXED, dont,      prefixed),
  R_PPC64_REL16_LO:      howto(250, pcrel,       LO,       dont),
  R_PPC64_REL16_HA:      howto(252, pcrel,       HA,       dont),
};

/** Drops the dot of undefined symbols; `.TOC.` becomes an absolute symbol whose value comes later. */
function dedotify(m: ModuleView): void {
  const { symtab } = m;
  if (symtab === undefined) return;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_shndx(i) !== SHN_UNDEF) continue;
    const name = symtab.name(i);
    if (!name.startsWith('.')) continue;
    if (name === '.TOC.') symtab.setShndx(i, SHN_ABS);
    symtab.setName(i, symtab.st_name(i) + 1);
  }
}

/** dedotify_versions(): struct modversion_info has its name behind the CRC. */
function dedotifyVersions(bytes: Uint8Array): void {
  for (let at = 8; at + 56 <= bytes.length; at += 64) {
    const end = bytes.indexOf(0, at);
    if (bytes[at] === 0x2e && end > 0) bytes.copyWithin(at, at + 1, end + 1);
  }
}

/** dedotify_ext_version_names(): one after the other, each without a leading dot, and zeros behind. */
function dedotifyNames(bytes: Uint8Array): void {
  let out = 0;
  let last = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (last === 0 && bytes[at] === 0x2e) at++;
    last = bytes[at] ?? 0;
    bytes[out++] = last;
  }
  bytes.fill(0, out);
}

const relaSections = (m: ModuleView): Entries[] =>
  m.sections.filter((s) => s.index > 0 && s.sh_type === SHT_RELA).map((s) => new Entries(m.format, true, s.bytes));

/** get_got_size(): whatever refers to the per-CPU section may need an entry, and so may what is undefined without one. */
function gotSize(m: ModuleView, pcpu: number): number {
  const { symtab } = m;
  if (symtab === undefined) m.warn('get_got_size: there is no symbol table');
  let entries = 1;
  for (const rels of relaSections(m)) {
    sortDownwards(m.version, rels);
    entries += countRuns(m, rels, (i) => rels.infoLow(i) === GOT_PCREL34);
    if (m.config.SMP === false || symtab === undefined) continue;
    entries += countRuns(m, rels, (_, sym) => symtab.holds(sym) && symtab.st_shndx(sym) === pcpu);
  }
  return 8 * entries;
}

/** get_stubs_size() */
function stubsSize(m: ModuleView): number {
  let stubs = m.version === '7.2' ? 0 : 1;
  for (const rels of relaSections(m)) {
    sortDownwards(m.version, rels);
    const types = isPcrel(m.config) ? [REL24, REL24_NOTOC] : [REL24];
    for (const type of types) stubs += countRuns(m, rels, (i) => rels.infoLow(i) === type);
  }
  if (hasFtrace(m)) stubs += m.config.DYNAMIC_FTRACE_WITH_REGS === true ? 2 : 1;
  if (hasFtrace(m) && m.version === '7.2' && m.config.PPC_FTRACE_OUT_OF_LINE === true) {
    const patchable = m.sections.find((s) => s.index > 0 && s.name === '__patchable_function_entries');
    const ool = m.config.DYNAMIC_FTRACE_WITH_CALL_OPS === true ? 24 : 16;
    stubs += Math.ceil((Math.floor((patchable?.sh_size ?? 0) / 8) * ool) / entrySize(m));
  }
  return stubs * entrySize(m);
}

function frobSections(m: ModuleView): void {
  const pcrelKernel = isPcrel(m.config);
  const all = (name: string): Section[] => m.sections.filter((s) => s.index > 0 && s.name === name);
  const table = pcrelKernel ? '.mygot' : '.toc';
  for (const s of all(table)) s.sh_addralign = Math.max(s.sh_addralign, 8);
  if (!pcrelKernel) {
    for (const s of all('__versions')) dedotifyVersions(s.bytes);
    if (m.version === '7.2') for (const s of all('__version_ext_names')) dedotifyNames(s.bytes);
    dedotify(m);
  }
  const [stubs, tableSection] = [all('.stubs').at(-1), all(table).at(-1)];
  const missing = (name: string): Refusal => {
    say(m, `doesn't contain ${name}.`);
    return new Refusal('ENOEXEC', `a module gets ${name} from asm/module.h when it is compiled for such a kernel`);
  };
  if (stubs === undefined) throw missing('.stubs');
  if (pcrelKernel && tableSection === undefined) throw missing('.mygot');
  const pcpu = all('.data..percpu').at(-1)?.index ?? 0;
  if (pcrelKernel) tableSection!.sh_size = gotSize(m, pcpu);
  stubs.sh_size = stubsSize(m);
  states.set(m, {
    stubs,
    toc: tableSection ?? stubs,
    got: tableSection,
    pcpu,
    stubOf: new Map(),
    gotOf: new Map(),
    stubCount: 0,
    gotCount: 0,
    tocFixed: pcrelKernel,
  });
}

/** The first relocation section that is applied gives `.TOC.` its value. */
function fixToc({ module, symtab }: Run): void {
  const state = states.of(module);
  if (state.tocFixed) return;
  state.tocFixed = true;
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.st_shndx(i) === SHN_ABS && symtab.name(i) === 'TOC.') return symtab.setValue(i, r2(module));
  }
}

const common = {
  backend: 'powerpc64',
  e_machine: [21],
  is64: true,
  forms: ['RELA'],
  extable: { size: 8, relative: true },
  relocs,
  unknown: (r: Site) => err(r, `Unknown ADD relocation: ${r.type}`),
  overflow: (r: Site) => err(r, `${r.row!.name} out of range!`),
  acceptsModule: (h, config) => (config.PPC64_ELF_ABI_V2 === true ? (h.e_flags & 3) === 2 : (h.e_flags & 3) < 2),
  rewritesVersions: true,
  isInitSection: () => false,
  frobSections,
  beginSection: fixToc,
  replayConfig: ({ arch, config = '', e_flags, sections, live }) => ({
    DYNAMIC_FTRACE: live,
    MPROFILE_KERNEL: live,
    ONLY_OWN_MEMORY: !live,
    PPC_KERNEL_PCREL: sections.includes('.mygot') || /pcrel|power10/i.test(`${arch} ${config}`),
    ...((e_flags & 3) === 2 && { PPC64_ELF_ABI_V2: true }),
  }),
  /** The vmalloc area of Book3S. */
  moduleArea: () => ({ text: [0xc008_0000_0000_0000n, 0xc008_4000_0000_0000n], kernel: KERNELBASE }),
} satisfies Partial<ArchSpec>;

const ftrace = {
  MPROFILE_KERNEL: true,
  DYNAMIC_FTRACE_WITH_REGS: true,
  PPC_FTRACE_OUT_OF_LINE: true,
  DYNAMIC_FTRACE_WITH_CALL_OPS: true,
};

export const ppc64: Arch = defineArch({
  ...common,
  name: 'ppc64',
  psABI: 'https://refspecs.linuxfoundation.org/ELF/ppc64/PPC-elf64abi.html',
  orders: ['big'],
  config: { LIVEPATCH: false },
});

export const ppc64le: Arch = defineArch({
  ...common,
  name: 'ppc64le',
  psABI: 'https://openpowerfoundation.org/specifications/64bitelfabi/',
  orders: ['little'],
  /** Debian's pages had 64 KiB until bookworm. */
  config: (version) => ({
    LIVEPATCH: false,
    PPC64_ELF_ABI_V2: true,
    ...ftrace,
    ...(version === '6.1' && { PAGE_SIZE: 0x1_0000 }),
  }),
});
