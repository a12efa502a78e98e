import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { drawField } from '../../cli/draw-field.ts';
import { inNumbers } from '../../cli/explain-relocation.ts';
import { steps } from '../../cli/story.ts';
import { ko, minimalModule, SHF_ALLOC, SHF_EXECINSTR } from '../../fixtures/build.ts';
import { insn32, word32 } from '../../relocs/field.ts';
import { kernelOf, komulator, module } from './captured.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-explain-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

interface Explained {
  readonly module: string;
  readonly state: string | null;
  readonly steps: readonly {
    readonly step: string;
    readonly text: readonly string[];
    readonly facts: Readonly<Record<string, unknown>>;
    readonly detail?: readonly string[];
  }[];
  readonly unwound: readonly { readonly label: string; readonly does: string | null }[];
  readonly relocation: Readonly<Record<string, unknown>> | null;
  readonly failed: { readonly errno: string; readonly step: string } | null;
}
async function explain(...args: readonly string[]): Promise<Explained & { readonly code: number }> {
  const { code, out } = await komulator('explain', ...args, '--json');
  return { code, ...(JSON.parse(out) as Explained) };
}

for (const [version, first] of [
  ['6.1', 'elf_validity_check'],
  ['7.2', 'elf_validity_cache_copy'],
] as const) {
  test(`every step of a ${version} load is told, in the order of the kernel`, async (t) => {
    const {
      code,
      state,
      steps: told,
    } = await explain(module('x86_64', 'hello'), ...kernelOf('x86_64'), '--kernel', version);
    t.is(code, 0);
    t.is(state, 'LIVE');
    const all = Object.keys(steps).filter((step) => !step.startsWith('elf_validity') || step === first);
    t.deepEqual(
      told.map(({ step }) => step),
      all,
    );
    for (const { step, text } of told) t.true(text.length > 0, step);
  });
}

test("the story has this module's numbers", async (t) => {
  const { code, out } = await komulator('explain', module('riscv64', 'far'), ...kernelOf('riscv64'));
  t.is(code, 0);
  for (const words of [
    /^2\. elf_validity_cache_copy \(kernel\/module\/main\.c\)\n   A 64-bit little-endian relocatable file for riscv64, named far\.$/m,
    /sized?.* the tables that the loader will fill: \.plt 84 bytes, \.got 16 bytes, \.got\.plt 56 bytes\./,
    /text +0xffffffff02000000 +4096 bytes  \.text, \.exit\.text, \.plt/,
    /6 found in the kernel: .*far_function_one/,
    /21 relocations in 5 sections: \.text 7, \.init\.text 8/,
    /12  R_RISCV_CALL_PLT +S \+ A - P, or PLT\(S \+ A\) - P/,
    /^   \.plt: \d+ of the 6 counted entries are in use\.$/m,
    /far is LIVE, 12288 bytes, and can be unloaded\./,
  ]) {
    t.regex(out, words);
  }
});

test('a load that is refused: the steps until then, the words of the kernel, and the way back', async (t) => {
  const { code, out, err } = await komulator('explain', module('x86_64', 'missing'), ...kernelOf('x86_64'));
  t.is(code, 1);
  t.is(err, '');
  t.regex(
    out,
    /10\. simplify_symbols refuses it\ninsmod: ERROR: could not insert module .*: Unknown symbol in module\n/,
  );
  t.regex(
    out,
    /What was done is undone:\n   free_modinfo .*\n   free_unload .*\n   unlink_mod .*\n   free_module .*\n/,
  );
  const { failed, unwound } = await explain(module('x86_64', 'missing'), ...kernelOf('x86_64'));
  t.like(failed, { errno: 'ENOENT', step: 'simplify_symbols' });
  for (const { label, does } of unwound) t.truthy(does, label);
});

test('--step: one step in detail', async (t) => {
  const { code, steps: told } = await explain(
    module('x86_64', 'user'),
    '--modules',
    join(module('x86_64', 'user'), '..'),
    ...kernelOf('x86_64'),
    '--step',
    'simplify_symbols',
  );
  t.is(code, 0);
  t.deepEqual(
    told.map(({ step }) => step),
    ['simplify_symbols'],
  );
  t.deepEqual(told[0]?.facts['owners'], { exporter: 5, 'the kernel': 1 });
  t.true(
    told[0]?.detail?.some((line) => /^0x[0-9a-f]{16}  counter_read +exporter  GPL only  CRC 0x[0-9a-f]{8}/.test(line)),
    told[0]?.detail?.join('\n'),
  );

  const { out } = await komulator(
    'explain',
    module('x86_64', 'hello'),
    ...kernelOf('x86_64'),
    '--step',
    'apply_relocations',
  );
  t.regex(out, /^ +0  \.init\.text\+0x3 +R_X86_64_32S +\.rodata\.str1\.1$/m);
  t.regex(out, /^ +1  \.init\.text\+0xa +R_X86_64_PLT32 +_printk - 0x4$/m);
});

test('--step: what the load does not come to', async (t) => {
  const { code, out } = await komulator(
    'explain',
    module('x86_64', 'missing'),
    ...kernelOf('x86_64'),
    '--step',
    'parse_args',
  );
  t.is(code, 1);
  t.regex(out, /The load does not come to parse_args\./);
});

test('--reloc: formula in letters and numbers, bits, bytes', async (t) => {
  const { code, out } = await komulator(
    'explain',
    module('x86_64', 'hello'),
    ...kernelOf('x86_64'),
    '--reloc',
    '.init.text:1',
  );
  t.is(code, 0);
  const S = 0xffffffff81000000n;
  const numbers = /value = S \+ A - P\n +\n? *= (0x\w+) - 0x4 - (0x\w+)\n +=/.exec(
    out.replace(/\n {8}/g, '\n        '),
  );
  t.truthy(numbers, out);
  t.is(BigInt(numbers![1]!) & ~0xffffffn, S);
  const value = BigInt(numbers![1]!) - 4n - BigInt(numbers![2]!);
  const word = BigInt.asUintN(32, value).toString(16).padStart(8, '0');
  t.regex(out, new RegExp(`bytes before  00 00 00 00\\n  bytes after   ${word.match(/../g)!.toReversed().join(' ')}`));
  t.regex(out, /not checked: bits that do not fit are lost in silence/);
});

test('--reloc: the same relocation by its running number, as JSON', async (t) => {
  const bySection = await explain(module('riscv64', 'far'), ...kernelOf('riscv64'), '--reloc', '.init.text:0');
  const byNumber = await explain(module('riscv64', 'far'), ...kernelOf('riscv64'), '--reloc', '7');
  t.deepEqual(bySection.relocation, byNumber.relocation);
  t.like(byNumber.relocation, {
    number: 7,
    section: '.rela.init.text',
    index: 0,
    name: 'R_RISCV_GOT_HI20',
    outcome: 'applied',
    symbol: 'far_table',
    formula: 'GOT(S + A) - P',
  });
});

test('--reloc: what goes through a table says so', async (t) => {
  const far = await komulator('explain', module('riscv64', 'far'), ...kernelOf('riscv64'), '--reloc', '0');
  t.regex(far.out, /It goes through \.plt\+0x0, an entry that the loader made for 0xffffffd600000000\./);
  const near = await komulator(
    'explain',
    module('arm64', 'hello'),
    ...kernelOf('arm64'),
    '--step',
    'apply_relocations',
    '--json',
  );
  const { steps: told } = JSON.parse(near.out) as Explained;
  const call = told[0]!.detail!.find((line) => line.includes('R_AARCH64_CALL26'))!;
  const { out } = await komulator(
    'explain',
    module('arm64', 'hello'),
    ...kernelOf('arm64'),
    '--reloc',
    call.trim().split(' ')[0]!,
  );
  t.regex(out, /It is in reach: no entry of a table is needed\./);
});

test('--reloc: refused ones, and those that had no turn', async (t) => {
  const file = join(dir, 'range.ko');
  const code = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, size: 32 };
  const at = (offset: number, type: number) => ({ offset, type, symbol: '.text' });
  writeFileSync(
    file,
    ko(minimalModule({ sections: [code], relocs: { '.text': [at(0, 0), at(4, 11), at(8, 10), at(12, 99)] } })),
  );
  const outcomes: unknown[] = [];
  for (const n of ['0', '1', '2', '3']) {
    const { code: exit, relocation } = await explain(file, ...kernelOf('x86_64'), '--reloc', n);
    t.is(exit, 1);
    outcomes.push(relocation?.['outcome']);
  }
  t.deepEqual(outcomes, ['ignored', 'applied', 'refused', 'not reached']);
  const { out } = await komulator('explain', file, ...kernelOf('x86_64'), '--reloc', '2');
  t.regex(out, /Refused: ENOEXEC\. \.text\+0x8 .*R_X86_64_32 holds 0x0 … 0xffffffff/);
});

for (const [reloc, said] of [
  ['6', /--reloc 6: there are 6 relocations, 0 to 5/],
  ['.text.9', /give a number from 0, or SECTION:NUMBER/],
  ['.init.txt:0', /unknown section '\.init\.txt'; did you mean \.init\.text/],
  ['.init.text:9', /\.rela\.init\.text has 2 entries, 0 to 1/],
] as const) {
  test(`--reloc ${reloc}`, async (t) => {
    const { code, err } = await komulator(
      'explain',
      module('x86_64', 'hello'),
      ...kernelOf('x86_64'),
      '--reloc',
      reloc,
    );
    t.is(code, 2);
    t.regex(err, said);
  });
}

test('every relocation of every fixture architecture can be explained', async (t) => {
  for (const arch of ['x86_64', 'i386', 'arm64', 'arm64be', 'riscv64', 'riscv32']) {
    for (let n = 0; ; n++) {
      const { code, out, err } = await komulator(
        'explain',
        module(arch, 'far'),
        ...kernelOf(arch),
        '--reloc',
        String(n),
      );
      if (code === 2 && /there are \d+ relocations/.test(err)) {
        t.true(n > 3, arch);
        break;
      }
      t.is(code, 0, `${arch} ${n}: ${err}`);
      t.regex(out, /bytes before  [0-9a-f ]+\n  bytes after   [0-9a-f ]+|nothing is written/, `${arch} ${n}`);
    }
  }
});

test('formulas in numbers', (t) => {
  t.is(inNumbers('S + A - P', 1n, -4n, 16n, 0n), '0x1 - 0x4 - 0x10');
  t.is(inNumbers('V - S - A', 1n, 2n, 0n, 255n), '0xff - 0x1 - 0x2');
  t.is(inNumbers('V - S - A', 1n, -2n, 0n, 255n), '0xff - 0x1 + 0x2');
  t.is(inNumbers('Page(S + A) - Page(P)', 1n, 2n, 3n, 0n), 'Page(0x1 + 0x2) - Page(0x3)');
  t.is(inNumbers('S + A - P, or PLT(S + A) - P', 1n, 2n, 3n, 0n), '0x1 + 0x2 - 0x3, or PLT(0x1 + 0x2) - 0x3');
});

test('the drawing of a field: a letter for each slice, where it lies and what it holds', (t) => {
  const B = insn32([
    [12, 12, 31],
    [10, 5, 25],
    [4, 1, 8],
    [11, 11, 7],
  ]);
  t.deepEqual(drawField(B, 0x63n, B.insert(0x63n, -2n), -2n), [
    'bit     31    24 23    16 15     8 7      0',
    'before  00000000 00000000 00000000 01100011',
    'field   abbbbbb. ........ ....cccc d.......',
    'after   11111110 00000000 00001111 11100011',
    'a = value[12] = 0x1',
    'b = value[10:5] = 0x3f',
    'c = value[4:1] = 0xf',
    'd = value[11] = 0x1',
  ]);
  t.is(drawField(word32, 0n, 1n, 1n).at(-1), 'a = value[31:0] = 0x1');
});
