import test from 'ava';
import { microblaze } from '../../arch/microblaze.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';

const P = 0xf000_0008n;
const at = { arch: microblaze, P };
const big = { ...at, little: false };

test('words', (t) => {
  t.is(patched(t, one({ ...at, A: 4n }, 'R_MICROBLAZE_32', 'ffffffff', 0x1234_5674n)), '78563412');
  t.is(patched(t, one(big, 'R_MICROBLAZE_32', 'ffffffff', 0x1234_5678n)), '12345678');
});

test('the upper half goes to the first word in either byte order', (t) => {
  t.is(patched(t, one(at, 'R_MICROBLAZE_64', '00000000 00000000', 0x1234_5678n)), '3412000078560000');
  t.is(patched(t, one(big, 'R_MICROBLAZE_64', '00000000 00000000', 0x1234_5678n)), '0000123400005678');
  t.is(patched(t, one(at, 'R_MICROBLAZE_64', 'ffffffff ffffffff', 0n)), '0000ffff0000ffff');
  t.is(patched(t, one(big, 'R_MICROBLAZE_64', 'ffffffff ffffffff', 0n)), 'ffff0000ffff0000');
});

test('a branch counts from the second word, and wraps', (t) => {
  t.is(patched(t, one(at, 'R_MICROBLAZE_64_PCREL', '00000000 00000000', P + 4n)), '0000000000000000');
  t.is(patched(t, one(at, 'R_MICROBLAZE_64_PCREL', '00000000 00000000', P)), 'ffff0000fcff0000');
  t.is(patched(t, one(big, 'R_MICROBLAZE_64_PCREL', '00000000 00000000', 0n)), '00000fff0000fff4');
});

test('three types leave no trace', (t) => {
  for (const type of [0, 4, 9]) t.is(patched(t, one(at, type, 'ffffffff', 0n)), 'ffffffff');
});

test('other types are unknown', (t) => {
  for (const version of versions)
    for (const type of [2, 6, 10])
      refused(
        t,
        one({ ...at, version }, type, '00000000', 0n),
        '00000000',
        'ENOEXEC',
        `module fix: Unknown relocation: ${type}`,
      );
});
