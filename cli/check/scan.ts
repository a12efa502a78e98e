/**
 * One module file, read straight from its bytes: what it is, what it imports and exports, and whether its relocation
 * can fail. Everything of load_module() that does not depend on other modules is either proven here to succeed, or the
 * module is doubted, and insmod (loader/) has the word. So a mistake here may cost time, but only in one direction:
 * test/cli/check/proof.test.ts holds that what is proven is taken by insmod.
 *
 * Nothing is allocated per symbol, per relocation or per section.
 */
import { D_ARCH, D_FULL } from './doubts.ts';
import { ExportTables } from './export-tables.ts';
import { Facts } from './facts.ts';
import { type Frame, Image } from './image.ts';
import type { Names } from './names.ts';
import { DOUBT, FLAGS, UNREADABLE, type Words } from './records.ts';
import { RelocationProof } from './relocation-proof.ts';

export type { Frame };

/** Reads module after module. What it is given must stay as it is until the call has returned; it is spoilt by then. */
export class Scanner {
  private readonly frame: Frame;
  private readonly out: Words;
  private readonly image: Image;
  private readonly facts: Facts;
  private readonly exports: ExportTables;
  private readonly relocations: RelocationProof;

  constructor(frame: Frame, names: Names, out: Words) {
    this.frame = frame;
    this.out = out;
    this.image = new Image(frame, names, out);
    this.facts = new Facts(this.image, names, out);
    this.exports = new ExportTables(this.image, names, out);
    this.relocations = new RelocationProof(this.image, out);
  }

  /** Appends the record of `module` to the stream and gives its start. `prove` false: facts only. */
  scan(module: number, file: Uint8Array, prove: boolean): number {
    const { out } = this;
    const at = out.begin(module);
    let why: number;
    try {
      why = this.read(file, prove);
    } catch (error) {
      if (!(error instanceof RangeError) && (error as Error).name !== 'NamesFull') throw error;
      why = D_FULL;
    }
    out.set(DOUBT, why);
    out.end();
    return at;
  }

  private read(file: Uint8Array, prove: boolean): number {
    const { frame, image, facts, out } = this;
    let why = image.open(file);
    if (out.head(FLAGS) & UNREADABLE) return why;
    why = facts.thisModule() || why;
    why = facts.modinfo() || why;
    why = facts.versions() || why;
    const doubted = facts.symbols();
    why ||= doubted;
    const layout = facts.layout();
    why ||= layout;
    facts.tail();
    if (frame.proof !== undefined && !frame.little) image.swap();
    const exports = this.exports.read();
    why ||= exports;
    if (frame.proof === undefined) why ||= D_ARCH;
    if (why !== 0 || !prove) return why;
    return this.relocations.prove(frame.proof!);
  }
}
