/** The compiled loop is the interpreter, only quicker: same bytes, same log, same refusal, on every 64-bit LE table. */
import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import * as fc from 'fast-check';
import { arches, configOf } from '../../arch/index.ts';
import { existsIn } from '../../arch/summary.ts';
import { applySection } from '../../relocs/apply.ts';
import { applyCompiled } from '../../relocs/compile.ts';
import { versions } from '../../relocs/module-view.ts';
import { rowFor } from '../../relocs/rules.ts';
import { cases } from '../../testing/generate.ts';
import { type Outcome, run } from '../../testing/replay.ts';
import { Loading, type Rela } from '../arch/hand-made.ts';

const TEXT = 0xffff_ffff_c000_0000n;
const SIZE = 64;

/** Distances at which branches, pages and 32-bit fields end, and their neighbours. */
const reach = fc
  .tuple(
    fc.constantFrom(0, 7, 8, 11, 12, 15, 16, 20, 21, 25, 27, 31, 32, 33, 47, 63),
    fc.constantFrom(-0x801n, -4n, -1n, 0n, 1n, 4n, 0x7ffn),
    fc.boolean(),
  )
  .map(([bits, delta, negative]) => (negative ? -(1n << BigInt(bits)) : 1n << BigInt(bits)) + delta);

const value = fc.oneof(
  reach.map((d) => TEXT + d),
  reach,
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, (1n << 64n) - 1n, (1n << 64n) - 4095n, (1n << 64n) - 4096n, TEXT, TEXT + 4n),
);

const tables = arches.filter((a) => a.is64 && a.orders.includes('little') && a.forms.includes('RELA'));
/** Those whose tables need no more than the sections below; offsets and symbol numbers go astray here. */
const simple = tables.filter((a) => ['x86_64', 'arm64', 'riscv64'].includes(a.name));

for (const arch of tables) {
  for (const version of versions.filter((v) => existsIn(arch, v))) {
    test(`${arch.name} ${version}: generated cases end alike`, (t) => {
      const given = cases({ arch, version, little: true, bases: [0x1000_0000n], most: 10 });
      t.notThrows(() =>
        fc.assert(
          fc.property(given, (v) => deepStrictEqual(seen(run(v)), seen(run(v, { relocation: () => {} })))),
          { numRuns: 60 },
        ),
      );
    });
  }
}

/** Everything of an outcome that can be observed. */
const seen = ({ ret, stage, crash, warns, log, module: m }: Outcome): unknown => ({
  ret,
  stage,
  crash,
  warns,
  log,
  bytes: m.sections.map((s) => [s.name, s.bytes]),
});

for (const arch of simple) {
  for (const version of versions) {
    test(`${arch.name} ${version}: compiled and interpreted agree`, (t) => {
      const config = configOf(arch, version);
      const known = [...arch.rules.rows.keys()].filter((n) => rowFor(arch.rules, n, version, config) !== undefined);
      const relas: fc.Arbitrary<Rela[]> = fc.array(
        fc.tuple(
          fc.oneof({ weight: 20, arbitrary: fc.nat(SIZE - 8) }, fc.constantFrom(SIZE - 4, SIZE - 3, SIZE, 1n << 32n)),
          fc.oneof({ weight: 30, arbitrary: fc.constantFrom(...known) }, fc.nat(400)),
          fc.oneof({ weight: 30, arbitrary: fc.nat(4) }, fc.constant(5)),
          fc.oneof(fc.constantFrom(0n, -4n, 4n, -8n, 0x800n), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })),
        ),
        { maxLength: 12 },
      );
      const bytes = fc.oneof(fc.constant(new Uint8Array(SIZE)), fc.uint8Array({ minLength: SIZE, maxLength: SIZE }));
      t.notThrows(() =>
        fc.assert(
          fc.property(relas, fc.array(value, { minLength: 4, maxLength: 4 }), bytes, (list, values, content) => {
            const make = (): Loading =>
              new Loading({
                arch,
                version,
                sections: [
                  { name: '.text', at: TEXT, bytes: content, relas: list },
                  ...['.plt', '.init.plt', '.got', '.got.plt'].map((name, i) => ({
                    name,
                    at: TEXT + BigInt((i + 1) * 0x1000),
                  })),
                ],
                symbols: values.map((v) => ({ value: v })),
              });
            const compiled = make();
            const interpreted = make();
            deepStrictEqual(compiled.frob(), interpreted.frob());
            deepStrictEqual(compiled.relocate(undefined, applyCompiled), interpreted.relocate(undefined, applySection));
            for (const s of interpreted.module.sections)
              deepStrictEqual(compiled.section(s.name).bytes, s.bytes, s.name);
          }),
          { numRuns: 300 },
        ),
      );
    });
  }
}
