import { PassThrough } from 'node:stream';
import test from 'ava';
import { arches } from '../../arch/index.ts';
import { type Block, blockCoverage, blockFlags, isHandler } from '../../oracle/blocks.ts';
import { packCase, type PortOutcome, unpackOutcome } from '../../oracle/port-protocol.ts';
import { servePort } from '../../oracle/serve-port.ts';
import { Toolchain } from '../../oracle/toolchain.ts';
import { verify } from '../../oracle/verify.ts';

const block = (address: string, line: number, name: string): Block => ({
  address,
  file: 'arch/x/kernel/module.c',
  line,
  function: name,
});
const blocks = [
  block('0x1008', 10, 'apply'),
  block('0x1010', 12, 'apply'),
  block('0x1018', 11, 'apply'),
  block('0x1020', 11, 'apply'),
  block('0x2000', 30, 'module_finalize'),
];

test('blocks are counted in functions that ran, others are named', (t) => {
  t.deepEqual(blockCoverage(blocks, [0x1008n, 0x1020n]), {
    total: 4,
    reached: 2,
    notReached: ['arch/x/kernel/module.c:11', 'arch/x/kernel/module.c:12'],
    neverRun: new Map([['module_finalize', 1]]),
  });
  t.deepEqual(blockCoverage(blocks, []).neverRun, new Map(Object.entries({ apply: 4, module_finalize: 1 })));
});

test('an address belongs to the block that it is a few bytes behind, or in front of', (t) => {
  // mips64: behind the delay slot, and in front of the next call's. ppc64: in front of the nop.
  t.is(blockCoverage(blocks, [0x100cn]).notReached.includes('arch/x/kernel/module.c:12'), true);
  t.is(blockCoverage([block('0x1008', 10, 'apply')], [0x1004n]).reached, 1);
  t.is(blockCoverage(blocks, [0x1029n]).reached, 0);
  t.is(blockCoverage(blocks, [0x1008n, 0x100cn]).reached, 1);
});

test('handlers proper are counted, libraries are not', (t) => {
  t.true(isHandler('arch/riscv/kernel/module-sections.c'));
  t.true(isHandler('arch/powerpc/kernel/module_64.c'));
  t.false(isHandler('arch/arm64/lib/insn.c'));
  t.regex(blockFlags(new Toolchain('-19')), /bb,no-prune,trace-pc$/);
  t.regex(blockFlags(new Toolchain('sh4-linux-gnu-')), /=trace-pc$/);
});

test('what a port tells of its blocks is no extra', async (t) => {
  const [input, output] = [new PassThrough(), new PassThrough()];
  input.end(packCase({ mem: {}, places: new Map(), symbols: new Map(), elf: new Uint8Array() }, 7));
  await servePort(
    () => ({
      ret: 0,
      stage: undefined,
      warns: 0,
      log: '',
      sections: new Map(),
      extra: new Map([['.text#stubs', Uint8Array.of(1, 2)]]),
      reached: [0x1008n, 0xffff_ffff_8000_0000n],
    }),
    input,
    output,
  );
  const { outcome } = unpackOutcome(output.read() as Buffer, 7)!;
  t.deepEqual(outcome.reached, [0x1008n, 0xffff_ffff_8000_0000n]);
  t.deepEqual([...outcome.extra], [['.text#stubs', Uint8Array.of(1, 2)]]);
});

test('what the very first case reaches counts, and what the case reaches that disagrees', async (t) => {
  let told = 0n;
  const port = {
    run: async (given: readonly unknown[]): Promise<PortOutcome[]> =>
      given.map(() => ({
        ret: 0,
        stage: undefined,
        crash: undefined,
        warns: 0,
        log: 'no kernel says this',
        sections: new Map(),
        extra: new Map(),
        reached: [told++],
      })),
  };
  const arch = arches.find((a) => a.name === 'm68k')!;
  const range = { arch, version: '7.2', little: false, bases: [0x2000_0000n] } as const;
  const { blocks: reached, disagreement } = await verify(port, { ...range, runs: 1, seed: 1, shrinkTime: 0 });
  t.not(disagreement, undefined);
  t.deepEqual(
    [...reached],
    Array.from({ length: Number(told) }, (_, i) => BigInt(i)),
  );
});
