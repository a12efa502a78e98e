/** C29 to C56: each check with what it last accepts and first refuses, in every profile. */
import test from 'ava';
import { buildKo, ko } from '../../fixtures/build.ts';
import type { Ko, KoSpec, Shdr } from '../../fixtures/build.ts';
import { structModule } from '../../fixtures/machines.ts';
import type { CheckId } from '../../loader/errors.ts';
import {
  archOf,
  kernelOf,
  loads,
  moduleFor,
  type Profile,
  profiles,
  refuses,
  specFor,
  UNSIGNED,
  unsigned,
} from './bench.ts';
import type { ExecutionContext } from 'ava';

const ENOEXEC = 'ENOEXEC';
const MAX64 = 0xffff_ffff_ffff_ffffn;
/** Kernels that check like 7.2, and those before. */
const split = (profile: Profile): boolean => profile === '6.12.117' || profile === '7.2';

const build = (profile: Profile, overrides: Parameters<typeof specFor>[1] = {}): Ko =>
  buildKo(specFor(profile, overrides));

const section = (image: Ko, name: string): Ko['sections'][number] => {
  const found = image.sections.find((s) => s.name === name);
  if (found === undefined) throw new Error(`no section ${name}`);
  return found;
};

/** A refusal with one line. */
const refused = (t: ExecutionContext, profile: Profile, file: Uint8Array, check: CheckId, line: string): void => {
  refuses(t, kernelOf(profile), file, { errno: ENOEXEC, check, log: [line] });
};
const accepted = (t: ExecutionContext, profile: Profile, file: Uint8Array): void => {
  loads(t, kernelOf(profile), file);
};
/** Overrides of one section header. */
const header = (name: string, fields: Partial<Shdr>): Partial<KoSpec> => ({ headers: { [name]: fields } });
/** A section that is not loaded, with a header of the test's own. */
const extra = (fields: Partial<Shdr>, name = '.comment'): Partial<KoSpec> => ({
  sections: [
    { name: '.text', flags: 6, align: 16, size: 16 },
    { name, data: 'abc', header: fields },
  ],
});

for (const profile of profiles) {
  const it = (name: string, run: (t: ExecutionContext) => void): void => test(`${profile}: ${name}`, run);

  it('the plain module loads', (t) => accepted(t, profile, moduleFor(profile)));

  it('C29: 63 bytes hold no ELF header, 64 do', (t) => {
    const whole = moduleFor(profile);
    refused(t, profile, whole.slice(0, 63), 'C29', 'Invalid ELF header len 63');
    refused(t, profile, whole.slice(0, 1), 'C29', 'Invalid ELF header len 1');
    refused(t, profile, whole.slice(0, 64), 'C35', 'Invalid ELF section header overflow');
  });

  it('C30: each byte of the magic counts', (t) => {
    for (const at of [0, 1, 2, 3]) {
      const file = moduleFor(profile);
      file[at]! ^= 1;
      refused(t, profile, file, 'C30', 'Invalid ELF header magic: != \x7fELF');
    }
  });

  it('C31: e_type is ET_REL', (t) => {
    refused(t, profile, moduleFor(profile, { ehdr: { e_type: 0 } }), 'C31', 'Invalid ELF header type: 0 != 1');
    refused(t, profile, moduleFor(profile, { ehdr: { e_type: 2 } }), 'C31', 'Invalid ELF header type: 2 != 1');
    refused(t, profile, moduleFor(profile, { ehdr: { e_type: 0xffff } }), 'C31', 'Invalid ELF header type: 65535 != 1');
  });

  it("C32: e_machine is the kernel's", (t) => {
    refused(t, profile, moduleFor(profile, { ehdr: { e_machine: 3 } }), 'C32', 'Invalid architecture in ELF header: 3');
    refused(
      t,
      profile,
      moduleFor(profile, { ehdr: { e_machine: 183 } }),
      'C32',
      'Invalid architecture in ELF header: 183',
    );
  });

  it('C33: module_elf_check_arch() is asked from 6.12 on', (t) => {
    const arch = { ...archOf('x86_64'), acceptsModule: ({ e_flags }: { e_flags: number }) => e_flags === 2 };
    const kernel = kernelOf(profile, { arch });
    const file = moduleFor(profile, { e_flags: 1 });
    if (profile === '6.1') loads(t, kernel, file);
    else
      refuses(t, kernel, file, {
        errno: ENOEXEC,
        check: 'C33',
        log: ['Invalid module architecture in ELF header: 62'],
      });
    loads(t, kernelOf(profile, { arch }), moduleFor(profile, { e_flags: 2 }));
  });

  it('C34: e_shentsize', (t) => {
    for (const e_shentsize of [0, 40, 63, 65])
      refused(t, profile, moduleFor(profile, { ehdr: { e_shentsize } }), 'C34', 'Invalid ELF section header size');
  });

  it('H1: a 32-bit object of this machine is told by its section headers alone', (t) => {
    refused(t, profile, moduleFor(profile, { elfClass: 32 }), 'C34', 'Invalid ELF section header size');
  });

  it('class, byte order, e_version, e_ehsize and program headers are nothing to the kernel', (t) => {
    const e_ident = [0x7f, 0x45, 0x4c, 0x46, 1, 2, 9, 77, 3, 1, 1, 1, 1, 1, 1, 1];
    const ehdr = {
      e_ident,
      e_version: 7,
      e_ehsize: 3,
      e_phoff: MAX64,
      e_phnum: 0xffff,
      e_phentsize: 1,
      e_entry: MAX64,
    };
    accepted(t, profile, moduleFor(profile, { ehdr }));
    accepted(
      t,
      profile,
      moduleFor(profile, { ehdr: { ...ehdr, e_ident: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] } }),
    );
  });

  it('C35: the table ends with the file and not one byte later', (t) => {
    const line = 'Invalid ELF section header overflow';
    const { image, e_shoff, sections } = build(profile);
    t.is(e_shoff + sections.length * 64, image.length);
    refused(t, profile, image.slice(0, -1), 'C35', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shoff: image.length } }), 'C35', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shoff: image.length - 1 } }), 'C35', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shoff: MAX64 } }), 'C35', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shnum: sections.length + 1 } }), 'C35', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shnum: 0xffff } }), 'C35', line);
  });

  it('C36: section 0 is NULL, without size and address, and may have anything else', (t) => {
    const line = (type: number): string =>
      `ELF Spec violation: section 0 type(${type})!=SH_NULL or non-zero len or addr`;
    refused(t, profile, moduleFor(profile, header('', { sh_type: 1 })), 'C36', line(1));
    refused(t, profile, moduleFor(profile, header('', { sh_type: 0xffff_ffff })), 'C36', line(-1));
    refused(t, profile, moduleFor(profile, header('', { sh_size: 1 })), 'C36', line(0));
    refused(t, profile, moduleFor(profile, header('', { sh_addr: 1n << 63n })), 'C36', line(0));
    const rest = {
      sh_name: 0xffff_ffff,
      sh_flags: 2,
      sh_offset: MAX64,
      sh_link: 99,
      sh_info: 99,
      sh_addralign: 3,
      sh_entsize: 5,
    };
    accepted(t, profile, moduleFor(profile, header('', rest)));
  });

  it('C36 comes before C38 in the split functions, and behind it before', (t) => {
    const both = moduleFor(profile, { ...header('', { sh_size: 1 }), ehdr: { e_shstrndx: 0 } });
    if (split(profile))
      refused(t, profile, both, 'C36', 'ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr');
    else
      refused(
        t,
        profile,
        both,
        'C38',
        `Invalid ELF section name index: 0 || e_shstrndx (0) >= e_shnum (${build(profile).sections.length})`,
      );
  });

  it('e_shnum 0: a header that nobody checked is looked at all the same', (t) => {
    const { sections, image } = build(profile);
    const index = sections.length - 1;
    const line = `Invalid ELF section name index: ${index} || e_shstrndx (${index}) >= e_shnum (0)`;
    refused(t, profile, moduleFor(profile, { ehdr: { e_shnum: 0 } }), 'C38', line);
    refused(t, profile, moduleFor(profile, { ehdr: { e_shnum: 0, e_shoff: image.length - 1 } }), 'C38', line);
    // At offset 0 there is the ELF header: its magic is no SHT_NULL (at +4: class, data, version, ABI).
    const odd = moduleFor(profile, { ehdr: { e_shnum: 0, e_shoff: 0 } });
    if (split(profile))
      refused(t, profile, odd, 'C36', 'ELF Spec violation: section 0 type(65794)!=SH_NULL or non-zero len or addr');
    else refused(t, profile, odd, 'C38', line);
  });

  it('C37: contents end with the file and not one byte later', (t) => {
    const { image } = build(profile, extra({}));
    const len = BigInt(image.length);
    const line = (type: number): string => `Invalid ELF section in module (section 2 type ${type})`;
    accepted(t, profile, moduleFor(profile, extra({ sh_offset: 0, sh_size: len })));
    accepted(t, profile, moduleFor(profile, extra({ sh_offset: len, sh_size: 0 })));
    refused(t, profile, moduleFor(profile, extra({ sh_offset: 0, sh_size: len + 1n })), 'C37', line(1));
    refused(t, profile, moduleFor(profile, extra({ sh_offset: len, sh_size: 1 })), 'C37', line(1));
    refused(t, profile, moduleFor(profile, extra({ sh_offset: len + 1n, sh_size: 0 })), 'C37', line(1));
    refused(t, profile, moduleFor(profile, extra({ sh_offset: MAX64, sh_size: 2 })), 'C37', line(1));
    refused(t, profile, moduleFor(profile, extra({ sh_offset: 1, sh_size: MAX64 })), 'C37', line(1));
    refused(t, profile, moduleFor(profile, extra({ sh_type: 0x6fff_fff7, sh_size: MAX64 })), 'C37', line(0x6fff_fff7));
    for (const sh_type of [0, 8])
      accepted(t, profile, moduleFor(profile, extra({ sh_type, sh_offset: MAX64, sh_size: MAX64 })));
  });

  it('C37: section names outside of the file', (t) => {
    const index = build(profile).sections.length - 1;
    const file = moduleFor(profile, header('.shstrtab', { sh_offset: MAX64 }));
    if (split(profile)) refused(t, profile, file, 'C37', `Invalid ELF section in module (section ${index} type 3)`);
    else refused(t, profile, file, 'C37', 'Invalid ELF section hdr(type 3)');
  });

  it('C38: e_shstrndx is a section', (t) => {
    const n = build(profile).sections.length;
    const line = (i: number): string => `Invalid ELF section name index: ${i} || e_shstrndx (${i}) >= e_shnum (${n})`;
    t.is(section(build(profile), '.shstrtab').index, n - 1, 'the last one is accepted');
    refused(t, profile, moduleFor(profile, { ehdr: { e_shstrndx: 0 } }), 'C38', line(0));
    refused(t, profile, moduleFor(profile, { ehdr: { e_shstrndx: n } }), 'C38', line(n));
    refused(t, profile, moduleFor(profile, { ehdr: { e_shstrndx: 0xffff } }), 'C38', line(0xffff));
  });

  it('C39: the section names are a string table where that is checked', (t) => {
    const file = moduleFor(profile, header('.shstrtab', { sh_type: 1 }));
    if (split(profile)) refused(t, profile, file, 'C39', 'Invalid ELF section name table type: 1');
    else accepted(t, profile, file);
    // Not even bounds are checked of SHT_NULL, but for the section names of the older kernels.
    const nothing = moduleFor(profile, header('.shstrtab', { sh_type: 0, sh_offset: MAX64 }));
    if (split(profile)) refused(t, profile, nothing, 'C39', 'Invalid ELF section name table type: 0');
    else refused(t, profile, nothing, 'C37', 'Invalid ELF section hdr(type 0)');
  });

  it('C40: the section names are not empty', (t) => {
    refused(t, profile, moduleFor(profile, header('.shstrtab', { sh_size: 0 })), 'C40', 'empty section name table');
  });

  it('C41: the section names end in NUL', (t) => {
    const spec = specFor(profile);
    const patch: NonNullable<KoSpec['patch']> = (image, { sections }) => {
      const { sh_offset, sh_size } = sections.at(-1)!;
      image[sh_offset + sh_size - 1] = 0x78;
    };
    refused(t, profile, ko({ ...spec, patch }), 'C41', "ELF Spec violation: section name table isn't null terminated");
  });

  it('C42: sh_name lies in the table: in older kernels only that of an SHF_ALLOC section with contents', (t) => {
    const { sh_size } = section(build(profile, extra({})), '.shstrtab');
    const line = (type: number): string => `Invalid ELF section name in module (section 2 type ${type})`;
    const named = (fields: Partial<Shdr>): Uint8Array => moduleFor(profile, extra({ sh_name: sh_size, ...fields }));
    accepted(t, profile, named({ sh_name: sh_size - 1 }));
    accepted(t, profile, named({ sh_name: sh_size - 1, sh_flags: 2 }));
    accepted(t, profile, named({ sh_type: 0 }));
    refused(t, profile, named({ sh_flags: 2 }), 'C42', line(1));
    if (split(profile)) {
      refused(t, profile, named({}), 'C42', line(1));
      refused(t, profile, named({ sh_type: 8, sh_flags: 2 }), 'C42', line(8));
    } else {
      accepted(t, profile, named({}));
      accepted(t, profile, named({ sh_type: 8, sh_flags: 2 }));
    }
  });

  const second = (name: string, fields: Partial<Shdr> = {}): Partial<KoSpec> => extra({ sh_flags: 2, ...fields }, name);

  it('C43: one .modinfo, or the first in 6.1', (t) => {
    const line = 'Only one .modinfo section must exist.';
    // The second of the file is the real one: here the first has no vermagic.
    const file = moduleFor(profile, second('.modinfo'));
    if (profile === '6.1') refuses(t, kernelOf(profile), file, { errno: ENOEXEC, check: 'C59', log: [] });
    else refused(t, profile, file, 'C43', line);
    const nobits = moduleFor(profile, second('.modinfo', { sh_type: 8, sh_flags: 0 }));
    if (split(profile)) refused(t, profile, nobits, 'C43', line);
    else accepted(t, profile, nobits);
  });

  it('no .modinfo at all gets past the ELF checks', (t) => {
    const { modinfo: _, ...rest } = specFor(profile);
    refuses(t, kernelOf(profile), ko(rest), { errno: ENOEXEC, check: 'C59', log: [] });
  });

  const this_module = '.gnu.linkonce.this_module';
  const mod = (name: string): string => `module ${name}: ${this_module}`;
  const exactly = (name: string): string =>
    `module ${name}: ${split(profile) ? 'Exactly' : 'Only'} one ${this_module} section must exist.`;
  const nameless = '(missing .modinfo section or name field)';

  it('C44: one struct module', (t) => {
    const { thisModule: _, ...without } = specFor(profile);
    const { modinfo: __, ...bare } = without;
    const no = (name: string): string => (profile === '6.1' ? `${name}: No module found in object` : exactly(name));
    refused(t, profile, ko(without), 'C44', no('minimal'));
    refused(t, profile, ko(bare), 'C44', no(nameless));
    const two = moduleFor(profile, second(this_module));
    if (profile !== '6.1') refused(t, profile, two, 'C44', exactly('minimal'));
    const nullType = moduleFor(profile, second(this_module, { sh_type: 0, sh_flags: 0 }));
    if (split(profile)) refused(t, profile, nullType, 'C44', exactly('minimal'));
    else accepted(t, profile, nullType);
  });

  it('C45: struct module has contents', (t) => {
    const file = moduleFor(profile, header(this_module, { sh_type: 8 }));
    if (profile === '6.1') accepted(t, profile, file);
    else if (profile === '6.12') refused(t, profile, file, 'C44', exactly('minimal'));
    else refused(t, profile, file, 'C45', `${mod('minimal')} section must have a size set`);
  });

  it('C46: struct module is in memory', (t) => {
    const file = moduleFor(profile, header(this_module, { sh_flags: 1 }));
    if (profile === '6.1') refused(t, profile, file, 'C44', 'minimal: No module found in object');
    else refused(t, profile, file, 'C46', `${mod('minimal')} must occupy memory during process execution`);
  });

  it("C47: struct module has the kernel's size, from 6.12 on", (t) => {
    const { size } = structModule[64];
    const line = `${mod('minimal')} section size must match the kernel's built struct module size at run time`;
    for (const wrong of [size - 1, size + 1, 0]) {
      const file = moduleFor(profile, header(this_module, { sh_size: wrong }));
      if (profile === '6.1') accepted(t, profile, file);
      else refused(t, profile, file, 'C47', line);
    }
  });

  it('C48: one symbol table, or the first in 6.1', (t) => {
    const line = (name: string): string => `${name}: module has no symbols (stripped?)`;
    refused(t, profile, moduleFor(profile, { omit: ['.symtab'] }), 'C48', line('minimal'));
    const { modinfo: _, ...rest } = specFor(profile, { omit: ['.symtab'] });
    refused(t, profile, ko(rest), 'C48', line(nameless));
    const strtab = section(build(profile, extra({})), '.strtab').index;
    const two = moduleFor(profile, extra({ sh_type: 2, sh_link: strtab }));
    if (profile === '6.1') accepted(t, profile, two);
    else refused(t, profile, two, 'C48', line('minimal'));
  });

  it('the symbol table is missed before or behind struct module', (t) => {
    const { thisModule: _, ...without } = specFor(profile, { omit: ['.symtab'] });
    if (split(profile)) refused(t, profile, ko(without), 'C44', exactly('minimal'));
    else refused(t, profile, ko(without), 'C48', 'minimal: module has no symbols (stripped?)');
  });

  it('C49: the symbol table links to a section', (t) => {
    const n = build(profile).sections.length;
    const line = (i: number): string => `Invalid ELF sh_link!=SHN_UNDEF(${i}) or (sh_link(${i}) >= hdr->e_shnum(${n})`;
    refused(t, profile, moduleFor(profile, header('.symtab', { sh_link: 0 })), 'C49', line(0));
    refused(t, profile, moduleFor(profile, header('.symtab', { sh_link: n })), 'C49', line(n));
    refused(t, profile, moduleFor(profile, header('.symtab', { sh_link: 0xffff_ffff })), 'C49', line(-1));
    accepted(t, profile, moduleFor(profile, header('.symtab', { sh_link: n - 1 })));
  });

  it('C50: the symbol table links to a string table', (t) => {
    const file = moduleFor(profile, header('.symtab', { sh_link: 1 }));
    if (split(profile)) refused(t, profile, file, 'C50', 'Invalid ELF symbol string table type: 1');
    else accepted(t, profile, file);
  });

  const since72 = (t: ExecutionContext, file: Uint8Array, check: CheckId, line: string): void => {
    if (profile === '7.2') refused(t, profile, file, check, line);
    else accepted(t, profile, file);
  };
  const tables = (crcs: readonly number[] | undefined, names: string | undefined): Uint8Array =>
    moduleFor(profile, {
      sections: [
        { name: '.text', flags: 6, align: 16, size: 16 },
        ...(crcs === undefined ? [] : [{ name: '__version_ext_crcs', flags: 2, align: 4, data: crcs }]),
        ...(names === undefined ? [] : [{ name: '__version_ext_names', flags: 2, data: names }]),
      ],
    });

  it('C51: extended CRCs and names come together', (t) => {
    const line = 'extended version crc+name presence does not match';
    since72(t, tables([1, 0, 0, 0], undefined), 'C51', line);
    since72(t, tables(undefined, 'a\0'), 'C51', line);
    if (profile !== '7.2') return;
    // Flag 1 pretends that there are none; then the basic table is not there either.
    refuses(t, kernelOf(profile), tables(undefined, 'a\0'), { errno: ENOEXEC, check: 'C58', log: [] }, { flags: 1 });
    loads(
      t,
      kernelOf(profile, { config: { MODULE_FORCE_LOAD: true } }),
      tables(undefined, 'a\0'),
      ['minimal: module_layout: kernel tainted.', unsigned('minimal')],
      { flags: 1 },
    );
  });

  it('C52: a name for every extended CRC', (t) => {
    const line = 'more extended version crcs than names';
    const eight = [1, 0, 0, 0, 2, 0, 0, 0];
    since72(t, tables(eight, 'a\0'), 'C52', line);
    since72(t, tables(eight, 'a\0b'), 'C52', line);
    since72(t, tables([1, 0, 0, 0], ''), 'C52', line);
    if (profile !== '7.2') return;
    const none = ['minimal: no extended symbol version for module_layout', ...UNSIGNED];
    loads(t, kernelOf(profile), tables(eight, 'a\0b\0'), none);
    // More names than CRCs, and CRCs that are not whole, pass.
    loads(t, kernelOf(profile), tables(eight, 'a\0b\0c'), none);
    loads(t, kernelOf(profile), tables([1, 0, 0, 0, 2, 0, 0], 'a\0'), none);
  });

  it('C53: the symbol names are not empty', (t) => {
    since72(t, moduleFor(profile, header('.strtab', { sh_size: 0 })), 'C53', 'empty symbol string table');
  });

  const byteOfStrtab =
    (at: number): NonNullable<KoSpec['patch']> =>
    (image, { sections }) => {
      const { sh_offset, sh_size } = sections.find(({ name }) => name === '.strtab')!;
      image[sh_offset + (at < 0 ? sh_size + at : at)] = 0x78;
    };

  it('C54: the symbol names begin with NUL', (t) => {
    since72(t, moduleFor(profile, { patch: byteOfStrtab(0) }), 'C54', 'symbol string table missing leading NUL');
  });

  it('C55: the symbol names end with NUL', (t) => {
    since72(t, moduleFor(profile, { patch: byteOfStrtab(-1) }), 'C55', "symbol string table isn't NUL terminated");
  });

  it('C56: st_name lies in the table', (t) => {
    const symbols = (st_name: number): Partial<KoSpec> => ({
      symbols: [{ name: 'x', section: '.text', entry: { st_name } }],
    });
    const { sh_size } = section(build(profile, symbols(0)), '.strtab');
    const line = 'symbol name out of bounds in string table';
    accepted(t, profile, moduleFor(profile, symbols(sh_size - 1)));
    since72(t, moduleFor(profile, symbols(sh_size)), 'C56', line);
    since72(t, moduleFor(profile, symbols(0xffff_ffff)), 'C56', line);
    // Symbol 0 is looked at too.
    const patch: NonNullable<KoSpec['patch']> = (image, { sections }) => {
      const { sh_offset } = sections.find(({ name }) => name === '.symtab')!;
      new DataView(image.buffer).setUint32(sh_offset, 0x7fff_ffff, true);
    };
    since72(t, moduleFor(profile, { patch }), 'C56', line);
  });

  it('where st_name is not checked, names are read from what follows in the file', (t) => {
    if (profile === '7.2') {
      t.pass();
      return;
    }
    const symbols = (st_name: number): Partial<KoSpec> => ({ symbols: [{ name: 'x', entry: { st_name } }] });
    const image = build(profile, symbols(0));
    const at = section(image, '.shstrtab').sh_offset - section(image, '.strtab').sh_offset;
    // Section names lie behind the symbol names: the first is .text.
    refuses(t, kernelOf(profile), moduleFor(profile, symbols(at + 1)), {
      errno: 'ENOENT',
      check: 'C79',
      log: [...UNSIGNED, 'minimal: Unknown symbol .text (err -2)'],
    });
  });
}

test('the refusals tell the step', (t) => {
  const file = moduleFor('7.2', { omit: ['.symtab'] });
  const log = ['minimal: module has no symbols (stripped?)'];
  refuses(t, kernelOf('6.1'), moduleFor('6.1', { omit: ['.symtab'] }), {
    errno: ENOEXEC,
    check: 'C48',
    log,
    step: 'setup_load_info',
  });
  refuses(t, kernelOf('7.2'), file, { errno: ENOEXEC, check: 'C48', log, step: 'elf_validity_cache_copy' });
});

test('a kernel that does not know its struct module learns it from the first module that loads, not from a refused one', (t) => {
  const kernel = kernelOf('7.2', { fresh: true });
  refuses(
    t,
    kernel,
    moduleFor('7.2', { thisModule: { name: 'odd', size: 0x80 }, ehdr: {}, symbols: [{ name: 'nobody' }] }),
    {
      errno: 'ENOENT',
      check: 'C79',
      log: [unsigned('odd'), 'odd: Unknown symbol nobody (err -2)'],
    },
  );
  loads(t, kernel, moduleFor('7.2'), []);
  t.is(kernel.structModuleSize, structModule[64].size);
  refuses(t, kernel, moduleFor('7.2', { thisModule: { name: 'odd', size: 0x80 } }), {
    errno: ENOEXEC,
    check: 'C47',
    log: [
      "module odd: .gnu.linkonce.this_module section size must match the kernel's built struct module size at run time",
    ],
  });
});

test('65,535 sections are many, but no fault', (t) => {
  const many = Array.from({ length: 65_535 - 10 }, () => ({ name: '.x', flags: 0 }));
  const file = moduleFor('7.2', { sections: [{ name: '.text', flags: 6, align: 16, size: 16 }, ...many] });
  loads(t, kernelOf('7.2'), file);
});
