import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { harmless, notRun } from '../../scripts/faults/harmless.ts';
import { Choice, type Fault } from '../../scripts/faults/sources.ts';
import { type Planted, readTable, writeTable } from '../../scripts/faults/table.ts';

/** Ours, in the manner of a handler. */
const handler = `#define STUB_WORD 0x12345678
/* if (x < 8) is no code */
static int put(u32 *loc, long v)
{
	if (v < -128 || v >= 128) {
		pr_err("out of range %ld & 0xff\\n",
		       (long)v);
		return -ENOEXEC;
	}
	*loc = (*loc & ~0xff) | (v & 0xff); /* v << 4 */
	return 0;
}

int apply(struct rela *rel, unsigned long n)
{
	for (i = 0; i < n; i++)
		put(loc, sym->st_value + rel[i].r_addend - (long)loc);
	return 0;
}
`;

const folder = mkdtempSync(join(tmpdir(), 'komulator-faults-test-'));
mkdirSync(join(folder, 'arch'));
writeFileSync(join(folder, 'arch/handler.c'), handler);
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function drawn(seed: string, take = false): Fault[] {
  const choice = new Choice(folder, ['arch/handler.c'], seed, () => true);
  const list: Fault[] = [];
  for (let fault = choice.next(); fault !== undefined; fault = choice.next()) {
    list.push(fault);
    if (take) choice.take(fault);
  }
  return list;
}

test('each fault changes one line, of code that is not printed, and names its function', (t) => {
  const lines = handler.split('\n');
  const all = drawn('1');
  t.true(all.length > 15);
  for (const { source, line, function: place, name } of all) {
    const changed = source.split('\n').flatMap((text, i) => (text === lines[i] ? [] : [i + 1]));
    t.deepEqual(changed, [line], name);
    t.false([2, 6, 7].includes(line), name);
    t.is(place, line === 1 ? '' : line < 13 ? 'put' : 'apply');
  }
  const at = (line: number): string[] => all.filter((x) => x.line === line).map((x) => x.name);
  t.true(['range off by one', 'check dropped', 'condition turned'].every((name) => at(5).includes(name)));
  t.true(['wrong mask', 'line left out'].every((name) => at(10).includes(name)));
  t.false(at(10).includes('wrong shift'), 'a shift in a comment');
  t.true(['wrong errno', 'error swallowed'].every((name) => at(8).includes(name)));
  t.true(['addend forgotten', 'PC forgotten', 'addend for symbol'].every((name) => at(17).includes(name)));
  t.deepEqual(at(16), ['first left out']);
});

test('the same seed draws the same faults, another seed others, and first no two of one line', (t) => {
  const told = (list: readonly Fault[]): string[] => list.map((x) => `${x.line} ${x.name} ${x.text}`);
  t.deepEqual(told(drawn('7', true)), told(drawn('7', true)));
  t.notDeepEqual(told(drawn('7', true)), told(drawn('8', true)));
  const lines = drawn('7', true)
    .slice(0, 6)
    .map((x) => x.line);
  t.is(new Set(lines).size, lines.length);
});

test('what is harmless says where and why', (t) => {
  for (const { file, why, line, to } of harmless) {
    t.regex(file, /^arch\/.*\.c$/);
    t.regex(why, /^[a-z].*[^.]$/i);
    t.true(to === undefined || line! < to);
  }
  t.true(notRun.test('module_finalize'));
  t.false(notRun.test('apply_relocate_add'));
});

test('the table is read as it was written', (t) => {
  const path = join(folder, 'table.md');
  const common = { arch: 'sh', file: 'arch/sh/kernel/module.c', function: 'apply_relocate_add' };
  const all: Planted[] = [
    { ...common, name: 'wrong mask', line: 3, found: { seconds: 0.5, cases: 12, relocations: 2 } },
    { ...common, name: 'wrong shift', line: 4, function: '' },
    { ...common, name: 'sign turned', line: 5, why: 'nobody looks' },
  ];
  writeTable(path, all, ['sh']);
  t.deepEqual(readTable(path), all);
  t.regex(readFileSync(path, 'utf8'), /\*\*1 of 2 faults on 1 ports were found\*\*/);
});
