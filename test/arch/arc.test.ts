import test from 'ava';
import { arc, arcompact } from '../../arch/arc.ts';
import { archOf } from '../../arch/index.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';

const P = 0x7000_0008n;
for (const arch of [arc, arcompact]) {
  const at = { arch, P };
  const big = { ...at, little: false };

  test(`${arch.name}: words, plain and middle-endian`, (t) => {
    t.is(patched(t, one({ ...at, A: 4n }, 'R_ARC_32', 'ffffffff', 0x1234_5674n)), '78563412');
    t.is(patched(t, one(at, 'R_ARC_32_ME', 'ffffffff', 0x1234_5678n)), '34127856');
    t.is(patched(t, one(big, 'R_ARC_32_ME', 'ffffffff', 0x1234_5678n)), '12345678');
    t.is(patched(t, one(at, 'R_ARC_32_PCREL', 'ffffffff', P - 2n)), 'feffffff');
    t.is(patched(t, one(big, 'R_ARC_32_PCREL', 'ffffffff', 0n)), '8ffffff8');
  });

  test(`${arch.name}: other types are unknown, NONE among them`, (t) => {
    for (const version of versions)
      for (const type of [0, 17, 28])
        refused(
          t,
          one({ ...at, version }, type, '00000000', 0n),
          '00000000',
          'ENOEXEC',
          `fix: unknown relocation: ${type}`,
        );
  });
}

test('a kernel takes its own instruction set and OSABI v4, and says what it misses', (t) => {
  const header = { is64: false, little: true, e_machine: 195, e_flags: 0x406, e_entry: 0n };
  const log: string[] = [];
  const say = (line: string): void => void log.push(line);
  t.true(arc.accepts!(header, {}, say));
  t.true(arcompact.accepts!({ ...header, e_machine: 93, e_flags: 0x403 }, {}, say));
  t.deepEqual(log, []);
  t.false(arc.accepts!({ ...header, e_flags: 0x306 }, {}, say));
  t.false(arc.accepts!({ ...header, e_machine: 93 }, {}, say));
  t.false(arcompact.accepts!(header, {}, say));
  t.deepEqual(log, [
    'ABI mismatch - you need newer toolchain',
    'ELF not built for ARCv2 ISA',
    'ELF not built for ARCompact ISA',
  ]);
  t.is(archOf({ ...header, e_machine: 93 }, [arc, arcompact]), arcompact);
  t.is(archOf(header, [arc, arcompact]), arc);
});
