import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Which rooms a room may import from, itself aside: imports run one way. */
// biome-ignore format: a table is read down its columns
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  relocs:  [],
  arch:    ['relocs'],
  loader:  ['relocs', 'arch'],
  testing: ['relocs', 'arch', 'loader', 'fixtures'],
  oracle:  ['relocs', 'arch', 'loader', 'fixtures', 'testing'],
  cli:     ['relocs', 'arch', 'loader', 'fixtures', 'testing', 'oracle'],
  web:     ['relocs', 'arch', 'loader', 'fixtures', 'testing'],
};

/** Rooms that run in a browser, and the packages each may lean on: none needs Node once bundled. */
const BROWSER: Readonly<Record<string, readonly string[]>> = {
  relocs: [],
  arch: [],
  loader: ['elfy', 'xz-decompress'],
  testing: ['fast-check', '@fast-check/ava', 'ava'],
};

const IMPORT = /(?:\bfrom|^import|\bimport\()\s*'([^']+)'/gm;

function importsOf(room: string): { readonly file: string; readonly specifier: string }[] {
  return globSync(`${room}/**/*.ts`, { cwd: root }).flatMap((file) =>
    Array.from(readFileSync(join(root, file), 'utf8').matchAll(IMPORT), ([, specifier = '']) => ({ file, specifier })),
  );
}

for (const [room, others] of Object.entries(MAY_IMPORT)) {
  test(`${room} imports only from ${others.join(', ') || 'itself'}`, (t) => {
    for (const { file, specifier } of importsOf(room)) {
      if (!specifier.startsWith('.')) continue;
      const target = join(dirname(file), specifier).split('/')[0] ?? '';
      t.true(target === room || target === 'package.json' || others.includes(target), `${file} imports ${specifier}`);
      // AssemblyScript names files without their ending.
      const ending = file.startsWith('cli/check/wasm/') ? /\/[a-z-]+$/ : /\.(ts|json)$/;
      t.regex(specifier, ending, `${file}: imports end in .ts`);
    }
    t.pass();
  });
}

for (const [room, packages] of Object.entries(BROWSER)) {
  test(`${room} imports nothing of Node`, (t) => {
    for (const { file, specifier } of importsOf(room)) {
      if (specifier.startsWith('.')) continue;
      t.false(isBuiltin(specifier), `${file} imports ${specifier}`);
      t.true(packages.includes(specifier), `${file} imports ${specifier}`);
    }
    t.pass();
  });
}

test('the import reader sees every form', (t) => {
  const source =
    "import a from 'a';\nimport 'b';\nexport * from 'c';\nconst d = await import('d');\nimport type { E } from 'e';";
  t.deepEqual(
    Array.from(source.matchAll(IMPORT), ([, specifier]) => specifier),
    ['a', 'b', 'c', 'd', 'e'],
  );
});
