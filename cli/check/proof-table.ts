/**
 * When a relocation cannot fail: what proof.ts writes into memory and the wasm reads. A head, then a row for each type.
 * Read by both languages.
 */

/** What can be said of a type: nothing; it leaves no trace; a word is written whatever its value is. */
export const DOUBTFUL = 0,
  IGNORED = 1,
  PLAIN = 2,
  /** The addend must lie between lo and hi, whatever the symbol is. */
  ADDEND = 3,
  /** S + A must be in the module, or A between lo and hi for another's symbol; or all in one section, near enough. */
  TARGET = 4,
  /** TARGET, and the place is where a LOW finds it. */
  HIGH = 5,
  /** The symbol is the place of a HIGH in the same section. */
  LOW = 6,
  /** A step of a sum that is stored after the section's last entry. */
  SUM = 7,
  /** A call: to the own section directly, to the module at any distance, to others by an entry of the PLT. */
  CALL = 8,
  /** Takes an entry of the GOT that is counted, or one that such a type has taken. */
  GOT = 9,
  GOT_AGAIN = 10,
  /** An entry of a table in front of the text; or S + A where that is in reach. */
  TABLE = 11,
  DIRECT_OR_TABLE = 12;

/** How entries of the PLT are shared: there is none, by neighbours in sorted order, by all calls of a module. */
export const NO_SLOTS = 0,
  BY_NEIGHBOURS = 1,
  BY_MODULE = 2;

/** Types that there are rows for. */
export const P_TYPES = 0,
  /** Whether the place must hold zeros. */
  P_WANTS_ZERO = 4,
  /** Whether types are only looked at when the symbol has no odd value. */
  P_GUARDED = 8,
  P_CALL_SLOTS = 12,
  /** Whether symbols of all relocation sections are looked at before layout. */
  P_LOOKS_AT_ALL = 16,
  /** Whether a section of a single SUM does not do. */
  P_SUMS = 20,
  /** The type of an address, and that of a word of an export entry, with its bytes. */
  P_ADDRESS = 24,
  P_EXPORT_TYPE = 28,
  P_EXPORT_WORD = 32,
  /** Calls in the order in which they are sorted: how many, and which. */
  P_CALL_COUNT = 36,
  P_CALLS = 40,
  MOST_CALLS = 3,
  /** Sections that the architecture rewrites, as well-known names: how many, of which it needs so many, and which. */
  P_REWRITTEN_COUNT = 52,
  P_NEED_COUNT = 56,
  P_NEEDS = 60,
  MOST_NEEDS = 8,
  P_ROWS = 128;

/** One of the rules above, a byte; bytes that are written, a byte; one less than what the value must be a multiple of, a byte. */
export const R_RULE = 0,
  R_SIZE = 1,
  R_MASK = 2,
  /** How far outside of its section a target in the module may be and is still in reach of all of it; -1: it is not. */
  R_INSIDE = 4,
  /** 64 bits each, both ends included. What an addend may be: of ADDEND's type, and of TARGET's with another's symbol. */
  R_LO = 8,
  R_HI = 16,
  /** Values that pass. */
  R_FROM = 24,
  R_TO = 32,
  /** The size of a row, as a power of two. */
  R_BITS = 6;

/** How far st_value of a section's symbol may be from the start of it for the proof to hold. */
export const REACH = 0x100_0000;
