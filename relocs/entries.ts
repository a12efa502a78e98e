import { type ElfFormat, sizeofRel, sizeofRela } from './elf.ts';

/** How an architecture packs symbol and type into r_info. */
export interface RInfo {
  /** True: the packing of the generic ABI. */
  readonly generic?: true;
  sym(r_info: bigint, format: ElfFormat): number;
  type(r_info: bigint, format: ElfFormat): number;
}

/** ELF32_R_SYM/ELF64_R_SYM of the generic ABI. */
export const genericInfo: RInfo = {
  generic: true,
  sym: (r_info, f) => Number(f.is64 ? r_info >> 32n : r_info >> 8n),
  type: (r_info, f) => Number(f.is64 ? r_info & 0xffff_ffffn : r_info & 0xffn),
};

/**
 * One relocation section of the temporary image: SHT_REL or SHT_RELA entries, read and (by frob hooks) rewritten in
 * place. The count is floor(sh_size / entry size); sh_entsize is not looked at, as in the kernel.
 */
export class Entries {
  readonly rela: boolean;
  readonly count: number;
  /** Bytes of one entry. */
  readonly size: number;
  private readonly view: DataView;
  private readonly is64: boolean;
  private readonly little: boolean;

  constructor(format: ElfFormat, rela: boolean, bytes: Uint8Array) {
    this.rela = rela;
    this.is64 = format.is64;
    this.little = format.little;
    this.size = rela ? sizeofRela(format) : sizeofRel(format);
    this.count = Math.floor(bytes.length / this.size);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset, this.view.byteLength);
  }

  r_offset(i: number): bigint {
    return this.is64
      ? this.view.getBigUint64(i * this.size, this.little)
      : BigInt(this.view.getUint32(i * this.size, this.little));
  }

  r_info(i: number): bigint {
    return this.is64
      ? this.view.getBigUint64(i * this.size + 8, this.little)
      : BigInt(this.view.getUint32(i * this.size + 4, this.little));
  }

  /** The upper half of a 64-bit r_info; 0 in 32 bits. */
  infoHigh(i: number): number {
    return this.is64 ? this.view.getUint32(i * this.size + (this.little ? 12 : 8), this.little) : 0;
  }

  /** The lower half of a 64-bit r_info, or the whole of a 32-bit one. */
  infoLow(i: number): number {
    return this.view.getUint32(i * this.size + (this.is64 ? (this.little ? 8 : 12) : 4), this.little);
  }

  setInfo(i: number, r_info: bigint): void {
    if (this.is64) this.view.setBigUint64(i * this.size + 8, r_info, this.little);
    else this.view.setUint32(i * this.size + 4, Number(r_info), this.little);
  }

  /** The explicit addend, signed; 0 for SHT_REL. */
  r_addend(i: number): bigint {
    if (!this.rela) return 0n;
    return this.is64
      ? this.view.getBigInt64(i * 24 + 16, this.little)
      : BigInt(this.view.getInt32(i * 12 + 8, this.little));
  }

  /** The upper half of a 64-bit addend, signed; 0 in 32 bits. */
  addendHigh(i: number): number {
    return this.is64 && this.rela ? this.view.getInt32(i * 24 + (this.little ? 20 : 16), this.little) : 0;
  }

  /** The lower half of a 64-bit addend, unsigned, or the whole of a 32-bit one, signed. */
  addendLow(i: number): number {
    if (!this.rela) return 0;
    return this.is64
      ? this.view.getUint32(i * 24 + (this.little ? 16 : 20), this.little)
      : this.view.getInt32(i * 12 + 8, this.little);
  }

  swap(i: number, j: number): void {
    const all = this.bytes;
    const a = all.slice(i * this.size, (i + 1) * this.size);
    all.copyWithin(i * this.size, j * this.size, (j + 1) * this.size);
    all.set(a, j * this.size);
  }
}
