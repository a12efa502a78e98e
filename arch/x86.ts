/**
 * x86-64 and i386 (System V psABI, x86-64 supplement 1.0 and i386 supplement 1.1).
 *
 * Nothing for a linker to struggle with: whole words, no GOT, no PLT, no veneers, because the kernel is compiled with
 * -mcmodel=kernel and modules lie in the top 2 GiB with it. What is peculiar is the loader: x86-64 wants the target
 * bytes to be zero before it writes, checks 32 and 32S, and lets PC32 and PLT32 wrap in silence. i386 keeps addends in
 * place and checks nothing. Only relocation is done here; alternatives, retpolines, ORC and the rest of
 * module_finalize() patch code for the CPU that runs it.
 */
import { hex } from '../relocs/bits.ts';
import { abs, pcrel } from '../relocs/calculations.ts';
import { dont, signed, unsigned } from '../relocs/check.ts';
import { sizeofAddr } from '../relocs/elf.ts';
import { word32, word64 } from '../relocs/field.ts';
import { howto, ignore, type Verdict } from '../relocs/howto.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import type { Site } from '../relocs/site.ts';
import { type Arch, defineArch } from './arch.ts';

const isUndefinedGot = (name: string): boolean => name === '_GLOBAL_OFFSET_TABLE_';

/** KERNEL_IMAGE_SIZE with RANDOMIZE_BASE is 1 GiB; modules start behind it (B.9). */
const MODULES_VADDR = 0xffff_ffff_c000_0000n;
const MODULES_END = 0xffff_ffff_ff00_0000n;

/**
 * __write_relocate_add(): the place must hold zeros. 6.1 looks before it subtracts P, so its line shows S + A for
 * PC32 and PLT32.
 */
function wantsZero(r: Site, value: bigint): never {
  const { size } = r.row!.field;
  const { version } = r.module;
  const val = hex(r.word(version === '6.1' ? r.S + r.A : value));
  const at = `type ${r.type}, loc ${pointer(r.module, r.P, version)}, val ${val}`;
  const line =
    version === '6.1'
      ? `Skipping invalid relocation target, existing value is nonzero for ${at}`
      : version === '6.12'
        ? `Invalid relocation target, existing value is nonzero for ${at}`
        : `Invalid relocation target, existing value is nonzero for sec ${r.run.section.index}, idx ${r.index}, ${at}`;
  throw r.refusal(
    'ENOEXEC',
    `module: x86/modules: ${line}`,
    `${r.where()}: the ${size} bytes there are not zero, and x86-64 writes only over zeros`,
  );
}

/** 7.2 prints loc with %lx, older kernels with %p. */
const pointer = (m: ModuleView, v: bigint, version: string): string =>
  version === '7.2' ? hex(v) : hex(v, sizeofAddr(m.format) * 2);

function overflow(r: Site, value: bigint): Verdict {
  const where = r.module.version === '7.2' ? ` sec ${r.run.section.index} idx ${r.index}` : '';
  return {
    errno: 'ENOEXEC',
    log: [
      `module: overflow in relocation type ${r.type} val ${hex(r.word(value))}${where}`,
      `module: \`${r.module.name}' likely not compiled with -mcmodel=kernel`,
    ],
  };
}

export const x86_64: Arch = defineArch({
  name: 'x86_64',
  backend: 'x86_64',
  psABI: 'https://gitlab.com/x86-psABIs/x86-64-ABI',
  e_machine: [62],
  is64: true,
  orders: ['little'],
  forms: ['RELA'],
  prel32Exports: true,
  extable: { size: 12, relative: true },
  // biome-ignore format: table
  relocs: {
    //                     type  calculation  field   overflow
    R_X86_64_NONE:  ignore(0),
    R_X86_64_64:     howto(1,    abs,         word64, dont),
    R_X86_64_PC32:   howto(2,    pcrel,       word32, dont),      // the kernel truncates
    R_X86_64_PLT32:  howto(4,    pcrel,       word32, dont),
    R_X86_64_32:     howto(10,   abs,         word32, unsigned),
    R_X86_64_32S:    howto(11,   abs,         word32, signed),
    R_X86_64_PC64:   howto(24,   pcrel,       word64, dont),
  },
  unknown: (r) => ({ errno: 'ENOEXEC', log: [`module: ${r.module.name}: Unknown rela relocation: ${r.type}`] }),
  overflow,
  nonZeroPlace: wantsZero,
  writesFirst: (version) => version === '6.1',
  ignoresUndefined: isUndefinedGot,
  /** objtool, and static calls with it, cannot be left out. */
  config: { HAVE_STATIC_CALL_INLINE: true },
  moduleArea: (version) => ({
    text: [MODULES_VADDR, MODULES_END],
    kernel: 0xffff_ffff_8100_0000n,
    // Per-CPU addresses were offsets from 0 until 6.15.
    percpu: version === '7.2' ? 0xffff_ffff_8300_0000n : 0x2_0000n,
  }),
});

export const i386: Arch = defineArch({
  name: 'i386',
  backend: 'x86_32',
  psABI: 'https://gitlab.com/x86-psABIs/i386-ABI',
  e_machine: [3, 6],
  is64: false,
  orders: ['little'],
  forms: ['REL'],
  prel32Exports: true,
  extable: { size: 12, relative: true },
  // biome-ignore format: table
  relocs: {
    //                   type  calculation  field   overflow
    R_386_32:      howto(1,    abs,         word32, dont),
    R_386_PC32:    howto(2,    pcrel,       word32, dont),
    R_386_PLT32:   howto(4,    pcrel,       word32, dont),
  },
  unknown: (r) => ({ errno: 'ENOEXEC', log: [`module: ${r.module.name}: Unknown relocation: ${r.type}`] }),
  overflow,
  ignoresUndefined: isUndefinedGot,
  moduleArea: () => ({ text: [0xf800_0000n, 0xffbf_e000n], kernel: 0xc100_0000n }),
});
