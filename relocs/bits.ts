/** Bit arithmetic with the spelling of the psABIs. Values are bigint; bit 0 is the least significant. */

/** All ones in the low `n` bits. */
export const ones = (n: number): bigint => (1n << BigInt(n)) - 1n;

/** v[hi:lo], both ends included, shifted down to bit 0. */
export const bits = (v: bigint, hi: number, lo: number): bigint => (v >> BigInt(lo)) & ones(hi - lo + 1);

/** The low `n` bits of `v` as a two's complement number. */
export const signExtend = (v: bigint, n: number): bigint => BigInt.asIntN(n, v);

/** The 4 KiB page of an address. */
export const page = (v: bigint): bigint => v & ~0xfffn;

/** `v` rounded up to a multiple of `to`, a power of two (ALIGN). */
export const align = (v: number, to: number): number => Math.ceil(v / to) * to;

/** Zero-padded hexadecimal, as printk's %0*llx. */
export const hex = (v: bigint, digits = 0): string => v.toString(16).padStart(digits, '0');
