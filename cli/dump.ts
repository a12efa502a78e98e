/** --dump: a folder per module with its layout and the final bytes of every section. */
import { existsSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, fileError } from './file-error.ts';
import type { Attempt } from './attempt.ts';
import { toJson } from './io.ts';
import { placedSections } from './sections.ts';

/** A name from a module file that is safe as a name in a folder. */
const safe = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+$/, '_')
    .slice(0, 100);

/** `mkdir -p`. Node's own never ends where making a folder says ENOENT though the one above is there, as in /proc. */
async function makeFolder(dir: string): Promise<void> {
  const above = dirname(dir);
  if (above !== dir && !existsSync(above)) await makeFolder(above);
  try {
    await mkdir(dir);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST' || !(await stat(dir)).isDirectory()) throw error;
  }
}

/** Makes the folder, so that one that cannot be written to is noticed before the work. Throws InputError. */
export async function openDump(dir: string): Promise<void> {
  try {
    await makeFolder(dir);
  } catch (error) {
    throw fileError(dir, error);
  }
}

/** Writes DIR/MODULE/layout.json and a file for each section. Throws InputError. */
export async function dump(dir: string, { module: m, percpu }: Attempt): Promise<void> {
  if (m === undefined) return;
  const folder = join(dir, safe(m.name) || '_');
  const width = String(m.sections.length).length;
  const sections = placedSections(m).map((s) => ({
    ...s,
    file: `${String(s.index).padStart(width, '0')}-${safe(s.name)}.bin`,
  }));
  let path = folder;
  try {
    await makeFolder(folder);
    for (const s of sections) {
      path = join(folder, s.file);
      await writeFile(path, s.region === 'percpu' ? (percpu ?? new Uint8Array(0)) : m.sections[s.index]!.bytes);
    }
    path = join(folder, 'layout.json');
    await writeFile(path, `${toJson({ name: m.name, state: m.state, sections })}\n`);
  } catch (error) {
    throw fileError(path, error);
  }
}
