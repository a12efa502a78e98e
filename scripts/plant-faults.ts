// Plants faults in copies of a kernel's relocation handlers and asks `port verify` to find them: mutation testing of the
// generated cases. Each fault is one small change to one line, by a person's mistake; ten to an architecture, spread over
// kinds and places, the same ones for the same seed. One that compiles to the same code, or that faults/harmless.ts tells
// the harmlessness of, gives its place to another.
// With --resume, what docs/planted-faults.md says was found is not looked for again.
//   node scripts/plant-faults.ts [KERNEL-TREE] [--only ARCH…] [--faults N] [--seed N] [--write] [--resume]
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openPort } from '../cli/port/open.ts';
import { processIo } from '../cli/io.ts';
import { type Port, startPort } from '../oracle/build.ts';
import { ports } from '../oracle/ports.ts';
import { type Verdict, verify } from '../oracle/verify.ts';
import type { CaseRange } from '../testing/case-range.ts';
import { harmless, type Harmless, notRun } from './faults/harmless.ts';
import { type Planted, readTable, writeTable } from './faults/table.ts';
import { QuickBuild } from './faults/quick-build.ts';
import { Choice, type Fault } from './faults/sources.ts';

/** Milliseconds in which a fault has to be found, and cases in which it has to be. */
const [LIMIT, RUNS] = [60_000, 20_000];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    faults: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    write: { type: 'boolean', default: false },
    resume: { type: 'boolean', default: false },
  },
});
const cacheFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'komulator');
const tree = positionals[0] ?? join(cacheFolder, 'sources', '7.2');
const wanted = Number(options.faults);
const page = join(import.meta.dirname, '..', 'docs', 'planted-faults.md');

/** Built in a folder of its own, but configured only once for all. */
const home = mkdtempSync(join(cacheFolder, 'faults-'));
symlinkSync(join(cacheFolder, 'ports', 'build'), join(home, 'build'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

async function ask(
  port: Port,
  range: CaseRange,
  runs: number,
): Promise<{ verdict: Verdict | undefined; seconds: number }> {
  const started = performance.now();
  const child = startPort(port, { timeLimit: 400 });
  const late = new Error('late');
  const progress = (): void => {
    if (performance.now() - started > LIMIT) throw late;
  };
  try {
    const verdict = await verify(child, { ...range, runs, seed: 1, shrinkTime: 20_000, progress });
    return { verdict, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    if (error !== late) throw error;
    return { verdict: undefined, seconds: LIMIT / 1000 };
  } finally {
    await child.close();
  }
}

const explained = (fault: Fault, arch: string): Harmless | undefined =>
  harmless.find(
    (x) =>
      x.file === fault.file &&
      x.function === fault.function &&
      (x.line ?? fault.line) <= fault.line &&
      fault.line <= (x.to ?? x.line ?? fault.line) &&
      (x.name ?? fault.name) === fault.name &&
      (x.nth ?? fault.nth) === fault.nth &&
      (x.arches === undefined || x.arches.includes(arch)),
  );

/** `known`: what was found before, and need not be again. */
async function plant(arch: string, known: readonly Planted[]): Promise<Planted[]> {
  const { range } = await openPort({ arch, kernelTree: tree }, processIo());
  const files = ports[arch]!.sources.map((file) => file.replace(/\?.*/, '')).filter((file) =>
    /\/kernel\/module[^/]*\.c$/.test(file),
  );
  // Instructions and data are in the machine's own order but on BE8.
  const swaps = arch === 'armeb';
  const usable = ({ name, text, function: place }: Fault): boolean =>
    !notRun.test(place) && !/sh_(addralign|type|flags)\b.*[^=!]=[^=]/.test(text) && (swaps || name !== 'no byte swap');
  const choice = new Choice(tree, files, `${options.seed} ${arch}`, usable);
  const quick = await QuickBuild.of(arch, tree, home);
  const originals = new Map<string, string>();
  const planted: Planted[] = [];
  const explainedNow = new Set<Harmless>();
  let same = 0;
  const lives = (): number => planted.filter(({ why }) => why === undefined).length;
  for (let fault = choice.next(); fault !== undefined && lives() < wanted; fault = choice.next()) {
    const { file, line, name } = fault;
    const before = known.find(
      (x) => (x.found?.relocations ?? 3) <= 2 && x.file === file && x.line === line && x.name === name,
    );
    if (before !== undefined) {
      choice.take(fault);
      planted.push(before);
      continue;
    }
    let original = originals.get(file);
    if (original === undefined) {
      const untouched = await quick.build(file, readFileSync(join(tree, file), 'utf8'));
      if (untouched === undefined) throw new Error(`${file} does not build`);
      // Nothing is found by chance: without a fault there is no disagreement.
      const { verdict } = await ask(untouched.port, range, 500);
      if (verdict?.disagreement !== undefined) throw new Error(`${arch} disagrees without a fault`);
      originals.set(file, (original = untouched.object));
    }
    const mutant = await quick.build(file, fault.source);
    if (mutant === undefined) continue;
    const differs = mutant.object !== original;
    const reason = differs ? explained(fault, arch) : undefined;
    if (!differs || reason !== undefined) {
      if (!differs) same++;
      else if (!explainedNow.has(reason!)) {
        explainedNow.add(reason!);
        planted.push({ arch, name, file, function: fault.function, line, why: reason!.why });
      }
    } else {
      const { verdict, seconds } = await ask(mutant.port, range, RUNS);
      const d = verdict?.disagreement;
      choice.take(fault);
      const found = d && { seconds, cases: verdict.runs, relocations: d.relocations.length };
      planted.push({ arch, name, file, function: fault.function, line, ...(found !== undefined && { found }) });
      const end =
        found === undefined
          ? `${verdict?.runs ?? 'too few'} cases: ${fault.text}`
          : `case ${found.cases}, ${found.relocations} relocations`;
      const mark = found === undefined ? 'lives' : found.relocations > 2 || seconds > 60 ? 'LARGE' : 'found';
      console.log(
        `${mark} ${seconds.toFixed(1).padStart(5)} s  ${arch} ${file}:${line} ${fault.function}  ${name}: ${end}`,
      );
    }
  }
  console.log(`${arch}: ${lives()} planted, ${choice.size} more possible, ${same} made no difference to the object`);
  return planted;
}

const chosen =
  options.only ?? Object.keys(ports).filter((arch) => !['arm-thumb', 'armeb', 'ppc64le-pcrel'].includes(arch));
let all = readTable(page);
let [passed, failed] = [0, 0];
for (const arch of chosen) {
  if (ports[arch] === undefined) throw new Error(`no port named ${arch}`);
  const before = options.resume ? all.filter((x) => x.arch === arch) : [];
  const done = before.filter((x) => x.found !== undefined && x.found.relocations <= 2).length >= wanted;
  const mine = done ? before : await plant(arch, before);
  all = [...all.filter((x) => x.arch !== arch), ...mine];
  for (const { why, found } of mine) {
    if (why !== undefined) continue;
    if (found !== undefined && found.relocations <= 2 && found.seconds <= 60) passed++;
    else failed++;
  }
  if (options.write) writeTable(page, all, Object.keys(ports));
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
