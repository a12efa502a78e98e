/** C02, C07, C18, C22 to C28 and C57 to C63: what is looked at before memory is allocated. */
import test from 'ava';
import { ko, MODULE_LAYOUT_CRC } from '../../fixtures/build.ts';
import { structModule } from '../../fixtures/machines.ts';
import { SIGNATURE_MARKER } from '../../loader/signature.ts';
import {
  exported,
  kernelOf,
  loads,
  moduleFor,
  profiles,
  refuses,
  specFor,
  UNSIGNED,
  unsigned,
  vermagic,
} from './bench.ts';

const join = (...parts: (Uint8Array | readonly number[] | string)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...(typeof part === 'string' ? new TextEncoder().encode(part) : part)]));

/** struct module_signature: algo, hash, id_type, signer_len, key_id_len, pad[3], be32 sig_len. */
const trailer = (sig_len: number, bytes: Readonly<Record<number, number>> = {}): number[] => {
  const struct = [0, 0, 2, 0, 0, 0, 0, 0, sig_len >>> 24, (sig_len >> 16) & 255, (sig_len >> 8) & 255, sig_len & 255];
  for (const [at, byte] of Object.entries(bytes)) struct[Number(at)] = byte;
  return struct;
};

const config = (on: Readonly<Record<string, boolean>>): { config: Readonly<Record<string, boolean>> } => ({
  config: on,
});

for (const profile of profiles) {
  test(`${profile}: C18 init_module() wants an ELF header, finit_module() a file (C07) and known flags (C02)`, (t) => {
    const file = moduleFor(profile);
    const call = 'init_module';
    refuses(t, kernelOf(profile), file.slice(0, 63), { errno: 'ENOEXEC', check: 'C18', log: [], step: call }, { call });
    refuses(t, kernelOf(profile), file.slice(0, 0), { errno: 'ENOEXEC', check: 'C18', log: [] }, { call });
    refuses(
      t,
      kernelOf(profile),
      file.slice(0, 64),
      { errno: 'ENOEXEC', check: 'C35', log: ['Invalid ELF section header overflow'] },
      { call },
    );
    // It has no flags.
    loads(t, kernelOf(profile), file, UNSIGNED, { call, flags: 2 });
    refuses(t, kernelOf(profile), file.slice(0, 0), { errno: 'EINVAL', check: 'C07', log: [], step: 'finit_module' });
    refuses(t, kernelOf(profile), file.slice(0, 1), {
      errno: 'ENOEXEC',
      check: 'C29',
      log: ['Invalid ELF header len 1'],
    });
    for (const flags of [8, -1, 9])
      refuses(t, kernelOf(profile), file, { errno: 'EINVAL', check: 'C02', log: [] }, { flags });
    loads(t, kernelOf(profile), file, UNSIGNED, { flags: 4 });
  });

  test(`${profile}: a good signature is stripped and taints nothing`, (t) => {
    const file = join(moduleFor(profile), 'PKCS7', trailer(5), SIGNATURE_MARKER);
    const kernel = kernelOf(profile, config({ MODULE_SIG_FORCE: true, LOCKDOWN: true }));
    const m = loads(t, kernel, file, []);
    t.is(m?.sigOk, true);
    t.is(m?.taintLetters, '');
    t.deepEqual([...kernel.taints], []);
  });

  test(`${profile}: C22 the marker alone, C23 a signature longer than the file`, (t) => {
    const module = moduleFor(profile);
    const bad = { errno: 'EBADMSG', log: [] } as const;
    refuses(t, kernelOf(profile), join(new Uint8Array(12), SIGNATURE_MARKER), {
      ...bad,
      check: 'C22',
      step: 'module_sig_check',
    });
    refuses(t, kernelOf(profile), join(new Uint8Array(13), SIGNATURE_MARKER), {
      errno: 'ENOEXEC',
      check: 'C29',
      log: ['module: not signed with expected PKCS#7 message', 'Invalid ELF header len 13'],
    });
    refuses(t, kernelOf(profile), join(module, trailer(module.length), SIGNATURE_MARKER), { ...bad, check: 'C23' });
    refuses(t, kernelOf(profile), join(module, trailer(0xffff_ffff), SIGNATURE_MARKER), { ...bad, check: 'C23' });
    // One byte shorter is a signature that leaves one byte of module.
    refuses(t, kernelOf(profile), join(module, trailer(module.length - 1), SIGNATURE_MARKER), {
      errno: 'ENOEXEC',
      check: 'C29',
      log: ['Invalid ELF header len 1'],
    });
  });

  test(`${profile}: C24 another kind of signature counts as none, C25 odd parameters as damage`, (t) => {
    const not = 'module: not signed with expected PKCS#7 message';
    const pgp = join(moduleFor(profile), 'PGP', trailer(3, { 2: 0 }), SIGNATURE_MARKER);
    loads(t, kernelOf(profile), pgp, [not, ...UNSIGNED]);
    refuses(t, kernelOf(profile, config({ MODULE_SIG_FORCE: true })), pgp, {
      errno: 'EKEYREJECTED',
      check: 'C27',
      log: [not, 'Loading of module with unsupported crypto is rejected'],
    });
    for (const at of [0, 1, 3, 4, 5, 6, 7]) {
      refuses(t, kernelOf(profile), join(moduleFor(profile), 'abc', trailer(3, { [at]: 1 }), SIGNATURE_MARKER), {
        errno: 'EBADMSG',
        check: 'C25',
        log: ['module: PKCS#7 signature info has unexpected non-zero params'],
      });
    }
  });

  test(`${profile}: C27 enforcement and C28 lockdown; a mangled load counts as unsigned`, (t) => {
    const rejected = { errno: 'EKEYREJECTED', check: 'C27', log: ['Loading of unsigned module is rejected'] } as const;
    const down = 'Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7';
    const signed = join(moduleFor(profile), 'PKCS7', trailer(5), SIGNATURE_MARKER);
    const force = config({ MODULE_SIG_FORCE: true });
    refuses(t, kernelOf(profile, force), moduleFor(profile), rejected);
    for (const flags of [1, 2, 3]) refuses(t, kernelOf(profile, force), signed, rejected, { flags });
    refuses(t, kernelOf(profile, config({ LOCKDOWN: true })), moduleFor(profile), {
      errno: 'EPERM',
      check: 'C28',
      log: [down],
    });
    refuses(t, kernelOf(profile, config({ LOCKDOWN: true, MODULE_SIG_FORCE: true })), moduleFor(profile), rejected);
    // Without CONFIG_MODULE_SIG there is no check, no stripping and no taint.
    const kernel = kernelOf(profile, config({ MODULE_SIG: false, MODULE_SIG_FORCE: true, LOCKDOWN: true }));
    loads(t, kernel, signed, []);
    t.false(kernel.taints.has('UNSIGNED_MODULE'));
  });

  test(`${profile}: C57 the blacklist holds exact names of modinfo`, (t) => {
    const kernel = kernelOf(profile, { blacklist: ['snd_pcm', 'mini'] });
    const named = (name: string, inStruct = name): Uint8Array =>
      moduleFor(profile, { modinfo: { name }, thisModule: { name: inStruct } });
    refuses(t, kernel, named('snd_pcm'), {
      errno: 'EPERM',
      check: 'C57',
      log: ['Module snd_pcm is blacklisted'],
      step: 'early_mod_check',
    });
    refuses(t, kernel, named('snd_pcm', 'other'), {
      errno: 'EPERM',
      check: 'C57',
      log: ['Module snd_pcm is blacklisted'],
    });
    loads(t, kernel, named('snd-pcm'), [unsigned('snd-pcm')]);
    loads(t, kernel, named('other', 'mini'), []);
    // Without name= the name in struct module counts.
    const nameless = ko({
      ...specFor(profile),
      thisModule: { name: 'mini' },
      modinfo: ['license=GPL', `vermagic=${vermagic(profile)}`],
    });
    refuses(t, kernel, nameless, { errno: 'EPERM', check: 'C57', log: ['Module mini is blacklisted'] });
  });

  const wrongCrc = moduleFor(profile, { versions: [['module_layout', 1]] });
  const disagrees = {
    errno: 'ENOEXEC',
    check: 'C58',
    log: ['minimal: disagrees about version of symbol module_layout'],
  } as const;

  test(`${profile}: C58 module_layout's CRC`, (t) => {
    refuses(t, kernelOf(profile), wrongCrc, disagrees);
    // All 64 bits of the entry count.
    const wide = ko({
      ...specFor(profile),
      patch: (image, { sections }) => {
        image[sections.find(({ name }) => name === '__versions')!.sh_offset + 4] = 1;
      },
    });
    refuses(t, kernelOf(profile), wide, disagrees);
    loads(t, kernelOf(profile, config({ MODVERSIONS: false })), wrongCrc);
    loads(t, kernelOf(profile, { exports: [exported('module_layout', { crc: undefined as never })] }), wrongCrc);
    // The first entry decides.
    const twice = (...crcs: number[]): Uint8Array =>
      moduleFor(profile, { versions: crcs.map((crc) => ['module_layout', crc] as const) });
    loads(t, kernelOf(profile), twice(MODULE_LAYOUT_CRC, 1));
    refuses(t, kernelOf(profile), twice(1, MODULE_LAYOUT_CRC), disagrees);
  });

  test(`${profile}: C58 without an entry: mainline warns once, Debian refuses`, (t) => {
    const without = moduleFor(profile, { versions: [['other', 1]] });
    const line = 'minimal: no symbol version for module_layout';
    const mainline = kernelOf(profile);
    loads(t, mainline, without, [line, ...UNSIGNED]);
    loads(t, mainline, moduleFor(profile, { versions: [['other', 1]], thisModule: { name: 'second' } }), []);
    const debian = kernelOf(profile, { vendor: 'debian' });
    for (const _ of [1, 2]) refuses(t, debian, without, { errno: 'ENOEXEC', check: 'C58', log: [line] });
  });

  test(`${profile}: C58 without __versions: silence, or a taint with MODULE_FORCE_LOAD`, (t) => {
    const { versions: _, ...rest } = specFor(profile);
    const file = ko(rest);
    refuses(t, kernelOf(profile), file, { errno: 'ENOEXEC', check: 'C58', log: [] });
    refuses(t, kernelOf(profile), moduleFor(profile), { errno: 'ENOEXEC', check: 'C58', log: [] }, { flags: 1 });
    const kernel = kernelOf(profile, config({ MODULE_FORCE_LOAD: true }));
    const m = loads(t, kernel, file, ['minimal: module_layout: kernel tainted.', ...UNSIGNED]);
    t.true(kernel.taints.has('FORCED_MODULE'));
    t.is(m?.taintLetters, 'FE');
    // Said only while the kernel is not tainted.
    loads(t, kernel, ko({ ...rest, thisModule: { name: 'second' } }), []);
  });

  test(`${profile}: C59 without vermagic: silence, or a taint with MODULE_FORCE_LOAD`, (t) => {
    const file = moduleFor(profile, { modinfo: ['license=GPL', 'intree=Y', 'name=minimal'] });
    refuses(t, kernelOf(profile), file, { errno: 'ENOEXEC', check: 'C59', log: [] });
    refuses(t, kernelOf(profile), moduleFor(profile), { errno: 'ENOEXEC', check: 'C59', log: [] }, { flags: 2 });
    const kernel = kernelOf(profile, config({ MODULE_FORCE_LOAD: true }));
    t.is(loads(t, kernel, file, ['minimal: bad vermagic: kernel tainted.', ...UNSIGNED])?.taintLetters, 'FE');
  });

  test(`${profile}: C60 the release counts only without __versions`, (t) => {
    const mine = vermagic(profile);
    const release = mine.slice(0, mine.indexOf(' '));
    const other = mine.replace(release, '5.10.0');
    const line = (magic: string): string => `minimal: version magic '${magic}' should be '${mine}'`;
    const withMagic = (magic: string): Uint8Array => moduleFor(profile, { modinfo: { vermagic: magic } });
    loads(t, kernelOf(profile), withMagic(other));
    loads(t, kernelOf(profile), withMagic(mine.replace(release, '')));
    const bad = { errno: 'ENOEXEC', check: 'C60' } as const;
    for (const magic of [mine.replace('SMP ', ''), mine.trimEnd(), `${mine}x`, release, ''])
      refuses(t, kernelOf(profile), withMagic(magic), { ...bad, log: [line(magic)] });
    const strict = kernelOf(profile, config({ MODVERSIONS: false }));
    refuses(t, strict, withMagic(other), { ...bad, log: [line(other)] });
    loads(t, strict, withMagic(mine));
    // Flag 1 takes __versions away; then the release counts.
    refuses(
      t,
      kernelOf(profile, config({ MODULE_FORCE_LOAD: true })),
      withMagic(other),
      {
        ...bad,
        log: ['minimal: module_layout: kernel tainted.', line(other)],
      },
      { flags: 1 },
    );
  });

  test(`${profile}: C61 a livepatch on a kernel without livepatching`, (t) => {
    const file = moduleFor(profile, { modinfo: { livepatch: 'Y' } });
    const line = 'minimal: module is marked as livepatch module, but livepatch support is disabled';
    refuses(t, kernelOf(profile, config({ LIVEPATCH: false })), file, { errno: 'ENOEXEC', check: 'C61', log: [line] });
  });

  test(`${profile}: C62, C63, C70 a name is taken by struct module's name`, (t) => {
    const kernel = kernelOf(profile);
    const file = moduleFor(profile);
    const m = loads(t, kernel, file);
    const late = profile === '6.1';
    refuses(t, kernel, file, {
      errno: 'EEXIST',
      check: late ? 'C70' : 'C62',
      log: [],
      step: late ? 'add_unformed_module' : 'early_mod_check',
    });
    const same = moduleFor(profile, { modinfo: { name: 'another' }, thisModule: { name: 'minimal' } });
    refuses(t, kernel, same, { errno: 'EEXIST', check: late ? 'C70' : 'C62', log: [] });
    loads(t, kernel, moduleFor(profile, { modinfo: { name: 'minimal' }, thisModule: { name: 'another' } }), []);
    for (const state of ['GOING', 'COMING', 'UNFORMED'] as const) {
      m!.state = state;
      refuses(t, kernel, file, { errno: 'EBUSY', check: late ? 'C70' : 'C63', log: [] });
    }
  });

  test(`${profile}: struct module's name ends with its room`, (t) => {
    const at = structModule[64].name;
    const kernel = kernelOf(profile);
    const file = ko({
      ...specFor(profile),
      patch: (image, { sections }) => {
        const { sh_offset } = sections.find(({ name }) => name === '.gnu.linkonce.this_module')!;
        image.fill(0x61, sh_offset + at, sh_offset + at + 100);
      },
    });
    t.is(loads(t, kernel, file, [unsigned('a'.repeat(56))])?.name, 'a'.repeat(56));
  });
}

test('7.2: extended versions replace the basic ones, but not for the release', (t) => {
  const spec = specFor('7.2');
  const { versions: _, ...rest } = spec;
  const mine = vermagic('7.2');
  const good = [['module_layout', MODULE_LAYOUT_CRC]] as const;
  loads(t, kernelOf('7.2'), ko({ ...spec, versions: [['module_layout', 1]], extendedVersions: good }));
  refuses(t, kernelOf('7.2'), ko({ ...spec, extendedVersions: [['module_layout', 1]] }), {
    errno: 'ENOEXEC',
    check: 'C58',
    log: ['minimal: disagrees about version of symbol module_layout'],
  });
  // A missing entry is accepted, by Debian too, and said once.
  for (const vendor of ['mainline', 'debian'] as const) {
    const kernel = kernelOf('7.2', { vendor });
    const without = { ...spec, extendedVersions: [['other', 1]] as const };
    loads(t, kernel, ko(without), ['minimal: no extended symbol version for module_layout', ...UNSIGNED]);
    loads(t, kernel, ko({ ...without, thisModule: { name: 'second' } }), []);
  }
  const magic = mine.replace('7.2.0', '7.2.1');
  const modinfo = { license: 'GPL', intree: 'Y', name: 'minimal', vermagic: magic };
  loads(t, kernelOf('7.2'), ko({ ...spec, modinfo, extendedVersions: good }));
  refuses(t, kernelOf('7.2'), ko({ ...rest, modinfo, extendedVersions: good }), {
    errno: 'ENOEXEC',
    check: 'C60',
    log: [`minimal: version magic '${magic}' should be '${mine}'`],
  });
});

test('6.x does not look at extended versions', (t) => {
  for (const profile of ['6.1', '6.12', '6.12.117'] as const)
    loads(t, kernelOf(profile), moduleFor(profile, { extendedVersions: [['module_layout', 1]] }));
});
