/** What a thread tells of a module that it has looked at: 32-bit words, no object per symbol. Read by both languages. */

/** Fixed words at the start of a record. */
export const MODULE = 0,
  /** 0: proven to be one that insmod takes, whatever it resolves to; else a number of DOUBTS. */
  DOUBT = 1,
  NAME = 2,
  VERMAGIC = 3,
  STRUCT_SIZE = 4,
  E_FLAGS = 5,
  FLAGS = 6,
  RELOCATIONS = 7,
  IMPORTS = 8,
  EXPORTS = 9,
  NAMESPACES = 10,
  SOFTDEPS = 11,
  /** Bytes of SHF_ALLOC sections. */
  MEMORY = 12,
  PLT = 13,
  HEAD = 14;

/** Bits of FLAGS. */
export const HAS_VERSIONS = 1,
  /** insmod has taken it while it was being looked at. */
  JUDGED = 2,
  /** The record is empty: the file is no module that can be read. */
  UNREADABLE = 4,
  PROPRIETARY = 8;

/** An import: name, bits, CRC. */
export const IMPORT_WORDS = 3;
export const WEAK = 1,
  HAS_CRC = 2;
/** An export: name, bits, CRC, namespace. */
export const EXPORT_WORDS = 4;
export const GPL_ONLY = 1;
