import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

test('the library example of README prints what its comments say', (t) => {
  const [, example = ''] = /```ts\n(.*?)```/s.exec(readFileSync(at('README.md'), 'utf8')) ?? [];
  const expected = Array.from(example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm), ([, said]) => said);
  t.true(expected.length > 1, 'the example prints something');

  const away = mkdtempSync(join(tmpdir(), 'komulator-readme-'));
  t.teardown(() => rmSync(away, { recursive: true }));
  const file = join(away, 'example.ts');
  writeFileSync(file, example.replace("from 'komulator'", `from ${JSON.stringify(at('loader/index.ts'))}`));
  const stdout = execFileSync(process.execPath, [file], { cwd: at('fixtures/ko/riscv64'), encoding: 'utf8' });
  t.deepEqual(stdout.trim().split('\n'), expected);
});

test('every file that README and CONTRIBUTING link to is there', (t) => {
  for (const page of ['README.md', 'CONTRIBUTING.md']) {
    for (const [, target = ''] of readFileSync(at(page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      t.notThrows(() => readFileSync(at(target)), `${page} links to ${target}`);
    }
  }
});
