/** "Did you mean": the names nearest to one that does not exist. */

/**
 * At most three names within a third of the word's length of edits (swaps of neighbours count as one), nearest first;
 * names that begin with the word, or are the better half of it, count as one edit away.
 */
export function closest(word: string, names: Iterable<string>): string[] {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const near: { name: string; distance: number }[] = [];
  for (const name of names) {
    const distance = isAffix(word, name) ? 1 : lengthGap(word, name) > limit ? Infinity : editDistance(word, name);
    if (distance <= limit) near.push({ name, distance });
  }
  return near
    .toSorted(
      (a, b) =>
        a.distance - b.distance || lengthGap(word, a.name) - lengthGap(word, b.name) || (a.name < b.name ? -1 : 1),
    )
    .slice(0, 3)
    .map(({ name }) => name);
}

function isAffix(word: string, name: string): boolean {
  if (word.length < 3) return false;
  return name.startsWith(word) || (word.startsWith(name) && name.length * 2 >= word.length);
}

function lengthGap(word: string, name: string): number {
  return Math.abs(name.length - word.length);
}

/** Damerau and Levenshtein's distance with neighbours swapped (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a.charAt(i - 1) === b.charAt(j - 1);
      let d = Math.min((last[j - 1] ?? 0) + (same ? 0 : 1), (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (a.charAt(i - 1) === b.charAt(j - 2) && a.charAt(i - 2) === b.charAt(j - 1) && i > 1 && j > 1) {
        d = Math.min(d, (before[j - 2] ?? 0) + 1);
      }
      row.push(d);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
