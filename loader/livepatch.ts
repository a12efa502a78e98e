/**
 * klp_apply_section_relocs() of kernel/livepatch/core.c, as far as loading a module goes: the relocations of a livepatch
 * against symbols of vmlinux that are not exported. Those against a module are applied when that module is loaded and
 * patched, which is not emulated.
 */
import { applySection } from '../relocs/apply.ts';
import { SHN_LIVEPATCH } from '../relocs/elf.ts';
import { Entries } from '../relocs/entries.ts';
import { crashes, type Refusal } from '../relocs/refusal.ts';
import type { Section } from '../relocs/section.ts';
import type { CheckId } from './errors.ts';
import type { Kernel } from './kernel.ts';
import type { Loading } from './loading.ts';
import type { Module } from './module.ts';

/** `.klp.rela.objname.section`: what sscanf() takes of it. */
const SECTION = /^\.klp\.rela\.([^.]{1,55})/s;
/** `.klp.sym.objname.name,position` */
const SYMBOL = /^\.klp\.sym\.([^.]{1,55})\.([^,]{1,511}),[\t-\r \u{a0}]*(\d+)/su;

/**
 * Applies one section with SHF_RELA_LIVEPATCH, whatever its type says.
 *
 * @throws LoadError C88 (EINVAL) for names and symbols, and what relocation refuses
 */
export function klpApplySectionRelocs(load: Loading, m: Module, s: Section, checkOf: (r: Refusal) => CheckId): void {
  const { kernel } = load;
  if (!kernel.switch('LIVEPATCH')) return;
  const [, objname] = SECTION.exec(s.name) ?? [];
  if (objname === undefined)
    throw refuse(load, `section ${s.name} has an incorrectly formatted name`, 'it should be .klp.rela.OBJECT.SECTION');
  if (objname !== 'vmlinux') return;

  const symtab = m.symtab!;
  const entries = new Entries(m.format, true, s.bytes);
  const { rules } = kernel.arch;
  for (let i = 0; i < entries.count; i++) {
    const sym = rules.info.sym(entries.r_info(i), m.format);
    if (sym >= symtab.count)
      load.asking(checkOf, () => {
        throw crashes('signal 11', `entry ${i} of ${s.name} names symbol ${sym} of ${symtab.count}`);
      });
    const name = symtab.name(sym);
    if (symtab.st_shndx(sym) !== SHN_LIVEPATCH) {
      const where = m.version === '7.2' ? ` at rela sec ${load.info.index.sym} idx ${i}` : '';
      throw refuse(
        load,
        `symbol ${name}${where} is not marked as a livepatch symbol`,
        'its st_shndx is not SHN_LIVEPATCH',
      );
    }
    const [, object, wanted, position] = SYMBOL.exec(name) ?? [];
    if (object === undefined || wanted === undefined || position === undefined)
      throw refuse(
        load,
        `symbol ${name} has an incorrectly formatted name`,
        'it should be .klp.sym.OBJECT.NAME,POSITION',
      );
    symtab.setValue(
      sym,
      findObjectSymbol(load, object, wanted, BigInt.asUintN(m.format.is64 ? 64 : 32, BigInt(position))),
    );
  }
  const run = { module: m, rules, section: s, entries, target: m.sections[s.sh_info]!, symtab };
  load.asking(checkOf, () => applySection(run, load.options.trace));
  load.relocations += entries.count;
}

/** klp_find_object_symbol(): position 0 wants the only symbol of that name, n the nth. */
function findObjectSymbol(load: Loading, object: string, name: string, position: bigint): bigint {
  const all = object === 'vmlinux' ? load.kernel.kallsyms(name) : moduleKallsyms(load.kernel, object, name);
  const stop = position > 0n ? position : 2n;
  const seen = BigInt(all.length) < stop ? all.length : Number(stop);
  const address = all[seen - 1] ?? 0n;
  if (address === 0n)
    throw refuse(load, `symbol '${name}' not found in symbol table`, `${object} has no symbol ${name}`);
  if (position === 0n && seen > 1) {
    // vmlinux goes by NULL here, and printk() says so.
    const where = object === 'vmlinux' ? '(null)' : object;
    throw refuse(
      load,
      `unresolvable ambiguity for symbol '${name}' in object '${where}'`,
      'several symbols have that name',
    );
  }
  if (position > 0n && BigInt(seen) !== position)
    throw refuse(
      load,
      `symbol position ${position} for symbol '${name}' in object '${object}' not found`,
      `there are ${seen}`,
    );
  return address;
}

/** module_kallsyms_on_each_symbol(): what a loaded module defines by that name. */
function moduleKallsyms(kernel: Kernel, object: string, name: string): bigint[] {
  const symtab = kernel.findModule(object)?.symtab;
  const found: bigint[] = [];
  if (symtab === undefined) return found;
  for (let i = 0; i < symtab.count; i++)
    if (symtab.st_shndx(i) !== 0 && symtab.name(i) === name) found.push(symtab.st_value(i));
  return found;
}

const refuse = (load: Loading, line: string, reason: string): Error =>
  load.fail('EINVAL', 'C88', `livepatch: ${line}`, reason);
