/** CONFIG_MODVERSIONS: kernel/module/version.c. */
import { sizeofAddr } from '../relocs/elf.ts';
import { cString } from '../relocs/symbols.ts';
import type { LoadInfo } from './load-info.ts';
import type { Module } from './module.ts';

/** struct modversion_info: {unsigned long crc; char name[64 - sizeof(long)]}. */
const SIZEOF_MODVERSION = 64;

/** CRCs that a module was built against, by symbol; the first entry of a name counts. */
export class SymbolVersions {
  private readonly crcs = new Map<string, bigint>();
  readonly extended: boolean;
  /** False: neither kind of table is there. */
  readonly present: boolean;

  constructor(info: LoadInfo) {
    this.extended = info.index.vers_ext_crc !== 0;
    this.present = this.extended || info.index.vers !== 0;
    if (this.extended) this.readExtended(info);
    else if (info.index.vers !== 0) this.readBasic(info);
  }

  get(name: string): bigint | undefined {
    return this.crcs.get(name);
  }

  get size(): number {
    return this.crcs.size;
  }

  entries(): IterableIterator<[string, bigint]> {
    return this.crcs.entries();
  }

  private readBasic(info: LoadInfo): void {
    const { bytes } = info.section(info.index.vers);
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const long = sizeofAddr(info.format);
    for (let at = 0; at + SIZEOF_MODVERSION <= bytes.length; at += SIZEOF_MODVERSION) {
      const crc = long === 8 ? v.getBigUint64(at, info.format.little) : BigInt(v.getUint32(at, info.format.little));
      this.add(cString(bytes, at + long), crc);
    }
  }

  private readExtended(info: LoadInfo): void {
    const { bytes } = info.section(info.index.vers_ext_crc);
    const names = info.section(info.index.vers_ext_name).bytes;
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let i = 0; i + 4 <= bytes.length; i += 4) {
      const name = cString(names, at);
      at += name.length + 1;
      this.add(name, BigInt(v.getUint32(i, info.format.little)));
    }
  }

  private add(name: string, crc: bigint): void {
    if (!this.crcs.has(name)) this.crcs.set(name, crc);
  }
}

/** try_to_force_load(): 0 with CONFIG_MODULE_FORCE_LOAD, and the taint that goes with it. */
export function tryToForceLoad(m: Module, reason: string): boolean {
  const { kernel } = m;
  if (!kernel.switch('MODULE_FORCE_LOAD')) return false;
  if (!kernel.taints.has('FORCED_MODULE')) m.log(`${m.name}: ${reason}: kernel tainted.`);
  kernel.addTaint('FORCED_MODULE');
  m.taints.add('FORCED_MODULE');
  return true;
}

/**
 * check_version(): true when the module may use the symbol. `infoName` is info->name, which these messages print where
 * most others print mod->name.
 */
export function checkVersion(
  m: Module,
  versions: SymbolVersions,
  infoName: string,
  symbol: string,
  crc: number | undefined,
): boolean {
  const { kernel } = m;
  if (!kernel.switch('MODVERSIONS') || crc === undefined) return true;
  if (!versions.present) return tryToForceLoad(m, symbol);
  const wanted = versions.get(symbol);
  if (wanted === BigInt(crc)) return true;
  if (wanted !== undefined) {
    m.log(`${infoName}: disagrees about version of symbol ${symbol}`);
    return false;
  }
  if (versions.extended) {
    m.logOnce('no extended symbol version', `${infoName}: no extended symbol version for ${symbol}`);
    return true;
  }
  if (kernel.vendor === 'debian') {
    m.log(`${infoName}: no symbol version for ${symbol}`);
    return false;
  }
  m.logOnce('no symbol version', `${infoName}: no symbol version for ${symbol}`);
  return true;
}
