/**
 * Names that mean something to the check, by their numbers: they are the first that are kept, in the order of WELL_KNOWN in
 * names.ts. Read by both languages.
 */

/** Sections, which must be in memory and of which there may be only one. */
export const MODINFO = 1,
  THIS_MODULE = 2,
  VERSIONS = 3,
  EXT_CRCS = 4,
  EXT_NAMES = 5,
  PERCPU = 6,
  KSYMTAB = 7,
  KSYMTAB_GPL = 8,
  KCRCTAB = 9,
  KCRCTAB_GPL = 10,
  KFLAGSTAB = 11,
  CTORS = 12,
  INIT_ARRAY = 13,
  PARAM = 14,
  KNOWN_SECTIONS = 22;
/** Sections with memory of their own once init has run. */
export const RO_AFTER_INIT = 23,
  JUMP_TABLE = 24,
  STATIC_CALL_SITES = 25;
export const MODULE_LAYOUT = 26;
/** Names that a module must not have, the first and the last; or none at all. */
export const NDISWRAPPER = 27,
  VMLINUX = 30;
/** license_is_gpl_compatible(): the first and the last. */
export const GPL = 31,
  DUAL_MPL_GPL = 36;

/** Version profiles as numbers. */
export const V6_1 = 0,
  V6_12 = 1,
  V7_2 = 2;
