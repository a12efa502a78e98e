/**
 * What komulator costs, next to the programs it must stand beside, measured in the same run on the same machine.
 *
 *     npm run bench              # a table
 *     npm run bench -- --write   # and docs/performance.md
 *
 * Of several runs the quickest counts on both sides. Exit 3: a kernel or a program cannot be had.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../scripts/debian/cache.ts';
import { debianKernel } from '../scripts/debian/fetch.ts';
import { debianProgram } from '../scripts/debian/tools.ts';
import { openTree } from '../scripts/kernels/tree.ts';
import { Bench, warm } from './module.ts';
import { quickest } from './processes.ts';

/** One line of the table: what was measured, the yardstick, and whether DESIGN.md's number is held. */
interface Row {
  readonly what: string;
  readonly ours: string;
  readonly theirs: string;
  readonly ratio: string;
  readonly wanted: string;
  readonly held: boolean | undefined;
}

/** Modules of the per-module comparison, spread over the tree. */
const MODULES = 40;

const root = join(import.meta.dirname, '..');

async function main(write: boolean): Promise<number> {
  const log = (line: string): void => console.error(line);
  const kernel = await debianKernel('amd64', { log });
  const depmod = await debianProgram('kmod', 'depmod', log);
  const lld = await debianProgram('lld', 'ld.lld', log);
  const mold = await debianProgram('mold', 'mold', log);
  const out = await mkdtemp(join(tmpdir(), 'komulator-bench-'));
  const rows: Row[] = [];

  try {
    log('the whole tree');
    const depmodMs = quickest(depmod, ['-n', '-b', kernel.dir, kernel.version], 5);
    const node = [process.execPath, [join(root, 'bench/load-tree.ts'), 'amd64']] as const;
    const processMs = quickest(...node, 3);
    const tree = JSON.parse(execFileSync(...node, { encoding: 'utf8' })) as TreeResult;
    const perModule = `${count(tree.modules)} modules, ${count(tree.relocations)} relocations`;
    rows.push({
      what: `${kernel.name} tree as a whole process on one core: ${perModule}`,
      ours: ms(processMs),
      theirs: `depmod ${ms(depmodMs)}`,
      ratio: ratio(processMs, depmodMs),
      wanted: '',
      held: undefined,
    });
    const check = checkCommand(kernel.modulesDir, kernel.symvers);
    if (check !== undefined) {
      const checkMs = quickest(process.execPath, check, 3);
      rows.push({
        what: `the same by \`komulator check --jobs 2\``,
        ours: ms(checkMs),
        theirs: `depmod ${ms(depmodMs)}`,
        ratio: ratio(checkMs, depmodMs),
        wanted: 'at most 1.0 ×',
        held: checkMs <= depmodMs,
      });
    }
    const megabytes = tree.peakKilobytes / 1024;
    rows.push({
      what: 'peak memory of the tree',
      ours: `${megabytes.toFixed(0)} MB`,
      theirs: '',
      ratio: '',
      wanted: 'at most 250 MB',
      held: megabytes <= 250,
    });

    log('amdgpu');
    const opened = await openTree(kernel);
    const amdgpu = opened.modules.get('amdgpu');
    if (amdgpu === undefined) throw new Unavailable(`${kernel.version} has no amdgpu`);
    const bench = await Bench.open(opened, amdgpu);
    const relocate = warm(
      4,
      () => bench.relocate(),
      (r) => r.milliseconds,
    );
    const perSecond = relocate.relocations / relocate.milliseconds / 1000;
    rows.push({
      what: `amdgpu.ko, apply_relocations alone, warm, one core: ${count(relocate.relocations)} relocations in ${ms(relocate.milliseconds)}`,
      ours: `${perSecond.toFixed(1)} M/s`,
      theirs: '',
      ratio: '',
      wanted: 'at least 10 M/s',
      held: perSecond >= 10,
    });
    const loadMs = warm(
      4,
      () => bench.load(),
      (t) => t,
    );
    for (const [name, program] of [
      ['ld.lld', lld],
      ['mold', mold],
    ] as const) {
      const theirs = quickest(program, ['-r', '-o', join(out, 'module.o'), amdgpu.path], 5);
      rows.push({
        what: 'amdgpu.ko, the whole load with every check, warm',
        ours: ms(loadMs),
        theirs: `${name} -r ${ms(theirs)}`,
        ratio: ratio(loadMs, theirs),
        wanted: 'below 1.0 ×',
        held: loadMs < theirs,
      });
    }

    log(`${MODULES} modules`);
    const all = [...opened.modules.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const sample = Array.from({ length: MODULES }, (_, i) => all[Math.floor((i * all.length) / MODULES)]!);
    let ours = 0;
    for (const module of sample) {
      const one = await Bench.open(opened, module);
      // Dependencies of other modules may have brought it in.
      const loaded = opened.kernel.findModule(module.name);
      if (loaded === undefined)
        ours += warm(
          0.02,
          () => one.load(),
          (t) => t,
        );
    }
    const fresh = sample.filter(({ name }) => opened.kernel.findModule(name) === undefined);
    for (const [name, program] of [
      ['ld.lld', lld],
      ['mold', mold],
    ] as const) {
      const theirs = fresh.reduce(
        (sum, { path }) => sum + quickest(program, ['-r', '-o', join(out, 'module.o'), path], 3),
        0,
      );
      rows.push({
        what: `a module of ${fresh.length} spread over the tree, on average, warm`,
        ours: ms(ours / fresh.length),
        theirs: `${name} -r ${ms(theirs / fresh.length)}`,
        ratio: ratio(ours, theirs),
        wanted: 'below 1.0 ×',
        held: ours < theirs,
      });
    }
  } finally {
    await rm(out, { recursive: true });
  }

  const text = table(rows);
  console.log(text);
  if (write) {
    const programs = [kernel.depmod, version(lld), version(mold), `Node ${process.version}`].join('; ');
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`;
    const document = [
      '# Performance',
      '',
      '<!-- Written by `npm run bench -- --write`. -->',
      '',
      `Debian ${kernel.version}; ${programs}; ${machine}. Times are the quickest of several runs, all of one session.`,
      'The programs beside komulator are whole processes and do less: depmod reads symbol tables and no relocation,',
      '`ld -r` copies relocations and resolves none. Single modules are loaded by a process that is warm.',
      '',
      text,
    ];
    await writeFile(join(root, 'docs/performance.md'), `${document.join('\n')}\n`);
  }
  return 0;
}

interface TreeResult {
  readonly modules: number;
  readonly relocations: number;
  readonly milliseconds: number;
  readonly peakKilobytes: number;
}

/** Arguments for node, or undefined as long as there is no such command. */
function checkCommand(dir: string, symvers: string): readonly string[] | undefined {
  if (!existsSync(join(root, 'cli/check.ts'))) return undefined;
  return [join(root, 'cli/main.ts'), 'check', dir, '--symvers', symvers, '--vendor', 'debian', '--jobs', '2', '--json'];
}

function table(rows: readonly Row[]): string {
  const head = ['measured', 'komulator', 'beside it', 'ratio', 'wanted', 'held'];
  const cells = rows.map((row) => [row.what, row.ours, row.theirs, row.ratio, row.wanted, heldInWords(row.held)]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

const heldInWords = (held: boolean | undefined): string => (held === undefined ? '' : held ? 'yes' : 'NO');
const ms = (value: number): string => (value < 10 ? `${value.toFixed(2)} ms` : `${value.toFixed(0)} ms`);
const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)} ×`;
const count = (value: number): string => value.toLocaleString('en-US');
const version = (program: string): string =>
  execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';

try {
  process.exitCode = await main(process.argv.includes('--write'));
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  console.error(`SKIPPED: ${error.message}`);
  process.exitCode = 3;
}
