/** What proof.ts makes and relocation-proof.ts reads; apart, because threads need no rows of an architecture. */

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
export type CallSlots = 'none' | 'neighbours' | 'module';

export interface ProofTable {
  /** One of the above, by type. */
  readonly rule: Uint8Array;
  /** Bytes that are written. */
  readonly size: Uint8Array;
  /** One less than what the value must be a multiple of. */
  readonly mask: Uint8Array;
  /** What an addend may be, both ends included: of ADDEND's type, and of TARGET's where the symbol is another's. */
  readonly lo: Float64Array;
  readonly hi: Float64Array;
  /** Values that pass. */
  readonly from: Float64Array;
  readonly to: Float64Array;
  /** How far outside of its section a target in the module may be and is still in reach of all of it; -1: it is not. */
  readonly inside: Int32Array;
  /** The place must hold zeros. */
  readonly wantsZero: boolean;
  /** Types are only looked at when the symbol has no odd value. */
  readonly guarded: boolean;
  /** Sections that the architecture wants, as numbers of KNOWN. */
  readonly needs: readonly number[];
  readonly callSlots: CallSlots;
  /** Calls in the order in which they are sorted. */
  readonly calls: readonly number[];
  /** Symbols of all relocation sections are looked at before layout. */
  readonly looksAtAll: boolean;
  /** A section of a single SUM does not do. */
  readonly sums: boolean;
  /** The type of an address, and that of a word of an export entry, with its bytes. */
  readonly address: number;
  readonly exportType: number;
  readonly exportWord: 4 | 8;
}

/** How far st_value of a section's symbol may be from the start of it for the proof to hold. */
export const REACH: number = 1 << 24;
