import test from 'ava';
import { i386, x86_64 } from '../../arch/x86.ts';
import type { Version } from '../../relocs/module-view.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched, refused } from './one.ts';
import { type Outcome, relocate } from './relocate.ts';

const P = 0xffff_ffff_c000_1008n;
const at = (type: string | number, S: bigint, A = 0n, version: Version = '7.2', bytes = '00'.repeat(8)): Outcome =>
  one({ arch: x86_64, P, A, version }, type, bytes, BigInt.asUintN(64, S));

test('words', (t) => {
  const far = 0x1234_5678_9abc_def0n;
  t.is(patched(t, at('R_X86_64_64', far, 8n)), 'f8debc9a78563412');
  t.is(patched(t, at('R_X86_64_PC64', far, P - far - 2n)), 'feffffffffffffff');
  t.is(patched(t, at('R_X86_64_PC64', P + 0x1_2345_6789n)), '8967452301000000');
  for (const type of ['R_X86_64_PC32', 'R_X86_64_PLT32'])
    t.is(patched(t, at(type, P + 0x1234n, -4n)), '3012000000000000', type);
  t.is(patched(t, at('R_X86_64_NONE', far)), '00'.repeat(8));
});

test('a displacement that does not fit is cut off in silence', (t) => {
  for (const type of ['R_X86_64_PC32', 'R_X86_64_PLT32']) {
    t.is(patched(t, at(type, P + 0x8000_0000n)), '0000008000000000', type);
    t.is(patched(t, at(type, P + 0x1_0000_0001n)), '0100000000000000', type);
  }
});

for (const version of versions) {
  const said = (type: number, val: string): string[] => [
    `module: overflow in relocation type ${type} val ${val}${version === '7.2' ? ' sec 2 idx 0' : ''}`,
    "module: `fix' likely not compiled with -mcmodel=kernel",
  ];

  test(`${version}: 32 is extended with zeros, 32S with its sign; one beyond is refused`, (t) => {
    for (const [type, S, bytes] of [
      ['R_X86_64_32', 0n, '00000000'],
      ['R_X86_64_32', 0xffff_ffffn, 'ffffffff'],
      ['R_X86_64_32S', 0x7fff_ffffn, 'ffffff7f'],
      ['R_X86_64_32S', -0x8000_0000n, '00000080'],
    ] as const)
      t.is(patched(t, at(type, S, 0n, version)), `${bytes}00000000`);
    for (const [type, number, S] of [
      ['R_X86_64_32', 10, 0x1_0000_0000n],
      ['R_X86_64_32', 10, 0xffff_ffff_8000_0000n],
      ['R_X86_64_32S', 11, 0x8000_0000n],
      ['R_X86_64_32S', 11, 0xffff_ffff_7fff_ffffn],
    ] as const) {
      // 6.1 has written already when it looks.
      const left = version === '6.1' ? Buffer.from(BigInt.asUintN(32, S).toString(16).padStart(8, '0'), 'hex') : [];
      const bytes = Buffer.from(left).reverse().toString('hex').padEnd(16, '0');
      refused(t, at(type, S, 0n, version), bytes, 'ENOEXEC', ...said(number, S.toString(16)));
    }
  });

  test(`${version}: what is not zero is not overwritten`, (t) => {
    const S = P + 0x40n;
    const where = {
      '6.1':
        'Skipping invalid relocation target, existing value is nonzero for type 2, loc ffffffffc0001008, val ffffffffc0001048',
      '6.12': 'Invalid relocation target, existing value is nonzero for type 2, loc ffffffffc0001008, val 40',
      '7.2':
        'Invalid relocation target, existing value is nonzero for sec 2, idx 0, type 2, loc ffffffffc0001008, val 40',
    }[version];
    const bytes = '0000000100000000';
    refused(t, at('R_X86_64_PC32', S, 0n, version, bytes), bytes, 'ENOEXEC', `module: x86/modules: ${where}`);
    // Only what will be written is looked at.
    t.is(patched(t, at('R_X86_64_PC32', S, 0n, version, '0000000001000000')), '4000000001000000');
    refused(
      t,
      at('R_X86_64_64', 1n, 0n, version, '0000000001000000'),
      '0000000001000000',
      'ENOEXEC',
      `module: x86/modules: ${where.replace('type 2', 'type 1').replace(/val .*/, 'val 1')}`,
    );
  });

  test(`${version}: types nobody knows`, (t) => {
    for (const type of [3, 5, 9, 12, 42])
      refused(t, at(type, P, 0n, version), '00'.repeat(8), 'ENOEXEC', `module: fix: Unknown rela relocation: ${type}`);
  });
}

test('i386 adds to the word in place, and checks nothing', (t) => {
  const place = 0xf800_1008n;
  const load = (type: string | number, bytes: string, S: bigint): Outcome =>
    one({ arch: i386, P: place }, type, bytes, S);
  t.is(patched(t, load('R_386_32', '04000000', 0xffff_ffffn)), '03000000');
  for (const type of ['R_386_PC32', 'R_386_PLT32'])
    t.is(patched(t, load(type, 'fcffffff', place + 0x1234n)), '30120000', type);
  refused(t, load(0, '04000000', 0n), '04000000', 'ENOEXEC', 'module: fix: Unknown relocation: 0');
});

test('an error leaves what was done before it', (t) => {
  const o = relocate({
    arch: x86_64,
    sections: { '.text': { addr: P, data: 16 } },
    symbols: { near: P + 8n, low: 0x8000_0000n },
    relocs: {
      '.text': [
        [0, 'R_X86_64_PC32', 'near'],
        [4, 'R_X86_64_32S', 'low'],
        [8, 'R_X86_64_PC32', 'near'],
      ],
    },
  });
  t.is(o.errno, 'ENOEXEC');
  t.is(o.hex('.text'), `0800000000000000${'00'.repeat(8)}`);
});
