/** Which kernel a tree is for, by a few of its modules. */
import { join } from 'node:path';
import { elfSection } from '../../loader/elf-image.ts';
import { getModinfo } from '../../loader/modinfo.ts';
import { FileReader } from './file-reader.ts';

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
const ASKED = 3;
/** And how many are tried before nobody is. */
const TRIED = 200;

/** Undefined: none of them is a module. Files that cannot be read are passed over; the check will tell. */
export async function treeHead(dir: string, paths: readonly string[]): Promise<TreeHead | undefined> {
  const reader = new FileReader();
  const votes = new Map<string, { head: TreeHead; n: number }>();
  let asked = 0;
  const step = Math.max(Math.floor(paths.length / ASKED), 1);
  for (let n = 0; n < Math.min(paths.length, TRIED) && asked < ASKED; n++) {
    const i = ((n * step) % paths.length) + (Math.floor((n * step) / paths.length) % paths.length);
    const head = await headOf(reader, join(dir, paths[i % paths.length]!));
    if (head === undefined) continue;
    asked++;
    const key = JSON.stringify(head);
    const vote = votes.get(key);
    if (vote === undefined) votes.set(key, { head, n: 1 });
    else vote.n++;
  }
  return [...votes.values()].toSorted((a, b) => b.n - a.n)[0]?.head;
}

async function headOf(reader: FileReader, path: string): Promise<TreeHead | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await reader.read(path);
  } catch {
    return undefined;
  }
  const modinfo = elfSection(bytes, '.modinfo');
  const self = elfSection(bytes, '.gnu.linkonce.this_module');
  const vermagic = modinfo && getModinfo(modinfo, 'vermagic');
  if (vermagic === undefined || self === undefined) return undefined;
  const is64 = bytes[4] === 2;
  const little = bytes[5] === 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const e_machine = view.getUint16(18, little);
  return {
    is64,
    little,
    e_machine,
    e_flags: view.getUint32(is64 ? 48 : 36, little),
    vermagic,
    structModuleSize: self.length,
  };
}
