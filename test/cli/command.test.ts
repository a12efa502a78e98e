import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Io } from '../../cli/io.ts';
import { run } from '../../cli/run.ts';
import { fixture, kernelOf, komulator, module, STACK } from './captured.ts';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const start = (...args: string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 60_000 });

test('--help starts without the loader: only the wiring, the names of kernels and commander are imported', (t) => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:(?:import|export)(?! type)[^;]*? from |const [^;]*? = await import\()'([^']+)'/gm,
    )) {
      if (specifier.startsWith('.')) visit(join(dirname(file), specifier));
      else packages.add(specifier);
    }
  };
  visit(main);
  t.deepEqual(Array.from(seen, (file) => relative(dirname(main), file)).toSorted(), [
    '../relocs/module-view.ts',
    '../testing/history/days.ts',
    'io.ts',
    'main.ts',
    'port/commands.ts',
    'port/reporters.ts',
    'run.ts',
  ]);
  t.deepEqual([...packages].toSorted(), ['commander', 'node:fs', 'node:module', 'node:url', 'node:util']);
});

test('as a process: help, a load, a refusal, wrong use', (t) => {
  const help = start('--help');
  t.is(help.status, 0);
  t.regex(help.stdout, /Usage: komulator[^]*load[^]*explain[^]*layout[^]*arch[^]*vectors[^]*Example:/);
  t.is(help.stderr, '');

  const loaded = start('load', module('x86_64', 'hello'), ...kernelOf('x86_64'), '--json');
  t.is(loaded.status, 0);
  t.is((JSON.parse(loaded.stdout) as { modules: { state: string }[] }).modules[0]?.state, 'LIVE');

  const refused = start('load', module('x86_64', 'missing'), ...kernelOf('x86_64'));
  t.is(refused.status, 1);
  t.regex(refused.stderr, /^insmod: ERROR: could not insert module .*missing\.ko: Unknown symbol in module$/m);
  t.regex(refused.stdout, /^dmesg: missing: Unknown symbol absent_function \(err -2\)$/m);
  t.false((refused.stdout + refused.stderr).includes('\u001b['), 'no colour where there is no terminal');

  const wrong = start('laod');
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /unknown command 'laod'\n\(Did you mean load\?\)/);
});

test('a reader that has had enough ends it quietly', async (t) => {
  const child = spawn('/bin/sh', ['-c', '"$0" "$1" arch --json | head -c 10', process.execPath, main]);
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await new Promise((resolve) => child.on('close', resolve));
  t.is(err, '');
});

test('Ctrl-C is exit 130', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'komulator-ctrl-c-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const elf = readFileSync(module('x86_64', 'hello')).toString('base64');
  const vector = { id: 'x', arch: 'x86_64', kernel: '7.2', elf, place: {}, symbols: {}, expect: { ret: 0 } };
  const file = join(dir, 'cases.jsonl');
  writeFileSync(file, `${JSON.stringify(vector)}\n`.repeat(20));

  // The same file so often that the process is at it when the signal comes, which is after its first line.
  const child = spawn(process.execPath, [main, 'vectors', 'replay', ...Array<string>(5000).fill(file)]);
  const ended = new Promise<unknown[]>((resolve) => child.on('close', (...how) => resolve(how)));
  child.stdout.once('data', () => child.kill('SIGINT'));
  t.deepEqual(await ended, [130, null]);
});

for (const [what, args, said] of [
  ['no command', [], /Usage: komulator/],
  ['no FILE', ['load'], /missing required argument 'file'/],
  ['a misspelt option', ['load', 'x.ko', '--symver', 'x'], /unknown option '--symver'\n\(Did you mean --symvers\?\)/],
  ['a kernel without a profile', ['load', 'x.ko', '--kernel', '6.6'], /Allowed choices are 6\.1, 6\.12, 7\.2/],
  ['a vendor nobody knows', ['load', 'x.ko', '--vendor', 'debain'], /Allowed choices are mainline, debian/],
  ['a misspelt architecture', ['arch', 'arm65'], /unknown architecture 'arm65'; did you mean arm64/],
  [
    'a misspelt step',
    ['explain', module('x86_64', 'hello'), '--step', 'aply_relocations'],
    /unknown step 'aply_relocations'; did you mean apply_relocations/,
  ],
  ['--step and --reloc', ['explain', module('x86_64', 'hello'), '--step', 'parse_args', '--reloc', '1'], /not both/],
  [
    'a file that is not there',
    ['load', fixture('ko/x86_64/helo.ko')],
    /helo\.ko: no such file or directory; did you mean hello\.ko\?/,
  ],
  [
    'a name without --modules',
    ['load', 'hello'],
    /hello: no such file or directory \(module names are looked up with --modules DIR\)/,
  ],
  ['a folder', ['load', fixture('ko')], /fixtures\/ko: is a directory/],
  [
    'no symvers',
    ['load', module('x86_64', 'hello'), '--symvers', '/nowhere/Module.symvers'],
    /\/nowhere\/Module\.symvers: no such file or directory/,
  ],
  [
    'a symvers that is none',
    ['load', module('x86_64', 'hello'), '--symvers', fixture('README.md')],
    /README\.md: Module\.symvers, line 1: expected crc, name, owner/,
  ],
  ['symbols that are none', ['load', module('x86_64', 'hello'), '--symbols', fixture('README.md')], /README\.md: /],
  [
    'a module as a vmlinux',
    ['load', module('x86_64', 'hello'), '--symbols', module('x86_64', 'hello')],
    /hello\.ko: this is a relocatable object .*, not a vmlinux/,
  ],
  ['a folder without modules', ['load', 'hello', '--modules', fixture('src')], /neither modules\.dep nor a \.ko file/],
  [
    'a .config that is none',
    ['load', module('x86_64', 'hello'), '--config', fixture('README.md')],
    /README\.md, line 3: expected CONFIG_NAME=value/,
  ],
] as const) {
  test(`wrong use: ${what}`, async (t) => {
    const { code, out, err } = await komulator(...args);
    t.is(code, 2);
    t.regex(err, said);
    t.is(out, '');
    t.notRegex(err, STACK);
  });
}

test('wrong use with --json is a JSON document too', async (t) => {
  const { code, out } = await komulator('load', '/nowhere.ko', '--json');
  t.is(code, 2);
  t.deepEqual(JSON.parse(out), { error: '/nowhere.ko: no such file or directory' });
});

for (const command of [['load'], ['explain'], ['layout'], ['arch'], ['vectors'], ['vectors', 'replay']]) {
  test(`${command.join(' ')} --help has an example`, async (t) => {
    const { code, out } = await komulator(...command, '--help');
    t.is(code, 0);
    t.regex(out, new RegExp(`Examples?:\\n  \\$ komulator ${command.join(' ')}`));
    if (command[0] !== 'vectors' || command.length > 1) t.regex(out, /--json/);
  });
}

test('a bug of ours is called one, with a short trace, and is exit 70', async (t) => {
  const err: string[] = [];
  const io: Io = {
    print: () => {
      throw new TypeError('undefined is not a section');
    },
    complain: (line) => err.push(line),
    progress: () => {},
    paint: (_, text) => text,
    paintError: (_, text) => text,
  };
  t.is(await run(['arch'], io), 70);
  t.regex(err[0] ?? '', /^this is a bug in komulator, please report it/);
  t.regex(err[1] ?? '', /^TypeError: undefined is not a section\n/);
  t.true((err[1] ?? '').split('\n').length <= 6);
});

test('--version is that of the package', async (t) => {
  const { version } = JSON.parse(
    readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
  ) as { version: string };
  const { code, out } = await komulator('--version');
  t.is(code, 0);
  t.is(out, `${version}\n`);
});
