/**
 * A port that is the reference itself, for tests of what holds ports against it: the protocol, verify, shrinking and
 * reporters, without a compiler. With --fault it does one thing wrong.
 */
import { parseArgs } from 'node:util';
import { type Arch, arches } from '../../arch/index.ts';
import { type Answer, servePort } from '../../oracle/serve-port.ts';
import type { PortCase } from '../../oracle/port-protocol.ts';
import { range } from '../../relocs/check.ts';
import { SHF_ALLOC } from '../../relocs/elf.ts';
import { field } from '../../relocs/field.ts';
import type { Howto } from '../../relocs/howto.ts';
import { run } from '../../testing/replay.ts';
import type { Vector } from '../../testing/vector.ts';
import { vectorOf } from './case-vector.ts';

const {
  fault,
  kernel,
  arch: name,
} = parseArgs({
  options: {
    fault: { type: 'string', default: 'none' },
    kernel: { type: 'string', default: '7.2' },
    arch: { type: 'string', default: 'riscv64' },
  },
}).values;

function answer(c: PortCase): Answer {
  const { ret, stage, warns, log, module: m, crash } = run(vectorOf(c, kernel as Vector['kernel']));
  if (crash?.startsWith('signal')) process.kill(process.pid, 'SIGSEGV');
  const sections = new Map<number, Uint8Array>();
  for (const s of m.sections)
    if (s.index > 0 && (s.sh_flags & SHF_ALLOC) !== 0 && stage !== 'frob') sections.set(s.index, s.bytes);
  return { ret, stage, warns, log: log === '' ? '' : `${log}\n`, sections, extra: new Map() };
}

/** Puts another row in the place of one, before any was compiled. */
function change(arch: Arch, row: string, by: (old: Howto) => Partial<Howto>): void {
  for (const list of arch.rules.rows.values() as Iterable<Howto[]>) {
    for (const [i, old] of list.entries()) if (old.name === row) list[i] = { ...old, ...by(old) };
  }
}

/** Calculates as before, after doing something. */
const after =
  (act: () => void) =>
  (old: Howto): Partial<Howto> => ({
    calc: { formula: old.calc.formula, value: (r) => (act(), old.calc.value(r)) },
  });

/** For riscv64. */
const faults: Readonly<Record<string, (arch: Arch) => void>> = {
  none: () => {},
  'range off by one': (arch) =>
    change(arch, 'R_RISCV_CALL', () => ({ checks: [range(-(1n << 31n) - 0x800n, (1n << 31n) - 0x802n)] })),
  'wrong mask': (arch) =>
    change(arch, 'R_RISCV_JAL', () => ({
      field: field(4, [
        [20, 20, 31],
        [10, 1, 21],
        [11, 11, 20],
        [18, 12, 12],
      ]),
    })),
  'no sign extension': (arch) =>
    change(arch, 'R_RISCV_PCREL_LO12_I', (old) => ({
      calc: { formula: old.calc.formula, value: (r) => BigInt.asUintN(12, old.calc.value(r)) },
      write: (r, v) => r.write(4, (r.read(4, 'insn') & 0xfffffn) | ((v > 0x7ffn ? 0x7ffn : v) << 20n), 'insn'),
    })),
  'swapped halves': (arch) =>
    change(arch, 'R_RISCV_64', () => ({ write: (r, v) => r.write(8, (v << 32n) | (BigInt.asUintN(64, v) >> 32n)) })),
  'PLT counted wrong': (arch) => {
    const frob = arch.frobSections!;
    Object.assign(arch, {
      frobSections: (m: Parameters<typeof frob>[0]) => {
        frob(m);
        const plt = m.sections.find((s) => s.name === '.plt');
        if (plt !== undefined && plt.sh_size > 24) plt.sh_size -= 12;
      },
    });
  },
  'no overflow check': (arch) => change(arch, 'R_RISCV_32', () => ({ checks: [] })),
  'wrong type refused': (arch) => change(arch, 'R_RISCV_RELAX', () => ({ action: 'apply' })),
  hang: (arch) =>
    change(
      arch,
      'R_RISCV_LO12_S',
      after(() => {
        for (;;);
      }),
    ),
  flood: (arch) =>
    change(
      arch,
      'R_RISCV_LO12_S',
      after(() => {
        for (;;) process.stdout.write('x'.repeat(1 << 16));
      }),
    ),
  crash: (arch) =>
    change(
      arch,
      'R_RISCV_LO12_S',
      after(() => process.kill(process.pid, 'SIGSEGV')),
    ),
  garbage: (arch) =>
    change(
      arch,
      'R_RISCV_LO12_S',
      after(() => process.stdout.write('hello')),
    ),
  exit: (arch) =>
    change(
      arch,
      'R_RISCV_LO12_S',
      after(() => process.exit(3)),
    ),
};

const act = faults[fault];
if (act === undefined) throw new Error(`no fault named ${fault}`);
act(arches.find((a) => a.name === name)!);
await servePort(answer, process.stdin, process.stdout);
