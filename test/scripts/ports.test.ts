import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { ports, withoutPort } from '../../oracle/ports.ts';
import { run } from '../../scripts/ports/child.ts';
import { missing, packagesOf } from '../../scripts/ports/packages.ts';
import { inLanes, plan, seriesNamed, withoutOlder } from '../../scripts/ports/plan.ts';
import { closing, type Compared, isWell, tableText, type Untold, written } from '../../scripts/ports/report.ts';

const compared: Compared = {
  series: '7.2',
  arch: 'riscv64',
  kernel: '7.2.13',
  compiler: 'riscv64-linux-gnu-gcc 12.2.0',
  emulator: 'qemu-riscv64 7.2.22',
  types: 50,
  reached: 49,
  cases: 2000,
  agree: 1999,
  notCompared: 1,
  recorded: 417,
  replayed: 417,
  blocks: { reached: 90, of: 100 },
  building: 3.21,
  seconds: 1.94,
};
const skipped: Untold = {
  series: '6.1',
  arch: 'arm',
  how: 'skipped',
  why: 'no compiler: arm-linux-gnueabi-gcc is not installed\nat all',
};
const broken: Untold = { series: '6.12', arch: 'sh', how: 'failed', why: 'not built: module.c does not compile:' };

test('every port of the newest kernel comes first, then what most people run', (t) => {
  const all = plan(['7.2', '6.12', '6.1']);
  const names = Object.keys(ports);
  t.deepEqual(
    all.slice(0, names.length).map(({ arch }) => arch),
    names,
  );
  t.true(all.slice(0, names.length).every(({ series }) => series === '7.2'));
  const older = all.slice(names.length);
  const lastOf = (arch: string): number => older.findLastIndex((one) => one.arch === arch);
  for (const arch of ['riscv64', 'riscv32', 'arm64', 'arm', 'x86_64', 'i386', 's390x', 'ppc64le', 'ppc64'])
    t.true(lastOf(arch) < older.findIndex((one) => one.arch === 'mips'), arch);
  t.is(all.length, new Set(all.map(({ series, arch }) => `${series} ${arch}`)).size);
});

test('what an older kernel does not have is not planned for it, and says why', (t) => {
  t.false(plan(['6.1']).some(({ arch }) => arch === 'loongarch64'));
  t.true(plan(['6.12']).some(({ arch }) => arch === 'loongarch64'));
  for (const list of Object.values(withoutOlder)) for (const arch of Object.keys(list)) t.true(arch in ports, arch);
});

test('some ports are planned for by name', (t) => {
  t.deepEqual(plan(['7.2', '6.1'], ['mips', 'arm64']), [
    { series: '7.2', arch: 'arm64' },
    { series: '7.2', arch: 'mips' },
    { series: '6.1', arch: 'arm64' },
    { series: '6.1', arch: 'mips' },
  ]);
  t.throws(() => plan(['7.2'], ['arm64', 'vax']), { message: /^no port named vax: choose from riscv64 / });
});

test('kernels are named by their series', (t) => {
  t.deepEqual(seriesNamed([]), ['7.2', '6.12', '6.1']);
  t.deepEqual(seriesNamed(['6.1', '7.2']), ['7.2', '6.1']);
  t.throws(() => seriesNamed(['7.2', '5.10']), { message: 'no kernel 5.10: choose from 6.1 6.12 7.2' });
});

test('lanes take the list in order, and no more than so many at once', async (t) => {
  const begun: number[] = [];
  let at = 0;
  let most = 0;
  await inLanes([5, 1, 1, 1, 1], 2, async (n) => {
    begun.push(begun.length);
    most = Math.max(most, ++at);
    await sleep(n * 5);
    at--;
  });
  t.deepEqual(begun, [0, 1, 2, 3, 4]);
  t.is(most, 2);
});

test('packages are those of which no witness is there', (t) => {
  const needed = packagesOf(['riscv64', 'hexagon']);
  t.deepEqual(needed.get('qemu-user-static'), ['qemu-hexagon-static', 'qemu-hexagon']);
  t.deepEqual(needed.get('gcc-riscv64-linux-gnu'), ['riscv64-linux-gnu-gcc']);
  t.deepEqual(needed.get('clang-19'), ['clang-19']);
  t.false(needed.has('gcc-arm-linux-gnueabi'));
  const there = new Set(['clang-19', 'qemu-hexagon', 'make']);
  const absent = missing(needed, (witness) => there.has(witness));
  t.true(absent.includes('gcc-riscv64-linux-gnu') && absent.includes('libelf-dev'));
  for (const name of ['clang-19', 'qemu-user-static', 'make']) t.false(absent.includes(name), name);
});

test('a program of the PATH and a file of the system are witnesses', (t) => {
  t.deepEqual(
    missing(
      new Map([
        ['shell', ['sh']],
        ['passwd', ['/etc/passwd']],
        ['nothing', ['komulator-nosuch', '/nosuch/file']],
      ]),
    ),
    ['nothing'],
  );
});

test('the table has a line for every port, and says what was skipped', (t) => {
  const lines = tableText([
    compared,
    { ...compared, arch: 'm68k', recorded: 0, replayed: 0, blocks: undefined },
    skipped,
  ]);
  t.deepEqual(lines.split('\n'), [
    'architecture  kernel  types reached  blocks run  cases  agree  not compared    recorded  seconds',
    'riscv64       7.2.13       49 of 50   90 of 100  2,000  1,999             1  417 of 417      1.9',
    'm68k          7.2.13       49 of 50           –  2,000  1,999             1           –      1.9',
    'SKIPPED arm 6.1: no compiler: arm-linux-gnueabi-gcc is not installed',
  ]);
});

test('a port is well when every case agrees or is not compared, and every recorded one came out again', (t) => {
  t.true(isWell(compared));
  t.false(isWell({ ...compared, agree: 1998 }));
  t.false(isWell({ ...compared, replayed: 416 }));
});

test('the closing line counts ports; nothing but skips is exit 3 with the reason', (t) => {
  t.deepEqual(closing([compared, skipped]), { code: 0, line: '1 passed, 0 failed, 1 skipped' });
  t.deepEqual(closing([compared]), { code: 0, line: '1 passed, 0 failed' });
  t.deepEqual(closing([compared, broken, skipped]), { code: 1, line: '1 passed, 1 failed, 1 skipped' });
  t.deepEqual(closing([{ ...compared, agree: 0 }]), { code: 1, line: '0 passed, 1 failed' });
  t.deepEqual(closing([broken]), { code: 1, line: '0 passed, 1 failed' });
  t.deepEqual(closing([skipped]), {
    code: 3,
    line: 'no port could be run: no compiler: arm-linux-gnueabi-gcc is not installed',
  });
  t.deepEqual(closing([]), { code: 3, line: 'no port could be run: none was asked for' });
});

test('the document keeps its prose and gets new tables', (t) => {
  const before =
    '# Title\n\nprose\n\n<!-- made by npm run test:ports -- --write -->\nold\n<!-- end of what is made -->\nmore\n';
  const after = written(before, [compared, skipped], 7, new Map(Object.entries(withoutPort)));
  t.true(after.startsWith('# Title\n\nprose\n\n<!-- made by'));
  t.true(after.endsWith('<!-- end of what is made -->\nmore\n'));
  t.false(after.includes('old'));
  t.regex(after, /\n1 ports?, 2,000 generated cases of seed 7: 1,999 agree/);
  t.regex(after, /\n\| riscv64 \| 7\.2\.13 \| 49 of 50 \| 90 of 100 \| 2,000 \| 1,999 \| 1 \| 417 of 417 \| 1\.9 \|\n/);
  t.regex(after, /\n\| arm \| 6\.1 \| skipped: no compiler: \S+ is not installed \|/);
  t.regex(after, /\n\| riscv64-linux-gnu-gcc 12\.2\.0 \| riscv64 \|\n/);
  t.regex(after, /\n\| csky \| no compiler in Debian \|\n/);
  t.is(written(after, [compared, skipped], 7, new Map(Object.entries(withoutPort))), after);
  t.throws(() => written('# Title\n', [], 1, new Map()), { message: /lacks/ });
});

test('a child gives its output and exit code', async (t) => {
  const ended = await run(['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'], Number.POSITIVE_INFINITY);
  t.deepEqual(ended, { code: 3, stdout: 'out\n', stderr: 'err\n', late: false });
});

test('a deadline ends a child with all that it started', async (t) => {
  const began = performance.now();
  // The grandchild holds the pipe: while it lives, the output has no end.
  const ended = await run(['/bin/sh', '-c', 'sleep 60 & echo begun; wait'], began + 500);
  t.deepEqual(ended, { code: null, stdout: 'begun\n', stderr: '', late: true });
  t.true(performance.now() - began < 50_000);
});

test('a child that cannot be started is an error', async (t) => {
  await t.throwsAsync(run(['/nosuch/program'], Number.POSITIVE_INFINITY), { code: 'ENOENT' });
});
