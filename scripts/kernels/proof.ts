/** The quick look of `komulator check` beside insmod, on every module of a real tree and on mutants of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../../arch/index.ts';
import { type Accepted, type JudgeSetup, openJudge, type Verdict } from '../../cli/check/judge.ts';
import { Arena } from '../../cli/check/arena.ts';
import { Link } from '../../cli/check/link.ts';
import { proofTable } from '../../cli/check/proof.ts';
import { DOUBT, EXPORTS, GPL_ONLY, PLT, RELOCATIONS, STRUCT_SIZE, VERMAGIC } from '../../cli/check/records.ts';
import { DOUBTS, Scanner } from '../../cli/check/scan.ts';
import { readSymvers } from '../../cli/check/symvers.ts';
import { moduleFiles } from '../../cli/check/tree.ts';
import { treeHead } from '../../cli/check/head.ts';
import { readModuleFile } from '../../cli/module-file.ts';
import { moduleName } from '../../loader/depend-files.ts';
import { inModuleNamespace } from '../../loader/symbols.ts';
import type { Version } from '../../relocs/module-view.ts';
import type { DebianKernel } from '../debian/manifest.ts';

export interface Proof {
  readonly modules: number;
  readonly proven: number;
  readonly agreed: number;
  readonly mutants: number;
  readonly provenMutants: number;
  readonly wrong: readonly string[];
  /** Why the others were not proven, and how many. */
  readonly doubts: Readonly<Record<string, number>>;
}

/** Every so many modules one is mutated, so many times. */
const EVERY = 8;
const TIMES = 24;

/** Exports, relocations, table entries and verdicts of both, for a tree of an architecture that has a proof. */
export async function proofAgainstInsmod(
  kernel: Pick<DebianKernel, 'modulesDir' | 'symvers'>,
  arch: Arch,
  version: Version,
  times: number = TIMES,
): Promise<Proof> {
  const { dir, paths } = moduleFiles(kernel.modulesDir);
  const head = (await treeHead(dir, paths))!;
  const arena = Arena.create(paths.length, 1 << 17, 1 << 22);
  const { names } = arena;
  const modversions = / modversions /.test(head.vermagic);
  const link = new Link(paths, arena, {
    modversions,
    strictVersions: true,
    allowMissingNamespaces: false,
    inModuleNamespace: version === '7.2' ? inModuleNamespace : undefined,
  });
  readSymvers(readFileSync(kernel.symvers), arena);
  const { is64, little, e_machine } = head;
  const proof = arena.keep(proofTable(arch, version)!).at;
  arena.setFrame({ is64, little, e_machine, version, modversions, signed: false, proof });
  const scanner = new Scanner(arena);
  const setup: JudgeSetup = {
    arch: arch.name,
    order: head.little ? 'little' : 'big',
    version,
    vendor: 'debian',
    config: { MODVERSIONS: modversions },
    vermagic: head.vermagic,
    structModuleSize: head.structModuleSize,
  };
  const judge = openJudge({ setup, symvers: kernel.symvers });
  const vermagic = names.of(head.vermagic);
  // What the others export is what Module.symvers lists.
  link.provide(new Set());
  const wrong: string[] = [];
  const doubts: Record<string, number> = {};
  let [proven, agreed, mutants, provenMutants] = [0, 0, 0, 0];
  const isProven = (i: number, file: Uint8Array): boolean => {
    scanner.scan(i, file, true);
    return (
      link.field(i, VERMAGIC) === vermagic && link.field(i, STRUCT_SIZE) === head.structModuleSize && link.linked(i)
    );
  };
  const random = generator(20_261_120);
  for (const [i, path] of paths.entries()) {
    const file = (await readModuleFile(join(dir, path))).slice();
    const name = moduleName(path);
    if (isProven(i, file.slice())) {
      proven++;
      const other = difference(judge.judge(name, file.slice()), link, i);
      if (other === undefined) agreed++;
      else wrong.push(`${path}: proven, but insmod says ${other}`);
    } else {
      const why = DOUBTS[link.field(i, DOUBT)] || 'link';
      doubts[why] = (doubts[why] ?? 0) + 1;
    }
    if (i % EVERY !== 0 || file.length > 1 << 20) continue;
    for (let n = 0; n < times; n++) {
      const mutant = file.slice();
      const tables = Number(new DataView(file.buffer).getBigUint64(40, head.little));
      const from = n % 3 === 0 ? tables : 0;
      for (let k = 0; k < 1 + (n % 3); k++)
        mutant[from + Math.floor(random() * (file.length - from))] = Math.floor(random() * 256);
      mutants++;
      if (!isProven(i, mutant.slice())) continue;
      provenMutants++;
      const other = difference(judge.judge(name, mutant), link, i);
      if (other !== undefined) wrong.push(`${path}, mutant ${n}: proven, but insmod says ${other}`);
    }
    isProven(i, file);
  }
  return { modules: paths.length, proven, agreed, mutants, provenMutants, wrong, doubts };
}

/** How insmod disagrees with the record of a module that is proven. */
function difference(verdict: Verdict | Accepted, link: Link, i: number): string | undefined {
  if ('errno' in verdict) return verdict.reason;
  const [relocations, slots] = [link.field(i, RELOCATIONS), link.field(i, PLT)];
  if (verdict.relocations !== relocations || verdict.slots !== slots)
    return `${verdict.relocations} relocations and ${verdict.slots} table entries, not ${relocations} and ${slots}`;
  const text = (name: string, crc: number | undefined, gplonly: boolean, namespace: string): string =>
    `${name} ${crc ?? 0} ${gplonly} ${namespace}`;
  const name = (id: number): string => link.names.name(id);
  // Where a table is not there, exports() gives what Module.symvers lists.
  const ours = (link.field(i, EXPORTS) === 0 ? [] : link.exports(i)).map((e) =>
    text(name(e.name), e.crc >>> 0, (e.bits & GPL_ONLY) !== 0, name(e.namespace)),
  );
  const theirs = verdict.exports.map((e) => text(e.name, e.crc, e.gplonly, e.namespace));
  return ours.join() === theirs.join() ? undefined : `other exports: ${theirs.join()}`;
}

/** Numbers from 0 to 1, the same each time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
