// Packs the package as it would be published and uses it as a stranger would: installed from the tarball into an empty
// folder, command run, every entry imported and type-checked. Then publint and are-the-types-wrong give their verdicts.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Packed = {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
};
type Manifest = {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');
const env = { ...process.env, PATH: [bin, dirname(process.execPath), process.env['PATH']].join(delimiter) };
const { name, version, exports, devDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as Manifest;
const entries = Object.keys(exports)
  .filter((entry) => !entry.endsWith('.json'))
  .map((entry) => entry.replace('.', name));
/** A tree of modules. */
const bundled = join(root, 'fixtures/ko/x86_64');
/** The one entry that wants a package its user brings along. */
const ORACLE = `${name}/oracle`;
const away = mkdtempSync(join(tmpdir(), 'komulator-pack-'));
process.on('exit', () => rmSync(away, { recursive: true, force: true }));

const tarball = packed();
installed(tarball);
for (const entry of entries) imported(entry);
typed(
  entries.filter((entry) => entry !== ORACLE),
  '',
);
// What runs on Node only may speak of Node.
added(`@types/node@${devDependencies['@types/node']}`);
typed([ORACLE], 'node');
said('komulator --version', run(join(away, 'node_modules/.bin/komulator'), ['--version'], away).trim(), version);
said('komulator --help', run(join(away, 'node_modules/.bin/komulator'), ['--help'], away).includes('load'), true);
// Bundled modules, with one that the kernel refuses among them: threads, the wasm and insmod, as they are published.
const checked = spawnSync(join(away, 'node_modules/.bin/komulator'), ['check', bundled, '--jobs', '2', '--json'], {
  cwd: away,
  env,
  encoding: 'utf8',
});
said('komulator check', (JSON.parse(checked.stdout) as { failed: unknown[] }).failed.length > 0, true);
said('komulator check, exit', checked.status, 1);
console.log(run(join(bin, 'publint'), ['--strict', tarball], root).trim());
console.log(run(join(bin, 'attw'), ['--profile', 'esm-only', '--quiet', tarball], root).trim());
console.log('pack:check: the package installs, runs and types well');

function packed(): string {
  const json = run('npm', ['pack', '--json', '--pack-destination', away], root);
  const reports = JSON.parse(json.slice(json.indexOf('['))) as readonly Packed[];
  const report = reports[0];
  if (!report) throw new Error('npm pack reported nothing');
  const strange = report.files
    .map(({ path }) => path)
    .filter(
      (path) =>
        !/^(dist\/.*\.(js|d\.ts)|dist\/cli\/check\/scan\.wasm|dist\/oracle\/port\/[\w-]+\.(c|h|md)|README\.md|LICENSE|package\.json)$/.test(
          path,
        ),
    );
  said('files that do not belong into the package', strange.join(' '), '');
  console.log(`pack:check: ${report.files.length} files, ${(report.size / 1024).toFixed(1)} KiB`);
  return join(away, report.filename);
}

function installed(file: string): void {
  writeFileSync(join(away, 'package.json'), '{ "name": "stranger", "private": true, "type": "module" }');
  added(file);
  const binaries = globSync('node_modules/**/{node,node-linux-*,komulator-node}', { cwd: away }).filter((path) =>
    existsSync(join(away, path)),
  );
  said('Node binaries dragged along', binaries.join(' '), '');
}

function added(what: string): void {
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', what], away);
}

function imported(entry: string): void {
  const code = `console.log(Object.keys(await import('${entry}')).length)`;
  const names = run(process.execPath, ['--input-type=module', '-e', code], away);
  console.log(`pack:check: ${entry} exports ${names.trim()} names`);
}

/** No skipLibCheck: our own declarations are what is on trial. */
/** Type checks the entries as a user would, without skipLibCheck; `types`: packages of ambient types. */
function typed(names: readonly string[], types: string): void {
  writeFileSync(
    join(away, 'use.ts'),
    `${names.map((entry, i) => `import * as e${i} from '${entry}';\nvoid e${i};`).join('\n')}\n`,
  );
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024'];
  const libs = ['--lib', 'es2024,dom,dom.iterable', '--types', types];
  run(join(bin, 'tsc'), [...options, ...libs, 'use.ts'], away);
}

function said<T>(what: string, actual: T, expected: T): void {
  if (actual === expected) return;
  console.error(`pack:check: ${what}: ${String(actual)} (expected ${String(expected) || 'none'})`);
  process.exit(1);
}

function run(command: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    console.error(`pack:check: ${[command, ...args].join(' ')}\n${stdout}${stderr}`);
    process.exit(1);
  }
}
