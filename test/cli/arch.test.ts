import test from 'ava';
import { handledTypes } from '../../cli/arch.ts';
import { arches } from '../../arch/index.ts';
import { komulator } from './captured.ts';

interface Arches {
  readonly arches: readonly {
    readonly name: string;
    readonly types: Readonly<Record<string, number>>;
    readonly relocations: readonly {
      readonly type: number;
      readonly name: string;
      readonly action: string;
      readonly formula: string | null;
      readonly kernels: readonly string[];
      readonly checks: readonly { readonly min: string | null; readonly max: string | null }[];
      readonly field: { readonly mask: string } | null;
    }[];
  }[];
}

/** KERNEL-FACTS E.23: distinct types that are applied or deliberately ignored, in 6.1, 6.12 and 7.2. */
const FACTS: Readonly<Record<string, readonly [number, number, number]>> = {
  x86_64: [7, 7, 7],
  i386: [3, 3, 3],
  arm64: [39, 39, 39],
  riscv64: [20, 33, 33],
};

for (const [name, counts] of Object.entries(FACTS)) {
  test(`${name} handles as many types as its kernels do`, async (t) => {
    const arch = arches.find((a) => a.name === name)!;
    t.deepEqual([handledTypes(arch, '6.1'), handledTypes(arch, '6.12'), handledTypes(arch, '7.2')], [...counts]);
    const { code, out } = await komulator('arch', name, '--json');
    t.is(code, 0);
    const [json] = (JSON.parse(out) as Arches).arches;
    t.deepEqual(Object.values(json?.types ?? {}), [...counts]);
  });
}

test('the list has every architecture of the registry', async (t) => {
  const { code, out } = await komulator('arch');
  t.is(code, 0);
  for (const { name } of arches) t.regex(out, new RegExp(`^${name} `, 'm'));
  const json = JSON.parse((await komulator('arch', '--json')).out) as Arches;
  t.deepEqual(
    json.arches.map(({ name }) => name),
    arches.map(({ name }) => name),
  );
});

test('a row has formula, field, range and kernels', async (t) => {
  const [x86] = (JSON.parse((await komulator('arch', 'amd64', '--json')).out) as Arches).arches;
  const row = x86?.relocations.find(({ name }) => name === 'R_X86_64_32S');
  t.like(row, { type: 11, action: 'apply', formula: 'S + A', kernels: ['6.1', '6.12', '7.2'] });
  t.like(row?.checks[0], { min: '-0x80000000', max: '0x7fffffff' });
  t.is(row?.field?.mask, '0xffffffff');
  const { out } = await komulator('arch', 'x86_64');
  t.regex(out, /^11 +R_X86_64_32S +S \+ A +32-bit word word32 +signed -0x80000000 … 0x7fffffff$/m);
  t.regex(out, /^2 +R_X86_64_PC32 +S \+ A - P +32-bit word word32 +not checked$/m);
});

test('--kernel leaves out what that kernel does not have', async (t) => {
  const names = async (version: string): Promise<string> =>
    (await komulator('arch', 'riscv64', '--kernel', version)).out;
  t.notRegex(await names('6.1'), /R_RISCV_SET_ULEB128/);
  t.regex(await names('7.2'), /R_RISCV_SET_ULEB128/);
  t.regex(await names('7.2'), /R_RISCV_ALIGN +refused/);
});

test('a name is understood as uname and Debian write it, in any case', async (t) => {
  for (const [word, name] of [
    ['X86', 'x86_64'],
    ['AArch64', 'arm64'],
    ['loong64', 'loongarch64'],
  ] as const) {
    const { code, out } = await komulator('arch', word);
    t.is(code, 0);
    t.true(out.startsWith(`${name}: `), out.slice(0, 40));
  }
  const { code, err } = await komulator('arch', 'aarhc64');
  t.is(code, 2);
  t.regex(err, /unknown architecture 'aarhc64'; did you mean aarch64/);
});
