/** What changed in a module besides the fields that its relocations name: PLT and GOT entries, a neighbour's bytes. */
import { SHF_ALLOC } from '../relocs/elf.ts';
import type { Outcome } from '../testing/replay.ts';
import { fromBase64, type Vector } from '../testing/vector.ts';
import { originalBytes, type RelocationFacts } from './relocation-facts.ts';

export interface ChangedBytes {
  /** Name of the section, or '#mem.text.head' for what lies in front of text (s390). */
  readonly section: string;
  readonly offset: number;
  /** As the file has them; shorter, or empty, where the section has grown. */
  readonly before: Uint8Array;
  /** Undefined when that side crashed, or did not tell. */
  readonly reference: Uint8Array | undefined;
  readonly port: Uint8Array | undefined;
}

/** A word with a changed byte is told whole, but for bytes of fields. */
const WORD = 4;

type Sides = Pick<ChangedBytes, 'before' | 'reference' | 'port'>;

/**
 * Runs of changed words outside of the fields of `relocations`, in all SHF_ALLOC sections, by address in each. What a
 * section has grown by counts as zeros before. `vector.expect` is what the port did, `outcome` what the reference did.
 */
export function changedBytes(
  vector: Vector,
  { ret, module: m }: Outcome,
  relocations: readonly RelocationFacts[],
): ChangedBytes[] {
  const original = originalBytes(vector, m.format);
  const { sections = {}, extra = {} } = vector.expect;
  const crashed = ret === 'crash';
  const changed: ChangedBytes[] = [];
  for (const s of m.sections) {
    if ((s.sh_flags & SHF_ALLOC) === 0) continue;
    const told = sections[s.name] ?? sections[`#${s.index}`];
    const sides: Sides = {
      before: original[s.index] ?? new Uint8Array(0),
      reference: crashed ? undefined : s.bytes.subarray(0, s.sh_size),
      port: told === undefined ? undefined : fromBase64(told),
    };
    const fields = relocations.filter(({ section }) => section === s.name);
    changed.push(...runs(s.name, sides, fields));
  }
  const region = m.memory.text === undefined ? 'core' : 'text';
  const name = `#mem.${region}.head`;
  const head = m.memory[region]?.bytes;
  const told = extra[name];
  const port = told === undefined ? undefined : fromBase64(typeof told === 'string' ? told : told.data);
  if (head !== undefined || port !== undefined)
    changed.push(...runs(name, { before: new Uint8Array(0), reference: crashed ? undefined : head, port }, []));
  return changed;
}

function runs(section: string, sides: Sides, fields: readonly RelocationFacts[]): ChangedBytes[] {
  const { before, reference, port } = sides;
  const inField = new Set<number>();
  for (const { offset, size } of fields) for (let i = 0; i < size; i++) inField.add(Number(offset) + i);
  const end = Math.max(reference?.length ?? 0, port?.length ?? 0);
  const differs = (after: Uint8Array | undefined, i: number): boolean =>
    after !== undefined && i < after.length && after[i] !== (before[i] ?? 0);
  const found: { from: number; to: number }[] = [];
  for (let word = 0; word < end; word += WORD) {
    const places = Array.from({ length: Math.min(WORD, end - word) }, (_, i) => word + i).filter(
      (i) => !inField.has(i),
    );
    if (!places.some((i) => differs(reference, i) || differs(port, i))) continue;
    for (const i of places) {
      const last = found.at(-1);
      if (last?.to === i) last.to = i + 1;
      else found.push({ from: i, to: i + 1 });
    }
  }
  return found.map(({ from, to }) => ({
    section,
    offset: from,
    before: before.slice(from, to),
    reference: reference?.slice(from, to),
    port: port?.slice(from, to),
  }));
}
