/** `komulator explain`: the load of one module as a story, one step of it, or one relocation. */
import { DecompressionError } from '../loader/compression.ts';
import type { ResolvedExport } from '../loader/kernel.ts';
import type { Step } from '../loader/load.ts';
import type { LoadOptions } from '../loader/loading.ts';
import type { Howto } from '../relocs/howto.ts';
import { type Attempt, attempt, unpackingRefused } from './attempt.ts';
import { relocationJson, relocationLines, Watched } from './explain-relocation.ts';
import { type Exit, exit, type Io, toJson } from './io.ts';
import { readModuleFile } from './module-file.ts';
import { moduleHead } from './module-head.ts';
import { pick } from './numbering.ts';
import { type KernelOptions, type OpenKernel, openKernel } from './open-kernel.ts';
import { plan } from './plan.ts';
import { failureJson, failureLines, kernelJson } from './report.ts';
import { labels, steps, Story, type Told } from './story.ts';
import { UsageError, unknown } from './usage-error.ts';

export interface ExplainOptions extends KernelOptions {
  readonly params?: string;
  readonly step?: string;
  readonly reloc?: string;
  readonly json?: boolean;
}

/** A step of this load, told. */
interface Chapter extends Omit<Told, 'detail'> {
  readonly step: string;
  readonly does: string;
  readonly in: string;
  /** Only of the step that was asked for. */
  readonly detail: readonly string[];
}

/** Everything that was seen of one load. */
interface Explained {
  readonly opened: OpenKernel;
  readonly done: Attempt;
  readonly chapters: readonly Chapter[];
  /** Labels of the way back, in order. */
  readonly unwound: readonly string[];
  readonly watched: Watched | undefined;
}

export async function explain(file: string, options: ExplainOptions, io: Io): Promise<Exit> {
  const step = options.step === undefined ? undefined : stepNamed(options.step);
  if (step !== undefined && options.reloc !== undefined) throw new UsageError('give --step or --reloc, not both');
  const { items, notes } = await plan([file], options.modules);
  const last = items.at(-1);
  if (last === undefined) throw new UsageError(notes.join('; '));

  const target = await bytesOf(last.file);
  const opened = await openKernel(target instanceof Uint8Array ? moduleHead(target, last.file) : undefined, options);
  for (const [i, { file: dependency, name }] of items.slice(0, -1).entries()) {
    io.progress(`loading ${i + 1}/${items.length - 1} ${name}`);
    const bytes = await bytesOf(dependency);
    const done =
      bytes instanceof Uint8Array
        ? attempt(opened.kernel, dependency, bytes)
        : unpackingRefused(opened.kernel, dependency, bytes);
    if (done.error === undefined) continue;
    io.progress();
    if (options.json === true)
      io.print(toJson({ kernel: kernelJson(opened.kernel), failed: failureJson(done, opened) }));
    else failureLines(done, opened, io, io.print);
    return exit.findings;
  }
  io.progress();

  const explained =
    target instanceof Uint8Array
      ? watch(opened, last.file, target, options)
      : {
          opened,
          done: unpackingRefused(opened.kernel, last.file, target),
          chapters: [],
          unwound: [],
          watched: undefined,
        };
  if (options.json === true) io.print(toJson(explainedJson(explained, step, options.reloc !== undefined)));
  else if (options.reloc !== undefined) relocation(explained, io);
  else if (step !== undefined) oneStep(explained, step, io);
  else story(explained, io);
  return explained.done.error === undefined ? exit.well : exit.findings;
}

async function bytesOf(file: string): Promise<Uint8Array | DecompressionError> {
  try {
    return await readModuleFile(file);
  } catch (error) {
    if (error instanceof DecompressionError) return error;
    throw error;
  }
}

/** A step by its name; the two names of the ELF checks are one. */
function stepNamed(name: string): string {
  if (steps[name] !== undefined) return name;
  throw unknown('step', name, Object.keys(steps));
}

const sameStep = (a: string, b: string): boolean =>
  a === b || (a.startsWith('elf_validity') && b.startsWith('elf_validity'));

/** Loads, and takes notes. */
function watch(opened: OpenKernel, file: string, bytes: Uint8Array, options: ExplainOptions): Explained {
  const resolved: { name: string; symbol: ResolvedExport }[] = [];
  const applied = new Map<Howto, number>();
  const chapters: Chapter[] = [];
  const unwound: string[] = [];
  let told: Story | undefined;
  let watched: Watched | undefined;

  const see = ({ step, load, unwinding }: Step): void => {
    if (unwinding === true) {
      unwound.push(step);
      return;
    }
    told ??= new Story(load, bytes.length, resolved, applied);
    told.remember(step);
    if (step === 'simplify_symbols' && options.reloc !== undefined)
      watched = new Watched(load, told.relocations, pick(told.relocations, options.reloc));
    if (step === 'apply_relocations') watched?.finish(undefined);
    const info = steps[step];
    if (info === undefined) return;
    const { detail, ...rest } = info.tell(told);
    const inFull = options.step !== undefined && sameStep(options.step, step);
    chapters.push({ step, does: info.does, in: info.in, ...rest, detail: inFull ? detail() : [] });
  };
  const init: LoadOptions = {
    ...(options.params === undefined ? {} : { params: options.params }),
    onResolved: (name, symbol) => resolved.push({ name, symbol }),
    trace: {
      relocation: (r, row, value, before, after) => {
        applied.set(row, (applied.get(row) ?? 0) + 1);
        watched?.see(r, value, before, after);
      },
    },
  };
  const done = attempt(opened.kernel, file, bytes, init, see);
  if (done.error !== undefined) watched?.finish(done.error);
  return { opened, done, chapters, unwound, watched };
}

function head({ opened, done }: Explained, io: Io): void {
  const { kernel } = opened;
  io.print(
    `${io.paint('bold', done.name ?? done.file)} ${io.paint('dim', `on ${kernel.arch.name} ${kernel.version} (${kernel.vendor})`)}`,
  );
  for (const note of opened.notes) io.complain(`${io.paintError('yellow', 'note:')} ${note}`);
}

function chapter(c: Chapter, title: string, lines: readonly string[], io: Io): void {
  io.print(
    `\n${io.paint('cyan', title)} ${io.paint('dim', `(${c.does === `${c.step}()` ? '' : `${c.does}; `}${c.in})`)}`,
  );
  for (const line of lines) io.print(`   ${line}`);
}

function story(explained: Explained, io: Io): void {
  const { chapters, unwound, done, opened } = explained;
  head(explained, io);
  for (const [i, c] of chapters.entries()) chapter(c, `${i + 1}. ${c.step}`, c.lines, io);
  const { error } = done;
  if (error === undefined) return;
  io.print(`\n${io.paint('red', `${chapters.length + 1}. ${error.step ?? 'load_module'}`)} refuses it`);
  failureLines(done, opened, io, io.print);
  if (unwound.length > 0) io.print('\nWhat was done is undone:');
  for (const label of unwound) io.print(`   ${label.padEnd(18)} ${labels[label] ?? ''}`.trimEnd());
  io.print('The kernel is as it was before, but for its log and its taints.');
}

function oneStep(explained: Explained, step: string, io: Io): void {
  const { chapters, done, opened } = explained;
  head(explained, io);
  const c = chapters.find((one) => sameStep(one.step, step));
  if (c !== undefined) chapter(c, c.step, [...c.lines, ...(c.detail.length > 0 ? ['', ...c.detail] : [])], io);
  else if (done.error === undefined) io.print(`This kernel has no step ${step}.`);
  else if (!sameStep(done.error.step ?? '', step)) io.print(`The load does not come to ${step}.`);
  if (done.error !== undefined) failureLines(done, opened, io, io.print);
}

function relocation(explained: Explained, io: Io): void {
  const { watched, done, opened } = explained;
  head(explained, io);
  if (watched === undefined) io.print('The load does not come to its relocations.');
  else for (const line of relocationLines(watched)) io.print(line);
  if (done.error !== undefined && watched?.outcome !== 'refused') failureLines(done, opened, io, io.print);
}

function explainedJson(
  { opened, done, chapters, unwound, watched }: Explained,
  step: string | undefined,
  reloc: boolean,
): object {
  const shown = step === undefined ? chapters : chapters.filter((c) => sameStep(c.step, step));
  return {
    kernel: kernelJson(opened.kernel),
    file: done.file,
    module: done.name ?? null,
    state: done.module?.state ?? null,
    ...(reloc
      ? { relocation: watched === undefined ? null : relocationJson(watched) }
      : {
          steps: shown.map((c) => ({
            step: c.step,
            functions: c.does,
            in: c.in,
            text: c.lines,
            facts: c.facts,
            ...(step === undefined ? {} : { detail: c.detail }),
          })),
          unwound: unwound.map((label) => ({ label, does: labels[label] ?? null })),
        }),
    failed: done.error === undefined ? null : failureJson(done, opened),
    notes: opened.notes,
    log: done.log,
  };
}
