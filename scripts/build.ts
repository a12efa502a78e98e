// Compiles the package into dist/: JavaScript with rewritten imports, and types. What 'check' runs is put together.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'esbuild';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

const wasm = spawnSync(process.execPath, [path('scripts/build-wasm.ts')], { stdio: 'inherit' });
if (wasm.status !== 0) process.exit(1);
rmSync(path('dist'), { recursive: true, force: true });
const tsc = spawnSync(path('node_modules/.bin/tsc'), ['-p', path('tsconfig.build.json')], { stdio: 'inherit' });
if (tsc.status !== 0) process.exit(1);

// tsc rewrites the imports of the code, not those of the declarations.
for (const file of globSync('dist/**/*.d.ts', { cwd: path('.') })) {
  const text = readFileSync(path(file), 'utf8');
  writeFileSync(path(file), text.replaceAll(/((?:from|import\() ?['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2'));
}

// What `check` looks at modules with.
cpSync(path('cli/check/scan.wasm'), path('dist/cli/check/scan.wasm'));

// The harness of ports is C, compiled where a kernel tree is.
cpSync(path('oracle/port'), path('dist/oracle/port'), { recursive: true });

// A check takes a third of a second; finding and reading sixty files, twice, would be a good part of that. What a thread
// begins with is one file.
const together: BuildOptions = {
  outdir: path('dist/cli'),
  chunkNames: 'check/[name]-[hash]',
  allowOverwrite: true,
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  logLevel: 'warning',
};
await build({ ...together, entryPoints: { 'check/worker': path('dist/cli/check/worker.js') } });
await build({ ...together, entryPoints: { check: path('dist/cli/check.js') } });
// What every command begins with is one file too, the parser of command lines in it; commands stay where they are.
await build({
  ...together,
  splitting: false,
  packages: 'bundle',
  entryPoints: { run: path('dist/cli/run.js') },
  banner: { js: `/*! With commander:\n${readFileSync(path('node_modules/commander/LICENSE'), 'utf8')}*/` },
  plugins: [
    {
      name: 'commands',
      setup({ onResolve }) {
        onResolve({ filter: /^\.\// }, ({ kind, resolveDir, path: name }) =>
          kind === 'dynamic-import'
            ? { path: `./${relative(path('dist/cli'), join(resolveDir, name))}`, external: true }
            : undefined,
        );
      },
    },
  ],
});

const bin = path('dist/cli/main.js');
if (!readFileSync(bin, 'utf8').startsWith('#!/usr/bin/env node\n')) {
  console.error('cli/main.ts must begin with "#!/usr/bin/env node": it is the komulator command');
  process.exit(1);
}
chmodSync(bin, 0o755);
