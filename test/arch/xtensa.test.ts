import test from 'ava';
import { xtensa } from '../../arch/xtensa.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';

const P = 0xc000_0009n;
const at = { arch: xtensa, P };
const big = { ...at, little: false };
/** Calls count from the word behind that of the instruction, l32r from the next word at or behind it. */
const [CALL, L32R] = [0xc000_000cn, 0xc000_000cn];
const far = "fix: relocation out of range, section 2 reloc 0 sym 'foo'";

test('words are added to what they hold', (t) => {
  for (const type of ['R_XTENSA_32', 'R_XTENSA_PLT']) {
    t.is(patched(t, one(at, type, '78563412', 0x1000_0000n)), '78563422');
    t.is(patched(t, one({ ...big, A: -1n }, type, 'ffffffff', 0n)), 'fffffffe');
  }
});

test('a call reaches 512 KiB either way, in words', (t) => {
  t.is(patched(t, one(at, 'R_XTENSA_SLOT0_OP', '050000', CALL + 0x7_fffcn)), 'c5ff7f');
  t.is(patched(t, one(at, 'R_XTENSA_SLOT0_OP', 'f5ffff', CALL - 0x8_0000n)), '350080');
  t.is(patched(t, one(big, 'R_XTENSA_SLOT0_OP', '500000', CALL + 0x7_fffcn)), '51ffff');
  t.is(patched(t, one(big, 'R_XTENSA_SLOT0_OP', '5fffff', CALL - 0x8_0000n)), '5e0000');
  for (const S of [CALL + 0x8_0000n, CALL - 0x8_0004n, CALL + 1n, CALL + 2n, CALL + 3n]) {
    refused(t, one(at, 'R_XTENSA_SLOT0_OP', '050000', S), '050000', 'ENOEXEC', far);
    refused(t, one(big, 'R_XTENSA_SLOT0_OP', '500000', S), '500000', 'ENOEXEC', far);
  }
});

test('l32r reaches 256 KiB, backwards only', (t) => {
  t.is(patched(t, one(at, 'R_XTENSA_SLOT0_OP', '210000', L32R - 4n)), '21ffff');
  t.is(patched(t, one(at, 'R_XTENSA_SLOT0_OP', '21ffff', L32R - 0x4_0000n)), '210000');
  t.is(patched(t, one(big, 'R_XTENSA_SLOT0_OP', '120000', L32R - 4n)), '12ffff');
  t.is(patched(t, one(big, 'R_XTENSA_SLOT0_OP', '12ffff', L32R - 0x4_0000n)), '120000');
  for (const S of [L32R, L32R - 1n, L32R - 0x4_0004n])
    refused(t, one(at, 'R_XTENSA_SLOT0_OP', '210000', S), '210000', 'ENOEXEC', far);
});

test('the base of l32r is its own address when that is aligned, the base of a call never', (t) => {
  const aligned = { arch: xtensa, P: 0xc000_0008n };
  t.is(patched(t, one(aligned, 'R_XTENSA_SLOT0_OP', '210000', aligned.P - 4n)), '21ffff');
  t.is(patched(t, one(aligned, 'R_XTENSA_SLOT0_OP', '050000', aligned.P)), 'c5ffff');
});

test('any other instruction keeps what the assembler wrote', (t) => {
  for (const insn of ['000000', '5a0000', '120000', 'ffffff'])
    t.is(patched(t, one(at, 'R_XTENSA_SLOT0_OP', insn, 0x1234_5677n)), insn);
  t.is(patched(t, one(big, 'R_XTENSA_SLOT0_OP', '050000', 0x1234_5677n)), '050000');
});

test('five types leave no trace', (t) => {
  for (const type of [0, 11, 17, 18, 19]) t.is(patched(t, one(at, type, 'ffffffff', 1n)), 'ffffffff');
});

test('types are refused in three ways', (t) => {
  const ways: [what: string, types: number[]][] = [
    ['unexpected FLIX relocation', [21, 34]],
    ['unexpected ALT relocation', [35, 49]],
    ['unexpected relocation', [2, 8, 12, 50]],
  ];
  for (const version of versions)
    for (const [what, types] of ways)
      for (const type of types)
        refused(t, one({ ...at, version }, type, '050000', 0n), '050000', 'ENOEXEC', `fix: ${what}: ${type}`);
  t.is(xtensa.rules.rows.get(34)![0]!.name, 'R_XTENSA_SLOT14_OP');
  t.is(xtensa.rules.rows.get(35)![0]!.name, 'R_XTENSA_SLOT0_ALT');
  t.is(xtensa.rules.rows.get(49)![0]!.name, 'R_XTENSA_SLOT14_ALT');
});
