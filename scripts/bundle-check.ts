// Proves that the rooms a browser needs run in one: bundles all their files without any Node built-in, then runs the
// bundle in a bare context (no process, require or Buffer) and loads real modules there.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import * as nodeLoader from '../loader/index.ts';

type Loader = typeof nodeLoader;
/** Files of fixtures/ko by architecture and name. */
type Samples = Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;

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

const here = story(
  nodeLoader,
  samples((bytes) => bytes),
);
const copyIn = runInContext('(bytes) => Uint8Array.from(bytes)', context) as (bytes: Uint8Array) => Uint8Array;
const tell = runInContext(`(${story.toString()})`, context) as typeof story;
const there = tell(runInContext(`komulator['loader/index.ts']`, context) as Loader, samples(copyIn));

const live = there.filter((line) => line.includes(' LIVE '));
if (here.join('\n') !== there.join('\n') || live.length === 0) {
  console.error(`bundle:check: in the bare context ${live.length} modules became LIVE; otherwise than in Node:`);
  for (const [i, line] of here.entries()) if (line !== there[i]) console.error(`  ${line}\n  ${there[i] ?? 'nothing'}`);
  process.exit(1);
}
console.log(
  `bundle:check: ${there.length} loads in a bare context end as in Node, byte for byte (${live.length} LIVE, the others refused)`,
);

/** Loads every sample module on a kernel of its own. Runs in both worlds, so it closes over nothing. */
function story(
  { arches, insmod, Kernel, LoadError, parseSymvers, parseSystemMap, withAddresses }: Loader,
  all: Samples,
): string[] {
  return arches.flatMap((arch) => {
    const { 'Module.symvers': symvers, 'System.map': map, ...modules } = all[arch.name] ?? {};
    if (!symvers || !map) return [];
    const exports = withAddresses(parseSymvers(symvers), parseSystemMap(map)).filter(
      ({ owner }) => owner === 'vmlinux',
    );
    return Object.entries(modules).map(([name, bytes]) => {
      const kernel = new Kernel({ arch, version: '7.2', exports });
      try {
        const { state, sections } = insmod(kernel, bytes);
        let hash = 0x811c9dc5;
        for (const section of sections) {
          for (const byte of section.bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
        }
        return `${arch.name} ${name} ${state} ${hash.toString(16)} ${kernel.log.join('|')}`;
      } catch (error) {
        if (!(error instanceof LoadError)) throw error;
        return `${arch.name} ${name} ${String(error)} ${kernel.log.join('|')}`;
      }
    });
  });
}

function samples(copy: (bytes: Uint8Array) => Uint8Array): Samples {
  const all: Record<string, Record<string, Uint8Array>> = {};
  for (const path of globSync('fixtures/ko/*/*', { cwd: root }).toSorted()) {
    const [, , arch = ''] = path.split('/');
    (all[arch] ??= {})[basename(path)] = copy(readFileSync(join(root, path)));
  }
  return all;
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
