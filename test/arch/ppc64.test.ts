import test from 'ava';
import * as fc from 'fast-check';
import { ppc64, ppc64le } from '../../arch/ppc64.ts';
import type { Config } from '../../relocs/module-view.ts';
import { SHN_ABS } from '../../relocs/elf.ts';
import { versions } from '../../relocs/module-view.ts';
import { type Given, type GivenReloc, type GivenSymbol, type Outcome, relocate } from './relocate.ts';

const BASE = 0xc008_0000_0000_0000n;
const [TOC, STUBS, GOT] = [BASE + 0x1_0180n, BASE + 0x2_0000n, BASE + 0x3_0000n];
const R2 = (TOC & ~0xffn) + 0x8000n;
const P = BASE + 8n;
const tables: Given['sections'] = {
  '.toc': { addr: TOC, data: 16 },
  '.stubs': { addr: STUBS, nobits: true, flags: 6 },
};
const pcrel: { config: Config } = { config: { PPC_KERNEL_PCREL: true } };
const gotTables: Given['sections'] = {
  '.mygot': { addr: GOT, nobits: true, flags: 2 },
  '.stubs': { addr: STUBS, nobits: true, flags: 6 },
};
/** Words as they are in memory: big-endian text, turned round for ppc64le. */
const swapped = (words: string): string => Buffer.from(words, 'hex').swap32().toString('hex');

/** One relocation at P of a little-endian ELFv2 module; `words` as the processor reads them. */
function one(type: string | number, words: string, S: bigint | GivenSymbol, more: Partial<Given> = {}): Outcome {
  return relocate({
    arch: ppc64le,
    sections: {
      '.text': { addr: P - 8n, data: swapped(`0011223344556677${words}8899aabbccddeeff`) },
      ...(more.config?.PPC_KERNEL_PCREL ? gotTables : tables),
    },
    symbols: { foo: S },
    relocs: { '.text': [[8, type, 'foo']] },
    ...more,
  });
}
const at = (o: Outcome): string => swapped(o.hex('.text')).slice(16, -16);

// biome-ignore format: table
const VALUES: readonly [type: string, words: string, S: bigint, result: string, more?: Partial<Given>][] = [
  ['R_PPC64_ADDR32',       'a5a5a5a5',         0x1_1234_5678n,           '12345678'],           // the rest is lost
  ['R_PPC64_ADDR64',       '0000000000000000', 0x0123_4567_89ab_cdefn,   '89abcdef01234567'],
  ['R_PPC64_REL64',        '0000000000000000', P - 1n,                   'ffffffffffffffff'],
  ['R_PPC64_REL32',        'a5a5a5a5',         P + 0x7fff_ffffn,         '7fffffff'],
  ['R_PPC64_REL32',        'a5a5a5a5',         P - 0x8000_0000n,         '80000000'],
  ['R_PPC64_REL24',        '48000001',         P + 0x1ff_fffcn,          '49fffffd'],
  ['R_PPC64_REL24',        '48000001',         P - 0x200_0000n,          '4a000001'],
  ['R_PPC64_TOC16',        '3842a5a5',         R2 + 0x7fffn,             '38427fff'],
  ['R_PPC64_TOC16',        '3842a5a5',         R2 - 0x8000n,             '38428000'],
  ['R_PPC64_TOC16_LO',     '3842a5a5',         R2 + 0x1234_5678n,        '38425678'],
  ['R_PPC64_TOC16_HA',     '3c42a5a5',         R2 + 0x1234_7fffn,        '3c421234'],
  ['R_PPC64_TOC16_HA',     '3c42a5a5',         R2 + 0x1234_8000n,        '3c421235'],
  ['R_PPC64_TOC16_DS',     'e8420003',         R2 + 0x7ffcn,             'e8427fff'],           // the low two bits stay
  ['R_PPC64_TOC16_LO_DS',  'e8420003',         R2 + 0x1234_5678n,        'e842567b'],
  ['R_PPC64_TOC',          '0000000000000000', 0n,                       '00018100c0080000'],
  ['R_PPC64_TOCSAVE',      '12345678',         0n,                       '12345678'],
  ['R_PPC64_REL16_LO',     '3842a5a5',         P + 0x8000n,              '38428000'],
  ['R_PPC64_REL16_HA',     '3c4ca5a5',         P + 0x8000n,              '3c4c0001'],
  ['R_PPC64_PCREL34',      '06100000386a0000', P + 0x1_ffff_ffffn,       '0611ffff386affff', pcrel],
  ['R_PPC64_PCREL34',      '06100000386a0000', P - 0x2_0000_0000n,       '06120000386a0000', pcrel],
  ['R_PPC64_REL24_NOTOC',  '48000001',         P + 0x100n,               '48000101',         pcrel],
  ['R_PPC64_ENTRY',        'e84c00107c426214', 0n,                       'e84c00107c426214', pcrel],
];
test('values, and the bits around them', (t) => {
  for (const [type, words, S, result, more] of VALUES) {
    const o = one(type, words, S, more);
    t.deepEqual(o.log, [], type);
    t.is(swapped(o.hex('.text')), `0011223344556677${result}8899aabbccddeeff`, `${type} 0x${S.toString(16)}`);
  }
});

const bad = (name: string, value: string): string => `module_64: fix: bad ${name} relocation (0x${value})`;
// biome-ignore format: table
const REFUSED: readonly [type: string, S: bigint, line: string, more?: Partial<Given>][] = [
  ['R_PPC64_TOC16',       R2 + 0x8000n,          bad('TOC16', '8000')],
  ['R_PPC64_TOC16',       R2 - 0x8001n,          bad('TOC16', 'ffffffffffff7fff')],
  ['R_PPC64_TOC16_DS',    R2 + 0x8000n,          bad('TOC16_DS', '8000')],
  ['R_PPC64_TOC16_DS',    R2 + 2n,               bad('TOC16_DS', '2')],
  ['R_PPC64_TOC16_LO_DS', R2 + 1n,               bad('TOC16_LO_DS', '1')],
  ['R_PPC64_REL24',       P + 0x200_0000n,       'module_64: fix: REL24 33554432 out of range!'],
  ['R_PPC64_REL24',       P - 0x200_0004n,       'module_64: fix: REL24 -33554436 out of range!'],
  ['R_PPC64_REL24',       P + 2n,                'module_64: fix: REL24 2 out of range!'],
  ['R_PPC64_REL32',       P + 0x8000_0000n,      'module_64: fix: REL32 2147483648 out of range!'],
  ['R_PPC64_REL32',       P - 0x8000_0001n,      'module_64: fix: REL32 -2147483649 out of range!'],
  ['R_PPC64_PCREL34',     P + 0x2_0000_0000n,    'module_64: fix: REL34 8589934592 out of range!', pcrel],
  ['R_PPC64_PCREL34',     P - 0x2_0000_0001n,    'module_64: fix: REL34 -8589934593 out of range!', pcrel],
];
test('one past the range is refused, and nothing is written', (t) => {
  for (const [type, S, line, more] of REFUSED) {
    const words = '48000001e8420003';
    const o = one(type, words, S, more);
    t.is(o.errno, 'ENOEXEC', type);
    t.deepEqual(o.log, [line]);
    t.is(at(o), words);
  }
});

test('types it does not know, or only with or without PCREL', (t) => {
  const line = (type: number): string[] => [`module_64: fix: Unknown ADD relocation: ${type}`];
  for (const type of [0, 49, 116, 132, 133, 249, 251, 253])
    t.deepEqual(one(type, '0000000000000000', 0n).log, line(type));
  for (const type of [0, 47, 48, 50, 51, 63, 64, 109])
    t.deepEqual(one(type, '0000000000000000', 0n, pcrel).log, line(type));
  t.regex(one(132, '0000000000000000', 0n).reason, /R_PPC64_PCREL34 needs PPC_KERNEL_PCREL/);
  t.deepEqual(one(132, '0000000000000000', 0n, { ...pcrel, version: '6.1' }).log, line(132));
});

/** Calls to symbols that are not here, each followed by the nop that it should be. */
function calls(
  names: readonly string[],
  symbols: Record<string, bigint>,
  more: Partial<Given> = {},
  word = '4800000160000000',
): Outcome {
  const { arch = ppc64le } = more;
  const words = word.repeat(names.length);
  return relocate({
    arch,
    sections: {
      '.text': { addr: BASE, data: arch === ppc64le ? swapped(words) : words },
      ...(more.config?.PPC_KERNEL_PCREL ? gotTables : tables),
    },
    symbols: Object.fromEntries(Object.entries(symbols).map(([name, value]) => [name, { value, shndx: 0 }])),
    relocs: { '.text': names.map((name, i): GivenReloc => [8 * i, 'R_PPC64_REL24', name]) },
    ...more,
  });
}
const FAR = { a: 0xc000_0000_0010_0000n, b: 0xc000_0000_0020_0000n };
const plain = { config: { DYNAMIC_FTRACE: false } };
const words = (o: Outcome, section: string): string =>
  o.module.format.little ? swapped(o.hex(section)) : o.hex(section);

test('ELFv2: a call out saves r2 in a stub and restores it after', (t) => {
  const o = calls(['a', 'b', 'a'], FAR, plain);
  t.deepEqual(o.log, []);
  t.is(o.section('.stubs').sh_size, 80);
  const stub = (target: bigint, i: number): string => {
    const offset = STUBS + BigInt(40 * i) - R2;
    const half = (v: bigint): string => (v & 0xffffn).toString(16).padStart(4, '0');
    const low = target.toString(16);
    return `3d62${half((offset + 0x8000n) >> 16n)}396b${half(offset)}f8410018e98b00207d8903a64e8004200000000073747562${low.slice(8)}${low.slice(0, 8)}`;
  };
  t.is(words(o, '.stubs'), stub(FAR.b, 0) + stub(FAR.a, 1), 'b, the higher symbol number, is sorted to the front');
  const bl = (i: number, n: number): string => (0x4800_0001 + Number(STUBS - BASE) + 40 * n - 8 * i).toString(16);
  t.is(words(o, '.text'), `${bl(0, 1)}e8410018${bl(1, 0)}e8410018${bl(2, 1)}e8410018`);
});

test('the instruction after the call', (t) => {
  const after = (word: string, more: Partial<Given> = {}): Outcome => calls(['a'], FAR, { ...plain, ...more }, word);
  const expected = (insn: string): string =>
    `module_64: fix: Expected nop after call, got ${insn} at 0xc008000000000004`;
  const wrong = after('4800000138600000');
  t.is(wrong.errno, 'ENOEXEC');
  t.deepEqual(wrong.log, [expected('38600000')]);
  t.not(words(wrong, '.stubs').slice(0, 8), '00000000', 'the stub has been made');
  for (const jump of ['48000000', '48000003', '60000001'])
    t.is(after(`${jump}38600000`).errno, undefined, 'no relative call');
  t.is(after('4080000160000000').errno, undefined, 'bcl is one');
  t.is(after('48000001e8410018').errno, undefined);
  t.deepEqual(after('48000001e8410018', { version: '6.1' }).log, [expected('e8410018')]);
});

test('a local call enters behind the part that sets up r2', (t) => {
  for (const [st_other, delta] of [
    [0x00, 0],
    [0x20, 0],
    [0x40, 4],
    [0x60, 8],
    [0xe0, 128],
  ] as const)
    t.is(
      at(one('R_PPC64_REL24', '48000001', { value: P + 0x100n, shndx: 1, st_other })),
      (0x4800_0101 + delta).toString(16),
    );
  const v1 = relocate({
    arch: ppc64,
    sections: { '.text': { addr: P, data: '48000001' }, ...tables },
    symbols: { foo: { value: P + 0x100n, shndx: 1, st_other: 0x60 } },
    relocs: { '.text': [[0, 'R_PPC64_REL24', 'foo']] },
  });
  t.is(v1.hex('.text'), '48000101');
});

test('ELFv1: the stub takes the descriptor with it', (t) => {
  const opd = { '.opd': { addr: BASE + 0x5000n, data: 'c000000000100000 c000000001008000 0000000000000000' } };
  const given: Given = {
    arch: ppc64,
    sections: { '.text': { addr: BASE, data: '4800000160000000' }, ...tables, ...opd },
    symbols: { '.a': { value: BASE + 0x5000n, shndx: 0 } },
    relocs: { '.text': [[0, 'R_PPC64_REL24', '.a']] },
    ...plain,
  };
  const o = relocate(given);
  t.is(o.section('.stubs').sh_size, 56);
  t.is(
    o.hex('.stubs').slice(16),
    `f8410028e98b0020e84b00287d8903a64e80042073747562${opd['.opd'].data.replaceAll(' ', '')}`,
  );
  t.is(o.hex('.text').slice(8), 'e8410028');
  t.is(o.module.symtab!.name(1), 'a', 'the dot has gone');
  t.is(
    relocate({ ...given, symbols: { a: { value: 0n, shndx: 0 } }, relocs: { '.text': [[0, 'R_PPC64_REL24', 'a']] } })
      .crash,
    'signal 11',
  );
});

test('.TOC. becomes an absolute symbol, r2', (t) => {
  const o = relocate({
    arch: ppc64le,
    sections: { '.text': { addr: P, data: 8 }, ...tables },
    symbols: { '.TOC.': { value: 0n, shndx: 0 } },
    relocs: { '.text': [[0, 'R_PPC64_ADDR64', '.TOC.']] },
  });
  t.is(o.module.symtab!.name(1), 'TOC.');
  t.is(o.module.symtab!.st_shndx(1), SHN_ABS);
  t.is(Buffer.from(o.section('.text').bytes).readBigUInt64LE(), R2);
  t.is(o.section('.toc').sh_addralign, 8);
  // Without .toc it is .stubs that r2 points at.
  const bare = one('R_PPC64_TOC', '0000000000000000', 0n, {
    sections: { '.text': { addr: P - 8n, data: 24 }, '.stubs': tables['.stubs']! },
  });
  t.is(Buffer.from(bare.section('.text').bytes).readBigUInt64LE(8), STUBS + 0x8000n);
});

test('the prologue of the large code model is shortened where r2 is near', (t) => {
  const entry = (code: string, addr = P): string => {
    const o = one('R_PPC64_ENTRY', code, 0n, {
      sections: { '.text': { addr: addr - 8n, data: swapped(`0011223344556677${code}8899aabbccddeeff`) }, ...tables },
    });
    return at(o);
  };
  const distance = R2 - P; // 0x180f8
  t.is(distance, 0x1_80f8n);
  t.is(entry('e84cfff87c426214'), '3c4c0002384280f8');
  for (const other of ['e84c00117c426214', 'e84c00107c426215', 'e84b00107c426214']) t.is(entry(other), other);
  t.is(entry('e84cfff87c426214', R2 - 0x7fff_7fffn), '3c4c7fff38427fff');
  t.is(entry('e84cfff87c426214', R2 - 0x7fff_8000n), 'e84cfff87c426214');
});

test('a stub must be aligned, and r2 must reach it', (t) => {
  const odd = calls(['a'], FAR, {
    ...plain,
    sections: {
      '.text': { addr: BASE, data: swapped('4800000160000000') },
      ...tables,
      '.stubs': { addr: STUBS + 4n, nobits: true, flags: 6 },
    },
  });
  t.is(odd.errno, 'ENOENT');
  t.deepEqual(odd.log, ['module_64: fix: Address of stub entry is not 8-byte aligned']);
  const far = calls(['a'], FAR, {
    ...plain,
    sections: {
      '.text': { addr: BASE, data: swapped('4800000160000000') },
      ...tables,
      '.toc': { addr: TOC + 0x1_0000_0000n, data: 8 },
    },
  });
  t.is(far.errno, 'ENOENT');
  t.regex(far.log[0]!, /^module_64: fix: Address [0-9a-f]{16} of stub out of range of [0-9a-f]{16}\.$/);
});

test('PCREL: a stub has no TOC, the GOT takes what is asked for, and per-CPU data goes through it', (t) => {
  const o = calls(['a'], FAR, { config: { ...pcrel.config, DYNAMIC_FTRACE: false } });
  t.is(words(o, '.stubs').slice(0, 32), '04100000e58000207d8903a64e800420');
  t.is(words(o, '.text').slice(8), '60000000');
  const got = one('R_PPC64_GOT_PCREL34', '04100000e4600000', FAR.a, pcrel);
  t.is(got.section('.mygot').sh_size, 16);
  t.is(Buffer.from(got.section('.mygot').bytes).readBigUInt64LE(), FAR.a);
  t.is(at(got), '04100002e460fff8');
  const percpu = one(
    'R_PPC64_PCREL34',
    '06100000386a0000',
    { value: FAR.a, shndx: 4 },
    {
      ...pcrel,
      sections: {
        '.text': { addr: P - 8n, data: swapped(`001122334455667706100000386a00008899aabbccddeeff`) },
        ...gotTables,
        '.data..percpu': { addr: 0n, data: 8 },
      },
    },
  );
  t.deepEqual(percpu.log, []);
  t.is(at(percpu), '04100002e46afff8', 'pla has become pld');
});

test('without per-CPU data of its own, what is undefined passes for it', (t) => {
  const o = one('R_PPC64_PCREL34', '06100000386a0000', { value: FAR.a, shndx: 0 }, pcrel);
  t.is(o.errno, undefined);
  t.is(Buffer.from(o.section('.mygot').bytes).readBigUInt64LE(), FAR.a);
});

test('how many stubs', (t) => {
  const count = (version: (typeof versions)[number], config: Config, arch = ppc64le): number =>
    calls(['a', 'a', 'b'], FAR, { version, config, arch }).section('.stubs').sh_size / (arch === ppc64le ? 40 : 56);
  t.is(count('7.2', { DYNAMIC_FTRACE: false }), 2);
  for (const version of ['6.12', '6.1'] as const)
    t.is(count(version, { DYNAMIC_FTRACE: false }), 3, 'one that ends the table');
  t.is(count('6.12', { DYNAMIC_FTRACE: true }), 5);
  t.is(count('6.12', { DYNAMIC_FTRACE: true, DYNAMIC_FTRACE_WITH_REGS: false }), 4);
  const traced = calls(['a'], FAR, {
    config: { DYNAMIC_FTRACE: true },
    sections: {
      '.text': { addr: BASE, data: swapped('4800000160000000') },
      ...tables,
      __patchable_function_entries: { addr: GOT, data: 24 },
    },
  });
  t.is(traced.section('.stubs').sh_size, 40 * (1 + 2 + 2), 'three times 24 bytes of out-of-line stubs are two of 40');
});

test('counting gives at least what is emitted', (t) => {
  const call = fc.constantFrom('a', 'b', 'c', 'd');
  fc.assert(
    fc.property(
      fc.array(call, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(...versions),
      fc.boolean(),
      (names, version, prefixed) => {
        const config = { DYNAMIC_FTRACE: false, PPC_KERNEL_PCREL: prefixed };
        const o = calls(names, { ...FAR, c: FAR.a, d: FAR.b + 16n }, { version, config });
        return o.errno === undefined && o.crash === undefined && o.warns === 0;
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});

test('symbol 0 with addend 0 is called and not counted: one stub goes behind the table, then there are no more', (t) => {
  const o = calls(['', ''], {}, plain);
  t.is(o.section('.stubs').sh_size, 0);
  t.is(o.crash, 'signal 11', 'nothing is behind the table here');
});

test('the sections it must have', (t) => {
  const without = (sections: Given['sections'], more: Partial<Given> = {}): Outcome =>
    relocate({ arch: ppc64le, sections, symbols: {}, ...more });
  const o = without({ '.toc': tables['.toc']! });
  t.is(o.errno, 'ENOEXEC');
  t.deepEqual(o.log, ["module_64: fix: doesn't contain .stubs."]);
  t.deepEqual(without(tables, pcrel).log, ["module_64: fix: doesn't contain .mygot."]);
});

test('names in the tables of versions lose their dots', (t) => {
  const entry = (name: string): string => `0100000000000000${Buffer.from(name.padEnd(56, '\0')).toString('hex')}`;
  const names = '.a\0bc\0..d\0';
  const frob = (version: (typeof versions)[number]): Outcome =>
    relocate({
      arch: ppc64le,
      version,
      sections: {
        ...tables,
        __versions: { addr: 0n, data: entry('.printk') + entry('x.y') },
        __version_ext_names: { addr: 0n, data: Buffer.from(names).toString('hex') },
      },
      symbols: {},
    });
  const o = frob('7.2');
  const latin1 = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');
  t.true(latin1(o.hex('__versions').slice(16)).startsWith('printk\0'));
  t.true(latin1(o.hex('__versions').slice(128 + 16)).startsWith('x.y\0'));
  t.is(latin1(o.hex('__version_ext_names')), 'a\0bc\0.d\0\0\0');
  t.is(latin1(frob('6.12').hex('__version_ext_names')), names);
});

test('which modules', (t) => {
  const accepts = (arch: typeof ppc64, e_flags: number, config: Config): boolean =>
    arch.acceptsModule!({ is64: true, little: false, e_machine: 21, e_flags, e_entry: 0n }, config);
  t.deepEqual(
    [0, 1, 2, 3].map((abi) => accepts(ppc64, abi, {})),
    [true, true, false, false],
  );
  t.deepEqual(
    [0, 1, 2, 3].map((abi) => accepts(ppc64le, abi, { PPC64_ELF_ABI_V2: true })),
    [false, false, true, false],
  );
  t.false(ppc64le.isInitSection!('.init.text'));
});
