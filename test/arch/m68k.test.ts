import test from 'ava';
import { m68k } from '../../arch/m68k.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';
import { relocate } from './relocate.ts';

const P = 0x1005_3008n;
const at = { arch: m68k, P };

test('SHT_RELA overwrites the word, SHT_REL adds to it', (t) => {
  t.is(patched(t, one({ ...at, A: 4n }, 'R_68K_32', 'ffffffff', 0x1234_5674n)), '12345678');
  t.is(patched(t, one({ ...at, form: 'REL' }, 'R_68K_32', '00000004', 0x1234_5674n)), '12345678');
  t.is(patched(t, one({ ...at, A: -4n }, 'R_68K_PC32', 'ffffffff', P + 0x100n)), '000000fc');
  t.is(patched(t, one({ ...at, form: 'REL' }, 'R_68K_PC32', 'fffffffc', P + 0x100n)), '000000fc');
});

test('sums wrap in silence', (t) => {
  t.is(patched(t, one({ ...at, A: 1n }, 'R_68K_32', '00000000', 0xffff_ffffn)), '00000000');
  t.is(patched(t, one({ ...at, form: 'REL' }, 'R_68K_32', '00000002', 0xffff_ffffn)), '00000001');
  t.is(patched(t, one(at, 'R_68K_PC32', '00000000', 0n)), 'effacff8');
});

test('other types are unknown, NONE among them', (t) => {
  for (const version of versions)
    for (const form of ['REL', 'RELA'] as const)
      for (const type of [0, 5, 255])
        refused(
          t,
          one({ ...at, version, form }, type, '00000000', 0n),
          '00000000',
          'ENOEXEC',
          `module fix: Unknown relocation: ${type}`,
        );
});

test('.m68k_fixup writes what the kernel knows of memory', (t) => {
  const fixups = (data: string, config = {}) =>
    relocate({
      arch: m68k,
      config,
      sections: {
        '.data': { addr: P, data: 'aaaaaaaa bbbbfffe cccccccc' },
        '.m68k_fixup': { addr: 0x1006_0000n, data },
      },
    });
  const both = '00000000 10053008 00000001 1005300e 00000002 10053010';
  const o = fixups(both, { M68K_MEMOFFSET: 0x0700_0000, M68K_VIRT_TO_NODE_SHIFT: 21 });
  m68k.finalize!(o.module);
  t.is(o.hex('.data'), '07000000bbbb0013cccccccc');
  const zero = fixups(both);
  m68k.finalize!(zero.module);
  t.is(zero.hex('.data'), '00000000bbbbfffecccccccc');
  const astray = fixups('00000000 10053012');
  t.throws(() => m68k.finalize!(astray.module), { message: /\.m68k_fixup names 0x10053012, which is not in fix/ });
});
