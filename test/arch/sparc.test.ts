import test from 'ava';
import { sparc32, sparc64 } from '../../arch/sparc.ts';
import { SHN_ABS, SHN_UNDEF } from '../../relocs/elf.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';
import { relocate } from './relocate.ts';

const P = 0x1001_0008n;

for (const arch of [sparc32, sparc64]) {
  const at = { arch, P };

  test(`${arch.name}: words, where they are aligned and where not`, (t) => {
    for (const type of ['R_SPARC_32', 'R_SPARC_UA32'])
      t.is(patched(t, one({ ...at, A: 4n }, type, 'ffffffff', 0x1234_5674n)), '12345678');
    t.is(patched(t, one(at, 'R_SPARC_DISP32', 'ffffffff', P - 2n)), 'fffffffe');
    t.is(patched(t, one({ ...at, A: 1n }, 'R_SPARC_32', '00000000', 0xffff_ffffn)), '00000000');
  });

  test(`${arch.name}: fields keep their opcode and cut off what does not fit`, (t) => {
    t.is(patched(t, one(at, 'R_SPARC_WDISP30', '40000000', P + 0x100n)), '40000040');
    t.is(patched(t, one(at, 'R_SPARC_WDISP30', 'ffffffff', P)), 'c0000000');
    t.is(patched(t, one(at, 'R_SPARC_WDISP30', '40000000', P + 7n)), '40000001');
    t.is(patched(t, one(at, 'R_SPARC_WDISP22', '10800000', P - 4n)), '10bfffff');
    t.is(patched(t, one(at, 'R_SPARC_WDISP22', '10800000', P + 0x7f_fffcn)), '109fffff');
    t.is(patched(t, one(at, 'R_SPARC_WDISP22', '10800000', P + 0x80_0000n)), '10a00000');
    t.is(patched(t, one(at, 'R_SPARC_WDISP22', '10800000', P + 0x100_0000n)), '10800000');
    t.is(patched(t, one(at, 'R_SPARC_HI22', '03000000', 0xf012_3456n)), '033c048d');
    t.is(patched(t, one(at, 'R_SPARC_HI22', 'ffffffff', 0x3ffn)), 'ffc00000');
    t.is(patched(t, one(at, 'R_SPARC_LO10', '82106000', 0xf012_3456n)), '82106056');
    t.is(patched(t, one(at, 'R_SPARC_LO10', 'ffffffff', 0x400n)), 'fffffc00');
  });

  test(`${arch.name}: other types are unknown, in hexadecimal, NONE among them`, (t) => {
    for (const version of versions)
      for (const type of [0, 11, 0x28, 0xff])
        refused(
          t,
          one({ ...at, version }, type, '00000000', 0n),
          '00000000',
          'ENOEXEC',
          `module fix: Unknown relocation: ${version === '7.2' ? '0x' : ''}${type.toString(16)}`,
        );
  });

  test(`${arch.name}: global registers are not looked up`, (t) => {
    const o = relocate({
      arch,
      sections: {},
      symbols: {
        g2: { value: 2n, shndx: SHN_UNDEF, type: 13 },
        foo: { value: 0n, shndx: SHN_UNDEF },
        own: { value: 0n, shndx: 1, type: 13 },
      },
    });
    t.deepEqual(
      [1, 2, 3].map((i) => o.module.symtab!.st_shndx(i)),
      [SHN_ABS, SHN_UNDEF, 1],
    );
    const stripped = relocate({ arch, sections: {}, stripped: true });
    t.is(stripped.errno, 'ENOEXEC');
    t.deepEqual(stripped.log, ['fix: no symtab found.']);
  });
}

test('64-bit types are unknown to 32-bit kernels', (t) => {
  for (const type of [32, 33, 41, 54])
    refused(
      t,
      one({ arch: sparc32, P }, type, '0000000000000000', 0n),
      '0000000000000000',
      'ENOEXEC',
      `module fix: Unknown relocation: 0x${type.toString(16)}`,
    );
});

test('64-bit words and branches on conditions', (t) => {
  const at = { arch: sparc64, P };
  for (const type of ['R_SPARC_64', 'R_SPARC_UA64'])
    t.is(patched(t, one({ ...at, A: -1n }, type, 'ffffffffffffffff', 0x1234_5678_9abc_def1n)), '123456789abcdef0');
  t.is(patched(t, one(at, 'R_SPARC_WDISP19', '10480000', P - 4n)), '104fffff');
  t.is(patched(t, one(at, 'R_SPARC_WDISP19', 'ffffffff', P + 0x20_0000n)), 'fff80000');
  t.is(patched(t, one(at, 'R_SPARC_DISP32', '00000000', 0x1_0000_0000n + P)), '00000000');
});

test('OLO10 adds the upper 24 bits of its type to the low 10 bits', (t) => {
  const at = { arch: sparc64, P };
  const olo10 = (more: number): number => 33 + more * 256;
  t.is(patched(t, one(at, olo10(0), '82106000', 0xf012_3456n)), '82106056');
  t.is(patched(t, one(at, olo10(0x11), '82106000', 0xf012_37ffn)), '82106410');
  t.is(patched(t, one(at, olo10(0xff_ffff), 'ffffe000', 1n)), 'ffffe000');
  t.is(patched(t, one(at, olo10(0xff_ffff), '82106000', 0n)), '82107fff');
  t.is(patched(t, one(at, 12 + 0x1100, '82106000', 0n)), '82106000', 'other types have no use for them');
});

test('a place beyond 4 GiB is a BUG before anything else is looked at', (t) => {
  const below = one({ arch: sparc64, P: 0xffff_fffcn }, 'R_SPARC_32', '00000000', 1n);
  t.is(patched(t, below), '00000001');
  for (const type of ['R_SPARC_32', 0]) {
    const o = one({ arch: sparc64, P: 0x1_0000_0000n }, type, '00000000', 1n);
    t.is(o.crash, 'BUG');
    t.regex(o.reason, /at 0x100000000, and modules must lie below 4 GiB/);
    t.deepEqual(o.log, []);
  }
});
