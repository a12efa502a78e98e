/** The reporters: for people, for programs, and for those who run programs. */
import { type Io, toJson } from '../io.ts';
import { type CheckResult, type Finding, type Group, groupsOf, headingOf, type Warning } from './findings.ts';

export const REPORTERS = ['pretty', 'json', 'tap', 'junit', 'github'] as const;
export type Reporter = (typeof REPORTERS)[number];

/** The report's lines. */
export function report(reporter: Reporter, result: CheckResult, paint: Io['paint']): string[] {
  switch (reporter) {
    case 'pretty':
      return pretty(result, paint);
    case 'json':
      return [json(result)];
    case 'tap':
      return tap(result);
    case 'junit':
      return junit(result);
    case 'github':
      return github(result);
  }
}

/** "39 modules" */
const modules = (n: number): string => `${n} ${n === 1 ? 'module' : 'modules'}`;

function summary(result: CheckResult): string {
  const { modules: all, checked, loaded, failed, accepted, relocations, seconds, slots } = result;
  const of = checked < all ? ` of ${all}` : '';
  const known = accepted.length > 0 ? `, ${accepted.length} known by the baseline` : '';
  const plt = slots > 0 ? `, ${slots} PLT and GOT entries` : '';
  return `${modules(checked)}${of}: ${loaded} would load, ${failed.length} would not${known}; ${relocations} relocations${plt}; ${seconds.toFixed(2)} s`;
}

const WIDTH = 100;
const MOST = 12;

function pretty(result: CheckResult, paint: Io['paint']): string[] {
  const { arch, kernel, vendor, vermagic, failed, warnings, notes, gone, interrupted } = result;
  const lines = [`${arch} ${kernel} (${vendor}): ${vermagic.trim()}`];
  for (const note of notes) lines.push(paint('dim', `  ${note}`));
  let cause = '';
  for (const group of together(groupsOf(failed))) {
    if (group.cause !== cause) lines.push('', paint('bold', headingOf(group.cause)));
    cause = group.cause;
    lines.push(`  ${paint('red', group.title)}${group.detail === '' || isWhole(group) ? '' : `: ${group.detail}`}`);
    if (group.modules.length > 1 || group.modules[0] !== group.title) lines.push(...wrapped(group.modules));
    const example = failed.find(({ module }) => module === group.modules[0]);
    if (example?.log.at(-1) !== undefined) lines.push(paint('dim', `    dmesg: ${example.log.at(-1)}`));
  }
  for (const [title, kinds] of WARNINGS) {
    const texts = warnings.flatMap(({ kind, text }) => (kinds.includes(kind) ? [text] : []));
    if (texts.length === 0) continue;
    lines.push('', paint('bold', `${title} (no module fails for it)`));
    for (const text of texts.slice(0, 2 * MOST)) lines.push(`  ${text}`);
    if (texts.length > 2 * MOST) lines.push(`  … and ${texts.length - 2 * MOST} more`);
  }
  if (gone.length > 0) {
    lines.push('', paint('bold', 'in the baseline, and no longer found'));
    for (const key of gone) lines.push(`  ${key}`);
  }
  lines.push('');
  if (interrupted) lines.push(paint('yellow', 'interrupted: this is what was done so far'));
  lines.push(paint(failed.length === 0 ? 'green' : 'red', summary(result)));
  return lines;
}

const WARNINGS: readonly (readonly [title: string, kinds: readonly Warning['kind'][]])[] = [
  ['unlike the other modules', ['odd']],
  ['leads nowhere', ['tree', 'softdep', 'alias']],
];

/** Symbols that the same modules want, and of which the same is to be said, as one group. */
function together(groups: readonly Group[]): Group[] {
  const all = new Map<string, Group & { readonly titles: string[] }>();
  for (const group of groups) {
    const key = [group.cause, group.detail, ...group.modules].join('\0');
    const before = all.get(key);
    if (before === undefined) all.set(key, { ...group, titles: [group.title] });
    else before.titles.push(group.title);
  }
  return Array.from(all.values(), ({ titles, ...group }) => ({ ...group, title: listed(titles) }));
}

function listed(titles: readonly string[]): string {
  const shown = titles.slice(0, MOST).join(', ');
  return titles.length > MOST ? `${shown} … and ${titles.length - MOST} more` : shown;
}

/** A group that is one module, whose reason says it all. */
const isWhole = ({ cause }: Group): boolean => cause === 'dependency';

function wrapped(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = '    needed by';
  const shown = names.slice(0, 8 * MOST);
  for (const name of shown) {
    if (line.length + name.length + 1 > WIDTH) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${name}`;
  }
  lines.push(names.length > shown.length ? `${line} … and ${names.length - shown.length} more` : line);
  return lines;
}

function json(result: CheckResult): string {
  const plain = ({ module, errno, log, reason, path, check, cause, symbols, needs }: Finding): object => ({
    module,
    errno,
    log,
    reason,
    path,
    check,
    cause,
    symbols,
    needs,
  });
  const { kernel, modules: all, loaded, failed, relocations, seconds, ...rest } = result;
  return toJson({
    kernel,
    modules: all,
    loaded,
    failed: failed.map(plain),
    relocations,
    seconds: Math.round(seconds * 1000) / 1000,
    ...rest,
    accepted: result.accepted.map(plain),
    groups: groupsOf(failed),
  });
}

function tap(result: CheckResult): string[] {
  const { failed, accepted, modules: all, checked, loaded, interrupted } = result;
  const lines = ['TAP version 14', `1..${1 + failed.length + accepted.length}`];
  lines.push(`${failed.length === 0 ? 'ok' : 'not ok'} 1 - ${loaded} of ${checked} modules would load`);
  let n = 1;
  for (const finding of failed) {
    lines.push(`not ok ${++n} - ${escaped(finding.module)}`, '  ---');
    lines.push(
      `  errno: ${finding.errno}`,
      `  cause: ${finding.cause}`,
      `  message: ${JSON.stringify(finding.reason)}`,
    );
    if (finding.symbols.length > 0)
      lines.push(
        '  symbols:',
        ...finding.symbols.map(({ symbol, near }) => `    - ${JSON.stringify(`${symbol}: ${near}`)}`),
      );
    if (finding.log.length > 0) lines.push('  log:', ...finding.log.map((line) => `    - ${JSON.stringify(line)}`));
    lines.push('  ...');
  }
  for (const finding of accepted)
    lines.push(`not ok ${++n} - ${escaped(finding.module)} # TODO known by the baseline: ${escaped(finding.cause)}`);
  for (const { text } of result.warnings) lines.push(`# ${text}`);
  if (interrupted) lines.push(`Bail out! interrupted after ${checked} of ${all} modules`);
  return lines;
}

const escaped = (text: string): string => text.replaceAll(/[\\#]/g, '\\$&');

function junit(result: CheckResult): string[] {
  const { failed, accepted, loaded, checked, seconds, kernel, interrupted } = result;
  const counts = `tests="${checked}" failures="${failed.length}" errors="${interrupted ? 1 : 0}" skipped="${accepted.length}" time="${seconds.toFixed(3)}"`;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="komulator check" ${counts}>`,
    `  <testsuite name="${xml(kernel)}" ${counts}>`,
  ];
  if (loaded > 0) lines.push(`    <properties><property name="loaded" value="${loaded}"/></properties>`);
  for (const { module, path, cause, reason, log, symbols, errno } of failed) {
    const text = [reason, ...symbols.map(({ symbol, near }) => `${symbol}: ${near}`), ...log].join('\n');
    lines.push(
      `    <testcase classname="${xml(cause)}" name="${xml(module)}" file="${xml(path)}">`,
      `      <failure type="${xml(errno)}" message="${xml(reason)}">${xml(text)}</failure>`,
      '    </testcase>',
    );
  }
  for (const { module, cause } of accepted)
    lines.push(
      `    <testcase classname="${xml(cause)}" name="${xml(module)}"><skipped message="known by the baseline"/></testcase>`,
    );
  if (interrupted) lines.push('    <system-err>interrupted: not all modules were checked</system-err>');
  return [...lines, '  </testsuite>', '</testsuites>'];
}

/** XML 1.0 has no way to write most control characters. */
const xml = (text: string): string =>
  text
    .replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

/** Workflow commands; the log of the job shows the rest. */
function github(result: CheckResult): string[] {
  const lines = result.failed.map(({ module, path, cause, reason, log, symbols, errno }) => {
    const why = symbols.length > 0 ? symbols.map(({ symbol, near }) => `${symbol}: ${near}`).join('\n') : reason;
    const text = [`${errno}: ${why}`, ...log.slice(-1)].join('\n');
    return `::error file=${property(path)},title=${property(`${module}: ${headingOf(cause)}`)}::${data(text)}`;
  });
  for (const { text } of result.warnings) lines.push(`::warning title=leads nowhere::${data(text)}`);
  for (const { module, cause } of result.accepted)
    lines.push(`::notice title=${property(module)}::${data(`${cause}, known by the baseline`)}`);
  if (result.interrupted) lines.push('::error title=interrupted::not all modules were checked');
  return [...lines, summary(result)];
}

const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
