/** The quick look of `komulator check` beside insmod, on every module of a real tree and on mutants of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from '../../arch/index.ts';
import { type JudgeSetup, openJudge } from '../../cli/check/judge.ts';
import { Arena } from '../../cli/check/arena.ts';
import { Link } from '../../cli/check/link.ts';
import { proofTable } from '../../cli/check/proof.ts';
import { DOUBT, PLT, RELOCATIONS, STRUCT_SIZE, VERMAGIC } from '../../cli/check/records.ts';
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
    if (isProven(i, file.slice())) {
      proven++;
      const record = recordOf(link, i);
      const name = moduleName(path);
      const verdict = judge.judge(name, file.slice());
      const same =
        !('errno' in verdict) &&
        verdict.relocations === record.relocations &&
        verdict.slots === record.slots &&
        verdict.exports.map((e) => `${e.name} ${e.crc ?? 0} ${e.gplonly} ${e.namespace}`).join() === record.exports;
      if (same) agreed++;
      else
        wrong.push(
          `${path}: ${'errno' in verdict ? verdict.reason : `other exports, relocations or table entries: ${verdict.relocations} relocations, ${verdict.slots} entries, not ${record.relocations}, ${record.slots}`}`,
        );
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
      const verdict = judge.judge(moduleName(path), mutant);
      if ('errno' in verdict) wrong.push(`${path}, mutant ${n}: proven, but insmod says ${verdict.reason}`);
    }
    isProven(i, file);
  }
  return { modules: paths.length, proven, agreed, mutants, provenMutants, wrong, doubts };
}

/** What the record of a module says, as text. */
function recordOf(
  link: Link,
  i: number,
): {
  readonly relocations: number;
  readonly slots: number;
  readonly exports: string;
} {
  const exports = link
    .exports(i)
    .map(
      ({ name, bits, crc, namespace }) =>
        `${link.names.name(name)} ${crc >>> 0} ${(bits & 1) !== 0} ${link.names.name(namespace)}`,
    )
    .join();
  return { relocations: link.field(i, RELOCATIONS), slots: link.field(i, PLT), exports };
}

/** Numbers from 0 to 1, the same each time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
