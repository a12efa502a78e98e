/**
 * When a relocation cannot fail, whatever its symbol resolves to and wherever in the module area the module lies: the
 * rows of an architecture turned into what an addend may be. Made once a run; the rest is comparing integers.
 *
 * Only for architectures whose every relocation is a plain word of S + A or S + A - P (x86-64). What cannot be proven is
 * not wrong: it goes through insmod, the specification.
 */
import { type Arch, configOf } from '../../arch/arch.ts';
import type { Version } from '../../relocs/module-view.ts';
import { rowFor } from '../../relocs/rules.ts';
import { IGNORED, type ProofTable, REACH } from './proof-table.ts';

/** The table, or undefined for an architecture that needs insmod for each module. */
export function proofTable(arch: Arch, version: Version): ProofTable | undefined {
  const { rules } = arch;
  const config = configOf(arch, version);
  const hooks = [
    rules.before,
    rules.beginSection,
    rules.endSection,
    arch.frobSections,
    arch.finalize,
    arch.sectionPrepend,
  ];
  if (
    !arch.is64 ||
    rules.info.generic !== true ||
    arch.orders.join() !== 'little' ||
    hooks.some((hook) => hook !== undefined)
  )
    return undefined;
  const types = Math.max(...rules.rows.keys()) + 1;
  const table: ProofTable = {
    size: new Uint8Array(types),
    checked: new Uint8Array(types),
    lo: new Float64Array(types),
    hi: new Float64Array(types),
    wantsZero: rules.nonZeroPlace !== undefined,
  };
  // Everything a symbol can be: in the kernel, in the module area, in a per-CPU section, or absent (0).
  const area = arch.moduleArea(version, config);
  const kernel = area.kernel ?? area.text[0];
  const percpu = area.percpu ?? kernel;
  const all = [
    area.text[0],
    area.text[1],
    kernel,
    percpu,
    percpu + 0x10_0000n,
    ...(area.data ?? []),
    ...(area.fallback ?? []),
  ];
  const signed = [...all.map((address) => BigInt.asIntN(64, address)), 0n];
  const lowest = signed.reduce((a, b) => (a < b ? a : b));
  const highest = signed.reduce((a, b) => (a > b ? a : b)) + BigInt(REACH);

  for (const type of rules.rows.keys()) {
    const row = rowFor(rules, type, version, config);
    if (row === undefined || row.action === 'refuse') continue;
    if (row.action === 'ignore') {
      table.size[type] = IGNORED;
      continue;
    }
    const { field, calc } = row;
    const whole = field.order === 'data' && (field.size === 4 || field.size === 8) && field.hi === field.size * 8 - 1;
    if (!whole || field.lo !== 0 || row.write !== undefined || row.inPlace === true) continue;
    const checks = row.checks.filter(({ name }) => name !== 'dont');
    if (checks.length === 0 && calc.plain !== undefined) table.size[type] = field.size;
    const range = checks.length === 1 ? checks[0]!.range?.(row, true) : undefined;
    if (calc.plain !== 'abs' || calc.plainWithin !== undefined || range === undefined) continue;
    table.size[type] = field.size;
    table.checked[type] = 1;
    table.lo[type] = Number(range[0] - lowest);
    table.hi[type] = Number(range[1] - highest);
  }
  return table;
}
