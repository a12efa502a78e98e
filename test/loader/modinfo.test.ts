import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { getModinfo, getModinfos, licenseIsGplCompatible, modinfoStrings, sameMagic } from '../../loader/modinfo.ts';

const section = (text: string): Uint8Array => new TextEncoder().encode(text);

test('strings are read in order, padding between them skipped', (t) => {
  t.deepEqual(modinfoStrings(section('name=a\0\0\0license=GPL\0depends=\0')), ['name=a', 'license=GPL', 'depends=']);
  t.deepEqual(modinfoStrings(section('\0\0name=a\0')), ['name=a']);
  t.deepEqual(modinfoStrings(section('')), []);
  t.deepEqual(modinfoStrings(section('\0\0\0')), []);
});

test('the first match wins, getModinfos gives all', (t) => {
  const bytes = section('import_ns=A\0name=x\0import_ns=B\0import_ns=\0import_ns=C\0');
  t.is(getModinfo(bytes, 'import_ns'), 'A');
  t.deepEqual(getModinfos(bytes, 'import_ns'), ['A', 'B', '', 'C']);
});

test('a tag is a whole word: neither a prefix nor a suffix matches', (t) => {
  const bytes = section('srcversion=1\0versions=2\0vers=3\0version\0version=4\0');
  t.is(getModinfo(bytes, 'version'), '4');
  t.is(getModinfo(bytes, 'ver'), undefined);
  t.deepEqual(getModinfos(bytes, 'nothing'), []);
});

test('a value may contain = and text that is not ASCII', (t) => {
  const bytes = section('parm=a:b=c\0author=Göran Å\0');
  t.is(getModinfo(bytes, 'parm'), 'a:b=c');
  t.is(getModinfo(bytes, 'author'), 'Göran Å');
});

test('the last string need not be terminated: it runs on into the image, but nothing starts there', (t) => {
  const image = section('xxname=hello\0tag=v\0');
  t.is(getModinfo(image, 'name', 2, 8), 'hello');
  t.is(getModinfo(image, 'tag', 2, 8), undefined);
  t.is(getModinfo(image, 'tag', 2, 12), 'v');
  t.is(getModinfo(section('name=hel'), 'name'), 'hel');
});

test('a section of size 0 still has its first bytes looked at, as with index.info 0', (t) => {
  t.is(getModinfo(section('name=elf\0name2=no\0'), 'name', 0, 0), 'elf');
  t.is(getModinfo(section('name=elf\0name2=no\0'), 'name2', 0, 0), undefined);
});

test('sameMagic ignores the release only with CRCs', (t) => {
  const a = '6.1.0-56-amd64 SMP preempt mod_unload modversions ';
  const b = '6.1.0-57-amd64 SMP preempt mod_unload modversions ';
  t.true(sameMagic(a, b, true));
  t.false(sameMagic(a, b, false));
  t.true(sameMagic(a, a, false));
  t.false(sameMagic(a, b.replace('preempt', 'preempt_rt'), true));
  t.false(sameMagic(a, b.trimEnd(), true));
});

test('sameMagic with CRCs: a magic without a space has nothing left', (t) => {
  t.true(sameMagic('6.1', '7.2', true));
  t.false(sameMagic('6.1', '6.1 ', true));
});

test('licences are compared exactly', (t) => {
  for (const license of [
    'GPL',
    'GPL v2',
    'GPL and additional rights',
    'Dual BSD/GPL',
    'Dual MIT/GPL',
    'Dual MPL/GPL',
  ]) {
    t.true(licenseIsGplCompatible(license), license);
  }
  for (const license of [
    '',
    'gpl',
    'GPL ',
    'GPL-2.0',
    'GPLv2',
    'BSD',
    'Proprietary',
    'unspecified',
    'Dual BSD/GPL v2',
  ]) {
    t.false(licenseIsGplCompatible(license), license);
  }
  t.false(licenseIsGplCompatible(undefined));
});

const info = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom('a', 'b', '=', '_', 'é') });

testProp(
  'reading what was written gives it back, however it is padded',
  [fc.array(fc.tuple(info, fc.integer({ min: 1, max: 4 })), { maxLength: 8 }), fc.integer({ min: 0, max: 3 })],
  (t, strings, lead) => {
    const text = '\0'.repeat(lead) + strings.map(([s, pad]) => s + '\0'.repeat(pad)).join('');
    t.deepEqual(
      modinfoStrings(section(text)),
      strings.map(([s]) => s),
    );
  },
);

testProp('getModinfo is the first of getModinfos', [fc.uint8Array({ maxLength: 40 })], (t, bytes) => {
  t.is(getModinfo(bytes, 'a'), getModinfos(bytes, 'a')[0]);
});
