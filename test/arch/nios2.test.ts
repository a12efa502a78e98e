import test from 'ava';
import { nios2 } from '../../arch/nios2.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';

const P = 0xbe00_0008n;
const at = { arch: nios2, P };
const overflow = 'module fix: relocation overflow';

test('words are added to what they hold', (t) => {
  t.is(patched(t, one(at, 'R_NIOS2_BFD_RELOC_32', '78563412', 0x1000_0000n)), '78563422');
  t.is(patched(t, one({ ...at, A: -1n }, 'R_NIOS2_BFD_RELOC_32', 'ffffffff', 0n)), 'feffffff');
  t.is(patched(t, one(at, 'R_NIOS2_NONE', '78563412', 0xffff_ffffn)), '78563412');
});

test('halves go above the opcode, and keep what is around them', (t) => {
  t.is(patched(t, one(at, 'R_NIOS2_HI16', '00000000', 0x1234_8765n)), '008d0400');
  t.is(patched(t, one(at, 'R_NIOS2_LO16', '00000000', 0x1234_8765n)), '40d92100');
  t.is(patched(t, one(at, 'R_NIOS2_HI16', 'ffffffff', 0n)), '3f00c0ff');
  t.is(patched(t, one(at, 'R_NIOS2_LO16', 'ffffffff', 0n)), '3f00c0ff');
});

test('the adjusted high half counts a low half that is negative', (t) => {
  t.is(patched(t, one(at, 'R_NIOS2_HIADJ16', '00000000', 0x1234_7fffn)), '008d0400');
  t.is(patched(t, one(at, 'R_NIOS2_HIADJ16', '00000000', 0x1234_8000n)), '408d0400');
  t.is(patched(t, one(at, 'R_NIOS2_HIADJ16', 'ffffffff', 0xffff_8000n)), '3f00c0ff');
});

test('PCREL16 counts from the next instruction, in 16 bits', (t) => {
  t.is(patched(t, one(at, 'R_NIOS2_PCREL16', 'ffffffff', P + 4n)), '3f00c0ff');
  t.is(patched(t, one(at, 'R_NIOS2_PCREL16', '00000000', P + 4n + 0x7fffn)), 'c0ff1f00');
  t.is(patched(t, one(at, 'R_NIOS2_PCREL16', '00000000', P + 4n - 0x8000n)), '00002000');
  for (const S of [P + 4n + 0x8000n, P + 4n - 0x8001n])
    refused(t, one(at, 'R_NIOS2_PCREL16', '00000000', S), '00000000', 'ENOEXEC', overflow);
});

test('CALL26 wants words, in the 256 MiB of its place', (t) => {
  t.is(patched(t, one(at, 'R_NIOS2_CALL26', '00000000', 0xb000_0000n)), '00000000');
  t.is(patched(t, one(at, 'R_NIOS2_CALL26', 'ffffffff', 0xbfff_fffcn)), 'ffffffff');
  t.is(patched(t, one(at, 'R_NIOS2_CALL26', 'ffffffff', 0xb000_0000n)), '3f000000');
  for (const S of [0xafff_fffcn, 0xc000_0000n])
    refused(t, one(at, 'R_NIOS2_CALL26', '00000000', S), '00000000', 'ENOEXEC', overflow);
  const dangerous = 'module fix: dangerous relocation';
  for (const S of [0xb000_0001n, 0xc000_0002n])
    refused(t, one(at, 'R_NIOS2_CALL26', '00000000', S), '00000000', 'ENOEXEC', dangerous);
});

test('from 6.12 on no call from the module area reaches the kernel', (t) => {
  const { kernel, text } = nios2.moduleArea('7.2', {});
  refused(
    t,
    one({ arch: nios2, P: text[0] + 8n }, 'R_NIOS2_CALL26', '00000000', kernel!),
    '00000000',
    'ENOEXEC',
    overflow,
  );
  const old = nios2.moduleArea('6.1', {});
  t.is(
    patched(t, one({ arch: nios2, P: old.text[0] + 8n, version: '6.1' }, 'R_NIOS2_CALL26', '00000000', old.kernel!)),
    '00000000',
  );
});

test('other types are unknown', (t) => {
  for (const version of versions)
    refused(t, one({ ...at, version }, 18, '00000000', 0n), '00000000', 'ENOEXEC', 'module fix: Unknown reloc: 18');
});
