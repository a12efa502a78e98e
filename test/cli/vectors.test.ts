import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { ko, minimalModule, SHF_ALLOC, SHF_EXECINSTR } from '../../fixtures/build.ts';
import { komulator } from './captured.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-vectors-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

const text = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, size: 8 };
const elf = Buffer.from(
  ko(minimalModule({ sections: [text], relocs: { '.text': [{ offset: 4, type: 2, symbol: 'f', addend: -4 }] } })),
).toString('base64');
/** A call from 0xffffffffc0000004 to 0xffffffffc0001000. */
const good = {
  id: 'good',
  arch: 'x86_64',
  kernel: '7.2',
  elf,
  place: { '.text': '0xffffffffc0000000' },
  symbols: { f: '0xffffffffc0001000' },
  expect: { ret: 0, sections: { '.text': Buffer.from([0, 0, 0, 0, 0xf8, 0x0f, 0, 0]).toString('base64') } },
};
const write = (name: string, ...cases: readonly unknown[]): string => {
  const path = join(dir, name);
  const lines = cases.map((c) => (typeof c === 'string' ? c : JSON.stringify(c))).join('\n');
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(lines) : lines);
  return path;
};

for (const name of ['agree.jsonl', 'agree.jsonl.gz']) {
  test(`${name}: cases that agree`, async (t) => {
    const file = write(name, good, '', { ...good, id: 'again' });
    const { code, out } = await komulator('vectors', 'replay', file, '--json');
    t.is(code, 0);
    t.deepEqual(JSON.parse(out), { files: [{ file, arch: 'x86_64', cases: 2, agree: 2, disagree: [] }] });
    t.is((await komulator('vectors', 'replay', file)).out, `${name}  x86_64  2 cases, all agree\n`);
  });
}

test('cases that disagree: exit 1, with what was expected and what came', async (t) => {
  const bad = { ...good, id: 'bad', expect: { ...good.expect, ret: -8 } };
  const file = write('disagree.jsonl', good, bad);
  const { code, out } = await komulator('vectors', 'replay', file, '--json');
  t.is(code, 1);
  t.deepEqual(JSON.parse(out), {
    files: [
      { file, arch: 'x86_64', cases: 2, agree: 1, disagree: [{ id: 'bad', what: 'ret', expected: '-8', actual: '0' }] },
    ],
  });
  t.regex(
    (await komulator('vectors', 'replay', file)).out,
    /2 cases, 1 disagree\n  bad: ret\n    expected -8\n    actual   0/,
  );
});

for (const [what, cases, said] of [
  ['no JSON', [good, '{"id":'], /malformed\.jsonl, line 2: .*JSON/],
  ['no object', ['[]'], /line 1: a case is a JSON object/],
  ['no elf', [{ ...good, elf: undefined }], /line 1: 'elf' is missing or no string/],
  ['no expect', [good, '', { ...good, expect: 1 }], /line 3: 'expect' is missing or no object/],
  ['another kernel', [{ ...good, kernel: '5.10' }], /line 1: kernel '5\.10' has no profile/],
  ['no ELF file', [{ ...good, elf: 'AAAA' }], /line 1: case good cannot be run: the file of this case is no ELF file/],
  ['no case', [''], /no case in it/],
] as const) {
  test.serial(`malformed: ${what}`, async (t) => {
    const { code, out, err } = await komulator('vectors', 'replay', write('malformed.jsonl', ...cases));
    t.is(code, 2);
    t.regex(err, said);
    t.is(out, '');
  });
}

test('a gzip stream that is cut, and a file that is not there', async (t) => {
  const whole = write('whole.jsonl.gz', good);
  const cut = join(dir, 'cut.jsonl.gz');
  writeFileSync(cut, readFileSync(whole).subarray(0, 200));
  t.regex((await komulator('vectors', 'replay', cut)).err, /cut\.jsonl\.gz: the gzip stream is broken/);
  t.regex((await komulator('vectors', 'replay', '/nowhere.jsonl')).err, /no such file or directory/);
});
