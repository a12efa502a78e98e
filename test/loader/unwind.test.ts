/** A.2, the unwinding: each label in the kernel's order, and a kernel that is afterwards as it was before. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { ko } from '../../fixtures/build.ts';
import type { KoSpec } from '../../fixtures/build.ts';
import type { CheckId } from '../../loader/errors.ts';
import { LoadError } from '../../loader/errors.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { LoadOptions } from '../../loader/loading.ts';
import type { State } from '../../loader/module.ts';
import { Refusal } from '../../relocs/refusal.ts';
import type { Version } from '../../relocs/module-view.ts';
import {
  archOf,
  type BenchOptions,
  exported,
  importing,
  kernelOf,
  moduleFor,
  snapshot,
  specFor,
  versions,
} from './bench.ts';

/** From the last label to the first. */
const LABELS = [
  'coming_cleanup',
  'bug_cleanup',
  'ddebug_cleanup',
  'free_arch_cleanup',
  'free_modinfo',
  'free_unload',
  'unlink_mod',
  'free_module',
  'free_copy',
] as const;
type Label = (typeof LABELS)[number];

const TEXT = { name: '.text', flags: 6, align: 16, size: 16 } as const;
const PERCPU = { name: '.data..percpu', flags: 3, align: 8, size: 16 } as const;

/** What a module under test has to give back: references, exports, per-CPU and other memory. */
const rich = (version: Version, more: Partial<KoSpec> = {}): Uint8Array => {
  const { sections, relocs } = importing('theirs');
  return moduleFor(version, {
    imports: ['theirs', 'nobody'],
    sections: [...(sections ?? []), PERCPU, ...(more.sections ?? [])],
    ...(relocs ? { relocs } : {}),
    symbols: [{ name: 'mine', section: '.text' }, { name: 'mine2', section: '.text' }, ...(more.symbols ?? [])],
    exports: more.exports ?? [
      { name: 'mine', crc: 1 },
      { name: 'mine2', crc: 1, gpl: true },
    ],
    ...(more.thisModule ? { thisModule: more.thisModule } : {}),
    ...(more.modinfo ? { modinfo: more.modinfo } : {}),
    ...(more.headers ? { headers: more.headers } : {}),
  });
};

/** A kernel with something in it: a module that exports `theirs`, and one that uses it. */
const inhabited = (version: Version, options: BenchOptions = {}): Kernel => {
  const kernel = kernelOf(version, { exports: [exported('known')], ...options });
  const lib = {
    thisModule: { name: 'lib' },
    sections: [TEXT, PERCPU],
    symbols: [{ name: 'theirs', section: '.text' }],
    exports: [{ name: 'theirs', crc: 0x1234 }],
  };
  insmod(kernel, moduleFor(version, lib));
  insmod(kernel, moduleFor(version, { thisModule: { name: 'peer' }, imports: ['theirs'], ...importing('theirs') }));
  return kernel;
};

/** Loads step by step; gives the labels of the unwinding, the state at each, and the error. */
function unwind(
  kernel: Kernel,
  file: Uint8Array,
  options: LoadOptions = {},
): { labels: string[]; states: (State | undefined)[]; error: LoadError } {
  const labels: string[] = [];
  const states: (State | undefined)[] = [];
  const steps = loadModule(kernel, file, options);
  try {
    for (let next = steps.next(); !next.done; next = steps.next()) {
      const { step, unwinding, load } = next.value;
      if (unwinding !== true) continue;
      labels.push(step);
      states.push(load.module?.state);
    }
  } catch (error) {
    if (error instanceof LoadError) return { labels, states, error };
    throw error;
  }
  throw new Error('it loaded');
}

/** A refusal with `check` goes to `label` and falls through from there; nothing of the load is left. */
function goesTo(
  t: ExecutionContext,
  kernel: Kernel,
  label: Label,
  check: CheckId,
  file: Uint8Array,
  options: LoadOptions = {},
): void {
  const before = snapshot(kernel);
  const taken = kernel.memory.ranges.length;
  const { labels, error } = unwind(kernel, file, options);
  t.is(error.check, check, error.reason);
  t.deepEqual(labels, LABELS.slice(LABELS.indexOf(label)));
  t.deepEqual(snapshot(kernel), before);
  t.is(kernel.memory.ranges.length, taken);
  // And so the same load fails in the same way again.
  t.deepEqual(unwind(kernel, file, options).labels, labels);
}

for (const version of versions) {
  test(`${version}: free_copy: refused before it was allocated`, (t) => {
    const k = inhabited(version);
    goesTo(t, k, 'free_copy', 'C29', rich(version).slice(0, 10));
    goesTo(t, k, 'free_copy', 'C60', rich(version, { modinfo: { vermagic: 'x' } }));
    goesTo(t, k, 'free_copy', 'C66', rich(version, { sections: [{ name: '.wx', flags: 7, size: 4 }] }));
    goesTo(
      t,
      k,
      'free_copy',
      'C67',
      rich(version, { sections: [{ name: '.bss', flags: 3, type: 8, size: 0x7000_0000 }] }),
    );
    if (version !== '6.1') goesTo(t, k, 'free_copy', 'C62', rich(version, { thisModule: { name: 'lib' } }));
  });

  test(`${version}: free_module: the name was taken meanwhile`, (t) => {
    const k = inhabited(version);
    const first = loadModule(k, rich(version));
    const step = (): string | undefined => {
      const next = first.next();
      return next.done ? undefined : next.value.step;
    };
    while (step() !== 'layout_and_allocate');
    const ranges = k.memory.ranges.length;
    const second = insmod(k, moduleFor(version));
    const before = snapshot(k) as { ranges: unknown };
    const labels: (string | undefined)[] = [];
    const error = t.throws<LoadError>(
      () => {
        for (let label = step(); label !== undefined; label = step()) labels.push(label);
      },
      { instanceOf: LoadError },
    );
    t.is(error?.check, 'C70');
    t.is(error?.errno, 'EEXIST');
    t.deepEqual(labels, ['free_module', 'free_copy']);
    t.is(k.modules[0], second);
    t.true(k.memory.ranges.length < ranges + Object.keys(second.memory).length);
    t.deepEqual({ ...(snapshot(k) as object), ranges: 0 }, { ...before, ranges: 0 });
    if (version === '6.1') goesTo(t, k, 'free_module', 'C70', rich(version, { thisModule: { name: 'lib' } }));
  });

  test(`${version}: unlink_mod: no per-CPU memory`, (t) => {
    goesTo(t, inhabited(version, { percpuReserve: 16 }), 'unlink_mod', 'C71', rich(version));
  });

  test(`${version}: free_unload: sections that cannot be`, (t) => {
    const k = inhabited(version, { config: { CONSTRUCTORS: true } });
    const both = [
      { name: '.ctors', flags: 3, size: 8 },
      { name: '.init_array', flags: 3, size: 8 },
    ];
    goesTo(t, k, 'free_unload', 'C72', rich(version, { sections: both }));
    goesTo(t, k, 'free_unload', 'C74', rich(version, { exports: [{ name: 'mine' }] }));
  });

  test(`${version}: free_modinfo: symbols, relocations, the architecture's finish`, (t) => {
    const k = inhabited(version);
    if (version === '7.2') goesTo(t, k, 'free_modinfo', 'C75', rich(version, { modinfo: { import_ns: 'module:x' } }));
    goesTo(t, k, 'free_modinfo', 'C79', rich(version, { symbols: [{ name: 'nobody' }] }));
    goesTo(t, k, 'free_modinfo', 'C90', rich(version, { headers: { '.data': { sh_size: 4 } } }));
    const cleaned: string[] = [];
    const arch = {
      ...archOf('x86_64'),
      cleanup: ({ name }: { name: string }) => void cleaned.push(name),
      finalize: ({ name }: { name: string }): void => {
        if (name === 'minimal') throw new Refusal('EINVAL', 'because');
      },
    };
    goesTo(t, inhabited(version, { arch }), 'free_modinfo', 'C91', rich(version));
    t.deepEqual(cleaned, [], 'H26: module_arch_cleanup() is not called when module_finalize() refuses');
  });

  test(`${version}: ddebug_cleanup: an export that another has, and the architecture cleans up`, (t) => {
    const cleaned: string[] = [];
    const arch = { ...archOf('x86_64'), cleanup: ({ name }: { name: string }) => void cleaned.push(name) };
    const k = inhabited(version, { arch });
    goesTo(t, k, 'ddebug_cleanup', 'C93', rich(version, { exports: [{ name: 'known', symbol: 'mine', crc: 1 }] }));
    t.deepEqual(cleaned, ['minimal', 'minimal']);
  });

  test(`${version}: bug_cleanup: livepatch refuses`, (t) => {
    goesTo(t, inhabited(version), 'bug_cleanup', 'C95', rich(version, { thisModule: { name: 'vmlinux' } }));
  });

  test(`${version}: coming_cleanup: parameters, sysfs`, (t) => {
    const ops = { exports: [exported('known'), exported('param_ops_int', { value: 0xffff_ffff_8200_0000n })] };
    const spec = specFor(version, {
      imports: ['theirs', 'param_ops_int'],
      sections: [
        TEXT,
        PERCPU,
        { name: '.data', flags: 3, align: 8, size: 8 },
        { name: '.rodata.str', flags: 2, data: 'count\0' },
        { name: '__param', flags: 2, align: 8, size: 40 },
      ],
      relocs: {
        '.data': [{ offset: 0, type: 1, symbol: 'theirs' }],
        __param: [
          { offset: 0, type: 1, symbol: '.rodata.str' },
          { offset: 16, type: 1, symbol: 'param_ops_int' },
          { offset: 32, type: 1, symbol: '.data' },
        ],
      },
      symbols: [{ name: 'mine', section: '.text' }],
      exports: [{ name: 'mine', crc: 1 }],
    });
    goesTo(t, inhabited(version, ops), 'coming_cleanup', 'C97', ko(spec), { params: 'count=x' });
    goesTo(t, inhabited(version, { ...ops, builtin: ['minimal'] }), 'coming_cleanup', 'C99', ko(spec), {
      params: 'count=1',
    });
    goesTo(t, inhabited(version), 'coming_cleanup', 'C100', rich(version, { thisModule: { name: '' } }));
    const { states } = unwind(inhabited(version, { builtin: ['minimal'] }), rich(version));
    t.is(states[0], 'GOING', 'others see it go');
  });

  test(`${version}: a failing init takes its own way out, without labels`, (t) => {
    const k = inhabited(version);
    const before = snapshot(k);
    const { labels, error } = unwind(k, rich(version), { behaviour: { init: () => -12 } });
    t.deepEqual(labels, []);
    t.is(error.errno, 'ENOMEM');
    t.deepEqual(snapshot(k), before);
  });

  test(`${version}: labels are yielded after what they stand for has been done`, (t) => {
    const k = inhabited(version, { builtin: ['minimal'] });
    const lib = k.findModule('lib')!;
    const seen: Record<string, unknown> = {};
    const steps = loadModule(k, rich(version));
    t.throws(() => {
      for (let next = steps.next(); !next.done; next = steps.next()) {
        const { step, unwinding, load } = next.value;
        if (unwinding !== true) continue;
        const m = load.module!;
        seen[step] = [
          lib.refcnt,
          k.modules.includes(m),
          k.moduleExports.has('mine'),
          m.percpu !== undefined,
          Object.keys(m.memory).length > 0,
        ];
      }
    });
    t.deepEqual(seen, {
      coming_cleanup: [3, true, true, true, true],
      bug_cleanup: [3, true, true, true, true],
      ddebug_cleanup: [3, true, true, true, true],
      free_arch_cleanup: [3, true, true, true, true],
      free_modinfo: [3, true, true, true, true],
      free_unload: [2, true, true, true, true],
      unlink_mod: [2, false, false, true, true],
      free_module: [2, false, false, false, false],
      free_copy: [2, false, false, false, false],
    });
  });
}
