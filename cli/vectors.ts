/** `komulator vectors replay`: recorded cases against the reference. */
import { basename } from 'node:path';
import type { Difference } from '../testing/replay.ts';
import { replay } from '../testing/replay.ts';
import type { Vector } from '../testing/vector.ts';
import { count, type Exit, exit, type Io, toJson } from './io.ts';
import { readBytes } from './read-text.ts';
import { UsageError } from './usage-error.ts';

export interface ReplayOptions {
  readonly json?: boolean;
}

interface Replayed {
  readonly file: string;
  /** Of the cases, joined where there are several. */
  readonly arch: string;
  readonly cases: number;
  readonly agree: number;
  readonly disagree: readonly Difference[];
}

export async function replayFiles(files: readonly string[], options: ReplayOptions, io: Io): Promise<Exit> {
  const all: Replayed[] = [];
  for (const file of files) {
    const done = await replayFile(file, io);
    all.push(done);
    if (options.json === true) continue;
    const bad = done.cases - done.agree;
    const verdict = bad === 0 ? io.paint('green', 'all agree') : io.paint('red', `${bad} disagree`);
    io.print(`${basename(file)}  ${done.arch}  ${count(done.cases, 'case')}, ${verdict}`);
    for (const { id, what, expected, actual } of done.disagree)
      io.print(`  ${id}: ${what}\n    expected ${shown(expected)}\n    actual   ${shown(actual)}`);
  }
  if (options.json === true) io.print(toJson({ files: all }));
  return all.some(({ disagree }) => disagree.length > 0) ? exit.findings : exit.well;
}

const shown = (text: string): string => (text === '' ? '(nothing)' : text.replaceAll('\n', '\n             '));

async function replayFile(file: string, io: Io): Promise<Replayed> {
  const lines = (await textOf(file)).split('\n');
  const arches = new Set<string>();
  const disagree: Difference[] = [];
  let cases = 0;
  let agree = 0;
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const where = `${file}, line ${i + 1}`;
    const vector = parsed(line, where);
    arches.add(vector.arch);
    cases++;
    if (cases % 25 === 1) {
      io.progress(`${basename(file)}: case ${cases}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const differences = replayed(vector, where);
    if (differences.length === 0) agree++;
    else disagree.push(...differences);
  }
  io.progress();
  if (cases === 0) throw new UsageError(`${file}: no case in it`);
  return { file, arch: [...arches].join(', '), cases, agree, disagree };
}

/** The text of a .jsonl or .jsonl.gz file, told apart by content. */
async function textOf(file: string): Promise<string> {
  let bytes = await readBytes(file);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      bytes = process.getBuiltinModule('node:zlib').gunzipSync(bytes);
    } catch (error) {
      throw new UsageError(
        `${file}: the gzip stream is broken: ${error instanceof Error ? error.message : 'unknown error'}`,
      );
    }
  }
  return new TextDecoder().decode(bytes);
}

/** A case with the keys that running it needs. */
function parsed(line: string, where: string): Vector {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UsageError(`${where}: ${error instanceof Error ? error.message : 'is no JSON'}`);
  }
  const isObject = (v: unknown): boolean => typeof v === 'object' && v !== null && !Array.isArray(v);
  if (!isObject(value)) throw new UsageError(`${where}: a case is a JSON object`);
  const v = value as Readonly<Record<string, unknown>>;
  for (const key of ['id', 'arch', 'kernel', 'elf']) {
    if (typeof v[key] !== 'string') throw new UsageError(`${where}: '${key}' is missing or no string`);
  }
  if (!['6.1', '6.12', '7.2'].includes(v['kernel'] as string))
    throw new UsageError(`${where}: kernel '${String(v['kernel'])}' has no profile; there are 6.1, 6.12 and 7.2`);
  for (const key of ['place', 'symbols', 'expect']) {
    if (!isObject(v[key])) throw new UsageError(`${where}: '${key}' is missing or no object`);
  }
  return value as Vector;
}

/** A case that cannot be run at all (no ELF, no such architecture, an address that is none) is wrong input. */
function replayed(vector: Vector, where: string): Difference[] {
  try {
    return replay(vector);
  } catch (error) {
    throw new UsageError(
      `${where}: case ${vector.id} cannot be run: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
