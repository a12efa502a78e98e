/** Whether a relocation of a module can fail. */
import { D_RELOC } from './doubts.ts';
import {
  type Image,
  PERCPU,
  S_FLAGS,
  S_INFO,
  S_OFFSET,
  S_SIZE,
  S_TYPE,
  S_WORDS,
  SHF_ALLOC,
  SHN_ABS,
  SHT_NOBITS,
  SHT_REL,
  SHT_RELA,
} from './image.ts';
import { DOUBTFUL, IGNORED, type ProofTable, REACH } from './proof-table.ts';
import { RELOCATIONS, type Words } from './records.ts';

/** Every relocation of a section in memory, against what its type allows. Places are marked as they are written. */
export function proveRelocations(image: Image, proof: ProofTable, out: Words): number {
  const { sections: s, known, b, frame } = image;
  const { size: sizes, checked, lo, hi, wantsZero } = proof;
  if (b.byteOffset % 4 !== 0) return D_RELOC;
  const words = new Int32Array(b.buffer, b.byteOffset, b.length >> 2);
  const sy = image.symtab * S_WORDS;
  const symbols = Math.floor(s[sy + S_SIZE]! / 24);
  const symtab = s[sy + S_OFFSET]! >> 2;
  const types = sizes.length;
  let total = 0;
  for (let i = 1; i < image.count; i++) {
    const r = i * S_WORDS;
    const type = s[r + S_TYPE]!;
    if (type !== SHT_RELA && type !== SHT_REL) continue;
    const target = s[r + S_INFO]!;
    if (target < 0 || target >= image.count) continue;
    const t = target * S_WORDS;
    if ((s[t + S_FLAGS]! & SHF_ALLOC) === 0) continue;
    // What rewrite_section_headers() and the per-CPU allocator take out of the image.
    if (image.staysBehind(target)) return D_RELOC;
    if (target === known[PERCPU]) {
      if (frame.version === '6.1') continue;
      return D_RELOC;
    }
    const from = s[r + S_OFFSET]!;
    if (type === SHT_REL || from % 4 !== 0 || s[t + S_TYPE] === SHT_NOBITS) return D_RELOC;
    const length = s[t + S_SIZE]!;
    const base = s[t + S_OFFSET]!;
    const count = Math.floor(s[r + S_SIZE]! / 24);
    const end = (from >> 2) + count * 6;
    for (let at = from >> 2; at < end; at += 6) {
      const kind = words[at + 2]! >>> 0;
      const bytes = kind < types ? sizes[kind]! : DOUBTFUL;
      if (bytes === DOUBTFUL) return D_RELOC;
      if (bytes === IGNORED) continue;
      const offset = words[at]!;
      const sym = words[at + 3]! >>> 0;
      if (words[at + 1] !== 0 || offset < 0 || offset + bytes > length || sym >= symbols) return D_RELOC;
      if (checked[kind] === 1) {
        const low = words[at + 4]!;
        if (words[at + 5] !== low >> 31 || low < lo[kind]! || low > hi[kind]!) return D_RELOC;
        const q = symtab + sym * 6;
        const shndx = words[q + 1]! >>> 16;
        if (shndx === SHN_ABS || words[q + 3] !== 0 || words[q + 2]! >>> 0 >= REACH) return D_RELOC;
        // What is not moved keeps an address of the temporary image, far from everything.
        if (shndx !== 0 && ((s[shndx * S_WORDS + S_FLAGS]! & SHF_ALLOC) === 0 || image.staysBehind(shndx)))
          return D_RELOC;
      }
      if (!wantsZero) continue;
      const place = base + offset;
      if ((b[place]! | b[place + 1]! | b[place + 2]! | b[place + 3]!) !== 0) return D_RELOC;
      b[place] = b[place + 3] = 1;
      if (bytes === 4) continue;
      if ((b[place + 4]! | b[place + 5]! | b[place + 6]! | b[place + 7]!) !== 0) return D_RELOC;
      b[place + 4] = b[place + 7] = 1;
    }
    total += count;
  }
  out.set(RELOCATIONS, total);
  return 0;
}
