/**
 * What komulator costs, next to the programs it must stand beside, measured in the same run on the same machine.
 *
 *     npm run bench              # the tables
 *     npm run bench -- --write   # and docs/performance.md
 *
 * Of several runs the quickest counts on both sides. Exit 3: a kernel or a program cannot be had.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../scripts/debian/cache.ts';
import { type DebianKernel, debianKernel } from '../scripts/debian/fetch.ts';
import { debianProgram } from '../scripts/debian/tools.ts';
import { openTree, type Tree } from '../scripts/kernels/tree.ts';
import { ofSizes, subtree } from './growth.ts';
import { Bench, warm } from './module.ts';
import { type Command, peakMemory, quickest } from './processes.ts';
import { mb, ms, n, rate, ratio, table } from './table.ts';

/** A linker and its command line, to which the module is added. */
interface Linker {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** Threads of everything that has threads. */
const JOBS = 2;
/** Runs of what takes less than a second, and of what takes several. */
const RUNS = 12,
  FEW_RUNS = 4;
const COUNTS = [500, 1000, 2000, 4000];
/** Bytes. */
const SIZES = [16_384, 65_536, 262_144, 1_048_576, 3_400_000, 14_000_000];
/** Modules of the per-module comparison, spread over the tree. */
const MODULES = 40;
const MEMORY = 250;

const root = join(import.meta.dirname, '..');
/** The command as it is published. */
const komulator = join(root, 'dist/cli/main.js');
const log = (line: string): void => console.error(line);

const held = (is: boolean): string => (is ? 'yes' : 'NO');

async function main(write: boolean): Promise<number> {
  const kernel = await debianKernel('amd64', { log });
  const depmod = await debianProgram('kmod', 'depmod', log);
  const lld = await debianProgram('lld', 'ld.lld', log);
  const mold = await debianProgram('mold', 'mold', log);
  const load = loadavg()[0] ?? 0;
  execFileSync(process.execPath, [join(root, 'scripts/build.ts')], { stdio: 'inherit' });
  if (!existsSync(komulator)) throw new Error(`${komulator} has not been built`);
  const out = await mkdtemp(join(tmpdir(), 'komulator-bench-'));
  const args = ['-r', '-o', join(out, 'module.o')];
  const linkers = [
    { name: 'ld.lld', program: lld, args },
    { name: 'mold', program: mold, args },
  ];
  const parts: string[] = [];
  try {
    parts.push('## Whole trees', ...(await wholeTree(kernel, depmod)));
    const tree = await openTree(kernel);
    parts.push('## Growth with the number of modules', ...(await numbers(tree, depmod)));
    parts.push('## Packed trees', ...(await packed()));
    parts.push('## Single modules', ...(await modules(tree, linkers)));
    parts.push('## Growth with the size of a module', ...(await sizes(tree, linkers)));
  } finally {
    await rm(out, { recursive: true });
  }

  const programs = [kernel.depmod, version(lld), version(mold), version('xz'), `Node ${process.version}`].join('; ');
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load average ${load.toFixed(1)} before`;
  const document = [
    '# Performance',
    '<!-- Written by `npm run bench -- --write`. -->',
    `Debian ${kernel.version}; ${programs}; ${machine}.`,
    [
      'Times are the quickest, and CPU times the least, of several runs that took turns. The programs beside komulator',
      'do less: depmod reads symbol tables and looks at no relocation, `ld -r` copies relocations and resolves none, `xz`',
      'only unpacks. Whole trees are whole processes on both sides; single modules are loaded by a process that is warm,',
      'beside whole processes.',
    ].join('\n'),
    ...parts,
  ].join('\n\n');
  console.log(document);
  if (write) await writeFile(join(root, 'docs/performance.md'), `${document}\n`);
  return 0;
}

const checkOf = (modulesDir: string, symvers: string): Command => [
  process.execPath,
  [komulator, 'check', modulesDir, '--symvers', symvers, '--vendor', 'debian', '--jobs', `${JOBS}`, '--json'],
];

/** The part of a check's JSON that is needed here. */
interface Checked {
  readonly modules: number;
  readonly relocations: number;
}
const checked = ([program, args]: Command): Checked =>
  JSON.parse(execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 })) as Checked;

async function wholeTree(kernel: DebianKernel, depmod: string): Promise<string[]> {
  log('the whole tree');
  const { name, dir, modulesDir, symvers } = kernel;
  const commands: Command[] = [
    [depmod, ['-n', '-b', dir, kernel.version]],
    checkOf(modulesDir, symvers),
    [process.execPath, [join(root, 'bench/read-only.mjs'), modulesDir]],
    [process.execPath, [join(root, 'bench/load-tree.ts'), name]],
  ];
  const { modules: count, relocations } = checked(commands[1]!);
  const [theirs, ours, floor] = quickest(RUNS, commands.slice(0, 3));
  const [steps] = quickest(FEW_RUNS, commands.slice(3));
  const memory: number[] = [];
  for (const command of commands) memory.push(await peakMemory(command));
  const row = (what: string, i: number, cost: { ms: number; cpuMs: number }, wanted = '', is = ''): string[] => [
    what,
    ms(cost.ms),
    ratio(cost.ms, theirs!.ms),
    ms(cost.cpuMs),
    mb(memory[i]!),
    i === 0 || i === 2 ? '' : rate(relocations, cost.ms),
    wanted,
    is,
  ];
  return [
    `${name}: ${n(count)} modules, ${mb(kernel.bytes / 1e6)}, ${n(relocations)} relocations.`,
    table(
      ['program', 'wall', 'of depmod', 'CPU', 'peak memory', 'relocations', 'wanted', 'held'],
      [
        row('depmod', 0, theirs!),
        row(
          `komulator check --jobs ${JOBS}`,
          1,
          ours!,
          `at most 1.0 ×, ${MEMORY} MB`,
          held(ours!.ms <= theirs!.ms && memory[1]! <= MEMORY),
        ),
        row(`Node reads the files, ${JOBS} threads, nothing else`, 2, floor!),
        row('load_module() step by step for each module, one core', 3, steps!),
      ],
    ),
    [
      `What bounds it: ${ms(floor!.ms)} of wall clock and ${ms(floor!.cpuMs)} of CPU go by in a Node that starts, lists`,
      `the tree and reads it on ${JOBS} threads. The rest, ${ms(ours!.cpuMs - floor!.cpuMs)} of CPU, is compiling the check`,
      'in each thread while it runs, and what is checked.',
    ].join('\n'),
  ];
}

async function numbers(tree: Tree, depmod: string): Promise<string[]> {
  const rows: string[][] = [];
  for (const count of COUNTS) {
    log(`${count} modules`);
    const some = await subtree(tree, count);
    try {
      const check = checkOf(some.modulesDir, tree.debian.symvers);
      const { relocations } = checked(check);
      const [theirs, ours] = quickest(RUNS, [[depmod, ['-n', '-b', some.base, tree.debian.version]], check]);
      rows.push([
        n(some.modules),
        mb(some.megabytes),
        n(relocations),
        ms(ours!.ms),
        ms(theirs!.ms),
        ratio(ours!.ms, theirs!.ms),
        ms(ours!.cpuMs),
        `${((ours!.cpuMs * 1000) / some.modules).toFixed(0)} µs`,
        mb(await peakMemory(check)),
        rate(relocations, ours!.ms),
      ]);
    } finally {
      await rm(some.base, { recursive: true });
    }
  }
  const head = ['modules', 'size', 'relocations', 'check', 'depmod', 'ratio', 'CPU', 'CPU a module', 'peak memory'];
  return [table([...head, 'relocations'], rows)];
}

async function packed(): Promise<string[]> {
  const rows: string[][] = [];
  for (const name of ['arm64', 'riscv64']) {
    log(`${name}, packed`);
    const kernel = await debianKernel(name, { log });
    const check = checkOf(kernel.modulesDir, kernel.symvers);
    const { modules: count, relocations } = checked(check);
    const find = `find "$0" -name '*.ko.xz' -print0 | xargs -0 -n 200 -P ${JOBS} xz -dc`;
    const xz: Command = ['sh', ['-c', find, kernel.modulesDir]];
    const [theirs, ours] = quickest(FEW_RUNS, [xz, check]);
    const megabytes = await peakMemory(check);
    rows.push([
      name,
      n(count),
      n(relocations),
      ms(ours!.ms),
      ms(theirs!.ms),
      ratio(ours!.ms, theirs!.ms),
      ms(ours!.cpuMs),
      ms(theirs!.cpuMs),
      ratio(ours!.cpuMs, theirs!.cpuMs),
      mb(megabytes),
      `at most 1.5 ×, ${MEMORY} MB`,
      held(ours!.ms <= 1.5 * theirs!.ms && megabytes <= MEMORY),
    ]);
  }
  const head = ['tree', 'modules', 'relocations', 'check', `xz -dc on ${JOBS} cores`, 'ratio', 'CPU', 'of xz', 'ratio'];
  return [table([...head, 'peak memory', 'wanted', 'held'], rows)];
}

async function modules(tree: Tree, linkers: readonly Linker[]): Promise<string[]> {
  log('amdgpu');
  const module = tree.modules.get('amdgpu');
  if (module === undefined) throw new Unavailable(`${tree.debian.version} has no amdgpu`);
  const bench = await Bench.open(tree, module);
  const { relocations, milliseconds } = warm(
    3,
    () => bench.relocate(),
    (result) => result.milliseconds,
  );
  const loadMs = warm(
    3,
    () => bench.load(),
    (time) => time,
  );
  const fast = relocations / milliseconds / 1000 >= 10;
  const rows = [
    [
      `amdgpu.ko, apply_relocations() alone: ${n(relocations)} relocations, warm, one core`,
      ms(milliseconds),
      '',
      rate(relocations, milliseconds),
      'at least 10 M/s',
      held(fast),
    ],
    ...linkers.map(({ name, program, args }) => {
      const [theirs] = quickest(5, [[program, [...args, module.path]]]);
      return besides('amdgpu.ko, the whole load with every check, warm', loadMs, name, theirs!.ms);
    }),
  ];
  log(`${MODULES} modules`);
  const all = [...tree.modules.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const theirs = linkers.map(() => 0);
  let measured = 0;
  let ours = 0;
  for (let i = 0; i < MODULES; i++) {
    const one = all[Math.floor((i * all.length) / MODULES)];
    // What another one needed is loaded already.
    if (one === undefined || tree.kernel.findModule(one.name) !== undefined) continue;
    const each = await Bench.open(tree, one);
    ours += warm(
      0.02,
      () => each.load(),
      (time) => time,
    );
    const times = quickest(
      3,
      linkers.map(({ program, args }) => [program, [...args, one.path]]),
    );
    for (const [k, time] of times.entries()) theirs[k] = (theirs[k] ?? 0) + time.ms;
    measured++;
  }
  const what = `one of ${measured} modules spread over the tree, on average, warm`;
  for (const [k, { name }] of linkers.entries())
    rows.push(besides(what, ours / measured, name, (theirs[k] ?? 0) / measured));
  return [table(['measured', 'komulator', 'beside it', 'ratio', 'wanted', 'held'], rows)];
}

const besides = (what: string, ours: number, name: string, theirs: number): string[] => [
  what,
  ms(ours),
  `${name} -r ${ms(theirs)}`,
  ratio(ours, theirs),
  'below 1.0 ×',
  held(ours < theirs),
];

async function sizes(tree: Tree, linkers: readonly Linker[]): Promise<string[]> {
  log('modules of all sizes');
  const rows: string[][] = [];
  for (const { module, size } of ofSizes(tree, SIZES)) {
    if (tree.kernel.findModule(module.name) !== undefined) continue;
    const bench = await Bench.open(tree, module);
    const { relocations, milliseconds } = warm(
      0.3,
      () => bench.relocate(),
      (result) => result.milliseconds,
    );
    const loadMs = warm(
      0.3,
      () => bench.load(),
      (time) => time,
    );
    const times = quickest(
      5,
      linkers.map(({ program, args }) => [program, [...args, module.path]]),
    );
    rows.push([
      `${module.name}.ko`,
      mb(size / 1e6),
      n(relocations),
      ms(loadMs),
      ...times.map((time) => ms(time.ms)),
      `${((loadMs * 1e6) / size).toFixed(2)} ns`,
      rate(relocations, milliseconds),
    ]);
  }
  const head = ['module', 'size', 'relocations', 'the whole load, warm', ...linkers.map(({ name }) => `${name} -r`)];
  return [table([...head, 'a byte', 'apply_relocations()'], rows)];
}

const version = (program: string): string =>
  execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';

try {
  process.exitCode = await main(process.argv.includes('--write'));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  console.error(`SKIPPED: ${error.message}`);
  process.exitCode = 3;
}
