/** A module file as the checks of load_module() first see it: header, section headers, names of sections. Nothing is copied. */
import { D_EHDR, D_NAMES, D_SECTIONS, D_SHDR, D_SIG } from '../doubts';
import { E_FLAGS, FLAGS, UNREADABLE } from '../records';
import {
  EXT_CRCS,
  EXT_NAMES,
  JUMP_TABLE,
  KNOWN_SECTIONS,
  MODINFO,
  RO_AFTER_INIT,
  STATIC_CALL_SITES,
  V6_1,
  VERSIONS,
} from '../well-known';
import { addr, e_machine, half, is64, little, signed, version, word } from './frame';
import { alloc } from './memory';
import { internString, knownString, nameRoom } from './names';
import { setHead } from './record';

export const SHT_NULL = 0,
  SHT_PROGBITS = 1,
  SHT_SYMTAB = 2,
  SHT_STRTAB = 3,
  SHT_RELA = 4,
  SHT_NOBITS = 8,
  SHT_REL = 9;
export const SHF_WRITE = 1,
  SHF_ALLOC = 2,
  SHF_EXECINSTR = 4,
  SHF_RELA_LIVEPATCH = 0x0010_0000;
export const SHN_ABS = 0xfff1,
  SHN_LORESERVE = 0xff00;
const WX = SHF_WRITE | SHF_EXECINSTR;

/** Section headers as 32-bit words, eight of them each. */
const S_NAME: usize = 0,
  S_TYPE: usize = 4,
  S_FLAGS: usize = 8,
  S_OFFSET: usize = 12,
  S_SIZE: usize = 16,
  S_LINK: usize = 20,
  S_INFO: usize = 24,
  S_ALIGN: usize = 28,
  S_BITS: usize = 5;

/** The file at hand: where it begins, and its bytes without a signature. */
export let file: usize = 0;
export let length: i32 = 0;
/** Sections, and the number of the symbol table. */
export let shnum: i32 = 0;
export let symtab: i32 = 0;
let shstrtab: usize = 0;
let shstrend: usize = 0;
let headers: usize = 0;
let room: i32 = 0;
let known: usize = 0;
/** By name: when it was met, in generations. */
let seen: usize = 0;
let generation: i32 = 0;

export function attachImage(): void {
  known = alloc((<usize>(KNOWN_SECTIONS + 1)) << 2);
  seen = alloc((<usize>nameRoom()) << 2);
}

function header(i: i32): usize {
  return headers + ((<usize>i) << S_BITS);
}
export function sh_type(i: i32): i32 {
  return load<i32>(header(i), S_TYPE);
}
export function sh_flags(i: i32): i32 {
  return load<i32>(header(i), S_FLAGS);
}
export function sh_offset(i: i32): i32 {
  return load<i32>(header(i), S_OFFSET);
}
export function sh_size(i: i32): i32 {
  return load<i32>(header(i), S_SIZE);
}
export function sh_link(i: i32): i32 {
  return load<i32>(header(i), S_LINK);
}
export function sh_info(i: i32): i32 {
  return load<i32>(header(i), S_INFO);
}
export function sh_addralign(i: i32): i32 {
  return load<i32>(header(i), S_ALIGN);
}
/** Where the bytes of a section begin. */
export function start(i: i32): usize {
  return file + <usize>sh_offset(i);
}
/** And where they end. */
export function end(i: i32): usize {
  return start(i) + <usize>sh_size(i);
}

/** The number of the section of a well-known name; 0 where there is none. */
export function section(name: i32): i32 {
  return load<i32>(known + ((<usize>name) << 2));
}

export function setSymtab(i: i32): void {
  symtab = i;
}

/** From now on nothing has been met. */
export function newGeneration(): void {
  generation++;
}
/** Whether a name has been met in this generation. */
export function hasMet(name: i32): bool {
  return load<i32>(seen + ((<usize>name) << 2)) === generation;
}
export function meet(name: i32): void {
  store<i32>(seen + ((<usize>name) << 2), generation);
}

/** Opens a file: a number of DOUBTS. Where the record says UNREADABLE afterwards there is nothing to go on with. */
export function openImage(at: usize, bytes: i32): i32 {
  file = at;
  length = bytes;
  symtab = 0;
  const unsigned = signature();
  const odd = ehdr();
  if (odd !== 0) return odd;
  // No doubt is the last word on what can still be read: the graph wants the others' imports and exports.
  const doubt = table();
  return doubt !== 0 ? doubt : unsigned;
}

/** A doubt about what is needed to go on: nothing more is known of this file. */
function unreadable(why: i32): i32 {
  setHead(FLAGS, UNREADABLE);
  return why;
}

/** `~Module signature appended~` and a line feed. */
const MARKER: i32 = 28;

function isMarked(at: usize): bool {
  return (
    load<u64>(at) === 0x2065_6c75_646f_4d7e &&
    load<u64>(at, 8) === 0x7275_7461_6e67_6973 &&
    load<u64>(at, 16) === 0x646e_6570_7061_2065 &&
    load<u32>(at, 24) === 0x0a7e_6465
  );
}

/** module_sig_check(): where everything is as sign-file writes it. */
function signature(): i32 {
  const at = length - MARKER;
  if (at <= 0 || !isMarked(file + at)) return signed ? D_SIG : 0;
  // struct module_signature: id_type is PKCS#7, all else is zero, and the length is big-endian.
  const info = at - 12;
  length = at;
  if (info <= 0) return D_SIG;
  const bytes = bswap<u32>(load<u32>(file + info, 8));
  if (bytes >= <u32>info) return D_SIG;
  if (load<u64>(file + info) !== 0x0002_0000) return D_SIG;
  length = info - <i32>bytes;
  return 0;
}

function ehdr(): i32 {
  const b = file;
  const size = is64 ? 64 : 52;
  if (length < size || load<u32>(b) !== 0x464c_457f) return unreadable(D_EHDR);
  if (load<u8>(b, 4) !== (is64 ? 2 : 1) || load<u8>(b, 5) !== (little ? 1 : 2)) return unreadable(D_EHDR);
  if (half(b + 16) !== 1 || half(b + 18) !== e_machine) return unreadable(D_EHDR);
  setHead(E_FLAGS, word(b + (is64 ? 48 : 36)));
  if (half(b + (is64 ? 58 : 46)) !== (is64 ? 64 : 40)) return unreadable(D_EHDR);
  return 0;
}

/** The section headers: all of them inside the file, with names, the way elf_validity_cache_copy() wants them. */
function table(): i32 {
  const shoff = addr(file + (is64 ? 40 : 32));
  const count = half(file + (is64 ? 60 : 48));
  const shstrndx = half(file + (is64 ? 62 : 50));
  const size = is64 ? 64 : 40;
  if (shoff <= 0 || count === 0 || shstrndx === 0 || shstrndx >= count) return unreadable(D_SHDR);
  if (shoff >= length || count * size > length - shoff) return unreadable(D_SHDR);
  if (count > room) {
    const larger = max(count, 128) * 2;
    headers = alloc((<usize>larger) << S_BITS);
    room = larger;
  }
  shnum = count;
  let why = 0;
  for (let i = 0; i < count; i++) {
    const at = file + <usize>(shoff + i * size);
    const h = header(i);
    let type = word(at + 4);
    let offset = addr(at + (is64 ? 24 : 16));
    let bytes = addr(at + (is64 ? 32 : 20));
    const flags = addr(at + 8);
    const align = addr(at + (is64 ? 48 : 32));
    // A flag in the upper half, or the sign: nothing that a compiler writes.
    if (flags < 0 || align < 0 || (flags & SHF_RELA_LIVEPATCH) !== 0 || (flags & WX) === WX) why = D_SHDR;
    const isInside = offset >= 0 && bytes >= 0 && (type === SHT_NOBITS || <u32>offset + <u32>bytes <= <u32>length);
    if (i === 0) {
      if (type !== SHT_NULL || bytes !== 0 || flags !== 0 || addr(at + (is64 ? 16 : 12)) !== 0) why = D_SHDR;
    } else if (!isInside || type === SHT_NULL) {
      if (!isInside) type = offset = bytes = 0;
      why = D_SHDR;
    }
    store<i32>(h, word(at), S_NAME);
    store<i32>(h, type, S_TYPE);
    store<i32>(h, flags, S_FLAGS);
    store<i32>(h, offset, S_OFFSET);
    store<i32>(h, bytes, S_SIZE);
    store<i32>(h, word(at + (is64 ? 40 : 24)), S_LINK);
    store<i32>(h, word(at + (is64 ? 44 : 28)), S_INFO);
    store<i32>(h, align, S_ALIGN);
  }
  if (sh_type(shstrndx) !== SHT_STRTAB || sh_size(shstrndx) === 0) return unreadable(D_NAMES);
  shstrtab = start(shstrndx);
  shstrend = end(shstrndx);
  if (load<u8>(shstrtab) !== 0 || load<u8>(shstrend - 1) !== 0) return unreadable(D_NAMES);
  const names = nameSections();
  if (names !== 0) why = names;
  return why !== 0 || version === V6_1 ? why : sameNames();
}

/** Which sections have well-known names. */
function nameSections(): i32 {
  memory.fill(known, 0, (<usize>(KNOWN_SECTIONS + 1)) << 2);
  let why = 0;
  for (let i = 1; i < shnum; i++) {
    const name = load<u32>(header(i), S_NAME);
    if (name >= <u32>(shstrend - shstrtab)) {
      why = D_NAMES;
      continue;
    }
    const id = knownString(shstrtab + name, shstrend);
    if (id <= 0 || id > KNOWN_SECTIONS) continue;
    if (section(id) !== 0) why = D_SECTIONS;
    else store<i32>(known + ((<usize>id) << 2), i);
    if ((sh_flags(i) & SHF_ALLOC) === 0) why = D_SECTIONS;
  }
  return why;
}

/** Later kernels make a file in /sys/module for each section in memory, and two of one name do not go. */
function sameNames(): i32 {
  newGeneration();
  let strings = 0;
  for (let i = 1; i < shnum; i++) if (sh_type(i) === SHT_SYMTAB) strings = sh_link(i);
  for (let i = 1; i < shnum; i++) {
    // The symbol table goes to memory for kallsyms.
    const isInMemory = (sh_flags(i) & SHF_ALLOC) !== 0 || sh_type(i) === SHT_SYMTAB || i === strings;
    if (!isInMemory || sh_size(i) === 0) continue;
    const id = internString(sh_name(i), shstrend);
    if (id < 0 || hasMet(id)) return D_SECTIONS;
    meet(id);
  }
  return 0;
}

/** Where the name of a section stands. */
function sh_name(i: i32): usize {
  return shstrtab + <usize>load<u32>(header(i), S_NAME);
}

/** Whether a section goes to init memory: its name begins with `.init`. */
export function isInit(i: i32): bool {
  const at = sh_name(i);
  return load<u32>(at) === 0x696e_692e && load<u8>(at, 4) === 0x74;
}

/** Whether a section is read-only once init has run: it has memory of its own. */
export function isSealed(i: i32): bool {
  const id = knownString(sh_name(i), shstrend);
  return id === RO_AFTER_INIT || id === JUMP_TABLE || id === STATIC_CALL_SITES;
}

/** Whether bytes of a section are another's as well. */
export function isShared(i: i32): bool {
  const from = sh_offset(i);
  const to = <u32>from + <u32>sh_size(i);
  for (let k = 1; k < shnum; k++) {
    const at = <u32>sh_offset(k);
    if (at < to && at + <u32>sh_size(k) > <u32>from && sh_type(k) !== SHT_NOBITS && k !== i) return true;
  }
  return false;
}

/** Makes the 64-bit fields of a big-endian symbol table and of relocation sections little-endian, where they lie. */
export function swapTables(): void {
  for (let i = 1; i < shnum; i++) {
    if (i !== symtab && sh_type(i) !== SHT_RELA) continue;
    const to = start(i) + (<usize>sh_size(i) & ~7);
    for (let at = start(i); at < to; at += 8) store<u64>(at, bswap<u64>(load<u64>(at)));
  }
}

/** Sections that are read where the file lies. */
export function staysBehind(i: i32): bool {
  return i === section(MODINFO) || i === section(VERSIONS) || i === section(EXT_CRCS) || i === section(EXT_NAMES);
}
