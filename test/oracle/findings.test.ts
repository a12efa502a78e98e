import { existsSync, globSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { type CaseFile, CaseFileError, parseCaseFile, unlike, vectorOfCase } from '../../oracle/case-file.ts';
import { portCaseOf } from '../../oracle/vector-case.ts';
import { runCase } from '../../oracle/run-case.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { komulator } from '../cli/captured.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): CaseFile => parseCaseFile(readFileSync(join(root, file), 'utf8'));
const findings = globSync('fixtures/findings/*.json', { cwd: root }).toSorted();
const said = (c: CaseFile): Version[] => versions.filter((v) => c.expect[v] !== undefined);

test('every finding comes out at the reference as its file says, in every kernel', async (t) => {
  t.true(findings.length > 50);
  for (const file of [...findings, ...globSync('fixtures/finalize/*.json', { cwd: root })]) {
    const c = read(file);
    t.true(said(c).length > 0, file);
    for (const version of said(c)) t.deepEqual((await runCase(c, version)).unlike?.reference, [], `${file} ${version}`);
  }
});

test('a kernel that is affected does otherwise than one that is not, or all are', (t) => {
  for (const file of findings) {
    const { affected = [], expect } = read(file);
    t.true(affected.length > 0, file);
    const of = (v: Version): string => JSON.stringify(expect[v]);
    for (const other of said(read(file)).filter((v) => !affected.includes(v)))
      for (const v of affected) t.not(of(v), of(other), `${file} ${v} ${other}`);
    for (const v of affected) t.true(v in expect, `${file} ${v}`);
  }
});

/** '### title' and the lines below it. */
const document = readFileSync(join(root, 'docs/upstream-findings.md'), 'utf8');
const entries = document
  .split(/^(?=##+ )/m)
  .filter((part) => part.startsWith('### '))
  .map((part) => ({ title: part.split('\n')[0]!.slice(4), text: part }));

test('every finding of the document has the same form: how to see it, kernels, file and function, why', (t) => {
  t.true(entries.length > 30);
  for (const { title, text } of entries) {
    t.regex(text, /^\* Kernels: (\d+\.\d+(, )?)+[.;]/m, title);
    t.regex(text, /^\* Where: `arch\/.+`/m, title);
    t.regex(text, /^\* (See: `npm run -s komulator -- port run fixtures\/findings\/\S+\.json`|By reading)/m, title);
    t.regex(text, /^\* Why: /m, title);
  }
});

test('every case of the findings is in the document once, with the kernels it affects', (t) => {
  const named = entries.flatMap(({ title, text }) =>
    Array.from(text.matchAll(/fixtures\/findings\/([\w-]+)\.json/g), ([, name = '']) => ({ name, title, text })),
  );
  t.deepEqual(
    named.map(({ name }) => name).toSorted(),
    findings.map((file) => basename(file, '.json')),
  );
  for (const { name, title, text } of named) {
    const file = `fixtures/findings/${name}.json`;
    t.true(existsSync(join(root, file)), file);
    const kernels = /^\* Kernels: ([^.;]*(?:\.\d+[^.;]*)*)[.;]/m.exec(text)?.[1]?.split(', ') ?? [];
    for (const v of read(file).affected ?? []) t.true(kernels.includes(v), `${title}: ${name} ${v}`);
  }
});

test('a case in a few lines: sections, places, symbols of every kind', (t) => {
  const c = read('fixtures/findings/mips-weak.json');
  const v = vectorOfCase(c, '7.2');
  const { symbols, places, mem } = portCaseOf(v);
  t.deepEqual([...places.values()], [0x2000_0000n]);
  t.deepEqual([...symbols.values()], [0x1234_5678n]);
  t.deepEqual(mem.text, { base: 0x2000_0000n, size: 0x10000 });
  t.deepEqual(portCaseOf(vectorOfCase(c, '6.1')).mem.text, { base: 0x2000_0000n, size: 0x20000 });
  t.is(portCaseOf(vectorOfCase({ ...c, finalize: true }, '7.2')).finalize, true);
});

test('what is no case is said', (t) => {
  const c = read('fixtures/findings/mips-weak.json');
  const wrong = (text: string): string => t.throws(() => parseCaseFile(text), { instanceOf: CaseFileError }).message;
  t.is(wrong('[]'), 'is no case: it needs arch, sections and expect');
  t.regex(wrong('{'), /JSON/);
  const build = (more: object): string =>
    t.throws(() => vectorOfCase({ ...c, ...more }, '7.2'), { instanceOf: CaseFileError }).message;
  t.is(build({ arch: 'vax' }), 'no architecture is named vax');
  t.is(
    build({ sections: { '.data': { at: '0x1000', relocations: [[0, 'R_MIPS_99', '']] } } }),
    'mips has no relocation type R_MIPS_99',
  );
  t.is(build({ sections: { '.data': { at: 'here' } } }), 'Cannot convert here to a BigInt');
});

test('what comes otherwise than said is listed', (t) => {
  const came = { ret: 0, log: 'x\n', sections: { '.data': 'AQIDBA==' } };
  t.deepEqual(unlike({ ret: 0, log: 'x', bytes: { '.data+0x2': '03 04' } }, came), []);
  t.deepEqual(unlike({ ret: -8, stage: 'relocate', bytes: { '.data': '0102', '.got': '00' } }, came), [
    'ret: 0, and not -8',
    'stage: undefined, and not relocate',
    '.got: undefined, and not 00',
  ]);
});

const file = join(root, 'fixtures/findings/riscv-sum-alone.json');
const port = (fault: string): string =>
  `${process.execPath} ${join(root, 'test/oracle/reference-port.ts')} --fault '${fault}'`;

test('port run: the reference alone, and beside a port', async (t) => {
  const alone = await komulator('port', 'run', file);
  t.is(alone.code, 0, alone.err);
  t.regex(alone.out, /^riscv64 7\.2: .*SET32\n {2}relocation 0: \.data\+0x0 {2}R_RISCV_SET32 \(56\) against x\n/);
  t.regex(alone.out, /reference {2}crash \(signal 11\)\n {2}as \S+riscv-sum-alone\.json says of 7\.2\n/);
  t.notRegex(alone.out, /port /);
  const older = await komulator('port', 'run', file, '--kernel', '6.1');
  t.regex(older.out, /ret -22 in relocate\n {4}dmesg: fix: Unknown relocation type 56\n/);
  const beside = await komulator('port', 'run', file, '--exec', port('none'));
  t.is(beside.code, 0, beside.out);
  t.regex(beside.out, /port {7}crash \(signal 11\)\n/);
});

test('port run: what changed where no relocation is, and what nobody could look at', async (t) => {
  const of = async (name: string, ...more: string[]): Promise<string> =>
    (await komulator('port', 'run', join(root, `fixtures/findings/${name}.json`), ...more)).out;
  const also = (out: string): string[] => out.split('\n').filter((line) => line.startsWith('  also changed: '));
  t.deepEqual(also(await of('ppc64le-prefix')), ['  also changed: .text+0x4  before 55555555  reference 00000000']);
  // The halves of a word that no field has: LO16 stands in the word behind.
  t.deepEqual(also(await of('mips64-hi16')), ['  also changed: .text+0x4  before 64420000  reference 64421235']);
  t.deepEqual(also(await of('ppc32-plt-region')), [
    `  also changed: .text.behind+0x0  before ${'00'.repeat(16)}  reference 3d806000398c00007d8903a64e800420`,
  ]);
  t.deepEqual(also(await of('loongarch-plt-odd')), [
    '  also changed: .plt+0x0  before 00  reference 0d00c0140d000016ad01000300002a00',
    '  also changed: .plt.idx+0x0  before 00  reference 02000060',
  ]);
  t.deepEqual(also(await of('x86_64-pc32-wraps')), []);
  const crashed = await of('riscv-sum-alone', '--exec', port('none'));
  t.regex(crashed, /bytes {5}before 00000000 {2}reference \(not told\) {2}port \(not told\)\n/);
  t.deepEqual(also(crashed), []);
  const { cases } = JSON.parse(await of('ppc64le-prefix', '--json')) as { cases: { alsoChanged: unknown }[] };
  t.deepEqual(cases[0]!.alsoChanged, [
    { section: '.text', offset: 4, before: '55555555', reference: '00000000', port: null },
  ]);
});

test('port run: a port that does otherwise, exit 1', async (t) => {
  const word = join(mkdtempSync(join(tmpdir(), 'komulator-case-')), 'word.json');
  const data = { at: '0x20000000', size: 8, relocations: [[0, 'R_RISCV_64', 'x', 0]] };
  const expect = { '7.2': { ret: 0, bytes: { '.data+0x4': '01000000' } } };
  writeFileSync(
    word,
    JSON.stringify({ title: 'x', arch: 'riscv64', sections: { '.data': data }, symbols: { x: '0x1ffffffff' }, expect }),
  );
  const { code, out } = await komulator('port', 'run', word, '--exec', port('swapped halves'), '--json');
  t.is(code, 1);
  const { cases } = JSON.parse(out) as {
    cases: { differences: { what: string }[]; unlike: { reference: string[]; port: string[] } }[];
  };
  t.deepEqual(cases[0]!.unlike, { reference: [], port: ['.data+0x4: ffffffff, and not 01000000'] });
  t.deepEqual(
    cases[0]!.differences.map(({ what }) => what),
    ['section .data+0x0'],
  );
  const shown = await komulator('port', 'run', word, '--exec', port('swapped halves'));
  t.regex(shown.out, /not as \S+word\.json says of 7\.2: port: \.data\+0x4: ffffffff, and not 01000000/);
});

test('port run: what is no case, exit 2', async (t) => {
  const missing = await komulator('port', 'run', 'nothing.json');
  t.is(missing.code, 2);
  t.regex(missing.err, /nothing\.json: no such file or directory/);
  const other = await komulator('port', 'run', join(root, 'package.json'));
  t.is(other.code, 2);
  t.regex(other.err, /package\.json: is no case: it needs arch, sections and expect/);
});
