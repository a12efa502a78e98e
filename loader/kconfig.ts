/** A kernel's .config (Debian: /boot/config-VERSION) as the switches the loader looks at. */
import type { Config } from '../relocs/module-view.ts';
import { InputError } from './input-error.ts';
import { defaultConfig } from './kernel.ts';

/** Options that were renamed: the loader knows them by one name. */
export const renamedOptions: Readonly<Record<string, string>> = { MITIGATION_RETPOLINE: 'RETPOLINE' };

/**
 * Reads what `make oldconfig` writes: `y` and `m` are true, `is not set` is false, numbers are numbers, strings are
 * left out. A switch of `defaultConfig` that the file does not name is off, as it is in that kernel; the page size
 * comes from PAGE_SHIFT or the `…_4KB` names. Throws InputError with the line number.
 */
export function parseKconfig(text: string): Config {
  const config: Record<string, boolean | number> = {};
  for (const [name, value] of Object.entries(defaultConfig)) if (value === true) config[name] = false;
  for (const [i, line] of text.split('\n').entries()) {
    const unset = /^# CONFIG_(\w+) is not set\s*$/.exec(line)?.[1];
    if (unset !== undefined) config[renamedOptions[unset] ?? unset] = false;
    if (/^\s*(#|$)/.test(line)) continue;
    const [, written, value] = /^CONFIG_(\w+)=(.*?)\s*$/.exec(line) ?? [];
    const name = written && (renamedOptions[written] ?? written);
    if (name === undefined || value === undefined) {
      throw new InputError(`config, line ${i + 1}: expected CONFIG_NAME=value or a comment`, { line: i + 1 });
    }
    if (value === 'y' || value === 'm' || value === 'n') config[name] = value !== 'n';
    else if (/^(-?\d+|0x[0-9a-f]+)$/i.test(value)) config[name] = Number(value);
  }
  const pageSize = pageSizeOf(config);
  return pageSize === undefined ? config : { ...config, PAGE_SIZE: pageSize };
}

function pageSizeOf(config: Config): number | undefined {
  const shift = config['PAGE_SHIFT'];
  if (typeof shift === 'number') return 2 ** shift;
  for (const [name, value] of Object.entries(config)) {
    const [, generic, own] = /^(?:PAGE_SIZE_(\d+)KB|(?:ARM64|PPC)_(\d+)K_PAGES)$/.exec(name) ?? [];
    if (value === true && (generic ?? own) !== undefined) return Number(generic ?? own) * 1024;
  }
  return undefined;
}
