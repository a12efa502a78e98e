/** What each thread does: it takes the next few modules of the tree, as long as there are any, and looks at them. */
import type { Config } from '../../relocs/module-view.ts';
import { errnoOf } from '../file-error.ts';
import { FileReader } from './file-reader.ts';
import type { Exporter, Judge, JudgeSetup, Verdict } from './judge.ts';
import { Names, type SharedNames } from './names.ts';
import {
  DOUBT,
  EXPORT_WORDS,
  EXPORTS,
  FLAGS,
  GPL_ONLY,
  HAS_CRC,
  HEAD,
  IMPORTS,
  IMPORT_WORDS,
  JUDGED,
  LENGTH,
  NAME,
  PLT,
  RELOCATIONS,
  WEAK,
  Words,
} from './records.ts';
import { type Frame, Scanner } from './scan.ts';

/** Words of the memory by which threads share the work. */
export const NEXT = 0,
  STOP = 1,
  DONE = 2,
  CONTROL_WORDS = 4;

/** What all threads know. */
export interface Job {
  readonly names: SharedNames;
  readonly control: SharedArrayBuffer;
  readonly dir: string;
  readonly paths: readonly string[];
  readonly frame: Frame;
  /** `--shard`: of `count` parts the one that is checked. The others are read, but not relocated. */
  readonly shard: { readonly index: number; readonly count: number } | undefined;
  /** Modules go through insmod at once, with what Module.symvers says of the others. */
  readonly judge: JudgeTables | undefined;
}

export interface JudgeTables {
  readonly setup: JudgeSetup;
  readonly symvers: string;
  readonly config?: Config;
  /** Absent: what Module.symvers lists. */
  readonly exporters?: readonly Exporter[];
}

/** A file that could not be read. */
export interface Problem {
  readonly module: number;
  readonly errno: string;
  readonly log: readonly string[];
  readonly reason: string;
}

/** What is told of a module by insmod; `undefined`: it was taken. */
export interface Judgement {
  readonly module: number;
  readonly verdict: Verdict | undefined;
  readonly relocations: number;
  readonly slots: number;
}

/** Told to whoever collects. */
export interface Found {
  readonly records: Int32Array<ArrayBuffer>;
  readonly problems: readonly Problem[];
  /** Refusals of insmod met on the way; the last word on them comes later. */
  readonly judgements: readonly Judgement[];
  /** Relocation types by number, where the frame has a proof table: 1 = met. */
}

/** Modules taken at a time: so many that taking costs nothing, so few that threads end together. */
const CHUNK = 8;
const XZ_CHUNKS = 16,
  XZ_MOST = 400;
/** Records handed over at a time, in words. */
const ENOUGH = 1 << 17;

/**
 * Looks at modules until there are none left, or it is told to stop. `breathe`: where the thread has something else to
 * hear in between.
 */
export async function scanModules(
  job: Job,
  tell: (found: Found) => void,
  breathe?: () => Promise<void>,
): Promise<void> {
  const control = new Int32Array(job.control);
  const names = new Names(job.names);
  const out = new Words();
  const scanner = new Scanner(job.frame, names, out);
  const reader = new FileReader();
  const judge = job.judge && (await openJudge(job.judge));
  const { dir, paths, shard } = job;
  let problems: Problem[] = [];
  let judgements: Judgement[] = [];
  const isMine = (i: number): boolean => shard === undefined || i % shard.count === shard.index;
  const flush = (): void => {
    tell({ records: out.take(), problems, judgements });
    problems = [];
    judgements = [];
  };
  const look = (i: number, bytes: Uint8Array): void => {
    const at = scanner.scan(i, bytes, isMine(i));
    if (judge !== undefined && isMine(i)) {
      const judgement = judged(judge, names, out, at, i, bytes);
      if (judgement !== undefined) judgements.push(judgement);
    }
  };
  const readOne = async (i: number): Promise<void> => {
    try {
      const bytes = reader.read(`${dir}/${paths[i]}`);
      look(i, bytes instanceof Uint8Array ? bytes : await bytes);
    } catch (error) {
      problems.push(problemOf(i, error));
    }
  };

  const packed = paths.some((path) => path.endsWith('.xz'));
  // Starting a process costs as much as unpacking a few modules.
  const size = packed ? Math.min(Math.max(Math.ceil(paths.length / XZ_CHUNKS), CHUNK), XZ_MOST) : CHUNK;
  const xz = packed ? await import('./xz-batch.ts') : undefined;
  const unpacker = xz && new xz.XzReader();
  try {
    for (;;) {
      const from = Atomics.add(control, NEXT, size);
      const end = Math.min(from + size, paths.length);
      for (let i = from; i < end && Atomics.load(control, STOP) === 0; ) {
        let batch = i;
        while (batch < end && paths[batch]!.endsWith('.xz')) batch++;
        if (unpacker !== undefined && batch > i + 1) {
          const begin = i;
          const files = paths.slice(i, batch).map((path) => `${dir}/${path}`);
          const stops = async (): Promise<boolean> => {
            Atomics.add(control, DONE, 1);
            await breathe?.();
            return Atomics.load(control, STOP) !== 0;
          };
          i += await unpacker.read(files, (n, bytes) => look(begin + n, bytes), stops);
          if (i > begin) continue;
        }
        const path = paths[i]!;
        if (path.endsWith('.ko')) {
          // The plain case without a promise.
          try {
            const bytes = reader.read(`${dir}/${path}`);
            look(i, bytes instanceof Uint8Array ? bytes : await bytes);
          } catch (error) {
            problems.push(problemOf(i, error));
          }
        } else await readOne(i);
        Atomics.add(control, DONE, 1);
        i++;
      }
      if (out.length > ENOUGH) flush();
      if (breathe !== undefined) await breathe();
      if (from >= paths.length || Atomics.load(control, STOP) !== 0) break;
    }
  } finally {
    unpacker?.close();
  }
  flush();
}

/** insmod on what has just been scanned; completes the record when it is taken, and tells of a refusal. */
function judged(
  judge: Judge,
  names: Names,
  out: Words,
  at: number,
  module: number,
  bytes: Uint8Array,
): Judgement | undefined {
  const result = judge.judge(names.name(out.words[at + NAME]!), bytes);
  if ('errno' in result) return { module, verdict: result, relocations: 0, slots: 0 };
  const { words } = out;
  words[at + DOUBT] = 0;
  words[at + FLAGS]! |= JUDGED;
  words[at + RELOCATIONS] = result.relocations;
  words[at + PLT] = result.slots;
  const imports = words[at + IMPORTS]!;
  for (let k = 0; k < imports; k++) {
    const p = at + HEAD + k * IMPORT_WORDS;
    // What it did not need is nothing to insist on: weak, or a name that the architecture sees to.
    if (!result.resolved.has(names.name(words[p]!))) words[p + 1]! |= WEAK;
  }
  out.length -= words[at + EXPORTS]! * EXPORT_WORDS;
  for (const e of result.exports) {
    out.push(names.of(e.name));
    out.push((e.gplonly ? GPL_ONLY : 0) | (e.crc === undefined ? 0 : HAS_CRC));
    out.push((e.crc ?? 0) | 0);
    out.push(names.of(e.namespace));
  }
  out.words[at + EXPORTS] = result.exports.length;
  out.words[at + LENGTH] = out.length - at;
  return undefined;
}

/** Puts modules before insmod; `indexes` into the job's paths. */
export async function judgeModules(
  job: Job,
  tables: JudgeTables,
  moduleNames: readonly string[],
  indexes: readonly number[],
  tell: (judgement: Judgement) => void,
  breathe?: () => Promise<void>,
): Promise<void> {
  const control = new Int32Array(job.control);
  const judge = await openJudge(tables);
  const reader = new FileReader();
  for (;;) {
    const n = Atomics.add(control, NEXT, 1);
    if (n >= indexes.length || Atomics.load(control, STOP) !== 0) return;
    if (breathe !== undefined) await breathe();
    const module = indexes[n]!;
    try {
      const bytes = reader.read(`${job.dir}/${job.paths[module]}`);
      const result = judge.judge(moduleNames[module] ?? '', bytes instanceof Uint8Array ? bytes : await bytes);
      if ('errno' in result) tell({ module, verdict: result, relocations: 0, slots: 0 });
      else tell({ module, verdict: undefined, relocations: result.relocations, slots: result.slots });
    } catch (error) {
      const { errno, log, reason } = problemOf(module, error);
      tell({ module, verdict: { errno, check: 'read', log, reason, crash: false }, relocations: 0, slots: 0 });
    }
    Atomics.add(control, DONE, 1);
  }
}

/** The loader is only needed by those who doubt. */
async function openJudge(tables: JudgeTables): Promise<Judge> {
  const { openJudge: open } = await import('./judge.ts');
  return open(tables);
}

/** Throws what is none of the file's doing. */
function problemOf(module: number, error: unknown): Problem {
  if (!(error instanceof Error) || (error.name !== 'InputError' && error.name !== 'DecompressionError')) throw error;
  const { errno, log } = error as { readonly errno?: string; readonly log?: string };
  const code = errno ?? errnoOf(error.cause) ?? 'EIO';
  return { module, errno: code, log: log === undefined ? [] : [log], reason: error.message };
}
