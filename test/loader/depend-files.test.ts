import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import {
  matchesAlias,
  moduleName,
  normalizeAlias,
  parseBuiltinAliases,
  parseModulesAlias,
  parseModulesBuiltin,
  parseModulesDep,
  parseModulesSoftdep,
  parseModulesSymbols,
} from '../../loader/depend-files.ts';
import { InputError } from '../../loader/input-error.ts';

test('a name is the base name up to its first dot, with underscores', (t) => {
  t.is(moduleName('kernel/drivers/net/snd-hda-intel.ko.xz'), 'snd_hda_intel');
  t.is(moduleName('snd-hda_intel'), 'snd_hda_intel');
  t.is(moduleName('/a.b/c.ko'), 'c');
  t.is(moduleName(''), '');
});

test('modules.dep', (t) => {
  const modules = parseModulesDep(
    'kernel/a-b.ko:\nkernel/c.ko.xz: kernel/a-b.ko kernel/d.ko\r\n\nupdates/c.ko: x.ko\n',
  );
  t.deepEqual(
    modules,
    new Map([
      ['a_b', { path: 'kernel/a-b.ko', dependencies: [] }],
      ['c', { path: 'kernel/c.ko.xz', dependencies: ['kernel/a-b.ko', 'kernel/d.ko'] }],
    ]),
  );
});

test('modules.builtin', (t) => {
  t.deepEqual(
    parseModulesBuiltin('kernel/fs/ext4/ext4.ko\nkernel/lib/crc-t10dif.ko\n'),
    new Set(['ext4', 'crc_t10dif']),
  );
});

test('modules.softdep: before, after, both, several lines, and words that belong to neither', (t) => {
  const deps = parseModulesSoftdep(
    '# comment\nsoftdep ext4 pre: crypto-crc32c a\nsoftdep b post: c d pre: e\nsoftdep ext4 post: z\nsoftdep q x pre: y\n',
  );
  t.deepEqual(
    deps,
    new Map([
      ['ext4', { pre: ['crypto_crc32c', 'a'], post: ['z'] }],
      ['b', { pre: ['e'], post: ['c', 'd'] }],
      ['q', { pre: ['y'], post: [] }],
    ]),
  );
});

test('modules.alias and modules.symbols', (t) => {
  t.deepEqual(parseModulesAlias('# c\nalias fs-ext4 ext4\nalias pci:v00008086d*sv*bc[0-9]* e1000-e\n'), [
    { pattern: 'fs_ext4', module: 'ext4' },
    { pattern: 'pci:v00008086d*sv*bc[0-9]*', module: 'e1000_e' },
  ]);
  const owners = parseModulesSymbols('alias symbol:drm_x drm\nalias symbol:drm_x other\nalias symbol:y-z m\n');
  t.deepEqual(
    owners,
    new Map([
      ['drm_x', 'drm'],
      ['y-z', 'm'],
    ]),
  );
});

test('an alias with spaces in it ends before the last word', (t) => {
  t.deepEqual(parseModulesAlias('alias mt8183-x soc card mt8183_x\n'), [
    { pattern: 'mt8183_x soc card', module: 'mt8183_x' },
  ]);
});

test('modules.builtin.modinfo', (t) => {
  const text = 'crc32c.license=GPL\0crc32c.alias=crypto-crc32c\0a-b.alias=x*\0.alias=no\0';
  t.deepEqual(parseBuiltinAliases(text), [
    { pattern: 'crypto_crc32c', module: 'crc32c' },
    { pattern: 'x*', module: 'a_b' },
  ]);
});

for (const [parse, bad] of [
  [parseModulesDep, 'no colon'],
  [parseModulesDep, ': kernel/a.ko'],
  [parseModulesBuiltin, 'two words'],
  [parseModulesSoftdep, 'soft a pre: b'],
  [parseModulesSoftdep, 'softdep'],
  [parseModulesAlias, 'alias a'],
  [parseModulesAlias, 'alias'],
  [parseModulesSymbols, 'symbol:x y'],
] as const) {
  test(`a malformed line is an InputError with its number: ${parse.name} '${bad}'`, (t) => {
    const error = t.throws(() => parse(`# comment\n\n${bad}\n`), {
      instanceOf: InputError,
      message: /, line 3: expected /,
    });
    t.is(error?.line, 3);
  });
}

test('normalizeAlias leaves ranges alone', (t) => {
  t.is(normalizeAlias('a-b[0-9a-f]-c'), 'a_b[0-9a-f]_c');
});

for (const [pattern, yes, no] of [
  ['abc', ['abc'], ['ab', 'abcd', '', 'aBc']],
  ['a*c', ['ac', 'abc', 'abcc'], ['a', 'acb', 'bac']],
  ['*', ['', 'anything'], []],
  ['a?c', ['abc', 'a?c'], ['ac', 'abbc']],
  ['a[0-9b]c', ['a5c', 'abc'], ['axc', 'ac']],
  ['a[!0-9]c', ['abc'], ['a5c']],
  ['a[^x]c', ['abc'], ['axc']],
  ['a[]x]c', ['a]c', 'axc'], ['abc']],
  ['a[a-]c', ['aac', 'a-c'], ['abc']],
  ['a\\*c', ['a*c'], ['abc']],
  ['a[bc', ['a[bc'], ['ab']],
  ['pci:v00008086d*sv*bc02sc*i*', ['pci:v00008086d00001533sv1bc02sc00i00'], ['pci:v00008087dsvbc02sci']],
  ['*a*b*', ['ab', 'xaxbx'], ['ba']],
] as const) {
  test(`fnmatch ${pattern}`, (t) => {
    for (const name of yes) t.true(matchesAlias(pattern, name), name);
    for (const name of no) t.false(matchesAlias(pattern, name), name);
  });
}

test('a pattern of many stars takes no exponential time', (t) => {
  const start = performance.now();
  t.false(matchesAlias(`${'a*'.repeat(200)}b`, 'a'.repeat(5000)));
  t.true(performance.now() - start < 2000);
});

const letter = fc.constantFrom('a', 'b', '*', '?');

testProp(
  'stars and question marks mean what they mean in a regular expression',
  [fc.string({ unit: letter, maxLength: 8 }), fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 })],
  (t, pattern, name) => {
    const source = pattern.replaceAll(/\*+/g, '.*').replaceAll('?', '.');
    t.is(matchesAlias(pattern, name), new RegExp(`^${source}$`).test(name), pattern);
  },
);
