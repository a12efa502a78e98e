/** What proof.ts makes and scan.ts reads; apart, because threads need no rows of an architecture. */

/** What a type does: nothing that can be said of it here, nothing at all, or a word of 4 or 8 bytes. */
export const DOUBTFUL = 0,
  IGNORED = 1;

export interface ProofTable {
  /** DOUBTFUL, IGNORED, 4 or 8, by type. */
  readonly size: Uint8Array;
  /** 1: the addend must lie between lo and hi, both ends included, and the symbol be none of SHN_ABS. */
  readonly checked: Uint8Array;
  readonly lo: Float64Array;
  readonly hi: Float64Array;
  /** The place must hold zeros. */
  readonly wantsZero: boolean;
}

/** How far st_value of a section's symbol may be from the start of it for the proof to hold. */
export const REACH: number = 1 << 24;
