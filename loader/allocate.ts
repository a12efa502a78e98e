/** layout_and_allocate(): arch frob, flags, layout, memory, and the move out of the temporary image. */
import { SHF_ALLOC, SHF_EXECINSTR, SHF_RO_AFTER_INIT, SHF_WRITE, SHT_NOBITS } from '../relocs/elf.ts';
import type { Region } from '../relocs/module-view.ts';
import { crashes } from '../relocs/refusal.ts';
import { LoadError } from './errors.ts';
import { layoutSections } from './layout.ts';
import type { LoadInfo } from './load-info.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';

/** module_frob_arch_sections() */
export function frobArchSections(load: Loading, m: Module): void {
  load.asking(
    () => 'C65',
    () => m.kernel.arch.frobSections?.(m),
  );
}

/** module_enforce_rwx_sections(): looks at every section, SHF_ALLOC or not. */
export function enforceRwxSections(load: Loading, m: Module): void {
  if (!m.kernel.switch('STRICT_MODULE_RWX')) return;
  const wx = SHF_WRITE | SHF_EXECINSTR;
  const bad = m.sections.find((s) => (s.sh_flags & wx) === wx);
  if (bad)
    throw load.fail(
      'ENOEXEC',
      'C66',
      `${m.name}: section ${bad.name} (index ${bad.index}) has invalid WRITE|EXEC flags`,
      `${bad.name} is writable and executable`,
    );
}

/** The per-CPU section is allocated apart; module_mark_ro_after_init(). */
export function markSections(m: Module, info: LoadInfo): void {
  // Without one this is section 0.
  info.section(info.index.pcpu).sh_flags &= ~SHF_ALLOC;
  const names = ['.data..ro_after_init', '__jump_table'];
  if (m.version === '7.2') {
    if (m.kernel.switch('HAVE_STATIC_CALL_INLINE')) names.push('.static_call_sites');
    for (const s of m.sections) if (s.index > 0 && names.includes(s.name)) s.sh_flags |= SHF_RO_AFTER_INIT;
    return;
  }
  for (const name of names) {
    const i = info.findSec(name);
    if (i !== 0) info.section(i).sh_flags |= SHF_RO_AFTER_INIT;
  }
}

const isText = (region: Region): boolean =>
  region === 'text' || region === 'init_text' || region === 'core' || region === 'init';

/** layout_sections(), layout_symtab() and move_module(). */
export function layoutAndMove(load: Loading, m: Module): void {
  const { info, options } = load;
  const { sizes, placement } = layoutSections(m, info);
  m.placement = placement;
  allocate(load, m, sizes);
  try {
    moveModule(load, m, options.place);
  } catch (error) {
    freeMemory(m);
    throw error;
  }
}

/** module_memory_alloc() for every region. */
function allocate(load: Loading, m: Module, sizes: ReadonlyMap<Region, number>): void {
  const { kernel } = m;
  const { text, data, fallback } = kernel.area;
  const pages = Number(m.config['PAGE_SIZE']);
  for (const [region, wanted] of sizes) {
    if (wanted === 0 && region !== 'core') continue;
    // An unsigned int: PAGE_ALIGN() of what is next to 4 GiB is 0, which vmalloc() refuses.
    const size = m.version === '6.1' ? wanted : (Math.ceil(wanted / pages) * pages) % 2 ** 32;
    const from = (range: readonly [bigint, bigint]): bigint | undefined =>
      size === 0 || size > kernel.ram ? undefined : kernel.memory.alloc(size, range[0], range[1], BigInt(pages));
    const base = from(isText(region) ? text : data) ?? (fallback && from(fallback));
    if (base === undefined) {
      freeMemory(m);
      throw load.fail(
        'ENOMEM',
        'C67',
        m.version === '6.1' ? undefined : 'execmem: unable to allocate memory',
        `no ${size} free bytes for ${region} in the module area`,
      );
    }
    m.memory[region] = { base, size, bytes: new Uint8Array(size) };
  }
}

function moveModule(load: Loading, m: Module, place: Readonly<Record<string, bigint>> | undefined): void {
  for (const s of m.sections) {
    if ((s.sh_flags & SHF_ALLOC) === 0) continue;
    const at = m.placement[s.index];
    if (at === undefined) continue;
    // A region of empty sections only is not allocated: its base is NULL.
    const memory = m.memory[at.region] ?? { base: 0n, bytes: new Uint8Array(0) };
    const bytes = memory.bytes.subarray(at.offset, at.offset + s.sh_size);
    if (s.sh_type !== SHT_NOBITS) {
      if (s.bytes.length < s.sh_size) throw wild(load, `section ${s.index} is copied from behind the end of the file`);
      if (bytes.length < s.sh_size) throw wild(load, `section ${s.index} is copied over the end of ${at.region}`);
      bytes.set(s.bytes.subarray(0, s.sh_size));
    }
    s.bytes = bytes;
    s.sh_addr = place?.[`#${s.index}`] ?? place?.[s.name] ?? memory.base + BigInt(at.offset);
  }
  m.symtab = load.info.reopenSymtab();
}

/** Nothing checks what move_module() copies: of SHT_NULL not where it lies, and not that the sizes did not wrap. */
function wild(load: Loading, what: string): LoadError {
  return LoadError.from(crashes('signal 11', what), {
    check: 'C69',
    log: [],
    step: load.step,
    module: load.info.name ?? '',
  });
}

/** free_mod_mem(): MOD_DATA, where struct module lies, goes last. */
export function freeMemory(m: Module): void {
  for (const region of Object.keys(m.memory) as Region[]) {
    m.kernel.memory.free(m.memory[region]!.base);
    delete m.memory[region];
  }
}

/** percpu_modalloc() */
export function percpuModalloc(load: Loading, m: Module): void {
  const { info, kernel } = load;
  const s = info.section(info.index.pcpu);
  if (s.index === 0 || s.sh_size === 0) return;
  const { sh_size, sh_addralign } = info.shdrs[s.index]!;
  const pages = Number(m.config['PAGE_SIZE']);
  let alignment = s.sh_addralign;
  if (alignment > pages) {
    m.log(`${m.name}: per-cpu alignment ${BigInt.asIntN(m.format.is64 ? 64 : 32, sh_addralign)} > ${pages}`);
    alignment = pages;
  }
  const cookie = load.options.place?.[s.name] ?? kernel.percpu.alloc(s.sh_size, alignment);
  if (cookie === undefined)
    throw load.fail(
      'ENOMEM',
      'C71',
      `${m.name}: Could not allocate ${sh_size} bytes percpu data`,
      'the per-CPU space reserved for modules is used up, or no size and alignment for it',
    );
  m.percpu = { cookie, size: s.sh_size };
}

/** percpu_modfree() */
export function percpuModfree(m: Module): void {
  if (m.percpu) m.kernel.percpu.free(m.percpu.cookie);
  m.percpu = undefined;
}
