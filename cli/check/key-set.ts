/** Pairs of integers with a few flags; emptied and filled for each module without an allocation. */
export class KeySet {
  size = 0;
  /** Four words an entry: generation, the pair, flags. */
  private table: Int32Array = new Int32Array(4 << 8);
  private generation = 1;

  clear(): void {
    this.size = 0;
    this.generation++;
  }

  /** Sets flags of a pair, and gives those that it had. */
  add(a: number, b: number, flags: number): number {
    if (this.size * 8 >= this.table.length) this.grow();
    const at = this.find(a, b);
    const { table } = this;
    if (table[at] !== this.generation) {
      table[at] = this.generation;
      table[at + 1] = a;
      table[at + 2] = b;
      table[at + 3] = 0;
      this.size++;
    }
    const before = table[at + 3]!;
    table[at + 3] = before | flags;
    return before;
  }

  private find(a: number, b: number): number {
    const { table, generation } = this;
    const mask = table.length - 4;
    const hash = Math.imul(Math.imul(a, 0x9e37_79b1) ^ b, 0x85eb_ca6b);
    for (let at = ((hash ^ (hash >>> 15)) << 2) & mask; ; at = (at + 4) & mask)
      if (table[at] !== generation || (table[at + 1] === a && table[at + 2] === b)) return at;
  }

  private grow(): void {
    const { table, generation } = this;
    this.table = new Int32Array(table.length * 2);
    for (let old = 0; old < table.length; old += 4) {
      if (table[old] !== generation) continue;
      const at = this.find(table[old + 1]!, table[old + 2]!);
      for (let k = 0; k < 4; k++) this.table[at + k] = table[old + k]!;
    }
  }
}
