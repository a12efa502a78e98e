/**
 * Whether a relocation of a module can fail: every entry of a section in memory, against what its type allows, and the
 * entries of PLT and GOT that they need where the module lies as far from the kernel as it gets.
 */
import { D_RELOC, D_SECTIONS } from '../doubts';
import {
  ADDEND,
  BY_MODULE,
  BY_NEIGHBOURS,
  CALL,
  DIRECT_OR_TABLE,
  DOUBTFUL,
  GOT,
  GOT_AGAIN,
  HIGH,
  IGNORED,
  LOW,
  MOST_CALLS,
  NO_SLOTS,
  P_ADDRESS,
  P_CALL_COUNT,
  P_CALL_SLOTS,
  P_GUARDED,
  P_LOOKS_AT_ALL,
  P_SUMS,
  P_WANTS_ZERO,
  PLAIN,
  R_FROM,
  R_HI,
  R_INSIDE,
  R_LO,
  R_MASK,
  R_RULE,
  R_SIZE,
  R_TO,
  REACH,
  SUM,
  TABLE,
  TARGET,
} from '../proof-table';
import { PLT, RELOCATIONS } from '../records';
import { PARAM, PERCPU, V7_2 } from '../well-known';
import { little, version } from './frame';
import {
  end,
  isInit,
  isSealed,
  isShared,
  section,
  sh_addralign,
  sh_flags,
  sh_info,
  sh_link,
  sh_size,
  sh_type,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  shnum,
  SHT_NOBITS,
  SHT_REL,
  SHT_RELA,
  start,
  staysBehind,
  symtab,
} from './image';
import { addKey, clearKeys, keyCount } from './key-set';
import { alloc, moved } from './memory';
import {
  callOf,
  fact,
  isRewritten,
  needCount,
  needed,
  r_addend,
  r_offset,
  r_sym,
  r_type,
  RELA,
  rewrittenCount,
  row,
  st_bind,
  st_shndx,
  st_value,
  SYM,
} from './proof';
import { hasTexts, isText, noteText } from './read-texts';
import { setHead } from './record';

/** What a symbol's section makes it: far from everything, in the module, in per-CPU memory, the start of nothing. */
const OUTSIDE: u8 = 0,
  OWN: u8 = 1,
  IN_PERCPU: u8 = 2,
  EMPTY: u8 = 3;

/** How far an addend may lead away from an entry of a table. */
const NEAR: i64 = 1 << 16;
const STB_GLOBAL = 1;
/** sizeof(struct kernel_param), and where its permissions are. */
const KERNEL_PARAM = 40,
  KERNEL_PARAM_PERM: usize = 24;

/** By section: one of the above, and when its relocation was looked at. */
let kinds: usize = 0;
let relocated: usize = 0;
let sectionRoom: i32 = 0;
/** The symbol table, and how many symbols it has. */
let symbols: usize = 0;
let symbolCount: u32 = 0;
/** The section at hand. */
let target: i32 = 0;
let isCode: bool = false;
/** The call that count_plts() does not sort. */
let apart: usize = 0;
/** Counts sections; and what it was when the module began. */
let generation: i32 = 0;
let moduleGeneration: i32 = 0;
/** Places of high halves, by halfword, and the low halves that have not met theirs. */
let marks: usize = 0;
let markRoom: i32 = 0;
let pending: usize = 0;
let pendingRoom: i32 = 0;
let waiting: i32 = 0;
/** By symbol and type: in which generation it was called last. */
let called: usize = 0;
let calledRoom: u32 = 0;
/** Of each type of call: how many are called, the first and the last of them. */
let calls: usize = 0;
const CALLS_BITS: usize = 4;
/** Symbols that the last entries of `.plt` and `.init.plt` stand for. */
let lastPlt: i32 = -1;
let lastInitPlt: i32 = -1;
let slots: i32 = 0;
let gotTaken: i32 = 0;

export function attachRelocations(): void {
  calls = alloc((<usize>MOST_CALLS) << CALLS_BITS);
}

/** A number of DOUBTS. Places are marked as they are written where they must hold zeros. */
export function proveRelocations(): i32 {
  for (let n = 0; n < needCount(); n++) if (needed(n) === 0) return D_SECTIONS;
  if (!little && isShared(symtab)) return D_RELOC;
  const callSlots = fact(P_CALL_SLOTS);
  const looksAtAll = fact(P_LOOKS_AT_ALL) !== 0;
  symbols = start(symtab);
  symbolCount = <u32>sh_size(symtab) / <u32>SYM;
  classify();
  if (callSlots !== NO_SLOTS && symbolCount * MOST_CALLS > calledRoom) {
    const larger = symbolCount * MOST_CALLS * 2;
    called = alloc((<usize>larger) << 2);
    calledRoom = larger;
  }
  if (!parametersDiffer()) return D_RELOC;
  slots = gotTaken = 0;
  lastPlt = lastInitPlt = -1;
  clearKeys();
  moduleGeneration = ++generation;
  let total = 0;
  for (let i = 1; i < shnum; i++) {
    const type = sh_type(i);
    if (type !== SHT_RELA && type !== SHT_REL) continue;
    const to = sh_info(i);
    const flags = to >= 0 && to < shnum ? sh_flags(to) : 0;
    // layout_symtab() puts both in memory.
    if (to === symtab || to === sh_link(symtab)) return D_RELOC;
    if ((flags & SHF_ALLOC) === 0) {
      // What sizes PLT and GOT looks at it.
      if (looksAtAll || (callSlots !== NO_SLOTS && (flags & SHF_EXECINSTR) !== 0)) return D_RELOC;
      continue;
    }
    // What rewrite_section_headers() and the per-CPU allocator take out of the image.
    if (staysBehind(to) || isRewritten(to)) return D_RELOC;
    if (to === section(PERCPU)) {
      if (version !== V7_2 && !looksAtAll) continue;
      return D_RELOC;
    }
    if (type === SHT_REL || sh_type(to) === SHT_NOBITS) return D_RELOC;
    // What is sorted, or read the other way round, must be nobody else's.
    if ((callSlots !== NO_SLOTS || !little) && isShared(i)) return D_RELOC;
    const count = sh_size(i) / <i32>RELA;
    // What one section has written another must not.
    const again = relocated + ((<usize>to) << 2);
    if (load<i32>(again) === moduleGeneration) return D_RELOC;
    store<i32>(again, moduleGeneration);
    if (!sectionHolds(start(i), count, to, false)) return D_RELOC;
    total += count;
  }
  // A GOT entry that nobody counted.
  if (keyCount !== gotTaken) return D_RELOC;
  setHead(RELOCATIONS, total);
  setHead(PLT, slots + gotTaken);
  return 0;
}

/** What symbols of each section are. */
function classify(): void {
  if (shnum > sectionRoom) {
    const larger = max(shnum, 128) * 2;
    kinds = alloc(larger);
    relocated = alloc((<usize>larger) << 2);
    sectionRoom = larger;
  }
  store<u8>(kinds, OUTSIDE);
  const percpu = section(PERCPU);
  for (let i = 1; i < shnum; i++) {
    // What is not moved keeps an address of the temporary image, far from everything.
    let kind = OUTSIDE;
    if ((sh_flags(i) & SHF_ALLOC) !== 0 && !staysBehind(i))
      kind = i === percpu ? IN_PERCPU : sh_size(i) === 0 && !hasCompany(i) ? EMPTY : OWN;
    store<u8>(kinds + i, kind);
  }
  for (let n = 0; n < rewrittenCount(); n++) store<u8>(kinds + needed(n), OUTSIDE);
}

/** Whether an empty section lies in memory that there is: that of struct module. */
function hasCompany(i: i32): bool {
  return (sh_flags(i) & SHF_WRITE) !== 0 && !isInit(i) && !isSealed(i);
}

/** All entries of a relocation section. `marking`: they are out of order, so what is written is marked. */
function sectionHolds(from: usize, count: i32, to: i32, marking: bool): bool {
  const wantsZero = fact(P_WANTS_ZERO) !== 0;
  const guarded = fact(P_GUARDED) !== 0;
  const byNeighbours = fact(P_CALL_SLOTS) === BY_NEIGHBOURS;
  const size = <u64>sh_size(to);
  const base = start(to);
  const texts = hasTexts(to);
  const limit = from + <usize>count * RELA;
  target = to;
  isCode = (sh_flags(to) & SHF_EXECINSTR) !== 0;
  generation++;
  waiting = 0;
  apart = byNeighbours && isCode ? leftOut(from, count) : 0;
  memory.fill(calls, 0, (<usize>MOST_CALLS) << CALLS_BITS);
  let written: u64 = 0;
  for (let rel = from; rel < limit; rel += RELA) {
    const howto = row(r_type(rel));
    const rule = howto === 0 ? DOUBTFUL : <i32>load<u8>(howto, R_RULE);
    if (rule === DOUBTFUL || r_sym(rel) >= symbolCount) return false;
    if (rule === IGNORED && !guarded) continue;
    const bytes = <u64>load<u8>(howto, R_SIZE);
    const offset = r_offset(rel);
    if (offset > size || offset + bytes > size) return false;
    if (texts && isText(to, <i32>offset, <i32>bytes)) return false;
    if ((rule !== PLAIN || guarded) && !holds(howto, rule, rel, <i32>offset)) return false;
    if (rule === SUM && count === 1 && fact(P_SUMS) !== 0) return false;
    if (!wantsZero) continue;
    const place = base + <usize>offset;
    if (bytes === 8 ? load<u64>(place) !== 0 : load<u32>(place) !== 0) return false;
    // Whoever writes there as well finds it filled. In order, nobody does.
    if (offset < written && !marking) return sectionHolds(from, count, to, true);
    written = offset + bytes;
    if (!marking) continue;
    if (bytes === 8) store<i64>(place, -1);
    else store<i32>(place, -1);
  }
  if (byNeighbours) neighbours(to);
  for (let k = 0; k < waiting; k++)
    if (load<i32>(marks + ((<usize>load<i32>(pending + ((<usize>k) << 2))) << 2)) !== generation) return false;
  return true;
}

/** Whether one entry cannot be refused. */
function holds(howto: usize, rule: i32, rel: usize, offset: i32): bool {
  const index = r_sym(rel);
  const sym = symbols + <usize>index * SYM;
  const shndx = st_shndx(sym);
  if (st_value(sym) >= <u64>REACH || shndx >= shnum) return false;
  if (rule <= PLAIN || rule === SUM) return true;

  const value = <i64>st_value(sym);
  const addend = r_addend(rel);
  if (<i64>(<i32>addend) !== addend) return false;
  const mask = <i32>load<u8>(howto, R_MASK);
  if (mask !== 0) {
    // Sections are aligned, and so is what others export.
    const to = rule === TABLE ? addend : addend + value;
    if ((<i32>(to - offset) & mask) !== 0 || sh_addralign(target) <= mask) return false;
    if (rule !== TABLE && shndx !== 0 && sh_addralign(shndx) <= mask) return false;
  }
  if (rule === TABLE) return addend > -NEAR && addend < NEAR;
  const kind = load<u8>(kinds + shndx);
  if (shndx !== 0 && kind === OUTSIDE) return false;
  if (rule === ADDEND) return isAllowed(howto, addend);
  if (rule === LOW) return low(shndx, <i32>value);

  // An absent weak symbol is 0, far from everything.
  if (shndx === 0 && st_bind(sym) !== STB_GLOBAL) return false;
  if (kind === EMPTY && rule !== GOT && rule !== GOT_AGAIN) return false;
  const size = <i64>sh_size(shndx);
  const to = value + addend;
  const isSymbol = shndx === 0 || value <= size;
  const slack = <i64>load<i32>(howto, R_INSIDE);
  const isInside = kind === OWN && to >= -slack && to <= size + slack;
  const distance = to - offset;
  const isNear = shndx === target && distance >= load<i64>(howto, R_FROM) && distance <= load<i64>(howto, R_TO);
  switch (rule) {
    case HIGH:
    case TARGET:
      if (rule === HIGH) mark(offset);
      return isNear || (isInside && slack >= 0) || (isSymbol && isAllowed(howto, addend));
    case CALL:
      if (!isCode) return false;
      if (kind === OWN) return shndx === target ? isNear : slack >= 0 && isInside;
      if (shndx !== 0 || addend !== 0) return false;
      if (rel !== apart) call(r_type(rel), index);
      return true;
    case GOT:
      if (!isCode || (shndx === 0 && addend !== 0)) return false;
      if ((addKey(shndx === 0 ? -(<i64>index) : shndx, to, 1) & 1) === 0) gotTaken++;
      return true;
    case GOT_AGAIN:
      if (shndx === 0 && addend !== 0) return false;
      addKey(shndx === 0 ? -(<i64>index) : shndx, to, 2);
      return true;
    case DIRECT_OR_TABLE:
      return shndx === 0 ? addend > -NEAR && addend < NEAR : isInside && slack >= 0;
    default:
      return false;
  }
}

function isAllowed(howto: usize, addend: i64): bool {
  return addend >= load<i64>(howto, R_LO) && addend <= load<i64>(howto, R_HI);
}

function mark(offset: i32): void {
  const at = offset >> 1;
  if (at >= markRoom) {
    const larger = max(markRoom * 2, at + 4096);
    marks = moved(marks, (<usize>markRoom) << 2, (<usize>larger) << 2);
    markRoom = larger;
  }
  if ((offset & 1) === 0) store<i32>(marks + ((<usize>at) << 2), generation);
}

/** The other half may come later. */
function low(shndx: i32, value: i32): bool {
  const at = value >> 1;
  if (shndx !== target || (value & 1) !== 0) return false;
  if (at >= markRoom) mark(value + 1);
  if (load<i32>(marks + ((<usize>at) << 2)) === generation) return true;
  if (waiting === pendingRoom) {
    const larger = max(pendingRoom * 2, 64);
    pending = moved(pending, (<usize>waiting) << 2, (<usize>larger) << 2);
    pendingRoom = larger;
  }
  store<i32>(pending + ((<usize>waiting) << 2), at);
  waiting++;
  return true;
}

/** A call that leaves the module. */
function call(type: u32, sym: u32): void {
  if (fact(P_CALL_SLOTS) === BY_MODULE) {
    const before = called + ((<usize>sym) << 2);
    if (load<i32>(before) <= moduleGeneration) slots++;
    store<i32>(before, generation);
    return;
  }
  const which = callOf(type);
  const before = called + ((<usize>(sym * MOST_CALLS + which)) << 2);
  if (load<i32>(before) === generation) return;
  store<i32>(before, generation);
  const at = calls + ((<usize>which) << CALLS_BITS);
  const count = load<i32>(at);
  if (count === 0 || sym < load<u32>(at, 4)) store<u32>(at, sym, 4);
  if (count === 0 || sym > load<u32>(at, 8)) store<u32>(at, sym, 8);
  store<i32>(at, count + 1);
}

/** Calls are sorted by type and symbol, and an entry is shared with the one made before it. */
function neighbours(to: i32): void {
  let last = isInit(to) ? lastInitPlt : lastPlt;
  for (let n = 0; n < fact(P_CALL_COUNT); n++) {
    const at = calls + ((<usize>n) << CALLS_BITS);
    const count = load<i32>(at);
    if (count === 0) continue;
    slots += count - (last === load<i32>(at, 4) ? 1 : 0);
    last = load<i32>(at, 8);
  }
  if (apart !== 0 && sectionOf(apart) === 0) {
    const sym = <i32>r_sym(apart);
    if (last !== sym) slots++;
    last = sym;
  }
  if (isInit(to)) lastInitPlt = last;
  else lastPlt = last;
}

/**
 * count_plts() moves calls that leave the section to the front and sorts them, but stops before it has looked at the
 * entry where the two ends of its search meet. Where that is such a call: the entry; else 0.
 */
function leftOut(from: usize, count: i32): usize {
  if (count === 0) return 0;
  let front = from;
  let back = from + <usize>(count - 1) * RELA;
  let swapped = false;
  while (front < back) {
    if (leaves(front)) front += RELA;
    else if (!swapped && leaves(back)) {
      front += RELA;
      swapped = true;
    } else {
      back -= RELA;
      swapped = false;
    }
  }
  return !swapped && leaves(back) ? back : 0;
}

function leaves(rel: usize): bool {
  const howto = row(r_type(rel));
  return howto !== 0 && <i32>load<u8>(howto, R_RULE) === CALL && sectionOf(rel) !== target;
}

/** The section of an entry's symbol. */
function sectionOf(rel: usize): i32 {
  return r_sym(rel) < symbolCount ? st_shndx(symbols + <usize>r_sym(rel) * SYM) : -1;
}

/** Names of parameters, which get files in one directory: all of them must be found, and differ. */
function parametersDiffer(): bool {
  const params = section(PARAM);
  if (params === 0 || sh_size(params) < KERNEL_PARAM) return true;
  let tables = 0;
  for (let i = 1; i < shnum; i++) {
    if (sh_type(i) !== SHT_RELA || sh_info(i) !== params) continue;
    if (++tables > 1 || sh_type(params) === SHT_NOBITS || !parameters(i, params)) return false;
  }
  return tables === 1;
}

function parameters(relsec: i32, params: i32): bool {
  const from = start(relsec);
  const limit = from + (<usize>sh_size(relsec) / RELA) * RELA;
  const size = sh_size(params);
  clearKeys();
  let names = 0;
  let files = 0;
  for (let rel = from; rel < limit; rel += RELA) {
    if (r_type(rel) !== <u32>fact(P_ADDRESS) || r_offset(rel) % 8 !== 0 || r_sym(rel) >= symbolCount) return false;
    if (r_offset(rel) % KERNEL_PARAM === KERNEL_PARAM_PERM) return false;
    if (r_offset(rel) % KERNEL_PARAM !== 0) continue;
    if (r_offset(rel) + KERNEL_PARAM > <u64>size || r_offset(rel) > <u64>size) return false;
    const place = <i32>r_offset(rel);
    const sym = symbols + <usize>r_sym(rel) * SYM;
    const shndx = st_shndx(sym);
    if (shndx === 0 || shndx >= shnum || load<u8>(kinds + shndx) !== OWN) return false;
    const text = <i64>st_value(sym) + r_addend(rel);
    if (sh_type(shndx) === SHT_NOBITS || text < 0 || text >= <i64>sh_size(shndx)) return false;
    let hash: i64 = 0;
    const name = start(shndx) + <usize>text;
    let at = name;
    for (; at < end(shndx) && load<u8>(at) !== 0; at++) hash = (hash ^ load<u8>(at)) * 0x100_0000_01b3;
    addKey(place, -1, 1);
    noteText(shndx, <i32>text);
    names++;
    // One without permissions has no file.
    if (load<u16>(start(params) + place + KERNEL_PARAM_PERM) === 0) continue;
    // Two that look the same may be two: insmod knows.
    addKey(hash, <i64>(at - name), 1);
    files++;
  }
  return keyCount === names + files && names === size / KERNEL_PARAM;
}
