import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import test from 'ava';
import { komulator, type Ran, STACK } from '../captured.ts';
import { ElfEdit } from './elf-edit.ts';
import { HEALTHY, moduleFile, PLANTED, plantedTree, symvers, writeTree } from './planted.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-check-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));
const tree = plantedTree(join(dir, 'planted'));
const healthy = writeTree(join(dir, 'healthy'), HEALTHY);
const main = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));

interface Failed {
  readonly module: string;
  readonly errno: string;
  readonly log: readonly string[];
  readonly reason: string;
  readonly cause: string;
  readonly symbols: readonly { readonly symbol: string; readonly near: string }[];
  readonly needs: readonly string[];
}
interface CheckJson {
  readonly kernel: string;
  readonly modules: number;
  readonly checked: number;
  readonly loaded: number;
  readonly failed: readonly Failed[];
  readonly accepted: readonly Failed[];
  readonly gone: readonly string[];
  readonly warnings: readonly { readonly kind: string; readonly text: string }[];
  readonly relocations: number;
  readonly seconds: number;
}
async function check(...args: readonly string[]): Promise<CheckJson & { readonly code: number }> {
  const { code, out, err } = await komulator('check', ...args, '--json');
  if (out === '') throw new Error(err);
  return { code, ...(JSON.parse(out) as CheckJson) };
}

for (const jobs of ['1', '2'])
  test(`every planted fault is found, and none invented, by ${jobs} threads`, async (t) => {
    const { code, kernel, modules, loaded, failed, relocations, seconds } = await check(tree, '--jobs', jobs);
    t.is(code, 1);
    t.is(kernel, '7.2');
    t.is(modules, PLANTED.length + Object.keys(HEALTHY).length);
    t.is(loaded, Object.keys(HEALTHY).length);
    t.true(relocations > 5 && seconds > 0);
    t.deepEqual(failed.map(({ module }) => module).toSorted(), PLANTED.map(({ module }) => module).toSorted());
    for (const planted of PLANTED) {
      const found = failed.find(({ module }) => module === planted.module)!;
      t.is(found.errno, planted.errno, planted.module);
      t.is(found.cause, planted.cause, planted.module);
      t.regex([found.reason, ...found.symbols.map(({ near }) => near)].join('\n'), planted.tells, planted.module);
      if (planted.symbol !== undefined)
        t.deepEqual(
          found.symbols.map(({ symbol }) => symbol),
          [planted.symbol],
          planted.module,
        );
    }
    const log = (module: string): readonly string[] => failed.find((f) => f.module === module)!.log;
    t.deepEqual(log('missing'), ['missing: Unknown symbol wanted_fn (err -2)']);
    t.deepEqual(log('othercrc'), [
      'othercrc: disagrees about version of symbol _printk',
      'othercrc: Unknown symbol _printk (err -22)',
    ]);
    t.deepEqual(log('twice'), ['twice: exports duplicate symbol good_fn (owned by good)']);
    t.deepEqual(log('strange'), ['module: strange: Unknown rela relocation: 42']);
  });

test('a tree without faults: exit 0', async (t) => {
  const { code, loaded, failed } = await check(healthy);
  t.is(code, 0);
  t.is(loaded, 5);
  t.deepEqual(failed, []);
});

/** Modules that a report says would not load. */
const NAMED: Readonly<Record<string, (out: string) => string[]>> = {
  tap: (out) => Array.from(out.matchAll(/^not ok \d+ - (\w+)$/gm), ([, name]) => name!),
  junit: (out) =>
    Array.from(
      out.matchAll(/<testcase classname="[\w-]+" name="(\w+)" file="kernel\/\w+\.ko">\s*<failure/g),
      ([, name]) => name!,
    ),
  github: (out) =>
    Array.from(out.matchAll(/^::error file=kernel\/(\w+)\.ko,title=\w+%3A [^:]+::E\w+: /gm), ([, name]) => name!),
};
/** Without the escapes of XML, YAML and workflow commands. */
const plain = (out: string): string =>
  out
    .replaceAll('&quot;', '"')
    .replaceAll('\\"', '"')
    .replaceAll('&#10;', '\n')
    .replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
for (const [reporter, named] of Object.entries(NAMED))
  test(`${reporter} names each of them once`, async (t) => {
    const { code, out, err } = await komulator('check', tree, '--reporter', reporter, '--jobs', '1');
    t.is(code, 1);
    t.is(err, '');
    t.deepEqual(named(out).toSorted(), PLANTED.map(({ module }) => module).toSorted());
    t.notRegex(out, STACK);
    for (const { module, tells } of PLANTED) t.regex(plain(out), tells, module);
    if (reporter === 'tap')
      t.regex(
        out,
        new RegExp(`^TAP version 14\n1\\.\\.${PLANTED.length + 1}\nnot ok 1 - 5 of 17 modules would load\n`),
      );
    if (reporter === 'junit') t.regex(out, /<testsuites name="komulator check" tests="17" failures="12" errors="0"/);
  });

test('for people: grouped by cause, with who nearly provides it', async (t) => {
  const { code, out } = await komulator('check', tree, '--jobs', '1');
  t.is(code, 1);
  t.regex(out, /^nobody exports it\n {2}wanted_fn: nobody exports it; there is wanted_fn_v2\n {4}needed by missing$/m);
  t.regex(
    out,
    /^GPL-only, and the module is not\n {2}gpl_only_fn: vmlinux exports it GPL-only\n {4}needed by closed$/m,
  );
  t.regex(out, /^17 modules: 5 would load, 12 would not; \d+ relocations; [\d.]+ s$/m);
  for (const { module, tells } of PLANTED) {
    t.true(out.includes(module));
    t.regex(out, tells);
  }
  t.false(/\b(user|room|own|weak)\b/.test(out.replaceAll(tree, '')));
});

test('a Module.symvers of another kernel is doubted, not each module', async (t) => {
  const other = join(dir, 'other.symvers');
  writeFileSync(other, '0x12345678\tanother_fn\tvmlinux\tEXPORT_SYMBOL\t\n');
  const { code, out } = await komulator('check', healthy, '--symvers', other, '--jobs', '1');
  t.is(code, 1);
  t.true(out.includes(`most modules want other symbols than ${other} lists: is it this kernel's?`), out);
  // One of five is nothing to wonder about.
  const few = writeTree(join(dir, 'one-absent'), {
    ...HEALTHY,
    'kernel/absent.ko': moduleFile('absent', ['absent_fn']),
  });
  t.notRegex((await komulator('check', few, '--jobs', '1')).out, /is it this kernel's/);
});

test('of many absent symbols only some are looked for', async (t) => {
  const absent = Array.from({ length: 120 }, (_, i) => `printk_${i}`);
  const many = writeTree(join(dir, 'many-absent'), { ...HEALTHY, 'kernel/absent.ko': moduleFile('absent', absent) });
  const { failed } = await check(many, '--jobs', '1');
  const near = failed[0]!.symbols.map((symbol) => symbol.near);
  t.is(near.filter((text) => /^nobody exports it(;|, nor)/.test(text)).length, 100);
  t.is(near.filter((text) => text === 'nobody exports it').length, 20);
});

test('a module that needs one that does not load', async (t) => {
  const files = {
    ...HEALTHY,
    'kernel/lost.ko': moduleFile('lost', ['wanted_fn'], ['lost_fn']),
    'kernel/after.ko': moduleFile('after', ['lost_fn']),
  };
  const { failed, loaded } = await check(writeTree(join(dir, 'needs'), files), '--jobs', '1');
  t.is(loaded, 5);
  t.like(
    failed.find(({ module }) => module === 'after'),
    { cause: 'dependency', errno: 'ENOENT', needs: ['lost'] },
  );
  t.like(
    failed.find(({ module }) => module === 'lost'),
    { cause: 'missing-symbol' },
  );
});

test('who nearly provides a symbol: listed for a module that is not there, built in but not exported', async (t) => {
  const files = { 'a.ko': moduleFile('a', ['elsewhere_fn']), 'b.ko': moduleFile('b', ['hidden_fn']) };
  const there = writeTree(
    join(dir, 'near'),
    files,
    `${symvers()}0x00000009\telsewhere_fn\tdrivers/absent\tEXPORT_SYMBOL\t\n`,
  );
  writeFileSync(join(dir, 'System.map'), 'ffffffff81000000 T hidden_fn\n');
  const { failed } = await check(there, '--symbols', join(dir, 'System.map'), '--jobs', '1');
  const near = (module: string): string | undefined => failed.find((f) => f.module === module)?.symbols[0]?.near;
  t.is(near('a'), 'Module.symvers lists it for absent, which is not in this tree');
  t.is(near('b'), 'built into the kernel, but not exported');
});

test('since which kernel a relocation type is handled', async (t) => {
  // R_RISCV_32_PCREL under 6.1.
  const { buildKo, minimalModule } = await import('../../../fixtures/build.ts');
  const spec = minimalModule({
    machine: 243,
    modinfo: { vermagic: '6.1.0-komulator SMP mod_unload modversions riscv', name: 'it' },
    thisModule: { name: 'it' },
    relocs: { '.text': [{ offset: 0, type: 57, symbol: '.text', addend: 0 }] },
  });
  const there = writeTree(join(dir, 'riscv'), { 'it.ko': buildKo(spec).image });
  const { failed } = await check(there, '--jobs', '1');
  t.is(failed[0]?.cause, 'relocation-type');
  t.regex(failed[0]?.reason ?? '', /R_RISCV_32_PCREL is handled since 6\.\d+/);
});

test('a baseline accepts what is known, and tells what is gone', async (t) => {
  const file = join(dir, 'baseline.json');
  t.is((await komulator('check', tree, '--write-baseline', file, '--jobs', '1')).code, 0);
  const known = await check(tree, '--baseline', file, '--jobs', '1');
  t.is(known.code, 0);
  t.deepEqual(known.failed, []);
  t.is(known.accepted.length, PLANTED.length);
  t.is(known.loaded, 5);
  const healed = await check(healthy, '--baseline', file, '--jobs', '1');
  t.is(healed.code, 0);
  t.is(healed.gone.length, PLANTED.length);
  writeFileSync(file, '{}');
  const wrong = await komulator('check', tree, '--baseline', file, '--jobs', '1');
  t.is(wrong.code, 2);
  t.regex(wrong.err, /is no baseline/);
});

test('shards add up to the whole', async (t) => {
  const parts = await Promise.all([1, 2, 3].map((i) => check(tree, '--shard', `${i}/3`, '--jobs', '1')));
  t.deepEqual(
    parts.flatMap(({ failed }) => failed.map(({ module }) => module)).toSorted(),
    PLANTED.map(({ module }) => module).toSorted(),
  );
  t.is(
    parts.reduce((sum, { checked }) => sum + checked, 0),
    17,
  );
  t.is(
    parts.reduce((sum, { loaded }) => sum + loaded, 0),
    5,
  );
});

test('packed in every way', async (t) => {
  const user = HEALTHY['kernel/user.ko']!;
  const { code, loaded, failed } = await check(
    writeTree(join(dir, 'packed'), {
      'kernel/good.ko.gz': gzipSync(HEALTHY['kernel/good.ko']!),
      'kernel/room.ko.zst': zstdCompressSync(HEALTHY['kernel/room.ko']!),
      ...(hasXz
        ? {
            'kernel/user.ko.xz': xz(user),
            'kernel/weak.ko.xz': xz(HEALTHY['kernel/weak.ko']!),
            'kernel/own.ko.xz': xz(HEALTHY['kernel/own.ko']!),
          }
        : {}),
    }),
  );
  t.is(code, 0);
  t.is(loaded, hasXz ? 5 : 2);
  t.deepEqual(failed, []);
});
const hasXz = spawnSync('xz', ['--version']).status === 0;
const xz = (bytes: Uint8Array): Uint8Array => execFileSync('xz', ['-c'], { input: bytes });

test('files that cannot be read are told of, and the rest is checked', async (t) => {
  const there = writeTree(join(dir, 'unreadable'), {
    ...HEALTHY,
    'kernel/empty.ko': new Uint8Array(0),
    'kernel/noise.ko': Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919) >> 3),
    'kernel/half.ko.gz': gzipSync(HEALTHY['kernel/good.ko']!).subarray(0, 200),
    ...(hasXz
      ? {
          'kernel/half1.ko.xz': xz(HEALTHY['kernel/good.ko']!).subarray(0, 300),
          'kernel/half2.ko.xz': xz(HEALTHY['kernel/good.ko']!).subarray(0, 200),
        }
      : {}),
  });
  symlinkSync('/nonexistent/x.ko', join(there, 'kernel/vanished.ko'));
  symlinkSync('/dev/zero', join(there, 'kernel/endless.ko'));
  spawnSync('mkfifo', [join(there, 'kernel/pipe.ko')]);
  const { code, loaded, failed } = await check(there);
  t.is(code, 1);
  t.is(loaded, 5);
  const reason = (module: string): string => failed.find((f) => f.module === module)?.reason ?? '';
  t.regex(reason('vanished'), /vanished\.ko: no such file or directory$/);
  t.regex(reason('endless'), /is not a regular file$/);
  t.regex(reason('pipe'), /is not a regular file$/);
  t.regex(reason('empty'), /empty/);
  t.regex(reason('noise'), /not an ELF file/);
  t.regex(reason('half'), /truncated/);
  if (hasXz) t.regex(reason('half1') + reason('half2'), /truncated.*truncated/s);
  t.is(failed.length, hasXz ? 8 : 6);
});

test('wrong use', async (t) => {
  const bare = join(dir, 'bare');
  mkdirSync(bare);
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/no module \(\.ko/, bare],
    [/no such file or directory/, join(dir, 'nowhere')],
    [/expected a number of threads/, tree, '--jobs', '0'],
    [/--diff is told by --reporter pretty or json, not junit/, '--diff', tree, tree, '--reporter', 'junit'],
    [/expected i\/n/, tree, '--shard', '3/2'],
    [/one tree at a time/, tree, healthy],
    [/--diff compares two trees/, tree, '--diff'],
    [/no such file/, tree, '--symvers', join(dir, 'no.symvers')],
    [/Module\.symvers, line 1/, tree, '--symvers', join(tree, 'kernel/good.ko')],
    [/ENOTDIR|not a directory|no such file/, tree, '--output', join(tree, 'kernel/good.ko/x')],
  ];
  for (const [expected, ...args] of cases) {
    const { code, err }: Ran = await komulator('check', ...args);
    t.is(code, 2, args.join(' '));
    t.regex(err, expected, args.join(' '));
    t.notRegex(err, STACK);
  }
});

test('soft dependencies and aliases that lead nowhere are told of, and fail nothing', async (t) => {
  const softdep =
    'pre: good drv-one crypto-xts other_one platform:leds-gpio platform:leds nothing_at_all post: built-in platform:own';
  const there = writeTree(join(dir, 'nowhere-to-go'), {
    ...HEALTHY,
    'kernel/soft.ko': moduleFile('soft', ['_printk'], [], { modinfo: { name: 'soft', softdep } }),
    'modules.alias': new TextEncoder().encode(
      '# Aliases\nalias drv_* good\nalias crypto-xts good\nalias platform:leds_gpio good\nalias pci:v1* gone-driver\nalias pci:v2* gone_driver\n',
    ),
    'modules.builtin': new TextEncoder().encode('kernel/lib/built-in.ko\n'),
    'modules.builtin.modinfo': new TextEncoder().encode(
      'lib.alias=other-one\0lib.alias=platform:own\0lib.license=GPL\0',
    ),
  });
  const { code, failed, warnings } = await check(there, '--jobs', '1');
  t.is(code, 0);
  t.deepEqual(failed, []);
  t.deepEqual(
    warnings.map(({ text }) => text),
    [
      'soft would like platform:leds (softdep), which is no module, alias or built-in driver',
      'soft would like nothing_at_all (softdep), which is no module, alias or built-in driver',
      'modules.alias has 2 aliases for gone_driver, which is not in the tree',
    ],
  );
});

/** The entries of __ksymtab the other way round: their relocations go to each other's places. */
function reversedExports(file: Uint8Array): Uint8Array {
  const elf = new ElfEdit(file);
  const entry = 12n;
  const table = elf.get(elf.field(elf.section('__ksymtab'), 'sh_size'));
  const relocations = elf.section('.rela__ksymtab');
  const from = Number(elf.get(elf.field(relocations, 'sh_offset')));
  const end = from + Number(elf.get(elf.field(relocations, 'sh_size')));
  for (let at = from; at < end; at += 24) {
    const r_offset = { at, bytes: 8 };
    const place = elf.get(r_offset);
    elf.set(r_offset, table - entry - (place - (place % entry)) + (place % entry));
  }
  return elf.file;
}

test('an export table out of order hides exports, as from bsearch()', async (t) => {
  const names = ['x_fn', 'y_fn', 'z_fn'];
  const exports = names.map((name) => ({ name, crc: 0x9999 }));
  const there = writeTree(join(dir, 'unsorted'), {
    'kernel/rev.ko': reversedExports(moduleFile('rev', ['_printk'], names, { exports })),
    'kernel/middle.ko': moduleFile('middle', ['y_fn']),
    'kernel/first.ko': moduleFile('first', ['x_fn']),
    'kernel/second.ko': moduleFile('second', ['_printk'], ['second_fn']),
  });
  for (const jobs of ['1', '2']) {
    const { failed, loaded } = await check(there, '--jobs', jobs);
    t.deepEqual(
      failed.map(({ module, log }) => [module, log.at(-1)]),
      [['first', 'first: Unknown symbol x_fn (err -2)']],
    );
    t.is(loaded, 3);
  }
});

test('shards find together what the whole finds, also where a provider is in another one', async (t) => {
  const there = writeTree(join(dir, 'sharded'), {
    'kernel/a_user.ko': moduleFile('a_user', ['b_fn']),
    'kernel/b_lib.ko': moduleFile('b_lib', ['lib_fn'], ['b_fn']),
    'kernel/c_lib.ko': moduleFile('c_lib', ['absent_fn'], ['lib_fn']),
    'kernel/d.ko': moduleFile('d', ['_printk'], [], { modinfo: { name: 'd', softdep: 'pre: nothing_at_all' } }),
    'kernel/e.ko': moduleFile('e', ['_printk']),
    'modules.alias': new TextEncoder().encode('alias pci:v1* gone\n'),
  });
  const whole = await check(there, '--jobs', '1');
  t.deepEqual(
    whole.failed.map(({ module }) => module),
    ['a_user', 'b_lib', 'c_lib'],
  );
  t.is(whole.warnings.length, 2);
  const baseline = join(dir, 'sharded.json');
  await komulator('check', there, '--write-baseline', baseline, '--jobs', '1');
  for (const count of [1, 2, 3, 5]) {
    const parts = await Promise.all(
      Array.from({ length: count }, (_, i) => check(there, '--shard', `${i + 1}/${count}`, '--jobs', '1')),
    );
    const sum = (of: (part: CheckJson) => number): number => parts.reduce((n, part) => n + of(part), 0);
    t.deepEqual(parts.flatMap(({ failed }) => failed.map(({ module }) => module)).toSorted(), [
      'a_user',
      'b_lib',
      'c_lib',
    ]);
    t.is(
      sum((part) => part.loaded),
      2,
    );
    t.is(
      sum((part) => part.warnings.length),
      2,
    );
    const { code, gone } = await check(there, '--shard', `1/${count}`, '--baseline', baseline, '--jobs', '1');
    t.is(code, 0);
    t.deepEqual(gone, []);
  }
});

test('modules that are unlike the others and load all the same are told of', async (t) => {
  const odd = moduleFile('odd', ['_printk'], [], { thisModule: { name: 'odd', size: 1344 } });
  const there = writeTree(join(dir, 'odd-size'), { ...HEALTHY, 'kernel/odd.ko': odd });
  // 6.1 does not look at the size of struct module, later kernels do.
  const { failed, warnings } = await check(there, '--kernel', '6.1', '--jobs', '1');
  t.deepEqual(failed, []);
  t.deepEqual(
    warnings.map(({ kind, text }) => [kind, text]),
    [['odd', 'odd has a struct module of 1344 bytes, not 1280, and loads all the same']],
  );
  t.is((await check(there, '--jobs', '1')).failed[0]?.cause, 'struct-module');
});

test('symbols of which the same is to be said stand together', async (t) => {
  const there = writeTree(join(dir, 'together'), {
    ...HEALTHY,
    'kernel/lost.ko': moduleFile('lost', ['nobody_has_x1', 'nobody_has_y2', 'wanted_fn']),
  });
  const { out } = await komulator('check', there, '--jobs', '1');
  t.regex(out, /^ {2}nobody_has_x1, nobody_has_y2: nobody exports it, nor anything like it\n {4}needed by lost\n/m);
  t.regex(out, /^ {2}wanted_fn: nobody exports it; there is wanted_fn_v2\n {4}needed by lost\n/m);
});

test('aliases of modules that are gone, beside exports that two modules have', async (t) => {
  const gone = Array.from({ length: 6 }, (_, i) => `gone${i}`);
  const there = writeTree(join(dir, 'aliases-and-clashes'), {
    'kernel/a.ko': moduleFile('a', ['_printk'], ['a_fn', 'b_fn']),
    'kernel/b.ko': moduleFile('b', ['_printk'], ['a_fn', 'b_fn']),
    'modules.alias': new TextEncoder().encode(
      `alias broken\nalias pci:v0* a\n${gone.map((name, i) => `alias pci:v${i}* ${name}\n`).join('')}`,
    ),
  });
  const { failed, warnings } = await check(there, '--jobs', '1');
  t.deepEqual(
    failed.map(({ module, cause }) => [module, cause]),
    [['b', 'duplicate-export']],
  );
  t.deepEqual(
    warnings.map(({ text }) => text),
    gone.map((name) => `modules.alias has 1 alias for ${name}, which is not in the tree`),
  );
});

const OTHER_KERNEL = '7.2.1-other SMP mod_unload modversions ';
const named = (name: string, count: number): { readonly name: string; readonly bind: number }[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${name}_with_a_rather_long_name_that_takes_room_number_${i}`,
    bind: 2,
  }));

test('the kernel of a tree is that of most modules, however many names the first one has', async (t) => {
  const modinfo = { vermagic: OTHER_KERNEL, name: 'a0' };
  const others = Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [`kernel/a${i + 1}.ko`, moduleFile(`a${i + 1}`, ['_printk'])]),
  );
  const odd = moduleFile('a0', ['_printk'], [], { modinfo, symbols: named('absent', 9000) });
  const there = writeTree(join(dir, 'odd-first'), { 'kernel/a0.ko': odd, ...others });
  const { loaded, failed } = await check(there, '--jobs', '1');
  t.is(loaded, 8);
  t.deepEqual(
    failed.map(({ module, cause }) => [module, cause]),
    [['a0', 'vermagic']],
  );
});

test('more names than a tree of its size has', async (t) => {
  const there = writeTree(join(dir, 'many-names'), {
    'kernel/bad.ko': moduleFile('bad', ['absent_fn'], ['a_fn']),
    'kernel/z.ko': moduleFile('z', ['a_fn'], [], { symbols: named('weak', 20_000) }),
  });
  const { failed } = await check(there, '--jobs', '1');
  t.deepEqual(
    failed.map(({ module, cause }) => [module, cause]),
    [
      ['bad', 'missing-symbol'],
      ['z', 'dependency'],
    ],
  );
  const dep = await komulator('check', there, '--graph', 'modules.dep', '--jobs', '1');
  t.regex(dep.out, /^kernel\/z\.ko: kernel\/bad\.ko$/m);
});

test('the graph', async (t) => {
  const dep = await komulator('check', tree, '--graph', 'modules.dep', '--jobs', '1');
  t.regex(dep.out, /^kernel\/user\.ko: kernel\/good\.ko$/m);
  t.regex(dep.out, /^kernel\/good\.ko:$/m);
  const symbols = await komulator('check', healthy, '--graph', 'modules.symbols', '--jobs', '1');
  t.is(symbols.out, '# Aliases for symbols, used by symbol_request().\nalias symbol:good_fn good\n');
  const dot = await komulator('check', tree, '--graph', 'dot', '--jobs', '1');
  t.regex(dot.out, /^digraph modules \{\n[^]*"user" -> "good";\n[^]*\}\n$/);
  const { modules } = JSON.parse((await komulator('check', tree, '--graph', 'json', '--jobs', '1')).out) as {
    modules: { name: string; uses: { name: string; symbols: string[] }[] }[];
  };
  t.deepEqual(modules.find(({ name }) => name === 'user')?.uses, [{ name: 'good', symbols: ['good_fn'] }]);
});

test('two builds beside each other', async (t) => {
  const now = writeTree(
    join(dir, 'now'),
    { ...HEALTHY, 'kernel/good.ko': moduleFile('good', ['_printk'], []), 'kernel/more.ko': moduleFile('more', []) },
    symvers()
      .replace(/^.*good_fn.*\n/m, '')
      .replace('0x11111111', '0x12121212'),
  );
  const { code, out } = await komulator('check', '--diff', healthy, now, '--jobs', '1', '--json');
  t.is(code, 1);
  const diff = JSON.parse(out) as {
    broken: Failed[];
    added: string[];
    removed: string[];
    exports: { symbol: string; kind: string; users: string[] }[];
  };
  t.deepEqual(diff.added, ['more']);
  t.deepEqual(diff.removed, []);
  t.true(diff.broken.some(({ module }) => module === 'user'));
  t.deepEqual(
    diff.exports.find(({ symbol }) => symbol === 'good_fn'),
    { symbol: 'good_fn', kind: 'gone', was: 'good', is: '', users: ['user'] } as never,
  );
  t.like(
    diff.exports.find(({ symbol }) => symbol === '_printk'),
    { kind: 'crc' },
  );
  const same = await komulator('check', '--diff', healthy, healthy, '--jobs', '1');
  t.is(same.code, 0);
});

test('a full disk, few file descriptors', (t) => {
  const full = spawnSync('sh', ['-c', `"${process.execPath}" "${main}" check "${tree}" > /dev/full`], {
    encoding: 'utf8',
  });
  t.is(full.status, 2);
  t.regex(full.stderr, /^error: the output cannot be written: .*no space left on device/);
  t.notRegex(full.stderr, STACK);
  const output = spawnSync(process.execPath, [main, 'check', tree, '--output', '/dev/full'], { encoding: 'utf8' });
  t.is(output.status, 2);
  t.regex(output.stderr, /\/dev\/full: no space left on the device/);
  const few = spawnSync('sh', ['-c', `ulimit -n 32; "${process.execPath}" "${main}" check "${tree}" --json`], {
    encoding: 'utf8',
  });
  t.is(few.status, 1, few.stderr);
  t.is((JSON.parse(few.stdout) as CheckJson).failed.length, PLANTED.length);
});

/** The first thread takes its time, and each other one ends in the middle of what it does: at its third file. */
const DEADLY = `
const { isMainThread } = require('node:worker_threads');
const fs = require('node:fs');
const { readSync } = fs;
const clock = new Int32Array(new SharedArrayBuffer(4));
let calls = 0;
fs.readSync = (...args) => {
  if (isMainThread) Atomics.wait(clock, 0, 0, 2);
  else if (args.length === 5 && ++calls === 3) process.exit(7);
  return readSync(...args);
};
require('node:module').syncBuiltinESMExports();`;

test('what a thread that dies has left undone is done by another', (t) => {
  const preload = join(dir, 'deadly.cjs');
  writeFileSync(preload, DEADLY);
  const many = Object.fromEntries(
    Array.from({ length: 400 }, (_, i) => [
      `kernel/m${i}.ko`,
      moduleFile(`m${i}`, [i % 100 === 7 ? 'absent_fn' : '_printk']),
    ]),
  );
  const there = writeTree(join(dir, 'deadly'), { ...HEALTHY, ...many });
  const run = (...args: readonly string[]): CheckJson =>
    JSON.parse(
      spawnSync(process.execPath, [main, 'check', there, '--json', '--jobs', '2', ...args], {
        encoding: 'utf8',
        env: { ...process.env, NODE_OPTIONS: `--require ${preload}` },
      }).stdout,
    ) as CheckJson;
  // With a configuration there is no proof: threads put each module before insmod at once.
  const config = join(dir, 'deadly.config');
  writeFileSync(config, 'CONFIG_MODVERSIONS=y\n');
  for (const args of [[], ['--config', config]]) {
    const { checked, loaded, failed, modules } = run(...args);
    t.is(checked, modules);
    t.deepEqual(failed.map(({ module }) => module).toSorted(), ['m107', 'm207', 'm307', 'm7']);
    t.is(loaded, modules - 4);
  }
});

/** A named pipe for --symvers: the check has listed the modules when it opens it, and waits for what it says. */
function symversPipe(name: string): { readonly pipe: string; readonly go: () => Promise<void> } {
  const pipe = join(dir, name);
  execFileSync('mkfifo', [pipe]);
  return { pipe, go: () => writeFile(pipe, symvers()) };
}

test('a file that vanishes after the modules were listed', async (t) => {
  const { good, user, room } = { good: 'kernel/good.ko', user: 'kernel/user.ko', room: 'kernel/room.ko' };
  const there = writeTree(join(dir, 'vanishing'), {
    [good]: HEALTHY[good]!,
    [room]: HEALTHY[room]!,
    'kernel/soon.ko': moduleFile('soon', ['_printk']),
    [user]: HEALTHY[user]!,
  });
  const { pipe } = symversPipe('vanishing.pipe');
  const args = [main, 'check', there, '--json', '--jobs', '1', '--symvers', pipe];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 });
  let out = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  const closed = once(child, 'close');
  // This waits until the other end is open.
  const file = await open(pipe, 'w');
  rmSync(join(there, 'kernel/soon.ko'));
  await file.writeFile(symvers());
  await file.close();
  const [code] = (await closed) as [number];
  const { loaded, failed } = JSON.parse(out) as CheckJson;
  t.is(code, 1);
  t.is(loaded, 3);
  t.like(failed[0], { module: 'soon', errno: 'ENOENT' });
  t.regex(failed[0]?.reason ?? '', /soon\.ko: no such file or directory$/);
});

test('a file and a folder without permission', (t) => {
  if (process.getuid?.() !== 0) t.log('run as root this test becomes somebody else first');
  const there = writeTree(join(dir, 'forbidden'), {
    ...HEALTHY,
    'kernel/mine.ko': moduleFile('mine', ['_printk']),
    'kernel/closed/in.ko': moduleFile('in', ['_printk']),
  });
  chmodSync(dir, 0o755);
  chmodSync(join(there, 'kernel/mine.ko'), 0);
  chmodSync(join(there, 'kernel/closed'), 0);
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const env = { ...process.env, NODE_COMPILE_CACHE: '', NODE_DISABLE_COMPILE_CACHE: '1' };
  const args = [main, 'check', there, '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env,
    timeout: 60_000,
    ...nobody,
  });
  chmodSync(join(there, 'kernel/closed'), 0o755);
  if (stdout === '' && /EACCES|Cannot find module/.test(stderr)) {
    t.log('skipped: nobody else may run node here');
    t.pass();
    return;
  }
  const { loaded, failed, warnings } = JSON.parse(stdout) as CheckJson;
  t.is(status, 1);
  t.is(loaded, 5);
  t.is(failed.length, 1);
  t.like(failed[0], { module: 'mine', errno: 'EACCES' });
  t.regex(failed[0]?.reason ?? '', /mine\.ko: permission denied$/);
  t.regex(warnings.map(({ text }) => text).join('\n'), /kernel\/closed: permission denied/);
});

test('Ctrl-C ends it with what has been done so far', async (t) => {
  const count = 5000;
  const packed = gzipSync(moduleFile('m', ['_printk']));
  const there = writeTree(
    join(dir, 'many'),
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`kernel/m${i}.ko.gz`, packed])),
  );
  // On a quick machine it may be done by then, on a slow one not have begun.
  for (const delay of [150, 60, 300, 30, 600, 1200, 2400]) {
    const { pipe, go } = symversPipe(`many-${delay}.pipe`);
    const args = [main, 'check', there, '--json', '--jobs', '1', '--symvers', pipe];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
    let out = '';
    child.stdout.on('data', (chunk) => (out += String(chunk)));
    const closed = once(child, 'close');
    await go();
    const timer = setTimeout(() => child.kill('SIGINT'), delay);
    const [code] = (await closed) as [number];
    clearTimeout(timer);
    t.true(code === 130 || code === 1, String(code));
    if (code !== 130 || out === '') continue;
    const { modules, checked, interrupted } = JSON.parse(out) as CheckJson & { readonly interrupted: boolean };
    t.is(modules, count);
    t.true(interrupted);
    t.true(checked < count, String(checked));
    return;
  }
  t.fail('no signal arrived between the begin and the end of the check');
});

test('Module.symvers is found in the tree and said so', async (t) => {
  const { out } = await komulator('check', healthy, '--jobs', '1');
  t.true(out.includes(`symbols from ${join(healthy, 'Module.symvers')}`));
  t.is(readFileSync(join(healthy, 'Module.symvers'), 'utf8'), symvers());
});
