/** GOT and PLT tables: sized by the frob hook from what it counted, filled on demand while relocating. */
import { SHF_EXECINSTR, SHT_NOBITS, SHT_RELA } from './elf.ts';
import { Entries, genericInfo } from './entries.ts';
import type { ModuleView } from './module-view.ts';
import { crashes, Refusal } from './refusal.ts';
import type { Section } from './section.ts';

const tables = new WeakMap<Section, Slots>();

/** The table that a section holds, for those who only look: how many entries were counted and how many are in use. */
export const slotsOf = (section: Section): Slots | undefined => tables.get(section);

/** Entries keyed by the value they stand for. `max` is what was counted, not what fits. */
export class Slots {
  readonly section: Section;
  readonly entrySize: number;
  readonly max: number;
  /** Entries taken so far. */
  used = 0;
  private readonly byValue = new Map<bigint, number>();

  constructor(section: Section, entrySize: number, max: number) {
    this.section = section;
    this.entrySize = entrySize;
    this.max = max;
    tables.set(section, this);
  }

  addressOf(i: number): bigint {
    return this.section.sh_addr + BigInt(i * this.entrySize);
  }

  /** The entry that already stands for `value`. */
  find(value: bigint): number | undefined {
    return this.byValue.get(value);
  }

  /** Takes the next entry for `value`; one more than was counted is a BUG_ON. */
  take(value: bigint): number {
    const i = this.used++;
    if (this.used > this.max)
      throw crashes('BUG', `${this.section.name} was sized for ${this.max} entries and one more is needed`);
    this.byValue.set(value, i);
    return i;
  }

  /** Address of the entry for `value`; `fill` writes a new one. */
  entry(value: bigint, fill: (i: number) => void): bigint {
    let i = this.find(value);
    if (i === undefined) fill((i = this.take(value)));
    return this.addressOf(i);
  }

  /** The bytes of entry i. */
  bytes(i: number): DataView {
    const { bytes } = this.section;
    return new DataView(bytes.buffer, bytes.byteOffset + i * this.entrySize, this.entrySize);
  }
}

/** The empty section that module.lds leaves for a table: the last of that name. Refuses the module without one. */
export function tableSection(m: ModuleView, name: string): Section {
  const section = m.sections.findLast((s) => s.name === name);
  if (section !== undefined) return section;
  m.log(`${m.name}: module ${name.slice(1).toUpperCase()} section(s) missing`);
  throw new Refusal('ENOEXEC', `${m.name} has no ${name} section: it was not linked with the kernel's module.lds`);
}

/** Turns it into room for `max` entries and one more, on a cache line of 64 bytes. */
export function sizeTable(section: Section, entrySize: number, max: number, sh_flags: number): Slots {
  Object.assign(section, { sh_type: SHT_NOBITS, sh_flags, sh_addralign: 64, sh_size: (max + 1) * entrySize });
  return new Slots(section, entrySize, max);
}

/**
 * How many entries of each kind the module's code needs. Entries of one symbol, type and addend are one, over a
 * relocation section or over the whole module.
 *
 * @param kindOf which table an entry of a type takes a slot of, if any
 */
export function countEntries<Kind extends string>(
  m: ModuleView,
  kindOf: (type: number) => Kind | undefined,
  over: 'section' | 'module',
): Partial<Record<Kind, number>> {
  const counts: Partial<Record<Kind, number>> = {};
  let seen = new Set<bigint>();
  for (const s of m.sections) {
    if (s.sh_type !== SHT_RELA || !((m.sections[s.sh_info]?.sh_flags ?? 0) & SHF_EXECINSTR)) continue;
    if (over === 'section') seen = new Set();
    const entries = new Entries(m.format, true, s.bytes);
    for (let i = 0; i < entries.count; i++) {
      const r_info = entries.r_info(i);
      const kind = kindOf(genericInfo.type(r_info, m.format));
      if (kind === undefined) continue;
      const key = (r_info << 64n) | BigInt.asUintN(64, entries.r_addend(i));
      if (seen.has(key)) continue;
      seen.add(key);
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  }
  return counts;
}
