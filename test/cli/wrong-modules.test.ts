/** What is wrong with a module is said as the kernel says it: errno, log line, a sentence; exit 1 and no stack trace. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { buildKo, type KoSpec, ko, minimalModule, SHF_ALLOC, SHF_EXECINSTR } from '../../fixtures/build.ts';
import { kernelOf, komulator, module, STACK } from './captured.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-wrong-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

let files = 0;
/** Writes a file and gives its path. */
function file(bytes: Uint8Array | string): string {
  const path = join(dir, `${++files}.ko`);
  writeFileSync(path, bytes);
  return path;
}
const built = (spec: Partial<KoSpec>): string => file(ko(minimalModule(spec)));
const code = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, align: 16, size: 16 };
const pc32 = { offset: 4, type: 2, symbol: 'near_function', addend: -4 };
const whole = readFileSync(module('x86_64', 'hello'));

interface Failure {
  readonly errno: string;
  readonly check: string;
  readonly log: readonly string[];
  readonly reason: string;
  readonly hints: readonly string[];
}

/** Loads and gives the last failure, having looked at exit code and the words for people. */
async function refused(t: import('ava').ExecutionContext, args: readonly string[]): Promise<Failure> {
  const people = await komulator('load', ...args);
  t.is(people.code, 1);
  t.regex(people.err, /^insmod: ERROR: could not insert module /m);
  t.notRegex(people.out + people.err, STACK);
  const machine = await komulator('load', ...args, '--json');
  t.is(machine.code, 1);
  t.is(machine.err, '');
  const { failed } = JSON.parse(machine.out) as { failed: Failure[] };
  const failure = failed.at(-1)!;
  for (const line of failure.log) t.true(people.out.includes(`dmesg: ${line}\n`));
  t.true(people.err.includes(failure.reason));
  return failure;
}

const signed = 'module verification failed: signature and/or required key missing - tainting kernel';
const x86 = kernelOf('x86_64');

for (const [what, args, errno, check, log, reason] of [
  ['an empty file', [file('')], 'EINVAL', 'C07', [], /the file is empty/],
  [
    'a text file',
    [file('hello, world\n'.repeat(20))],
    'ENOEXEC',
    'C30',
    ['Invalid ELF header magic: != \x7fELF'],
    /not an ELF file/,
  ],
  ['a short text file', [file('hello')], 'ENOEXEC', 'C29', ['Invalid ELF header len 5'], /the file has 5 bytes/],
  [
    'a broken gzip stream',
    [file(gzipSync(whole).subarray(0, 300))],
    'EINVAL',
    'C14',
    ['decompression failed with status -5'],
    /truncated/,
  ],
  [
    'another machine',
    [module('x86_64', 'hello'), module('arm64', 'hello'), ...x86],
    'ENOEXEC',
    'C32',
    ['Invalid architecture in ELF header: 183'],
    /built for another machine/,
  ],
  [
    'a missing symbol',
    [module('x86_64', 'missing'), ...x86],
    'ENOENT',
    'C79',
    [`missing: ${signed}`, 'missing: Unknown symbol absent_function (err -2)'],
    /neither the kernel nor a loaded module exports absent_function/,
  ],
  [
    'a changed CRC',
    [module('x86_64', 'bad-crc'), ...x86],
    'EINVAL',
    'C82',
    [
      `bad_crc: ${signed}`,
      'bad_crc: disagrees about version of symbol near_function',
      'bad_crc: Unknown symbol near_function (err -22)',
    ],
    /rebuild it for this kernel/,
  ],
  [
    'a missing namespace import',
    [module('x86_64', 'exporter'), module('x86_64', 'no-namespace'), ...x86],
    'EINVAL',
    'C83',
    [
      'no_namespace: module uses symbol (counter_reset) from namespace COUNTER, but does not import it.',
      'no_namespace: Unknown symbol counter_reset (err -22)',
    ],
    /add MODULE_IMPORT_NS\("COUNTER"\)/,
  ],
  [
    'a proprietary user of a GPL-only symbol',
    [module('x86_64', 'proprietary'), ...x86],
    'ENOENT',
    'C80',
    [
      "proprietary: module license 'Proprietary' taints kernel.",
      `proprietary: ${signed}`,
      'proprietary: module license taints kernel.',
      'proprietary: Unknown symbol gpl_only_function (err -2)',
    ],
    /exported GPL-only/,
  ],
  [
    'an unknown relocation type',
    [
      built({
        sections: [code],
        relocs: { '.text': [{ ...pc32, type: 99 }] },
        versions: [
          ['module_layout', 0x90392bcd],
          ['near_function', crc('near_function')],
        ],
      }),
      ...x86,
    ],
    'ENOEXEC',
    'C89',
    [`minimal: ${signed}`, 'module: minimal: Unknown rela relocation: 99'],
    /type 99 against near_function/,
  ],
  [
    'a value out of range',
    [built({ sections: [code], relocs: { '.text': [{ offset: 0, type: 10, symbol: '.text' }] } }), ...x86],
    'ENOEXEC',
    'C90',
    [
      `minimal: ${signed}`,
      'module: overflow in relocation type 10 val ffffffffc0000000 sec 5 idx 0',
      "module: `minimal' likely not compiled with -mcmodel=kernel",
    ],
    /R_X86_64_32 holds 0x0 … 0xffffffff/,
  ],
  [
    'a module twice',
    [module('x86_64', 'hello'), module('x86_64', 'hello'), ...x86],
    'EEXIST',
    'C62',
    [],
    /hello is loaded already/,
  ],
  [
    'a stripped module',
    [built({ omit: ['.symtab', '.strtab'] })],
    'ENOEXEC',
    'C48',
    ['minimal: module has no symbols (stripped?)'],
    /./,
  ],
] as const) {
  test(`refused: ${what}`, async (t) => {
    const failure = await refused(t, args);
    t.is(failure.errno, errno);
    t.is(failure.check, check);
    t.deepEqual(failure.log, log);
    t.regex(failure.reason, reason);
  });
}

/** CRC-32, as the fictional kernel has it for all its symbols. */
function crc(name: string): number {
  const row = readFileSync(x86[1]!, 'utf8')
    .split('\n')
    .find((line) => line.split('\t')[1] === name);
  return Number(row?.split('\t')[0]);
}

test('without a symbol of the kernel, the way to them is shown', async (t) => {
  const { hints } = await refused(t, [module('x86_64', 'hello')]);
  t.regex(hints[0] ?? '', /give --symvers Module\.symvers/);
});

test('a symbol of another module: which one is told from Module.symvers', async (t) => {
  const { hints } = await refused(t, [module('x86_64', 'user'), ...x86]);
  t.true(
    hints.some(
      (hint) => hint === 'counter_add is exported by fixtures/exporter: load that first, or give --modules DIR',
    ),
    hints.join('\n'),
  );
});

test('a module cut at every boundary of its sections is refused, in the same breath as the whole one is loaded', async (t) => {
  const spec = minimalModule({ sections: [code], relocs: { '.text': [pc32] } });
  const { sections, image, e_shoff } = buildKo(spec);
  const cuts = new Set([
    ...sections.flatMap((s) => [s.sh_offset, s.sh_offset + s.sh_size, s.header]),
    e_shoff,
    63,
    64,
    image.length - 1,
  ]);
  for (const cut of [...cuts].filter((at) => at < image.length)) {
    const path = file(image.subarray(0, cut));
    const { code: exitCode, out, err } = await komulator('load', path, '--json');
    t.is(exitCode, 1, `cut at ${cut}`);
    t.is(err, '');
    const { failed } = JSON.parse(out) as { failed: Failure[] };
    t.is(failed[0]?.errno, cut === 0 ? 'EINVAL' : 'ENOEXEC', `cut at ${cut}`);
    t.not(failed[0]?.reason, '');
  }
  t.true(cuts.size > 10);
});

test('a machine that no architecture of ours is for is named', async (t) => {
  const { code: exitCode, err } = await komulator('load', built({ ehdr: { e_machine: 106 } }));
  t.is(exitCode, 2);
  t.regex(err, /is for blackfin \(e_machine 106, 64-bit little-endian\), which is not supported; there are x86_64, /);
});

test('the process says the same, without a stack trace', async (t) => {
  const { spawnSync } = await import('node:child_process');
  const { fileURLToPath } = await import('node:url');
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  for (const path of [file(''), file('text\n'), file(whole.subarray(0, whole.length >> 1))]) {
    const { status, stderr } = spawnSync(process.execPath, [main, 'load', path], { encoding: 'utf8' });
    t.is(status, 1);
    t.regex(stderr, /could not insert module/);
    t.notRegex(stderr, STACK);
  }
});
