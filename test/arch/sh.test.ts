import test from 'ava';
import { sh } from '../../arch/sh.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';
import { type Outcome, relocate } from './relocate.ts';

const P = 0xc001_0008n;
const little = { arch: sh, P };
const big = { ...little, little: false };

test('words are added to what they hold, addend and all', (t) => {
  t.is(patched(t, one({ ...little, A: 1n }, 'R_SH_DIR32', '04000000', 0x1234_5673n)), '78563412');
  t.is(patched(t, one({ ...big, A: 1n }, 'R_SH_DIR32', '00000004', 0x1234_5673n)), '12345678');
  t.is(patched(t, one(little, 'R_SH_DIR32', 'ffffffff', 1n)), '00000000');
  t.is(patched(t, one(little, 'R_SH_REL32', '04000000', P)), '04000000');
  t.is(patched(t, one(big, 'R_SH_REL32', '00000004', P - 8n)), 'fffffffc');
  t.is(patched(t, one(little, 'R_SH_NONE', '78563412', 1n)), '78563412');
});

test('the halves of SHmedia lie in bits 25:10', (t) => {
  t.is(patched(t, one(big, 'R_SH_IMM_LOW16', 'ffffffff', 0x1234_0000n)), 'fc0003ff');
  t.is(patched(t, one(big, 'R_SH_IMM_LOW16', '00000000', 0x1234_ffffn)), '03fffc00');
  t.is(patched(t, one(little, 'R_SH_IMM_LOW16', '00000000', 0x1234_ffffn)), '00fcff03');
  t.is(patched(t, one(big, 'R_SH_IMM_MEDLOW16', '00000000', 0xffff_0000n)), '03fffc00');
  t.is(patched(t, one(big, 'R_SH_IMM_MEDLOW16', 'ffffffff', 0x0000_ffffn)), 'fc0003ff');
  t.is(patched(t, one(big, 'R_SH_IMM_LOW16_PCREL', '00000000', P - 1n)), '03fffc00');
  t.is(patched(t, one(big, 'R_SH_IMM_MEDLOW16_PCREL', '00000000', P + 0x1_0000n)), '00000400');
});

test('other types are unknown', (t) => {
  for (const version of versions)
    for (const type of [3, 160, 245, 250])
      refused(
        t,
        one({ ...little, version }, type, '00000000', 0n),
        '00000000',
        'ENOEXEC',
        `module fix: Unknown relocation: ${type}`,
      );
});

test('with DWARF_UNWINDER the unwind entries are counted, and an extended length is refused', (t) => {
  const finalize = (data: string, DWARF_UNWINDER = true): Outcome => {
    const o = relocate({ arch: sh, config: { DWARF_UNWINDER }, sections: { '.eh_frame': { addr: P, data } } });
    sh.finalize!(o.module);
    return o;
  };
  const cie = '08000000 00000000 01000000';
  const fde = '04000000 10000000';
  t.deepEqual(finalize(cie + fde + fde).log, ['DWARF unwinder initialised: read 1 CIEs, 2 FDEs']);
  t.deepEqual(finalize('', true).log, ['DWARF unwinder initialised: read 0 CIEs, 0 FDEs']);
  t.deepEqual(finalize(cie, false).log, []);
  const bad = relocate({
    arch: sh,
    config: { DWARF_UNWINDER: true },
    sections: { '.eh_frame': { addr: P, data: `${cie}f0ffffff` } },
  });
  t.throws(() => sh.finalize!(bad.module), { message: '.eh_frame+0xc has an extended length' });
  t.deepEqual(bad.log, ['Unknown DWARF extension', 'fix: failed to parse DWARF info']);
});
