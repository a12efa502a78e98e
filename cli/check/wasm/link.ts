/**
 * The tree as a whole, by numbers: who exports what, whether each import is met by an export that check_version(), the
 * namespace and the licence let through, who depends on whom.
 */
import {
  CLASH_WORDS,
  E_BITS,
  E_CRC,
  E_LISTED,
  E_LISTED_CRC,
  E_LISTED_NAMESPACE,
  E_NAMESPACE,
  E_OWNER,
  E_PROVIDER,
  EXPORT_ROW_BITS,
  KERNEL,
  LISTED_CRC,
  LISTED_GPL,
  MODULE_0,
  NOBODY,
} from '../export-rows';
import {
  DOUBT,
  EXPORT_WORDS,
  EXPORTS,
  FLAGS,
  GPL_ONLY,
  HAS_CRC,
  HEAD,
  IMPORT_WORDS,
  IMPORTS,
  NAME,
  NAMESPACES,
  PROPRIETARY,
  SOFTDEPS,
  UNREADABLE,
  WEAK,
} from '../records';
import { find, findNothing } from './found';
import { hasMet, meet, newGeneration } from './image';
import { alloc, moved } from './memory';
import { nameCount, nameRoom } from './names';

/** A row for each name: who exports it, and what Module.symvers lists. */
let rows: usize = 0;
/** Addresses of the modules' records; 0 for one that no thread has told of. */
let records: usize = 0;
let modules: i32 = 0;
/** By module: the last one that was found to use it. */
let stamps: usize = 0;
let stamp: i32 = 0;
/** Who uses whom: where each module's part begins, and numbers of modules. */
let firstUse: usize = 0;
let uses: usize = 0;
let useRoom: usize = 0;
let modversions: bool = true;

export function attachRecords(at: usize, count: i32): void {
  records = at;
  modules = count;
}

export function setRecord(module: i32, at: usize): void {
  store<u32>(records + ((<usize>module) << 2), <u32>at);
}

export function recordOf(module: i32): usize {
  return load<u32>(records + ((<usize>module) << 2));
}

/** Begins a link; records may come later. */
export function createLink(versions: bool): void {
  rows = alloc((<usize>nameRoom()) << EXPORT_ROW_BITS);
  stamps = alloc((<usize>modules) << 2);
  modversions = versions;
}

export function rowOf(id: i32): usize {
  return rows + ((<usize>id) << EXPORT_ROW_BITS);
}

/** A word of a module's record; 0 for one that there is none of. */
export function field(module: i32, word: i32): i32 {
  const record = recordOf(module);
  return record === 0 ? 0 : load<i32>(record + ((<usize>word) << 2));
}

function has(module: i32): bool {
  return recordOf(module) !== 0 && (field(module, FLAGS) & UNREADABLE) === 0;
}

/** What a line of Module.symvers says; of two the kernel's own counts, else the last. `owner` 0: the kernel. */
export function listExport(id: i32, bits: i32, crc: i32, namespace: i32, owner: i32): void {
  const row = rowOf(id);
  if (load<i32>(row, E_LISTED) !== 0 && load<i32>(row, E_OWNER) === 0) return;
  store<i32>(row, bits, E_LISTED);
  store<i32>(row, crc, E_LISTED_CRC);
  store<i32>(row, namespace, E_LISTED_NAMESPACE);
  store<i32>(row, owner, E_OWNER);
}

/** Forgets flags of all that is listed. */
export function unlist(bits: i32): void {
  const count = nameCount();
  for (let id = 0; id < count; id++) store<i32>(rowOf(id), load<i32>(rowOf(id), E_LISTED) & ~bits, E_LISTED);
}

/** Enters the kernel's exports, and nobody else's. */
export function provideKernel(): void {
  findNothing();
  const count = nameCount();
  for (let id = 0; id < count; id++) {
    const row = rowOf(id);
    const bits = load<i32>(row, E_LISTED);
    const isKernels = bits !== 0 && load<i32>(row, E_OWNER) === 0;
    store<i32>(row, isKernels ? KERNEL : NOBODY, E_PROVIDER);
    if (!isKernels) continue;
    store<i32>(row, load<i32>(row, E_LISTED_CRC), E_CRC);
    store<i32>(row, ((bits & LISTED_GPL) === 0 ? 0 : GPL_ONLY) | ((bits & LISTED_CRC) === 0 ? 0 : HAS_CRC), E_BITS);
    store<i32>(row, load<i32>(row, E_LISTED_NAMESPACE), E_NAMESPACE);
  }
}

/** Enters a module's exports. False where its tables are not known: it may export what Module.symvers lists. */
export function provide(module: i32): bool {
  const record = recordOf(module);
  if (record === 0) return false;
  const count = field(module, EXPORTS);
  if (count === 0) return field(module, DOUBT) === 0;
  let at = exportsOf(module);
  for (let i = 0; i < count; i++, at += EXPORT_WORDS << 2)
    if (load<i32>(at) > 0) enter(module, load<i32>(at), load<i32>(at, 4), load<i32>(at, 8), load<i32>(at, 12));
  return true;
}

/** One export; what somebody else exports already is noted as a clash. */
export function enter(module: i32, id: i32, bits: i32, crc: i32, namespace: i32): void {
  const before = load<i32>(rowOf(id), E_PROVIDER);
  if (before === module + MODULE_0) return;
  if (before === NOBODY) return assign(module, id, bits, crc, namespace);
  const at = find(CLASH_WORDS);
  store<i32>(at, module);
  store<i32>(at, id, 4);
  store<i32>(at, bits, 8);
  store<i32>(at, crc, 12);
  store<i32>(at, namespace, 16);
}

export function assign(module: i32, id: i32, bits: i32, crc: i32, namespace: i32): void {
  const row = rowOf(id);
  store<i32>(row, module + MODULE_0, E_PROVIDER);
  store<i32>(row, crc, E_CRC);
  store<i32>(row, bits, E_BITS);
  store<i32>(row, namespace, E_NAMESPACE);
}

function importsOf(module: i32): usize {
  return recordOf(module) + (HEAD << 2);
}
function listsOf(module: i32): usize {
  return importsOf(module) + <usize>field(module, IMPORTS) * (IMPORT_WORDS << 2);
}
/** Where the exports of a module begin. */
export function exportsOf(module: i32): usize {
  return listsOf(module) + ((<usize>(field(module, NAMESPACES) + field(module, SOFTDEPS))) << 2);
}

/** Whether a module could be read, is proven, and each of its imports is met; 2 where only namespaces are open. */
export function linked(module: i32): i32 {
  if (!has(module) || field(module, DOUBT) !== 0) return 0;
  const proprietary = (field(module, FLAGS) & PROPRIETARY) !== 0;
  const to = listsOf(module);
  let open = false;
  for (let at = importsOf(module); at < to; at += IMPORT_WORDS << 2) {
    const row = rowOf(load<i32>(at));
    const who = load<i32>(row, E_PROVIDER);
    const bits = load<i32>(at, 4);
    if (who === NOBODY) {
      if ((bits & WEAK) === 0) return 0;
      continue;
    }
    if (proprietary || (who !== KERNEL && (field(who - MODULE_0, FLAGS) & PROPRIETARY) !== 0)) return 0;
    if (modversions && (load<i32>(row, E_BITS) & HAS_CRC) !== 0) {
      if ((bits & HAS_CRC) === 0 || load<i32>(at, 8) !== load<i32>(row, E_CRC)) return 0;
    }
    const namespace = load<i32>(row, E_NAMESPACE);
    if (namespace !== 0 && !imports(module, namespace)) open = true;
  }
  return open ? 2 : 1;
}

/** Whether a module imports a namespace. */
export function imports(module: i32, namespace: i32): bool {
  const from = listsOf(module);
  for (let n = 0; n < field(module, NAMESPACES); n++)
    if (load<i32>(from + ((<usize>n) << 2)) === namespace) return true;
  return false;
}

/** The first module from `module` on of which linked() does not say 1; -1 where it does of all. */
export function nextLoose(module: i32): i32 {
  for (; module < modules; module++) if (linked(module) !== 1) return module;
  return -1;
}

/** Whether all modules that could be read have names, and different ones. */
export function namesDiffer(): bool {
  newGeneration();
  for (let module = 0; module < modules; module++) {
    if (!has(module)) continue;
    const name = field(module, NAME);
    if (name === 0 || hasMet(name)) return false;
    meet(name);
  }
  return true;
}

/** Notes who uses whom, as it is now, each in the order in which its symbols first name them; says whether there is no circle. */
export function linkModules(): bool {
  if (firstUse === 0) firstUse = alloc((<usize>(modules + 1)) << 2);
  let count: usize = 0;
  for (let module = 0; module < modules; module++) {
    store<u32>(firstUse + ((<usize>module) << 2), <u32>count);
    count = noteUses(module, count);
  }
  store<u32>(firstUse + ((<usize>modules) << 2), <u32>count);
  return isAcyclic();
}

function noteUses(module: i32, count: usize): usize {
  if (recordOf(module) === 0) return count;
  stamp++;
  const to = listsOf(module);
  for (let at = importsOf(module); at < to; at += IMPORT_WORDS << 2) {
    const who = load<i32>(rowOf(load<i32>(at)), E_PROVIDER) - MODULE_0;
    if (who < 0 || who === module) continue;
    const last = stamps + ((<usize>who) << 2);
    if (load<i32>(last) === stamp) continue;
    store<i32>(last, stamp);
    if (count === useRoom) {
      const larger = max<usize>(useRoom * 2, 1 << 14);
      uses = moved(uses, count << 2, larger << 2);
      useRoom = larger;
    }
    store<i32>(uses + (count << 2), who);
    count++;
  }
  return count;
}

/** Where the uses of a module are noted, and how many there are. */
export function usesOf(module: i32): usize {
  return uses + ((<usize>load<u32>(firstUse + ((<usize>module) << 2))) << 2);
}
export function useCount(module: i32): i32 {
  return <i32>((usesOf(module + 1) - usesOf(module)) >> 2);
}

/** Takes modules away that nobody uses, until none is left. */
function isAcyclic(): bool {
  const users = alloc((<usize>modules) << 2);
  const free = alloc((<usize>modules) << 2);
  for (let at = usesOf(0); at < usesOf(modules); at += 4) {
    const user = users + ((<usize>load<i32>(at)) << 2);
    store<i32>(user, load<i32>(user) + 1);
  }
  let taken = 0;
  let known = 0;
  for (let module = 0; module < modules; module++)
    if (load<i32>(users + ((<usize>module) << 2)) === 0) {
      store<i32>(free + ((<usize>known) << 2), module);
      known++;
    }
  for (; taken < known; taken++) {
    const module = load<i32>(free + ((<usize>taken) << 2));
    for (let at = usesOf(module); at < usesOf(module + 1); at += 4) {
      const other = load<i32>(at);
      const user = users + ((<usize>other) << 2);
      store<i32>(user, load<i32>(user) - 1);
      if (load<i32>(user) !== 0) continue;
      store<i32>(free + ((<usize>known) << 2), other);
      known++;
    }
  }
  return taken === modules;
}

/** The first module from `module` on that could be read and has something else in a word; -1 where none has. */
export function nextOther(word: i32, value: i32, module: i32): i32 {
  for (; module < modules; module++) if (has(module) && field(module, word) !== value) return module;
  return -1;
}
