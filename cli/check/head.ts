/** Which kernel a tree is for, by a few of its modules. */
import { join } from 'node:path';
import { FileReader } from './file-reader.ts';
import { Arena } from './arena.ts';
import { E_FLAGS, FLAGS, STRUCT_SIZE, UNREADABLE, VERMAGIC } from './records.ts';
import { Scanner } from './scan.ts';

/** What most of the modules that were looked at say. */
export interface TreeHead {
  readonly is64: boolean;
  readonly little: boolean;
  readonly e_machine: number;
  readonly e_flags: number;
  readonly vermagic: string;
  readonly structModuleSize: number;
}

/** How many are asked. */
const ASKED = 9;
/** Names that are kept: of each module a few, and its softdeps. */
const NAMES = 1 << 13;
/** And how many are tried before nobody is. */
const TRIED = 200;

/** Undefined: none of them is a module. Files that cannot be read are passed over; the check will tell. */
export async function treeHead(dir: string, paths: readonly string[]): Promise<TreeHead | undefined> {
  const arena = Arena.create(1, NAMES, NAMES * 40);
  const scanner = new Scanner(arena);
  const reader = new FileReader(scanner.room);
  const votes = new Map<string, { head: TreeHead; n: number }>();
  let asked = 0;
  const step = Math.max(Math.floor(paths.length / ASKED), 1);
  for (let n = 0; n < Math.min(paths.length, TRIED) && asked < ASKED; n++) {
    const i = ((n * step) % paths.length) + (Math.floor((n * step) / paths.length) % paths.length);
    const head = await headOf(arena, scanner, reader, join(dir, paths[i % paths.length]!));
    if (head === undefined) continue;
    asked++;
    const key = JSON.stringify(head);
    const vote = votes.get(key);
    if (vote === undefined) votes.set(key, { head, n: 1 });
    else vote.n++;
  }
  return [...votes.values()].toSorted((a, b) => b.n - a.n)[0]?.head;
}

async function headOf(arena: Arena, scanner: Scanner, reader: FileReader, path: string): Promise<TreeHead | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await reader.read(path);
  } catch {
    return undefined;
  }
  if (bytes.length < 64) return undefined;
  const { core, names } = arena;
  const is64 = bytes[4] === 2;
  const little = bytes[5] === 1;
  const e_machine = (bytes[little ? 19 : 18]! << 8) | bytes[little ? 18 : 19]!;
  arena.setFrame({ is64, little, e_machine, version: '6.1', modversions: false, signed: false, proof: 0 });
  scanner.peek(0, bytes);
  const word = (n: number): number => core.field(0, n);
  if ((word(FLAGS) & UNREADABLE) !== 0 || word(VERMAGIC) === 0 || word(STRUCT_SIZE) === 0) return undefined;
  return {
    is64,
    little,
    e_machine,
    e_flags: word(E_FLAGS) >>> 0,
    vermagic: names.name(word(VERMAGIC)),
    structModuleSize: word(STRUCT_SIZE),
  };
}
