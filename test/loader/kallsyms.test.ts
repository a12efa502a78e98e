/** Addresses of modules as symbols, and /proc/kallsyms: B.5, and find_kallsyms_symbol() in section G. */
import test from 'ava';
import { STB_WEAK, STT_FUNC, STT_OBJECT } from '../../fixtures/build.ts';
import type { KoSpec } from '../../fixtures/build.ts';
import { moduleAddress, moduleAddressLookup, procKallsyms } from '../../loader/kallsyms.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { insmod, loadModule } from '../../loader/load.ts';
import type { Module } from '../../loader/module.ts';
import { moduleTextAddress } from '../../loader/symbol-get.ts';
import { archOf, kernelOf, moduleFor, versions } from './bench.ts';

const TEXT = { name: '.text', flags: 6, align: 16, size: 0x40 };
const DATA = { name: '.data', flags: 3, align: 16, size: 0x10 };
const BSS = { name: '.bss', flags: 3, type: 8, align: 16, size: 0x10 };
const INIT = { name: '.init.text', flags: 6, align: 16, size: 0x10 };
const symbols: KoSpec['symbols'] = [
  { name: 'f', section: '.text', value: 0x10, type: STT_FUNC },
  { name: 'g', section: '.text', value: 0x20, type: STT_FUNC },
  { name: 'd', section: '.data', value: 8 },
  { name: 'setup', section: '.init.text', value: 4 },
];
const section = (m: Module, name: string): bigint => m.sections.find((s) => s.name === name)!.sh_addr;
const at = (k: Kernel, address: bigint): string | undefined => {
  const found = moduleAddressLookup(k, address);
  return found && `${found.name}+0x${found.offset.toString(16)}/0x${found.size.toString(16)} [${found.module.name}]`;
};

for (const version of versions) {
  const sections = [TEXT, DATA, INIT, BSS];

  test(`${version}: the symbol before an address; its size goes to the next one`, (t) => {
    const k = kernelOf(version);
    const m = insmod(k, moduleFor(version, { sections, symbols }));
    const text = section(m, '.text');
    t.is(at(k, text + 0x10n), 'f+0x0/0x10 [minimal]');
    t.is(at(k, text + 0x14n), 'f+0x4/0x10 [minimal]');
    t.is(at(k, text + 0x1fn), 'f+0xf/0x10 [minimal]');
    // The last one ends with its region.
    t.is(at(k, text + 0x3fn), 'g+0x1f/0xfe0 [minimal]');
    // In 6.1 nothing is asked about where a symbol lies, so there a zero-valued symbol is all that is missing.
    t.is(at(k, text + 0xfn), undefined);
    t.is(at(k, text - 1n), undefined);
    t.is(at(k, 0xffff_ffff_8100_0000n), undefined, "not a module's");
    const data = section(m, '.data');
    // Next comes struct module; in 6.1 the end of the text, which lies before it: the size is what subtracting leaves.
    const size =
      version === '6.1'
        ? BigInt.asUintN(64, text + 0x1000n - data - 8n)
        : section(m, '.gnu.linkonce.this_module') - data - 8n;
    t.is(at(k, data + 0xcn), `d+0x4/0x${size.toString(16)} [minimal]`);
  });

  test(`${version}: without KALLSYMS_ALL only text has names, and without KALLSYMS nothing`, (t) => {
    const k = kernelOf(version, { config: { KALLSYMS_ALL: false } });
    const m = insmod(k, moduleFor(version, { sections, symbols }));
    t.is(at(k, section(m, '.text') + 0x10n), 'f+0x0/0x10 [minimal]');
    // 6.1 takes the nearest of the symbols that are left.
    const last = at(k, section(m, '.data') + 8n);
    if (version === '6.1') t.regex(last!, /^g\+/);
    else t.is(last, undefined);
    const none = kernelOf(version, { config: { KALLSYMS: false } });
    const n = insmod(none, moduleFor(version, { sections, symbols }));
    t.is(at(none, section(n, '.text') + 0x10n), undefined);
    t.is(procKallsyms(none), '');
  });

  test(`${version}: init code has its symbols until init is over, and init can ask for them`, (t) => {
    const k = kernelOf(version);
    const seen: (string | undefined)[] = [];
    const init = (m: Module): number => {
      seen.push(at(k, section(m, '.init.text') + 6n), at(k, section(m, '.text') + 0x10n));
      seen.push(`${procKallsyms(k).includes(' t setup\t[minimal]')}`);
      return 0;
    };
    const m = insmod(k, moduleFor(version, { sections, symbols }), { behaviour: { init } });
    t.deepEqual(seen, ['setup+0x2/0xffc [minimal]', 'f+0x0/0x10 [minimal]', 'true']);
    t.is(at(k, section(m, '.init.text') + 6n), undefined);
    t.false(procKallsyms(k).includes('setup'));
  });

  test(`${version}: an UNFORMED module has no names`, (t) => {
    const k = kernelOf(version);
    const steps = loadModule(k, moduleFor(version, { sections, symbols }));
    for (let next = steps.next(); !next.done && next.value.step !== 'post_relocation'; ) next = steps.next();
    t.is(k.modules[0]!.state, 'UNFORMED');
    t.is(at(k, section(k.modules[0]!, '.text') + 0x10n), undefined);
    t.is(procKallsyms(k), '');
  });

  test(`${version}: unnamed and mapping symbols are passed over`, (t) => {
    const k = kernelOf(version);
    const name = (value: number, text: string): NonNullable<KoSpec['symbols']>[number] => ({
      name: text,
      section: '.text',
      value,
    });
    const marks = ['$a', '$x.5', '.Lx', '', '$other', 'L0\u{1}'];
    const m = insmod(
      k,
      moduleFor(version, { sections, symbols: [...symbols, ...marks.map((text, i) => name(0x11 + i, text))] }),
    );
    const text = section(m, '.text');
    t.is(at(k, text + 0x12n)?.split('/')[0], 'f+0x2');
    // 6.1 knows arm's marks only.
    t.is(at(k, text + 0x15n)?.split('/')[0], version === '6.1' ? '$other+0x0' : 'f+0x5');
    t.is(at(k, text + 0x16n)?.split('/')[0], version === '6.1' ? 'L0\u{1}+0x0' : 'f+0x6');
    t.is(at(k, text + 0x18n), version === '6.1' ? 'L0\u{1}+0x2/0xa [minimal]' : 'f+0x8/0x10 [minimal]');
  });

  test(`${version}: /proc/kallsyms: letters, and capitals for what is exported under that name and value`, (t) => {
    const k = kernelOf(version, { config: { MODULE_SIG: false } });
    const m = insmod(
      k,
      moduleFor(version, {
        sections,
        symbols: [
          ...symbols,
          { name: 'other', section: '.text', value: 0x30, type: STT_FUNC },
          { name: 'zeros', section: '.bss' },
          { name: 'fixed', section: 0xfff1, value: 0x123 },
          { name: 'weak', section: '.text', bind: STB_WEAK, type: STT_FUNC },
          { name: 'weakdata', section: '.data', bind: STB_WEAK, type: STT_OBJECT },
        ],
        exports: [
          // Under that name something else is exported than is called so.
          { name: 'f', symbol: 'g', crc: 1 },
          { name: 'other', crc: 1 },
          { name: 'g', crc: 1, gpl: true },
        ],
      }),
    );
    const line = (letter: string, name: string, value: bigint): string =>
      `${value.toString(16).padStart(16, '0')} ${letter} ${name}\t[minimal]`;
    const lines = procKallsyms(k).trimEnd().split('\n');
    const text = section(m, '.text');
    const data = section(m, '.data');
    for (const wanted of [
      line('t', 'f', text + 0x10n),
      line('T', 'other', text + 0x30n),
      // 6.x looks only among the exports that are not GPL-only.
      line(version === '7.2' ? 'T' : 't', 'g', text + 0x20n),
      line('d', 'd', data + 8n),
      line('b', 'zeros', section(m, '.bss')),
      line('w', 'weak', text),
      line('v', 'weakdata', data),
    ])
      t.true(lines.includes(wanted), `${wanted} in\n${lines.join('\n')}`);
    t.false(procKallsyms(k).includes('fixed'), 'absolute symbols are of no section that stays');
    t.true(
      procKallsyms(k, { hidden: true })
        .trimEnd()
        .split('\n')
        .every((text_) => text_.startsWith('0'.repeat(16))),
    );
  });

  test(`${version}: of two symbols at one address the first; names are cut; regions have two ends`, (t) => {
    const long = 'n'.repeat(600);
    const k = kernelOf(version);
    const m = insmod(
      k,
      moduleFor(version, {
        sections,
        symbols: [
          { name: 'alias', section: '.text', value: 0 },
          { name: 'aliased', section: '.text', value: 0 },
          { name: long, section: '.text', value: 0x30 },
        ],
      }),
    );
    const text = section(m, '.text');
    t.is(moduleAddressLookup(k, text)?.name, 'alias');
    t.is(moduleAddressLookup(k, text)?.size, 0x30n);
    t.is(moduleAddressLookup(k, text + 0x30n)?.name, 'n'.repeat(511));
    const { base, size } = (m.memory.text ?? m.memory.core)!;
    t.is(moduleAddress(k, base), m);
    t.is(moduleAddress(k, base + BigInt(size) - 1n), m);
    // Regions have a guard page behind them.
    t.is(moduleAddress(k, base + BigInt(size)), undefined);
    t.is(moduleAddress(k, base - 1n), undefined);
    t.is(procKallsyms(k).split('\n').length, 5, 'alias, aliased, the long one, struct module, and the end');
  });

  test(`${version}: what is text: in 6.1 up to the end of its last page, where pages are protected`, (t) => {
    for (const STRICT_MODULE_RWX of [true, false]) {
      const k = kernelOf(version, { config: { STRICT_MODULE_RWX } });
      const m = insmod(k, moduleFor(version, { sections: [TEXT, DATA] }));
      const { base } = (m.memory.text ?? m.memory.core)!;
      const end = base + (version === '6.1' && !STRICT_MODULE_RWX ? 0x40n : 0x1000n);
      t.deepEqual(
        [base - 1n, base, end - 1n, end].map((address) => moduleTextAddress(k, address)?.name),
        [undefined, 'minimal', 'minimal', undefined],
      );
    }
  });

  test(`${version}: per-CPU symbols count as absolute`, (t) => {
    const k = kernelOf(version);
    const percpu = { name: '.data..percpu', flags: 3, align: 8, size: 8 };
    insmod(k, moduleFor(version, { sections: [TEXT, percpu], symbols: [{ name: 'own', section: '.data..percpu' }] }));
    t.regex(procKallsyms(k), /^[0-9a-f]{16} a own\t\[minimal\]$/m);
    const without = kernelOf(version, { config: { KALLSYMS_ALL: false } });
    insmod(
      without,
      moduleFor(version, { sections: [TEXT, percpu], symbols: [{ name: 'own', section: '.data..percpu' }] }),
    );
    t.is(procKallsyms(without), '');
    const up = kernelOf(version, { config: { SMP: false } });
    insmod(up, moduleFor(version, { sections: [TEXT, percpu], symbols: [{ name: 'own', section: '.data..percpu' }] }));
    t.regex(procKallsyms(up), /^[0-9a-f]{16} d own\t\[minimal\]$/m);
  });

  test(`${version}: a Thumb function begins at its first instruction`, (t) => {
    for (const THUMB2_KERNEL of [true, false]) {
      const k = kernelOf(version, { arch: archOf('arm'), config: { THUMB2_KERNEL } });
      const m = insmod(
        k,
        moduleFor(version, {
          machine: 40,
          elfClass: 32,
          sections: [TEXT],
          symbols: [
            { name: 'before', section: '.text', value: 1, type: STT_FUNC },
            { name: 'thumb', section: '.text', value: 0x21, type: STT_FUNC },
          ],
        }),
      );
      const found = moduleAddressLookup(k, section(m, '.text') + 0x20n);
      t.is(`${found?.name}+${found?.offset}`, THUMB2_KERNEL ? 'thumb+0' : 'before+31');
    }
  });
}
