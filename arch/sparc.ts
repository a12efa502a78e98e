/**
 * SPARC (System V ABI, SPARC Processor Supplement) and SPARC V9 (SPARC Compliance Definition 2.4).
 * 7.2: arch/sparc/kernel/module.c, one handler for both.
 *
 * A call reaches everything within 4 GiB and constants are made of `sethi` and a low part, so there is no PLT; 64-bit
 * modules live below 4 GiB, where 32-bit addresses do (-mcmodel=medlow), and a place beyond is a BUG. Nothing is
 * checked: what does not fit is cut off. OLO10 hides a second addend in the upper 24 bits of its type. Global
 * registers in use are undefined symbols of type STT_REGISTER, which the loader must not look up.
 *
 * The only patching after relocation, sun4v instructions, depends on the machine.
 */
import { calculation, abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { ELF_ST_TYPE, SHN_ABS, SHN_UNDEF } from '../relocs/elf.ts';
import { genericInfo } from '../relocs/entries.ts';
import { insn32, word32, word64 } from '../relocs/field.ts';
import { howto } from '../relocs/howto.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, type ArchSpec, defineArch } from './arch.ts';

const STT_REGISTER = 13;

const [DISP30, DISP22, DISP19] = [insn32([[31, 2, 0]]), insn32([[23, 2, 0]]), insn32([[20, 2, 0]])];
const [HI22, LO10, SIMM13] = [insn32([[31, 10, 0]]), insn32([[9, 0, 0]]), insn32([[12, 0, 0]])];

/** ELF64_R_TYPE_DATA, unsigned. */
const typeData = (r: Site): bigint => (r.r_info >> 8n) & 0xff_ffffn;
const olo10 = calculation('((S + A) & 0x3ff) + O', (r) => ((r.S + r.A) & 0x3ffn) + typeData(r));

/** module_frob_arch_sections(): registers are made absolute, so that nobody resolves them. */
function frobSections(m: ModuleView): void {
  const { symtab } = m;
  if (symtab === undefined) {
    m.log(`${m.name}: no symtab found.`);
    throw new Refusal('ENOEXEC', `${m.name} has no symbol table`);
  }
  for (let i = 1; i < symtab.count; i++)
    if (symtab.st_shndx(i) === SHN_UNDEF && ELF_ST_TYPE(symtab.st_info(i)) === STT_REGISTER)
      symtab.setShndx(i, SHN_ABS);
}

// biome-ignore format: table
const relocs: ArchSpec['relocs'] = {
  //                      type  calculation  field   overflow
  R_SPARC_32:       howto(3,    abs,         word32, dont),
  R_SPARC_DISP32:   howto(6,    pcrel,       word32, dont),
  R_SPARC_WDISP30:  howto(7,    pcrel,       DISP30, dont),
  R_SPARC_WDISP22:  howto(8,    pcrel,       DISP22, dont),
  R_SPARC_HI22:     howto(9,    abs,         HI22,   dont),
  R_SPARC_LO10:     howto(12,   abs,         LO10,   dont),
  R_SPARC_UA32:     howto(23,   abs,         word32, dont),
};

const common = {
  backend: 'sparc',
  orders: ['big'],
  forms: ['RELA'],
  /** unsigned int insn, fixup: with 64 bits, too, since all code lies below 4 GiB. */
  extable: { size: 8, relative: false },
  info: { sym: genericInfo.sym, type: (r_info) => Number(r_info & 0xffn) },
  unknown: (r) => {
    const prefix = r.module.version === '7.2' ? '0x' : '';
    return { errno: 'ENOEXEC', log: [`module ${r.module.name}: Unknown relocation: ${prefix}${r.type.toString(16)}`] };
  },
  frobSections,
} satisfies Partial<ArchSpec>;

export const sparc32: Arch = defineArch({
  ...common,
  name: 'sparc',
  psABI: 'https://sparc.org/technical-documents/#ABI',
  e_machine: [2],
  is64: false,
  relocs,
  /** The vmalloc area. */
  moduleArea: () => ({ text: [0xfe60_0000n, 0xffc0_0000n], kernel: 0xf000_4000n }),
});

export const sparc64: Arch = defineArch({
  ...common,
  name: 'sparc64',
  psABI: 'https://sparc.org/technical-documents/#SCD',
  e_machine: [43],
  is64: true,
  pageSize: 8192,
  // biome-ignore format: table
  relocs: {
    ...relocs,
    //                      type  calculation  field   overflow
    R_SPARC_64:       howto(32,   abs,         word64, dont),
    R_SPARC_OLO10:    howto(33,   olo10,       SIMM13, dont),
    R_SPARC_WDISP19:  howto(41,   pcrel,       DISP19, dont),
    R_SPARC_UA64:     howto(54,   abs,         word64, dont),
  },
  before: (r) => {
    if (r.P >> 32n !== 0n)
      throw crashes('BUG', `${r.where()} is at 0x${r.P.toString(16)}, and modules must lie below 4 GiB`);
    return undefined;
  },
  moduleArea: () => ({ text: [0x1000_0000n, 0xf000_0000n], kernel: 0x40_4000n }),
});
