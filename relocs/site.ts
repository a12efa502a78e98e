/** One relocation at one place. */
import { type ElfFormat, ELF_ST_BIND, ELF_ST_TYPE, signedWord, wrapWord } from './elf.ts';
import type { Entries } from './entries.ts';
import type { Field, Size, WordOrder } from './field.ts';
import type { Howto } from './howto.ts';
import type { ModuleView } from './module-view.ts';
import { crashes, type Errno, Refusal } from './refusal.ts';
import type { Rules } from './rules.ts';
import type { Section } from './section.ts';
import type { Symtab } from './symbols.ts';

/** A relocation section being applied to its target; owner of per-section state. */
export interface Run {
  readonly module: ModuleView;
  readonly rules: Rules;
  /** The SHT_REL or SHT_RELA section. */
  readonly section: Section;
  readonly entries: Entries;
  readonly target: Section;
  readonly symtab: Symtab;
}

/**
 * S, A and P of one relocation, and the bytes at P. One Site serves a whole section: the engine moves it along, so
 * nothing may keep it.
 */
export class Site {
  readonly run: Run;
  readonly module: ModuleView;
  readonly format: ElfFormat;
  /** Number of the entry in its section. */
  index = 0;
  type = 0;
  /** Index of the symbol. */
  sym = 0;
  r_info = 0n;
  r_offset = 0n;
  /** st_value after simplify_symbols, unsigned. */
  S = 0n;
  /** r_addend, or the word in place read by the row's field; signed. */
  A = 0n;
  /** Address being patched, unsigned. */
  P = 0n;
  /** Set while a row applies. */
  row: Howto | undefined;
  private readonly view: DataView;

  constructor(run: Run) {
    this.run = run;
    this.module = run.module;
    this.format = run.module.format;
    const { bytes } = run.target;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves to entry `i`. A stays the explicit addend. */
  moveTo(i: number): void {
    const { entries, rules, symtab, target } = this.run;
    this.index = i;
    this.r_info = entries.r_info(i);
    this.type = rules.info.type(this.r_info, this.format);
    this.sym = rules.info.sym(this.r_info, this.format);
    this.r_offset = entries.r_offset(i);
    this.A = entries.r_addend(i);
    this.P = wrapWord(this.format, target.sh_addr + this.r_offset);
    this.row = undefined;
    this.S = symtab.holds(this.sym) ? symtab.st_value(this.sym) : 0n;
  }

  /** uintptr_t */
  word(v: bigint): bigint {
    return wrapWord(this.format, v);
  }

  /** long */
  long(v: bigint): bigint {
    return signedWord(this.format, v);
  }

  get symbolName(): string {
    return this.run.symtab.holds(this.sym) ? this.run.symtab.name(this.sym) : '';
  }

  get bind(): number {
    return ELF_ST_BIND(this.run.symtab.st_info(this.sym));
  }

  get symbolType(): number {
    return ELF_ST_TYPE(this.run.symtab.st_info(this.sym));
  }

  get st_other(): number {
    return this.run.symtab.st_other(this.sym);
  }

  get st_shndx(): number {
    return this.run.symtab.st_shndx(this.sym);
  }

  /** Reads `size` bytes at P + `delta`, unsigned. */
  read(size: Size, order: WordOrder = 'data', delta = 0): bigint {
    if (order === 'halfwords') return (this.read(2, 'insn', delta) << 16n) | this.read(2, 'insn', delta + 2);
    if (order === 'words') return (this.read(4, 'insn', delta) << 32n) | this.read(4, 'insn', delta + 4);
    const at = this.at(size, delta);
    const little = order === 'insn' ? this.run.rules.insnLittle(this.module) : this.format.little;
    switch (size) {
      case 1:
        return BigInt(this.view.getUint8(at));
      case 2:
        return BigInt(this.view.getUint16(at, little));
      case 3: {
        const [low, high] = little ? [at, at + 2] : [at + 2, at];
        const upper = (this.view.getUint8(high) << 8) | this.view.getUint8(at + 1);
        return BigInt((upper << 8) | this.view.getUint8(low));
      }
      case 4:
        return BigInt(this.view.getUint32(at, little));
      case 8:
        return this.view.getBigUint64(at, little);
      case 16: {
        const [first, second] = [this.view.getBigUint64(at, little), this.view.getBigUint64(at + 8, little)];
        return little ? first | (second << 64n) : (first << 64n) | second;
      }
    }
  }

  /** Writes the low `size` bytes of `word` at P + `delta`. */
  write(size: Size, word: bigint, order: WordOrder = 'data', delta = 0): void {
    if (order === 'halfwords') {
      this.write(2, word >> 16n, 'insn', delta);
      return this.write(2, word, 'insn', delta + 2);
    }
    if (order === 'words') {
      this.write(4, word >> 32n, 'insn', delta);
      return this.write(4, word, 'insn', delta + 4);
    }
    const at = this.at(size, delta);
    const little = order === 'insn' ? this.run.rules.insnLittle(this.module) : this.format.little;
    switch (size) {
      case 1:
        this.view.setUint8(at, Number(BigInt.asUintN(8, word)));
        break;
      case 2:
        this.view.setUint16(at, Number(BigInt.asUintN(16, word)), little);
        break;
      case 3:
        this.view.setUint8(little ? at : at + 2, Number(word & 0xffn));
        this.view.setUint8(at + 1, Number((word >> 8n) & 0xffn));
        this.view.setUint8(little ? at + 2 : at, Number((word >> 16n) & 0xffn));
        break;
      case 4:
        this.view.setUint32(at, Number(BigInt.asUintN(32, word)), little);
        break;
      case 8:
        this.view.setBigUint64(at, BigInt.asUintN(64, word), little);
        break;
      case 16:
        this.view.setBigUint64(little ? at : at + 8, BigInt.asUintN(64, word), little);
        this.view.setBigUint64(little ? at + 8 : at, BigInt.asUintN(64, word >> 64n), little);
        break;
    }
  }

  /** How far from P the word of a field begins: 0, or back to the start of the block. */
  deltaOf(field: Field): number {
    return field.block ? -Number(this.P % BigInt(field.size)) : 0;
  }

  readField(field: Field): bigint {
    return this.read(field.size, field.order, this.deltaOf(field));
  }

  /** Inserts `value` into `field` at P. */
  insert(field: Field, value: bigint): void {
    if (field.mask === 0n) return;
    this.write(field.size, field.insert(this.readField(field), value), field.order, this.deltaOf(field));
  }

  log(line: string): void {
    this.module.log(line);
  }

  /** Logs the kernel's lines and makes its refusal, to be thrown. */
  refusal(errno: Errno, lines: string | readonly string[], reason?: string): Refusal {
    const all = typeof lines === 'string' ? [lines] : lines;
    for (const line of all) this.log(line);
    return new Refusal(errno, reason ?? all[0] ?? `${this.where()} is refused`);
  }

  /** ".text+0x10 (relocation 3 of .rela.text, R_X86_64_PC32 against foo)" */
  where(): string {
    const name = this.row?.name ?? `type ${this.type}`;
    const against = this.symbolName === '' ? `symbol ${this.sym}` : this.symbolName;
    return `${this.run.target.name}+0x${this.r_offset.toString(16)} (relocation ${this.index} of ${this.run.section.name}, ${name} against ${against})`;
  }

  /** The kernel trusts r_offset; where it would write outside of the section, it corrupts memory. */
  private at(size: number, delta: number): number {
    const at = this.r_offset + BigInt(delta);
    if (at < 0n || at + BigInt(size) > BigInt(this.view.byteLength))
      throw crashes(
        'signal 11',
        `${this.where()} lies outside of its section of ${this.view.byteLength} bytes, which it never checks`,
      );
    return Number(at);
  }
}
