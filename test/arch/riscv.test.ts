import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import type { Arch } from '../../arch/arch.ts';
import { riscv32, riscv64 } from '../../arch/riscv.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS } from '../../relocs/elf.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { rowFor } from '../../relocs/rules.ts';
import {
  type Given,
  type GivenReloc,
  type GivenSection,
  type Outcome,
  relocate as relocateModule,
} from './relocate.ts';

const TEXT = 0xffff_ffff_0200_0000n;
const DATA = TEXT + 0x10_0000n;
const tables = {
  '.plt': { addr: TEXT + 0x20_0000n },
  '.got': { addr: TEXT + 0x20_1000n },
  '.got.plt': { addr: TEXT + 0x20_2000n },
} satisfies Record<string, GivenSection>;
const cat = (...parts: readonly string[]): string => parts.join('');
/** By a kernel that has GOT and PLT, unless it is said not to. */
const relocate = (given: Given): Outcome =>
  relocateModule({ ...given, config: { MODULE_SECTIONS: true, ...given.config } });
const hex16 = (v: bigint): string => BigInt.asUintN(64, v).toString(16).padStart(16, '0');

/** One relocation at .text+8, with other instructions around it, beside an entry that does nothing. */
function one(type: string | number, insn: string, S: bigint, more: Partial<Given> & { A?: bigint } = {}): Outcome {
  const { A = 0n, arch = riscv64, ...rest } = more;
  const addr = arch.is64 ? TEXT : 0xa000_0000n;
  return relocate({
    arch,
    sections: { '.text': { addr, data: `0011223344556677 ${insn} 8899aabbccddeeff` }, ...tables },
    symbols: { foo: S },
    relocs: {
      '.text': [
        [8, type, 'foo', A],
        [0, 'R_RISCV_RELAX', 'foo'],
      ],
    },
    ...rest,
  });
}
const patched = (o: Outcome): string => o.hex('.text').slice(16, -16);
const PLACE = TEXT + 8n;

function refused(t: ExecutionContext, o: Outcome, errno: string, line: string): void {
  t.is(o.errno, errno);
  t.deepEqual(o.log, [line]);
}

// biome-ignore format: table
const BRANCHES: readonly [type: string, insn: string, [target: bigint, bytes: string][]][] = [
  ['R_RISCV_BRANCH', '63000000', [[4n, '63020000'], [-4n, 'e30e00fe'], [0xffen, 'e30f007e'], [-0x1000n, '63000080'],
    [0x1000n, '63000080'], [-0x1002n, 'e30f007e']]],
  ['R_RISCV_JAL', '6f000000', [[4n, '6f004000'], [-4n, '6ff0dfff'], [0xf_fffen, '6ff0ff7f'], [-0x10_0000n, '6f000080'],
    [0x10_0000n, '6f000080'], [-0x10_0002n, '6ff0ff7f']]],
  ['R_RISCV_RVC_BRANCH', '01c0', [[4n, '11c0'], [-4n, '75dc'], [254n, '7dcc'], [-256n, '01d0'], [256n, '01d0'], [-258n, '7dcc']]],
  ['R_RISCV_RVC_JUMP', '01a0', [[4n, '11a0'], [-4n, 'f5bf'], [2046n, 'fdaf'], [-2048n, '01b0'], [2048n, '01b0'], [-2050n, 'fdaf']]],
];
for (const [type, insn, cases] of BRANCHES) {
  test(`${type} reaches both ends and wraps in silence beyond them`, (t) => {
    for (const [distance, bytes] of cases) {
      const o = one(type, insn, PLACE + distance);
      t.is(patched(o), bytes, `${distance}`);
      t.deepEqual(o.log, []);
    }
  });
}

test('a branch keeps the other bits of its instruction', (t) => {
  t.is(patched(one('R_RISCV_BRANCH', 'ffffffff', PLACE)), '7ff0ff01');
  t.is(patched(one('R_RISCV_JAL', 'ffffffff', PLACE)), 'ff0f0000');
  t.is(patched(one('R_RISCV_RVC_BRANCH', 'ffff', PLACE)), '83e3');
  t.is(patched(one('R_RISCV_RVC_JUMP', 'ffff', PLACE)), '03e0');
});

test('auipc and jalr share a displacement, the low part signed', (t) => {
  const call = '97000000 e7800000'; // auipc ra, 0; jalr 0(ra)
  for (const type of ['R_RISCV_CALL', 'R_RISCV_CALL_PLT']) {
    t.is(patched(one(type, call, PLACE + 0x1234n)), '97100000e7804023');
    t.is(patched(one(type, call, PLACE + 0x7ffn)), '97000000e780f07f');
    t.is(patched(one(type, call, PLACE + 0x800n)), '97100000e7800080');
    t.is(patched(one(type, call, PLACE - 1n)), '97000000e780f0ff');
  }
  t.is(patched(one('R_RISCV_PCREL_HI20', '97000000', PLACE + 0x800n)), '97100000');
  t.is(patched(one('R_RISCV_PCREL_HI20', '97000000', PLACE + 0x7ffn)), '97000000');
});

const LAST = (1n << 31n) - 0x801n;
const FIRST = -(1n << 31n) - 0x800n;
const HERE: Partial<Given> & { sections: Given['sections'] } = {
  sections: {
    '.text': { addr: 0x10_0000_0000n, data: 24 },
    '.plt': { addr: 0x10_0000_1000n },
    '.got': { addr: 0x10_0000_2000n },
    '.got.plt': { addr: 0x10_0000_3000n },
  },
};
for (const type of ['R_RISCV_CALL', 'R_RISCV_PCREL_HI20']) {
  test(`${type} passes at both ends of auipc's reach and is refused one beyond`, (t) => {
    const P = 0x10_0000_0008n;
    t.is(
      one(type, '', P + LAST, HERE)
        .hex('.text')
        .slice(16, 24),
      '00f0ff7f',
    );
    t.is(
      one(type, '', P + FIRST, HERE)
        .hex('.text')
        .slice(16, 24),
      '00000080',
    );
    for (const S of [P + LAST + 1n, P + FIRST - 1n]) {
      const o = one(type, '', S, HERE);
      refused(
        t,
        o,
        'EINVAL',
        `fix: target ${hex16(S)} can not be addressed by the 32-bit offset from PC = 0000001000000008`,
      );
      t.is(o.hex('.text'), '00'.repeat(24));
      t.regex(o.reason, /R_RISCV_\w+ holds -0x80000800 … 0x7ffff7ff/);
    }
  });
}

test('R_RISCV_32 holds what is a u32, R_RISCV_64 everything', (t) => {
  t.is(patched(one('R_RISCV_32', 'ffffffff', 0n)), '00000000');
  t.is(patched(one('R_RISCV_32', '00000000', 0xffff_ffffn)), 'ffffffff');
  refused(
    t,
    one('R_RISCV_32', '00000000', 0x1_0000_0000n),
    'EINVAL',
    'fix: value 0000000100000000 out of range for 32-bit field',
  );
  refused(
    t,
    one('R_RISCV_32', '00000000', 0n, { A: -1n }),
    'EINVAL',
    'fix: value ffffffffffffffff out of range for 32-bit field',
  );
  t.is(patched(one('R_RISCV_64', '0000000000000000', TEXT, { A: -1n })), 'ffffff01ffffffff');
});

test('HI20 and LO12 take the low 32 bits of an address, unchecked', (t) => {
  t.is(patched(one('R_RISCV_HI20', 'b7000000', 0x1234_5678_8765_4ffen)), 'b7506587');
  t.is(patched(one('R_RISCV_LO12_I', '13000000', 0x1234_5678_8765_4ffen)), '1300e0ff');
  t.is(patched(one('R_RISCV_LO12_S', '23000000', 0x1234_5678_8765_4ffen)), '230f00fe');
  t.is(patched(one('R_RISCV_LO12_I', '13000000', 0x7ffn)), '1300f07f');
  refused(
    t,
    one('R_RISCV_HI20', 'b7000000', 0x1000n, { config: { CMODEL_MEDLOW: true } }),
    'EINVAL',
    `fix: target 0000000000001000 can not be addressed by the 32-bit offset from PC = ${hex16(PLACE)}`,
  );
});

test('32_PCREL and PLT32 are words relative to their place', (t) => {
  t.is(patched(one('R_RISCV_32_PCREL', '00000000', PLACE - 2n)), 'feffffff');
  t.is(patched(one('R_RISCV_32_PCREL', '00000000', PLACE + (1n << 40n))), '00000000');
  t.is(patched(one('R_RISCV_PLT32', '00000000', PLACE + 0x1234n)), '34120000');
});

test('PLT32 is held to the reach of auipc: too little above, too much below', (t) => {
  const there = 0x10_0000_0008n;
  const word = (S: bigint): string => one('R_RISCV_PLT32', '', S, HERE).hex('.text').slice(16, 24);
  t.is(word(there + LAST), 'fff7ff7f');
  t.is(word(there + LAST + 1n), 'f80f0000'); // .plt
  t.is(word(there - (1n << 31n)), '00000080');
  t.is(word(there - (1n << 31n) - 1n), 'ffffff7f');
  t.is(word(there + FIRST), '00f8ff7f');
  t.is(word(there + FIRST - 1n), 'f80f0000');
});

// Pairs

/** HI20 entries at the given offsets for s0, s1, …, then one LO12_I at 0x100 that names the place `of`. */
const pairs = (
  version: Version,
  relocs: readonly GivenReloc[],
  of: number,
  more: Readonly<Record<string, bigint>> = {},
): Outcome =>
  relocate({
    arch: riscv64,
    version,
    sections: { '.text': { addr: TEXT, data: 0x2000 }, ...tables },
    symbols: { near: TEXT + 0x1123n, far: TEXT + 0x1456n, hi: TEXT + BigInt(of), foo: 0n, ...more },
    relocs: { '.text': relocs },
  });
const wordAt = (o: Outcome, offset: number): string => o.hex('.text').slice(2 * offset, 2 * offset + 8);

test('LO12 takes the target of the HI20 it names, whichever comes first', (t) => {
  for (const version of versions) {
    const after = pairs(
      version,
      [
        [8, 'R_RISCV_PCREL_HI20', 'near'],
        [12, 'R_RISCV_PCREL_LO12_I', 'hi'],
        [16, 'R_RISCV_PCREL_LO12_S', 'hi'],
      ],
      8,
    );
    t.is(wordAt(after, 12), '0000b011'); // 0x1123 - 8 = 0x111b
    t.is(wordAt(after, 16), '800d0010');
    const before = pairs(
      version,
      [
        [12, 'R_RISCV_PCREL_LO12_I', 'hi'],
        [8, 'R_RISCV_PCREL_HI20', 'near', 5n],
      ],
      8,
    );
    t.is(wordAt(before, 12), '00000012');
  }
});

test('LO12 without its HI20 is refused', (t) => {
  for (const version of versions) {
    const o = pairs(
      version,
      [
        [8, 'R_RISCV_HI20', 'near'],
        [12, 'R_RISCV_PCREL_LO12_I', 'hi'],
      ],
      8,
    );
    refused(t, o, 'EINVAL', 'fix: Can not find HI20 relocation information');
    t.true(o.reason.includes('no high half at 0xffffffff02000008, which is hi'));
  }
});

test('of two HI20 at one place 6.1 takes the first, later kernels the next from the last found', (t) => {
  const relocs: GivenReloc[] = [
    [8, 'R_RISCV_PCREL_HI20', 'near'],
    [4, 'R_RISCV_PCREL_HI20', 'near'],
    [8, 'R_RISCV_PCREL_HI20', 'far'],
    [16, 'R_RISCV_PCREL_LO12_I', 'four'],
    [20, 'R_RISCV_PCREL_LO12_I', 'hi'],
  ];
  const lo = (version: Version): string => wordAt(pairs(version, relocs, 8, { four: TEXT + 4n }), 20);
  t.is(lo('6.1'), '0000b011');
  t.is(lo('6.12'), '0000e044');
  t.is(lo('7.2'), '0000e044');
});

test('a pair is found however far apart, as the plain search finds it', (t) => {
  const entry = fc.record({
    hi: fc.boolean(),
    offset: fc.integer({ min: 0, max: 40 }),
    sym: fc.integer({ min: 0, max: 15 }),
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 120 }), fc.constantFrom(...versions), (entries, version) => {
      const places = entries.filter((e) => e.hi).map((e) => e.offset);
      if (places.length === 0) return;
      const symbols: Record<string, bigint> = {};
      for (let i = 0; i < 16; i++) symbols[`s${i}`] = TEXT + BigInt(0x1000 + 0x77 * i);
      for (const p of places) symbols[`at${p}`] = TEXT + BigInt(4 * p);
      // Low halves lie apart, so that every one of them can be read at the end.
      const relocs = entries.map(
        (e, i): GivenReloc =>
          e.hi
            ? [4 * e.offset, 'R_RISCV_PCREL_HI20', `s${e.sym}`]
            : [0x400 + 4 * i, 'R_RISCV_PCREL_LO12_I', `at${places[e.sym % places.length]}`],
      );
      const o = relocate({
        arch: riscv64,
        version,
        sections: { '.text': { addr: TEXT, data: 0x1000 }, ...tables },
        symbols,
        relocs: { '.text': relocs },
      });
      t.is(o.errno, undefined);
      let found = 0;
      entries.forEach((e, i) => {
        if (e.hi) return;
        const place = places[e.sym % places.length];
        let j = version === '6.1' ? 0 : found;
        while (!(entries[j]!.hi && entries[j]!.offset === place)) j = (j + 1) % entries.length;
        found = j;
        const target = symbols[`s${entries[j]!.sym}`]! - TEXT - BigInt(4 * place);
        t.is(wordAt(o, 0x400 + 4 * i), le32((target & 0xfffn) << 20n));
      });
    }),
    { numRuns: 100 },
  );
});

const le32 = (v: bigint): string => Buffer.from(Uint32Array.of(Number(BigInt.asUintN(32, v))).buffer).toString('hex');

// GOT and PLT

test('GOT entries are shared by value, between HI20 and LO12 too', (t) => {
  const o = pairs(
    '7.2',
    [
      [8, 'R_RISCV_GOT_HI20', 'near'],
      [12, 'R_RISCV_PCREL_LO12_I', 'hi'],
      [16, 'R_RISCV_GOT_HI20', 'far'],
      [20, 'R_RISCV_GOT_HI20', 'alias', 3n],
    ],
    8,
    { alias: TEXT + 0x1456n - 3n },
  );
  t.is(o.errno, undefined);
  t.is(o.section('.got').sh_size, 8 * 4);
  t.is(o.hex('.got'), cat('23110002ffffffff', '56140002ffffffff', '00'.repeat(16)));
  t.is(wordAt(o, 8), '00102000'); // .got - 8 rounds up to its page
  t.is(wordAt(o, 12), '000080ff');
  t.is(wordAt(o, 16), wordAt(o, 20));
});

test('a call out of reach goes through the PLT, one within does not', (t) => {
  const out = 0x4000_0000_0000n;
  const o = relocate({
    arch: riscv64,
    sections: { '.text': { addr: TEXT, data: 64 }, ...tables },
    symbols: { near: TEXT + 32n, out, other: out + 8n },
    relocs: {
      '.text': [
        [0, 'R_RISCV_CALL_PLT', 'near'],
        [8, 'R_RISCV_CALL_PLT', 'out'],
        [16, 'R_RISCV_CALL_PLT', 'out'],
        [24, 'R_RISCV_PLT32', 'other'],
        [28, 'R_RISCV_PLT32', 'out', 8n],
      ],
    },
  });
  t.is(o.errno, undefined);
  const { sh_type, sh_flags, sh_size, sh_addralign } = o.section('.plt');
  t.deepEqual(
    { sh_type, sh_flags, sh_size, sh_addralign },
    { sh_type: SHT_NOBITS, sh_flags: SHF_ALLOC | SHF_EXECINSTR, sh_size: 5 * 12, sh_addralign: 64 },
  );
  t.is(o.section('.got.plt').sh_size, 5 * 8);
  t.is(o.section('.got.plt').sh_flags, SHF_ALLOC);
  t.is(o.hex('.got.plt').slice(0, 64), cat('0000000000400000', '0800000000400000', '00'.repeat(16)));
  // auipc t0, 2; ld t1, 0(t0); jr t1 and, 12 bytes on, ld t1, -4(t0) for a slot 8 bytes on
  t.is(
    o.hex('.plt').slice(0, 72),
    cat('97220000', '03b30200', '67000300', '97220000', '03b3c2ff', '67000300', '00'.repeat(12)),
  );
  t.is(wordAt(o, 8) + wordAt(o, 12), cat('00002000', '000080ff'));
  t.is(wordAt(o, 24), le32(0x20_0000n + 12n - 24n));
  t.is(wordAt(o, 28), le32(0x20_0000n + 12n - 28n));
});

test('a module without .plt, .got or .got.plt is refused, unless the kernel has no MODULE_SECTIONS', (t) => {
  for (const version of versions) {
    for (const name of ['.plt', '.got', '.got.plt'] as const) {
      const sections = Object.fromEntries(Object.entries(tables).filter(([n]) => n !== name));
      const o = relocate({ arch: riscv64, version, sections });
      refused(t, o, 'ENOEXEC', `fix: module ${name.slice(1).toUpperCase()} section(s) missing`);
    }
    refused(t, relocate({ arch: riscv64, version, sections: {} }), 'ENOEXEC', 'fix: module PLT section(s) missing');
  }
  t.is(relocate({ arch: riscv64, sections: {}, config: { MODULE_SECTIONS: false } }).errno, undefined);
});

test("6.1 always has GOT and PLT, Debian's 6.12 has not", (t) => {
  for (const arch of [riscv64, riscv32]) {
    const errno = (version: Version): string | undefined => relocateModule({ arch, version, sections: {} }).errno;
    t.is(errno('6.1'), 'ENOEXEC');
    t.is(errno('6.12'), undefined);
    t.is(errno('7.2'), 'ENOEXEC');
  }
});

test('without MODULE_SECTIONS nothing takes a detour', (t) => {
  const off = { config: { MODULE_SECTIONS: false } };
  const out = 0x4000_0000_0000n;
  const target = `fix: target ${hex16(out)} can not be addressed by the 32-bit offset from PC = ${hex16(PLACE)}`;
  refused(
    t,
    one('R_RISCV_GOT_HI20', '97000000', out, off),
    'EINVAL',
    `fix: can not generate the GOT entry for symbol = ${hex16(out)} from PC = ${hex16(PLACE)}`,
  );
  refused(t, one('R_RISCV_CALL_PLT', '0000000000000000', out, off), 'EINVAL', target);
  refused(t, one('R_RISCV_PLT32', '00000000', out, off), 'EINVAL', target);
  t.is(patched(one('R_RISCV_CALL_PLT', '97000000e7800000', PLACE + 4n, off)), '97000000e7804000');
});

test('an entry more than was counted is a BUG: tables count what code needs, and data may need too', (t) => {
  const out = 0x4000_0000_0000n;
  for (const type of ['R_RISCV_PLT32', 'R_RISCV_GOT_HI20']) {
    const o = relocate({
      arch: riscv64,
      sections: { '.rodata': { addr: DATA, data: 16 }, ...tables },
      symbols: { out },
      relocs: { '.rodata': [[0, type, 'out']] },
    });
    t.is(o.crash, 'BUG');
    t.deepEqual(o.log, []);
    t.regex(o.reason, /this kernel would crash here: \.(plt|got) was sized for 0 entries/);
  }
});

test('counting: once a section in 6.x, once a module in 7.2; types and addends apart', (t) => {
  const sized = (version: Version): number[] => {
    const relocs: GivenReloc[] = [
      [0, 'R_RISCV_CALL_PLT', 'a'],
      [8, 'R_RISCV_CALL_PLT', 'a'],
      [16, 'R_RISCV_CALL_PLT', 'a', 4n],
      [24, 'R_RISCV_GOT_HI20', 'a'],
    ];
    const o = relocate({
      arch: riscv64,
      version,
      symbols: { a: TEXT },
      sections: {
        '.text': { addr: TEXT, data: 32 },
        '.init.text': { addr: TEXT + 0x1000n, data: 32 },
        '.data': { addr: DATA, data: 32 },
        ...tables,
      },
      relocs: {
        '.text': relocs,
        '.init.text': relocs,
        ...(version !== '6.1' && { '.data': [[0, 'R_RISCV_CALL_PLT', 'a', 9n]] as GivenReloc[] }),
      },
    });
    t.is(o.errno, undefined);
    return [
      o.section('.plt').sh_size / 12 - 1,
      o.section('.got').sh_size / 8 - 1,
      o.section('.got.plt').sh_size / 8 - 1,
    ];
  };
  t.deepEqual(sized('6.1'), [4, 2, 4]);
  t.deepEqual(sized('6.12'), [4, 2, 4]);
  t.deepEqual(sized('7.2'), [2, 1, 2]);
});

const withPlt32 = (version: Version): Outcome =>
  relocate({
    arch: riscv64,
    version,
    symbols: { a: TEXT },
    sections: { '.text': { addr: TEXT, data: 8 }, ...tables },
    relocs: { '.text': [[0, 'R_RISCV_PLT32', 'a']] },
  });
test('PLT32 is counted from 6.12 on', (t) => {
  t.is(withPlt32('6.1').section('.plt').sh_size, 12);
  t.is(withPlt32('6.12').section('.plt').sh_size, 24);
  t.is(withPlt32('7.2').section('.plt').sh_size, 24);
});

test('law: code never takes more entries than were counted for it', (t) => {
  const entry = fc.tuple(
    fc.constantFrom('R_RISCV_CALL_PLT', 'R_RISCV_PLT32', 'R_RISCV_GOT_HI20'),
    fc.integer({ min: 0, max: 3 }),
    fc.bigInt({ min: -2n, max: 2n }),
  );
  const list = fc.array(entry, { maxLength: 12 });
  fc.assert(
    fc.property(list, list, fc.constantFrom('6.12' as const, '7.2' as const), (text, init, version) => {
      const symbols: Record<string, bigint> = {};
      for (let i = 0; i < 4; i++) symbols[`f${i}`] = 0x4000_0000_0000n + BigInt(i);
      const relocs = (of: typeof text): GivenReloc[] => of.map(([type, sym, A], i) => [8 * i, type, `f${sym}`, A]);
      const o = relocate({
        arch: riscv64,
        version,
        symbols,
        sections: { '.text': { addr: TEXT, data: 128 }, '.init.text': { addr: TEXT + 0x1000n, data: 128 }, ...tables },
        relocs: { '.text': relocs(text), '.init.text': relocs(init) },
      });
      t.is(o.crash, undefined);
      const key = ([type, sym, A]: (typeof text)[number]): string => `${type} ${sym} ${A}`;
      const distinct = (of: typeof text, plt: boolean): number =>
        new Set(of.filter(([type]) => (type !== 'R_RISCV_GOT_HI20') === plt).map(key)).size;
      const count = (plt: boolean): number =>
        version === '7.2' ? distinct([...text, ...init], plt) : distinct(text, plt) + distinct(init, plt);
      t.is(o.section('.plt').sh_size, 12 * (count(true) + 1));
      t.is(o.section('.got').sh_size, 8 * (count(false) + 1));
      const values = new Set(
        [...text, ...init].filter(([type]) => type !== 'R_RISCV_GOT_HI20').map(([, sym, A]) => BigInt(sym) + A),
      );
      const used = o
        .hex('.got.plt')
        .match(/.{16}/g)!
        .filter((slot) => slot !== '0'.repeat(16));
      t.is(used.length, values.size);
    }),
    { numRuns: 100 },
  );
});

// Sums

/** Relocations of a `.data` of 16 bytes (0xa5) at DATA. */
const data = (relocs: readonly GivenReloc[], symbols: Record<string, bigint>, more: Partial<Given> = {}): Outcome =>
  relocate({
    arch: riscv64,
    sections: { '.data': { addr: DATA, data: 'a5'.repeat(16) }, ...tables },
    symbols,
    relocs: { '.data': relocs },
    ...more,
  });
const head = (o: Outcome, bytes: number): string => o.hex('.data').slice(0, 2 * bytes);

test('differences of labels, as the kernel tests itself (module_test)', (t) => {
  for (const version of ['6.12', '7.2'] as const) {
    for (const arch of [riscv64, riscv32]) {
      const first = arch.is64 ? TEXT + 0x40n : 0xa000_0040n;
      const symbols = { first, second: first + 32n };
      for (const [bits, plus] of [
        [64, 'ADD'],
        [32, 'ADD'],
        [16, 'ADD'],
        [8, 'ADD'],
        [6, 'SET'],
      ] as const) {
        const o = data(
          [
            [0, `R_RISCV_${plus}${bits}`, 'second'],
            [0, `R_RISCV_SUB${bits}`, 'first'],
          ],
          symbols,
          { arch, version },
        );
        const size = Math.ceil(bits / 8);
        t.is(head(o, size + 1), (bits === 6 ? 'a0' : '20'.padEnd(2 * size, '0')) + 'a5', `${arch.name} ${bits}`);
      }
      for (const [difference, bytes] of [
        [127n, '7fa5a5'],
        [1000n, 'e807a5'],
      ] as const) {
        const o = data(
          [
            [0, 'R_RISCV_SET_ULEB128', 'second'],
            [0, 'R_RISCV_SUB_ULEB128', 'first'],
          ],
          { first, second: first + difference },
          { arch, version },
        );
        t.is(head(o, 3), bytes);
      }
      for (const [type, mask] of [
        ['SET32', 0xffff_ffffn],
        ['SET16', 0xffffn],
        ['SET8', 0xffn],
        ['SET6', 0x3fn],
      ] as const) {
        const o = data(
          [
            [0, `R_RISCV_${type}`, 'first'],
            [8, 'R_RISCV_RELAX', 'first'],
          ],
          { first },
          { arch, version },
        );
        const memory = Buffer.from(o.section('.data').bytes).readUInt32LE(0);
        t.is(BigInt(memory) & mask, first & mask, type);
      }
    }
  }
});

test('6.1 adds and subtracts in memory, later kernels from nothing', (t) => {
  const relocs: GivenReloc[] = [
    [0, 'R_RISCV_ADD32', 'a'],
    [0, 'R_RISCV_SUB32', 'b'],
    [8, 'R_RISCV_SUB64', 'b'],
    [8, 'R_RISCV_ADD64', 'a'],
  ];
  const of = (version: Version): string => data(relocs, { a: 0x1000n, b: 1n }, { version }).hex('.data');
  t.is(of('6.1'), cat('a4b5a5a5a5a5a5a5', 'a4b5a5a5a5a5a5a5'));
  t.is(of('6.12'), cat('ff0f0000a5a5a5a5', 'ff0f000000000000'));
  t.is(of('7.2'), of('6.12'));
});

test('law: a difference is right modulo its width, in any order, whatever memory held', (t) => {
  const address = fc.bigInt({ min: 0n, max: (1n << 64n) - 4097n });
  fc.assert(
    fc.property(
      fc.constantFrom(8, 16, 32, 64),
      address,
      address,
      fc.boolean(),
      fc.constantFrom('6.12' as const, '7.2' as const),
      (bits, a, b, swapped, version) => {
        const relocs: GivenReloc[] = [
          [0, `R_RISCV_ADD${bits}`, 'a'],
          [0, `R_RISCV_SUB${bits}`, 'b'],
        ];
        const o = data(swapped ? relocs.toReversed() : relocs, { a, b }, { version });
        t.is(
          o
            .section('.data')
            .bytes.subarray(0, bits / 8)
            .reduceRight((v, x) => (v << 8n) | BigInt(x), 0n),
          BigInt.asUintN(bits, a - b),
        );
        t.deepEqual(o.log, []);
      },
    ),
    { numRuns: 200 },
  );
});

test('the last entry decides the width; what does not fit is printed, not stored, and loads', (t) => {
  for (const [last, bits, limit] of [
    ['SUB6', 6, 63n],
    ['SUB8', 8, 255n],
    ['SUB16', 16, 0xffffn],
    ['SUB32', 32, 0xffff_ffffn],
  ] as const) {
    const size = Math.ceil(bits / 8);
    // A sum made by ADD64, and a last entry that subtracts nothing: SUB6 keeps the low six bits of its byte.
    const sum = (v: bigint): Outcome =>
      data(
        [
          [0, 'R_RISCV_ADD64', 'a'],
          [0, `R_RISCV_${last}`, 'zero'],
        ],
        { a: v, zero: 0n },
      );
    t.is(head(sum(limit), size + 1), (bits === 6 ? 'bf' : 'ff'.repeat(size)) + 'a5');
    t.deepEqual(sum(limit).log, []);
    const over = sum(limit === 63n ? 0x100n : limit + 1n);
    t.is(over.errno, undefined);
    t.is(head(over, 16), 'a5'.repeat(16));
    t.deepEqual(over.log, [
      `fix: value ${limit === 63n ? 0x100n : limit + 1n} out of range for ${bits}-bit relocation.`,
    ]);
    // Negative sums are below every limit.
    t.deepEqual(sum(0x8000_0000_0000_0000n).log, []);
  }
});

const sixBits = (first: string, last: string): Outcome =>
  data(
    [
      [0, first, 'a'],
      [0, last, 'b'],
    ],
    { a: 0xffn, b: 1n },
  );
test('SUB6 clears the two bits above in the sum, SET6 keeps them; memory keeps its own', (t) => {
  t.is(head(sixBits('R_RISCV_ADD8', 'R_RISCV_SUB6'), 1), 'be');
  const kept = sixBits('R_RISCV_ADD8', 'R_RISCV_SET6');
  t.deepEqual(kept.log, ['fix: value 193 out of range for 6-bit relocation.']);
  t.is(head(kept, 1), 'a5');
});

const ulebOf = (difference: bigint): string =>
  data(
    [
      [0, 'R_RISCV_SET_ULEB128', 'a'],
      [0, 'R_RISCV_SUB_ULEB128', 'b'],
    ],
    { a: TEXT + difference, b: TEXT },
  )
    .hex('.data')
    .replace(/(a5)*$/, '');
test('ULEB128 writes as few bytes as the sum needs, and none for 0', (t) => {
  t.is(ulebOf(0n), '');
  t.is(ulebOf(1n), '01');
  t.is(ulebOf(127n), '7f');
  t.is(ulebOf(128n), '8001');
  t.is(ulebOf(0x3fffn), 'ff7f');
  t.is(ulebOf(0x4000n), '808001');
});

test('a ULEB128 below zero is written for ever: the kernel dies of it', (t) => {
  const o = data(
    [
      [0, 'R_RISCV_SET_ULEB128', 'a'],
      [0, 'R_RISCV_SUB_ULEB128', 'b'],
    ],
    { a: TEXT, b: TEXT + 1n },
  );
  t.is(o.crash, 'signal 11');
  t.true(o.reason.includes('adds up to -1, and writing that as ULEB128 never ends'));
});

test('an accumulating relocation alone in its section crashes the kernel', (t) => {
  for (const arch of [riscv64, riscv32]) {
    for (const type of [
      'ADD8',
      'ADD16',
      'ADD32',
      'ADD64',
      'SUB8',
      'SUB16',
      'SUB32',
      'SUB64',
      'SUB6',
      'SET6',
      'SET8',
      'SET16',
      'SET32',
      'SET_ULEB128',
      'SUB_ULEB128',
    ]) {
      for (const version of ['6.12', '7.2'] as const) {
        const sections = { '.data': { addr: 0xa010_0000n, data: 16 }, ...tables };
        const alone = data([[0, `R_RISCV_${type}`, 'a']], { a: 1n }, { arch, version, sections });
        t.is(alone.crash, 'signal 11', type);
        t.regex(alone.reason, /is alone in its section: its hash table has 1 bucket/);
        const two = data(
          [
            [0, `R_RISCV_${type}`, 'a'],
            [8, 'R_RISCV_RELAX', 'a'],
          ],
          { a: 1n },
          { arch, version, sections },
        );
        t.is(two.crash, type === 'SUB_ULEB128' ? 'signal 11' : undefined, `${type} and another`);
      }
    }
  }
  t.is(data([[0, 'R_RISCV_ADD32', 'a']], { a: 1n }, { version: '6.1' }).crash, undefined);
  t.is(data([[0, 'R_RISCV_32_PCREL', 'a']], { a: DATA }).crash, undefined, 'nothing is hashed');
});

test('it survives where the address is a multiple of 4 GiB, whose hash ends in zeros', (t) => {
  const o = data(
    [[0, 'R_RISCV_ADD32', 'a']],
    { a: 7n },
    { sections: { '.data': { addr: 0x12_0000_0000n, data: 8 }, ...tables } },
  );
  t.is(o.crash, undefined);
  t.is(head(o, 8), '0700000000000000');
});

// The kernel's own structure, spelt out: lists that grow at their heads.
const storeOrder = (places: readonly bigint[], entries: number, is64: boolean): bigint[] => {
  let [size, bits] = [1, 0];
  while (size < entries) [size, bits] = [size * 2, bits + 1];
  if (entries + Math.floor(entries / 4) > size) bits++;
  const hash = (P: bigint): bigint =>
    is64
      ? BigInt.asUintN(64, P * 0x61c8864680b583ebn) >> BigInt(64 - bits)
      : BigInt.asUintN(32, P * 0x61c88647n) >> BigInt(32 - bits);
  const used: bigint[] = [];
  const table = new Map<bigint, bigint[]>();
  for (const P of places) {
    const bucket = table.get(hash(P)) ?? [];
    if (bucket.includes(P)) continue;
    if (bucket.length === 0) used.unshift(hash(P));
    table.set(hash(P), [P, ...bucket]);
  }
  return used.flatMap((h) => table.get(h)!);
};
test("sums are stored in the order of the kernel's hash table", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 48 }), { minLength: 2, maxLength: 40 }),
      fc.boolean(),
      (offsets, is64) => {
        const [arch, addr]: [Arch, bigint] = is64 ? [riscv64, DATA] : [riscv32, 0xa010_0000n];
        const symbols = Object.fromEntries(offsets.map((_, i) => [`s${i}`, BigInt(0x100 + i)]));
        const relocs = offsets.map((at, i): GivenReloc => [at, 'R_RISCV_SET16', `s${i}`]);
        const sections = { '.data': { addr, data: 64 }, ...tables };
        const o = data(relocs, symbols, { arch, sections });
        // Words overlap, so memory tells who came last.
        const memory = new Uint8Array(64);
        for (const P of storeOrder(
          offsets.map((at) => addr + BigInt(at)),
          offsets.length,
          is64,
        )) {
          const at = Number(P - addr);
          memory.set([offsets.lastIndexOf(at) & 0xff, 1], at);
        }
        t.is(o.hex('.data'), Buffer.from(memory).toString('hex'));
        // And so does the log. SUB8 and ADD8 of one value leave the sum as it is, and narrow what may be stored.
        const over = data(
          offsets.flatMap((at, i): GivenReloc[] => [
            [at, 'R_RISCV_ADD32', `s${i}`],
            [at, 'R_RISCV_SUB8', `s${i}`],
            [at, 'R_RISCV_ADD8', `s${i}`],
          ]),
          symbols,
          { arch, sections },
        );
        const sums = new Map<number, number>();
        offsets.forEach((at, i) => sums.set(at, (sums.get(at) ?? 0) + 0x100 + i));
        const lines = storeOrder(
          offsets.map((at) => addr + BigInt(at)),
          3 * offsets.length,
          is64,
        ).map((P) => `fix: value ${sums.get(Number(P - addr))} out of range for 8-bit relocation.`);
        t.deepEqual(over.log, lines);
      },
    ),
    { numRuns: 100 },
  );
});

test('an error before the end of the section leaves every sum unstored', (t) => {
  const o = data(
    [
      [0, 'R_RISCV_SET32', 'a'],
      [8, 'R_RISCV_32', 'big'],
    ],
    { a: 1n, big: 1n << 32n },
  );
  t.is(o.errno, 'EINVAL');
  t.is(o.hex('.data'), 'a5'.repeat(16));
});

// Symbols and types

test('an unresolved symbol is refused if it was not weak', (t) => {
  for (const version of versions) {
    for (const value of [-4095n, -1n]) {
      const S = BigInt.asUintN(64, value);
      refused(t, one('R_RISCV_64', '0000000000000000', S, { version }), 'ENOENT', 'fix: Unknown symbol foo');
      const weak = one('R_RISCV_64', '0000000000000000', S, { version, symbols: { foo: { value: S, weak: true } } });
      t.is(weak.errno, undefined);
      t.is(patched(weak), '00'.repeat(8), 'passed over');
    }
    t.is(patched(one('R_RISCV_64', '0000000000000000', BigInt.asUintN(64, -4096n), { version })), '00f0ffffffffffff');
    refused(t, one(0, '00000000', BigInt.asUintN(64, -1n), { version }), 'ENOENT', 'fix: Unknown symbol foo');
  }
  refused(t, one('R_RISCV_32', '00000000', 0xffff_f001n, { arch: riscv32 }), 'ENOENT', 'fix: Unknown symbol foo');
  t.is(patched(one('R_RISCV_32', '00000000', 0xffff_f000n, { arch: riscv32 })), '00f0ffff');
});

test('types nobody knows, NONE among them', (t) => {
  for (const version of versions) {
    for (const type of [0, 12, 15, 41, 42, 46, 47, 50, 62, 191, 255, 0x7fff_ffff]) {
      refused(t, one(type, '00000000', TEXT, { version }), 'EINVAL', `fix: Unknown relocation type ${type}`);
    }
  }
});

test('types the kernel refuses by name', (t) => {
  const dynamic = [3, 4, 5, 6, 7, 8, 9, 10, 11, 58];
  const tls = [21, 22, 29, 30, 31, 32];
  for (const version of versions) {
    for (const type of [...dynamic, ...tls]) {
      const why = dynamic.includes(type) ? 'Dynamic linking' : 'Thread local storage';
      const line =
        version === '6.1'
          ? `fix: Unknown relocation type ${type}`
          : `fix: ${why} not supported in kernel modules PC = ${hex16(PLACE)}`;
      refused(t, one(type, '00000000', TEXT, { version }), 'EINVAL', line);
    }
    refused(
      t,
      one('R_RISCV_ALIGN', '00000000', TEXT, { version }),
      'EINVAL',
      `fix: The unexpected relocation type 'R_RISCV_ALIGN' from PC = ${hex16(PLACE)}`,
    );
  }
});

test('6.1 does not know the newer types, and says since when they are', (t) => {
  for (const [type, since] of [
    ['ADD16', '6.3'],
    ['SUB16', '6.3'],
    ['ADD8', '6.7'],
    ['SUB6', '6.7'],
    ['SET32', '6.7'],
    ['32_PCREL', '6.7'],
    ['PLT32', '6.7'],
    ['SET_ULEB128', '6.7'],
  ] as const) {
    const o = one(`R_RISCV_${type}`, '00000000', TEXT, { version: '6.1' });
    t.is(o.errno, 'EINVAL');
    t.regex(o.log[0]!, /^fix: Unknown relocation type \d+$/);
    t.true(o.reason.endsWith(`R_RISCV_${type} is handled since ${since}`), o.reason);
  }
});

test('each kernel has as many types as KERNEL-FACTS counts', (t) => {
  for (const arch of [riscv64, riscv32]) {
    const count = (version: Version): [number, number] => {
      const rows = [...arch.rules.rows.keys()]
        .map((type) => rowFor(arch.rules, type, version, {}))
        .filter((row) => row !== undefined);
      const refusals = rows.filter((row) => row.action === 'refuse').length;
      return [rows.length - refusals, refusals];
    };
    t.deepEqual(count('6.1'), [20, 1]);
    t.deepEqual(count('6.12'), [33, 17]);
    t.deepEqual(count('7.2'), [33, 17]);
  }
});

// 32 bits

test('riscv32 reaches everything from everywhere, and makes no PLT', (t) => {
  const far = 0x2000_0000n; // 2 GiB and more from 0xa0000008
  const call = one('R_RISCV_CALL_PLT', '97000000e7800000', far, { arch: riscv32 });
  t.is(patched(call), cat('97000080', 'e78080ff'));
  t.is(call.hex('.got.plt'), '00'.repeat(8));
  t.is(patched(one('R_RISCV_CALL', '97000000e7800000', far, { arch: riscv32 })), '97000080e78080ff');
  t.is(patched(one('R_RISCV_32', '00000000', 0x8000_0000n, { arch: riscv32 })), '00000080');
});

test('riscv32 has 4-byte GOT entries and prints 8 digits of a place', (t) => {
  const o = one('R_RISCV_GOT_HI20', '97000000', 0xc012_3456n, {
    arch: riscv32,
    sections: {
      '.text': { addr: 0xa000_0000n, data: 16 },
      '.plt': { addr: 0xa000_1000n },
      '.got': { addr: 0xa000_2000n },
      '.got.plt': { addr: 0xa000_3000n },
    },
  });
  t.is(o.hex('.got'), cat('563412c0', '00000000'));
  refused(
    t,
    one(21, '00000000', 0n, { arch: riscv32 }),
    'EINVAL',
    'fix: Thread local storage not supported in kernel modules PC = a0000008',
  );
});

test('64-bit words of riscv32: an address is extended by zeros, a sum by its sign', (t) => {
  const symbols = { a: 0x8000_0001n, b: 2n };
  const sections = { '.data': { addr: 0xa010_0000n, data: 'a5'.repeat(16) }, ...tables };
  const of = (version: Version, relocs: readonly GivenReloc[]): string =>
    data(relocs, symbols, { arch: riscv32, version, sections }).hex('.data').slice(0, 16);
  const sub: GivenReloc[] = [
    [0, 'R_RISCV_ADD64', 'b'],
    [0, 'R_RISCV_SUB64', 'a'],
  ];
  for (const version of versions) t.is(of(version, [[0, 'R_RISCV_64', 'a']]), '0100008000000000');
  t.is(of('7.2', sub), '01000080ffffffff');
  t.is(of('7.2', [sub[0]!, [0, 'R_RISCV_SUB64', 'b', 1n]]), 'ffffffffffffffff');
  t.is(of('6.1', sub), 'a6a5a525a5a5a5a5');
});

test('the header: e_machine 243 and the class of the kernel', (t) => {
  const header = { is64: true, little: true, e_machine: 243, e_flags: 0, e_entry: 0n };
  t.true(riscv64.accepts!(header, {}));
  t.false(riscv32.accepts!(header, {}));
  t.true(riscv32.accepts!({ ...header, is64: false }, {}));
  t.false(riscv64.accepts!({ ...header, e_machine: 62 }, {}));
});
