/** What each thread does: it takes the next few modules of the tree, as long as there are any, and looks at them. */
import type { Config } from '../../relocs/module-view.ts';
import { errnoOf } from '../file-error.ts';
import { Arena, type SharedArena, Trap } from './arena.ts';
import { FileReader, OwnRoom } from './file-reader.ts';
import type { Exporter, Judge, JudgeSetup, Verdict } from './judge.ts';
import {
  DOUBT,
  EXPORTS,
  FLAGS,
  GPL_ONLY,
  HAS_CRC,
  HEAD,
  IMPORTS,
  IMPORT_WORDS,
  JUDGED,
  NAME,
  NAMESPACES,
  PLT,
  RELOCATIONS,
  SOFTDEPS,
  WEAK,
} from './records.ts';
import { NamesFull } from './names.ts';
import { Scanner, USUAL } from './scan.ts';

/** Words of the memory by which threads share the work. */
export const NEXT = 0,
  STOP = 1,
  DONE = 2,
  CONTROL_WORDS = 4;

/** What all threads know. */
export interface Job {
  /** Where names and records are, and what kernel the modules are for. */
  readonly arena: SharedArena;
  readonly control: SharedArrayBuffer;
  /** Threads that share it. */
  readonly jobs: number;
  readonly dir: string;
  readonly paths: readonly string[];
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
  /** Names of exports that the kernel finds; undefined where it was refused. */
  readonly exports?: readonly string[];
}

/** Modules taken at a time: so many that taking costs nothing, so few that threads end together. */
const CHUNK = 8;
/** Room for files of all threads together, in bytes. */
const ROOM = 1 << 30;
const XZ_CHUNKS = 16,
  XZ_MOST = 400;
/**
 * Looks at modules until there are none left, or it is told to stop, and gives those that could not be read. What there
 * is to know of the others is in the arena. `breathe`: where the thread has something else to hear in between.
 */
export async function scanModules(job: Job, breathe?: () => Promise<void>): Promise<Problem[]> {
  const control = new Int32Array(job.control);
  const arena = attached(job);
  // Others do its part, or insmod.
  if (arena === undefined) return [];
  const scanner = new Scanner(arena, Math.min(USUAL, ROOM / job.jobs));
  const judge = job.judge && (await openJudge(job.judge));
  // insmod wants memory of its own, and the file as it was.
  const room = judge === undefined ? scanner.room : new OwnRoom();
  const reader = new FileReader(room);
  const { dir, paths, shard } = job;
  const problems: Problem[] = [];
  const isMine = (i: number): boolean => shard === undefined || i % shard.count === shard.index;
  const look = (i: number, bytes: Uint8Array): void => {
    // Others' modules too: mine may need them.
    scanner.scan(i, bytes, true);
    if (judge === undefined || !isMine(i)) return;
    try {
      judgeScanned(judge, arena, i, bytes);
    } catch (error) {
      // It stays in doubt.
      if (!(error instanceof NamesFull)) throw error;
    }
  };

  const packed = paths.some((path) => path.endsWith('.xz'));
  // Starting a process costs as much as unpacking a few modules.
  const size = packed ? Math.min(Math.max(Math.ceil(paths.length / XZ_CHUNKS), CHUNK), XZ_MOST) : CHUNK;
  const xz = packed ? await import('./xz-batch.ts') : undefined;
  const unpacker = xz && new xz.XzReader(room);
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
        try {
          const bytes = reader.read(`${dir}/${paths[i]!}`);
          look(i, bytes instanceof Uint8Array ? bytes : await bytes);
        } catch (error) {
          problems.push(problemOf(i, error));
        }
        Atomics.add(control, DONE, 1);
        i++;
      }
      if (breathe !== undefined) await breathe();
      if (from >= paths.length || Atomics.load(control, STOP) !== 0) break;
    }
  } finally {
    unpacker?.close();
  }
  return problems;
}

/** The memory that all share; undefined where there is none left for one more thread. */
function attached({ arena }: Job): Arena | undefined {
  try {
    return Arena.attach(arena);
  } catch (error) {
    if (!(error instanceof Trap)) throw error;
    return undefined;
  }
}

/** insmod on what has just been scanned; completes the record when it is taken. */
function judgeScanned(judge: Judge, arena: Arena, module: number, bytes: Uint8Array): void {
  const { core, names } = arena;
  const result = judge.judge(names.name(core.field(module, NAME)), bytes);
  if ('errno' in result) return;
  const exports = result.exports.flatMap(({ name, gplonly, crc, namespace }) => [
    names.of(name),
    (gplonly ? GPL_ONLY : 0) | (crc === undefined ? 0 : HAS_CRC),
    crc ?? 0,
    names.of(namespace),
  ]);
  // They stand at the end, and take the place of what was read of them.
  const imports = core.field(module, IMPORTS);
  core.cutTo(HEAD + imports * IMPORT_WORDS + core.field(module, NAMESPACES) + core.field(module, SOFTDEPS));
  const at = core.extend(exports.length);
  for (const [n, word] of exports.entries()) arena.setWord(at + n * 4, word);
  const record = core.record.value as number;
  core.setRecord(module, record);
  const set = (field: number, value: number): void => arena.setWord(record + field * 4, value);
  set(DOUBT, 0);
  set(FLAGS, core.field(module, FLAGS) | JUDGED);
  set(RELOCATIONS, result.relocations);
  set(PLT, result.slots);
  set(EXPORTS, result.exports.length);
  for (let k = 0; k < imports; k++) {
    const p = record + (HEAD + k * IMPORT_WORDS) * 4;
    // What it did not need is nothing to insist on: weak, or a name that the architecture sees to.
    if (!result.resolved.has(names.name(arena.word(p)))) arena.setWord(p + 4, arena.word(p + 4) | WEAK);
  }
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
      else {
        const { relocations, slots, exports } = result;
        tell({ module, verdict: undefined, relocations, slots, exports: exports.map(({ name }) => name) });
      }
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
