import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import {
  arches,
  insmod,
  Kernel,
  LoadError,
  type Module,
  parseSymvers,
  parseSystemMap,
  withAddresses,
} from '../../loader/index.ts';

interface Machine {
  readonly e_machine: number;
  readonly elfClass: 32 | 64;
  readonly endian: 'little' | 'big';
}

const read = (path: string): Uint8Array => readFileSync(new URL(`../../fixtures/${path}`, import.meta.url));
const machines = JSON.parse(new TextDecoder().decode(read('kernels.json'))) as Record<string, Machine>;

/** Loads the bundled params.ko of a machine with these arguments. */
function load(
  machine: string,
  args: string,
  file = read(`ko/${machine}/params.ko`),
): { m: Module; kernel: Kernel } | undefined {
  const { e_machine, elfClass, endian } = machines[machine] ?? {};
  const arch = arches.find(
    (a) => a.e_machine.includes(e_machine ?? -1) && a.is64 === (elfClass === 64) && a.orders.some((o) => o === endian),
  );
  if (arch === undefined || endian === undefined) return undefined;
  const symbols = parseSystemMap(read(`ko/${machine}/System.map`));
  const exports = withAddresses(parseSymvers(read(`ko/${machine}/Module.symvers`)), symbols);
  const kernel = new Kernel({
    arch,
    order: endian,
    version: '7.2',
    exports: exports.filter(({ owner }) => owner === 'vmlinux'),
  });
  return { m: insmod(kernel, file, { params: args }), kernel };
}

/** The final bytes of a variable. */
function variable(m: Module, name: string, size: number): number[] {
  const { symtab } = m;
  if (symtab === undefined) return [];
  for (let i = 1; i < symtab.count; i++) {
    if (symtab.name(i) !== name) continue;
    const section = m.sections[symtab.st_shndx(i)];
    const at = Number(symtab.st_value(i) - (section?.sh_addr ?? 0n));
    return [...(section?.bytes.subarray(at, at + size) ?? [])];
  }
  return [];
}

for (const [machine, { endian }] of Object.entries(machines)) {
  if (!existsSync(new URL(`../../fixtures/ko/${machine}/params.ko`, import.meta.url))) continue;
  const probe = load(machine, '');
  if (probe === undefined) continue;

  test(`parameters reach the memory of a real module: ${machine}`, (t) => {
    const { m } = load(machine, 'count=-2 quiet whom="a b" limits=7,0x100 label=short') ?? probe;
    t.is(m.state, 'LIVE');
    t.deepEqual(
      m.params,
      new Map<string, bigint | boolean | string | bigint[]>([
        ['count', -2n],
        ['quiet', true],
        ['whom', 'a b'],
        ['limits', [7n, 256n]],
        ['label', 'short'],
      ]),
    );
    const order = (...bytes: number[]) => (endian === 'little' ? bytes : bytes.toReversed());
    t.deepEqual(variable(m, 'count', 4), order(0xfe, 0xff, 0xff, 0xff));
    t.deepEqual(variable(m, 'quiet', 1), [1]);
    const rest = [...order(3, 0, 0, 0), ...order(4, 0, 0, 0)];
    t.deepEqual(variable(m, 'limits', 16), [...order(7, 0, 0, 0), ...order(0, 1, 0, 0), ...rest]);
    t.deepEqual(variable(m, 'limits_given', 4), order(2, 0, 0, 0));
    t.deepEqual(variable(m, 'label', 6), [...new TextEncoder().encode('short'), 0]);
  });
}

test('a bad parameter refuses the module with the last error, every line logged', (t) => {
  const error = t.throws(() => load('x86_64', 'count=x limits=1,2,3,4,5 label=0123456789abcdef nosuch=1'), {
    instanceOf: LoadError,
  });
  t.is(error?.errno, 'ENOSPC');
  t.is(error?.check, 'C97');
});

test('the log of bad and unknown parameters', (t) => {
  const good = load('x86_64', 'nosuch=1 -- rest');
  t.deepEqual(good?.m.lines.slice(-2), [
    "params: unknown parameter 'nosuch' ignored",
    "params: parameters 'rest' after `--' ignored",
  ]);
});

test('two parameters of one name are one file too many for sysfs', (t) => {
  const file = Buffer.from(read('ko/x86_64/params.ko'));
  const [name, other] = ['\0quiet\0', '\0count\0'];
  let renamed = 0;
  for (let at = file.indexOf(name); at >= 0; at = file.indexOf(name, at + 1), renamed++) file.write(other, at);
  t.true(renamed > 0);
  const error = t.throws(() => load('x86_64', '', file), { instanceOf: LoadError });
  t.is(error?.errno, 'EEXIST');
  t.is(error?.check, 'C100');
  t.is(error?.log.at(-1), "sysfs: cannot create duplicate filename '/module/params/parameters/count'");
});
