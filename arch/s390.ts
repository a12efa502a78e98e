/**
 * s390x (ELF Application Binary Interface s390x Supplement, 1.6). 7.2: arch/s390/kernel/module.c.
 *
 * Branches count halfwords: a 32-bit displacement reaches ±4 GiB, so a kernel far away is called through a PLT. GOT
 * and PLT are no sections: their bytes are put in front of everything else in the module's text, one GOT slot and one
 * PLT entry for each symbol that any relocation section asks one for. A slot holds the symbol's value of the first
 * entry that comes by, never its addend; which is added to the slot's offset. A PLT entry is written even when the
 * branch then goes straight to its target. With expolines (config EXPOLINE, as long as they are not switched off at
 * boot: EXPOLINE_OFF) entries branch through a thunk, which takes an entry of its own behind the others.
 *
 * What module_finalize() patches besides, it patches for the machine it runs on: alternatives, expolines that are not
 * needed, the place of the stack canary.
 */
import { hex } from '../relocs/bits.ts';
import { abs, calculation, pcrel } from '../relocs/calculations.ts';
import { aligned, dont, signed, unsigned } from '../relocs/check.ts';
import { SHN_ABS, SHN_UNDEF, SHT_RELA } from '../relocs/elf.ts';
import { Entries, genericInfo } from '../relocs/entries.ts';
import { field, word16, word32, word64, word8 } from '../relocs/field.ts';
import { type Calculation, howto, ignore, refuse, type Verdict } from '../relocs/howto.ts';
import type { ModuleView } from '../relocs/module-view.ts';
import { crashes, Refusal } from '../relocs/refusal.ts';
import type { Site } from '../relocs/site.ts';
import { StateOf } from '../relocs/state.ts';
import { type Arch, defineArch } from './arch.ts';

const PLT_ENTRY_SIZE = 22;
/** Types that take a GOT slot, and those that take a PLT entry. */
const GOT = [6, 7, 15, 24, 26, 29, 30, 31, 32, 33, 58, 59];
const PLT = [8, 18, 20, 25, 34, 35, 36];
const [PLT16DBL, PLT32DBL] = [18, 20];

const word12 = field(2, [[11, 0, 0]], { name: 'word12', order: 'data' });
/** A long displacement: low 12 bits, then the high 8. */
const word20 = field(
  4,
  [
    [11, 0, 16],
    [19, 12, 8],
  ],
  { name: 'word20', order: 'data' },
);
const dbl16 = field(2, [[16, 1, 0]], { name: 'dbl16', order: 'data' });
const dbl32 = field(4, [[32, 1, 0]], { name: 'dbl32', order: 'data' });
const even = [aligned(2n), signed];

/** struct mod_arch_specific: offsets by symbol number, and the slots that are filled. The GOT starts the text. */
class Tables {
  readonly got = new Map<number, number>();
  readonly plt = new Map<number, number>();
  readonly filled = new Set<string>();
  readonly expoline: boolean;

  constructor(m: ModuleView) {
    this.expoline = m.config['EXPOLINE'] === true && m.config['EXPOLINE_OFF'] !== true;
    for (const s of m.sections) {
      if (s.sh_type !== SHT_RELA) continue;
      const entries = new Entries(m.format, true, s.bytes);
      for (let i = 0; i < entries.count; i++) {
        const r_info = entries.r_info(i);
        const type = genericInfo.type(r_info, m.format);
        const sym = genericInfo.sym(r_info, m.format);
        const table = GOT.includes(type) ? this.got : PLT.includes(type) ? this.plt : undefined;
        if (table === undefined || table.has(sym)) continue;
        if (sym >= m.symtab!.count)
          throw crashes(
            'signal 11',
            `relocation ${i} of ${s.name} names symbol ${sym} of ${m.symtab!.count}, which it never checks`,
          );
        table.set(sym, table.size * (table === this.got ? 8 : PLT_ENTRY_SIZE));
      }
    }
  }

  get gotSize(): number {
    return this.got.size * 8;
  }

  /** With the thunk, which is the last entry. */
  get pltSize(): number {
    return this.plt.size === 0 ? 0 : (this.plt.size + (this.expoline ? 1 : 0)) * PLT_ENTRY_SIZE;
  }
}
const tables: StateOf<ModuleView, Tables> = new StateOf((m) => new Tables(m));

const text = (m: ModuleView) => m.memory[m.version === '6.1' ? 'core' : 'text'];
/** Where the GOT is. A module without text has none, and its base is NULL. */
const got = (m: ModuleView): bigint => text(m)?.base ?? 0n;

/** The bytes of a slot the first time it is asked for. */
function unfilled(m: ModuleView, table: 'got' | 'plt', sym: number, at: number): DataView | undefined {
  const { filled } = tables.of(m);
  const key = `${table} ${sym}`;
  if (filled.has(key)) return undefined;
  filled.add(key);
  const { bytes } = text(m)!;
  return new DataView(bytes.buffer, bytes.byteOffset + at);
}

/** Offset of the symbol's slot in the GOT. */
function gotSlot(r: Site): bigint {
  const offset = tables.of(r.module).got.get(r.sym)!;
  unfilled(r.module, 'got', r.sym, offset)?.setBigUint64(0, r.S);
  return BigInt(offset);
}

/** Distance of the symbol's PLT entry from the GOT. */
function pltEntry(r: Site): bigint {
  const { gotSize, pltSize, plt, expoline } = tables.of(r.module);
  const offset = plt.get(r.sym)!;
  const entry = unfilled(r.module, 'plt', r.sym, gotSize + offset);
  if (entry !== undefined) {
    entry.setUint32(0, 0x0d10_e310); // basr %r1,0
    entry.setUint32(4, 0x100c_0004); // lg %r1,12(%r1)
    entry.setUint16(8, expoline ? 0xc0f4 : 0x07f1); // brcl 15,thunk or br %r1
    entry.setUint32(10, expoline ? (pltSize - PLT_ENTRY_SIZE - offset - 8) >> 1 : 0);
    entry.setBigUint64(14, r.S);
  }
  return BigInt(gotSize + offset);
}

const gotOffset = calculation('G + A', (r) => gotSlot(r) + r.A);
const gotEntry = calculation('G + GOT + A - P', (r) => gotSlot(r) + r.A + got(r.module) - r.P);
const gotRelative = calculation('S + A - GOT', (r) => r.S + r.A - got(r.module));
const gotPc = calculation('GOT + A - P', (r) => got(r.module) + r.A - r.P);
const pltOffset = calculation('PLT - GOT + A', (r) => pltEntry(r) + r.A);
/**
 * Distances that go without a PLT entry. apply_rela() tests `distance + 0xffff < 0x1ffffe` for the short branch, which
 * reaches 64 KiB: a digit too many, so from there to 0x1efffe it is refused where a PLT entry would have done.
 */
const REACH: Readonly<Record<number, readonly [bigint, bigint]>> = {
  [PLT16DBL]: [-0xffffn, 0x1e_fffen],
  [PLT32DBL]: [-0xffff_ffffn, 0xffff_fffen],
};
/** Only the DBL types go straight to a symbol in reach; the addend is not looked at. */
const plt: Calculation = calculation('S + A - P in reach, or PLT + A - P', (r) => {
  const entry = got(r.module) + pltEntry(r);
  const distance = r.long(r.S - r.P);
  const [from, to] = REACH[r.type] ?? [1n, 0n];
  return (from <= distance && distance <= to ? r.S : entry) + r.A - r.P;
});

const shared = (): Verdict => ({
  errno: 'ENOEXEC',
  log: [],
  reason: 'this type is for shared objects; s390 refuses it without a word',
});

export const s390x: Arch = defineArch({
  name: 's390x',
  backend: 's390',
  psABI: 'https://github.com/IBM/s390x-abi',
  e_machine: [22, 0xa390],
  is64: true,
  orders: ['big'],
  forms: ['RELA'],
  extable: { size: 12, relative: true },
  accepts: (h) => (h.e_machine === 22 || h.e_machine === 0xa390) && h.is64,
  // biome-ignore format: table
  relocs: {
    //                    type  calculation  field   overflow
    R_390_NONE:     ignore(0),
    R_390_8:         howto(1,   abs,         word8,  unsigned),
    R_390_12:        howto(2,   abs,         word12, unsigned),
    R_390_16:        howto(3,   abs,         word16, unsigned),
    R_390_32:        howto(4,   abs,         word32, unsigned),
    R_390_PC32:      howto(5,   pcrel,       word32, signed),
    R_390_GOT12:     howto(6,   gotOffset,   word12, unsigned),
    R_390_GOT32:     howto(7,   gotOffset,   word32, unsigned),
    R_390_PLT32:     howto(8,   plt,         word32, unsigned),
    R_390_COPY:     refuse(9,   shared),
    R_390_GLOB_DAT: refuse(10,  shared),
    R_390_JMP_SLOT: refuse(11,  shared),
    R_390_RELATIVE: refuse(12,  shared),
    R_390_GOTOFF32:  howto(13,  gotRelative, word32, unsigned),
    R_390_GOTPC:     howto(14,  gotPc,       word32, signed),
    R_390_GOT16:     howto(15,  gotOffset,   word16, unsigned),
    R_390_PC16:      howto(16,  pcrel,       word16, signed),
    R_390_PC16DBL:   howto(17,  pcrel,       dbl16,  even),
    R_390_PLT16DBL:  howto(18,  plt,         dbl16,  even),
    R_390_PC32DBL:   howto(19,  pcrel,       dbl32,  even),
    R_390_PLT32DBL:  howto(20,  plt,         dbl32,  even),
    R_390_GOTPCDBL:  howto(21,  gotPc,       dbl32,  even),
    R_390_64:        howto(22,  abs,         word64, dont),
    R_390_PC64:      howto(23,  pcrel,       word64, dont),
    R_390_GOT64:     howto(24,  gotOffset,   word64, dont),
    R_390_PLT64:     howto(25,  plt,         word64, dont),
    R_390_GOTENT:    howto(26,  gotEntry,    dbl32,  even),
    R_390_GOTOFF16:  howto(27,  gotRelative, word16, unsigned),
    R_390_GOTOFF64:  howto(28,  gotRelative, word64, dont),
    R_390_GOTPLT12:  howto(29,  gotOffset,   word12, unsigned),
    R_390_GOTPLT16:  howto(30,  gotOffset,   word16, unsigned),
    R_390_GOTPLT32:  howto(31,  gotOffset,   word32, unsigned),
    R_390_GOTPLT64:  howto(32,  gotOffset,   word64, dont),
    R_390_GOTPLTENT: howto(33,  gotEntry,    dbl32,  even),
    R_390_PLTOFF16:  howto(34,  pltOffset,   word16, unsigned),
    R_390_PLTOFF32:  howto(35,  pltOffset,   word32, unsigned),
    R_390_PLTOFF64:  howto(36,  pltOffset,   word64, dont),
    R_390_20:        howto(57,  abs,         word20, signed),
    R_390_GOT20:     howto(58,  gotOffset,   word20, signed),
    R_390_GOTPLT20:  howto(59,  gotOffset,   word20, signed),
  },
  unknown: (r) => ({ errno: 'ENOEXEC', log: [`module ${r.module.name}: unknown relocation: ${r.type}`] }),
  overflow: (r, value) => ({
    errno: 'ENOEXEC',
    log: [
      `module ${r.module.name}: relocation error for symbol ${r.symbolName} (r_type ${r.type}, value 0x${hex(r.word(value))})`,
    ],
  }),
  frobSections: (m) => {
    if (m.symtab === undefined) {
      m.log(`module ${m.name}: no symbol table`);
      throw new Refusal('ENOEXEC', `${m.name} has no symbol table to size GOT and PLT by`);
    }
    for (let i = 0; i < m.symtab.count; i++)
      if (m.symtab.st_shndx(i) === SHN_UNDEF && m.symtab.name(i) === '_GLOBAL_OFFSET_TABLE_')
        m.symtab.setShndx(i, SHN_ABS);
    tables.of(m);
  },
  regionHead: (m, region) => {
    if (region !== 'text' && region !== 'core') return 0;
    const { gotSize, pltSize } = tables.of(m);
    return gotSize + pltSize;
  },
  finalize: (m) => {
    const { expoline, gotSize, pltSize } = tables.of(m);
    if (!expoline || pltSize === 0) return;
    const { bytes } = text(m)!;
    // exrl %r0,.+10; j .; br %r1
    bytes.set([0xc6, 0, 0, 0, 0, 5, 0xa7, 0xf4, 0, 0, 0x07, 0xf1], gotSize + pltSize - PLT_ENTRY_SIZE);
  },
  /** Debian's kernels have no expolines. */
  config: { LIVEPATCH: false },
  replayConfig: ({ variant }) => ({ EXPOLINE: variant === 1 }),
  // 2 GiB below a kernel that is loaded where KERNEL_IMAGE_BASE says; 6.1's lies at the other end of memory.
  moduleArea: (version) =>
    version === '6.1'
      ? { text: [0x3ff_7ff0_0000n, 0x3ff_fff0_0000n], kernel: 0x10_0000n }
      : { text: [0x3ff_6000_0000n, 0x3ff_e000_0000n], kernel: 0x3ff_e000_0000n },
});
