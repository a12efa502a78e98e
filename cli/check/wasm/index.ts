/**
 * One module file, read straight from its bytes: what it is, what it imports and exports, and whether its relocation
 * can fail. Everything of load_module() that does not depend on other modules is either proven here to succeed, or the
 * module is doubted, and insmod (loader/) has the word. A doubt too many costs time; a proof too many is what
 * test/cli/check/proof.test.ts looks for: insmod must take whatever is proven.
 *
 * AssemblyScript: it runs at full speed from the first module on, in as many threads as there are, and its tables lie in
 * memory that they share. JavaScript would spend most of a check on being compiled, once in every thread.
 */
import { D_ARCH, D_FULL } from '../doubts';
import { DOUBT, FLAGS, MODULE, UNREADABLE } from '../records';
import { attachFacts, appendLists, layout, modinfo, symbols, thisModule, versions } from './facts';
import { exportTables } from './export-tables';
import { little } from './frame';
import { attachImage, openImage, swapTables } from './image';
import { attachKeys } from './key-set';
import { attachRecords, setRecord } from './link';
import { HEAP } from './memory';
import { attachNames } from './names';
import { hasProof } from './proof';
import { forgetTexts } from './read-texts';
import { attachRecord, beginRecord, head, record, setHead } from './record';
import { attachRelocations, proveRelocations } from './relocation-proof';

export { aliasCount, isModuleOrAlias, markModules, readAliases } from './aliases';
export { found, foundWords } from './found';
export { frame } from './frame';
export {
  assign,
  createLink,
  enter,
  exportsOf,
  field,
  imports,
  linked,
  linkModules,
  listExport,
  namesDiffer,
  nextLoose,
  nextOther,
  provide,
  provideKernel,
  recordOf,
  rowOf,
  setRecord,
  unlist,
  useCount,
  usesOf,
} from './link';
export { alloc } from './memory';
export { compareNames, createNames, intern, internString, nameAt, nameCount, nameLength, namesFull } from './names';
export { cutTo, extend, record } from './record';
export { symvers } from './symvers';

/** Makes memory usable: the heap begins at `at`. Once, by whoever makes it. */
export function begin(at: u32): void {
  atomic.store<u32>(HEAP, at);
}

/** Each thread: the addresses of what they share, and memory of its own. */
export function attach(names: usize, records: usize, modules: i32): void {
  attachNames(names);
  attachRecords(records, modules);
  attachImage();
  attachFacts();
  attachKeys();
  attachRelocations();
  attachRecord();
}

/** The record of `module` from a file in memory, which may be spoilt by it. `prove` false: facts only. */
export function scan(module: i32, file: usize, length: i32, prove: bool): void {
  beginRecord(module);
  setHead(DOUBT, read(file, length, prove));
  setRecord(module, record);
}

/** What a module says of itself, in its record: its name, vermagic, e_flags and the size of struct module. */
export function peek(module: i32, file: usize, length: i32): void {
  beginRecord(module);
  const why = openImage(file, length);
  if ((head(FLAGS) & UNREADABLE) === 0) setHead(DOUBT, first(first(why, thisModule()), modinfo()));
  setRecord(module, record);
}

/** After a trap: what had been found until then, and a doubt. */
export function doubt(module: i32): void {
  if (record === 0 || head(MODULE) !== module) beginRecord(module);
  setHead(DOUBT, D_FULL);
  setRecord(module, record);
}

/** The first doubt is as good as any. */
function first(before: i32, after: i32): i32 {
  return before !== 0 ? before : after;
}

function read(file: usize, length: i32, prove: bool): i32 {
  let why = openImage(file, length);
  if ((head(FLAGS) & UNREADABLE) !== 0) return why;
  why = first(why, thisModule());
  why = first(why, modinfo());
  why = first(why, versions());
  why = first(why, symbols());
  why = first(why, layout());
  appendLists();
  if (hasProof() && !little) swapTables();
  forgetTexts();
  why = first(why, exportTables());
  if (!hasProof()) why = first(why, D_ARCH);
  return why !== 0 || !prove ? why : proveRelocations();
}
