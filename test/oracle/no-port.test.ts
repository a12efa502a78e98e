import { join } from 'node:path';
import test from 'ava';
import { arches } from '../../arch/index.ts';
import { PortError, type PortOutcome, PortProcess } from '../../oracle/port-process.ts';
import { verify } from '../../oracle/verify.ts';
import { komulator } from '../cli/captured.ts';

const riscv64 = arches.find((a) => a.name === 'riscv64')!;
const LO12_S = 28;
const asked = { arch: riscv64, version: '7.2', little: true, bases: [0x2000_0000n], seed: 5 } as const;

const dead = (crash: string): PortOutcome => ({
  ret: 'crash',
  stage: undefined,
  crash,
  warns: 0,
  log: '',
  sections: new Map(),
  extra: new Map(),
});

test('what never answers is no port, and is not shrunk', async (t) => {
  let cases = 0;
  const silent = {
    run: async (given: readonly unknown[]) => {
      cases += given.length;
      return given.map(() => dead('timeout'));
    },
  };
  await t.throwsAsync(verify(silent, { ...asked, runs: 100 }), {
    instanceOf: PortError,
    message: 'the port does not answer when it is given a module without relocations',
  });
  t.is(cases, 1);
});

test('what dies at once is no port', async (t) => {
  const { code, out, err } = await komulator('port', 'verify', '--exec', 'kill -SEGV $$', '--arch', 'riscv64');
  t.is(code, 3);
  t.is(out, '');
  t.regex(err, /^error: the port crashes \(signal 11\) when it is given a module without relocations\n$/);
});

for (const [fault, crash] of [
  ['hang', /^timeout$/],
  ['flood', /^(flood|no outcome, but "x+)/],
  ['crash', /^signal 11$/],
  ['garbage', /^no outcome, but "hello/],
  ['exit', /^the port ended with exit code 3: /],
] as const) {
  test(`a program that does this on one type is found, and the next case has another: ${fault}`, async (t) => {
    const script = join(import.meta.dirname, 'reference-port.ts');
    await using port = new PortProcess({ command: [process.execPath, script, '--fault', fault], timeLimit: 2000 });
    const { disagreement } = await verify(port, { ...asked, types: [LO12_S], runs: 50, shrinkTime: 0 });
    t.regex(disagreement?.port.crash ?? '', crash);
    t.true(disagreement!.relocations.some((r) => r.name === 'R_RISCV_LO12_S'));
    const other = await verify(port, { ...asked, types: [2], runs: 20 });
    t.is(other.disagreement, undefined);
    t.is(other.runs, 20);
  });
}
