import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { Unavailable } from '../../scripts/debian/cache.ts';
import type { DebianKernel } from '../../scripts/debian/manifest.ts';
import { fromManifest, toManifest } from '../../scripts/debian/manifest.ts';
import { downloadNewest } from '../../scripts/debian/older.ts';
import { compareVersions, kernelCandidates, parseStanza, pickKernel, pickMirrors } from '../../scripts/debian/pick.ts';
import { KERNELS, SOURCES, TOOLS } from '../../scripts/debian/table.ts';
import { vermagicOf } from '../../scripts/debian/vermagic.ts';

// Each list ascends, as dpkg --compare-versions orders it.
const ASCENDING = [
  ['6.1.0-9-amd64', '6.1.0-10-amd64', '6.1.0-56-amd64'],
  ['6.12.74+deb13+1', '6.12.90+deb13', '6.12.90+deb13.1', '6.12.107+deb13', '6.12.117+deb13'],
  ['7.2~rc1', '7.2~rc1+b1', '7.2', '7.2-1', '7.2.1'],
  ['1.0~', '1.0', '1.0a', '1.0+', '1.0-1', '1.0.'],
  ['9', '1:1', '2:0'],
  ['', '0a', '1', '1a'],
];

test('versions ascend as dpkg orders them', (t) => {
  for (const versions of ASCENDING) {
    for (const [i, a] of versions.entries()) {
      for (const [j, b] of versions.entries()) {
        t.is(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} against ${b}`);
      }
    }
  }
});

test('leading zeros and a missing digit run count as the same number', (t) => {
  t.is(compareVersions('1.02', '1.2'), 0);
  t.is(compareVersions('1.', '1.0'), 0);
  t.is(compareVersions('0:1', '1'), 0);
});

test('a number longer than a double keeps its last digit', (t) => {
  t.true(compareVersions('20261120140000000001', '20261120140000000002') < 0);
});

const version = fc.string({ unit: fc.constantFrom('0', '1', '2', '9', 'a', 'z', '.', '+', '~', '-'), maxLength: 8 });

testProp('the order is antisymmetric and transitive', [version, version, version], (t, a, b, c) => {
  t.is(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
  if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) t.true(compareVersions(a, c) <= 0);
});

const row = (name: string) => {
  const found = KERNELS[name];
  if (found === undefined) throw new Error(name);
  return found;
};

const pair = (kernel: string) => [`linux-image-${kernel}`, `linux-headers-${kernel}`];

test('the newest kernel of the series and flavour is taken', (t) => {
  const names = ['6.1.0-9-amd64', '6.1.0-56-amd64', '6.1.0-10-amd64'].flatMap(pair);
  t.deepEqual(pickKernel(names, row('amd64')), {
    version: '6.1.0-56-amd64',
    packages: ['linux-image-6.1.0-56-amd64', 'linux-headers-6.1.0-56-amd64'],
  });
});

test('other series, other flavours, meta and debug packages are not', (t) => {
  const others = [
    '6.12.117+deb12-amd64',
    '6.1.0-99-cloud-amd64',
    '6.1.0-99-rt-amd64',
    '6.10.0-1-amd64',
    '6.1-amd64',
    '6.1.0-99-amd64-dbg',
    'amd64',
  ].flatMap(pair);
  t.is(pickKernel(others, row('amd64')), undefined);
  t.is(pickKernel([...others, ...pair('6.1.0-5-amd64')], row('amd64'))?.version, '6.1.0-5-amd64');
  t.is(pickKernel(pair('6.12.117+deb13-arm64-16k'), row('arm64')), undefined);
  t.is(pickKernel(pair('6.12.107+deb13-powerpc64le-64k'), row('ppc64el')), undefined);
  t.is(pickKernel(pair('6.12.107+deb13-rt-armmp'), row('armhf')), undefined);
  t.is(pickKernel(pair('6.1.0-50-686'), row('i386')), undefined);
});

test('a dot in the series stands for a dot', (t) => {
  t.is(pickKernel(pair('6x1.0-5-amd64'), row('amd64')), undefined);
});

test('an image without headers is passed over', (t) => {
  const names = ['linux-image-6.1.0-56-amd64', ...pair('6.1.0-55-amd64')];
  t.is(pickKernel(names, row('amd64'))?.version, '6.1.0-55-amd64');
});

test('the signed image goes before the unsigned one, which goes before an older build', (t) => {
  const headers = 'linux-headers-6.1.0-56-amd64';
  const unsigned = ['linux-image-6.1.0-56-amd64-unsigned', headers];
  t.deepEqual(pickKernel([...pair('6.1.0-55-amd64'), ...unsigned], row('amd64'))?.packages, unsigned);
  for (const names of [
    [...unsigned, 'linux-image-6.1.0-56-amd64'],
    ['linux-image-6.1.0-56-amd64', ...unsigned],
  ]) {
    t.deepEqual(pickKernel(names, row('amd64'))?.packages, ['linux-image-6.1.0-56-amd64', headers]);
  }
});

test('an image that is split brings its parts', (t) => {
  const kernel = '7.2.13+deb14-loong64';
  const names = ['base', 'binary', 'headers', 'image', 'modules'].map((part) => `linux-${part}-${kernel}`);
  t.deepEqual(
    pickKernel(names, row('loong64'))?.packages,
    ['image', 'modules', 'base', 'headers'].map((part) => `linux-${part}-${kernel}`),
  );
});

test('candidates come newest first, security updates of one ABI included', (t) => {
  const versions = ['6.12.74+deb13+1', '6.12.90+deb13', '6.12.115+deb13', '6.12.90+deb13.1', '6.12.100+deb13'];
  const names = versions.flatMap((kernel) => pair(`${kernel}-arm64`));
  t.deepEqual(
    kernelCandidates(names, row('arm64')).map((kernel) => kernel.version.replace('-arm64', '')),
    ['6.12.115+deb13', '6.12.100+deb13', '6.12.90+deb13.1', '6.12.90+deb13', '6.12.74+deb13+1'],
  );
});

const BUILDS = [{ version: '117' }, { version: '107' }, { version: '100' }, { version: '90' }];

const NOT_FOUND = '404  Not Found [IP: 203.0.113.80 80]';

/** A mirror that has some builds only: what it was asked for, what was logged, what came of it. */
const askMirror = async (has: readonly string[], words: string) => {
  const asked: string[] = [];
  const logged: string[] = [];
  const download = async ({ version: build }: { readonly version: string }) => {
    asked.push(build);
    if (!has.includes(build)) throw new Unavailable(`E: Failed to fetch ${build}  ${words}`);
    return [`${build}.deb`];
  };
  const came = await downloadNewest(BUILDS, download, (line) => logged.push(line)).catch((error: unknown) => error);
  return { asked, logged, came };
};

test('the newest build is taken without a word when the mirror has it', async (t) => {
  t.deepEqual(await askMirror(['117', '107'], NOT_FOUND), {
    asked: ['117'],
    logged: [],
    came: { build: { version: '117' }, debs: ['117.deb'], warnings: [] },
  });
});

test('a build that the pool lacks gives way to the next older one, and that is said', async (t) => {
  const warnings = ['117', '107'].map((newer) => `${newer} could not be downloaded: 100 is used instead`);
  t.deepEqual(await askMirror(['100', '90'], NOT_FOUND), {
    asked: ['117', '107', '100'],
    logged: warnings,
    came: { build: { version: '100' }, debs: ['100.deb'], warnings },
  });
});

test('a fourth build is not tried, and all three reasons are given', async (t) => {
  const { asked, logged, came } = await askMirror(['90'], NOT_FOUND);
  t.deepEqual(asked, ['117', '107', '100']);
  t.deepEqual(logged, []);
  t.true(came instanceof Unavailable);
  const reasons = asked.map((build) => `E: Failed to fetch ${build}  ${NOT_FOUND}`);
  t.is(came instanceof Unavailable ? came.message : undefined, reasons.join('\n'));
});

test('a mirror that does not answer is asked once', async (t) => {
  for (const words of [
    'Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)',
    'Unable to connect to 127.0.0.1:9:',
    'Connection failed [IP: 127.0.0.1 8099]',
    'Connection timed out',
    "Temporary failure resolving 'deb.debian.org'",
    "Could not resolve 'deb.debian.org'",
  ]) {
    const { asked, came } = await askMirror(['107'], words);
    t.deepEqual(asked, ['117'], words);
    t.true(came instanceof Unavailable);
  }
});

test('an error of our own is not taken for a missing build', async (t) => {
  const broken = async () => Promise.reject(new TypeError('ours'));
  await t.throwsAsync(
    downloadNewest(BUILDS, broken, () => {}),
    { instanceOf: TypeError, message: 'ours' },
  );
});

test('the table names each kernel of the ground truth once, in a suite that has its sources', (t) => {
  t.deepEqual(Object.keys(KERNELS).toSorted(), [
    'amd64',
    'arm64',
    'armhf',
    'i386',
    'loong64',
    'mips64el',
    'ppc64el',
    'riscv64',
    's390x',
  ]);
  for (const [name, { suite, arch, series }] of Object.entries(KERNELS)) {
    t.is(arch, name);
    t.is(SOURCES[series], suite);
  }
  t.true(Object.values(TOOLS).every((tool) => Object.keys(tool.programs).length > 0));
});

test('a stanza ends at the first empty line and keeps colons in values', (t) => {
  t.deepEqual(parseStanza('Package: a\nVersion: 1:2.3-1\n\nPackage: b\nSize: 5\n'), {
    Package: 'a',
    Version: '1:2.3-1',
  });
  t.deepEqual(parseStanza('Description: x\n a continued: line\nSHA256: ab\n'), { Description: 'x', SHA256: 'ab' });
});

test("mirrors are this machine's own", (t) => {
  const lines = [
    'http://elsewhere.test/node_20.x/ nodistro',
    'http://mirror.test/debian/ bookworm-updates',
    'http://mirror.test/debian/ bookworm',
    'http://mirror.test/debian-security/ bookworm-security',
    '',
  ];
  t.deepEqual(pickMirrors(lines), {
    main: 'http://mirror.test/debian/',
    security: 'http://mirror.test/debian-security/',
  });
  t.deepEqual(pickMirrors(lines.slice(0, 3)), { main: 'http://mirror.test/debian/', security: undefined });
  t.is(pickMirrors(lines.slice(0, 2)), undefined);
});

const KERNEL: DebianKernel = {
  name: 'amd64',
  suite: 'bookworm',
  arch: 'amd64',
  version: '6.1.0-56-amd64',
  packages: [{ name: 'linux-image-6.1.0-56-amd64', version: '6.1.192-2', sha256: 'ab' }],
  dir: '/cache/kernels/amd64',
  modulesDir: '/cache/kernels/amd64/lib/modules/6.1.0-56-amd64',
  symvers: '/cache/kernels/amd64/Module.symvers',
  systemMap: '/cache/kernels/amd64/System.map',
  config: '/cache/kernels/amd64/config',
  vermagic: '6.1.0-56-amd64 SMP preempt mod_unload modversions ',
  suffix: '.ko',
  modules: 4023,
  bytes: 397214039,
  depmod: 'kmod version 34.2',
  fetched: '2026-11-20T14:06:58.977Z',
  warnings: [],
};

test('a manifest comes back as it was, also from a cache that was moved', (t) => {
  const text = toManifest(KERNEL);
  t.false(text.includes('/cache'));
  t.deepEqual(fromManifest(text, KERNEL.dir), KERNEL);
  t.is(fromManifest(text, '/moved')?.symvers, '/moved/Module.symvers');
});

test('a manifest that is cut anywhere is no manifest', (t) => {
  const text = toManifest(KERNEL).trimEnd();
  for (let end = 0; end < text.length; end++) t.is(fromManifest(text.slice(0, end), '/x'), undefined);
});

test('vermagic is read to its NUL, trailing space included', (t) => {
  t.is(vermagicOf(Buffer.from('\0name=x\0vermagic=6.1 SMP \0depends=\0')), '6.1 SMP ');
  t.is(vermagicOf(Buffer.from('\0vermagic=cut')), 'cut');
  t.is(vermagicOf(Buffer.from('\0notvermagic=6.1\0')), '');
});
