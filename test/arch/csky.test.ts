import test from 'ava';
import { csky } from '../../arch/csky.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';

const P = 0xc001_0008n;
const little = { arch: csky, P };
const big = { ...little, little: false };
const ck810 = { ...little, config: { CPU_CK810: true } };

test('words are overwritten', (t) => {
  t.is(patched(t, one({ ...little, A: 4n }, 'R_CSKY_32', 'ffffffff', 0x1234_5674n)), '78563412');
  t.is(patched(t, one(big, 'R_CSKY_32', 'ffffffff', 0x1234_5678n)), '12345678');
  t.is(patched(t, one({ ...little, A: 1n }, 'R_CSKY_32', 'ffffffff', 0xffff_ffffn)), '00000000');
  t.is(patched(t, one(little, 'R_CSKY_PC32', 'ffffffff', P - 2n)), 'feffffff');
});

test('halves go to the second halfword, in either byte order', (t) => {
  t.is(patched(t, one(little, 'R_CSKY_ADDR_HI16', '3aea ffff', 0x1234_8765n)), '3aea3412');
  t.is(patched(t, one(little, 'R_CSKY_ADDR_LO16', '5aec ffff', 0x1234_8765n)), '5aec6587');
  t.is(patched(t, one(big, 'R_CSKY_ADDR_HI16', 'ea3a ffff', 0x1234_8765n)), 'ea3a1234');
  t.is(patched(t, one(big, 'R_CSKY_ADDR_LO16', 'ec5a ffff', 0x1234_8765n)), 'ec5a8765');
});

test('a jsri is a hint, except on a CK810', (t) => {
  const [jsri, filler] = ['e0ea 3412', '00c4 0000'];
  t.is(patched(t, one(little, 'R_CSKY_PCRELJSR_IMM26BY2', jsri + filler, 0n)), 'e0ea341200c40000');
  t.is(patched(t, one(ck810, 'R_CSKY_PCRELJSR_IMM26BY2', jsri + filler, 0n)), '9aea3412fae80000');
  t.is(
    patched(t, one({ ...big, ...ck810, little: false }, 'R_CSKY_PCRELJSR_IMM26BY2', 'eae01234c4000000', 0n)),
    'ea9a1234e8fa0000',
  );
  t.is(patched(t, one(ck810, 'R_CSKY_PCRELJSR_IMM26BY2', `00e0 3412${filler}`, 0n)), '00e0341200c40000', 'bsr');
  t.is(patched(t, one(ck810, 'R_CSKY_PCRELJSR_IMM11BY2', jsri + filler, 0n)), 'e0ea341200c40000');
});

test('other types are unknown, NONE among them', (t) => {
  for (const version of versions)
    for (const type of [0, 2, 9, 41])
      refused(
        t,
        one({ ...little, version }, type, '00000000', 0n),
        '00000000',
        'ENOEXEC',
        `module fix: Unknown relocation: ${type}`,
      );
});
