/** /proc/modules, /sys/module and lsmod at every moment of a load and an unload. */
import test from 'ava';
import { existsSync, readFileSync } from 'node:fs';
import { arches, insmod, Kernel, parseSymvers, parseSystemMap, rmmod, withAddresses } from '../../loader/index.ts';
import { loadModule } from '../../loader/load.ts';
import type { Behaviour } from '../../loader/module.ts';
import { lsmod, procModules, sysModule } from '../../loader/proc.ts';
import { tryModuleGet } from '../../loader/refcount.ts';
import { deleteModule } from '../../loader/unload.ts';
import { importing, kernelOf, moduleFor, versions } from './bench.ts';

const plain: Behaviour = { init: () => 0, exit: () => undefined };
const lsmodHead = 'Module                  Size  Used by\n';

for (const version of versions) {
  const lib = moduleFor(version, {
    thisModule: { name: 'lib' },
    symbols: [{ name: 'theirs', section: '.text' }],
    exports: [{ name: 'theirs', crc: 0x1234 }],
  });
  const user = (name: string): Uint8Array =>
    moduleFor(version, { thisModule: { name }, imports: ['theirs'], ...importing('theirs') });

  test(`${version}: one module, from before its load to after its unload`, (t) => {
    const k = kernelOf(version);
    const seen: string[] = [];
    const look = (step: string): void => {
      const files = sysModule(k);
      const line = procModules(k)
        .replace(/^(\S+) \d+ /, '$1 SIZE ')
        .replace(/ 0x[0-9a-f]{16}/, ' ADDRESS');
      const sys = [...files.keys()].some((path) => !path.startsWith('minimal/')) ? 'not minimal' : `${files.size > 0}`;
      const now = `${line.trimEnd()} | ${sys} ${files.get('minimal/initstate')?.trim() ?? ''} ${files.get('minimal/refcnt')?.trim() ?? ''}`;
      if (seen.at(-1)?.split(': ')[1] !== now) seen.push(`${step}: ${now}`);
    };
    const steps = loadModule(k, moduleFor(version), { behaviour: plain });
    for (let next = steps.next(); !next.done; next = steps.next()) look(next.value.step);
    for (const { step } of deleteModule(k, 'minimal')) look(step);
    t.deepEqual(seen, [
      'module_sig_check:  | false  ',
      'complete_formation: minimal SIZE 1 - Loading ADDRESS (E+) | false  ',
      'mod_sysfs_setup: minimal SIZE 1 - Loading ADDRESS (E+) | true coming 1',
      'do_init_module: minimal SIZE 0 - Live ADDRESS (E) | true live 0',
      'try_stop_module: minimal SIZE -1 - Unloading ADDRESS (E-) | true going -1',
      'mod_sysfs_teardown: minimal SIZE -1 - Unloading ADDRESS (E-) | false  ',
      'module_state_unformed:  | false  ',
    ]);
  });

  test(`${version}: users, newest first, and holders that come and go with their own directory`, (t) => {
    const k = kernelOf(version, { config: { MODULE_SIG: false } });
    const m = insmod(k, lib, { behaviour: plain });
    for (const name of ['a', 'b']) insmod(k, user(name), { behaviour: { init: () => 0 } });
    tryModuleGet(m);
    const coresize = m.size;
    const size = k.findModule('a')!.size;
    const base = (name: string): string => {
      const { memory } = k.findModule(name)!;
      return `0x${(memory.text ?? memory.core)!.base.toString(16)}`;
    };
    t.is(
      procModules(k),
      [
        `b ${size} 0 [permanent], Live ${base('b')}\n`,
        `a ${size} 0 [permanent], Live ${base('a')}\n`,
        `lib ${coresize} 3 b,a, Live ${base('lib')}\n`,
      ].join(''),
    );
    t.is(
      lsmod(k),
      `${lsmodHead}b                   ${String(size).padStart(8)}  0\na                   ${String(size).padStart(8)}  0\n` +
        `lib                 ${String(coresize).padStart(8)}  3 b,a\n`,
    );
    const steps = loadModule(k, user('c'));
    let next = steps.next();
    while (!next.done && next.value.step !== 'parse_args') next = steps.next();
    // It uses lib already, and nobody can see it in sysfs yet.
    t.true(procModules(k).includes('lib'));
    t.regex(procModules(k), /^lib \d+ 4 c,b,a, Live/m);
    const held = (): string[] =>
      [...sysModule(k)].filter(([path]) => path.includes('/holders/')).map((at) => at.join(' '));
    t.deepEqual(held(), ['lib/holders/b ../../b', 'lib/holders/a ../../a']);
    t.regex(lsmod(k), /^c {25}-2 {2}-2$/m);
    while (!next.done) next = steps.next();
    t.deepEqual(held(), ['lib/holders/c ../../c', 'lib/holders/b ../../b', 'lib/holders/a ../../a']);
    const going = deleteModule(k, 'c');
    while (going.next().value?.step !== 'mod_sysfs_teardown') continue;
    t.is(held().length, 2);
    t.regex(procModules(k), /^lib \d+ 4 c,b,a, Live/m);
    while (!going.next().done) continue;
    t.regex(procModules(k), /^lib \d+ 3 b,a, Live/m);
  });

  test(`${version}: sizes before and after init, section addresses, and what a stranger is shown`, (t) => {
    const k = kernelOf(version, { config: { MODULE_SIG: false } });
    const file = moduleFor(version, {
      sections: [
        { name: '.text', flags: 6, size: 1 },
        { name: '.init.text', flags: 6, data: [0xc3] },
        { name: '.empty', flags: 2, size: 0 },
      ],
      modinfo: { version: '1.2', srcversion: 'ABC' },
    });
    const steps = loadModule(k, file);
    let next = steps.next();
    while (!next.done && next.value.step !== 'mod_sysfs_setup') next = steps.next();
    const m = k.modules[0]!;
    const init = (m.memory.init_text ?? m.memory.init)!;
    const inits = Object.entries(m.memory).reduce((sum, [r, { size }]) => sum + (r.startsWith('init') ? size : 0), 0);
    const read = (path: string): string | undefined => sysModule(k).get(`minimal/${path}`);
    t.is(read('initsize'), `${inits}\n`);
    t.is(Number(read('initsize')) + Number(read('coresize')), m.size);
    while (!next.done) next = steps.next();
    t.is(read('initsize'), '0\n');
    t.is(read('coresize'), `${m.size}\n`);
    t.is(read('sections/.init.text'), `0x${init.base.toString(16)}\n`);
    t.is(read('sections/.empty'), undefined);
    t.is(read('version'), '1.2\n');
    t.is(read('srcversion'), 'ABC\n');
    t.is(read('taint'), '\n');
    const hidden = { hidden: true };
    t.is(sysModule(k, hidden).get('minimal/sections/.text'), `0x${'0'.repeat(16)}\n`);
    t.is(procModules(k, hidden), `minimal ${m.size} 0 - Live 0x${'0'.repeat(16)}\n`);
  });

  test(`${version}: without MODULE_UNLOAD nobody knows who uses what`, (t) => {
    const k = kernelOf(version, { config: { MODULE_UNLOAD: false, MODULE_SIG: false } });
    insmod(k, lib);
    insmod(k, user('a'));
    t.regex(procModules(k), /^a \d+ - - Live 0x[0-9a-f]{16}\nlib \d+ - - Live 0x[0-9a-f]{16}\n$/);
    t.deepEqual(
      [...sysModule(k).keys()].filter((path) => /refcnt|holders/.test(path)),
      [],
    );
    t.regex(lsmod(k), /^lib +\d+ {2}-2$/m);
  });

  test(`${version}: import_ns has a file since 7.2; two sections of one name leave 6.1 without the directory`, (t) => {
    const k = kernelOf(version);
    insmod(
      k,
      moduleFor(version, {
        modinfo: [
          ...['A', 'B'].map((ns) => `import_ns=${ns}`),
          'license=GPL',
          'name=minimal',
          `vermagic=${k.vermagic}`,
        ],
      }),
    );
    t.is(sysModule(k).get('minimal/import_ns'), version === '7.2' ? 'A\nB\n' : undefined);
    const twice = { name: '.data', flags: 3, size: 4 };
    const file = moduleFor(version, { thisModule: { name: 'twice' }, sections: [twice, twice] });
    if (version !== '6.1') return void t.throws(() => insmod(k, file));
    insmod(k, file);
    t.deepEqual(
      [...sysModule(k).keys()].filter((path) => path.startsWith('twice/sections')),
      [],
    );
    t.true(sysModule(k).has('twice/initstate'));
  });
}

for (const machine of ['x86_64', 'ppc', 's390x', 'riscv64']) {
  const dir = new URL(`../../fixtures/ko/${machine}/`, import.meta.url);
  if (!existsSync(dir)) continue;

  test(`parameters of a real module as files: ${machine}`, (t) => {
    const { e_machine, elfClass, endian } = (
      JSON.parse(readFileSync(new URL('../../fixtures/kernels.json', import.meta.url), 'utf8')) as Record<
        string,
        { e_machine: number; elfClass: number; endian: 'little' | 'big' }
      >
    )[machine]!;
    const arch = arches.find((a) => a.e_machine.includes(e_machine) && a.is64 === (elfClass === 64))!;
    const text = (file: string): string => readFileSync(new URL(file, dir), 'utf8');
    const exports = withAddresses(
      parseSymvers(text('Module.symvers')).filter(({ owner }) => owner === 'vmlinux'),
      parseSystemMap(text('System.map')),
    );
    const shown = (params: string): Record<string, string> => {
      const kernel = new Kernel({ arch, version: '7.2', order: endian, exports });
      insmod(kernel, readFileSync(new URL('params.ko', dir)), { params });
      const files = [...sysModule(kernel)].filter(([path]) => path.startsWith('params/parameters/'));
      rmmod(kernel, 'params');
      t.is(sysModule(kernel).size, 0);
      return Object.fromEntries(files.map(([path, value]) => [path.slice('params/parameters/'.length), value]));
    };
    // whom has mode 0 and so no file; nobody has given limits, of which there are none then.
    t.deepEqual(shown(''), { count: '3\n', quiet: 'N\n', limits: '', label: 'none\n' });
    t.deepEqual(shown('count=-2 quiet whom=you limits=7,-1 label=short'), {
      count: '-2\n',
      quiet: 'Y\n',
      limits: '7,-1\n',
      label: 'short\n',
    });
  });
}
