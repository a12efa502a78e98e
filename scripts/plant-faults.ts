// Plants faults in copies of a kernel's relocation handlers and asks `port verify` to find them: mutation testing of the
// generated cases. Each fault is one small change to one line. What no case finds is listed: it may make no difference.
//   node scripts/plant-faults.ts KERNEL-TREE ARCH [FAULTS [SEED]]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openPort } from '../cli/port/open.ts';
import { processIo } from '../cli/io.ts';
import { BuildError, buildPort, startPort } from '../oracle/build.ts';
import { ports } from '../oracle/ports.ts';
import { verify } from '../oracle/verify.ts';

const [tree, arch, wanted = '10', start = '1'] = process.argv.slice(2);
const spec = ports[arch ?? ''];
if (tree === undefined || arch === undefined || spec === undefined) {
  console.error('usage: plant-faults KERNEL-TREE ARCH [FAULTS [SEED]]');
  process.exit(2);
}

const next = (digits: string, by: number): string =>
  digits.startsWith('0x') ? `0x${(BigInt(digits) + BigInt(by)).toString(16)}` : String(BigInt(digits) + BigInt(by));

/** What can go wrong in a line of C, with the part that it goes wrong in. */
const mistakes: readonly (readonly [name: string, at: RegExp, wrong: (...found: string[]) => string])[] = [
  ['range off by one', /(?<=[<>]=? *)(0x[0-9a-f]+|\d+)\b/, (_, n) => next(n, 1)],
  ['range off by one', /(?<= )<(?= )/, () => '<='],
  ['range off by one', /(?<= )>=(?= )/, () => '>'],
  ['wrong mask', /(?<=& *~?)(0x[0-9a-f]+)/, (_, n) => next(n, -1)],
  ['wrong mask', /(?<=& *~?)(0x[0-9a-f]+)/, (_, n) => `0x${(BigInt(n) >> 1n).toString(16)}`],
  ['shifted too far', /(?<=>> *)(\d+)\b/, (_, n) => next(n, 1)],
  ['shifted too far', /(?<=<< *)(\d+)\b/, (_, n) => next(n, 1)],
  ['no sign extension', /\(s(8|16|32|64)\)/, (_, n) => `(u${n})`],
  ['PC forgotten', / - \(?(?:Elf_Addr\)|\(?unsigned long\)|\(?u(?:32|64)\))?(location|loc|place)\b\)?/, () => ''],
  ['addend forgotten', / \+ rel(?:a?)(?:\[i\]\.|->)r_addend/, () => ''],
  ['PLT counted wrong', /(\w*plts?\w*)\+\+/, (_, n) => `(${n} += 0)`],
  ['GOT counted wrong', /(\w*gots?\w*)\+\+/, (_, n) => `(${n} += 0)`],
  ['sign turned', /(?<=\w )-(?= \w)/, () => '+'],
  ['old bits lost', / \|= /, () => ' = '],
];

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly text: string;
  readonly source: string;
}

const withoutComments = (line: string): string => line.replace(/\/\*.*?(\*\/|$)/g, '').trim();

/** Every fault that these files can have. */
function faultsOf(file: string): Fault[] {
  const lines = readFileSync(join(tree!, file), 'utf8').split('\n');
  return lines.flatMap((line, i) => {
    if (/^\s*(\*|\/\*|\/\/|#|pr_|printk)|for \(/.test(line)) return [];
    return mistakes.flatMap(([name, at, wrong]) => {
      const text = line.replace(at, wrong);
      if (withoutComments(text) === withoutComments(line)) return [];
      const source = [...lines.slice(0, i), text, ...lines.slice(i + 1)].join('\n');
      return [{ file, line: i + 1, name, text: text.trim(), source }];
    });
  });
}

/** The same order for the same seed. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  const keys = list.map(
    (item, i) => [Math.imul(i + 1, 0x9e37_79b1 ^ Math.imul(seed, 0x85eb_ca6b)) >>> 0, item] as const,
  );
  return keys.toSorted(([a], [b]) => a - b).map(([, item]) => item);
}

const folder = mkdtempSync(join(tmpdir(), 'komulator-faults-'));
const { range } = await openPort({ arch, kernelTree: tree }, processIo());
const all = shuffled(
  spec.sources.filter((file) => /\/kernel\/module[^/]*\.c$/.test(file)).flatMap(faultsOf),
  Number(start),
);
let [found, large, slow] = [0, 0, 0];
const survivors: Fault[] = [];
for (const fault of all) {
  if (found + survivors.length >= Number(wanted)) break;
  const path = join(folder, basename(fault.file));
  writeFileSync(path, fault.source);
  const where = `${fault.file}:${fault.line}  ${fault.name}`;
  try {
    const port = startPort(await buildPort({ arch, kernelTree: tree, replace: { [fault.file]: path } }), {
      timeLimit: 2000,
    });
    const started = performance.now();
    const { disagreement: d, runs } = await verify(port, { ...range, runs: 10_000, seed: 1, shrinkTime: 20_000 });
    await port.close();
    const seconds = (performance.now() - started) / 1000;
    if (d === undefined) survivors.push(fault);
    else {
      found++;
      if (d.relocations.length > 2) large++;
      if (seconds > 60) slow++;
    }
    const verdict =
      d === undefined ? `not in ${runs} cases: ${fault.text}` : `case ${runs}, ${d.relocations.length} relocations`;
    console.log(`${d === undefined ? 'lives' : 'found'}  ${seconds.toFixed(1).padStart(5)} s  ${where}: ${verdict}`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
  }
}
rmSync(folder, { recursive: true, force: true });
console.log(
  `${arch}: ${found} found, ${survivors.length} not; ${large} with more than two relocations, ${slow} after more than 60 s`,
);
