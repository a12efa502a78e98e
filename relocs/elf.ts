/** The numbers of <elf.h> that relocation and loading look at, under their own names. */

export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;

export const SHF_WRITE = 0x1;
export const SHF_ALLOC = 0x2;
export const SHF_EXECINSTR = 0x4;
export const SHF_RELA_LIVEPATCH = 0x00100000;
export const SHF_RO_AFTER_INIT = 0x00200000;

export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
export const SHN_LIVEPATCH = 0xff20;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;

export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;

export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;

export const ET_REL = 1;

export const ELF_ST_BIND = (st_info: number): number => st_info >> 4;
export const ELF_ST_TYPE = (st_info: number): number => st_info & 0xf;

/** Class and byte order of an ELF file, with the sizes that follow from them. */
export interface ElfFormat {
  readonly is64: boolean;
  readonly little: boolean;
}

export const sizeofEhdr = (f: ElfFormat): number => (f.is64 ? 64 : 52);
export const sizeofShdr = (f: ElfFormat): number => (f.is64 ? 64 : 40);
export const sizeofSym = (f: ElfFormat): number => (f.is64 ? 24 : 16);
export const sizeofRel = (f: ElfFormat): number => (f.is64 ? 16 : 8);
export const sizeofRela = (f: ElfFormat): number => (f.is64 ? 24 : 12);
export const sizeofAddr = (f: ElfFormat): number => (f.is64 ? 8 : 4);

/** Wraps to the machine's word: uintptr_t. */
export const wrapWord = (f: ElfFormat, v: bigint): bigint => (f.is64 ? BigInt.asUintN(64, v) : BigInt.asUintN(32, v));

/** The same bits read as a signed word: long. */
export const signedWord = (f: ElfFormat, v: bigint): bigint => (f.is64 ? BigInt.asIntN(64, v) : BigInt.asIntN(32, v));
