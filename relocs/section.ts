/**
 * A section header as the loader's temporary image holds it, and the bytes it stands for.
 *
 * Fields bear the names of Elf{32,64}_Shdr. Hooks may change type, flags, size and alignment before layout, as
 * `module_frob_arch_sections()` does. `sh_addr` is the address the kernel sees; `bytes` what lies there.
 */
export interface Section {
  readonly index: number;
  readonly name: string;
  readonly sh_name: number;
  sh_type: number;
  sh_flags: number;
  sh_addr: bigint;
  sh_offset: number;
  sh_size: number;
  readonly sh_link: number;
  readonly sh_info: number;
  /** 0 and 1 mean no constraint. */
  sh_addralign: number;
  /** As in the file; `__layout_sections()` keeps its own record of offset and region. */
  readonly sh_entsize: bigint;
  /** Temporary image before `move_module()`, final memory after it for SHF_ALLOC sections. */
  bytes: Uint8Array;
}
