// Writes docs/architectures.md from the rows and from the ground truth in fixtures/. A test holds the file to this.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type Arch, archOf, arches, headerFacts } from '../arch/index.ts';
import { type Backend, backendsOf } from '../arch/summary.ts';
import { machines } from '../fixtures/machines.ts';
import { versions } from '../relocs/module-view.ts';
import { fromBase64, parseVectors } from '../testing/vector.ts';

const root = new URL('../', import.meta.url);
const page = new URL('docs/architectures.md', root);

/** Recorded cases of the kernel's own handlers by architecture name. */
function recorded(): Map<string, number> {
  const folder = new URL('fixtures/vectors/', root);
  const counts = new Map<string, number>();
  const files = existsSync(folder) ? readdirSync(folder).filter((f) => f.endsWith('.jsonl.gz')) : [];
  for (const file of files) {
    for (const { elf } of parseVectors(gunzipSync(readFileSync(new URL(file, folder))).toString())) {
      const facts = headerFacts(fromBase64(elf.slice(0, 128)));
      const arch = facts && archOf(facts, arches);
      if (arch) counts.set(arch.name, (counts.get(arch.name) ?? 0) + 1);
    }
  }
  return counts;
}

/** Files of a fixtures folder that belong to an architecture, over its byte orders. */
function fixtures(folder: 'asm' | 'ko', ending: string, arch: Arch): number {
  const own = machines.filter(
    (m) =>
      arch.e_machine.includes(m.e_machine) &&
      (m.elfClass === 64) === arch.is64 &&
      arch.orders.includes(m.endian) &&
      archOf(
        { is64: arch.is64, little: m.endian === 'little', e_machine: m.e_machine, e_flags: m.e_flags, e_entry: 0n },
        arches,
      ) === arch,
  );
  return own.reduce((sum, { name }) => {
    const at = new URL(`fixtures/${folder}/${name}/`, root);
    return sum + (existsSync(at) ? readdirSync(at).filter((f) => f.endsWith(ending)).length : 0);
  }, 0);
}

function row(b: Backend, handlers: ReadonlyMap<string, number>): string {
  const sum = (count: (a: Arch) => number): string => String(b.arches.reduce((n, a) => n + count(a), 0) || '–');
  return [
    b.name,
    b.bits.toSorted((x, y) => x - y).join(', '),
    b.orders.map((o) => (o === 'little' ? 'LE' : 'BE')).join(', '),
    b.forms.toSorted((x, y) => (x < y ? -1 : 1)).join(', '),
    ...versions.toReversed().map((v) => String(b.handled[v] || '–')),
    String(b.refused || '–'),
    b.hooks.join(', ') || '–',
    sum((a) => handlers.get(a.name) ?? 0),
    sum((a) => fixtures('asm', '.json', a)),
    sum((a) => fixtures('ko', '.ko', a)),
  ].join(' | ');
}

/** The page, whole. */
export function architecturesPage(): string {
  const backends = backendsOf(arches);
  const handlers = recorded();
  const totals = versions.toReversed().map((v) => backends.reduce((sum, b) => sum + b.handled[v], 0));
  return `# Architectures

Made by \`npm run docs\` from the rows in arch/ and the ground truth in fixtures/; a test holds it to them.

${backends.length} backends. Types: distinct relocation type numbers that some configuration of that kernel applies or
deliberately ignores; refused: types that have a refusal of their own. Ground truth: cases recorded from the kernel's
own compiled handlers (fixtures/vectors), relocation types linked by ld or ld.lld at fixed addresses (fixtures/asm), and
modules built by a real compiler (fixtures/ko). The heavier truth, Debian's whole module trees and the shared vectors, is
run by \`npm run test:kernels\` and \`npm run test:vectors\`.

| backend | bits | order | form | 7.2 | 6.12 | 6.1 | refused | hooks | handler cases | linked types | modules |
|---|---|---|---|---|---|---|---|---|---|---|---|
${backends.map((b) => `| ${row(b, handlers)} |`).join('\n')}
| **total** | | | | ${totals.join(' | ')} | | | | | |
`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(page, architecturesPage());
  console.log(`wrote ${fileURLToPath(page)}`);
}
