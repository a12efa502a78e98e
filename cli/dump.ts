/** --dump: a folder per module with its layout and the final bytes of every section. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from './file-error.ts';
import type { Attempt } from './attempt.ts';
import { toJson } from './io.ts';
import { placedSections } from './sections.ts';

/** A name from a module file that is safe as a name in a folder. */
const safe = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+$/, '_')
    .slice(0, 100);

/** Makes the folder, so that one that cannot be written to is noticed before the work. Throws InputError. */
export async function openDump(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
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
    await mkdir(folder, { recursive: true });
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
