/**
 * What komulator costs, next to the programs it must stand beside, measured in the same run on the same machine.
 *
 *     npm run bench              # a table
 *     npm run bench -- --write   # and docs/performance.md
 *
 * Of several runs the quickest counts on both sides. Exit 3: a kernel or a program cannot be had.
 */

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../scripts/debian/cache.ts';
import { type DebianKernel, debianKernel } from '../scripts/debian/fetch.ts';
import { debianProgram } from '../scripts/debian/tools.ts';
import { openTree, type Tree } from '../scripts/kernels/tree.ts';
import { Bench, warm } from './module.ts';
import { type Command, quickest } from './processes.ts';

/** One line of the table; `held`: whether DESIGN.md's number is, undefined where it names none. */
interface Row {
  readonly what: string;
  readonly ours: string;
  readonly theirs?: string;
  readonly ratio?: string;
  readonly wanted?: string;
  readonly held?: boolean;
}

/** A linker and its command line, to which the module is added. */
interface Linker {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** Modules of the per-module comparison, spread over the tree. */
const MODULES = 40;

/** As `npm run test:kernels` runs it: a small nursery costs no time and saves 100 MB. */
const SMALL_HEAP = '--max-semi-space-size=8';

const root = join(import.meta.dirname, '..');
const log = (line: string): void => console.error(line);

async function main(write: boolean): Promise<number> {
  const kernel = await debianKernel('amd64', { log });
  const depmod = await debianProgram('kmod', 'depmod', log);
  const lld = await debianProgram('lld', 'ld.lld', log);
  const mold = await debianProgram('mold', 'mold', log);
  const load = loadavg()[0] ?? 0;
  const out = await mkdtemp(join(tmpdir(), 'komulator-bench-'));
  const args = ['-r', '-o', join(out, 'module.o')];
  const linkers = [
    { name: 'ld.lld', program: lld, args },
    { name: 'mold', program: mold, args },
  ];
  const rows: Row[] = [];
  try {
    rows.push(...wholeTree(kernel, depmod));
    const tree = await openTree(kernel);
    rows.push(...(await amdgpu(tree, linkers)), ...(await modules(tree, linkers)));
  } finally {
    await rm(out, { recursive: true });
  }

  const text = table(rows);
  console.log(text);
  if (write) {
    const programs = [kernel.depmod, version(lld), version(mold), `Node ${process.version}`].join('; ');
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load average ${load.toFixed(1)} before`;
    const document = [
      '# Performance',
      '',
      '<!-- Written by `npm run bench -- --write`. -->',
      '',
      `Debian ${kernel.version}; ${programs}; ${machine}.`,
      'Times are the quickest of several runs that took turns. The programs beside komulator do less: depmod reads',
      'symbol tables and looks at no relocation, `ld -r` copies relocations and resolves none. Whole trees are whole',
      'processes on both sides; single modules are loaded by a process that is warm, beside whole processes.',
      '',
      text,
    ];
    await writeFile(join(root, 'docs/performance.md'), `${document.join('\n')}\n`);
  }
  return 0;
}

/** What bench/load-tree.ts prints. */
interface TreeResult {
  readonly modules: number;
  readonly relocations: number;
  readonly peakKilobytes: number;
}

function wholeTree(kernel: DebianKernel, depmod: string): Row[] {
  log('the whole tree');
  const { name, dir, modulesDir, symvers } = kernel;
  const options = ['--symvers', symvers, '--vendor', 'debian', '--jobs', '2', '--json'];
  const check: Command = [process.execPath, [join(root, 'cli/main.ts'), 'check', modulesDir, ...options]];
  const one: Command = [process.execPath, [SMALL_HEAP, join(root, 'bench/load-tree.ts'), name]];
  const [depmodMs = 0, checkMs = 0, oneMs = 0] = quickest(6, [[depmod, ['-n', '-b', dir, kernel.version]], check, one]);
  const tree = JSON.parse(execFileSync(...one, { encoding: 'utf8' })) as TreeResult;
  const megabytes = tree.peakKilobytes / 1024;
  const beside = { theirs: `depmod ${ms(depmodMs)}` };
  return [
    {
      what: `the ${name} tree, ${n(tree.modules)} modules, ${n(tree.relocations)} relocations: komulator check --jobs 2`,
      ours: ms(checkMs),
      ...beside,
      ratio: ratio(checkMs, depmodMs),
      wanted: 'at most 1.0 ×',
      held: checkMs <= depmodMs,
    },
    {
      what: 'the same, each module through load_module() step by step, one core',
      ours: ms(oneMs),
      ...beside,
      ratio: ratio(oneMs, depmodMs),
    },
    {
      what: 'its peak memory',
      ours: `${megabytes.toFixed(0)} MB`,
      wanted: 'at most 250 MB',
      held: megabytes <= 250,
    },
  ];
}

async function amdgpu(tree: Tree, linkers: readonly Linker[]): Promise<Row[]> {
  log('amdgpu');
  const module = tree.modules.get('amdgpu');
  if (module === undefined) throw new Unavailable(`${tree.debian.version} has no amdgpu`);
  const bench = await Bench.open(tree, module);
  const { relocations, milliseconds } = warm(
    3,
    () => bench.relocate(),
    (result) => result.milliseconds,
  );
  const millions = relocations / milliseconds / 1000;
  const loadMs = warm(
    3,
    () => bench.load(),
    (time) => time,
  );
  return [
    {
      what: `amdgpu.ko, apply_relocations() alone: ${n(relocations)} in ${ms(milliseconds)}, warm, one core`,
      ours: `${millions.toFixed(1)} M/s`,
      wanted: 'at least 10 M/s',
      held: millions >= 10,
    },
    ...linkers.map(({ name, program, args }) => {
      const [theirs = 0] = quickest(5, [[program, [...args, module.path]]]);
      return besides('amdgpu.ko, the whole load with every check, warm', loadMs, name, theirs);
    }),
  ];
}

async function modules(tree: Tree, linkers: readonly Linker[]): Promise<Row[]> {
  log(`${MODULES} modules`);
  const all = [...tree.modules.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const theirs = linkers.map(() => 0);
  let measured = 0;
  let ours = 0;
  for (let i = 0; i < MODULES; i++) {
    const module = all[Math.floor((i * all.length) / MODULES)];
    // What another one needed is loaded already.
    if (module === undefined || tree.kernel.findModule(module.name) !== undefined) continue;
    const bench = await Bench.open(tree, module);
    ours += warm(
      0.02,
      () => bench.load(),
      (time) => time,
    );
    const times = quickest(
      3,
      linkers.map(({ program, args }) => [program, [...args, module.path]]),
    );
    for (const [k, time] of times.entries()) theirs[k] = (theirs[k] ?? 0) + time;
    measured++;
  }
  const what = `one of ${measured} modules spread over the tree, on average, warm`;
  return linkers.map(({ name }, k) => besides(what, ours / measured, name, (theirs[k] ?? 0) / measured));
}

const besides = (what: string, ours: number, name: string, theirs: number): Row => ({
  what,
  ours: ms(ours),
  theirs: `${name} -r ${ms(theirs)}`,
  ratio: ratio(ours, theirs),
  wanted: 'below 1.0 ×',
  held: ours < theirs,
});

function table(rows: readonly Row[]): string {
  const head = ['measured', 'komulator', 'beside it', 'ratio', 'wanted', 'held'];
  const cells = rows.map(({ what, ours, theirs = '', ratio: r = '', wanted = '', held }) => [
    what,
    ours,
    theirs,
    r,
    wanted,
    held === undefined ? '' : held ? 'yes' : 'NO',
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

const ms = (time: number): string => (time < 10 ? `${time.toFixed(2)} ms` : `${time.toFixed(0)} ms`);
const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)} ×`;
const n = (count: number): string => count.toLocaleString('en-US');
const version = (program: string): string =>
  execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';

try {
  process.exitCode = await main(process.argv.includes('--write'));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  console.error(`SKIPPED: ${error.message}`);
  process.exitCode = 3;
}
