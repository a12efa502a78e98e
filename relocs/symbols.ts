import { type ElfFormat, sizeofSym } from './elf.ts';

/**
 * The module's symbol table, read and changed where it lies in the temporary image.
 *
 * `simplify_symbols()` and the frob hooks write st_value, st_info and st_shndx in place, so nothing is copied out:
 * a table of 30,000 symbols costs no objects.
 */
export class Symtab {
  readonly count: number;
  readonly format: ElfFormat;
  private readonly view: DataView;
  private readonly length: number;
  private readonly size: number;
  private readonly little: boolean;
  private readonly is64: boolean;
  private readonly strtab: Uint8Array;

  constructor(format: ElfFormat, symtab: Uint8Array, strtab: Uint8Array) {
    this.format = format;
    this.is64 = format.is64;
    this.little = format.little;
    this.size = sizeofSym(format);
    this.count = Math.floor(symtab.length / this.size);
    this.length = symtab.byteLength;
    this.view = new DataView(symtab.buffer, symtab.byteOffset);
    this.strtab = strtab;
  }

  /** Bytes the table stands on. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset, this.length);
  }

  /** Whether there is memory for a symbol of that number: what lies behind the table is read as symbols as well. */
  holds(i: number): boolean {
    return (i + 1) * this.size <= this.view.byteLength;
  }

  /** Whether the file goes on to where the name of a symbol should be. */
  holdsName(i: number): boolean {
    return this.st_name(i) < this.strtab.length;
  }

  st_name(i: number): number {
    return this.view.getUint32(i * this.size, this.little);
  }

  setName(i: number, st_name: number): void {
    this.view.setUint32(i * this.size, st_name, this.little);
  }

  st_value(i: number): bigint {
    return this.is64
      ? this.view.getBigUint64(i * 24 + 8, this.little)
      : BigInt(this.view.getUint32(i * 16 + 4, this.little));
  }

  setValue(i: number, value: bigint): void {
    if (this.is64) this.view.setBigUint64(i * 24 + 8, value, this.little);
    else this.view.setUint32(i * 16 + 4, Number(BigInt.asUintN(32, value)), this.little);
  }

  st_size(i: number): bigint {
    return this.is64
      ? this.view.getBigUint64(i * 24 + 16, this.little)
      : BigInt(this.view.getUint32(i * 16 + 8, this.little));
  }

  st_info(i: number): number {
    return this.view.getUint8(i * this.size + (this.is64 ? 4 : 12));
  }

  st_other(i: number): number {
    return this.view.getUint8(i * this.size + (this.is64 ? 5 : 13));
  }

  st_shndx(i: number): number {
    return this.view.getUint16(i * this.size + (this.is64 ? 6 : 14), this.little);
  }

  setShndx(i: number, shndx: number): void {
    this.view.setUint16(i * this.size + (this.is64 ? 6 : 14), shndx, this.little);
  }

  /** `strtab + st_name`; '' when st_name lies outside the table. */
  name(i: number): string {
    return cString(this.strtab, this.st_name(i));
  }
}

const latin1 = new TextDecoder('latin1');

/** The NUL-terminated string at `at`, byte for byte (latin1: symbol names are bytes, not text). */
export function cString(bytes: Uint8Array, at: number): string {
  if (at >= bytes.length) return '';
  const end = bytes.indexOf(0, at);
  const stop = end < 0 ? bytes.length : end;
  if (stop - at > 48) return latin1.decode(bytes.subarray(at, stop));
  let s = '';
  for (let i = at; i < stop; i++) s += String.fromCharCode(bytes[i]!);
  return s;
}
