/** --config: the switches of a kernel, from its .config or from JSON. */
import { renamedOptions } from '../loader/kconfig.ts';
import { defaultConfig } from '../loader/kernel.ts';
import type { Config } from '../relocs/module-view.ts';
import { readText } from './read-text.ts';
import { UsageError } from './usage-error.ts';

/** Reads a .config, or a JSON object of switches by name without CONFIG_. */
export async function readConfig(file: string): Promise<Config> {
  const text = await readText(file);
  return text.trimStart().startsWith('{') ? fromJson(text, file) : fromDotConfig(text, file);
}

function fromJson(text: string, file: string): Config {
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : 'is no JSON'}`);
  }
  const config: Record<string, boolean | number> = {};
  for (const [name, value] of Object.entries(all as object)) {
    if (typeof value !== 'boolean' && typeof value !== 'number')
      throw new UsageError(`${file}: ${name} is ${JSON.stringify(value)}, not true, false or a number`);
    config[name.replace(/^CONFIG_/, '')] = value;
  }
  return config;
}

/** In a whole .config an option that is not named is off. */
function fromDotConfig(text: string, file: string): Config {
  const config: Record<string, boolean | number> = {};
  let options = 0;
  const whole = /^CONFIG_MODULES=y/m.test(text);
  if (whole)
    for (const [name, value] of Object.entries(defaultConfig)) if (typeof value === 'boolean') config[name] = false;
  text.split('\n').forEach((line, i) => {
    const off = /^# CONFIG_(\w+) is not set/.exec(line);
    const on = /^CONFIG_(\w+)=(.*)$/.exec(line.trimEnd());
    const name = off?.[1] ?? on?.[1];
    if (name === undefined) {
      if (line.trim() !== '' && !line.startsWith('#'))
        throw new UsageError(`${file}, line ${i + 1}: expected CONFIG_NAME=value or '# CONFIG_NAME is not set'`);
      return;
    }
    options++;
    const value = valueOf(on?.[2]);
    if (value !== undefined) config[renamedOptions[name] ?? name] = value;
  });
  if (options === 0) throw new UsageError(`${file}: no CONFIG_ option in it`);
  const shift = config['PAGE_SHIFT'];
  if (typeof shift === 'number') config['PAGE_SIZE'] = 2 ** shift;
  return config;
}

function valueOf(text: string | undefined): boolean | number | undefined {
  if (text === undefined || text === 'n') return false;
  if (text === 'y' || text === 'm') return true;
  return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : undefined;
}
