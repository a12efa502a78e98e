/** The kernel's address space for modules: who has which range. */

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** vmalloc leaves a guard page behind every area. */
const GUARD = 4096n;

/**
 * First fit between two addresses, sorted by address. Deterministic on purpose: the same loads give the same
 * addresses, where a kernel has KASLR.
 */
export class AddressSpace {
  private readonly taken: Range[] = [];

  /** Lowest free address of `size` bytes in [start, end); undefined when there is none (ENOMEM). */
  alloc(size: number, start: bigint, end: bigint, alignment = 4096n): bigint | undefined {
    const length = BigInt(size);
    let at = up(start, alignment);
    let i = this.firstEndingAfter(at);
    for (; i < this.taken.length; i++) {
      const range = this.taken[i]!;
      if (at + length <= range.start) break;
      at = up(range.end > at ? range.end : at, alignment);
    }
    if (at + length > end) return undefined;
    this.taken.splice(i, 0, { start: at, end: at + length + GUARD });
    return at;
  }

  free(base: bigint): void {
    const i = this.taken.findIndex((r) => r.start === base);
    if (i >= 0) this.taken.splice(i, 1);
  }

  /** Ranges in use, lowest first. */
  get ranges(): readonly Range[] {
    return this.taken;
  }

  private firstEndingAfter(address: bigint): number {
    let lo = 0;
    let hi = this.taken.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.taken[mid]!.end <= address) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }
}

const up = (v: bigint, alignment: bigint): bigint => (v + alignment - 1n) & ~(alignment - 1n);
