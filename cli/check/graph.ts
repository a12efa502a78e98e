/** Who depends on whom, the circles in it, and the order in which depmod writes it down. */

export interface Graph {
  readonly count: number;
  /** Direct dependencies of a module, in the order of first use. */
  uses(i: number): readonly number[];
}

/** Groups of modules that need each other, which can be loaded in no order. */
export function circles(graph: Graph): number[][] {
  const { count } = graph;
  const uses = Array.from({ length: count }, (_, i) => graph.uses(i));
  const index = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const stack: number[] = [];
  const found: number[][] = [];
  let next = 0;
  for (let root = 0; root < count; root++) {
    if (index[root] !== -1) continue;
    const work: { readonly v: number; edge: number }[] = [{ v: root, edge: 0 }];
    index[root] = low[root] = next++;
    stack.push(root);
    onStack[root] = 1;
    for (let top = work.at(-1); top !== undefined; top = work.at(-1)) {
      const { v } = top;
      const w = uses[v]![top.edge++];
      if (w !== undefined) {
        if (index[w] === -1) {
          index[w] = low[w] = next++;
          stack.push(w);
          onStack[w] = 1;
          work.push({ v: w, edge: 0 });
        } else if (onStack[w] === 1) low[v] = Math.min(low[v]!, index[w]!);
        continue;
      }
      work.pop();
      const parent = work.at(-1);
      if (parent !== undefined) low[parent.v] = Math.min(low[parent.v]!, low[v]!);
      if (low[v] !== index[v]) continue;
      const group = stack.splice(stack.lastIndexOf(v));
      for (const member of group) onStack[member] = 0;
      if (group.length > 1) found.push(group.toSorted((a, b) => a - b));
    }
  }
  return found;
}

/**
 * All direct and indirect dependencies of each module in depmod's order, which is one for the whole tree: users before
 * what they use; of those that nobody uses any more the one that came to it last goes first, and what it uses loses it as
 * a user in the order of first use. `order`: the modules as modules.order has them.
 */
export function depmodOrder(graph: Graph, order: readonly number[]): number[][] {
  const { count } = graph;
  const uses = Array.from({ length: count }, (_, i) => graph.uses(i));
  const users = new Int32Array(count);
  for (const list of uses) for (const other of list) users[other]!++;
  const free = order.filter((i) => users[i] === 0);
  const place = new Int32Array(count).fill(count);
  let taken = 0;
  for (let i = free.pop(); i !== undefined; i = free.pop()) {
    place[i] = taken++;
    for (const other of uses[i]!) if (--users[other]! === 0) free.push(other);
  }
  return uses.map((list) => {
    const seen = new Set<number>();
    const waiting = [...list];
    for (let other = waiting.pop(); other !== undefined; other = waiting.pop()) {
      if (seen.has(other)) continue;
      seen.add(other);
      waiting.push(...uses[other]!);
    }
    return [...seen].toSorted((a, b) => place[a]! - place[b]!);
  });
}
