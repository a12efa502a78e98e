/** Who exports a name, and what Module.symvers says of it: a row of 32-bit words for each name. Read by both languages. */

/** Who: nobody, the kernel, or the number of a module behind these two. */
export const E_PROVIDER = 0,
  NOBODY = 0,
  KERNEL = 1,
  MODULE_0 = 2,
  E_CRC = 4,
  E_BITS = 8,
  E_NAMESPACE = 12,
  /** The same by Module.symvers; its owner is the name of the module that exports it, 0 for vmlinux. */
  E_LISTED = 16,
  E_LISTED_CRC = 20,
  E_LISTED_NAMESPACE = 24,
  E_OWNER = 28,
  /** The size of a row, as a power of two. */
  EXPORT_ROW_BITS = 5;

/** Bits of E_LISTED. */
export const LISTED = 1,
  LISTED_GPL = 2,
  LISTED_CRC = 4;

/** An export that somebody else has: module, name, bits, CRC, namespace. */
export const CLASH_WORDS = 5;
