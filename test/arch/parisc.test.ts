import test from 'ava';
import * as fc from 'fast-check';
import { acceptsHeader } from '../../arch/index.ts';
import { parisc, parisc64 } from '../../arch/parisc.ts';
import { SHF_ALLOC, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB } from '../../relocs/elf.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { Refusal } from '../../relocs/refusal.ts';
import type { Section } from '../../relocs/section.ts';
import { one, patched, refused } from './one.ts';
import { type Given, type GivenReloc, type Outcome, relocate } from './relocate.ts';

const P = 0x0010_0008n;
const GLOBAL = 0x1090_0000n;
const m32 = { arch: parisc, P };
/** Text from 0x100000 on, with the GOT at its start; the section of `one` in it. */
const memory = { text: { base: 0x10_0000n, size: 0x10_0000 }, init_text: { base: 0x30_0000n, size: 0x1000 } };
const m64 = { arch: parisc64, P, memory };
const memory61 = { core: memory.text, init: memory.init_text };

// What the processor makes of its immediates (PA-RISC 2.0 Architecture, "Instruction Formats").
const cut = (w: bigint, hi: number, lo: number): bigint => (w >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const im21 = (w: bigint): bigint =>
  (cut(w, 0, 0) << 20n) | (cut(w, 11, 1) << 9n) | (cut(w, 15, 14) << 7n) | (cut(w, 20, 16) << 2n) | cut(w, 13, 12);
const im14 = (w: bigint): bigint => cut(w, 13, 1) - (cut(w, 0, 0) << 13n);
const w17 = (w: bigint): bigint =>
  BigInt.asIntN(17, (cut(w, 0, 0) << 16n) | (cut(w, 20, 16) << 11n) | (cut(w, 2, 2) << 10n) | cut(w, 12, 3));
const w22 = (w: bigint): bigint =>
  BigInt.asIntN(
    22,
    (cut(w, 0, 0) << 21n) | (cut(w, 25, 21) << 16n) | (cut(w, 20, 16) << 11n) | (cut(w, 2, 2) << 10n) | cut(w, 12, 3),
  );
const word = (hex: string): bigint => BigInt(`0x${hex}`);
const words = (bytes: Uint8Array): bigint[] => Buffer.from(bytes).toString('hex').match(/.{8}/g)!.map(word);
const stubs = (o: Outcome): bigint[] => words(stubsOf(o, '.text'));
const stubsOf = (o: Outcome, section: string): Uint8Array =>
  (o.module.format.is64 ? parisc64 : parisc).stubBytes!(o.module, section)!;

test('words', (t) => {
  const at = (type: string, S: bigint, A = 0n) => patched(t, one({ ...m32, A }, type, '12345678', S));
  for (const type of ['DIR32', 'SEGREL32', 'SECREL32', 'PLABEL32'])
    t.is(at(`R_PARISC_${type}`, 0xffff_0000n, -1n), 'fffeffff');
  t.is(at('R_PARISC_PCREL32', P + 8n, 4n), '00000004');
  t.is(at('R_PARISC_PCREL32', P + 4n), 'fffffffc');
  t.is(
    patched(t, one({ ...m32, P: P + 2n }, 'R_PARISC_PCREL32', '00000000', P + 8n)),
    '00000000',
    'counts from a word',
  );
  const at64 = (type: string, bytes: string, S: bigint, A = 0n) => patched(t, one({ ...m64, A }, type, bytes, S));
  t.is(at64('R_PARISC_DIR64', '0000000000000000', 0x1234_5678_9abc_def0n, 1n), '123456789abcdef1');
  t.is(at64('R_PARISC_PCREL64', '0000000000000000', P), 'fffffffffffffff8');
  for (const type of ['SEGREL32', 'SECREL32']) t.is(at64(`R_PARISC_${type}`, '00000000', 0x1_2345_6789n), '23456789');
  t.is(at64('R_PARISC_PCREL32', '00000000', P + 0x1_0000_0010n), '00000008', 'wraps');
});

test('left and right parts make the address, with an addend that both round alike', (t) => {
  const S = fc.bigInt({ min: 1n, max: 0xffff_ffffn });
  const A = fc.bigInt({ min: -(1n << 20n), max: 1n << 20n });
  fc.assert(
    fc.property(S, A, fc.constantFrom('DIR', 'DPREL'), (s, a, kind) => {
      const part = (type: string, bytes: string): bigint =>
        word(patched(t, one({ ...m32, A: a }, `R_PARISC_${kind}${type}`, bytes, s)));
      const [left, right] = [part('21L', '2b7fffff'), part('14R', '343fffff')];
      t.is(left >> 21n, 0x2b7f_ffffn >> 21n);
      t.is(right >> 14n, 0x343f_ffffn >> 14n);
      const from = kind === 'DPREL' ? GLOBAL : 0n;
      t.is(BigInt.asUintN(32, (im21(left) << 11n) + im14(right)), BigInt.asUintN(32, s + a - from));
      // Instructions for fields of one structure share their left part.
      if (a >= 0n && a < 0xff0n) t.is(im21(left), BigInt.asUintN(21, BigInt.asUintN(32, s - from) >> 11n));
    }),
  );
});

test('the global pointer is what a case was recorded with', (t) => {
  const config = parisc.replayConfig!({ dp: '0x94c70' } as Parameters<NonNullable<typeof parisc.replayConfig>>[0]);
  t.is(patched(t, one({ ...m32, config }, 'R_PARISC_DPREL14R', '00000000', 0x94c71n)), '00000002');
});

// biome-ignore format: table
const BRANCHES = [
  ['R_PARISC_PCREL17F', 17, 'ffe0e002', w17],
  ['R_PARISC_PCREL22F', 22, 'fc00e002', w22],
] as const;
for (const [type, bits, bytes, decode] of BRANCHES) {
  const reach = 1n << BigInt(bits + 1);
  const P0 = 0x0800_0008n;
  const branch = (S: bigint): Outcome => one({ arch: parisc, P: P0 }, type, bytes, S);
  test(`${type} reaches both ends, and takes a stub beyond`, (t) => {
    for (const distance of [0n, 4n, -4n, reach - 4n, -reach]) {
      const insn = word(patched(t, branch(P0 + 8n + distance)));
      t.is(decode(insn) * 4n, distance);
      t.is(insn & 0xfc00_e002n, 0xfc00_e002n & word(bytes), 'other bits stay');
    }
    for (const distance of [reach, -reach - 4n]) {
      const o = branch(P0 + 8n + distance);
      // One stub was counted; it lies in front of the section, in the first of two places.
      t.is(decode(word(patched(t, o))) * 4n, -8n - 8n - 16n);
      const target = P0 + 8n + distance;
      const [ldil, be] = stubs(o) as [bigint, bigint];
      t.is(ldil & ~0x1f_ffffn, 0x2020_0000n);
      t.is(be & ~0x1f_1ffdn, 0xe020_2002n);
      t.is((im21(ldil) << 11n) + w17(be) * 4n, target);
      t.deepEqual(stubs(o).slice(2), [0n, 0n]);
    }
  });

  test(`${type}: a section too long to reach its own stubs`, (t) => {
    const at = Number(reach) + 64;
    const o = relocate({
      arch: parisc,
      sections: { '.text': { addr: 0x0100_0000n, data: at + 8 } },
      symbols: { far: 0x0f00_0000n },
      relocs: { '.text': [[at, type, 'far']] },
    });
    t.is(o.errno, 'ENOEXEC');
    const distance = BigInt.asUintN(32, -BigInt(at) - 16n - 8n) >> 2n;
    t.deepEqual(o.log, [
      `module fix relocation of symbol far is out of range (0x${distance.toString(16)} in ${bits} bits)`,
    ]);
    t.is(o.hex('.text').slice(2 * at, 2 * at + 8), '00000000');
    t.not(stubs(o)[0], 0n);
  });
}

test('a stub keeps the addend', (t) => {
  const A = fc.bigInt({ min: -0x8000n, max: 0x8000n });
  fc.assert(
    fc.property(A, (a) => {
      const o = one({ ...m32, A: 4n * a }, 'R_PARISC_PCREL17F', '00000000', 0x0c00_0000n);
      const [ldil, be] = stubs(o) as [bigint, bigint];
      t.is((im21(ldil) << 11n) + w17(be) * 4n, 0x0c00_0000n + 4n * a);
    }),
    { numRuns: 50 },
  );
});

test('every branch out of reach has a stub of its own, in order, aligned', (t) => {
  for (const addr of [0x10_0000n, 0x10_0004n]) {
    const far = [0x0c00_0000n, 0x0c00_1000n, 0x0c00_0000n];
    const o = relocate({
      arch: parisc,
      sections: { '.text': { addr, data: 16 } },
      symbols: { near: 0x10_0100n, a: far[0]!, b: far[1]! },
      relocs: {
        '.text': [
          [0, 12, 'a'],
          [4, 12, 'near'],
          [8, 12, 'b'],
          [12, 12, 'a'],
        ],
      },
    });
    t.is(o.errno, undefined);
    const bytes = words(stubsOf(o, '.text'));
    t.is(bytes.length, 2 * 5);
    const skip = addr === 0x10_0004n ? 1 : 0;
    for (let i = 0; i < 3; i++) {
      const [ldil, be] = bytes.slice(2 * i + skip) as [bigint, bigint];
      t.is((im21(ldil) << 11n) + w17(be) * 4n, far[i]!);
      const at = addr - 40n + BigInt(4 * skip) + BigInt(8 * i);
      const place = addr + [0n, 8n, 12n][i]!;
      t.is(w17(words(o.section('.text').bytes)[[0, 2, 3][i]!]!) * 4n, at - place - 8n);
    }
  }
});

test('what is in front of a section: one more than its branches, of all sections', (t) => {
  const count = (arch: typeof parisc, relocs: readonly GivenReloc[]): number[] => {
    const sections = { '.text': { addr: P, data: 64 }, '.data': { addr: P + 0x1000n, data: 8 } };
    const { module } = relocate({ arch, sections, memory, symbols: { a: P }, relocs: { '.text': relocs } });
    return module.sections.map((s) => arch.sectionPrepend!(module, s.index));
  };
  const relocs: GivenReloc[] = [
    [0, 74, 'a'],
    [4, 74, 'a'],
    [8, 9, 'a'],
  ];
  t.deepEqual(count(parisc, relocs), [8, 24, 8, 8]);
  t.deepEqual(count(parisc, [...relocs, [12, 12, 'a']]), [8, 32, 8, 8]);
  t.deepEqual(count(parisc64, relocs), [16, 48, 16, 16]);
});

test('two relocation sections of one section are worth a WARN, and are counted together', (t) => {
  const given: Given = {
    arch: parisc,
    sections: { '.text': { addr: P, data: 8 } },
    symbols: { a: 0x0c00_0000n },
    relocs: { '.text': [[0, 12, 'a']] },
  };
  const o = relocate(given);
  t.is(o.warns, 0);
  // Frob looks at a second one.
  const log: string[] = [];
  let warns = 0;
  const again = o.module.sections.find((s) => s.name === '.rela.text')!;
  const module = {
    ...o.module,
    sections: [...o.module.sections, { ...again, index: o.module.sections.length }],
    log: (line: string) => void log.push(line),
    warn: () => void warns++,
  };
  parisc.frobSections!(module);
  t.is(warns, 1);
  t.is(parisc.sectionPrepend!(module, 1), 24);
});

// 64 bits: GOT, descriptors and stubs

const text64 = (
  relocs: readonly GivenReloc[],
  symbols: NonNullable<Given['symbols']>,
  more: Partial<Given> = {},
): Outcome =>
  relocate({
    arch: parisc64,
    memory: more.version === '6.1' ? memory61 : memory,
    sections: { '.text': { addr: 0x10_1000n, data: 64 }, '.data': { addr: 0x18_0000n, data: 64 } },
    symbols,
    relocs: { '.text': relocs },
    ...more,
  });
const head = (o: Outcome, size: number): string =>
  Buffer.from((o.module.memory.text ?? o.module.memory.core)!.bytes.subarray(0, size)).toString('hex');
const quad = (v: bigint): string => v.toString(16).padStart(16, '0');

test('LTOFF: an entry for each value, and its offset in two parts', (t) => {
  for (const version of versions) {
    const [a, b] = [0x1234_5678_9abc_def0n, 0x40n];
    const o = text64(
      [
        [0, 'R_PARISC_LTOFF21L', 'a'],
        [4, 'R_PARISC_LTOFF14R', 'a'],
        [8, 'R_PARISC_LTOFF21L', 'b', 4n],
        [12, 'R_PARISC_LTOFF14R', 'c'],
      ],
      { a, b, c: b + 4n },
      { version },
    );
    t.is(o.errno, undefined);
    t.is(head(o, 32), quad(a) + quad(b + 4n) + '00'.repeat(16));
    const w = words(o.section('.text').bytes);
    t.deepEqual([im14(w[1]!), im14(w[3]!)], [0n, 8n]);
    t.is(parisc64.regionHead!(o.module, version === '6.1' ? 'core' : 'text'), 32);
    t.is(parisc64.regionHead!(o.module, 'data'), 0);
  }
});

test('LTOFF: 0 would end the GOT', (t) => {
  t.is(text64([[0, 'R_PARISC_LTOFF21L', 'a', -4n]], { a: 4n }).crash, 'BUG');
});

test('a GOT beyond 2 KiB shows in the left part', (t) => {
  const relocs = Array.from({ length: 300 }, (_, i): GivenReloc => [4 * (i & 7), 'R_PARISC_LTOFF21L', 'a', BigInt(i)]);
  const o = text64([...relocs, [40, 'R_PARISC_LTOFF21L', 'a', 299n], [44, 'R_PARISC_LTOFF14R', 'a', 299n]], {
    a: 0x1000n,
  });
  const w = words(o.section('.text').bytes);
  t.is((im21(w[10]!) << 11n) + im14(w[11]!), 299n * 8n);
});

test('FPTR64: a descriptor for a function of the module, the value of another', (t) => {
  for (const version of versions) {
    const data: GivenReloc[] = [
      [0, 'R_PARISC_FPTR64', 'f'],
      [8, 'R_PARISC_FPTR64', 'g', 8n],
      [16, 'R_PARISC_FPTR64', 'f'],
      [24, 'R_PARISC_FPTR64', 'out', 1n],
    ];
    const symbols = { f: 0x10_1010n, g: 0x30_0000n, out: 0x4012_3456n };
    const o = text64([[0, 'R_PARISC_LTOFF21L', 'f']], symbols, {
      version,
      relocs: { '.text': [[0, 'R_PARISC_LTOFF21L', 'f']], '.data': data },
    });
    t.is(o.errno, undefined);
    // The GOT of one entry ends on 16 bytes; a descriptor starts with two words that nobody uses.
    t.is(head(o, 80).slice(32), [0n, 0n, symbols.f, 0x10_0000n, 0n, 0n, symbols.g + 8n, 0x10_0000n].map(quad).join(''));
    const [first, second] = [0x10_0010n, 0x10_0030n];
    t.is(o.hex('.data').slice(0, 64), [first, second, first, symbols.out + 1n].map(quad).join(''));
    t.is(parisc64.regionHead!(o.module, version === '6.1' ? 'core' : 'text'), 16 + 4 * 32);
  }
});

test('what is local: from the first to the last address, and in 6.1 the one behind', (t) => {
  const at = (S: bigint, version: Version): string =>
    text64([], { f: S }, { version, relocs: { '.data': [[0, 'R_PARISC_FPTR64', 'f']] } })
      .hex('.data')
      .slice(0, 16);
  for (const version of versions) {
    t.is(at(0x10_0000n, version), quad(0x10_0000n), 'the descriptor, at the start of text');
    t.is(at(0x1f_ffffn, version), quad(0x10_0000n));
    t.is(at(0x0f_ffffn, version), quad(0x0f_ffffn));
    t.is(at(0x20_0000n, version), quad(version === '6.1' ? 0x10_0000n : 0x20_0000n));
    t.is(at(0x20_0001n, version), quad(0x20_0001n));
    t.is(at(0x30_1000n, version), quad(version === '6.1' ? 0x10_0000n : 0x30_1000n));
  }
});

test('6.1 without init memory takes 0 for local, and asks for its descriptor', (t) => {
  const o = text64(
    [],
    { f: 4n },
    { version: '6.1', memory: { core: memory.text }, relocs: { '.data': [[0, 'R_PARISC_FPTR64', 'f', -4n]] } },
  );
  t.is(o.errno, undefined);
  t.deepEqual(o.log, ['fix: zero OPD requested!']);
  t.is(o.hex('.data').slice(0, 16), quad(0n));
});

test('PCREL22F to the module is direct, or by a stub of three instructions', (t) => {
  const near = text64([[0, 74, 'f']], { f: 0x10_1020n });
  t.is(w22(words(near.section('.text').bytes)[0]!) * 4n, 0x20n - 8n);
  const wide = { text: { base: 0x10_0000n, size: 0x200_0000 } };
  const far = text64([[0, 74, 'f']], { f: 0x10_1008n + 0x80_0000n }, { memory: wide });
  t.is(w22(words(far.section('.text').bytes)[0]!) * 4n, -32n - 8n);
  const [ldil, ldo, bve, last] = stubs(far) as [bigint, bigint, bigint, bigint];
  t.is((im21(ldil) << 11n) + im14(ldo), 0x90_1008n);
  t.deepEqual([ldil & ~0x1f_ffffn, ldo & ~0x3fffn, bve, last], [0x2020_0000n, 0x3421_0000n, 0xe820_d002n, 0n]);
  t.is(head(far, 8), quad(0n), 'no GOT entry');
});

test('PCREL22F out of the module goes through the GOT, however near', (t) => {
  const relocs = Array.from({ length: 4 }, (_, i): GivenReloc => [4 * i, 74, `f${i >> 1}`, 4n * BigInt(i >> 1)]);
  const o = text64(relocs, { f0: 0x9_fff0n, f1: 0x20_0000n });
  const all = stubs(o);
  t.is(all.length, 4 * 5);
  // ldd 0(%dp), %dp with a short displacement: twice it, in bits 20:17
  t.deepEqual(all.slice(0, 4), [0x0f60_10dbn, 0x5361_0020n, 0xe820_d000n, 0x537b_0030n]);
  t.deepEqual(all.slice(8, 12), [0x0f60_10dbn | (16n << 16n), 0x5361_0020n, 0xe820_d000n, 0x537b_0030n]);
  t.is(head(o, 16), quad(0x9_fff0n) + quad(0x20_0004n));
});

test('from the third GOT entry on ldd has its long form', (t) => {
  const gots = Array.from({ length: 4097 }, (_, i): GivenReloc => [0, 'R_PARISC_LTOFF14R', 'a', BigInt(i)]);
  const call = (n: number): bigint =>
    stubs(
      text64(
        [...gots.slice(0, n), [4, 74, 'out']],
        { a: 0x1000n, out: 0x4000_0000n },
        { memory: { text: memory.text } },
      ),
    )[0]!;
  t.is(call(2), 0x537b_0020n);
  t.is(call(4094), 0x537b_0000n | (0x7ff0n << 1n));
  t.is(call(4096), 0x537b_c001n, 'a sign: 32768 becomes -32768');
});

test('millicode is called without touching the global pointer', (t) => {
  const o = text64([[0, 74, '$$mulI']], { $$mulI: 0x4012_3454n });
  const [ldil, ldo, ldd, bve] = stubs(o) as [bigint, bigint, bigint, bigint];
  t.is((im21(ldil) << 11n) + im14(ldo), 0x4012_3454n);
  t.deepEqual([ldd, bve], [0x5021_0020n, 0xe820_d002n]);
  t.is(head(o, 8), quad(0n));
});

test('counted is what may be emitted: no module runs out of anything', (t) => {
  const reloc = fc.tuple(
    fc.integer({ min: 0, max: 7 }),
    fc.constantFrom(34, 38, 64, 74),
    fc.constantFrom('in', 'far', 'out', '$$m'),
    fc.integer({ min: 0, max: 3 }),
  );
  fc.assert(
    fc.property(fc.array(reloc, { maxLength: 30 }), (list) => {
      const relocs = list.map(([at, type, name, a]): GivenReloc => [8 * at, type, name, 4n * BigInt(a)]);
      const symbols = { in: 0x10_1000n, far: 0xa0_0000n, out: 0x4000_0000n, $$m: 0x4100_0000n };
      const o = text64(relocs, symbols, { memory: { text: { base: 0x10_0000n, size: 0x100_0000 } } });
      t.is(o.errno ?? o.crash, undefined);
      const local = (v: bigint): boolean => v >= 0x10_0000n && v < 0x110_0000n;
      const wants = relocs.filter(([, type, name, A]) => {
        const value = symbols[name as 'in'] + A!;
        return type === 34 || type === 38 || (type === 74 && !local(value) && name !== '$$m');
      });
      const values = new Set(wants.map(([, , name, A]) => symbols[name as 'in'] + A!));
      t.is(head(o, 8 * values.size), [...values].map(quad).join(''));
    }),
    { numRuns: 100 },
  );
});

// Symbols and types

test('a symbol of 0 is unknown, weak or not', (t) => {
  for (const version of versions) {
    for (const m of [m32, m64]) {
      for (const type of [41, 255]) {
        const o = one({ ...m, version }, type, '12345678', 0n);
        refused(t, o, '12345678', 'ENOENT', 'fix: Unknown symbol foo');
      }
    }
    const weak = relocate({
      arch: parisc,
      version,
      sections: { '.data': { addr: P, data: 4 } },
      symbols: { w: { value: 0n, weak: true } },
      relocs: { '.data': [[0, 1, 'w']] },
    });
    t.is(weak.errno, 'ENOENT');
  }
});

test('types nobody knows, NONE among them', (t) => {
  for (const version of versions) {
    for (const type of [0, 3, 10, 11, 14, 34, 38, 48, 64, 72, 80, 255])
      refused(
        t,
        one({ ...m32, version }, type, '00000000', 4n),
        '00000000',
        'ENOEXEC',
        `module fix: Unknown relocation: ${type}`,
      );
    for (const type of [0, 1, 2, 6, 12, 18, 22, 65, 255, 0x1_0000])
      refused(
        t,
        one({ ...m64, version }, type, '00000000', 4n),
        '00000000',
        'ENOEXEC',
        `module fix: Unknown relocation: ${type}`,
      );
  }
});

test('the header: e_machine 15 and the class', (t) => {
  const header = { is64: false, little: false, e_machine: 15, e_flags: 0, e_entry: 0n };
  t.true(acceptsHeader(parisc, header, {}));
  t.false(acceptsHeader(parisc64, header, {}));
  t.true(acceptsHeader(parisc64, { ...header, is64: true }, {}));
  t.false(acceptsHeader(parisc, { ...header, e_machine: 8 }, {}));
});

// module_finalize()

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
/** A relocated module that gets more sections before finalize(). */
function finalize(o: Outcome, more: readonly (Partial<Section> & Pick<Section, 'name' | 'bytes'>)[]): string {
  const all = o.module.sections as Section[];
  for (const given of more) {
    const made = { ...all[0]!, sh_flags: SHF_ALLOC, sh_type: SHT_PROGBITS, ...given };
    all.push({ ...made, index: all.length, sh_size: given.bytes.length });
  }
  try {
    (o.module.format.is64 ? parisc64 : parisc).finalize!(o.module);
    return 'ok';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.errno;
  }
}
const plain = (): Outcome => relocate({ arch: parisc, sections: { '.text': { addr: P, data: 4 } } });

test('the unwind table is sorted, and entries that overlap are told', (t) => {
  const o = plain();
  const row = (start: string, end: string): string => `${start}${end}${'aa'.repeat(8)}`;
  const [a, b, c] = [row('00001000', '0000100c'), row('00001010', '00001034'), row('00001030', '00001034')];
  t.is(finalize(o, [{ name: '.PARISC.unwind', sh_addr: 0x2000n, bytes: bytesOf(b + c + a) }]), 'ok');
  t.is(o.hex('.PARISC.unwind'), a + b + c);
  t.deepEqual(o.log, ['Out of order unwind entry! 00002010 and 00002020']);
});

test('labels named .L leave the symbol table', (t) => {
  const o = plain();
  const names = '\0f\0.Lx\0g\0';
  const symbol = (st_name: number, value: string): string =>
    `${st_name.toString(16).padStart(8, '0')}${value}${'00'.repeat(8)}`;
  const [none, f, label, g] = [
    symbol(0, '00000000'),
    symbol(1, '00000011'),
    symbol(3, '00000022'),
    symbol(7, '00000033'),
  ];
  const link = o.module.sections.length + 1;
  t.is(
    finalize(o, [
      { name: '.symtab', sh_type: SHT_SYMTAB, sh_link: link, bytes: bytesOf(none + label + f + label + g) },
      { name: '.strtab', sh_type: SHT_STRTAB, bytes: new TextEncoder().encode(names) },
    ]),
    'ok',
  );
  t.is(o.section('.symtab').sh_size, 3 * 16);
  t.is(o.hex('.symtab').slice(0, 96), none + f + g);
  const kept = plain();
  t.is(
    finalize(kept, [
      { name: '.symtab', sh_type: SHT_SYMTAB, sh_flags: 0, sh_link: link, bytes: bytesOf(none + label) },
      { name: '.strtab', sh_type: SHT_STRTAB, bytes: new TextEncoder().encode(names) },
    ]),
    'ok',
  );
  t.is(kept.section('.symtab').sh_size, 32, 'without kallsyms it is not there');
});

test('4095 GOT entries are allowed', (t) => {
  const gots = (n: number): Outcome =>
    text64(
      Array.from({ length: n }, (_, i): GivenReloc => [0, 'R_PARISC_LTOFF14R', 'a', BigInt(i)]),
      { a: 0x1000n },
    );
  t.is(finalize(gots(4095), []), 'ok');
  const o = gots(4096);
  t.is(finalize(o, []), 'EINVAL');
  t.deepEqual(o.log, ['fix: Global Offset Table overflow (used 4096, allowed 4095)']);
});
