/** The laws of testing/, for every architecture of the registry: few cases here, many with `npm run test:laws`. */
import test from 'ava';
import { arches, defineArch } from '../../arch/index.ts';
import { abs, pcrel } from '../../relocs/calculations.ts';
import { dont, signed } from '../../relocs/check.ts';
import { SHF_ALLOC, SHT_NOBITS } from '../../relocs/elf.ts';
import { type Field, insn32, word32 } from '../../relocs/field.ts';
import { howto, type Row } from '../../relocs/howto.ts';
import { Slots, tableSection } from '../../relocs/slots.ts';
import { StateOf } from '../../relocs/state.ts';
import type { ModuleView } from '../../relocs/module-view.ts';
import { keepsLaw, type Law, laws } from '../../testing/laws.ts';

for (const arch of arches) for (const law of laws) test(keepsLaw, arch, law, { numRuns: 60 });

// What the laws find in architectures that break them.

const broken = (relocs: Record<string, Row>, more: Partial<Parameters<typeof defineArch>[0]> = {}) =>
  defineArch({
    name: 'broken',
    backend: 'broken',
    psABI: '-',
    e_machine: [92],
    is64: false,
    orders: ['big'],
    forms: ['RELA'],
    relocs,
    unknown: () => ({ errno: 'ENOEXEC', log: ['unknown'] }),
    overflow: () => ({ errno: 'ENOEXEC', log: ['overflow'] }),
    moduleArea: () => ({ text: [0xb000_0000n, 0xc000_0000n] }),
    ...more,
  });
const lawNamed = (part: string): Law => laws.find(({ name }) => name.includes(part))!;
const IMM16 = insn32([[15, 0, 0]]);
const spill: Field = { ...IMM16, insert: (word, v) => IMM16.insert(word, v) ^ (v & 1n ? 0x8000_0000n : 0n) };
const shifted: Field = { ...IMM16, extract: (word) => IMM16.extract(word) + 1n };

const table = new StateOf<ModuleView, Slots>((m) => new Slots(m.sections[1]!, 4, 0));

const cases: [law: string, what: RegExp, arch: () => ReturnType<typeof broken>][] = [
  [
    'unique',
    /R_OR1K_A is both 1 and 2|both R_OR1K_A/,
    () => {
      const arch = broken({ R_OR1K_A: howto(1, abs, word32, dont), R_OR1K_B: howto(2, abs, word32, dont) });
      const [row] = arch.rules.rows.get(2)!;
      return {
        ...arch,
        rules: { ...arch.rules, rows: new Map([...arch.rules.rows, [2, [{ ...row!, name: 'R_OR1K_A' }]]]) },
      };
    },
  ],
  [
    'mask',
    /broken R_OR1K_A \(1\), value \S+, word \S+: the mask is 0xffff, insert writes 0x8000ffff/,
    () => broken({ R_OR1K_A: howto(1, abs, spill, dont) }),
  ],
  [
    'extract',
    /broken R_OR1K_A \(1\), value \S+, word \S+: extract gives/,
    () => broken({ R_OR1K_A: howto(1, abs, shifted, dont) }),
  ],
  [
    'last value',
    /broken R_OR1K_A \(1\), value 0x8000, word \S+: its check and its range, -0x8000 … 0x7fff, disagree/,
    () => broken({ R_OR1K_A: howto(1, pcrel, IMM16, { ...signed, passes: (v) => v >= -0x8000n && v <= 0x8000n }) }),
  ],
  [
    'last value',
    /broken R_OR1K_A \(1\), value 0x7fff, word \S+: its check and its range/,
    () => broken({ R_OR1K_A: howto(1, pcrel, IMM16, { ...signed, passes: (v) => v >= -0x8000n && v < 0x7fffn }) }),
  ],
  [
    'last value',
    /byte 40 from its place has changed/,
    () => {
      const put: Row = howto(1, pcrel, IMM16, dont, {
        write: (r, v) => {
          r.insert(IMM16, v);
          r.write(1, 7n, 'data', 40);
        },
      });
      return broken({ R_OR1K_A: put });
    },
  ],
  [
    'moving',
    /moved by 0x\S+: .text\+0x/,
    () => broken({ R_OR1K_A: howto(1, { formula: 'S + A - P', value: (r) => r.S + r.A }, word32, dont) }),
  ],
  [
    'counted',
    /\.got was sized for 0 entries and one more is needed/,
    () =>
      broken(
        {
          R_OR1K_A: howto(
            1,
            { formula: 'GOT(S + A)', value: (r) => table.of(r.module).entry(r.S, () => undefined) },
            word32,
            dont,
          ),
        },
        {
          e_machine: [0x9026],
          is64: true,
          orders: ['little'],
          frobSections: (m) => {
            const got = tableSection(m, '.got');
            Object.assign(got, { sh_type: SHT_NOBITS, sh_flags: SHF_ALLOC, sh_size: 0 });
            table.set(m, new Slots(got, 8, 0));
          },
        },
      ),
  ],
  [
    'twice',
    /loaded again it is another/,
    () => {
      let loads = 0n;
      return broken(
        { R_OR1K_A: howto(1, { formula: 'S', value: () => loads }, word32, dont) },
        { frobSections: () => void loads++ },
      );
    },
  ],
  [
    'temporary',
    /it changes with the temporary image/,
    () => {
      const first = new StateOf<ModuleView, { bytes: Uint8Array }>((m) => ({ bytes: m.sections[1]!.bytes }));
      return broken(
        { R_OR1K_A: howto(1, abs, word32, dont) },
        { frobSections: (m) => void first.of(m), stubBytes: (m) => first.of(m).bytes },
      );
    },
  ],
];
for (const [law, what, arch] of cases) {
  test(`"${lawNamed(law).name}" is seen broken: ${what.source.slice(0, 60)}`, (t) => {
    t.throws(() => lawNamed(law).holds(arch(), { numRuns: 500, seed: 1 }), { message: what });
  });
}

test('a broken law tells its seed', (t) => {
  const arch = broken({ R_OR1K_A: howto(1, abs, shifted, dont) });
  t.throws(() => lawNamed('extract').holds(arch, { seed: 1234 }), { message: /\(seed 1234, after \d+ cases\)$/ });
});
