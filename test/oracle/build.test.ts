import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
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

test('a folder of objects must be configured and built in', async (t) => {
  await using s = await scratch();
  const objects = join(s.tree, 'out');
  await mkdir(objects);
  const options = {
    kernelTree: s.tree,
    arch: 'riscv64',
    cc: s.cc,
    cache: join(s.tree, 'c'),
    emulator: ['true'],
    objects,
  };
  t.is(await fails(options), `${objects} is no build folder: it has no .config`);
  await writeFile(join(objects, '.config'), 'CONFIG_MODULES=y\n');
  t.regex(await fails(options), /has none of arch\/riscv\/kernel\/module\.c/);
  await mkdir(join(s.tree, 'arch/riscv/kernel'), { recursive: true });
  await writeFile(join(s.tree, 'arch/riscv/kernel/module.c'), '');
  t.regex(await fails(options), /^there is no .*\.module\.o\.cmd: build the modules' handlers in /);
});

test("handlers that do not compile are shown with the compiler's own words", async (t) => {
  await using s = await scratch();
  const objects = join(s.tree, 'out');
  const kernel = 'arch/riscv/kernel';
  await mkdir(join(objects, kernel), { recursive: true });
  await mkdir(join(s.tree, kernel), { recursive: true });
  await writeFile(join(objects, '.config'), 'CONFIG_MODULES=y\n');
  await writeFile(join(s.tree, kernel, 'module.c'), 'int apply_relocate_add(void) { return oops; }\n');
  const line = `echo "module.c:1: error: 'oops' undeclared" >&2; false -c -o ${kernel}/module.o ${kernel}/module.c`;
  const command = `savedcmd_${kernel}/module.o := ${line}\n\nsource_${kernel}/module.o := ${kernel}/module.c\n`;
  await writeFile(join(objects, kernel, '.module.o.cmd'), command);
  const options = {
    kernelTree: s.tree,
    arch: 'riscv64',
    cc: s.cc,
    cache: join(s.tree, 'c'),
    emulator: ['true'],
    objects,
  };
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
