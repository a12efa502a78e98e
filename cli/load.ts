/** `komulator load`: insmod of every FILE into one kernel. */
import { DecompressionError } from '../loader/compression.ts';
import type { LoadOptions as Options } from '../loader/loading.ts';
import { lsmod } from '../loader/proc.ts';
import { type Attempt, attempt, unpackingRefused } from './attempt.ts';
import { type Exit, exit, type Io, toJson } from './io.ts';
import { readModuleFile } from './module-file.ts';
import { type ModuleHead, moduleHead } from './module-head.ts';
import { type KernelOptions, type OpenKernel, openKernel } from './open-kernel.ts';
import { type Plan, plan, type Planned } from './plan.ts';
import type { Places } from './place.ts';
import { failureLines, jsonOf, loadedLines } from './report.ts';

export interface LoadOptions extends KernelOptions {
  readonly place?: string;
  readonly params?: string;
  readonly dump?: string;
  readonly json?: boolean;
}

export async function load(files: readonly string[], options: LoadOptions, io: Io): Promise<Exit> {
  const planned = await plan(files, options.modules);
  const opened = await openKernel(await firstHead(planned), options);
  const places = options.place === undefined ? undefined : await openPlaces(options.place, planned);
  if (options.dump !== undefined) await (await import('./dump.ts')).openDump(options.dump);

  const params =
    options.params === undefined ? undefined : planned.items.findLast(({ neededBy }) => neededBy.length === 0);
  const done: Attempt[] = [];
  for (const [i, item] of planned.items.entries()) {
    if (planned.items.length > 1) io.progress(`loading ${i + 1}/${planned.items.length} ${item.name}`);
    if (done.some((d) => d.error !== undefined && isFutile(item, neededBy(planned, d.file)))) continue;
    done.push(await insmodFile(opened, item, options, places, item === params));
  }
  io.progress();
  if (options.dump !== undefined) {
    const { dump } = await import('./dump.ts');
    for (const one of done) await dump(options.dump, one);
  }

  const skipped = planned.items.filter(({ file }) => !done.some((d) => d.file === file));
  if (options.json === true) io.print(toJson(jsonOf(opened, planned, done, skipped)));
  else report(opened, planned, done, skipped, io);
  return done.some(({ error }) => error !== undefined) ? exit.findings : exit.well;
}

/** Whether an item is asked for, or only needed, by those who need something that was refused. */
const isFutile = (item: Planned, losers: readonly string[]): boolean =>
  item.neededBy.length === 0 ? losers.includes(item.name) : item.neededBy.every((name) => losers.includes(name));

const neededBy = (planned: Plan, file: string): readonly string[] =>
  planned.items.find((item) => item.file === file)?.neededBy ?? [];

/** The first of the files asked for that is an ELF file says which kernel this is. */
async function firstHead(planned: Plan): Promise<ModuleHead | undefined> {
  for (const { file, neededBy: by } of planned.items) {
    const head = by.length === 0 ? await headOf(file) : undefined;
    if (head !== undefined) return head;
  }
  return undefined;
}

/** A file that cannot be unpacked tells nothing here; loading it will say so. */
async function headOf(file: string): Promise<ModuleHead | undefined> {
  try {
    return moduleHead(await readModuleFile(file), file);
  } catch (error) {
    if (error instanceof DecompressionError) return undefined;
    throw error;
  }
}

/** The addresses of --place, for modules that are going to be loaded. */
async function openPlaces(file: string, planned: Plan): Promise<Places> {
  const { checkModules, readPlaces } = await import('./place.ts');
  const places = await readPlaces(file);
  const names = await Promise.all(planned.items.map(async (item) => (await headOf(item.file))?.name ?? item.name));
  checkModules(places, names, file);
  return places;
}

/** Reads and loads one file. */
async function insmodFile(
  { kernel }: OpenKernel,
  { file }: Planned,
  options: LoadOptions,
  places: Places | undefined,
  withParams: boolean,
): Promise<Attempt> {
  let bytes: Uint8Array;
  try {
    bytes = await readModuleFile(file);
  } catch (error) {
    if (error instanceof DecompressionError) return unpackingRefused(kernel, file, error);
    throw error;
  }
  const name = places && moduleHead(bytes, file)?.name;
  const place = name === undefined ? undefined : places?.get(name);
  const init: Options = {
    ...(place === undefined ? {} : { place }),
    ...(withParams ? { params: options.params ?? '' } : {}),
  };
  if (place === undefined || name === undefined) return attempt(kernel, file, bytes, init);
  const { checkSections } = await import('./place.ts');
  let checked = false;
  return attempt(kernel, file, bytes, init, ({ load: { info } }) => {
    if (checked || info.sections.length === 0) return;
    checked = true;
    checkSections(place, info, name, options.place ?? '');
  });
}

function report(
  opened: OpenKernel,
  planned: Plan,
  done: readonly Attempt[],
  skipped: readonly Planned[],
  io: Io,
): void {
  const { kernel } = opened;
  const magic = kernel.vermagic === undefined ? '' : `: ${kernel.vermagic.trim()}`;
  io.print(io.paint('dim', `${kernel.arch.name} ${kernel.version} (${kernel.vendor})${magic}`));
  for (const note of [...opened.notes, ...planned.notes]) io.complain(`${io.paintError('yellow', 'note:')} ${note}`);
  for (const one of done) {
    if (one.error === undefined) for (const line of loadedLines(one, io)) io.print(line);
    else failureLines(one, opened, io);
  }
  for (const { file, neededBy: by } of skipped) {
    const why = by.length === 0 ? 'something that it needs was refused' : `only ${by.join(', ')} would have needed it`;
    io.complain(`${file}: not tried, because ${why}`);
  }
  if (kernel.modules.length > 1) for (const line of ['', ...lsmod(kernel).trimEnd().split('\n')]) io.print(line);
}
