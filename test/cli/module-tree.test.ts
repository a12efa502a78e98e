import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { openModuleTree } from '../../cli/module-tree.ts';
import { ko, minimalModule } from '../../fixtures/build.ts';
import { InputError } from '../../loader/input-error.ts';

const root = mkdtempSync(join(tmpdir(), 'komulator-module-tree-'));
test.after.always(() => {
  rmSync(root, { recursive: true, force: true });
});

let folders = 0;

/** Writes these files below a new folder and gives its path. */
function folder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const dir = join(root, `${folders++}`);
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

const module = (depends: string, more: Record<string, string | string[]> = {}): Uint8Array =>
  ko(minimalModule({ modinfo: { depends, ...more } }));

const names = (modules: readonly { readonly name: string }[]): string[] => modules.map(({ name }) => name);

const depmod = {
  'modules.dep':
    'kernel/a.ko:\nkernel/b.ko: kernel/a.ko\nkernel/c-d.ko.xz: kernel/b.ko kernel/a.ko\nkernel/e.ko: kernel/gone.ko\n',
  'modules.builtin': 'kernel/fs/ext4/ext4.ko\n',
  'modules.builtin.modinfo': 'crc32c.alias=crypto-crc32c\0',
  'modules.softdep': '# s\nsoftdep c_d pre: crypto-crc32c post: z\n',
  'modules.alias': 'alias pci:v1d*sv[0-9]* c_d\nalias fs-x b\nalias fs-* a\nalias gone absent\n',
  'modules.symbols': 'alias symbol:a_func a\n',
};

test('a folder of depmod: names, paths, dependencies in load order, soft ones beside', async (t) => {
  const dir = folder(depmod);
  const tree = openModuleTree(dir);
  t.is(tree.dir, dir);
  t.is(tree.version, dir.slice(dir.lastIndexOf('/') + 1));
  t.deepEqual([...tree.modules.keys()], ['a', 'b', 'c_d', 'e']);
  t.deepEqual(tree.find('c-d'), { kind: 'module', module: { name: 'c_d', path: join(dir, 'kernel/c-d.ko.xz') } });
  t.is(tree.find('kernel/c-d.ko').kind, 'module');

  const { modules, soft } = await tree.dependencies('c-d');
  t.deepEqual(names(modules), ['a', 'b']);
  t.deepEqual(soft, { pre: ['crypto_crc32c'], post: ['z'] });
  t.deepEqual(await tree.dependencies('a'), { modules: [], soft: { pre: [], post: [] } });
  t.is(tree.exporter('a_func'), 'a');
  t.is(tree.exporter('b_func'), undefined);
});

test('modules.dep with direct dependencies only gives the same order', async (t) => {
  const tree = openModuleTree(folder({ 'modules.dep': 'a.ko:\nb.ko: a.ko\nc.ko: b.ko\nd.ko: c.ko a.ko\n' }));
  t.deepEqual(names((await tree.dependencies('d')).modules), ['a', 'b', 'c']);
});

test('aliases answer with every module, in the order of the file', async (t) => {
  const tree = openModuleTree(folder(depmod));
  const found = tree.find('fs-x');
  t.deepEqual(found.kind === 'alias' ? names(found.modules) : [], ['b', 'a']);
  t.is(tree.find('pci:v1d2sv3').kind, 'alias');
  t.is(tree.find('pci:v1d2svx').kind, 'missing');
  t.is(tree.find('gone').kind, 'missing');
  t.deepEqual(names((await tree.dependencies('fs-x')).modules), ['a']);
});

test('what is built in is said to be, by name and by alias', async (t) => {
  const tree = openModuleTree(folder(depmod));
  t.true(tree.isBuiltin('ext4'));
  t.deepEqual(tree.find('ext4'), { kind: 'builtin', name: 'ext4', message: 'ext4 is built in' });
  const alias = tree.find('crypto-crc32c');
  t.deepEqual(alias, {
    kind: 'builtin',
    name: 'crc32c',
    message: 'crypto-crc32c stands for crc32c, which is built in',
  });
  await t.throwsAsync(tree.dependencies('ext4'), { instanceOf: InputError, message: 'ext4 is built in' });
});

test('a missing module comes with what was perhaps meant', async (t) => {
  const dir = folder({ 'modules.dep': 'snd-hda-intel.ko:\nsnd-usb.ko:\n' });
  const tree = openModuleTree(dir);
  const message = `no module 'snd_hda_intl' in ${dir}; did you mean snd_hda_intel?`;
  t.deepEqual(tree.find('snd-hda-intl'), {
    kind: 'missing',
    name: 'snd_hda_intl',
    suggestions: ['snd_hda_intel'],
    message,
  });
  await t.throwsAsync(tree.dependencies('snd-hda-intl'), { instanceOf: InputError, message });
  t.is(
    tree.find('zzz').kind === 'missing' ? (tree.find('zzz') as { message: string }).message : '',
    `no module 'zzz' in ${dir}`,
  );
});

test('a dependency that is not in the tree is told', async (t) => {
  const dir = folder(depmod);
  await t.throwsAsync(openModuleTree(dir).dependencies('e'), {
    instanceOf: InputError,
    message: `e depends on gone, which is not in ${dir}`,
  });
});

test('without modules.dep the modules tell their dependencies themselves', async (t) => {
  const dir = folder({
    'sub/b-c.ko.gz': gzipSync(module('a')),
    'a.ko': module(''),
    'd.ko': module('b_c,a', { softdep: ['pre: x-y', 'post: w'] }),
    'notes.txt': 'no module',
  });
  const tree = openModuleTree(dir);
  t.is(tree.version, undefined);
  t.deepEqual([...tree.modules.keys()], ['a', 'd', 'b_c']);
  const { modules, soft } = await tree.dependencies('d');
  t.deepEqual(modules, [
    { name: 'a', path: join(dir, 'a.ko') },
    { name: 'b_c', path: join(dir, 'sub/b-c.ko.gz') },
  ]);
  t.deepEqual(soft, { pre: ['x_y'], post: ['w'] });
});

test('a plain folder with files that are no modules still opens; they depend on nothing', async (t) => {
  const tree = openModuleTree(folder({ 'a.ko': 'text', 'b.ko': '', 'c.ko': module('a').subarray(0, 100) }));
  for (const name of ['a', 'b', 'c']) t.deepEqual((await tree.dependencies(name)).modules, [], name);
});

test('cycles are reported with their members', async (t) => {
  const plain = openModuleTree(
    folder({ 'a.ko': module('b'), 'b.ko': module('c'), 'c.ko': module('b'), 'd.ko': module('d') }),
  );
  await t.throwsAsync(plain.dependencies('a'), {
    instanceOf: InputError,
    message: 'modules depend on each other in a circle: b -> c -> b',
  });
  await t.throwsAsync(plain.dependencies('d'), { message: 'modules depend on each other in a circle: d -> d' });
  const listed = openModuleTree(folder({ 'modules.dep': 'a.ko: b.ko\nb.ko: a.ko\n' }));
  await t.throwsAsync(listed.dependencies('a'), {
    message: 'modules depend on each other in a circle: a -> b -> a',
  });
});

test('the parent of one version is as good as the version', (t) => {
  const dir = folder({ '6.1.0/modules.dep': 'a.ko:\n', 'other/file': '' });
  t.is(openModuleTree(dir).dir, join(dir, '6.1.0'));
  t.is(openModuleTree(dir).version, '6.1.0');
  const tree = folder({ 'lib/modules/6.1.0/modules.dep': 'a.ko:\n' });
  t.is(openModuleTree(tree).dir, join(tree, 'lib/modules/6.1.0'));
});

test('several versions are a question back', (t) => {
  const dir = folder({ '6.1.0/modules.dep': 'a.ko:\n', '6.12.0/modules.dep': 'a.ko:\n' });
  t.throws(() => openModuleTree(dir), {
    instanceOf: InputError,
    message: `${dir} holds several kernels, name one of them: 6.1.0, 6.12.0`,
  });
});

test('folders that are none', (t) => {
  const empty = folder({ 'readme.txt': '' });
  t.throws(() => openModuleTree(empty), {
    instanceOf: InputError,
    message: `${empty}: neither modules.dep nor a .ko file in this folder`,
  });
  const missing = join(root, 'missing');
  t.throws(() => openModuleTree(missing), { instanceOf: InputError, message: `${missing}: no such file or directory` });
  const file = join(empty, 'readme.txt');
  t.throws(() => openModuleTree(file), { instanceOf: InputError, message: `${file}: not a directory` });
});

test('a malformed file of depmod is named with its line', (t) => {
  const dir = folder({ 'modules.dep': 'a.ko:\nrubbish\n' });
  const error = t.throws(() => openModuleTree(dir), {
    instanceOf: InputError,
    message: `${dir}: modules.dep, line 2: expected 'path: dependencies'`,
  });
  t.is(error?.line, 2);
  t.is(error?.file, join(dir, 'modules.dep'));
});

// Module i may depend on modules with smaller numbers only, so there is no cycle.
const graph = fc
  .integer({ min: 1, max: 12 })
  .chain((size) =>
    fc.tuple(...Array.from({ length: size }, (_, i) => (i === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(i - 1))))),
  );

testProp(
  'in load order every dependency comes first, and nothing else is loaded',
  [graph],
  async (t, needs) => {
    const dep = needs.map((list, i) => `m${i}.ko: ${list.map((j) => `m${j}.ko`).join(' ')}\n`).join('');
    const tree = openModuleTree(folder({ 'modules.dep': dep }));
    for (let i = 0; i < needs.length; i++) {
      const order = [...names((await tree.dependencies(`m${i}`)).modules), `m${i}`];
      const wanted = new Set<number>([i]);
      for (const j of wanted) for (const k of needs[j] ?? []) wanted.add(k);
      t.deepEqual(order.toSorted(), [...wanted].map((j) => `m${j}`).toSorted());
      order.forEach((name, at) => {
        for (const j of needs[Number(name.slice(1))] ?? []) t.true(order.indexOf(`m${j}`) < at);
      });
    }
  },
  { numRuns: 30 },
);
