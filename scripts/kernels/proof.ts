/** The quick look of `komulator check` beside insmod, on every module of a real tree and on mutants of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { x86_64 } from '../../arch/x86.ts';
import { openJudge } from '../../cli/check/judge.ts';
import { Link } from '../../cli/check/link.ts';
import { Names } from '../../cli/check/names.ts';
import { proofTable } from '../../cli/check/proof.ts';
import { DOUBT, RELOCATIONS, STRUCT_SIZE, VERMAGIC, Words } from '../../cli/check/records.ts';
import { type Frame, Scanner } from '../../cli/check/scan.ts';
import { readSymvers } from '../../cli/check/symvers.ts';
import { moduleFiles } from '../../cli/check/tree.ts';
import { treeHead } from '../../cli/check/head.ts';
import { moduleName } from '../../loader/depend-files.ts';
import type { DebianKernel } from '../debian/manifest.ts';

export interface Proof {
  readonly modules: number;
  readonly proven: number;
  readonly agreed: number;
  readonly mutants: number;
  readonly provenMutants: number;
  readonly wrong: readonly string[];
}

/** Every so many modules one is mutated, so many times. */
const EVERY = 8;
const TIMES = 24;

/** Exports, relocations and verdicts of both, for an x86-64 tree. */
export async function proofAgainstInsmod(kernel: DebianKernel): Promise<Proof> {
  const { dir, paths } = moduleFiles(kernel.modulesDir);
  const head = (await treeHead(dir, paths))!;
  const names = Names.create(1 << 17, 1 << 22);
  const table = readSymvers(readFileSync(kernel.symvers), names);
  const frame: Frame = {
    is64: true,
    little: true,
    e_machine: 62,
    version: '6.1',
    modversions: true,
    signed: false,
    proof: proofTable(x86_64, '6.1'),
  };
  const out = new Words();
  const scanner = new Scanner(frame, names, out);
  const link = new Link(paths, names, table, {
    modversions: true,
    strictVersions: true,
    allowMissingNamespaces: false,
    inModuleNamespace: undefined,
  });
  const setup = {
    arch: 'x86_64',
    order: 'little',
    version: '6.1',
    vendor: 'debian',
    config: undefined,
    vermagic: head.vermagic,
    structModuleSize: head.structModuleSize,
  } as const;
  const judge = openJudge({ setup, symvers: kernel.symvers });
  const vermagic = names.of(head.vermagic);
  // What the others export is what Module.symvers lists.
  link.provide(new Set());
  const wrong: string[] = [];
  let [proven, agreed, mutants, provenMutants] = [0, 0, 0, 0];
  const isProven = (i: number, file: Uint8Array): boolean => {
    out.length = 0;
    scanner.scan(i, file, true);
    const record = out.take();
    link.ingest(record);
    return (
      record[DOUBT] === 0 &&
      record[VERMAGIC] === vermagic &&
      record[STRUCT_SIZE] === head.structModuleSize &&
      link.linked(i)
    );
  };
  const random = generator(20_261_120);
  for (const [i, path] of paths.entries()) {
    const file = new Uint8Array(readFileSync(join(dir, path)));
    if (isProven(i, file.slice())) {
      proven++;
      const record = recordOf(link, i);
      const name = moduleName(path);
      const verdict = judge.judge(name, file.slice());
      const same =
        !('errno' in verdict) &&
        verdict.relocations === record.relocations &&
        verdict.exports.map((e) => `${e.name} ${e.crc} ${e.gplonly} ${e.namespace}`).join() === record.exports;
      if (same) agreed++;
      else wrong.push(`${path}: ${'errno' in verdict ? verdict.reason : 'other exports or relocations'}`);
    }
    if (i % EVERY !== 0 || file.length > 1 << 20) continue;
    for (let n = 0; n < TIMES; n++) {
      const mutant = file.slice();
      const tables = new DataView(file.buffer).getUint32(40, true);
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
  return { modules: paths.length, proven, agreed, mutants, provenMutants, wrong };
}

/** What the record of a module says, as text. */
function recordOf(link: Link, i: number): { readonly relocations: number; readonly exports: string } {
  const exports = link
    .exports(i)
    .map(
      ({ name, bits, crc, namespace }) =>
        `${link.names.name(name)} ${crc >>> 0} ${(bits & 1) !== 0} ${link.names.name(namespace)}`,
    )
    .join();
  return { relocations: link.field(i, RELOCATIONS), exports };
}

/** Numbers from 0 to 1, the same each time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
