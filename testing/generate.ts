/**
 * Cases of relocation for an architecture, made from its own rows: values at and beside the ends of every range, random
 * words, far and near symbols, weak and missing ones, several sections; and what belongs together. What comes out is a
 * recorded case without what is expected, so that anything can be asked for its outcome: the reference, the handlers of
 * a kernel, a port.
 */
import type * as fc from 'fast-check';
import { ko, type KoReloc, type KoSection } from '../fixtures/build.ts';
import { type CaseChoices, choices, HAS_MORE, LACKS } from './case-choices.ts';
import { layoutOf, type Place, unwanted } from './case-layout.ts';
import { type CaseRange, type Target, targetOf } from './case-range.ts';
import { CaseRelocs } from './case-relocs.ts';
import { CaseSection } from './case-section.ts';
import { CaseSymbols } from './case-symbols.ts';
import { toBase64, type Vector } from './vector.ts';

/** Generated cases; shrinks to few relocations, small values and zero words. */
export function cases(range: CaseRange): fc.Arbitrary<Vector> {
  const target = targetOf(range);
  return choices(target).map((drawn) => vectorOf(target, drawn));
}

const hex = (v: bigint): string => `0x${v.toString(16)}`;

function vectorOf(target: Target, drawn: CaseChoices): Vector {
  const { range, machine, forms, hints } = target;
  const { arch, version, little } = range;
  const form = forms[Math.max(drawn.form - forms.length, 0)]!;
  const layout = layoutOf(target, drawn);
  // Where the kernel wants zeros in place, most cases have them.
  const zeros = drawn.zeros < (arch.rules.nonZeroPlace === undefined ? 2 : 9);
  const inMaking = Object.fromEntries(
    Object.entries(layout.sections).map(([name, at]) => [name, new CaseSection(at, zeros ? 0 : drawn.fill, target)]),
  ) as Record<Place, CaseSection>;
  inMaking['.text'].used = true;
  const symbols = new CaseSymbols(target, inMaking);
  const laid = new CaseRelocs(target, layout, inMaking, symbols, form);
  for (const group of drawn.groups) laid.lay(group);

  const place: Record<string, string> = {};
  const sections: KoSection[] = [];
  const relocs: Record<string, readonly KoReloc[]> = {};
  for (const [name, section] of Object.entries(inMaking)) {
    if (!section.used) continue;
    place[name] = hex(section.at);
    sections.push(section.section(name));
    if (section.relocs.length > 0) relocs[name] = section.entries();
  }
  // What a hook looks for and does not find, and what it does not want.
  const sought = [...layout.tables.map(({ section }) => section.name), ...(hints.needsSymtab ? ['.symtab'] : [])];
  const lacks = drawn.odd === LACKS ? sought[drawn.fill % sought.length] : undefined;
  const also = drawn.odd === HAS_MORE ? hints.also?.[drawn.fill % hints.also.length] : undefined;
  for (const { at, section } of [...layout.tables, ...(also === undefined ? [] : [unwanted(layout, also)])]) {
    if (section.name === lacks) continue;
    place[section.name] = hex(at);
    sections.push(section);
  }
  const elf = ko({
    machine: machine?.e_machine ?? arch.e_machine[0]!,
    elfClass: arch.is64 ? 64 : 32,
    endian: little ? 'little' : 'big',
    ...(range.e_flags !== undefined && { e_flags: range.e_flags }),
    rel: form,
    sections,
    symbols: symbols.table,
    relocs,
    ...(lacks === '.symtab' && { omit: [lacks] }),
  });
  const variant = range.variants?.[drawn.variant];
  const mem = Object.entries(layout.mem).map(([region, { base, size }]) => [region, { base: hex(base), size }]);
  return {
    id: 'generated',
    arch: arch.name,
    kernel: version,
    elf: toBase64(elf),
    place,
    symbols: Object.fromEntries(Object.entries(symbols.exports).map(([name, at]) => [name, hex(at)])),
    mem: Object.fromEntries(mem) as NonNullable<Vector['mem']>,
    ...(variant !== undefined && { variant }),
    ...(range.config !== undefined && { config: range.config }),
    ...(arch.forms.length > 1 && { flavour: form }),
    ...(range.dp !== undefined && { dp: hex(range.dp) }),
    cls: laid.unknown ? 'unknown' : 'generated',
    types: [...laid.types],
    expect: { ret: 0 },
  };
}
