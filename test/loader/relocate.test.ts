/** B.7, C87 to C90: which sections are relocated; livepatch sections. */
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import type { KoReloc, KoSection, KoSpec, KoSymbol } from '../../fixtures/build.ts';
import { archOf, exported, kernelOf, loads, moduleFor, refuses, specFor, UNSIGNED, versions } from './bench.ts';

const TEXT: KoSection = { name: '.text', flags: 6, align: 16, size: 16 };
const DATA: KoSection = { name: '.data', flags: 3, align: 8, size: 16 };
const known = { exports: [exported('known', { value: 0x1122_3344_5566_7788n })] };
const R_X86_64_64 = 1;
const word = (bytes: Uint8Array, at = 0): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);

for (const version of versions) {
  test(`${version}: C87 REL on a machine of RELA and the other way round`, (t) => {
    const rel: KoReloc[] = [{ offset: 0, type: 1, symbol: '.text' }];
    const line = 'module minimal: REL relocation unsupported';
    const refused = { errno: 'ENOEXEC', check: 'C87', log: [...UNSIGNED, line], step: 'apply_relocations' } as const;
    refuses(
      t,
      kernelOf(version),
      moduleFor(version, { rel: 'REL', sections: [TEXT, DATA], relocs: { '.data': rel } }),
      refused,
    );
    refuses(
      t,
      kernelOf(version, { arch: archOf('i386') }),
      moduleFor(version, { machine: 3, elfClass: 32, rel: 'RELA', sections: [TEXT, DATA], relocs: { '.data': rel } }),
      refused,
    );
    // What is not in memory is not relocated.
    const debug = { name: '.debug', size: 16 };
    loads(t, kernelOf(version), moduleFor(version, { rel: 'REL', sections: [TEXT, debug], relocs: { '.debug': rel } }));
  });

  test(`${version}: only sections in memory are relocated, whatever sh_link says`, (t) => {
    const relocs = (section: string): Partial<KoSpec> => ({
      relocs: { [section]: [{ offset: 8, type: R_X86_64_64, symbol: 'known' }] },
    });
    const file = (header: Record<string, number> = {}): Uint8Array =>
      moduleFor(version, {
        imports: ['known'],
        sections: [TEXT, DATA],
        ...relocs('.data'),
        headers: { '.rela.data': header },
      });
    const at8 = (bytes: Uint8Array): bigint => word(loads(t, kernelOf(version, known), bytes)!.sections[2]!.bytes, 8);
    t.is(at8(file()), 0x1122_3344_5566_7788n);
    t.is(at8(file({ sh_link: 99, sh_entsize: 5 })), 0x1122_3344_5566_7788n);
    t.is(at8(file({ sh_info: 0 })), 0n);
    t.is(at8(file({ sh_info: 0xffff })), 0n);
    t.is(at8(file({ sh_type: 1 })), 0n);
    t.is(at8(file({ sh_size: 23 })), 0n, 'an entry that is not whole does not count');
  });

  test(`${version}: H20 the per-CPU section is relocated from 7.2 on`, (t) => {
    const file = moduleFor(version, {
      imports: ['known'],
      sections: [TEXT, { name: '.data..percpu', flags: 3, align: 8, size: 16 }],
      relocs: { '.data..percpu': [{ offset: 0, type: R_X86_64_64, symbol: 'known' }] },
    });
    const k = kernelOf(version, known);
    let relocations = 0;
    const trace = { relocation: () => void relocations++ };
    loads(t, k, file, UNSIGNED, { trace });
    t.is(relocations, version === '7.2' ? 1 : 0);
    // On a kernel without SMP it is in memory like others.
    relocations = 0;
    loads(t, kernelOf(version, { ...known, config: { SMP: false } }), file, UNSIGNED, { trace });
    t.is(relocations, 1);
  });

  test(`${version}: C89 an unknown type, C90 places and symbols that are not there`, (t) => {
    const file = (reloc: Partial<KoReloc>, data: KoSection = DATA): Uint8Array =>
      moduleFor(version, {
        sections: [TEXT, data],
        relocs: { '.data': [{ offset: 0, type: R_X86_64_64, symbol: '.text', ...reloc }] },
      });
    refuses(t, kernelOf(version), file({ type: 99 }), {
      errno: 'ENOEXEC',
      check: 'C89',
      log: [...UNSIGNED, 'module: minimal: Unknown rela relocation: 99'],
    });
    const wild = refuses(t, kernelOf(version), file({ offset: 9 }), { errno: 'EFAULT', check: 'C90', log: UNSIGNED });
    t.is(wild?.crash, 'signal 11');
    t.is(
      refuses(t, kernelOf(version), file({ symbol: 1000 }), { errno: 'EFAULT', check: 'C90', log: UNSIGNED })?.crash,
      'signal 11',
    );
    loads(t, kernelOf(version), file({ offset: 8 }));
  });

  // ---- livepatch ---------------------------------------------------------------------------------------------------

  const KLP = 0x0010_0000;
  const klp = (section: string, symbol: KoSymbol, more: Partial<KoSpec> = {}): Uint8Array => {
    const spec = specFor(version, { sections: [TEXT, DATA], symbols: [symbol], modinfo: { livepatch: 'Y' }, ...more });
    const info = [0, 0, 0, 0, 0, 0, 0, 0, R_X86_64_64, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    return ko({
      ...spec,
      sections: [...(spec.sections ?? []), { name: section, type: 4, flags: KLP, info: 2, align: 8, data: info }],
    });
  };
  const patched = (name: string): KoSymbol => ({ name, section: 0xff20 });
  const TAINT = ['minimal: tainting kernel with TAINT_LIVEPATCH', ...UNSIGNED];
  const kallsyms = [
    ['hidden', 0x1000n],
    ['twice', 0x2000n],
    ['twice', 0x3000n],
    ['nowhere', 0n],
  ] as const;
  const kernel = (): ReturnType<typeof kernelOf> => kernelOf(version, { kallsyms });

  test(`${version}: livepatch relocations against vmlinux`, (t) => {
    const value = (file: Uint8Array): bigint => word(loads(t, kernel(), file, TAINT)!.sections[2]!.bytes);
    t.is(value(klp('.klp.rela.vmlinux..data', patched('.klp.sym.vmlinux.hidden,0'))), 0x1005n);
    t.is(value(klp('.klp.rela.vmlinux..data', patched('.klp.sym.vmlinux.hidden,1'))), 0x1005n);
    t.is(value(klp('.klp.rela.vmlinux..data', patched('.klp.sym.vmlinux.twice,1'))), 0x2005n);
    t.is(value(klp('.klp.rela.vmlinux..data', patched('.klp.sym.vmlinux.twice,2'))), 0x3005n);
    // Those of modules wait for the module, whatever they hold.
    t.is(value(klp('.klp.rela.ext4..data', patched('nonsense'))), 0n);
    // A kernel that does not tell its symbols has its exports.
    const exports = [exported('known', { value: 0x4000n })];
    t.is(
      word(
        loads(
          t,
          kernelOf(version, { exports }),
          klp('.klp.rela.vmlinux..data', patched('.klp.sym.vmlinux.known,0')),
          TAINT,
        )!.sections[2]!.bytes,
      ),
      0x4005n,
    );
  });

  test(`${version}: C88 malformed livepatch sections`, (t) => {
    const refused = (file: Uint8Array, line: string): void => {
      refuses(t, kernel(), file, {
        errno: 'EINVAL',
        check: 'C88',
        log: [...TAINT, `livepatch: ${line}`],
        step: 'apply_relocations',
      });
    };
    const good = patched('.klp.sym.vmlinux.hidden,0');
    for (const name of ['.klp.rela.', '.klp.rela..data', '.klp.rel.vmlinux.x', 'klp.rela.vmlinux.x', '.rela.data'])
      refused(klp(name, good), `section ${name} has an incorrectly formatted name`);
    const where = (n: number): string => (version === '7.2' ? ` at rela sec ${n} idx 0` : '');
    const file = klp('.klp.rela.vmlinux..data', { name: '.klp.sym.vmlinux.hidden,0', section: '.text' });
    const symtab = loads(t, kernel(), klp('.klp.rela.ext4..data', good), TAINT)!.sections.findIndex(
      (s) => s.name === '.symtab',
    );
    refused(file, `symbol .klp.sym.vmlinux.hidden,0${where(symtab)} is not marked as a livepatch symbol`);
    for (const name of [
      'hidden',
      '.klp.sym.vmlinux.hidden',
      '.klp.sym.vmlinux.hidden,',
      '.klp.sym.vmlinux.hidden,x',
      '.klp.sym..hidden,0',
      `.klp.sym.${'o'.repeat(56)}.hidden,0`,
    ])
      refused(klp('.klp.rela.vmlinux..data', patched(name)), `symbol ${name} has an incorrectly formatted name`);
    const symbol = (name: string, line: string): void => refused(klp('.klp.rela.vmlinux..data', patched(name)), line);
    symbol('.klp.sym.vmlinux.gone,0', "symbol 'gone' not found in symbol table");
    symbol('.klp.sym.vmlinux.gone,3', "symbol 'gone' not found in symbol table");
    symbol('.klp.sym.vmlinux.nowhere,0', "symbol 'nowhere' not found in symbol table");
    symbol('.klp.sym.vmlinux.twice,0', "unresolvable ambiguity for symbol 'twice' in object '(null)'");
    symbol('.klp.sym.vmlinux.twice,3', "symbol position 3 for symbol 'twice' in object 'vmlinux' not found");
    symbol('.klp.sym.lib.f,0', "symbol 'f' not found in symbol table");
  });

  test(`${version}: a livepatch may name a loaded module's symbols in its vmlinux section`, (t) => {
    const k = kernel();
    const lib = loads(
      t,
      k,
      moduleFor(version, {
        thisModule: { name: 'lib' },
        symbols: [
          { name: 'f', section: '.text', value: 4 },
          { name: 'g', section: '.text', bind: 0 },
          { name: 'g', section: '.text', bind: 0 },
        ],
      }),
      ['lib: module verification failed: signature and/or required key missing - tainting kernel'],
    )!;
    const f = lib.sections[1]!.sh_addr + 4n;
    const m = loads(t, k, klp('.klp.rela.vmlinux..data', patched('.klp.sym.lib.f,0')), TAINT.slice(0, 1))!;
    t.is(word(m.sections[2]!.bytes), f + 5n);
    refuses(t, k, klp('.klp.rela.vmlinux..data', patched('.klp.sym.lib.g,0'), { thisModule: { name: 'other' } }), {
      errno: 'EINVAL',
      check: 'C88',
      log: ["livepatch: unresolvable ambiguity for symbol 'g' in object 'lib'"],
    });
  });

  test(`${version}: without livepatching such sections are passed over`, (t) => {
    const file = klp('nonsense', patched('x'), { modinfo: { name: 'minimal' } });
    loads(t, kernelOf(version, { config: { LIVEPATCH: false } }), file);
  });
}
