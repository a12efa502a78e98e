/**
 * Compiles cli/check/wasm/ (AssemblyScript) to cli/check/scan.wasm, if that is not what lies there already. `npm ci` and
 * `npm test` do it by themselves.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
/** Shared by all threads, and as much of it as arena.ts allows. */
const MEMORY = ['--importMemory', '--sharedMemory', '--initialMemory', '16', '--maximumMemory', '32768'];
const FEATURES = ['--enable', 'threads', '--enable', 'bulk-memory'];
const args = ['cli/check/wasm/index.ts', '-O3', '--runtime', 'stub', '--noAssert', ...MEMORY, ...FEATURES];

/** The compiler, which is there where development is. */
const ASC = join(root, 'node_modules/assemblyscript/bin/asc.js');

/** Where it is, and the custom section that says what it was made of. */
export const SCAN_WASM: string = join(root, 'cli/check/scan.wasm');
export const SOURCES = 'komulator.sources';

/** What goes into it: sources, constants that both languages read, compiler, options. */
export function sourcesHash(): string {
  const hash = createHash('sha256').update(JSON.stringify(args));
  hash.update(readFileSync(join(root, 'node_modules/assemblyscript/package.json')));
  for (const file of globSync(['cli/check/wasm/*.ts', 'cli/check/*.ts'], { cwd: root }).toSorted())
    if (file.includes('/wasm/') || isShared(file)) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

const SHARED = ['doubts', 'export-rows', 'proof-table', 'records', 'well-known'];
const isShared = (file: string): boolean => SHARED.some((name) => file.endsWith(`check/${name}.ts`));

/** The hash that a compiled file carries; undefined where there is none. */
export function builtFrom(): string | undefined {
  try {
    const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(readFileSync(SCAN_WASM)), SOURCES);
    return section && new TextDecoder().decode(section);
  } catch {
    return undefined;
  }
}

/** A custom section: its name, and some text. Both are shorter than 128 bytes. */
function customSection(name: string, text: string): Buffer {
  const payload = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from(text)]);
  return Buffer.concat([Buffer.from([0, payload.length]), payload]);
}

/** False where the compiler has complained. What others may be reading is replaced whole. */
function compile(hash: string): boolean {
  const made = `${SCAN_WASM}.${process.pid}`;
  const { status } = spawnSync(process.execPath, [ASC, ...args, '--outFile', relative(root, made)], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status === 0) {
    appendFileSync(made, customSection(SOURCES, hash));
    renameSync(made, SCAN_WASM);
  } else rmSync(made, { force: true });
  return status === 0;
}

if (import.meta.main) {
  if (!existsSync(ASC)) console.error('assemblyscript is not installed: cli/check/scan.wasm is not made');
  else {
    const hash = sourcesHash();
    if (builtFrom() !== hash && !compile(hash)) process.exitCode = 1;
  }
}
