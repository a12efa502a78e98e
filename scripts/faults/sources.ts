/** Finds where in the kernel's files a mistake can be made, and chooses among the places. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mistakes } from './mistakes.ts';

/** One small change to one line. */
export interface Fault {
  /** Path in the kernel's tree. */
  readonly file: string;
  /** Empty outside of any. */
  readonly function: string;
  readonly line: number;
  readonly name: string;
  /** Which of the faults of that name on that line. */
  readonly nth: number;
  /** The line, changed. */
  readonly text: string;
  /** The file, changed. */
  readonly source: string;
}

/** Parts of a line that no compiler sees are blanks; `open`: a comment goes on. */
function withoutComments(line: string, open: boolean): readonly [code: string, open: boolean] {
  let code = '';
  for (let i = 0; i < line.length; ) {
    if (open) {
      open = !line.startsWith('*/', i);
      code += open ? ' ' : '  ';
      i += open ? 1 : 2;
    } else if (line.startsWith('//', i)) return [code, false];
    else if (line.startsWith('/*', i)) {
      open = true;
      code += '  ';
      i += 2;
    } else code += line[i++]!;
  }
  return [code.trimEnd(), open];
}

interface Line {
  readonly text: string;
  readonly code: string;
  readonly function: string;
  /** Part of a call of printk(). */
  readonly printed: boolean;
}

function linesOf(source: string): Line[] {
  let [open, name, printed] = [false, '', false];
  const texts = source.split('\n');
  return texts.map((text, i) => {
    const [code, stillOpen] = withoutComments(text, open);
    open = stillOpen;
    if (code.startsWith('{')) {
      // Comments, attributes and parameters that are functions stand between a head and its name.
      const above = texts.slice(Math.max(0, i - 14), i).filter((x) => !/^#|\\$/.test(x));
      const head = above.join(' ').replace(/^.*[;}]/, '');
      const plain = head
        .replace(/^.*\*\//, '')
        .replace(/#\w+( \w+)?|\bwhile \(0\)/g, '')
        .replace(/__(?!write|apply|get)\w+\([^)]*\)/g, '');
      name = /(\w+)\s*\((?!\*)/.exec(plain)?.[1] ?? '';
    }
    if (/\b(pr_\w+|printk|DEBUGP|WARN\w*|BUG\w*)\(?/.test(code)) printed = true;
    const line = { text, code, function: name, printed };
    if (code.includes(';')) printed = false;
    if (code.startsWith('}')) name = '';
    return line;
  });
}

/** Every fault that a file can have. */
function faultsOf(tree: string, file: string): Fault[] {
  const lines = linesOf(readFileSync(join(tree, file), 'utf8'));
  return lines.flatMap((line, i): Fault[] => {
    const { code, printed } = line;
    if (printed || code.trim() === '') return [];
    const special = /^\s*#|\bfor \(/.test(code);
    const seen = new Map<string, number>();
    return mistakes.flatMap((mistake) => {
      if (special && mistake.anywhere !== true) return [];
      if (line.function === '' && !/^\s*#define|^\s*\[|^\s*(PPC|0x|\w+_INSN)/.test(code)) return [];
      if (mistake.inside !== undefined && !mistake.inside.test(line.function)) return [];
      if (mistake.before !== undefined && !lines.slice(i, i + 4).some((x) => mistake.before!.test(x.code))) return [];
      const found: Fault[] = [];
      const all = new RegExp(mistake.at, 'g');
      for (const match of code.matchAll(all)) {
        const [whole, ...groups] = match;
        const text =
          code.slice(0, match.index) + mistake.wrong(whole, ...groups) + code.slice(match.index + whole.length);
        if (text === code) continue;
        const nth = (seen.get(mistake.name) ?? 0) + 1;
        seen.set(mistake.name, nth);
        const source = lines.map((x, n) => (n === i ? text : x.text)).join('\n');
        found.push({ file, function: line.function, line: i + 1, name: mistake.name, nth, text: text.trim(), source });
      }
      return found;
    });
  });
}

/** The same order for the same seed. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  let state = seed | 0;
  const random = (): number => {
    state = (state + 0x6d2b_79f5) | 0;
    const a = Math.imul(state ^ (state >>> 15), 1 | state);
    const b = (a + Math.imul(a ^ (a >>> 7), 61 | a)) ^ a;
    return (b ^ (b >>> 14)) >>> 0;
  };
  return list
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

const seedOf = (text: string): number =>
  Array.from(text, (c) => c.charCodeAt(0)).reduce((hash, c) => Math.imul(hash ^ c, 0x0100_0193), 0x811c_9dc5);

/** Chosen before others: what everybody fears. */
const feared =
  /^(range off|wrong mask|no sign|halves|PLT|GOT|PC forgotten|addend forgotten|wrong shift|no byte|wrong op|check|wrong errno)/;

/** All faults of files in the order of choice: each next one of the kind and in the function that had the fewest. */
export class Choice {
  private left: Set<Fault>;
  /** In lines that have one already: for handlers with few lines. */
  private readonly later = new Set<Fault>();
  private readonly kinds = new Map<string, number>();
  private readonly places = new Map<string, number>();

  constructor(tree: string, files: readonly string[], seed: string, usable: (fault: Fault) => boolean) {
    const all = files.flatMap((file) => faultsOf(tree, file)).filter(usable);
    this.left = new Set(shuffled(all, seedOf(seed)));
  }

  get size(): number {
    return this.left.size + this.later.size;
  }

  next(): Fault | undefined {
    if (this.left.size === 0) {
      this.left = new Set(this.later);
      this.later.clear();
    }
    const cost = ({ name, file, function: place }: Fault): number =>
      4 * (this.kinds.get(name) ?? 0) + (this.places.get(`${file} ${place}`) ?? 0) + (feared.test(name) ? 0 : 3);
    let best: Fault | undefined;
    for (const fault of this.left) if (best === undefined || cost(fault) < cost(best)) best = fault;
    if (best !== undefined) this.left.delete(best);
    return best;
  }

  /** A fault counts: others in its line only when no other line is left. */
  take(fault: Fault): void {
    const place = `${fault.file} ${fault.function}`;
    this.kinds.set(fault.name, (this.kinds.get(fault.name) ?? 0) + 1);
    this.places.set(place, (this.places.get(place) ?? 0) + 1);
    for (const f of this.left)
      if (f.file === fault.file && f.line === fault.line) {
        this.left.delete(f);
        if (f.name !== fault.name) this.later.add(f);
      }
  }
}
