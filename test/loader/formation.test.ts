/** C65, C72, C91, C95, C97, C99, C100: from a relocated module to one that is COMING. */
import test from 'ava';
import type { KoReloc, KoSection, KoSpec } from '../../fixtures/build.ts';
import { loadModule } from '../../loader/load.ts';
import { NOTIFY_OK } from '../../loader/notifier.ts';
import { sysModule } from '../../loader/proc.ts';
import type { Config } from '../../relocs/module-view.ts';
import {
  archOf,
  exported,
  kernelOf,
  loads,
  moduleFor,
  type Profile,
  refuses,
  UNSIGNED,
  unsigned,
  versions,
} from './bench.ts';

const TEXT = { name: '.text', flags: 6, align: 16, size: 16 } as const;

/** `__param` of x86-64 with one int `count` in `.data`, as module_param() makes it. */
const param = (flags = 0): Partial<KoSpec> => ({
  sections: [
    TEXT,
    { name: '.data', flags: 3, align: 4, data: [5, 0, 0, 0] },
    { name: '.rodata.str', flags: 2, data: 'count\0' },
    {
      name: '__param',
      flags: 2,
      align: 8,
      data: [...Array<number>(24).fill(0), 0xa4, 1, 0xff, flags, ...Array<number>(12).fill(0)],
    },
  ],
  relocs: {
    __param: [
      { offset: 0, type: 1, symbol: '.rodata.str' },
      { offset: 16, type: 1, symbol: 'param_ops_int' },
      { offset: 32, type: 1, symbol: '.data' },
    ] satisfies KoReloc[],
  },
});
const withParams = { exports: [exported('param_ops_int', { value: 0xffff_ffff_8200_0000n })] };
const parametric = (version: Profile, flags = 0): Uint8Array =>
  moduleFor(version, { imports: ['param_ops_int'], ...param(flags) });

for (const version of versions) {
  const kernel = (more: Parameters<typeof kernelOf>[1] = {}): ReturnType<typeof kernelOf> => kernelOf(version, more);
  const config = (on: Config): ReturnType<typeof kernelOf> => kernel({ config: on });
  const sections = (...more: KoSection[]): Uint8Array => moduleFor(version, { sections: [TEXT, ...more] });

  test(`${version}: C72 constructors of two compilers`, (t) => {
    const ctors: KoSection = { name: '.ctors', flags: 3, size: 8 };
    const init: KoSection = { name: '.init_array', flags: 3, size: 8 };
    const on = { CONSTRUCTORS: true };
    refuses(t, config(on), sections(ctors, init), {
      errno: 'EINVAL',
      check: 'C72',
      log: [...UNSIGNED, 'minimal: has both .ctors and .init_array.'],
      step: 'find_module_sections',
    });
    loads(t, config(on), sections(ctors));
    loads(t, config(on), sections(init));
    loads(t, config(on), sections({ ...ctors, flags: 1 }, init));
    loads(t, config(on), sections(ctors, { ...init, flags: 1 }));
    loads(t, config({ CONSTRUCTORS: false }), sections(ctors, init));
  });

  test(`${version}: obsolete parameters are said to be ignored`, (t) => {
    loads(t, kernel(), sections({ name: '__obsparm', flags: 2, size: 1 }), [
      ...UNSIGNED,
      'minimal: Ignoring obsolete parameters',
    ]);
    loads(t, kernel(), sections({ name: '__obsparm', size: 1 }));
  });

  test(`${version}: version= and srcversion= are kept`, (t) => {
    const m = loads(
      t,
      kernel(),
      moduleFor(version, { modinfo: { version: '1.2', srcversion: 'ABC', import_ns: ['A', 'B'] } }),
    );
    t.deepEqual([m?.versionString, m?.srcversion, m?.importedNamespaces], ['1.2', 'ABC', ['A', 'B']]);
    const bare = loads(t, kernel(), moduleFor(version));
    t.deepEqual([bare?.versionString, bare?.srcversion, bare?.importedNamespaces], [undefined, undefined, []]);
  });

  test(`${version}: C65 and C91 the architecture refuses before layout and behind relocation`, (t) => {
    const arch = archOf('arm64');
    const file = (lost: string): Uint8Array =>
      moduleFor(version, { machine: 183, headers: { [lost]: { sh_name: 0 } } });
    refuses(t, kernel({ arch }), file('.plt'), {
      errno: 'ENOEXEC',
      check: 'C65',
      log: ['minimal: module PLT section(s) missing'],
      step: 'module_frob_arch_sections',
    });
    refuses(t, kernel({ arch }), file('.text.ftrace_trampoline'), {
      errno: 'ENOEXEC',
      check: 'C91',
      log: UNSIGNED,
      step: 'post_relocation',
    });
    loads(t, kernel({ arch, config: { DYNAMIC_FTRACE: false } }), file('.text.ftrace_trampoline'));
  });

  test(`${version}: C95 livepatch keeps the name vmlinux`, (t) => {
    const file = moduleFor(version, { thisModule: { name: 'vmlinux' } });
    const k = kernel();
    k.notifiers.register({
      name: 'listener',
      call: (event) => (t.fail(`${event} is told, before livepatch`), NOTIFY_OK),
    });
    refuses(t, k, file, {
      errno: 'EINVAL',
      check: 'C95',
      log: [unsigned('vmlinux'), 'livepatch: vmlinux.ko: invalid module name'],
      step: 'prepare_coming_module',
    });
    loads(t, config({ LIVEPATCH: false }), file, [unsigned('vmlinux')]);
  });

  test(`${version}: parameters reach the module's memory`, (t) => {
    const m = loads(t, kernel(withParams), parametric(version), UNSIGNED, { params: 'count=-2' })!;
    t.deepEqual([...m.params], [['count', -2n]]);
    t.deepEqual([...m.sections[2]!.bytes], [0xfe, 0xff, 0xff, 0xff]);
    const without = loads(t, kernel(withParams), parametric(version))!;
    t.deepEqual([...without.sections[2]!.bytes], [5, 0, 0, 0]);
  });

  test(`${version}: C97 a bad parameter refuses, an unknown one does not`, (t) => {
    const bad = (params: string, errno: 'EINVAL' | 'ERANGE', ...lines: string[]): void => {
      refuses(
        t,
        kernel(withParams),
        parametric(version),
        { errno, check: 'C97', log: [...UNSIGNED, ...lines], step: 'parse_args' },
        { params },
      );
    };
    bad('count=x', 'EINVAL', "minimal: `x' invalid for parameter `count'");
    bad('count', 'EINVAL', "minimal: `' invalid for parameter `count'");
    bad('count=2147483648', 'ERANGE', "minimal: `2147483648' invalid for parameter `count'");
    // The rest is still looked at, and the last error counts.
    bad(
      'count=2147483648 other count=x',
      'EINVAL',
      "minimal: `2147483648' invalid for parameter `count'",
      "minimal: unknown parameter 'other' ignored",
      "minimal: `x' invalid for parameter `count'",
    );
    loads(t, kernel(withParams), parametric(version), UNSIGNED, { params: 'count=2147483647' });
    loads(t, kernel(withParams), parametric(version), [...UNSIGNED, "minimal: unknown parameter 'other' ignored"], {
      params: 'other=1',
    });
    const dashes = "minimal: parameters 'init=/bin/sh x' after `--' ignored";
    loads(t, kernel(withParams), parametric(version), [...UNSIGNED, dashes], { params: 'count=1 -- init=/bin/sh x' });
  });

  test(`${version}: async_probe and dangerous parameters`, (t) => {
    t.is(loads(t, kernel(withParams), parametric(version), UNSIGNED, { params: 'async_probe' })?.asyncProbe, true);
    t.is(loads(t, kernel(withParams), parametric(version), UNSIGNED, { params: 'async_probe=0' })?.asyncProbe, false);
    const k = kernel(withParams);
    loads(t, k, parametric(version, 1), [...UNSIGNED, 'Setting dangerous option count - tainting kernel'], {
      params: 'count=1',
    });
    t.true(k.taints.has('USER'));
  });

  test(`${version}: C97 lockdown keeps hardware parameters`, (t) => {
    const k = kernel({ ...withParams, config: { LOCKDOWN: true, MODULE_SIG: false } });
    refuses(
      t,
      k,
      parametric(version, 2),
      {
        errno: 'EPERM',
        check: 'C97',
        log: [
          'Lockdown: insmod: unsafe module parameters is restricted; see man kernel_lockdown.7',
          "minimal: `1' invalid for parameter `count'",
        ],
      },
      { params: 'count=1' },
    );
    loads(t, k, parametric(version, 2), []);
    loads(t, kernel(withParams), parametric(version, 2), UNSIGNED, { params: 'count=1' });
  });

  test(`${version}: C99 a name that is built in`, (t) => {
    const k = kernel({ builtin: ['minimal'] });
    const expected = { errno: 'EINVAL', check: 'C99', step: 'mod_sysfs_setup' } as const;
    refuses(t, k, moduleFor(version), { ...expected, log: [...UNSIGNED, 'minimal: module is already loaded'] });
    loads(t, k, moduleFor(version, { thisModule: { name: 'other' } }), []);
  });

  test(`${version}: C100 a module without a name, and files of the same name in sysfs`, (t) => {
    refuses(t, kernel(), moduleFor(version, { thisModule: { name: '' }, modinfo: { name: 'x' } }), {
      errno: 'EINVAL',
      check: 'C100',
      log: [unsigned('')],
    });
    const twice = (size: number, flags = 2): Uint8Array =>
      sections({ name: '.twice', flags: 2, size: 1 }, { name: '.twice', flags, size });
    const line = "sysfs: cannot create duplicate filename '/module/minimal/sections/.twice'";
    if (version === '6.1') loads(t, kernel(), twice(1), [...UNSIGNED, line]);
    else refuses(t, kernel(), twice(1), { errno: 'EEXIST', check: 'C100', log: [...UNSIGNED, line] });
    loads(t, kernel(), twice(0));
    loads(t, kernel(), twice(1, 0));
    loads(t, config({ KALLSYMS: false }), twice(1));
  });

  test(`${version}: C100 what sysfs refuses is gone from it before the load is undone`, (t) => {
    t.pass();
    // It goes on without the directory.
    if (version === '6.1') return;
    const k = kernel();
    const file = sections({ name: '.twice', flags: 2, size: 1 }, { name: '.twice', flags: 2, size: 1 });
    const steps = loadModule(k, file);
    const shown: string[] = [];
    const look = (): void => {
      for (let next = steps.next(); !next.done; next = steps.next())
        if (next.value.unwinding === true) shown.push(`${next.value.step} ${sysModule(k).size}`);
    };
    t.throws(look, { message: /^EEXIST/ });
    t.is(shown[0], 'coming_cleanup 0');
    t.deepEqual(
      shown.filter((step) => !step.endsWith(' 0')),
      [],
    );
  });
}
