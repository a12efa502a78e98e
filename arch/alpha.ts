/**
 * Alpha (Alpha Calling Standard and ELF additions of the Tru64 object file format). 7.2: arch/alpha/kernel/module.c.
 *
 * No instruction holds an address. Each is loaded from the GOT, which GP points into the middle of: slots are within
 * ±32 KiB of GP = GOT + 0x8000, and a function finds its GP from its own address with a pair of instructions (GPDISP).
 * One slot for each symbol and addend of a LITERAL; its offset is kept in the entry itself, in the bits of r_info above
 * the 8 of the type, between sizing the GOT and filling it. A slot at offset 0 reads as "none yet", so the first one is
 * given out twice. `.got` is SHF_ALPHA_GPREL, which puts it behind all other data. Branches reach ±4 MiB, and only
 * ever bind within a module.
 */
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { aligned, dont, range, signed } from '../relocs/check.ts';
import { ELF_ST_TYPE, SHN_UNDEF, SHT_NOBITS, SHT_RELA, SHT_SYMTAB, STT_SECTION } from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { field, insn32, word16, word32, word64 } from '../relocs/field.ts';
import { type Check, howto, ignore } from '../relocs/howto.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { Site } from '../relocs/site.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, defineArch, unknownRelocation } from './arch.ts';

const EM_ALPHA = 0x9026;
const EF_ALPHA_32BIT = 1;
const SHF_ALPHA_GPREL = 0x1000_0000;
/** The symbol's function starts with two instructions that load GP. */
const STO_ALPHA_STD_GPLOAD = 0x88;
const LITERAL = 4;

/** The last section called `.got` (me->arch.gotsecindex). */
const gots = new StateOf<ModuleView, Section>((m) => {
  const got = m.sections.findLast((s) => s.sh_type !== SHT_SYMTAB && s.name === '.got');
  const missing = m.symtab === undefined ? 'symbol table' : got === undefined ? 'got section' : undefined;
  if (missing === undefined) return got!;
  m.log(`module ${m.name}: no ${missing}`);
  throw new Refusal('ENOEXEC', `${m.name} has no ${missing}`);
});
const gp = (r: Site): bigint => gots.of(r.module).sh_addr + 0x8000n;

/** module_frob_arch_sections(): sizes the GOT and writes each LITERAL's offset into its r_info. */
function frobSections(m: ModuleView): void {
  const got = gots.of(m);
  const offsets = new Map<string, number>();
  Object.assign(got, { sh_size: 0, sh_addralign: 8, sh_type: SHT_NOBITS });
  for (const s of m.sections) {
    if (s.sh_type !== SHT_RELA) continue;
    const entries = new Entries(m.format, true, s.bytes);
    for (let i = 0; i < entries.count; i++) {
      const r_info = entries.r_info(i);
      if (genericInfo.type(r_info, m.format) !== LITERAL) continue;
      const sym = genericInfo.sym(r_info, m.format);
      if (sym >= m.symtab!.count)
        throw crashes(
          'signal 11',
          `relocation ${i} of ${s.name} names symbol ${sym} of ${m.symtab!.count}, which it never checks`,
        );
      const key = `${sym} ${entries.r_addend(i)}`;
      const known = offsets.get(key) ?? 0;
      const offset = known === 0 ? got.sh_size : known;
      if (known === 0) got.sh_size += 8;
      offsets.set(key, offset);
      entries.setInfo(i, r_info | BigInt.asUintN(64, BigInt(offset << 8)));
    }
  }
}

/** Fills the slot after the instruction. */
function writeLiteral(r: Site, toSlot: bigint): void {
  r.write(2, toSlot);
  const { bytes, sh_addr } = gots.of(r.module);
  const at = Number(toSlot + gp(r) - sh_addr);
  if (at + 8 > bytes.length)
    throw crashes('signal 11', `${r.where()} fills slot ${at} of a GOT of ${bytes.length} bytes`);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, BigInt.asUintN(64, r.S + r.A), true);
}

/** ldah at P and lda at P + A: the low half is signed, and the high half makes up for it. */
function writeGpDisp(r: Site, value: bigint): void {
  r.write(2, (value + 0x8000n) >> 16n);
  r.write(2, value, 'data', Number(r.A));
}

const gpRelative = calculation('S + A - GP', (r) => r.S + r.A - gp(r));
const gpHigh = calculation('S + A - GP + 0x8000', (r) => r.S + r.A - gp(r) + 0x8000n);
const slot = calculation('G - GP', (r) => ((r.r_info >> 8n) & 0xff_ffffn) - 0x8000n);
const gpDisp = calculation('GP - P', (r) => gp(r) - r.P);
const branch = calculation('S + A - P - 4', (r) => r.S + r.A - r.P - 4n);
const branchSameGp = calculation('S + A + 8 if it loads GP - P - 4', (r) => {
  const loadsGp = (r.st_other & STO_ALPHA_STD_GPLOAD) === STO_ALPHA_STD_GPLOAD;
  return r.S + r.A + (loadsGp ? 8n : 0n) - r.P - 4n;
});

const hi16 = field(2, [[31, 16, 0]], { name: 'hi16', order: 'data' });
const BDISP21 = insn32([[22, 2, 0]]);
/** Twice as far as the 21 bits reach: what lies in the outer half goes the other way, in silence. */
const near = [aligned(4n), range(-(1n << 23n), (1n << 23n) - 1n)];
const defined: Check = { name: 'defined', passes: (_, __, r) => r.st_shndx !== SHN_UNDEF };
/** Both halves are signed. */
const halves = range(-0x8000_8000n, 0x7fff_7fffn);

export const alpha: Arch = defineArch({
  name: 'alpha',
  backend: 'alpha',
  psABI: 'https://sourceware.org/binutils/docs/as/Alpha_002dRelocs.html',
  e_machine: [EM_ALPHA],
  is64: true,
  orders: ['little'],
  forms: ['RELA'],
  smallFlag: SHF_ALPHA_GPREL,
  pageSize: 8192,
  /** The fixup is an offset within the function and two registers: it does not move with its entry. */
  extable: { size: 8, relative: 'insn' },
  accepts: (h) => h.e_machine === EM_ALPHA && (h.e_flags & EF_ALPHA_32BIT) === 0,
  info: { sym: genericInfo.sym, type: (r_info) => Number(r_info & 0xffn) },
  // biome-ignore format: table
  relocs: {
    //                        type  calculation   field    overflow
    R_ALPHA_NONE:      ignore(0),
    R_ALPHA_REFLONG:    howto(1,    abs,          word32,  dont),
    R_ALPHA_REFQUAD:    howto(2,    abs,          word64,  dont),
    R_ALPHA_GPREL32:    howto(3,    gpRelative,   word32,  signed),
    R_ALPHA_LITERAL:    howto(4,    slot,         word16,  signed, { write: writeLiteral }),
    R_ALPHA_LITUSE:    ignore(5),
    R_ALPHA_GPDISP:     howto(6,    gpDisp,       hi16,    halves, { write: writeGpDisp }),
    R_ALPHA_BRADDR:     howto(7,    branch,       BDISP21, near),
    R_ALPHA_HINT:      ignore(8),
    R_ALPHA_SREL32:     howto(10,   pcrel,        word32,  signed),
    R_ALPHA_SREL64:     howto(11,   pcrel,        word64,  dont),
    R_ALPHA_GPRELHIGH:  howto(17,   gpHigh,       hi16,    signed),
    R_ALPHA_GPRELLOW:   howto(18,   gpRelative,   word16,  dont),
    R_ALPHA_GPREL16:    howto(19,   gpRelative,   word16,  signed),
    R_ALPHA_BRSGP:      howto(28,   branchSameGp, BDISP21, [defined, ...near]),
  },
  unknown: unknownRelocation,
  overflow: (r) => {
    const section = ELF_ST_TYPE(r.run.symtab.st_info(r.sym)) === STT_SECTION;
    const against = section ? `section ${r.st_shndx}` : r.symbolName;
    return { errno: 'ENOEXEC', log: [`module ${r.module.name}: Relocation (type ${r.type}) overflow vs ${against}`] };
  },
  frobSections,
  // The vmalloc area without ALPHA_LARGE_VMALLOC.
  moduleArea: () => ({ text: [0xffff_fffc_0000_0000n, 0xffff_fffe_0000_0000n], kernel: 0xffff_fc00_0031_0000n }),
});
