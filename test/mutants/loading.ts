/** The loader (L), and what the build must not get wrong (X). */
import type { Bug } from './bug.ts';

export const loading: readonly Bug[] = [
  {
    id: 'ARM-11',
    scope: ['L'],
    arch: 'arm',
    fixed: '2010, 2.6.38',
    wrong: 'unwind tables of sections that had been discarded were registered',
    because: 'unwind tables are not registered',
  },
  {
    id: 'ARM-12',
    scope: ['L'],
    arch: 'arm',
    fixed: '2011, 2.6.38',
    wrong: 'alternatives for machines with one CPU were not applied',
    because: 'alternatives depend on the CPU, and are not applied',
  },
  {
    id: 'ARM-13',
    scope: ['L'],
    arch: 'arm',
    fixed: '2019, 5.1',
    wrong: 'the Thumb bit was left in the addresses of functions',
    mutants: [
      {
        file: 'arch/arm.ts',
        find: 'isThumb(m) && type === STT_FUNC ? value & ~1n : value',
        replace: 'value',
        killedBy: 'test/loader/kallsyms.test.ts > a Thumb function begins at its first instruction',
      },
    ],
  },
  {
    id: 'A64-10',
    scope: ['L'],
    arch: 'arm64',
    fixed: '2020, 5.9 / 5.8.10',
    wrong: 'without dynamic ftrace the trampoline kept the flags of the file, W and X',
    mutants: [
      {
        file: 'arch/arm64.ts',
        find: 'for (const name of trampolines(m)) if (sectionNamed(m, name)) reserve(',
        replace:
          'for (const name of trampolines(m)) if (m.config.DYNAMIC_FTRACE === true && sectionNamed(m, name)) reserve(',
        killedBy: 'test/arch/arm64.test.ts > ftrace trampolines are executable and not writable',
      },
    ],
  },
  {
    id: 'A64-11',
    scope: ['L'],
    arch: 'arm64',
    fixed: '2021, 5.12 / 5.10.20',
    wrong: 'sh_addr of an object file was added to the address of its section',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: 'place?.[s.name] ?? memory.base + BigInt(at.offset);',
        replace: 'place?.[s.name] ?? memory.base + BigInt(at.offset) + load.info.shdrs[s.index]!.sh_addr;',
        killedBy: 'test/loader/layout.test.ts > sh_addr of an object file',
      },
    ],
  },
  {
    id: 'A64-12',
    scope: ['L'],
    arch: 'arm64',
    fixed: '2025..26, between 6.12 and 7.2',
    wrong: 'errors of what patches a relocated module were dropped',
    mutants: [
      {
        file: 'loader/formation.ts',
        find: `  load.asking(
    () => 'C91',
    () => m.kernel.arch.finalize?.(m),
  );`,
        replace: `  try {
    m.kernel.arch.finalize?.(m);
  } catch {}`,
        killedBy: 'test/loader/formation.test.ts > C65 and C91 the architecture refuses',
      },
    ],
  },
  {
    id: 'X86-05',
    scope: ['L'],
    arch: 'x86',
    fixed: '2022, 5.17 / 5.16.15',
    wrong: 'alternatives were applied before paravirt patches',
    because: 'both depend on the CPU, and are not applied',
  },
  {
    id: 'PPC-02',
    scope: ['L'],
    arch: 'powerpc',
    fixed: '2003, 2.5.54',
    wrong: 'the PLT of init code had a name that was not taken for init',
    mutants: [
      {
        file: 'arch/arch.ts',
        find: "name.startsWith('.init')",
        replace: "(name.startsWith('.init') && name !== '.init.plt')",
        killedBy: 'test/loader/layout.test.ts > powerpc: a PLT for init code',
      },
    ],
  },
  {
    id: 'PPC-05',
    scope: ['L'],
    arch: 'powerpc',
    fixed: '2009/2010, 2.6.33',
    wrong: 'a relocatable kernel relocated the CRCs of its exports',
    because: 'CRCs have been plain numbers since 4.10, which nothing relocates',
  },
  {
    id: 'PPC-06',
    scope: ['L'],
    arch: 'powerpc',
    fixed: '2014, 3.17',
    wrong: 'the CRC of .TOC. was relocated with the kernel',
    because: 'CRCs have been plain numbers since 4.10, which nothing relocates',
  },
  {
    id: 'PPC-14',
    scope: ['L'],
    arch: 'powerpc',
    fixed: '2022..23, 6.2',
    wrong: 'the ABI in e_flags was not looked at',
    mutants: [
      {
        file: 'arch/ppc64.ts',
        find: '(config.PPC64_ELF_ABI_V2 === true ? (h.e_flags & 3) === 2 : (h.e_flags & 3) < 2)',
        replace: 'true',
        killedBy: 'test/arch/ppc64.test.ts > which modules',
      },
    ],
  },
  {
    id: 'PPC-15',
    scope: ['L'],
    arch: 'powerpc',
    fixed: '2018, 4.17',
    wrong: 'the version magic did not tell kernels with two encodings of CRCs apart',
    mutants: [
      {
        file: 'loader/modinfo.ts',
        find: 'hasCrcs ? fromFirstSpace(amagic) === fromFirstSpace(bmagic) : amagic === bmagic',
        replace: 'hasCrcs || amagic === bmagic',
        killedBy: 'test/loader/early.test.ts > C60 the release counts only without',
      },
    ],
  },
  {
    id: 'IA-07',
    scope: ['L'],
    arch: 'ia64',
    fixed: '2003, 2.6.0-test9',
    wrong: 'one unwind table for core and init outlived init',
    because: 'unwind tables are sorted and not registered',
  },
  {
    id: 'PA-06',
    scope: ['L'],
    arch: 'parisc',
    fixed: '2009, 2.6.31',
    wrong: 'sh_type was asked for SHF_ALLOC, so every symbol table was taken to be in memory',
    mutants: [
      {
        file: 'arch/parisc.ts',
        find: 'sh_type === SHT_SYMTAB && (sh_flags & SHF_ALLOC) !== 0',
        replace: '(sh_type & SHF_ALLOC) !== 0',
        killedBy: 'test/arch/parisc.test.ts > labels named .L',
      },
    ],
  },
  {
    id: 'SP-05',
    scope: ['L'],
    arch: 'sparc',
    fixed: 'about 2013',
    wrong: 'an error pointer of the allocator was taken for an address',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: '?? (fallback && from(fallback));',
        replace: '?? (fallback && from(fallback)) ?? 0xffff_ffff_ffff_f000n;',
        killedBy: 'test/loader/memory.test.ts > C67 a region',
      },
    ],
  },
  {
    id: 'SP-06',
    scope: ['L'],
    arch: 'sparc',
    fixed: '2011, 3.2',
    wrong: 'instructions for hypervisor machines were not patched in',
    because: 'it depends on the machine, and is not done',
  },
  {
    id: 'CV-02',
    scope: ['L'],
    arch: 'core',
    fixed: '2004, 2.6.1',
    wrong: 'sections that are not in memory were relocated, and section numbers not checked',
    mutants: [
      {
        file: 'loader/relocate.ts',
        find: 'if ((target.sh_flags & SHF_ALLOC) !== 0) return true;',
        replace: 'return true;',
        killedBy: 'test/loader/relocate.test.ts > only sections in memory are relocated',
      },
      {
        file: 'loader/relocate.ts',
        find: 'if (target === undefined) return false;',
        replace: 'if (target === undefined) return true;',
        killedBy: 'test/loader/relocate.test.ts > only sections in memory are relocated',
      },
    ],
  },
  {
    id: 'CV-03',
    scope: ['L'],
    arch: 'core',
    fixed: '2004, 2.6.9',
    wrong: 'a module without a symbol table was read with section 0 for one',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: `      info.index.sym = 0;
      throw this.stripped();`,
        replace: '      info.index.sym = 0;',
        killedBy: 'test/loader/validate.test.ts > C48',
      },
      {
        file: 'loader/validate.ts',
        find: 'symtabs.length !== 1',
        replace: 'symtabs.length > 1',
        killedBy: 'test/loader/validate.test.ts > C48',
      },
    ],
  },
  {
    id: 'CV-04',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2.5.54',
    wrong: 'the string table was looked for by its name',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'info.index.str = symtabs[0]!.sh_link;',
        replace: "info.index.str = info.findAnySec('.strtab');",
        killedBy: 'test/loader/validate.test.ts > C50: the symbol table links to a string table',
      },
    ],
  },
  {
    id: 'CV-05',
    scope: ['L'],
    arch: 'core',
    fixed: '2022, 5.19 / 5.18.3',
    wrong: 'the last byte of a name table without bytes was looked at',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'if (table.sh_size === 0n) throw',
        replace: 'if (false) throw',
        killedBy: 'test/loader/validate.test.ts > C40',
      },
    ],
  },
  {
    id: 'CV-07',
    scope: ['L'],
    arch: 'core',
    fixed: '2024, 6.13',
    wrong: 'the symbol string table was not looked at',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'if (bytes.length === 0) throw',
        replace: 'if (false) throw',
        killedBy: 'test/loader/validate.test.ts > C53',
      },
      {
        file: 'loader/validate.ts',
        find: `if (bytes[0] !== 0)
`,
        replace: `if (false)
`,
        killedBy: 'test/loader/validate.test.ts > C54',
      },
      {
        file: 'loader/validate.ts',
        find: 'if (bytes[bytes.length - 1] !== 0)',
        replace: 'if (false)',
        killedBy: 'test/loader/validate.test.ts > C55',
      },
      {
        file: 'loader/validate.ts',
        find: 'if (symtab.st_name(i) >= bytes.length)',
        replace: 'if (symtab.st_name(i) > bytes.length)',
        killedBy: 'test/loader/validate.test.ts > C56',
      },
    ],
  },
  {
    id: 'CV-08',
    scope: ['L'],
    arch: 'core',
    fixed: '2026, 7.0 / 6.12.80 / 6.1.168',
    wrong: 'a symbol of a section that does not exist was looked up in the section table',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: 'shndx !== SHN_COMMON && shndx < e_shnum)',
        replace: 'shndx !== SHN_COMMON)',
        killedBy: 'test/loader/symbols.test.ts > C78',
      },
      {
        file: 'loader/symbols.ts',
        find: 'if (shndx === SHN_ABS || shndx === SHN_LIVEPATCH) continue;',
        replace: 'if (shndx >= 0xff00 && shndx !== SHN_COMMON) continue;',
        killedBy: 'test/loader/symbols.test.ts > C78',
      },
    ],
  },
  {
    id: 'CV-09',
    scope: ['L'],
    arch: 'core',
    fixed: '2026, 7.x / 6.12.117',
    wrong: 'string tables could be sections of any type',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'if (table.sh_type !== SHT_STRTAB)',
        replace: 'if (false)',
        killedBy: 'test/loader/validate.test.ts > C39',
      },
      {
        file: 'loader/validate.ts',
        find: '      if (sh_type !== SHT_STRTAB)',
        replace: '      if (false)',
        killedBy: 'test/loader/validate.test.ts > C50',
      },
    ],
  },
  {
    id: 'CV-10',
    scope: ['L'],
    arch: 'core',
    fixed: '2025, 6.16',
    wrong: 'the per-CPU section was not relocated; and absent, it must not be section 0',
    mutants: [
      {
        file: 'loader/relocate.ts',
        find: "return m.version === '7.2' && pcpu !== 0 && target.index === pcpu;",
        replace: 'return false;',
        killedBy: 'test/loader/relocate.test.ts > H20',
      },
      {
        file: 'loader/relocate.ts',
        find: ' && pcpu !== 0 && ',
        replace: ' && ',
        killedBy: 'test/loader/relocate.test.ts > only sections in memory are relocated',
      },
    ],
  },
  {
    id: 'CV-11',
    scope: ['L'],
    arch: 'core',
    fixed: '2023, 6.4',
    wrong: 'struct module was copied whatever its section was; of two the last was taken',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'if (found.length > 1)',
        replace: 'if (false)',
        killedBy: 'test/loader/validate.test.ts > C43',
      },
      {
        file: 'loader/validate.ts',
        find: 'if (found.length !== 1)',
        replace: 'if (found.length === 0)',
        killedBy: 'test/loader/validate.test.ts > C44',
      },
      {
        file: 'loader/validate.ts',
        find: `    if (s.sh_type === SHT_NOBITS)
`,
        replace: `    if (false)
`,
        killedBy: 'test/loader/validate.test.ts > C45',
      },
      {
        file: 'loader/validate.ts',
        find: `    if ((s.sh_flags & SHF_ALLOC) === 0)
`,
        replace: `    if (false)
`,
        killedBy: 'test/loader/validate.test.ts > C46',
      },
      {
        file: 'loader/validate.ts',
        find: 'if (s.sh_size !== expected)',
        replace: 'if (s.sh_size < expected)',
        killedBy: 'test/loader/validate.test.ts > C47',
      },
      {
        file: 'loader/validate.ts',
        find: 'if (s.sh_size !== expected)',
        replace: 'if (s.sh_size > expected)',
        killedBy: 'test/loader/validate.test.ts > C47',
      },
      {
        file: 'loader/validate.ts',
        find: 'symtabs.length !== 1',
        replace: 'symtabs.length === 0',
        killedBy: 'test/loader/validate.test.ts > C48',
      },
    ],
  },
  {
    id: 'CL-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2002, 2.5.48',
    wrong: 'alignment was left out of sums, and an empty region taken for one that could not be had',
    mutants: [
      {
        file: 'loader/layout.ts',
        find: 'const offset = align(start, s.sh_addralign);',
        replace: 'const offset = start;',
        killedBy: 'test/loader/layout.test.ts > offsets are aligned one after the other',
      },
      {
        file: 'loader/allocate.ts',
        find: `    if (wanted === 0 && region !== 'core') continue;
`,
        replace: '',
        killedBy: 'test/loader/layout.test.ts > an empty region is not allocated',
      },
    ],
  },
  {
    id: 'CL-03',
    scope: ['L'],
    arch: 'core',
    fixed: '2005, 2.6.13',
    wrong: 'a per-CPU alignment too large was a BUG instead of being cut',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: `    alignment = pages;
`,
        replace: '',
        killedBy: 'test/loader/memory.test.ts > an alignment above the page is cut, aloud',
      },
      {
        file: 'loader/allocate.ts',
        find: 'if (alignment > pages) {',
        replace: 'if (false) {',
        killedBy: 'test/loader/memory.test.ts > an alignment above the page is cut, aloud',
      },
    ],
  },
  {
    id: 'CL-05',
    scope: ['L'],
    arch: 'core',
    fixed: '2009, 2.6.31',
    wrong: 'notes were made from section attributes that could not be made',
    because: 'notes are not shown in sysfs',
  },
  {
    id: 'CL-06',
    scope: ['L'],
    arch: 'core',
    fixed: '2019, 5.3 / 5.2.16',
    wrong: 'without STRICT_MODULE_RWX regions were not whole pages',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: "const size = m.version === '6.1' ? wanted :",
        replace: "const size = m.version === '6.1' || !m.kernel.switch('STRICT_MODULE_RWX') ? wanted :",
        killedBy: 'test/loader/layout.test.ts > regions are whole pages also where',
      },
    ],
  },
  {
    id: 'CL-08',
    scope: ['L'],
    arch: 'core',
    fixed: '2023, 6.4',
    wrong: 'small sections had a row of flags and no region',
    mutants: [
      {
        file: 'loader/layout.ts',
        find: `  { must: small | SHF_ALLOC, not: 0, core: 'data', init: 'init_data' },
`,
        replace: '',
        killedBy: 'test/loader/layout.test.ts > ARCH_SHF_SMALL',
      },
    ],
  },
  {
    id: 'CL-09',
    scope: ['L'],
    arch: 'core',
    fixed: '2024, 6.7 / 6.6.10',
    wrong: 'tables of 64-bit exports were aligned to 4 bytes',
    because: 'modules come as they were built, and no access is unaligned here (DataView)',
  },
  {
    id: 'CL-12',
    scope: ['L'],
    arch: 'core',
    fixed: '2012, 3.8',
    wrong: 'memory of no bytes was asked for',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: `    if (wanted === 0 && region !== 'core') continue;
`,
        replace: '',
        killedBy: 'test/loader/memory.test.ts > ',
      },
    ],
  },
  {
    id: 'CS-S02',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2.5.68 / 2008, 2.6.26',
    wrong: 'the CRCs of GPL-only exports were taken from those of the others',
    mutants: [
      {
        file: 'loader/ksymtab.ts',
        find: "'__ksymtab_gpl', '__kcrctab_gpl', () => true",
        replace: "'__ksymtab_gpl', '__kcrctab', () => true",
        killedBy: 'test/loader/ksymtab.test.ts > exports of x86_64',
      },
    ],
  },
  {
    id: 'CS-S04',
    scope: ['L'],
    arch: 'core',
    fixed: '2008, 2.6.25',
    wrong: 'a symbol of value 0 was taken for none',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: `    if ('symbol' in found) {
      symtab`,
        replace: `    if ('symbol' in found && found.symbol.value !== 0n) {
      symtab`,
        killedBy: 'test/loader/symbols.test.ts > a symbol of value 0 is there',
      },
    ],
  },
  {
    id: 'CS-S08',
    scope: ['L'],
    arch: 'core',
    fixed: '2021, 5.11 / 5.10.20',
    wrong: 'an undefined _GLOBAL_OFFSET_TABLE_ refused a module',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: 'if (weak || m.kernel.arch.ignoresUndefined?.(name)) return;',
        replace: 'if (weak) return;',
        killedBy: 'test/loader/symbols.test.ts > every kind of st_shndx',
      },
    ],
  },
  {
    id: 'CS-S09',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2.5.56',
    wrong: 'whether a weak symbol may stay undefined was decided by each architecture',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: 'if (weak || m.kernel',
        replace: 'if (m.kernel',
        killedBy: 'test/loader/symbols.test.ts > H30 weak helps only',
      },
      {
        file: 'arch/riscv.ts',
        find: `    if (r.bind === STB_WEAK) return 'skip';
`,
        replace: '',
        killedBy: 'test/arch/riscv.test.ts > an unresolved symbol is refused if it was not weak',
      },
      {
        file: 'arch/mips.ts',
        find: '    if (r.bind !== STB_WEAK) throw',
        replace: '    throw',
        killedBy: 'test/arch/mips.test.ts > an unresolved symbol is refused, and a weak one',
      },
    ],
  },
  {
    id: 'CS-S10',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2.5.60',
    wrong: 'symbol_get() of a symbol that is not there was an error of the linker',
    mutants: [
      {
        file: 'loader/symbol-get.ts',
        find: `  if (symbol === undefined) return undefined;
  if (!symbol.gplonly)`,
        replace: `  if (symbol === undefined) throw crashes('BUG', name);
  if (!symbol.gplonly)`,
        killedBy: 'test/loader/refcount.test.ts > symbol_get() pins the owner',
      },
    ],
  },
  {
    id: 'CM-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2008, 2.6.26',
    wrong: 'a symbol that is missing from a table of versions could be forced',
    mutants: [
      {
        file: 'loader/versions.ts',
        find: "  if (kernel.vendor === 'debian') {",
        replace: "  if (kernel.vendor === 'debian' && !tryToForceLoad(m, symbol)) {",
        killedBy: 'test/loader/versions.test.ts > H6 a missing entry',
      },
    ],
  },
  {
    id: 'CM-04',
    scope: ['L'],
    arch: 'core',
    fixed: '2017, 4.10',
    wrong: 'CRCs were as wide as a pointer, or had a sign',
    mutants: [
      {
        file: 'loader/ksymtab.ts',
        find: 'crcView.getUint32(i * 4, m.format.little)',
        replace: 'crcView.getInt32(i * 4, m.format.little)',
        killedBy: "test/loader/versions.test.ts > a CRC of a module's export",
      },
      {
        file: 'loader/versions.ts',
        find: 'long === 8 ? v.getBigUint64(at, info.format.little) : BigInt(v.getUint32(at, info.format.little))',
        replace: 'BigInt(v.getUint32(at, info.format.little))',
        killedBy: 'test/loader/versions.test.ts > a CRC from 0x80000000 on',
      },
    ],
  },
  {
    id: 'CM-05',
    scope: ['X'],
    arch: 'core',
    fixed: '2023, 6.3 / 6.1.23',
    wrong: 'on 32-bit machines a CRC from 0x80000000 on was cut',
    mutants: [
      {
        file: 'loader/exports.ts',
        find: 'value = value * 16 + digit;',
        replace: 'value = (value << 4) | digit;',
        killedBy: 'test/loader/exports.test.ts > a row with and without namespace',
      },
    ],
  },
  {
    id: 'CM-06',
    scope: ['L'],
    arch: 'core',
    fixed: '2004 and 2016',
    wrong: 'weak imports were not checked; and an exporter without CRC must only be warned of',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: `    if ('absent' in found) {
`,
        replace: `    {
`,
        killedBy: 'test/loader/symbols.test.ts > H30 weak helps only',
      },
      {
        file: 'loader/versions.ts',
        find: "if (!kernel.switch('MODVERSIONS') || crc === undefined) return true;",
        replace: `if (!kernel.switch('MODVERSIONS')) return true;
  if (crc === undefined) return false;`,
        killedBy: 'test/loader/versions.test.ts > CRCs of 32 bits agree or do not',
      },
    ],
  },
  {
    id: 'CM-08',
    scope: ['L'],
    arch: 'core',
    fixed: '2025, 6.14+',
    wrong: 'tables of extended versions were read side by side, whatever their lengths; names must lose their dots',
    mutants: [
      {
        file: 'loader/validate.ts',
        find: 'if ((crcs === 0) !== (names === 0))',
        replace: 'if (false)',
        killedBy: 'test/loader/validate.test.ts > C51',
      },
      {
        file: 'loader/validate.ts',
        find: `        if (end < 0)
`,
        replace: `        if (false)
`,
        killedBy: 'test/loader/validate.test.ts > C52',
      },
      {
        file: 'arch/ppc64.ts',
        find: `    if (m.version === '7.2') for (const s of all('__version_ext_names')) dedotifyNames(s.bytes);
`,
        replace: '',
        killedBy: 'test/arch/ppc64.test.ts > names in the tables of versions',
      },
    ],
  },
  {
    id: 'CM-09',
    scope: ['L'],
    arch: 'core',
    fixed: '2022, 5.19 / 5.18.4',
    wrong: 'exporter and importer named a namespace differently; and "module:" must not be imported',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: "info.modinfos('import_ns').includes(namespace)",
        replace: "info.modinfos('import_ns').some((ns) => ns.startsWith(namespace))",
        killedBy: 'test/loader/symbols.test.ts > C83 namespaces',
      },
      {
        file: 'loader/formation.ts',
        find: "find((ns) => ns.startsWith('module:'))",
        replace: "find((ns) => ns === 'module:')",
        killedBy: 'test/loader/symbols.test.ts > C75',
      },
      {
        file: 'loader/symbols.ts',
        find: "s.replaceAll('-', '_')",
        replace: 's',
        killedBy: 'test/loader/symbols.test.ts > inModuleNamespace() knows lists',
      },
    ],
  },
  {
    id: 'CE-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2009, 2010 (same bug three times)',
    wrong: 'struct module was read after the memory that it lies in had been freed',
    because: 'struct module is no memory of the module here, and the collector takes it',
  },
  {
    id: 'CE-03',
    scope: ['L'],
    arch: 'core',
    fixed: '2005, 2.6.11',
    wrong: 'an error in the parameters was overwritten by a later success',
    mutants: [
      {
        file: 'loader/params.ts',
        find: `    if (outcome.errno === undefined) continue;
`,
        replace: `    if (outcome.errno === undefined) {
      errno = undefined;
      continue;
    }
`,
        killedBy: 'test/loader/params.test.ts > a good value after a bad one',
      },
    ],
  },
  {
    id: 'CE-04',
    scope: ['L'],
    arch: 'core',
    fixed: '2009; 2019 5.2.16',
    wrong: 'what was made before an attribute that failed was left, and copies of modinfo with it',
    mutants: [
      {
        file: 'loader/formation.ts',
        find: `  m.sysfs = false;
`,
        replace: '',
        killedBy: 'test/loader/formation.test.ts > C100 what sysfs refuses is gone from it',
      },
    ],
  },
  {
    id: 'CE-05',
    scope: ['L'],
    arch: 'core',
    fixed: '2009, 2.6.31',
    wrong: 'a per-CPU area that was never allocated was freed',
    mutants: [
      {
        file: 'loader/allocate.ts',
        find: 'if (m.percpu) m.kernel.percpu.free(m.percpu.cookie);',
        replace: 'm.kernel.percpu.free(m.percpu!.cookie);',
        killedBy: 'test/loader/unwind.test.ts > unlink_mod: no per-CPU memory',
      },
    ],
  },
  {
    id: 'CE-12',
    scope: ['L'],
    arch: 'core',
    fixed: '2026, 7.2.10',
    wrong: 'the error of a code tag was lost',
    because: 'code tags are not modelled',
  },
  {
    id: 'CK-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2002, 2.5.51',
    wrong: 'the table of section names was kept instead of that of symbols',
    mutants: [
      {
        file: 'loader/load-info.ts',
        find: 'this.section(this.index.str).bytes);',
        replace: 'this.section(this.hdr.e_shstrndx).bytes);',
        killedBy: "test/loader/relocate.test.ts > a livepatch may name a loaded module's symbols",
      },
      {
        file: 'loader/kallsyms.ts',
        find: 'wrapWord(m.format, nextval - bestval)',
        replace: 'wrapWord(m.format, nextval - address)',
        killedBy: 'test/loader/kallsyms.test.ts > the symbol before an address',
      },
    ],
  },
  {
    id: 'CK-02',
    scope: ['X'],
    arch: 'core',
    fixed: '2003',
    wrong: 'scripts/kallsyms lost or added a letter',
    because: 'the table of a kernel is read as text, and never compressed',
  },
  {
    id: 'CK-06',
    scope: ['L'],
    arch: 'core',
    fixed: '2009, 2.6.29',
    wrong: 'a static function with the name of an export was shown as exported',
    mutants: [
      {
        file: 'loader/kallsyms.ts',
        find: 'e.name === name && e.value === value && ',
        replace: 'e.name === name && ',
        killedBy: 'test/loader/kallsyms.test.ts > capitals for what is exported under that name and value',
      },
    ],
  },
  {
    id: 'CK-12',
    scope: ['L'],
    arch: 'core',
    fixed: '2005, 2.6.11',
    wrong: 'every address was taken for one of the kernel',
    because: 'addresses of the kernel itself are not looked up, so none can be taken for one',
  },
  {
    id: 'CK-13',
    scope: ['X'],
    arch: 'core',
    fixed: '2008, 2.6.25',
    wrong: 'scripts/kallsyms took a weak name of an address',
    because: 'the table of a kernel is read as text, and addresses are not looked up in it',
  },
  {
    id: 'CG-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2016, 4.7',
    wrong: 'the signature of a module that was forced still counted',
    mutants: [
      {
        file: 'loader/early.ts',
        find: '  if (!mangled) {',
        replace: '  {',
        killedBy: 'test/loader/early.test.ts > C27 enforcement and C28',
      },
    ],
  },
  {
    id: 'CG-03',
    scope: ['L'],
    arch: 'core',
    fixed: '2019, 5.4',
    wrong: 'errors of a signature were fatal that are not, and others not that are',
    mutants: [
      {
        file: 'loader/signature.ts',
        find: "soft: errno === 'ENOPKG'",
        replace: 'soft: true',
        killedBy: 'test/loader/early.test.ts > C22 the marker alone',
      },
      {
        file: 'loader/signature.ts',
        find: "soft: errno === 'ENOPKG'",
        replace: 'soft: false',
        killedBy: 'test/loader/early.test.ts > C24 another kind',
      },
      {
        file: 'loader/signature.ts',
        find: 'if (signature.sig_len >= modlen - SIZEOF_MODULE_SIGNATURE) {',
        replace: 'if (false) {',
        killedBy: 'test/loader/signature.test.ts > C23: a signature that leaves nothing',
      },
    ],
  },
  {
    id: 'CG-05',
    scope: ['L'],
    arch: 'core',
    fixed: '2023, 6.7 / 6.1.63',
    wrong: 'the workspace of gzip wanted contiguous memory',
    because: 'memory of the kernel itself has neither pieces nor an end here',
  },
  {
    id: 'CP-01',
    scope: ['L'],
    arch: 'core',
    fixed: '2003, 2.6.0-test7',
    wrong: 'an array took one element too many',
    mutants: [
      {
        file: 'loader/params.ts',
        find: 'if (value.length === type.max)',
        replace: 'if (value.length > type.max)',
        killedBy: 'test/loader/params.test.ts > arrays: too many elements',
      },
    ],
  },
  {
    id: 'CP-03',
    scope: ['L'],
    arch: 'core',
    fixed: '2009, 2.6.32',
    wrong: 'elements of an array of bool had any width',
    mutants: [
      {
        file: 'loader/kernel-param.ts',
        find: 'numberSizes[type.kind](sizeofAddr(format))',
        replace: "type.kind === 'bool' ? 4 : numberSizes[type.kind](sizeofAddr(format))",
        killedBy: 'test/loader/kernel-param.test.ts > what was parsed is stored',
      },
    ],
  },
  {
    id: 'CP-05',
    scope: ['X'],
    arch: 'core',
    fixed: '2025, 6.17 / 6.12.42',
    wrong: 'a name of full length was no longer refused by the compiler',
    because: 'modules come as they were built',
  },
  {
    id: 'CP-07',
    scope: ['L'],
    arch: 'core',
    fixed: '2026, 6.12.91',
    wrong: 'without sysfs the texts of charp parameters were never freed',
    because: "a charp's text lies on the kernel's heap, which is not modelled",
  },
];
