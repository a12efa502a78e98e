/** Everything before memory is allocated: the system call, module_sig_check(), blacklist, rewrite_section_headers(), check_modinfo(). */
import { SHF_ALLOC } from '../relocs/elf.ts';
import { holdsEhdr } from './load-info.ts';
import type { Loading } from './loading.ts';
import { sameMagic } from './modinfo.ts';
import { stripSignature } from './signature.ts';
import { findSymbol } from './symbols.ts';
import {
  MODULE_INIT_COMPRESSED_FILE,
  MODULE_INIT_IGNORE_MODVERSIONS,
  MODULE_INIT_IGNORE_VERMAGIC,
} from './validate.ts';
import { SymbolVersions } from './versions.ts';

/**
 * What the system calls look at before load_module(). init_module() wants room for an ELF header; finit_module() known
 * flags and a file that is not empty.
 *
 * @throws LoadError C01, C02, C07, C18
 */
export function checkCall(load: Loading): void {
  const { info, kernel, options } = load;
  if (kernel.modulesDisabled)
    throw load.fail('EPERM', 'C01', undefined, 'kernel.modules_disabled is set, and stays so until the next boot');
  if (options.call === 'init_module') {
    if (!holdsEhdr(info)) throw load.fail('ENOEXEC', 'C18', undefined, 'the image is shorter than an ELF header');
    return;
  }
  const known = MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC | MODULE_INIT_COMPRESSED_FILE;
  if ((load.flags & ~known) !== 0)
    throw load.fail(
      'EINVAL',
      'C02',
      undefined,
      `finit_module() knows no flags 0x${(load.flags & ~known).toString(16)}`,
    );
  if (info.len === 0) throw load.fail('EINVAL', 'C07', undefined, 'the file is empty');
}

/** The process that a lockdown message names. */
export const COMM = 'insmod';

/**
 * module_sig_check() without the PKCS#7 part: the trailer is recognised, judged and stripped; a well-formed signature
 * counts as good.
 *
 * @throws LoadError C22, C23, C25 (EBADMSG), C27 (EKEYREJECTED), C28 (EPERM)
 */
export function moduleSigCheck(load: Loading): boolean {
  const { kernel, info } = load;
  if (!kernel.switch('MODULE_SIG')) return true;
  const mangled = (load.flags & (MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC)) !== 0;
  let reason = 'unsigned module';
  if (!mangled) {
    const { len, signature, error } = stripSignature(info.bytes, info.len);
    info.len = len;
    load.signature = signature;
    if (error !== undefined) {
      if (!error.soft)
        throw load.fail(
          error.errno,
          error.check,
          error.log,
          'the appended signature is malformed: the file is damaged or was cut',
        );
      if (error.log !== undefined) load.say(error.log);
      reason = 'module with unsupported crypto';
    } else if (signature !== undefined) return true;
  }
  if (kernel.switch('MODULE_SIG_FORCE'))
    throw load.fail(
      'EKEYREJECTED',
      'C27',
      `Loading of ${reason} is rejected`,
      'this kernel only loads modules signed with a key it knows (module.sig_enforce)',
    );
  if (kernel.switch('LOCKDOWN'))
    throw load.fail(
      'EPERM',
      'C28',
      `Lockdown: ${COMM}: unsigned module loading is restricted; see man kernel_lockdown.7`,
      'this kernel is locked down (secure boot?) and loads only signed modules',
    );
  return false;
}

/** blacklisted(): module_blacklist= holds exact names, `-` and `_` not folded. */
export function checkBlacklist(load: Loading): void {
  const { kernel, info } = load;
  if (info.name !== undefined && kernel.blacklist.has(info.name))
    throw load.fail(
      'EPERM',
      'C57',
      `Module ${info.name} is blacklisted`,
      'module_blacklist= on the kernel command line names it',
    );
}

/** rewrite_section_headers(): addresses in the temporary image; tables that are only read from it lose SHF_ALLOC. */
export function rewriteSectionHeaders(load: Loading): void {
  const { info, kernel } = load;
  const hdr = kernel.format.is64 ? 0xffff_c900_0000_0000n : 0xf000_0000n;
  const bits = kernel.format.is64 ? 64 : 32;
  for (const s of info.sections)
    s.sh_addr = s.index === 0 ? 0n : BigInt.asUintN(bits, hdr + info.shdrs[s.index]!.sh_offset);
  // What is absent is section 0.
  const { info: modinfo, vers, vers_ext_crc, vers_ext_name } = info.index;
  const ignored = kernel.version === '7.2' ? [vers, vers_ext_crc, vers_ext_name, modinfo] : [vers, modinfo];
  for (const i of ignored) info.section(i).sh_flags &= ~SHF_ALLOC;
}

/**
 * check_modstruct_version(): the CRC of module_layout, which stands for every structure that modules and kernel share.
 * A missing entry in an extended table, or in __versions on a mainline kernel, is accepted.
 */
export function checkModstructVersion(load: Loading): SymbolVersions {
  const { info, kernel } = load;
  const versions = new SymbolVersions(info);
  const crc = findSymbol(kernel, 'module_layout', true)?.crc;
  if (crc === undefined || !kernel.switch('MODVERSIONS')) return versions;
  const wanted = versions.get('module_layout');
  const name = info.name ?? '';
  if (wanted === BigInt(crc)) return versions;
  if (!versions.present) {
    if (!forceLoad(load, 'module_layout'))
      throw load.fail(
        'ENOEXEC',
        'C58',
        undefined,
        'the module has no symbol versions (no __versions section), and this kernel does not load modules without',
      );
    return versions;
  }
  if (wanted === undefined) {
    const line = `${name}: no ${versions.extended ? 'extended ' : ''}symbol version for module_layout`;
    if (kernel.vendor === 'debian' && !versions.extended)
      throw load.fail('ENOEXEC', 'C58', line, "the module's __versions section does not list module_layout");
    if (kernel.once(versions.extended ? 'no extended symbol version' : 'no symbol version')) load.say(line);
    return versions;
  }
  throw load.fail(
    'ENOEXEC',
    'C58',
    `${name}: disagrees about version of symbol module_layout`,
    'the module was built for a kernel with another configuration: struct module or its companions differ',
  );
}

/** try_to_force_load() before there is a struct module to taint. */
function forceLoad(load: Loading, reason: string): boolean {
  const { kernel, info } = load;
  if (!kernel.switch('MODULE_FORCE_LOAD')) return false;
  if (!kernel.taints.has('FORCED_MODULE')) load.say(`${info.structModuleName()}: ${reason}: kernel tainted.`);
  kernel.addTaint('FORCED_MODULE');
  load.forced = true;
  return true;
}

/** check_modinfo(): vermagic. A kernel without one takes over that of the first module that it loads. */
export function checkModinfo(load: Loading): void {
  const { kernel, info } = load;
  const modmagic = (load.flags & MODULE_INIT_IGNORE_VERMAGIC) !== 0 ? undefined : info.modinfo('vermagic');
  if (modmagic === undefined) {
    if (!forceLoad(load, 'bad vermagic'))
      throw load.fail(
        'ENOEXEC',
        'C59',
        undefined,
        'the module does not say which kernel it was built for (no vermagic)',
      );
  } else {
    const expected = kernel.vermagic ?? modmagic;
    load.vermagic = expected;
    const hasCrcs = kernel.switch('MODVERSIONS') && info.index.vers !== 0;
    if (!sameMagic(modmagic, expected, hasCrcs))
      throw load.fail(
        'ENOEXEC',
        'C60',
        `${info.name}: version magic '${modmagic}' should be '${expected}'`,
        'the module was built for another kernel',
      );
  }
}

/** check_modinfo_livepatch() */
export function checkLivepatch(load: Loading): void {
  const { kernel, info } = load;
  if (info.modinfo('livepatch') === undefined || kernel.switch('LIVEPATCH')) return;
  const name = info.structModuleName();
  throw load.fail(
    'ENOEXEC',
    'C61',
    `${name}: module is marked as livepatch module, but livepatch support is disabled`,
    'this kernel is built without CONFIG_LIVEPATCH',
  );
}
