/** `komulator arch`: what each architecture's loader handles, out of the rows themselves. */
import { type Arch, arches } from '../arch/index.ts';
import { type Backend, backendsOf, existsIn } from '../arch/summary.ts';
import type { Howto } from '../relocs/howto.ts';
import { compareVersions, type Version, versions } from '../relocs/module-view.ts';
import { count, type Exit, exit, hex, type Io, toJson } from './io.ts';
import { unknown } from './usage-error.ts';

export interface ArchOptions {
  readonly kernel?: Version;
  readonly json?: boolean;
}

export function arch(name: string | undefined, options: ArchOptions, io: Io): Promise<Exit> {
  const chosen = name === undefined ? arches : [named(name)];
  if (options.json === true) {
    const backends = backendsOf(chosen);
    io.print(
      toJson({
        backends: backends.map(backendJson),
        totals: totals(backends),
        arches: chosen.map((a) => archJson(a, options.kernel)),
      }),
    );
  } else if (name === undefined) list(chosen, io);
  else for (const a of chosen) table(a, options.kernel, io);
  return Promise.resolve(exit.well);
}

/** Names that Debian, uname and the kernel's tree use for the same thing. */
const aliases: Readonly<Record<string, string>> = {
  amd64: 'x86_64',
  'x86-64': 'x86_64',
  x64: 'x86_64',
  i686: 'i386',
  x86_32: 'i386',
  x86: 'x86_64',
  aarch64: 'arm64',
  riscv: 'riscv64',
  s390: 's390x',
  armhf: 'arm',
  armel: 'arm',
  mipsel: 'mips',
  mips64el: 'mips64',
  loong64: 'loongarch64',
};

function named(name: string): Arch {
  const word = name.toLowerCase();
  const found = arches.find((a) => a.name === (aliases[word] ?? word));
  if (found === undefined) throw unknown('architecture', word, [...arches.map((a) => a.name), ...Object.keys(aliases)]);
  return found;
}

/** Whether some configuration of a kernel has the row. */
function hasRow(a: Arch, { since, until }: Howto, version: Version): boolean {
  if (since !== undefined && compareVersions(version, since) < 0) return false;
  return existsIn(a, version) && (until === undefined || compareVersions(version, until) < 0);
}

const rowsOf = (a: Arch, version: Version | undefined): Howto[] =>
  [...a.rules.rows.values()]
    .flat()
    .filter((row) => version === undefined || hasRow(a, row, version))
    .toSorted((x, y) => x.type - y.type);

/** Distinct types that some configuration of a kernel applies or deliberately ignores. */
export function handledTypes(a: Arch, version: Version): number {
  return new Set(
    rowsOf(a, version)
      .filter(({ action }) => action !== 'refuse')
      .map(({ type }) => type),
  ).size;
}

const refusedTypes = (a: Arch, version: Version): number => {
  const all = rowsOf(a, version);
  const handled = new Set(all.filter(({ action }) => action !== 'refuse').map(({ type }) => type));
  return new Set(all.filter(({ type }) => !handled.has(type)).map(({ type }) => type)).size;
};

function list(all: readonly Arch[], io: Io): void {
  const row = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd([13, 6, 12, 9, 6, 6, 6, 8][i] ?? 0))
      .join(' ')
      .trimEnd();
  io.print(io.paint('bold', row(['name', 'bits', 'data', 'form', ...versions, 'refused', 'kernel folder'])));
  for (const a of all) {
    const types = versions.map((v) => (existsIn(a, v) ? String(handledTypes(a, v)) : '-'));
    const refused = String(refusedTypes(a, versions.at(-1)!));
    io.print(row([a.name, a.is64 ? '64' : '32', a.orders.join('/'), a.forms.join('+'), ...types, refused, a.backend]));
  }
  io.print(
    `\n${count(all.length, 'architecture')}. Columns 6.1 to 7.2: relocation types that kernel applies or accepts.`,
  );
  const backends = backendsOf(all);
  const sums = Object.entries(totals(backends)).map(([version, n]) => `${n} in ${version}`);
  io.print(`${count(backends.length, 'backend')} (one kernel/module.c each): ${sums.join(', ')}.`);
  io.print('komulator arch NAME shows them.');
}

/** Types over all backends, a kernel each. */
const totals = (backends: readonly Backend[]): Record<Version, number> =>
  Object.fromEntries(versions.map((v) => [v, backends.reduce((sum, b) => sum + b.handled[v], 0)])) as Record<
    Version,
    number
  >;

const backendJson = ({ name, arches: own, bits, orders, forms, handled, refused, hooks }: Backend): object => ({
  name,
  arches: own.map((a) => a.name),
  bits,
  orders,
  forms,
  types: handled,
  refused,
  hooks,
});

function table(a: Arch, version: Version | undefined, io: Io): void {
  io.print(
    `${io.paint('bold', a.name)}: ${a.is64 ? 64 : 32}-bit, ${a.orders.join(' or ')}-endian, ${a.forms.join(' and ')}, e_machine ${a.e_machine.join(', ')}`,
  );
  io.print(`${a.psABI}\n`);
  const rows = rowsOf(a, version).map((row) => [
    String(row.type),
    row.name,
    row.action === 'apply' ? row.calc.formula : row.action === 'ignore' ? 'accepted, nothing written' : 'refused',
    row.action === 'apply' ? fieldText(row) : '',
    row.action === 'apply' ? checksText(row, a) : '',
    whenText(row),
  ]);
  const head = ['type', 'name', 'formula', 'field', 'range', 'kernels'];
  const widths = head.map((title, i) => Math.min(72, Math.max(title.length, ...rows.map((cells) => cells[i]!.length))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  io.print(io.paint('bold', line(head)));
  for (const cells of rows) io.print(line(cells));
  const counts = versions
    .filter((v) => existsIn(a, v))
    .map((v) => `${v}: ${handledTypes(a, v)} handled, ${refusedTypes(a, v)} refused by name`);
  io.print(`\n${counts.join('; ')}. Any other type is refused as unknown.`);
}

/** "4 bytes insn [20:20]→31 …" */
const fieldText = ({ field }: Howto): string =>
  field.mask === 0n ? '-' : `${field.size * 8}-bit ${field.order === 'insn' ? 'insn' : 'word'} ${field.name}`;

export function checksText(row: Howto, a: Arch): string {
  return row.checks
    .map((c) => {
      const range = c.range?.(row, a.is64);
      if (range === undefined) return c.name === 'dont' ? 'not checked' : c.name;
      return `${c.name.includes('…') ? '' : `${c.name} `}${hex(range[0])} … ${hex(range[1])}`;
    })
    .join(', ');
}

function whenText({ since, until, needs }: Howto): string {
  const parts = [since && `since ${since}`, until && `before ${until}`, needs && `with ${needs.config}`];
  return parts.filter((part) => part !== undefined).join(', ');
}

function archJson(a: Arch, version: Version | undefined): object {
  const per = (of: (v: Version) => number): object =>
    Object.fromEntries(versions.filter((v) => existsIn(a, v)).map((v) => [v, of(v)]));
  return {
    name: a.name,
    backend: a.backend,
    bits: a.is64 ? 64 : 32,
    eMachine: a.e_machine,
    orders: a.orders,
    forms: a.forms,
    psABI: a.psABI,
    since: a.since ?? null,
    until: a.until ?? null,
    types: per((v) => handledTypes(a, v)),
    refused: per((v) => refusedTypes(a, v)),
    relocations: rowsOf(a, version).map((row) => rowJson(row, a)),
  };
}

function rowJson(row: Howto, a: Arch): object {
  const { field } = row;
  const applies = row.action === 'apply';
  return {
    type: row.type,
    name: row.name,
    action: row.action,
    formula: applies ? row.calc.formula : null,
    field:
      applies && field.mask !== 0n
        ? { name: field.name, bits: field.size * 8, order: field.order, mask: field.mask, slices: field.slices ?? null }
        : null,
    checks: row.checks.map((c) => {
      const range = c.range?.(row, a.is64);
      return { name: c.name, min: range?.[0] ?? null, max: range?.[1] ?? null };
    }),
    since: row.since ?? null,
    until: row.until ?? null,
    needs: row.needs?.config ?? null,
    kernels: versions.filter((v) => hasRow(a, row, v)),
  };
}
