/**
 * One module file, read straight from its bytes: what it is, what it imports and exports, and whether its relocation
 * can fail. Everything of load_module() that does not depend on other modules is either proven here to succeed, or the
 * module is doubted, and insmod (loader/) has the word. So a mistake here may cost time, but only in one direction:
 * test/cli/check/proof.test.ts holds that what is proven is taken by insmod.
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
import { beginRecord, head, record, setHead } from './record';
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
  majority,
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
}

/** The record of `module` from a file in memory, which may be spoilt by it. `prove` false: facts only. */
export function scan(module: i32, file: usize, length: i32, prove: bool): void {
  beginRecord(module);
  setHead(DOUBT, read(file, length, prove));
  setRecord(module, record);
}

/** After a trap: what had been found until then, and a doubt. */
export function doubt(module: i32): void {
  if (record === 0 || head(MODULE) !== module) beginRecord(module);
  setHead(DOUBT, D_FULL);
  setRecord(module, record);
}

function read(file: usize, length: i32, prove: bool): i32 {
  let why = openImage(file, length);
  if ((head(FLAGS) & UNREADABLE) !== 0) return why;
  const name = thisModule();
  if (name !== 0) why = name;
  const info = modinfo();
  if (info !== 0) why = info;
  const crcs = versions();
  if (crcs !== 0) why = crcs;
  const names = symbols();
  if (why === 0) why = names;
  const memory = layout();
  if (why === 0) why = memory;
  appendLists();
  if (hasProof() && !little) swapTables();
  const exports = exportTables();
  if (why === 0) why = exports;
  if (!hasProof() && why === 0) why = D_ARCH;
  return why !== 0 || !prove ? why : proveRelocations();
}
