// The main job on bundled modules: for every architecture a kernel of its own loads small real modules, built by Debian's
// compilers, and each must end as it should. Shown by `npm start`; exit 1 when one ends otherwise.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import { arches, insmod, Kernel, LoadError, parseSymvers, parseSystemMap, withAddresses } from '../loader/index.ts';

/** How each module is to end on a 7.2 kernel, in the order of loading: what others use comes first. */
const EXPECTED: Readonly<Record<string, string>> = {
  hello: 'LIVE',
  params: 'LIVE',
  percpu: 'LIVE',
  extable: 'LIVE',
  weak: 'LIVE',
  sections: 'LIVE',
  far: 'LIVE',
  exporter: 'LIVE',
  user: 'LIVE',
  missing: 'ENOENT',
  'bad-crc': 'EINVAL',
  'no-namespace': 'EINVAL',
  proprietary: 'ENOENT',
};

type Machine = { readonly e_machine: number; readonly elfClass: 32 | 64; readonly endian: 'little' | 'big' };
const machines = JSON.parse(readFileSync(new URL('../fixtures/kernels.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Machine>
>;

let otherwise = 0;
let loads = 0;
const began = performance.now();
for (const [machine, { e_machine, elfClass, endian }] of Object.entries(machines)) {
  const arch = arches.find(
    (a) => a.e_machine.includes(e_machine) && a.is64 === (elfClass === 64) && a.orders.includes(endian),
  );
  const folder = fileURLToPath(new URL(`../fixtures/ko/${machine}/`, import.meta.url));
  const files = new Set(readdirSync(folder));
  if (!arch || !files.has('hello.ko')) continue;
  const exports = withAddresses(
    parseSymvers(readFileSync(`${folder}Module.symvers`)),
    parseSystemMap(readFileSync(`${folder}System.map`)),
  ).filter(({ owner }) => owner === 'vmlinux');
  const kernel = new Kernel({ arch, order: endian, version: '7.2', exports });
  console.log(`\n${styleText('bold', machine)}`);

  for (const [name, expected] of Object.entries(EXPECTED)) {
    if (!files.has(`${name}.ko`)) continue;
    const { outcome, told } = load(kernel, readFileSync(`${folder}${name}.ko`));
    loads++;
    if (outcome !== expected) otherwise++;
    const colour = outcome !== expected ? 'red' : outcome === 'LIVE' ? 'green' : 'yellow';
    console.log(`  ${name.padEnd(13)}${styleText(colour, outcome.padEnd(8))}${told}`);
  }
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(
  `\n${loads} modules in ${seconds} s; ${otherwise === 0 ? 'each ended as it should' : `${otherwise} ended otherwise than they should`}`,
);
if (loads === 0 || otherwise > 0) process.exitCode = 1;

function load(kernel: Kernel, file: Uint8Array): { readonly outcome: string; readonly told: string } {
  try {
    const m = insmod(kernel, file);
    const text = m.sections.find(({ name, sh_size }) => /^\.(init\.)?text/.test(name) && sh_size > 0);
    const used = [...m.targets].map(({ name }) => `, uses ${name}`).join('');
    return {
      outcome: m.state,
      told: `${text?.name ?? 'module'} at 0x${(text?.sh_addr ?? 0n).toString(16)}, ${m.size} bytes${used}`,
    };
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return { outcome: error.errno, told: error.log.at(-1) ?? error.reason };
  }
}
