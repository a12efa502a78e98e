/** Fields of an ELF64 file, to be spoilt where they lie. */

const SHDR = 64;
/** sh_name … sh_entsize: where in a header, and how many bytes. */
const HEADER_FIELDS = [[0, 4], [4, 4], [8, 8], [16, 8], [24, 8], [32, 8], [40, 4], [44, 4], [48, 8], [56, 8]] as const; // biome-ignore format: table
/** st_name, st_info, st_shndx, st_value, st_size. */
const SYMBOL_FIELDS = [[0, 4], [4, 1], [6, 2], [8, 8], [16, 8]] as const; // biome-ignore format: table
/** r_offset, both halves of r_info, r_addend. */
const RELA_FIELDS = [[0, 8], [8, 4], [12, 4], [16, 8]] as const; // biome-ignore format: table
const ENTRY = 24;
const [SHT_SYMTAB, SHT_RELA] = [2, 4];

interface Field {
  readonly at: number;
  readonly bytes: number;
}

export class ElfEdit {
  readonly file: Uint8Array;
  private readonly view: DataView;
  private readonly little: boolean;

  constructor(source: Uint8Array) {
    this.file = new Uint8Array(source);
    this.view = new DataView(this.file.buffer);
    this.little = this.file[5] === 1;
  }

  private get count(): number {
    return this.view.getUint16(60, this.little);
  }

  private header(i: number): number {
    return Number(this.view.getBigUint64(40, this.little)) + i * SHDR;
  }

  get({ at, bytes }: Field): bigint {
    const { view, little } = this;
    if (bytes === 1) return BigInt(view.getUint8(at));
    if (bytes === 2) return BigInt(view.getUint16(at, little));
    return bytes === 4 ? BigInt(view.getUint32(at, little)) : view.getBigUint64(at, little);
  }

  set({ at, bytes }: Field, value: bigint): this {
    const { view, little } = this;
    if (bytes === 1) view.setUint8(at, Number(BigInt.asUintN(8, value)));
    else if (bytes === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), little);
    else if (bytes === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), little);
    else view.setBigUint64(at, BigInt.asUintN(64, value), little);
    return this;
  }

  /** The number of the first section of a name. */
  section(name: string): number {
    const strings = Number(this.get(this.field(this.view.getUint16(62, this.little), 'sh_offset')));
    for (let i = 1; i < this.count; i++) {
      const at = strings + Number(this.get(this.field(i, 'sh_name')));
      if (String.fromCharCode(...this.file.subarray(at, at + name.length + 1)) === `${name}\0`) return i;
    }
    throw new Error(`no section ${name}`);
  }

  field(
    section: number,
    name: 'sh_name' | 'sh_type' | 'sh_flags' | 'sh_offset' | 'sh_size' | 'sh_link' | 'sh_info' | 'sh_addralign',
  ): Field {
    const which = [
      'sh_name',
      'sh_type',
      'sh_flags',
      'sh_addr',
      'sh_offset',
      'sh_size',
      'sh_link',
      'sh_info',
      'sh_addralign',
    ];
    const [at, bytes] = HEADER_FIELDS[which.indexOf(name)]!;
    return { at: this.header(section) + at, bytes };
  }

  /** Every field of section headers, symbols and relocations. */
  fields(): Field[] {
    const all: Field[] = [];
    const add = (from: number, fields: readonly (readonly [number, number])[]): void => {
      for (const [at, bytes] of fields) all.push({ at: from + at, bytes });
    };
    for (let i = 1; i < this.count; i++) {
      add(this.header(i), HEADER_FIELDS);
      const type = Number(this.get(this.field(i, 'sh_type')));
      if (type !== SHT_SYMTAB && type !== SHT_RELA) continue;
      const from = Number(this.get(this.field(i, 'sh_offset')));
      const size = Number(this.get(this.field(i, 'sh_size')));
      for (let at = from; at + ENTRY <= from + size; at += ENTRY)
        add(at, type === SHT_RELA ? RELA_FIELDS : SYMBOL_FIELDS);
    }
    return all;
  }
}
