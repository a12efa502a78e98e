/** The kernel's address space for modules: which ranges are free. */

interface Gap {
  start: bigint;
  /** Exclusive. */
  end: bigint;
}

/** vmalloc leaves a guard page behind every area. */
const GUARD = 4096n;

/**
 * First fit, lowest address first. Deterministic on purpose: the same loads give the same addresses, where a kernel
 * has KASLR. What is kept is the free gaps, of which there are few, in order of address.
 */
export class AddressSpace {
  private readonly gaps: Gap[] = [{ start: 0n, end: 1n << 64n }];
  /** Length of each area handed out, with its guard page, by base. */
  private readonly taken = new Map<bigint, bigint>();

  /** Lowest free address of `size` bytes in [start, end); undefined when there is none (ENOMEM). */
  alloc(size: number, start: bigint, end: bigint, alignment = 4096n): bigint | undefined {
    const length = BigInt(size);
    for (let i = this.firstEndingAfter(start); i < this.gaps.length; i++) {
      const gap = this.gaps[i]!;
      const at = up(gap.start > start ? gap.start : start, alignment);
      if (at + length > end) return undefined;
      // The guard page may reach into what lies behind the range, but not into another area.
      if (at + length + GUARD > gap.end) continue;
      // What is left of the last page is nobody's: as a gap it would only be looked at in vain by all who come after.
      const page = up(at + length + GUARD, alignment);
      const to = page < gap.end ? page : gap.end;
      this.gaps.splice(i, 1, ...pieces(gap, at, to));
      this.taken.set(at, to - at);
      return at;
    }
    return undefined;
  }

  /** Gives back an area by its base; anything else is ignored. */
  free(base: bigint): void {
    const length = this.taken.get(base);
    if (length === undefined) return;
    this.taken.delete(base);
    const i = this.firstEndingAfter(base - 1n);
    const before = this.gaps[i]?.end === base ? this.gaps[i] : undefined;
    const next = before ? i + 1 : i;
    const after = this.gaps[next]?.start === base + length ? this.gaps[next] : undefined;
    if (before && after) {
      before.end = after.end;
      this.gaps.splice(next, 1);
    } else if (before) before.end = base + length;
    else if (after) after.start = base;
    else this.gaps.splice(i, 0, { start: base, end: base + length });
  }

  /** Areas in use with their guard pages, lowest first. */
  get ranges(): readonly Readonly<Gap>[] {
    return [...this.taken]
      .map(([start, length]) => ({ start, end: start + length }))
      .toSorted((a, b) => (a.start < b.start ? -1 : 1));
  }

  private firstEndingAfter(address: bigint): number {
    let lo = 0;
    let hi = this.gaps.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.gaps[mid]!.end <= address) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }
}

/** What is left of a gap when [from, to) is taken out of it. */
function pieces(gap: Gap, from: bigint, to: bigint): Gap[] {
  const left: Gap[] = [];
  if (gap.start < from) left.push({ start: gap.start, end: from });
  if (to < gap.end) left.push({ start: to, end: gap.end });
  return left;
}

const up = (v: bigint, alignment: bigint): bigint => (v + alignment - 1n) & ~(alignment - 1n);
