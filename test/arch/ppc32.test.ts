import test from 'ava';
import * as fc from 'fast-check';
import { ppc32 } from '../../arch/ppc32.ts';
import { versions } from '../../relocs/module-view.ts';
import { type Given, type GivenReloc, type Outcome, relocate } from './relocate.ts';

const P = 0xbe00_0008n;
const [PLT, INIT] = [0xbe01_0000n, 0xbe10_0000n];
const tables: Given['sections'] = {
  '.plt': { addr: PLT, nobits: true, flags: 6 },
  '.init.plt': { addr: INIT + 0x1_0000n, nobits: true, flags: 6 },
};
/** One relocation at P, or `delta` bytes behind it. */
const one = (type: string | number, word: string, S: bigint, delta = 0, more: Partial<Given> = {}): Outcome =>
  relocate({
    arch: ppc32,
    sections: { '.text': { addr: P - 8n, data: `0011223344556677 ${word} 8899aabbccddeeff` }, ...tables },
    symbols: { foo: S },
    relocs: { '.text': [[8 + delta, type, 'foo', 4n]] },
    ...more,
  });

// biome-ignore format: table
const VALUES: readonly [type: string, word: string, S: bigint, bytes: string][] = [
  ['R_PPC_ADDR32',    'a5a5a5a5', 0x1234_5674n,     '12345678'],
  ['R_PPC_ADDR32',    'a5a5a5a5', 0xffff_fffen,     '00000002'],    // wraps
  ['R_PPC_ADDR16_LO', '3863a5a5', 0x1234_fffbn,     '3863ffff'],
  ['R_PPC_ADDR16_HI', '3863a5a5', 0x1234_fffbn,     '38631234'],
  ['R_PPC_ADDR16_HA', '3863a5a5', 0x1234_7ffbn,     '38631234'],
  ['R_PPC_ADDR16_HA', '3863a5a5', 0x1234_7ffcn,     '38631235'],
  ['R_PPC_ADDR16_HA', '3863a5a5', 0xffff_7ffcn,     '38630000'],
  ['R_PPC_REL24',     '48000001', P + 0x1ff_fff8n,  '49fffffd'],
  ['R_PPC_REL24',     '48000001', P - 0x200_0004n,  '4a000001'],
  ['R_PPC_REL24',     '48000003', P + 0xffn,        '48000103'],    // what is no multiple of 4 loses its low bits
  ['R_PPC_REL32',     'a5a5a5a5', P - 8n,           'fffffffc'],
];
test('values, and the bits around them', (t) => {
  for (const version of versions) {
    for (const [type, word, S, bytes] of VALUES) {
      const o = one(type, word, S, 0, { version });
      t.deepEqual(o.log, [], type);
      t.is(o.hex('.text'), `0011223344556677${bytes}8899aabbccddeeff`, `${type} 0x${S.toString(16)}`);
    }
  }
});

test('the lower halfword is patched, wherever in the word the place is', (t) => {
  for (const delta of [0, 1, 2, 3])
    t.is(one('R_PPC_ADDR16_LO', '3863a5a5', 0x1234_5674n, delta).hex('.text').slice(16, 24), '38635678');
});

test('types it does not know', (t) => {
  for (const type of [0, 2, 3, 11, 18, 252]) {
    const o = one(type, '00000000', 0n);
    t.is(o.errno, 'ENOEXEC');
    t.deepEqual(o.log, [`module_32: fix: unknown ADD relocation: ${type}`]);
  }
});

const stub = (target: bigint): string => {
  const low = (v: bigint): string => (v & 0xffffn).toString(16).padStart(4, '0');
  return `3d80${low((target + 0x8000n) >> 16n)}398c${low(target)}7d8903a64e800420`;
};
/** REL24 from one section to many. */
const calls = (
  from: string,
  addr: bigint,
  targets: readonly [symbol: string, addend: bigint][],
  more: Partial<Given> = {},
): Outcome =>
  relocate({
    arch: ppc32,
    sections: { [from]: { addr, data: '48000001'.repeat(targets.length), flags: 6 }, ...tables },
    symbols: { a: 0x1000_8000n, b: 0x2000_0000n },
    relocs: { [from]: targets.map(([name, A], i): GivenReloc => [4 * i, 'R_PPC_REL24', name, A]) },
    ...more,
  });

test('a call that does not reach goes through a stub, which equal targets share', (t) => {
  const o = calls('.text', P, [
    ['a', 0n],
    ['b', 0n],
    ['a', 0n],
    ['a', 8n],
  ]);
  t.is(o.section('.plt').sh_size, 48);
  t.is(o.section('.init.plt').sh_size, 0);
  // Sorted downwards: b is symbol 2, and the larger addend comes first.
  t.is(o.hex('.plt'), stub(0x2000_0000n) + stub(0x1000_8008n) + stub(0x1000_8000n));
  const distance = Number(PLT - P);
  const bl = (i: number, n: number): string => (0x4800_0001 + distance + 16 * n - 4 * i).toString(16);
  t.is(o.hex('.text'), bl(0, 2) + bl(1, 0) + bl(2, 2) + bl(3, 1));
});

test('just beyond either end it does not reach', (t) => {
  t.is(one('R_PPC_REL24', '48000001', P + 0x1ff_fffcn).hex('.plt'), stub(P + 0x200_0000n));
  t.is(one('R_PPC_REL24', '48000001', P - 0x200_0008n).hex('.plt'), stub(P - 0x200_0004n));
});

test('init code has a table of its own, by the name of the relocation section', (t) => {
  const o = calls('.init.text', INIT, [['a', 0n]], { memory: { init_text: { base: INIT, size: 0x2_0000 } } });
  t.is(o.section('.plt').sh_size, 0);
  t.is(o.hex('.init.plt'), stub(0x1000_8000n));
  // Counted for .init.plt, made in .plt, which has no room: what lies behind is overwritten, or not there.
  const odd = calls('.text.init_late', P, [['a', 0n]]);
  t.is(odd.section('.plt').sh_size, 0);
  t.is(odd.section('.init.plt').sh_size, 16);
  t.is(odd.crash, 'signal 11');
});

test('ftrace wants a stub for each relocation section; symbol 0 with addend 0 is not counted', (t) => {
  t.is(calls('.text', P, [['a', 0n]], { config: { DYNAMIC_FTRACE: true } }).section('.plt').sh_size, 32);
  t.is(calls('.text', P, [['', 0n]]).section('.plt').sh_size, 0);
  t.is(calls('.text', P, [['', 4n]]).section('.plt').sh_size, 16);
});

test('it needs both tables', (t) => {
  for (const name of ['.plt', '.init.plt']) {
    const o = relocate({ arch: ppc32, sections: { [name]: { addr: PLT, nobits: true } }, symbols: {} });
    t.is(o.errno, 'ENOEXEC');
    t.deepEqual(o.log, ["module_32: Module doesn't contain .plt or .init.plt sections."]);
  }
});

test('counting gives at least what is emitted', (t) => {
  const call = fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom(0n, 4n, -4n, 8n));
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 40 }), fc.constantFrom(...versions), (list, version) => {
      const o = calls('.text', P, list, { version });
      const distinct = new Set(list.map(([name, A]) => `${name} ${A}`)).size;
      return o.errno === undefined && o.crash === undefined && o.section('.plt').sh_size === 16 * distinct;
    }),
    { numRuns: 200 },
  );
  t.pass();
});
