import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import test from 'ava';
import { ko, minimalModule, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE } from '../../fixtures/build.ts';
import { fixture, kernelOf, komulator, module } from './captured.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-load-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));
const x86 = kernelOf('x86_64');

interface Section {
  readonly name: string;
  readonly index: number;
  readonly region: string;
  readonly addr: string;
  readonly size: number;
}
interface LoadJson {
  readonly kernel: Readonly<Record<'arch' | 'version' | 'vendor' | 'vermagic', string>>;
  readonly modules: readonly {
    readonly name: string;
    readonly file: string;
    readonly state: string;
    readonly refcnt: number;
    readonly uses: readonly string[];
    readonly relocations: number;
    readonly references: Readonly<Record<string, number>>;
    readonly params: Readonly<Record<string, string>>;
    readonly signature: { readonly bytes: number } | null;
    readonly sections: readonly Section[];
  }[];
  readonly failed: readonly { readonly module: string; readonly errno: string }[];
  readonly skipped: readonly { readonly module: string }[];
  readonly notes: readonly string[];
  readonly log: readonly string[];
}
async function load(...args: readonly string[]): Promise<LoadJson & { readonly code: number }> {
  const { code, out } = await komulator('load', ...args, '--json');
  return { code, ...(JSON.parse(out) as LoadJson) };
}

test('two modules, the second using the first: /proc/modules, lsmod, and what was done', async (t) => {
  const { code, out, err } = await komulator('load', module('x86_64', 'exporter'), module('x86_64', 'user'), ...x86);
  t.is(code, 0);
  t.is(err, '');
  t.regex(out, /^x86_64 7\.2 \(mainline\): 7\.2\.0-komulator SMP preempt mod_unload modversions$/m);
  t.regex(out, /^exporter 12288 1 user, Live 0xffffffffc0000000 \(E\)$/m);
  t.regex(out, /^user 12288 0 - Live 0xffffffffc0006000 \(E\)$/m);
  t.regex(out, /10 relocations applied; 6 references resolved \(kernel 1, exporter 5\); not signed/);
  t.regex(out, /^exporter +12288 +1 user$/m);
  t.regex(out, /^dmesg: exporter: module verification failed/m);
});

test('the same as JSON', async (t) => {
  const { code, kernel, modules, failed, log } = await load(
    module('x86_64', 'exporter'),
    module('x86_64', 'user'),
    ...x86,
  );
  t.is(code, 0);
  t.deepEqual(kernel, {
    arch: 'x86_64',
    version: '7.2',
    vendor: 'mainline',
    vermagic: '7.2.0-komulator SMP preempt mod_unload modversions ',
  });
  t.deepEqual(failed, []);
  t.is(log.length, 1);
  const [exporter, user] = modules;
  t.is(exporter?.refcnt, 1);
  t.is(user?.state, 'LIVE');
  t.deepEqual(user?.uses, ['exporter']);
  t.is(user?.relocations, 10);
  t.deepEqual(user?.references, { vmlinux: 1, exporter: 5 });
  const text = user?.sections.find(({ name }) => name === '.text');
  t.deepEqual(Object.keys(text ?? {}), ['name', 'index', 'region', 'addr', 'size']);
  t.is(text?.region, 'text');
  t.is(text?.addr, '0xffffffffc0006000');
});

for (const arch of ['x86_64', 'i386', 'arm64', 'arm64be', 'riscv64', 'riscv32']) {
  test(`the architecture is that of the file: ${arch}`, async (t) => {
    const { code, kernel, modules } = await load(module(arch, 'far'), ...kernelOf(arch));
    t.is(code, 0);
    t.is(kernel.arch, arch.replace('be', ''));
    t.is(modules[0]?.state, 'LIVE');
  });
}

test('version and vendor follow the version magic, and options overrule both', async (t) => {
  const file = join(dir, 'debian.ko');
  writeFileSync(
    file,
    ko(minimalModule({ modinfo: { vermagic: '6.1.0-56-amd64 SMP preempt mod_unload modversions ' } })),
  );
  t.like((await load(file)).kernel, { version: '6.1', vendor: 'debian' });
  t.like((await load(file, '--kernel', '6.12', '--vendor', 'mainline')).kernel, {
    version: '6.12',
    vendor: 'mainline',
  });

  const between = join(dir, 'between.ko');
  writeFileSync(between, ko(minimalModule({ modinfo: { vermagic: '6.8.0-31-generic SMP mod_unload modversions ' } })));
  const { kernel, notes } = await load(between);
  t.is(kernel.version, '6.1');
  t.deepEqual(notes, ['there is no profile of 6.8: loading as 6.1 would (--kernel chooses)']);
  t.regex((await komulator('load', between)).err, /^note: there is no profile of 6\.8/m);
});

test('--params, for the FILE that comes last', async (t) => {
  const { code, modules } = await load(
    module('x86_64', 'hello'),
    module('x86_64', 'params'),
    '--params',
    'number=7',
    ...x86,
  );
  t.is(code, 0);
  t.deepEqual(modules[0]?.params, {});
});

test('packed modules are unpacked', async (t) => {
  const bytes = readFileSync(module('x86_64', 'hello'));
  for (const [name, packed] of [
    ['hello.ko.gz', gzipSync(bytes)],
    ['hello.ko.zst', zstdCompressSync(bytes)],
  ] as const) {
    writeFileSync(join(dir, name), packed);
    t.is((await load(join(dir, name), ...x86)).modules[0]?.state, 'LIVE');
  }
});

test('a signature is found and stripped', async (t) => {
  const signature = Buffer.concat([
    readFileSync(module('x86_64', 'hello')),
    Buffer.alloc(100, 0x30),
    Buffer.from([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 100]),
    Buffer.from('~Module signature appended~\n'),
  ]);
  const file = join(dir, 'signed.ko');
  writeFileSync(file, signature);
  t.is((await load(file, ...x86)).modules[0]?.signature?.bytes, 140);
  t.regex((await komulator('load', file, ...x86)).out, /signature of 140 bytes found and stripped/);
});

test('--symbols: a System.map gives addresses, and alone the exports too', async (t) => {
  const address = async (...args: readonly string[]): Promise<string | undefined> => {
    const { out } = await komulator(
      'explain',
      module('x86_64', 'hello'),
      ...args,
      '--step',
      'simplify_symbols',
      '--json',
    );
    const { steps } = JSON.parse(out) as { steps: { detail: string[] }[] };
    return /^(0x\w+)  _printk/.exec(steps[0]?.detail.find((line) => line.includes('_printk')) ?? '')?.[1];
  };
  const map = fixture('ko/x86_64/System.map');
  const inMap = /^(\w+) . _printk$/m.exec(readFileSync(map, 'utf8'))?.[1];
  t.is(await address(...x86), `0x${inMap}`);
  t.is(await address('--symbols', map), `0x${inMap}`);
  t.not(await address('--symvers', fixture('ko/x86_64/Module.symvers')), `0x${inMap}`);
});

test('--modules: dependencies first, by file or by name, with or without modules.dep', async (t) => {
  const plain = join(dir, 'plain');
  mkdirSync(plain);
  for (const name of ['exporter', 'user', 'hello']) cpSync(module('x86_64', name), join(plain, `${name}.ko`));
  for (const file of ['user', join(plain, 'user.ko')]) {
    const { code, modules } = await load(file, '--modules', plain, ...x86);
    t.is(code, 0);
    t.deepEqual(
      modules.map(({ name }) => name),
      ['exporter', 'user'],
    );
  }
  // A module of one's own, outside of the tree.
  t.deepEqual(
    (await load(module('x86_64', 'user'), '--modules', plain, ...x86)).modules.map(({ name }) => name),
    ['exporter', 'user'],
  );

  const tree = join(dir, 'root/lib/modules/7.2.0-komulator');
  mkdirSync(join(tree, 'kernel'), { recursive: true });
  for (const name of ['exporter', 'user']) cpSync(module('x86_64', name), join(tree, `kernel/${name}.ko`));
  writeFileSync(join(tree, 'modules.dep'), 'kernel/exporter.ko:\nkernel/user.ko: kernel/exporter.ko\n');
  writeFileSync(join(tree, 'modules.builtin'), 'kernel/core.ko\n');
  t.deepEqual(
    (await load('user', 'exporter', '--modules', join(dir, 'root'), ...x86)).modules.map(({ name }) => name),
    ['exporter', 'user'],
  );

  const builtin = await load('core', '--modules', tree);
  t.is(builtin.code, 0);
  t.deepEqual(builtin.notes, ['core is built in: nothing to load']);

  // The headers' package leaves its Module.symvers in the tree.
  mkdirSync(join(tree, 'build'));
  cpSync(fixture('ko/x86_64/Module.symvers'), join(tree, 'build/Module.symvers'));
  const found = await load('user', '--modules', tree);
  t.is(found.code, 0);
  t.deepEqual(found.notes, [`symbols from ${join(tree, 'build/Module.symvers')}`]);

  const { code, err } = await komulator('load', 'usr', '--modules', tree);
  t.is(code, 2);
  t.regex(err, /no module 'usr' in .*; did you mean user\?/);
});

test('a dependency that is refused: what needs it is not tried', async (t) => {
  const tree = join(dir, 'refused');
  mkdirSync(tree);
  for (const name of ['exporter', 'user', 'hello']) cpSync(module('x86_64', name), join(tree, `${name}.ko`));
  writeFileSync(
    join(tree, 'modules.dep'),
    'exporter.ko: missing.ko\nmissing.ko:\nuser.ko: exporter.ko missing.ko\nhello.ko:\n',
  );
  cpSync(module('x86_64', 'missing'), join(tree, 'missing.ko'));
  const { code, failed, skipped, modules } = await load('user', 'hello', '--modules', tree, ...x86);
  t.is(code, 1);
  t.deepEqual(
    failed.map(({ module: name, errno }) => [name, errno]),
    [['missing', 'ENOENT']],
  );
  t.deepEqual(
    skipped.map(({ module: name }) => name),
    ['exporter', 'user'],
  );
  t.deepEqual(
    modules.map(({ name }) => name),
    ['hello'],
  );
});

test('--place: sections lie where they are told to, the others where the loader puts them', async (t) => {
  const place = join(dir, 'place.json');
  writeFileSync(place, JSON.stringify({ hello: { '.init.text': '0xffffffffc1234000' } }));
  const { code, modules } = await load(module('x86_64', 'hello'), '--place', place, ...x86);
  t.is(code, 0);
  const at = (name: string): string | undefined => modules[0]?.sections.find((s) => s.name === name)?.addr;
  t.is(at('.init.text'), '0xffffffffc1234000');
  t.is(at('.exit.text'), '0xffffffffc0000000');
});

test('--place: the bytes follow', async (t) => {
  const place = join(dir, 'follow.json');
  writeFileSync(
    place,
    JSON.stringify({ hello: { '.init.text': '0xffffffffc1234000', '.rodata.str1.1': '0xffffffffc1300000' } }),
  );
  const out = join(dir, 'follow');
  await load(module('x86_64', 'hello'), '--place', place, '--dump', out, ...x86);
  const layout = JSON.parse(readFileSync(join(out, 'hello/layout.json'), 'utf8')) as {
    sections: (Section & { file: string })[];
  };
  const text = layout.sections.find(({ name }) => name === '.init.text')!;
  const bytes = readFileSync(join(out, 'hello', text.file));
  // mov $string, %rdi: the address of the string, sign extended.
  t.is(bytes.readInt32LE(3) & ~0xfff, 0xc1300000 | 0);
});

for (const [what, content, said] of [
  ['a module that is not loaded', { helo: {} }, /unknown module 'helo'; did you mean hello\?/],
  [
    'a section that is not there',
    { hello: { '.txt': '0x1000' } },
    /hello: unknown section '\.txt'; did you mean \.text\?/,
  ],
  [
    'a section number that is not there',
    { hello: { '#99': '0x1000' } },
    /there is no section #99; they are #1 to #\d+/,
  ],
  ['a number', { hello: { '.text': 4096 } }, /hello \.text: 4096 is no address; write it as "0x…"/],
  ['a decimal', { hello: { '.text': '4096' } }, /"4096" is no address/],
  ['a list', [], /expected \{"MODULE"/],
  ['a text for sections', { hello: 'x' }, /hello must be \{"SECTION"/],
] as const) {
  test(`--place refuses ${what}`, async (t) => {
    const file = join(dir, `${what.replaceAll(' ', '-')}.json`);
    writeFileSync(file, JSON.stringify(content));
    const { code, err } = await komulator('load', module('x86_64', 'hello'), '--place', file, ...x86);
    t.is(code, 2);
    t.regex(err, said);
  });
}

test('--place: broken JSON, and a name that occurs twice', async (t) => {
  const broken = join(dir, 'broken.json');
  writeFileSync(broken, '{');
  t.regex((await komulator('load', module('x86_64', 'hello'), '--place', broken)).err, /broken\.json: .*JSON/);

  const text = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, size: 16 };
  const twice = join(dir, 'twice.ko');
  writeFileSync(twice, ko(minimalModule({ sections: [text, { ...text, size: 0 }] })));
  const both = join(dir, 'both.json');
  writeFileSync(both, JSON.stringify({ minimal: { '.text': '0xffffffffc1000000' } }));
  const { code, err } = await komulator('load', twice, '--place', both);
  t.is(code, 2);
  t.regex(err, /2 sections are called \.text; say which: "#1", "#2"/);
  writeFileSync(both, JSON.stringify({ minimal: { '#2': '0xffffffffc1000000' } }));
  const { modules } = await load(twice, '--place', both);
  t.deepEqual(
    modules[0]?.sections.filter(({ name }) => name === '.text').map(({ addr }) => addr),
    ['0xffffffffc0000000', '0xffffffffc1000000'],
  );
});

test('--dump: layout.json and a file per section, init sections as they were when init ran', async (t) => {
  const out = join(dir, 'dump/deep');
  const { code, modules } = await load(module('x86_64', 'sections'), '--dump', out, ...x86);
  t.is(code, 0);
  const folder = join(out, 'sections');
  const layout = JSON.parse(readFileSync(join(folder, 'layout.json'), 'utf8')) as {
    name: string;
    state: string;
    sections: (Section & { file: string })[];
  };
  t.is(layout.name, 'sections');
  t.is(layout.state, 'LIVE');
  t.deepEqual(
    layout.sections.map(({ name, index, region, addr, size }) => ({ name, index, region, addr, size })),
    modules[0]?.sections as Section[],
  );
  t.is(new Set(layout.sections.map(({ file }) => file)).size, layout.sections.length);
  t.deepEqual([...layout.sections.map(({ file }) => file), 'layout.json'].toSorted(), readdirSync(folder).toSorted());
  for (const { file, size } of layout.sections) t.is(readFileSync(join(folder, file)).length, size);
  const init = layout.sections.find(({ region, size }) => region === 'init_text' && size > 0)!;
  t.true(readFileSync(join(folder, init.file)).some((byte) => byte !== 0));
});

test('--dump: per-CPU data is there, and names from a file stay inside of the folder', async (t) => {
  const evil = join(dir, 'evil.ko');
  const sections = [
    { name: '../../x', flags: SHF_ALLOC | SHF_WRITE, size: 8 },
    { name: '.data..percpu', flags: SHF_ALLOC | SHF_WRITE, data: [1, 2, 3, 4] },
  ];
  writeFileSync(evil, ko(minimalModule({ sections, thisModule: { name: '../evil' }, modinfo: { name: '../evil' } })));
  const out = join(dir, 'evil');
  const { code } = await load(evil, '--dump', out);
  t.is(code, 0);
  t.deepEqual(readdirSync(out), ['.._evil']);
  const folder = join(out, '.._evil');
  const { sections: dumped } = JSON.parse(readFileSync(join(folder, 'layout.json'), 'utf8')) as {
    sections: (Section & { file: string })[];
  };
  t.deepEqual(
    dumped.slice(0, 2).map(({ name, region }) => [name, region]),
    [
      ['../../x', 'data'],
      ['.data..percpu', 'percpu'],
    ],
  );
  t.deepEqual([...readFileSync(join(folder, dumped[1]!.file))], [1, 2, 3, 4]);
});

test('--dump into what is no folder, before anything is loaded', async (t) => {
  const file = join(dir, 'file');
  writeFileSync(file, '');
  for (const [path, said] of [
    [file, /file: is there already, and is no folder/],
    [join(file, 'below'), /below: not a directory/],
    // Where Node's recursive mkdir() tries for ever.
    ['/proc/komulator/below', /komulator\/below: no such file or directory/],
  ] as const) {
    const { code, out, err } = await komulator('load', module('x86_64', 'hello'), '--dump', path, ...x86);
    t.is(code, 2);
    t.regex(err, said);
    t.is(out, '');
  }
});

test("--config: a kernel's .config, or JSON", async (t) => {
  const config = join(dir, 'config');
  // A whole .config without MODVERSIONS: CRCs are not compared.
  writeFileSync(
    config,
    '# comment\nCONFIG_MODULES=y\nCONFIG_MODULE_UNLOAD=y\n# CONFIG_MODVERSIONS is not set\nCONFIG_LOCALVERSION="x"\n',
  );
  const file = join(dir, 'nomodversions.ko');
  writeFileSync(file, ko(minimalModule({ versions: [['module_layout', 1]] })));
  t.is((await load(file, ...x86)).code, 1);
  t.is((await load(file, '--config', config, ...x86)).code, 0);
  writeFileSync(config, '{"CONFIG_MODVERSIONS": false}');
  t.is((await load(file, '--config', config, ...x86)).code, 0);
  writeFileSync(config, '{"MODVERSIONS": "n"}');
  const { code, err } = await komulator('load', file, '--config', config);
  t.is(code, 2);
  t.regex(err, /MODVERSIONS is "n", not true, false or a number/);
});

test('C99: a module that is built into the kernel of the tree, if that one shows in /sys/module', async (t) => {
  const tree = join(dir, 'builtin');
  mkdirSync(tree);
  const modinfo = (text: string): void => writeFileSync(join(tree, 'modules.builtin.modinfo'), text);
  writeFileSync(join(tree, 'modules.dep'), '');
  const args = [module('x86_64', 'params'), '--modules', tree, ...x86];

  modinfo('params.license=GPL\0other.version=1\0unparams.parmtype=a:int\0');
  t.is((await load(...args)).code, 0);
  for (const key of ['version=1', 'parmtype=count:int']) {
    modinfo(`params.license=GPL\0params.${key}\0`);
    const { code, failed, log } = await load(...args);
    t.is(code, 1);
    t.deepEqual(
      failed.map(({ module: name, errno }) => [name, errno]),
      [['params', 'EINVAL']],
    );
    t.is(log.at(-1), 'params: module is already loaded');
  }
});
