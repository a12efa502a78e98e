/** symbol_get() and symbol_put(): a symbol by name, its owner held meanwhile. No CRC, namespace or licence is asked for. */
import { SHF_EXECINSTR } from '../relocs/elf.ts';
import type { Region } from '../relocs/module-view.ts';
import { crashes } from '../relocs/refusal.ts';
import type { Kernel } from './kernel.ts';
import type { Module } from './module.ts';
import { modulePut, strongTryModuleGet } from './refcount.ts';
import { findSymbol } from './symbols.ts';

/** __symbol_get(): the address; undefined (NULL) unless it is exported GPL-only by the kernel or a LIVE module. */
export function symbolGet(kernel: Kernel, name: string): bigint | undefined {
  const symbol = findSymbol(kernel, name, true);
  if (symbol === undefined) return undefined;
  if (!symbol.gplonly) {
    kernel.printk(`failing symbol_get of non-GPLONLY symbol ${name}.`);
    return undefined;
  }
  return strongTryModuleGet(symbol.owner) === undefined ? symbol.value : undefined;
}

/**
 * __symbol_put(): drops a reference on whoever exports the name now.
 *
 * @throws Refusal BUG: nobody does
 */
export function symbolPut(kernel: Kernel, name: string): void {
  const symbol = findSymbol(kernel, name, true);
  if (symbol === undefined) throw crashes('BUG', `symbol_put() of ${name}, which nobody exports`);
  modulePut(symbol.owner);
}

/**
 * symbol_put_addr(): the same by the address of a function. Of the kernel's own text, which needs no reference, the
 * exports are known.
 *
 * @throws Refusal BUG: no module's text
 */
export function symbolPutAddr(kernel: Kernel, address: bigint): void {
  for (const { value } of kernel.exports.values()) if (value === address) return;
  const m = moduleTextAddress(kernel, address);
  if (m === undefined)
    throw crashes('BUG', `symbol_put_addr() of 0x${address.toString(16)}, which is no module's text`);
  modulePut(m);
}

/** __module_text_address(): the module whose code covers an address; UNFORMED ones are not seen. */
export function moduleTextAddress(kernel: Kernel, address: bigint): Module | undefined {
  return kernel.modules.find((m) => m.state !== 'UNFORMED' && texts.some((region) => inText(m, region, address)));
}

const texts = ['text', 'init_text', 'core', 'init'] as const satisfies readonly Region[];

function inText(m: Module, region: (typeof texts)[number], address: bigint): boolean {
  const memory = m.memory[region];
  if (memory === undefined || address < memory.base || address >= memory.base + BigInt(memory.size)) return false;
  if (region === 'text' || region === 'init_text') return true;
  return address < memory.base + BigInt(textSize(m, region));
}

/** text_size of 6.1: what is executable comes first in a blob, up to the end of its last page where pages are protected. */
export function textSize(m: Module, region: 'core' | 'init'): number {
  const ends = m.sections.map((s) => {
    const at = m.placement[s.index];
    return at?.region === region && (s.sh_flags & SHF_EXECINSTR) !== 0 ? at.offset + s.sh_size : 0;
  });
  const size = Math.max(0, ...ends);
  const pages = m.kernel.switch('STRICT_MODULE_RWX') ? Number(m.config['PAGE_SIZE']) : 1;
  return Math.ceil(size / pages) * pages;
}
