/**
 * SuperH (Renesas SH ELF ABI), SH-1 to SH-4, either byte order. 7.2: arch/sh/kernel/module.c.
 *
 * Instructions of 16 bits with little room for addresses, so compilers keep them as words in the text, and words are
 * all that there is to relocate. DIR32 and REL32 add to the word in place although the entries are SHT_RELA. The
 * IMM types are of SHmedia (SH-5), whose processors Linux no longer supports; the rows stayed.
 */
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont } from '../relocs/check.ts';
import { SHF_ALLOC } from '../relocs/elf.ts';
import { insn32, word32 } from '../relocs/field.ts';
import { howto, ignore } from '../relocs/howto.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import { Refusal } from '../relocs/refusal.ts';
import { type Arch, defineArch, unknownRelocation } from './arch.ts';

/** The 16 bits of movi and shori. */
const [LOW16, MEDLOW16] = [insn32([[15, 0, 10]]), insn32([[31, 16, 10]])];

/**
 * module_dwarf_finalize() with DWARF_UNWINDER: takes the entries of .eh_frame by their lengths. Only an extended
 * length is refused (that of DWARF64 is read 32 bytes on, which makes no sense of it).
 */
function finalize(m: ModuleView): void {
  if (m.config['DWARF_UNWINDER'] !== true) return;
  const s = m.sections.find((x) => (x.sh_flags & SHF_ALLOC) !== 0 && x.name === '.eh_frame');
  if (s === undefined) return;
  const view = new DataView(s.bytes.buffer, s.bytes.byteOffset, s.bytes.byteLength);
  const word = (at: number): number => (at + 4 <= s.bytes.length ? view.getUint32(at, m.format.little) : 0);
  let [cies, fdes] = [0, 0];
  for (let at = 0; at < s.bytes.length; at += word(at) + 4) {
    if (word(at) >= 0xffff_fff0) {
      if (word(at) !== 0xffff_ffff) m.log('Unknown DWARF extension');
      m.log(`${m.name}: failed to parse DWARF info`);
      throw new Refusal('EINVAL', `.eh_frame+0x${at.toString(16)} has an extended length`);
    }
    if (word(at + 4) === 0) cies++;
    else fdes++;
  }
  m.log(`DWARF unwinder initialised: read ${cies} CIEs, ${fdes} FDEs`);
}

const inPlace = { inPlace: true };

export const sh: Arch = defineArch({
  name: 'sh4',
  backend: 'sh',
  psABI: 'https://www.renesas.com/en/document/mat/sh-elf-abi',
  e_machine: [42],
  is64: false,
  orders: ['little', 'big'],
  forms: ['RELA'],
  // biome-ignore format: table
  relocs: {
    //                             type  calculation  field     overflow
    R_SH_NONE:              ignore(0),
    R_SH_DIR32:              howto(1,    abs,         word32,   dont, inPlace),
    R_SH_REL32:              howto(2,    pcrel,       word32,   dont, inPlace),
    R_SH_IMM_LOW16:          howto(246,  abs,         LOW16,    dont),
    R_SH_IMM_LOW16_PCREL:    howto(247,  pcrel,       LOW16,    dont),
    R_SH_IMM_MEDLOW16:       howto(248,  abs,         MEDLOW16, dont),
    R_SH_IMM_MEDLOW16_PCREL: howto(249,  pcrel,       MEDLOW16, dont),
  },
  unknown: unknownRelocation,
  finalize,
  // P3SEG up to the fixmap; the kernel lies in P1SEG.
  moduleArea: () => ({ text: [0xc000_0000n, 0xdff0_0000n], kernel: 0x8c00_1000n }),
});
