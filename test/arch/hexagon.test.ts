import test from 'ava';
import { hexagon } from '../../arch/hexagon.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';
import { relocate } from './relocate.ts';

const P = 0xd000_2008n;
const at = { arch: hexagon, P };

test('words and halves', (t) => {
  t.is(patched(t, one({ ...at, A: -1n }, 'R_HEX_32', 'ffffffff', 0n)), 'ffffffff');
  t.is(patched(t, one(at, 'R_HEX_32_PCREL', 'ffffffff', P - 2n)), 'feffffff');
  t.is(patched(t, one(at, 'R_HEX_LO16', '00000000', 0x1234_8765n)), '65078000');
  t.is(patched(t, one(at, 'R_HEX_HI16', '00000000', 0x8765_1234n)), '65078000');
  t.is(patched(t, one(at, 'R_HEX_LO16', 'ffffffff', 0n)), '00c03fff');
  t.is(patched(t, one(at, 'R_HEX_HI16', 'ffffffff', 0xffffn)), '00c03fff');
});

test('a branch gets its distance in bytes where words are counted', (t) => {
  t.is(patched(t, one(at, 'R_HEX_B22_PCREL', '0000005a', P + 0x1000n)), '0010005a'); // jumps 0x2000
  t.is(patched(t, one(at, 'R_HEX_B22_PCREL', '00000000', P + 0x7f_fffcn)), 'fc3fff01');
  t.is(patched(t, one(at, 'R_HEX_B22_PCREL', 'ffffffff', P - 0x80_0000n)), '00c000fe');
  t.is(patched(t, one(at, 'R_HEX_B22_PCREL', '00000000', P + 0x7f_ffffn)), 'ff3fff01');
});

test('a branch is refused one beyond either end', (t) => {
  const line = 'fix: R_HEXAGON_B22_PCREL reloc out of range: ';
  const far = (S: bigint, numbers: string): void =>
    refused(t, one(at, 'R_HEX_B22_PCREL', '00000000', S), '00000000', 'ENOEXEC', `${line}${numbers} foo`);
  far(P + 0x80_0000n, '00800000=d0802008-d0002008');
  far(P - 0x80_0001n, 'ff7fffff=cf802007-d0002008');
});

test('a symbol without a name is anonymous', (t) => {
  const o = relocate({
    arch: hexagon,
    sections: { '.text': { addr: P, data: 4 } },
    relocs: { '.text': [[0, 'R_HEX_B22_PCREL', '', 0n]] },
  });
  t.deepEqual(o.log, ['fix: R_HEXAGON_B22_PCREL reloc out of range: 2fffdff8=00000000-d0002008 (anonymous)']);
});

test('what a shared object has is refused, or complained about', (t) => {
  for (const type of [36, 37, 38])
    refused(t, one(at, type, '00000000', 0n), '00000000', 'ENOEXEC', 'fix: GOT/PLT relocations unsupported');
  for (const name of ['.plt', '.got.plt', '.rela.plt', '.got']) {
    const o = relocate({ arch: hexagon, sections: { [name]: { addr: P }, '.text': { addr: P } } });
    t.is(o.errno, undefined);
    t.deepEqual(o.log, name === '.got' ? [] : ["Module 'fix' contains unexpected .plt/.got sections."]);
  }
});

test('other types are unknown, NONE among them', (t) => {
  for (const version of versions)
    for (const type of [0, 2, 16, 39])
      refused(
        t,
        one({ ...at, version }, type, '00000000', 0n),
        '00000000',
        'ENOEXEC',
        `fix: unknown relocation: ${type}`,
      );
});
