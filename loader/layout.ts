/** layout_sections() and layout_symtab(): which region a section goes to, and where in it. */
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, sizeofSym, SHN_UNDEF } from '../relocs/elf.ts';
import { SHF_RO_AFTER_INIT } from '../relocs/elf.ts';
import type { Region } from '../relocs/module-view.ts';
import type { Section } from '../relocs/section.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';

/** sh_entsize as the loader reuses it: region and offset. */
export interface Placement {
  readonly region: Region;
  readonly offset: number;
}

/** Sizes of the regions and the places of the sections in them, before anything has an address. */
export interface Layout {
  /** In order of allocation (enum mod_mem_type); 6.1: core and init. */
  readonly sizes: Map<Region, number>;
  readonly placement: (Placement | undefined)[];
}

/** Regions in the order in which they are allocated. */
const REGIONS: readonly Region[] = ['text', 'data', 'rodata', 'ro_after_init', 'init_text', 'init_data', 'init_rodata'];

/** Rows of __layout_sections(): flags a section must have, flags it must not have, and its types. */
const rows = (small: number): readonly { must: number; not: number; core: Region; init: Region | undefined }[] => [
  { must: SHF_EXECINSTR | SHF_ALLOC, not: small, core: 'text', init: 'init_text' },
  { must: SHF_ALLOC, not: SHF_WRITE | small, core: 'rodata', init: 'init_rodata' },
  { must: SHF_RO_AFTER_INIT | SHF_ALLOC, not: small, core: 'ro_after_init', init: undefined },
  { must: SHF_WRITE | SHF_ALLOC, not: small, core: 'data', init: 'init_data' },
  { must: small | SHF_ALLOC, not: 0, core: 'data', init: 'init_data' },
];

/**
 * ALIGN() of an unsigned int: 32 bits, whatever the width of the alignment, and no thought of powers of two. A layout
 * that wraps is the kernel's as well (move_module() then copies over what is not its own).
 */
const align = (v: number, to: number): number => {
  const mask = (to === 0 ? 0 : to - 1) | 0;
  return ((v + mask) & ~mask) >>> 0;
};

/** Lays out the sections and the symbol tables of a module whose flags are final. */
export function layoutSections(m: Module, info: LoadInfo): Layout {
  return m.version === '6.1' ? layoutTwoBlobs(m, info) : layoutSevenRegions(m, info);
}

class Areas {
  readonly sizes = new Map<Region, number>();
  readonly placement: (Placement | undefined)[];
  private readonly m: Module;

  constructor(m: Module, info: LoadInfo, regions: readonly Region[]) {
    this.m = m;
    this.placement = info.sections.map(() => undefined);
    for (const r of regions) this.sizes.set(r, m.kernel.arch.regionHead?.(m, r) ?? 0);
  }

  size(region: Region): number {
    return this.sizes.get(region)!;
  }

  grow(region: Region, size: number): void {
    this.sizes.set(region, size % 2 ** 32);
  }

  /** module_get_offset_and_type() */
  put(region: Region, s: Section): void {
    const start = this.size(region) + (this.m.kernel.arch.sectionPrepend?.(this.m, s.index) ?? 0);
    const offset = align(start, s.sh_addralign);
    this.grow(region, offset + s.sh_size);
    this.placement[s.index] = { region, offset };
  }
}

/** One pass of __layout_sections() over one row. */
function placeRow(
  areas: Areas,
  m: Module,
  info: LoadInfo,
  must: number,
  not: number,
  init: boolean,
  region: Region | undefined,
): void {
  for (const s of info.sections) {
    if ((s.sh_flags & must) !== must || (s.sh_flags & not) !== 0) continue;
    if (areas.placement[s.index] !== undefined || m.isInitLayout(s.name) !== init) continue;
    if (region === undefined) {
      m.warn('__layout_sections: ro_after_init section in init memory');
      continue;
    }
    areas.put(region, s);
  }
}

function layoutSevenRegions(m: Module, info: LoadInfo): Layout {
  const areas = new Areas(m, info, REGIONS);
  const table = rows(m.kernel.arch.smallFlag ?? 0);
  for (const init of [false, true]) {
    for (const row of table) placeRow(areas, m, info, row.must, row.not, init, init ? row.init : row.core);
  }
  if (m.kernel.switch('KALLSYMS')) {
    layoutSymtab(
      areas,
      m,
      info,
      'data',
      'init_data',
      (region) => region.startsWith('init'),
      (size) => size,
    );
  }
  return areas;
}

/**
 * 6.1: core_layout and init_layout, page aligned after text, read-only data, ro_after_init and the whole. With
 * ARCH_WANTS_MODULES_DATA_IN_VMALLOC the data has a blob of its own.
 */
function layoutTwoBlobs(m: Module, info: LoadInfo): Layout {
  const data: Region = m.kernel.switch('ARCH_WANTS_MODULES_DATA_IN_VMALLOC') ? 'data' : 'core';
  const areas = new Areas(m, info, data === 'core' ? ['core', 'init'] : ['core', 'init', 'data']);
  const pages = Number(m.config['PAGE_SIZE']);
  const strict = (size: number): number => (m.kernel.switch('STRICT_MODULE_RWX') ? align(size, pages) : size);
  rows(m.kernel.arch.smallFlag ?? 0).forEach((row, i) => {
    const region = i === 0 ? 'core' : data;
    placeRow(areas, m, info, row.must, row.not, false, region);
    if (i !== 3) areas.grow(region, strict(areas.size(region)));
  });
  rows(m.kernel.arch.smallFlag ?? 0).forEach((row, i) => {
    placeRow(areas, m, info, row.must, row.not, true, 'init');
    if (i === 0 || i === 1 || i === 4) areas.grow('init', strict(areas.size('init')));
  });
  if (m.kernel.switch('KALLSYMS')) layoutSymtab(areas, m, info, data, 'init', (region) => region === 'init', strict);
  return areas;
}

/**
 * layout_symtab() of kernel/module/kallsyms.c: the whole symbol and string table, struct mod_kallsyms and a type byte
 * each at the end of init data; a cut-down copy of the core symbols at the end of data.
 */
function layoutSymtab(
  areas: Areas,
  m: Module,
  info: LoadInfo,
  data: Region,
  init: Region,
  isInit: (region: Region) => boolean,
  strict: (size: number) => number,
): void {
  const symsect = info.section(info.index.sym);
  const strsect = info.section(info.index.str);
  symsect.sh_flags |= SHF_ALLOC;
  areas.put(init, symsect);

  const { symbols, names } = coreSymbols(m, info, areas.placement, isInit);
  const entry = sizeofSym(m.format);
  const symoffs = align(areas.size(data), symsect.sh_addralign);
  areas.grow(data, strict(symoffs + symbols * entry + names + symbols));

  strsect.sh_flags |= SHF_ALLOC;
  areas.put(init, strsect);
  const word = m.format.is64 ? 8 : 4;
  const modKallsyms = align(areas.size(init), word) + 4 * word;
  areas.grow(init, strict(modKallsyms + info.symtab.count));
}

/** How many symbols is_core_symbol() keeps, and the bytes of their names with NULs. */
function coreSymbols(
  m: Module,
  info: LoadInfo,
  placement: readonly (Placement | undefined)[],
  isInit: (region: Region) => boolean,
): { symbols: number; names: number } {
  const { symtab, strtab } = info;
  const all = m.kernel.switch('KALLSYMS_ALL');
  const core = info.sections.map((s) => {
    if (all && s.index === info.index.pcpu && s.index !== 0) return true;
    if ((s.sh_flags & SHF_ALLOC) === 0 || (!all && (s.sh_flags & SHF_EXECINSTR) === 0)) return false;
    const at = placement[s.index];
    return at === undefined || !isInit(at.region);
  });
  core[SHN_UNDEF] = false;
  let symbols = 0;
  let names = 0;
  for (let i = 0; i < symtab.count; i++) {
    const name = symtab.st_name(i);
    if (i !== 0 && !m.isLivepatch && (name === 0 || core[symtab.st_shndx(i)] !== true)) continue;
    symbols++;
    const end = strtab.indexOf(0, name);
    names += Math.max((end < 0 ? strtab.length : end) - name, 0) + 1;
  }
  return { symbols, names };
}
