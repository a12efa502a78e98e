// Proves that the rooms a browser needs run in one: bundles all their files without any Node built-in, then runs the
// bundle in a bare context (no process, require or Buffer) and loads real modules there.
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = ['loader', 'relocs', 'arch', 'testing'].flatMap((room) =>
  globSync(`${room}/*.ts`, { cwd: root }).toSorted(),
);

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  stdin: {
    contents: files.map((file) => `export * as ${JSON.stringify(file)} from './${file}';`).join('\n'),
    resolveDir: root,
    sourcefile: 'bundle-check.ts',
    loader: 'ts',
  },
  bundle: true,
  write: false,
  metafile: true,
  minify: true,
  platform: 'browser',
  format: 'iife',
  globalName: 'komulator',
  target: 'es2022',
  logLevel: 'error',
  alias: { assert: './web/shims/assert.ts', util: './web/shims/util.ts' },
}).catch(() => {
  console.error('bundle:check: the browser bundle cannot be built');
  process.exit(1);
});

const foreign = Object.values(metafile.inputs)
  .flatMap(({ imports }) => imports)
  .filter(({ external }) => external)
  .map(({ path }) => path);
if (foreign.length > 0) {
  console.error(`bundle:check: left outside the bundle: ${foreign.join(', ')}`);
  process.exit(1);
}

const code = outputFiles[0]?.text ?? '';
console.log(
  `bundle:check: ${files.length} files, ${kib(code.length)} minified, ${kib(gzipSync(code).length)} gzipped, no Node built-in`,
);

// What a browser and a worker have; everything else of Node stays out.
const context = createContext({
  console,
  TextDecoder,
  TextEncoder,
  Blob,
  Response,
  ReadableStream,
  WritableStream,
  TransformStream,
  DecompressionStream,
  atob,
  crypto,
  performance,
  setTimeout,
  clearTimeout,
  queueMicrotask,
  URL,
});
runInContext(code, context, { filename: 'komulator.js' });
for (const name of ['process', 'require', 'Buffer', 'module', 'global']) {
  if (runInContext(`typeof ${name}`, context) !== 'undefined') throw new Error(`${name} exists in the bare context`);
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
