/** Headers of an ELF file in the memory of another machine. */

/** Words of the target, in its width and byte order. */
export class Target {
  readonly is64: boolean;
  readonly little: boolean;

  /** From the first bytes of an ELF file. */
  constructor(ident: Uint8Array) {
    this.is64 = ident[4] === 2;
    this.little = ident[5] === 1;
  }

  half(b: Buffer, at: number): number {
    return this.little ? b.readUInt16LE(at) : b.readUInt16BE(at);
  }

  word(b: Buffer, at: number): number {
    return this.little ? b.readUInt32LE(at) : b.readUInt32BE(at);
  }

  address(b: Buffer, at: number): bigint {
    if (!this.is64) return BigInt(this.word(b, at));
    return this.little ? b.readBigUInt64LE(at) : b.readBigUInt64BE(at);
  }

  /** The value of a register. */
  register(bytes: Buffer): bigint {
    return BigInt(`0x${(this.little ? Buffer.from(bytes).reverse() : bytes).toString('hex')}`);
  }

  get shdrSize(): number {
    return this.is64 ? 64 : 40;
  }

  shdr(b: Buffer, at: number): Shdr {
    const w = this.is64 ? 8 : 4;
    return {
      name: this.word(b, at),
      type: this.word(b, at + 4),
      flags: Number(this.address(b, at + 8)),
      addr: this.address(b, at + 8 + w),
      offset: this.address(b, at + 8 + 2 * w),
      size: Number(this.address(b, at + 8 + 3 * w)),
      link: this.word(b, at + 8 + 4 * w),
      entsize: this.address(b, at + 16 + 5 * w),
    };
  }

  get symSize(): number {
    return this.is64 ? 24 : 16;
  }

  sym(b: Buffer, at: number): Sym {
    return {
      name: this.word(b, at),
      info: b[at + (this.is64 ? 4 : 12)]!,
      shndx: this.half(b, at + (this.is64 ? 6 : 14)),
      value: this.address(b, at + (this.is64 ? 8 : 4)),
    };
  }
}

export interface Shdr {
  readonly name: number;
  readonly type: number;
  readonly flags: number;
  readonly addr: bigint;
  readonly offset: bigint;
  readonly size: number;
  readonly link: number;
  readonly entsize: bigint;
}

interface Sym {
  readonly name: number;
  readonly info: number;
  readonly shndx: number;
  readonly value: bigint;
}

/** The string at `at` of a string table. */
export const stringAt = (table: Buffer, at: number): string => table.toString('latin1', at, table.indexOf(0, at));
