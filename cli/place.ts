/** --place: section addresses that somebody else has chosen (a linker, a recording). */
import type { LoadInfo } from '../loader/load-info.ts';
import { readText } from './read-text.ts';
import { UsageError, unknown } from './usage-error.ts';

/** Addresses by section name or "#index", by module. */
export type Places = ReadonlyMap<string, Readonly<Record<string, bigint>>>;

/** Reads {"MODULE": {"SECTION": "0x…"}}. Throws UsageError for anything else. */
export async function readPlaces(file: string): Promise<Places> {
  const text = await readText(file);
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : 'is no JSON'}`);
  }
  if (!isRecord(all)) throw new UsageError(`${file}: expected {"MODULE": {"SECTION": "0x…"}}`);
  return new Map(Object.entries(all).map(([module, sections]) => [module, addresses(file, module, sections)]));
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function addresses(file: string, module: string, sections: unknown): Readonly<Record<string, bigint>> {
  if (!isRecord(sections)) throw new UsageError(`${file}: ${module} must be {"SECTION": "0x…"}`);
  return Object.fromEntries(
    Object.entries(sections).map(([section, address]) => {
      if (typeof address !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(address))
        throw new UsageError(
          `${file}: ${module} ${section}: ${JSON.stringify(address)} is no address; write it as "0x…"`,
        );
      return [section, BigInt(address)];
    }),
  );
}

/** Every module of the file must be one that is loaded. */
export function checkModules(places: Places, names: readonly string[], file: string): void {
  for (const module of places.keys()) {
    if (!names.includes(module)) throw new UsageError(`${file}: ${unknown('module', module, names).message}`);
  }
}

/** Every section must be there, once, and every address a word of this machine. */
export function checkSections(
  place: Readonly<Record<string, bigint>>,
  info: LoadInfo,
  module: string,
  file: string,
): void {
  const names = info.sections.slice(1).map(({ name }) => name);
  for (const [section, address] of Object.entries(place)) {
    const where = `${file}: ${module}`;
    if (!info.format.is64 && address > 0xffff_ffffn)
      throw new UsageError(`${where} ${section}: 0x${address.toString(16)} is no 32-bit address`);
    const index = /^#(\d+)$/.exec(section)?.[1];
    if (index !== undefined) {
      if (Number(index) > 0 && Number(index) < info.sections.length) continue;
      throw new UsageError(`${where}: there is no section ${section}; they are #1 to #${info.sections.length - 1}`);
    }
    const same = info.sections.filter(({ name }) => name === section);
    if (same.length > 1)
      throw new UsageError(
        `${where}: ${same.length} sections are called ${section}; say which: ${same.map((s) => `"#${s.index}"`).join(', ')}`,
      );
    if (same.length === 0) throw new UsageError(`${where}: ${unknown('section', section, names).message}`);
  }
}
