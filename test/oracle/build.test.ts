import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { BuildError, type BuildOptions, buildPort } from '../../oracle/build.ts';
import { ports, withoutPort } from '../../oracle/ports.ts';
import { arches } from '../../arch/index.ts';

/** A folder with just enough of a kernel tree to be taken for one, and a compiler that knows its version only. */
async function scratch(): Promise<{ readonly tree: string; readonly cc: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'komulator-build-'));
  const tree = join(folder, 'linux');
  await mkdir(join(tree, 'kernel/module'), { recursive: true });
  await writeFile(join(tree, 'Makefile'), 'VERSION = 7\nPATCHLEVEL = 2\n');
  const cc = join(folder, 'fake-');
  await writeFile(`${cc}gcc`, '#!/bin/sh\n[ "$1" = --version ] && echo "fake 1.0" && exit 0\nexit 1\n');
  await chmod(`${cc}gcc`, 0o755);
  return { tree, cc, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

const fails = async (options: BuildOptions): Promise<string> => {
  try {
    await buildPort(options);
  } catch (error) {
    if (error instanceof BuildError) return error.message;
    throw error;
  }
  return 'built';
};

test('an architecture without a port is told the others', async (t) => {
  const message = await fails({ kernelTree: '/', arch: 'vax' });
  t.regex(message, /^no port named vax: choose from riscv64 .*hexagon/);
});

test('a folder that is no kernel tree is refused', async (t) => {
  await using s = await scratch();
  const cache = join(s.tree, 'cache');
  t.regex(await fails({ kernelTree: tmpdir(), arch: 'riscv64', cache }), /is no kernel tree: no Makefile/);
  await rm(join(s.tree, 'kernel'), { recursive: true });
  t.regex(await fails({ kernelTree: s.tree, arch: 'riscv64', cache }), /is no kernel tree/);
});

test('a compiler that is not there is named, with its package', async (t) => {
  await using s = await scratch();
  const message = await fails({ kernelTree: s.tree, arch: 'riscv64', cc: '/nowhere/riscv-', cache: join(s.tree, 'c') });
  t.is(message, 'no compiler: /nowhere/riscv-gcc is not installed (Debian: apt-get install gcc-riscv64-linux-gnu)');
});

test('LLVM is asked for by a suffix', async (t) => {
  await using s = await scratch();
  const message = await fails({ kernelTree: s.tree, arch: 'hexagon', cc: '-none', cache: join(s.tree, 'c') });
  t.is(message, 'no compiler: clang-none is not installed (Debian: apt-get install clang-19)');
});

test.serial('an emulator that is not there is named', async (t) => {
  await using s = await scratch();
  const { PATH } = process.env;
  process.env['PATH'] = '';
  try {
    const message = await fails({ kernelTree: s.tree, arch: 'riscv64', cc: s.cc, cache: join(s.tree, 'c') });
    t.is(message, 'no emulator: neither qemu-riscv64-static nor qemu-riscv64 is installed (Debian: qemu-user-static)');
  } finally {
    process.env['PATH'] = PATH;
  }
});

test.serial('make that is not there is named', async (t) => {
  await using s = await scratch();
  const { PATH = '' } = process.env;
  const nice = PATH.split(':')
    .map((folder) => join(folder, 'nice'))
    .find((path) => existsSync(path))!;
  await symlink(nice, join(s.tree, 'nice'));
  const options = { kernelTree: s.tree, arch: 'riscv64', cc: s.cc, cache: join(s.tree, 'c'), emulator: ['true'] };
  process.env['PATH'] = s.tree;
  try {
    t.is(await fails(options), 'no make (Debian: apt-get install make)');
    process.env['PATH'] = join(s.tree, 'nowhere');
    t.is(await fails(options), 'no nice (Debian: apt-get install coreutils)');
  } finally {
    process.env['PATH'] = PATH;
  }
});

for (const cache of ['/proc/komulator', '/dev/null/ports'])
  test(`a cache that cannot be made is named, and not waited for: ${cache}`, async (t) => {
    await using s = await scratch();
    const message = await fails({ kernelTree: s.tree, arch: 'riscv64', cc: s.cc, cache, emulator: ['true'] });
    t.regex(message, new RegExp(`^no ports can be kept in ${cache}/build: E`));
  });

test("what make says is passed on, and so are the compiler's words", async (t) => {
  await using s = await scratch();
  const options = { kernelTree: s.tree, arch: 'riscv64', cc: s.cc, cache: join(s.tree, 'c'), emulator: ['true'] };
  t.regex(await fails(options), /^make defconfig failed:\n.*No rule to make target 'defconfig'/s);
});

const kernel = 'arch/riscv/kernel';

/** A build folder of the tree, as its .cmd files tell: the compiler says what `says` does, and fails. */
async function objectsIn(s: { readonly tree: string }, config: string, says = 'false'): Promise<string> {
  const objects = join(s.tree, 'out');
  await mkdir(join(objects, kernel), { recursive: true });
  await mkdir(join(s.tree, kernel), { recursive: true });
  await writeFile(join(objects, '.config'), config);
  await writeFile(join(s.tree, kernel, 'module.c'), 'int apply_relocate_add(void) { return oops; }\n');
  const line = `${says} -c -o ${kernel}/module.o ${kernel}/module.c`;
  const command = `savedcmd_${kernel}/module.o := ${line}\n\nsource_${kernel}/module.o := ${kernel}/module.c\n`;
  await writeFile(join(objects, kernel, '.module.o.cmd'), command);
  await writeFile(join(objects, kernel, 'module.o'), 'as it is');
  return objects;
}

const withObjects = (s: { readonly tree: string; readonly cc: string }, objects: string): BuildOptions => ({
  kernelTree: s.tree,
  arch: 'riscv64',
  cc: s.cc,
  cache: join(s.tree, 'c'),
  emulator: ['true'],
  objects,
});

test('a folder of objects must be configured and built in', async (t) => {
  await using s = await scratch();
  const objects = join(s.tree, 'out');
  await mkdir(objects);
  const options = withObjects(s, objects);
  t.is(await fails(options), `${objects} is no build folder: it has no .config`);
  await writeFile(join(objects, '.config'), 'CONFIG_MODULES=y\n');
  t.regex(await fails(options), /has none of arch\/riscv\/kernel\/module\.c/);
  await mkdir(join(s.tree, kernel), { recursive: true });
  await writeFile(join(s.tree, kernel, 'module.c'), '');
  t.regex(await fails(options), /^there is no .*\/module\.o: build the modules' handlers in .* \(make O=… arch/);
  await mkdir(join(objects, kernel), { recursive: true });
  await writeFile(join(objects, kernel, 'module.o'), '');
  t.regex(await fails(options), /^there is no .*\.module\.o\.cmd: build/);
});

test('a folder of objects is of this architecture and this version, and can be run', async (t) => {
  await using s = await scratch();
  const said = async (config: string): Promise<string> => fails(withObjects(s, await objectsIn(s, config)));
  const title = (arch: string, version: string): string => `# Linux/${arch} ${version} Kernel Configuration\n`;
  t.regex(await said(title('x86_64', '7.2.1')), /is no build folder of riscv64: its configuration is of x86_64$/);
  t.regex(await said(title('riscv', '6.12.3')), /its configuration is of 6\.12, the tree is 7\.2$/);
  t.regex(
    await said(`${title('riscv', '7.2.0-rc1')}CONFIG_KASAN=y\n`),
    /cannot be run in user space: CONFIG_KASAN \(shadow memory\)\. Switch it off there, or have the handlers compiled/,
  );
});

/** Programs by what they print: every call is written down. */
async function toolchain(cc: string, nm: string): Promise<string> {
  const log = `${cc}log`;
  const run = `echo "$(basename "$0") $*" >> '${log}'`;
  await writeFile(`${cc}gcc`, `#!/bin/sh\n[ "$1" = --version ] && echo "fake 1.0" && exit 0\n${run}\n`);
  await writeFile(`${cc}nm`, `#!/bin/sh\n${run}\necho '${nm}'\n`);
  for (const name of ['gcc', 'nm']) await chmod(`${cc}${name}`, 0o755);
  return log;
}

test('objects of somebody are linked as they are; only the harness is compiled, with the flags of their build', async (t) => {
  await using s = await scratch();
  const log = await toolchain(s.cc, '                 U kfree');
  const objects = await objectsIn(s, 'CONFIG_MODULES=y\n', `${s.cc}gcc -march=rv64 -pg -fsanitize=kernel-address -O2`);
  const port = await buildPort(withObjects(s, objects));
  t.is(port.blocks, undefined);
  t.deepEqual(port.missing, ['kfree']);
  const calls = readFileSync(log, 'utf8').split('\n');
  const compiled = calls.filter((call) => call.includes(' -c '));
  t.true(compiled.some((call) => call.includes('-march=rv64 -O2 -DPORT_OBJECTS') && call.includes('glue.c')));
  t.true(compiled.some((call) => call.endsWith('objects.c')));
  t.false(compiled.some((call) => call.includes(`${kernel}/module.c`) || call.includes('-pg ')));
  t.regex(calls.find((call) => call.includes('-nostdlib')) ?? '', new RegExp(` ${objects}/${kernel}/module\\.o `));
  // Another object is another port.
  await writeFile(join(objects, kernel, 'module.o'), 'made again');
  t.not((await buildPort(withObjects(s, objects))).key, port.key);
});

for (const [symbol, says] of [
  ['_mcount', /call _mcount: they are built for tracing or a sanitizer.*\(CONFIG_FUNCTION_TRACER\)/],
  ['__asan_load8', /call __asan_load8: .*\(CONFIG_KASAN\)/],
  ['__tsan_read4', /\(CONFIG_KCSAN\)/],
  ['__ubsan_handle_shift_out_of_bounds', /\(CONFIG_UBSAN\)/],
  ['__stack_chk_fail', /have stack canaries that only a kernel can check\. Switch CONFIG_STACKPROTECTOR off/],
] as const)
  test(`objects that cannot be run in user space are refused: ${symbol}`, async (t) => {
    await using s = await scratch();
    await toolchain(s.cc, `                 U ${symbol}`);
    const objects = await objectsIn(s, 'CONFIG_MODULES=y\n', `${s.cc}gcc`);
    t.regex(await fails(withObjects(s, objects)), says);
  });

test("handlers that do not compile are shown with the compiler's own words", async (t) => {
  await using s = await scratch();
  await mkdir(join(s.tree, 'scripts'));
  await mkdir(join(s.tree, kernel), { recursive: true });
  await writeFile(join(s.tree, kernel, 'module.c'), 'int apply_relocate_add(void) { return oops; }\n');
  await writeFile(join(s.tree, 'scripts/config'), '#!/bin/sh\n');
  await chmod(join(s.tree, 'scripts/config'), 0o755);
  const line = `echo "module.c:1: error: 'oops' undeclared" >&2; false -c -o ${kernel}/module.o ${kernel}/module.c`;
  const command = `savedcmd_${kernel}/module.o := ${line}\n\nsource_${kernel}/module.o := ${kernel}/module.c\n`;
  await writeFile(join(s.tree, 'module.cmd'), command);
  const rules = [
    'VERSION = 7\nPATCHLEVEL = 2',
    'defconfig olddefconfig:\n\t@echo CONFIG_MODULES=y > $(O)/.config',
    `${kernel}/module.o:\n\t@mkdir -p $(O)/${kernel}; cp module.cmd $(O)/${kernel}/.module.o.cmd`,
  ];
  await writeFile(join(s.tree, 'Makefile'), `${rules.join('\n')}\n`);
  const options = { kernelTree: s.tree, arch: 'riscv64', cc: s.cc, cache: join(s.tree, 'c'), emulator: ['true'] };
  t.regex(await fails(options), /module\.c does not compile:\nmodule\.c:1: error: 'oops' undeclared/);
});

test('every port is of an architecture of the registry, with room for modules in its word', (t) => {
  const names = new Set(arches.flatMap((arch) => [arch.name, arch.backend]));
  for (const [name, spec] of Object.entries(ports)) {
    const known = [spec.reference ?? name, name.replace(/(el|32)$/, '')].some((x) => names.has(x));
    t.true(known, name);
    for (const base of spec.arenas) t.true(base + 0x100_0000n <= (spec.word === 64 ? 1n << 46n : 1n << 31n), name);
    t.true(spec.package.startsWith('gcc-') || spec.package.startsWith('clang-'), name);
  }
  for (const name of Object.keys(withoutPort)) t.false(name in ports, name);
});
