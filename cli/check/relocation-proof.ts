/**
 * Whether a relocation of a module can fail: every entry of a section in memory, against what its type allows, and the
 * entries of PLT and GOT that they need where the module lies as far from the kernel as it gets.
 */
import { D_RELOC, D_SECTIONS } from './doubts.ts';
import {
  type Image,
  PARAM,
  PERCPU,
  S_ALIGN,
  S_FLAGS,
  S_INFO,
  S_OFFSET,
  S_SIZE,
  S_TYPE,
  S_WORDS,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_REL,
  SHT_RELA,
} from './image.ts';
import { KeySet } from './key-set.ts';
import {
  ADDEND,
  CALL,
  DIRECT_OR_TABLE,
  DOUBTFUL,
  GOT,
  GOT_AGAIN,
  HIGH,
  IGNORED,
  LOW,
  PLAIN,
  type ProofTable,
  REACH,
  SUM,
  TABLE,
  TARGET,
} from './proof-table.ts';
import { PLT, RELOCATIONS, type Words } from './records.ts';

/** What a symbol's section makes it: far from everything, in the module, in per-CPU memory, the start of nothing. */
const OUTSIDE = 0,
  OWN = 1,
  IN_PERCPU = 2,
  EMPTY = 3;

/** How far an addend may lead away from an entry of a table. */
const NEAR = 1 << 16;
const STB_GLOBAL = 1;
/** sizeof(struct kernel_param), and where its permissions are. */
const KERNEL_PARAM = 40,
  KERNEL_PARAM_PERM = 24;

export class RelocationProof {
  private readonly image: Image;
  private readonly out: Words;
  private proof!: ProofTable;
  private words: Int32Array = new Int32Array(0);
  private symtab = 0;
  /** By section: when its relocation was looked at. */
  private relocated: Int32Array = new Int32Array(128);
  /** By section: one of the above. */
  private kinds: Uint8Array = new Uint8Array(128);
  /** The section at hand. */
  private target = 0;
  private isText = false;
  /** The call that count_plts() does not sort. */
  private apart = -1;
  /** Counts sections; and what it was when the module began. */
  private generation = 0;
  private moduleGeneration = 0;
  /** Places of high halves, by halfword, and the low halves that have not met theirs. */
  private marks: Int32Array = new Int32Array(1 << 12);
  private pending: Int32Array = new Int32Array(64);
  private waiting = 0;
  /** By symbol, or by symbol and type: in which generation it was called last. */
  private called: Int32Array = new Int32Array(1 << 12);
  /** Of each type of call: how many are called, the first and the last of them. */
  private readonly calls: Int32Array = new Int32Array(3 * 4);
  /** Symbols that the last entries of `.plt` and `.init.plt` stand for. */
  private readonly last: Int32Array = new Int32Array(2);
  private slots = 0;
  private readonly got: KeySet = new KeySet();
  private gotTaken = 0;
  private readonly hashes: KeySet = new KeySet();

  constructor(image: Image, out: Words) {
    this.image = image;
    this.out = out;
  }

  /** A number of DOUBTS. Places are marked as they are written where they must hold zeros. */
  prove(proof: ProofTable): number {
    const { image } = this;
    const { sections: s, known, words } = image;
    if (words.length === 0) return D_RELOC;
    for (const section of proof.needs) if (known[section] === 0) return D_SECTIONS;
    if (!image.frame.little && image.isShared(image.symtab)) return D_RELOC;
    this.proof = proof;
    this.words = words;
    this.symtab = s[image.symtab * S_WORDS + S_OFFSET]! >> 2;
    const symbols = Math.floor(s[image.symtab * S_WORDS + S_SIZE]! / 24);
    this.classify();
    if (proof.callSlots !== 'none' && symbols * 2 > this.called.length) this.called = new Int32Array(symbols * 4);
    this.slots = this.gotTaken = 0;
    this.last.fill(-1);
    this.got.clear();
    this.moduleGeneration = ++this.generation;
    let total = 0;
    let named = 0;
    for (let i = 1; i < image.count; i++) {
      const r = i * S_WORDS;
      const type = s[r + S_TYPE]!;
      if (type !== SHT_RELA && type !== SHT_REL) continue;
      const target = s[r + S_INFO]!;
      const isSection = target >= 0 && target < image.count;
      const flags = isSection ? s[target * S_WORDS + S_FLAGS]! : 0;
      if ((flags & SHF_ALLOC) === 0) {
        // What sizes PLT and GOT looks at it.
        if (proof.looksAtAll || (proof.callSlots !== 'none' && (flags & SHF_EXECINSTR) !== 0)) return D_RELOC;
        continue;
      }
      // What rewrite_section_headers() and the per-CPU allocator take out of the image.
      if (image.staysBehind(target) || proof.needs.some((section) => known[section] === target)) return D_RELOC;
      if (target === known[PERCPU]) {
        if (image.frame.version !== '7.2' && !proof.looksAtAll) continue;
        return D_RELOC;
      }
      if (type === SHT_REL || s[r + S_OFFSET]! % 4 !== 0 || s[target * S_WORDS + S_TYPE] === SHT_NOBITS) return D_RELOC;
      // What is sorted, or read the other way round, must be nobody else's.
      if ((proof.callSlots !== 'none' || !image.frame.little) && image.isShared(i)) return D_RELOC;
      if (target === known[PARAM] && !this.parameters(r, symbols)) return D_RELOC;
      if (target === known[PARAM]) named++;
      const count = Math.floor(s[r + S_SIZE]! / 24);
      // What one section has written another must not.
      const isAgain = this.relocated[target] === this.moduleGeneration;
      this.relocated[target] = this.moduleGeneration;
      if (isAgain || !this.section(s[r + S_OFFSET]! >> 2, count, target, symbols, false)) return D_RELOC;
      total += count;
    }
    const params = known[PARAM]! * S_WORDS;
    if (params !== 0 && s[params + S_SIZE]! >= KERNEL_PARAM && named !== 1) return D_RELOC;
    // A GOT entry that nobody counted.
    if (this.got.size !== this.gotTaken) return D_RELOC;
    this.out.set(RELOCATIONS, total);
    this.out.set(PLT, this.slots + this.gotTaken);
    return 0;
  }

  /** What symbols of each section are. */
  private classify(): void {
    const { image } = this;
    const { sections: s, known } = image;
    if (image.count > this.kinds.length) {
      this.kinds = new Uint8Array(image.count * 2);
      this.relocated = new Int32Array(image.count * 2);
    }
    this.kinds[0] = OUTSIDE;
    for (let i = 1; i < image.count; i++) {
      const p = i * S_WORDS;
      // What is not moved keeps an address of the temporary image, far from everything.
      if ((s[p + S_FLAGS]! & SHF_ALLOC) === 0 || image.staysBehind(i)) this.kinds[i] = OUTSIDE;
      else if (i === known[PERCPU]) this.kinds[i] = IN_PERCPU;
      else this.kinds[i] = s[p + S_SIZE] === 0 && !this.hasCompany(i) ? EMPTY : OWN;
    }
    for (const section of this.proof.needs) this.kinds[known[section]!] = OUTSIDE;
  }

  /** Whether an empty section lies in memory that there is: that of struct module. */
  private hasCompany(i: number): boolean {
    const { image } = this;
    return (image.sections[i * S_WORDS + S_FLAGS]! & SHF_WRITE) !== 0 && !image.isInit(i) && !image.isSealed(i);
  }

  private section(from: number, count: number, target: number, symbols: number, marking: boolean): boolean {
    const { image, proof, words } = this;
    const { sections: s, v } = image;
    const { rule: rules, size: sizes, wantsZero, guarded } = proof;
    const types = rules.length;
    const t = target * S_WORDS;
    const length = s[t + S_SIZE]!;
    const base = s[t + S_OFFSET]!;
    const end = from + count * 6;
    this.target = target;
    this.isText = (s[t + S_FLAGS]! & SHF_EXECINSTR) !== 0;
    this.generation++;
    this.waiting = 0;
    let written = 0;
    const apart = proof.callSlots === 'neighbours' && this.isText ? this.leftOut(from, count) : -1;
    this.calls.fill(0);
    this.apart = apart;
    for (let at = from; at < end; at += 6) {
      const type = words[at + 2]! >>> 0;
      const rule = type < types ? rules[type]! : DOUBTFUL;
      const sym = words[at + 3]! >>> 0;
      if (rule === DOUBTFUL || sym >= symbols) return false;
      if (rule === IGNORED && !guarded) continue;
      const bytes = sizes[type]!;
      const offset = words[at]!;
      if (words[at + 1] !== 0 || offset < 0 || offset + bytes > length) return false;
      if ((rule !== PLAIN || guarded) && !this.holds(rule, type, at, sym, offset)) return false;
      if (rule === SUM && proof.sums && count === 1) return false;
      if (!wantsZero) continue;
      const place = base + offset;
      if (v.getInt32(place, true) !== 0 || (bytes === 8 && v.getInt32(place + 4, true) !== 0)) return false;
      // Whoever writes there as well finds it filled. In order, nobody does.
      if (offset < written && !marking) return this.section(from, count, target, symbols, true);
      written = offset + bytes;
      if (!marking) continue;
      v.setInt32(place, -1, true);
      if (bytes === 8) v.setInt32(place + 4, -1, true);
    }
    if (proof.callSlots === 'neighbours') this.neighbours(target, apart);
    for (let k = 0; k < this.waiting; k++) if (this.marks[this.pending[k]!] !== this.generation) return false;
    return true;
  }

  /** Whether one entry cannot be refused. */
  private holds(rule: number, type: number, at: number, sym: number, offset: number): boolean {
    const { words, proof, image } = this;
    const q = this.symtab + sym * 6;
    const isLittle = image.frame.little;
    const shndx = isLittle ? words[q + 1]! >>> 16 : words[q]! & 0xffff;
    const value = words[q + 2]!;
    if (words[q + 3] !== 0 || value >>> 0 >= REACH || shndx >= image.count) return false;
    if (rule <= PLAIN || rule === SUM) return true;

    const addend = words[at + 4]!;
    if (words[at + 5] !== addend >> 31) return false;
    const mask = proof.mask[type]!;
    if (mask !== 0) {
      // Sections are aligned, and so is what others export.
      const { sections: s } = image;
      const to = rule === TABLE ? addend : addend + value;
      if (((to - offset) & mask) !== 0 || s[this.target * S_WORDS + S_ALIGN]! <= mask) return false;
      if (rule !== TABLE && shndx !== 0 && s[shndx * S_WORDS + S_ALIGN]! <= mask) return false;
    }
    if (rule === TABLE) return addend > -NEAR && addend < NEAR;
    const kind = this.kinds[shndx]!;
    if (shndx !== 0 && kind === OUTSIDE) return false;
    if (rule === ADDEND) return addend >= proof.lo[type]! && addend <= proof.hi[type]!;
    if (rule === LOW) return this.low(shndx, value);

    // An absent weak symbol is 0, far from everything.
    const bind = (isLittle ? words[q + 1]! & 0xff : words[q]! >>> 24) >> 4;
    if (shndx === 0 && bind !== STB_GLOBAL) return false;
    if (kind === EMPTY && rule !== GOT && rule !== GOT_AGAIN) return false;
    const { sections: s } = image;
    const isOwn = kind === OWN;
    const to = value + addend;
    const isSymbol = shndx === 0 || value <= s[shndx * S_WORDS + S_SIZE]!;
    const slack = proof.inside[type]!;
    const isInside = isOwn && to >= -slack && to <= s[shndx * S_WORDS + S_SIZE]! + slack;
    const distance = to - offset;
    const isNear = shndx === this.target && distance >= proof.from[type]! && distance <= proof.to[type]!;
    switch (rule) {
      case HIGH:
        this.mark(offset);
        return isNear || (isInside && slack >= 0) || (isSymbol && this.reaches(type, addend));
      case TARGET:
        return isNear || (isInside && slack >= 0) || (isSymbol && this.reaches(type, addend));
      case CALL:
        if (!this.isText) return false;
        if (isOwn) return shndx === this.target ? isNear : slack >= 0 && isInside;
        if (shndx !== 0 || addend !== 0) return false;
        if (at !== this.apart) this.call(type, sym);
        return true;
      case GOT:
        if (!this.isText || (shndx === 0 && addend !== 0)) return false;
        if ((this.got.add(shndx === 0 ? -sym : shndx, to, 1) & 1) === 0) this.gotTaken++;
        return true;
      case GOT_AGAIN:
        if (shndx === 0 && addend !== 0) return false;
        this.got.add(shndx === 0 ? -sym : shndx, to, 2);
        return true;
      case DIRECT_OR_TABLE:
        return shndx === 0 ? addend > -NEAR && addend < NEAR : isInside && slack >= 0;
      default:
        return false;
    }
  }

  private reaches(type: number, addend: number): boolean {
    return addend >= this.proof.lo[type]! && addend <= this.proof.hi[type]!;
  }

  private mark(offset: number): void {
    const at = offset >> 1;
    if (at >= this.marks.length) {
      const larger = new Int32Array(Math.max(this.marks.length * 2, at + 1));
      larger.set(this.marks);
      this.marks = larger;
    }
    if ((offset & 1) === 0) this.marks[at] = this.generation;
  }

  /** The other half may come later. */
  private low(shndx: number, value: number): boolean {
    const at = value >> 1;
    if (shndx !== this.target || (value & 1) !== 0) return false;
    if (this.marks[at] === this.generation) return true;
    if (this.waiting === this.pending.length) {
      const larger = new Int32Array(this.waiting * 2);
      larger.set(this.pending);
      this.pending = larger;
    }
    this.pending[this.waiting++] = at;
    return true;
  }

  /** A call that leaves the module. */
  private call(type: number, sym: number): void {
    const { proof, called, calls } = this;
    if (proof.callSlots === 'module') {
      if (called[sym]! <= this.moduleGeneration) this.slots++;
      called[sym] = this.generation;
      return;
    }
    const which = proof.calls.indexOf(type);
    if (called[sym * 2 + which] === this.generation) return;
    called[sym * 2 + which] = this.generation;
    const at = which * 3;
    if (calls[at] === 0 || sym < calls[at + 1]!) calls[at + 1] = sym;
    if (calls[at] === 0 || sym > calls[at + 2]!) calls[at + 2] = sym;
    calls[at]!++;
  }

  /** Calls are sorted by type and symbol, and an entry is shared with the one made before it. */
  private neighbours(target: number, apart: number): void {
    const { calls, last, words } = this;
    const table = this.image.isInit(target) ? 1 : 0;
    for (let at = 0; at < this.proof.calls.length * 3; at += 3) {
      if (calls[at] === 0) continue;
      this.slots += calls[at]! - (last[table] === calls[at + 1] ? 1 : 0);
      last[table] = calls[at + 2]!;
    }
    if (apart < 0 || this.sectionOf(words[apart + 3]! >>> 0) !== 0) return;
    if (last[table] !== words[apart + 3]) this.slots++;
    last[table] = words[apart + 3]!;
  }

  /**
   * count_plts() moves calls that leave the section to the front and sorts them, but stops before it has looked at the
   * entry where the two ends of its search meet. Where that is such a call: its words; else -1.
   */
  private leftOut(from: number, count: number): number {
    if (count === 0) return -1;
    let [front, back] = [0, count - 1];
    let swapped = false;
    while (front < back) {
      if (this.leaves(from + front * 6)) front++;
      else if (!swapped && this.leaves(from + back * 6)) {
        front++;
        swapped = true;
      } else {
        back--;
        swapped = false;
      }
    }
    return !swapped && this.leaves(from + back * 6) ? from + back * 6 : -1;
  }

  private leaves(at: number): boolean {
    const { words, proof } = this;
    return proof.rule[words[at + 2]!] === CALL && this.sectionOf(words[at + 3]! >>> 0) !== this.target;
  }

  private sectionOf(sym: number): number {
    const q = this.symtab + sym * 6;
    return this.image.frame.little ? this.words[q + 1]! >>> 16 : this.words[q]! & 0xffff;
  }

  /** Names of parameters, which get files in one directory: all of them must be found, and differ. */
  private parameters(r: number, symbols: number): boolean {
    const { image, words, proof, hashes } = this;
    const { sections: s, b, v } = image;
    const from = s[r + S_OFFSET]! >> 2;
    const end = from + Math.floor(s[r + S_SIZE]! / 24) * 6;
    const t = s[s[r + S_INFO]! * S_WORDS + S_OFFSET]!;
    const size = s[s[r + S_INFO]! * S_WORDS + S_SIZE]!;
    hashes.clear();
    let names = 0;
    let files = 0;
    for (let at = from; at < end; at += 6) {
      const sym = words[at + 3]! >>> 0;
      const place = words[at]!;
      if (words[at + 2] !== proof.address || sym >= symbols || place % 8 !== 0) return false;
      if (place % KERNEL_PARAM !== 0) continue;
      if (place < 0 || place + KERNEL_PARAM > size) return false;
      const q = this.symtab + sym * 6;
      const shndx = this.sectionOf(sym);
      if (shndx === 0 || shndx >= image.count || this.kinds[shndx] !== OWN) return false;
      const p = shndx * S_WORDS;
      const text = words[q + 2]! + words[at + 4]!;
      const limit = s[p + S_SIZE]!;
      if (s[p + S_TYPE] === SHT_NOBITS || text < 0 || text >= limit) return false;
      let hash = 0;
      let length = 0;
      for (let k = s[p + S_OFFSET]! + text; length < limit - text && b[k] !== 0; k++, length++)
        hash = Math.imul(hash ^ b[k]!, 0x0100_0193);
      hashes.add(place, -1, 1);
      names++;
      // One without permissions has no file.
      if (v.getUint16(t + place + KERNEL_PARAM_PERM) === 0) continue;
      // Two that look the same may be two: insmod knows.
      hashes.add(hash, length, 1);
      files++;
    }
    return hashes.size === names + files && names === Math.floor(size / KERNEL_PARAM);
  }
}
