// The main job on bundled modules: for every architecture a kernel of its own loads small real modules, built by Debian's
// compilers, and each must end as fixtures/modules.json says: LIVE, or refused for its own reason. Shown by `npm start`;
// exit 1 when one ends otherwise.
import { existsSync, readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { type Arch, archOf, headerFacts } from '../arch/index.ts';
import { arches, insmod, Kernel, LoadError, parseSymvers, parseSystemMap, withAddresses } from '../loader/index.ts';

interface Ending {
  readonly errno?: string;
}
interface Bundled extends Ending {
  readonly module: string;
  readonly shows: string;
  readonly until?: string;
  readonly except?: Readonly<Record<string, Ending>>;
}
interface Fictional {
  readonly endian: 'little' | 'big';
  readonly vermagic: Readonly<Record<string, string>>;
  readonly structModule: { readonly size: number };
  readonly config: Readonly<Record<string, boolean>>;
  readonly symvers: string;
  readonly symbols: string;
}

const VERSION = '7.2';
const read = (path: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../fixtures/${path}`, import.meta.url)));
const json = <T>(path: string): Readonly<Record<string, T>> =>
  JSON.parse(new TextDecoder().decode(read(path))) as Record<string, T>;
const machines = json<Fictional>('kernels.json');
const bundled = Object.entries(json<Bundled>('modules.json')).filter(([, { until }]) => until === undefined);

const loaded: string[] = [];
const notYet: string[] = [];
let [loads, refusals, otherwise] = [0, 0, 0];
const began = performance.now();

for (const [machine, fictional] of Object.entries(machines)) {
  const at = (name: string): string => `ko/${machine}/${name}.ko`;
  const files = bundled.filter(([name]) => existsSync(new URL(`../fixtures/${at(name)}`, import.meta.url)));
  const header = files[0] === undefined ? undefined : headerFacts(read(at(files[0][0])));
  const arch = header && archOf(header, arches);
  if (arch === undefined) {
    if (files.length > 0) notYet.push(machine);
    continue;
  }
  loaded.push(machine);
  const kernel = boot(arch, fictional);
  console.log(`\n${styleText('bold', machine)} (${kernel.arch.name} ${VERSION})`);

  for (const [name, module] of files) {
    // The same module in another make wants a kernel that does not have it yet.
    const its = kernel.findModule(module.module) === undefined ? kernel : boot(arch, fictional);
    const { errno } = module.except?.[`${machine} ${VERSION}`] ?? module.except?.[machine] ?? module;
    const { outcome, told } = load(its, read(at(name)));
    loads++;
    if (outcome === (errno ?? 'LIVE')) {
      if (errno !== undefined) refusals++;
      const word = errno === undefined ? styleText('green', 'LIVE') : styleText('yellow', 'refused');
      console.log(
        `  ${name.padEnd(14)}${word}${errno === undefined ? '    ' : ' '}${errno === undefined ? told : `as it should be, ${told}`}`,
      );
    } else {
      otherwise++;
      console.log(`  ${name.padEnd(14)}${styleText('red', outcome)} where ${errno ?? 'LIVE'} was expected: ${told}`);
    }
  }
}

const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(
  `\n${loads} modules on ${loaded.length} machines in ${seconds} s: ${loads - refusals - otherwise} LIVE, ${refusals} refused as they should be, ${otherwise} otherwise.`,
);
if (notYet.length > 0) console.log(`Not yet: ${notYet.join(', ')}.`);
if (loads === 0 || otherwise > 0) process.exitCode = 1;

/** The fictional kernel that the modules were built for. */
function boot(arch: Arch, { endian, vermagic, structModule, config, symvers, symbols }: Fictional): Kernel {
  const exports = withAddresses(parseSymvers(read(symvers)), parseSystemMap(read(symbols)));
  return new Kernel({
    arch,
    config,
    version: VERSION,
    order: endian,
    vermagic: vermagic[VERSION]!,
    structModuleSize: structModule.size,
    exports: exports.filter(({ owner }) => owner === 'vmlinux'),
  });
}

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
    return { outcome: error.errno, told: `${error.errno}: ${error.log.at(-1) ?? error.reason}` };
  }
}
