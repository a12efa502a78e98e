/** What a module says of itself and wants of others: name, modinfo, symbol versions, imports, size. Each gives a number of DOUBTS. */
import { D_INFO, D_LAYOUT, D_LICENSE, D_MOD, D_SYM, D_VERS } from '../doubts';
import {
  FLAGS,
  HAS_CRC,
  HAS_VERSIONS,
  IMPORT_WORDS,
  IMPORTS,
  MEMORY,
  NAME,
  NAMESPACES,
  PROPRIETARY,
  SOFTDEPS,
  STRUCT_SIZE,
  VERMAGIC,
  WEAK,
} from '../records';
import {
  CTORS,
  DUAL_MPL_GPL,
  EXT_CRCS,
  EXT_NAMES,
  GPL,
  INIT_ARRAY,
  MODINFO,
  MODULE_LAYOUT,
  NDISWRAPPER,
  PERCPU,
  THIS_MODULE,
  V7_2,
  VERSIONS,
  VMLINUX,
} from '../well-known';
import { nul } from './bytes';
import { half, is64, little, modversions, version, word } from './frame';
import {
  end,
  hasMet,
  length,
  meet,
  newGeneration,
  section,
  setSymtab,
  sh_addralign,
  sh_flags,
  sh_link,
  sh_offset,
  sh_size,
  sh_type,
  SHF_ALLOC,
  SHN_ABS,
  SHN_LORESERVE,
  shnum,
  SHT_PROGBITS,
  SHT_STRTAB,
  SHT_SYMTAB,
  start,
  symtab,
} from './image';
import { alloc, moved } from './memory';
import { internString, nameRoom } from './names';
import { extend, head, setHead } from './record';

/** More than this no module needs; what claims more is left to insmod. */
const MEMORY_LIMIT: i32 = 1 << 27;
const PERCPU_LIMIT: i32 = 32 << 10;

/** By name: its CRC, where the image has met it in this generation. */
let crcs: usize = 0;
/** By name: the last image that imports it, and how many there have been. */
let imported: usize = 0;
let imageCount: i32 = 0;
/** Namespaces, and softdeps, of the module at hand. */
let namespaces: usize = 0;
let namespaceCount: i32 = 0;
let softdeps: usize = 0;
let softdepCount: i32 = 0;
let listRoom: i32 = 64;

export function attachFacts(): void {
  crcs = alloc((<usize>nameRoom()) << 2);
  imported = alloc((<usize>nameRoom()) << 2);
  namespaces = alloc((<usize>listRoom) << 2);
  softdeps = alloc((<usize>listRoom) << 2);
}

export function thisModule(): i32 {
  const i = section(THIS_MODULE);
  // struct module: a state, a list, then MODULE_NAME_LEN bytes of name.
  const name: i32 = is64 ? 24 : 12;
  const room: i32 = is64 ? 56 : 60;
  if (i === 0 || sh_type(i) !== SHT_PROGBITS || sh_size(i) < room + name) return D_MOD;
  setHead(STRUCT_SIZE, sh_size(i));
  const id = internString(start(i) + name, start(i) + name + room);
  // Offenders, and the empty name.
  if (id <= 0 || (id >= NDISWRAPPER && id <= VMLINUX)) return D_MOD;
  setHead(NAME, id);
  return 0;
}

/** The entries of `.modinfo`, which must end with a NUL. Tags are compared as words. */
export function modinfo(): i32 {
  namespaceCount = softdepCount = 0;
  const i = section(MODINFO);
  if (i === 0 || sh_type(i) !== SHT_PROGBITS || sh_size(i) === 0 || load<u8>(end(i) - 1) !== 0) return D_INFO;
  const limit = end(i);
  let why = 0;
  let license = -1;
  let vermagic = -1;
  for (let at = start(i); at < limit; ) {
    const tag = load<u64>(at);
    if (tag === 0x6369_6761_6d72_6576 /* vermagic */) {
      if (load<u8>(at, 8) === 0x3d && vermagic < 0) vermagic = internString(at + 9, limit);
    } else if (tag === 0x3d65_736e_6563_696c /* license= */) {
      if (license < 0) license = internString(at + 8, limit);
    } else if (tag === 0x6e5f_7472_6f70_6d69 && load<u16>(at, 8) === 0x3d73 /* import_ns= */) {
      if (load<u64>(at, 10) << 8 === 0x3a65_6c75_646f_6d00 /* module: */) why = D_INFO;
      growLists();
      store<i32>(namespaces + ((<usize>namespaceCount) << 2), internString(at + 10, limit));
      namespaceCount++;
    } else if (tag === 0x3d70_6564_7466_6f73 /* softdep= */) {
      growLists();
      store<i32>(softdeps + ((<usize>softdepCount) << 2), internString(at + 8, limit));
      softdepCount++;
    } else if (tag === 0x6374_6170_6576_696c && load<u16>(at, 8) === 0x3d68 /* livepatch= */) why = D_INFO;
    at = nul(at);
    while (at < limit && load<u8>(at) === 0) at++;
  }
  if (vermagic <= 0) why = D_INFO;
  else setHead(VERMAGIC, vermagic);
  if (license < GPL || license > DUAL_MPL_GPL) {
    setHead(FLAGS, head(FLAGS) | PROPRIETARY);
    why = D_LICENSE;
  }
  return why;
}

function growLists(): void {
  if (namespaceCount < listRoom && softdepCount < listRoom) return;
  const bytes = (<usize>listRoom) << 2;
  namespaces = moved(namespaces, bytes, bytes * 2);
  softdeps = moved(softdeps, bytes, bytes * 2);
  listRoom *= 2;
}

/** Appends the lists to the record. */
export function appendLists(): void {
  const at = extend(namespaceCount + softdepCount);
  memory.copy(at, namespaces, (<usize>namespaceCount) << 2);
  memory.copy(at + ((<usize>namespaceCount) << 2), softdeps, (<usize>softdepCount) << 2);
  setHead(NAMESPACES, namespaceCount);
  setHead(SOFTDEPS, softdepCount);
}

/** CRCs by name; the first entry of a name counts. */
export function versions(): i32 {
  newGeneration();
  if (version === V7_2 && (section(EXT_CRCS) !== 0 || section(EXT_NAMES) !== 0)) return extendedVersions();
  const i = section(VERSIONS);
  if (i === 0) return modversions ? D_VERS : 0;
  if (sh_type(i) !== SHT_PROGBITS) return D_VERS;
  setHead(FLAGS, head(FLAGS) | HAS_VERSIONS);
  // struct modversion_info: a long, and a name that fills 64 bytes.
  const long: usize = is64 ? 8 : 4;
  const low: usize = is64 && !little ? 4 : 0;
  let why = 0;
  const limit = end(i);
  for (let at = start(i); at + 64 <= limit; at += 64) {
    const id = internString(at + long, at + 64);
    if (id < 0 || (is64 && word(at + 4 - low) !== 0)) why = D_VERS;
    else note(id, word(at + low));
  }
  return why;
}

/** Version tables of 7.2 for names of any length: CRCs, and as many names one after the other. */
function extendedVersions(): i32 {
  const names = section(EXT_NAMES);
  const list = section(EXT_CRCS);
  if (names === 0 || list === 0 || section(VERSIONS) === 0) return D_VERS;
  if (sh_type(names) !== SHT_PROGBITS || sh_type(list) !== SHT_PROGBITS) return D_VERS;
  let at = start(names);
  const limit = end(names);
  const to = end(list);
  for (let crc = start(list); crc + 4 <= to; crc += 4) {
    const id = internString(at, limit);
    if (id < 0) return D_VERS;
    at = nul(at) + 1;
    note(id, word(crc));
  }
  setHead(FLAGS, head(FLAGS) | HAS_VERSIONS);
  return 0;
}

function note(id: i32, crc: i32): void {
  if (hasMet(id)) return;
  meet(id);
  store<i32>(crcs + ((<usize>id) << 2), crc);
}

/** Every symbol's section, and the undefined ones as imports. */
export function symbols(): i32 {
  let symtab = 0;
  let why = 0;
  for (let i = 1; i < shnum; i++) {
    if (sh_type(i) !== SHT_SYMTAB) continue;
    if (symtab !== 0) why = D_SYM;
    else symtab = i;
  }
  const strtab = sh_link(symtab);
  if (symtab === 0 || strtab <= 0 || strtab >= shnum) return D_SYM;
  const names = start(strtab);
  const limit = end(strtab);
  if (sh_type(strtab) !== SHT_STRTAB || limit === names || load<u8>(names) !== 0 || load<u8>(limit - 1) !== 0)
    return D_SYM;
  setSymtab(symtab);
  if (sh_offset(symtab) % 8 !== 0) why = D_SYM;

  const size = is64 ? 24 : 16;
  const st_info: usize = is64 ? 4 : 12;
  const st_shndx: usize = is64 ? 6 : 14;
  const bytes = <u32>(limit - names);
  // Since 7.2 every name must lie in the string table.
  const all = version === V7_2;
  const first = start(symtab);
  const count = sh_size(symtab) / size;
  if (all && count > 0 && <u32>word(first) >= bytes) why = D_SYM;
  let imports = 0;
  imageCount++;
  let at = first;
  for (let i = 1; i < count; i++) {
    at += size;
    const shndx = half(at + st_shndx);
    if (all && <u32>word(at) >= bytes) why = D_SYM;
    if (shndx !== 0) {
      if (shndx >= shnum && shndx !== SHN_ABS) why = D_SYM;
      continue;
    }
    const name = <u32>word(at);
    const id = name < bytes ? internString(names + name, limit) : -1;
    const bind = <i32>load<u8>(at + st_info) >> 4;
    if (id <= 0 || bind === 0 || bind > 2) why = D_SYM;
    if (id <= 0) continue;
    // Two of one name are one to whoever counts values.
    const import_ = imported + ((<usize>id) << 2);
    if (load<i32>(import_) === imageCount) why = D_SYM;
    store<i32>(import_, imageCount);
    appendImport(id, bind === 2 ? WEAK : 0);
    imports++;
  }
  // module_layout stands for every structure that modules and kernel share: one more import.
  if (hasMet(MODULE_LAYOUT)) {
    appendImport(MODULE_LAYOUT, WEAK);
    imports++;
  } else if (modversions) why = D_VERS;
  setHead(IMPORTS, imports);
  // More sections than numbers below the reserved ones.
  return shnum >= SHN_LORESERVE ? D_SYM : why;
}

function appendImport(id: i32, bits: i32): void {
  const at = extend(IMPORT_WORDS);
  const known = hasMet(id);
  store<i32>(at, id);
  store<i32>(at, bits | (known ? HAS_CRC : 0), 4);
  store<i32>(at, known ? load<i32>(crcs + ((<usize>id) << 2)) : 0, 8);
}

/** What is in memory: its size, alignments that the allocator keeps, no more per-CPU data than there is room for. */
export function layout(): i32 {
  let memory: i64 = 0;
  let why = 0;
  for (let i = 1; i < shnum; i++) {
    const align = sh_addralign(i);
    const isAlloc = (sh_flags(i) & SHF_ALLOC) !== 0;
    // layout_symtab() puts both in memory as well.
    if (!isAlloc && (symtab === 0 || (i !== symtab && i !== sh_link(symtab)))) continue;
    if ((align & (align - 1)) !== 0 || align > 1 << 16) why = D_LAYOUT;
    if (isAlloc) memory += <i64>sh_size(i) + <i64>align;
  }
  const percpu = section(PERCPU);
  if (percpu !== 0 && sh_size(percpu) > PERCPU_LIMIT) why = D_LAYOUT;
  if (section(CTORS) !== 0 && section(INIT_ARRAY) !== 0) why = D_LAYOUT;
  setHead(MEMORY, <i32>min<i64>(memory, MEMORY_LIMIT));
  return memory + <i64>length >= MEMORY_LIMIT ? D_LAYOUT : why;
}
