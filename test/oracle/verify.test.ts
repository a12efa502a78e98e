import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { arches } from '../../arch/index.ts';
import { PortError, type PortOutcome } from '../../oracle/port-process.ts';
import type { PortCase } from '../../oracle/port-protocol.ts';
import { type Answering, verify } from '../../oracle/verify.ts';
import { SHF_ALLOC } from '../../relocs/elf.ts';
import { run } from '../../testing/replay.ts';
import { komulator } from '../cli/captured.ts';
import { caseTypes, vectorOf } from './case-vector.ts';

const dir = mkdtempSync(join(tmpdir(), 'komulator-verify-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

const port = (fault: string): string =>
  `${process.execPath} ${join(import.meta.dirname, 'reference-port.ts')} --fault '${fault}'`;
const ask = (fault: string, ...options: readonly string[]): ReturnType<typeof komulator> =>
  komulator('port', 'verify', '--exec', port(fault), '--arch', 'riscv64', '--seed', '7', ...options);

interface Found {
  readonly disagreement: {
    readonly path: string;
    readonly seed: number;
    readonly relocations: readonly { readonly name: string; readonly reference: string; readonly port: string }[];
    readonly differences: readonly { readonly what: string }[];
  };
  readonly again: string;
}

for (const [fault, types, name, what] of [
  ['range off by one', ['CALL'], 'R_RISCV_CALL', 'ret'],
  ['wrong mask', ['JAL'], 'R_RISCV_JAL', 'section .text+0x0'],
  ['no sign extension', ['PCREL_LO12_I', 'PCREL_HI20'], 'R_RISCV_PCREL_LO12_I', 'section .text+0x4'],
  ['swapped halves', ['R_RISCV_64'], 'R_RISCV_64', 'section .text+0x0'],
  ['PLT counted wrong', ['CALL_PLT'], 'R_RISCV_CALL_PLT', 'section .plt size'],
  ['no overflow check', ['R_RISCV_32'], 'R_RISCV_32', 'ret'],
] as const) {
  test(`a port with ${fault} is found and shrunk to two relocations at most`, async (t) => {
    const { code, out } = await ask(fault, '--type', ...types, '--json');
    t.is(code, 1, out);
    const { disagreement } = JSON.parse(out) as Found;
    t.true(disagreement.relocations.length <= 2, String(disagreement.relocations.length));
    t.true(disagreement.relocations.some((r) => r.name === name));
    t.true(
      disagreement.differences.some((d) => d.what === what),
      JSON.stringify(disagreement.differences),
    );
  });
}

test('what is found is said with values, fields, bytes and a command; which finds it again and saves it', async (t) => {
  const { code, out } = await ask('wrong mask', '--type', 'JAL');
  t.is(code, 1);
  t.regex(out, /^riscv64 7\.2: .*\ndisagree after \d+ cases?, shrunk \d+ times to 1 relocation/);
  t.regex(
    out,
    /relocation 0: \.text\+0x0 {2}R_RISCV_JAL \(17\) against s1\n {4}S = 0x\S+ {2}A = \S+ {2}P = 0x20001000 {2}value = S \+ A - P/,
  );
  t.regex(out, /bytes {5}before [0-9a-f]{8} {2}reference [0-9a-f]{8} {2}port [0-9a-f]{8}/);
  t.regex(out, /value\[19:12\] in bit 12: {2}before 0x\S+ {2}reference 0x\S+ {2}port 0x\S+ {2}<- differs/);
  const [, path = ''] = /--type JAL --seed 7 --path (\S+)$/m.exec(out) ?? [];
  t.not(path, '');
  const file = join(dir, 'case.jsonl');
  const again = await ask('wrong mask', '--type', 'JAL', '--path', path, '--save', file, '--reporter', 'tap');
  t.is(again.code, 1);
  t.regex(again.out, /^TAP version 14\n1\.\.1\nnot ok 1 - riscv64 7\.2: 1 case agree/);
  t.regex(again.out, /R_RISCV_JAL/);
  // A block of YAML of four columns, whose first lines may begin with blanks of their own.
  const [, message = ''] = /\n {2}message: \|2\n(.*)\n {2}\.\.\.$/s.exec(again.out.trimEnd()) ?? [];
  t.true(message.split('\n').length > 5);
  for (const line of message.split('\n')) t.regex(line, /^( {4}|$)/);
  t.regex(again.err, /komulator vectors replay .*case\.jsonl shows it/);
  t.is(readFileSync(file, 'utf8').split('\n').length, 2);
  const replayed = await komulator('vectors', 'replay', file);
  t.is(replayed.code, 1);
  t.regex(replayed.out, /1 case, 1 disagree/);
});

test('a port that is right: exit 0, what was reached, in every reporter', async (t) => {
  const { code, out } = await ask('none', '--runs', '300', '--type', 'BRANCH', 'CALL');
  t.is(code, 0, out);
  t.regex(out, /300 cases agree on return value, log and every byte/);
  t.regex(out, /types reached: 2 of 2\n {2}R_RISCV_BRANCH +\d+ cases; /);
  t.regex(out, /endings of the port: .*-22 relocate: \d+/);
  for (const [reporter, said] of [
    ['tap', /^TAP version 14\n1\.\.1\nok 1 - riscv64 7\.2: 20 cases agree/],
    ['junit', /tests="1" failures="0" errors="0"[^]*<testcase name="riscv64 7\.2"/],
    ['github', /^::notice title=komulator::riscv64 7\.2: 20 cases agree/],
    ['json', /"agree": true,\n {2}"seed": 7,\n {2}"cases": 20,/],
  ] as const) {
    const done = await ask('none', '--runs', '20', '--type', 'BRANCH', '--reporter', reporter);
    t.is(done.code, 0);
    t.regex(done.out, said);
  }
});

/** The reference in this process; `when` a case has LO12_S, it does something else. */
const inside = (when: (c: PortCase) => PortOutcome): Answering => ({
  run: async (given) => given.map((c) => (caseTypes(c).includes(28) ? when(c) : answer(c))),
});

function answer(c: PortCase): PortOutcome {
  const { ret, stage, crash, warns, log, module: m } = run(vectorOf(c, '7.2'));
  const sections = new Map(
    m.sections.filter((s) => s.index > 0 && (s.sh_flags & SHF_ALLOC) !== 0).map((s) => [s.index, s.bytes]),
  );
  const told = crash?.startsWith('signal') ? new Map<number, Uint8Array>() : sections;
  return { ret, stage, crash, warns, log: told === sections ? log : '', sections: told, extra: new Map() };
}

const riscv64 = arches.find((a) => a.name === 'riscv64')!;
const options = { arch: riscv64, version: '7.2', little: true, bases: [0x2000_0000n], runs: 2000, seed: 3 } as const;
const dead = (crash: string): PortOutcome => ({ ...answer0, ret: 'crash', crash });
const answer0: PortOutcome = {
  ret: 0,
  stage: undefined,
  crash: undefined,
  warns: 0,
  log: '',
  sections: new Map(),
  extra: new Map(),
};

for (const [how, when, crash] of [
  ['crashes', () => dead('signal 11'), 'signal 11'],
  ['hangs', () => dead('timeout'), 'timeout'],
  ['floods', () => dead('flood'), 'flood'],
  [
    'says nothing of use',
    () => {
      throw new PortError('no outcome, but "hello"');
    },
    'no outcome, but "hello"',
  ],
] as const) {
  test(`a port that ${how} on one type is found among all types, and shrunk`, async (t) => {
    const { disagreement: d } = await verify(inside(when), options);
    t.deepEqual(
      d?.relocations.map((r) => r.name),
      ['R_RISCV_LO12_S'],
    );
    t.is(d?.port.crash, crash);
    t.is(d?.reference.ret, 0);
    t.true(d?.alone);
  });
}

test('a port that is right in this process agrees, and the tally is of all cases', async (t) => {
  const progress: number[] = [];
  const verdict = await verify(inside(answer), { ...options, runs: 300, progress: (done) => progress.push(done) });
  t.is(verdict.disagreement, undefined, JSON.stringify(verdict.disagreement?.differences));
  t.is(verdict.runs, 300);
  t.is(
    [...verdict.endings.values()].reduce((sum, n) => sum + n, 0),
    300,
  );
  t.is(progress.at(-1), 300);
  t.true(verdict.reached.size > 30);
});

test('a port that errs by chance is told to', async (t) => {
  let asked = 0;
  const chance = inside((c) => (asked++ === 3 ? dead('signal 11') : answer(c)));
  const { disagreement } = await verify(chance, { ...options, runs: 400, types: [28] });
  t.is(disagreement?.alone, false);
  t.is(disagreement?.port.crash, 'signal 11');
});

test('shrinking ends when its time is up', async (t) => {
  const { disagreement } = await verify(
    inside(() => dead('timeout')),
    { ...options, shrinkTime: 0 },
  );
  t.true(disagreement!.shrinks <= 1);
});

for (const [command, said] of [
  ['nosuchprogram', /^error: the port ended with exit code 127: .*\n.*not found/],
  ['echo hello', /^error: no outcome, but "hello\\n"/],
  ['true', /^error: the port ended before it answered/],
] as const) {
  test(`no port: ${command}`, async (t) => {
    const { code, err, out } = await komulator('port', 'verify', '--exec', command, '--arch', 'riscv64');
    t.is(code, 3);
    t.regex(err, said);
    t.is(out, '');
  });
}

for (const [args, said] of [
  [['--arch', 'riscv64'], /give either --kernel-tree DIR/],
  [['--exec', 'cat'], /--arch NAME is missing/],
  [['--exec', 'cat', '--arch', 'risc64'], /unknown architecture 'risc64'; did you mean riscv64/],
  [['--kernel-tree', dir, '--arch', 'riscv64'], /is no kernel tree/],
  [['--exec', 'cat', '--arch', 'riscv64', '--type', 'JALL'], /unknown relocation type of riscv64 'JALL'/],
  [['--exec', 'cat', '--arch', 'riscv64', '--type', '9999'], /unknown relocation type of riscv64 '9999'/],
  // Before anything is built.
  [['--kernel-tree', dir, '--arch', 'riscv64', '--type', 'JALL'], /unknown relocation type of riscv64 'JALL'/],
  [['--exec', 'cat', '--arch', 'riscv64', '--path', '1'], /--path goes with the --seed/],
  [['--exec', 'cat', '--arch', 'riscv64', '--seed', '1', '--path', 'x'], /is no path such as/],
  [['--exec', 'cat', '--arch', 'riscv64', '--runs', '0'], /--runs 0: is less than 1/],
  [['--exec', 'cat', '--arch', 'riscv64', '--seed', 'one'], /--seed one: is no whole number/],
  [['--exec', 'cat', '--arch', 'x86_64', '--endian', 'big'], /x86_64 is little-endian/],
] as const) {
  test(`wrong use: verify ${args.join(' ').replace(dir, 'DIR')}`, async (t) => {
    const { code, err } = await komulator('port', 'verify', ...args);
    t.is(code, 2);
    t.regex(err, said);
  });
}

test('no compiler, and architectures without a port', async (t) => {
  const tree = join(dir, 'tree');
  const { mkdirSync, writeFileSync } = await import('node:fs');
  mkdirSync(join(tree, 'kernel/module'), { recursive: true });
  writeFileSync(join(tree, 'Makefile'), 'VERSION = 7\nPATCHLEVEL = 2\n');
  const built = await komulator('port', 'build', '--kernel-tree', tree, '--arch', 'riscv64', '--cc', 'nosuch-');
  t.is(built.code, 3);
  t.regex(built.err, /no compiler: nosuch-gcc is not installed/);
  const without = await komulator('port', 'verify', '--kernel-tree', tree, '--arch', 'csky');
  t.is(without.code, 3);
  t.regex(without.err, /no port of csky: no compiler in Debian/);
});

test('record: a small set that replays', async (t) => {
  const out = join(dir, 'riscv64.jsonl.gz');
  const recorded = await komulator(
    'port',
    'record',
    '--exec',
    port('none'),
    '--arch',
    'riscv64',
    '--runs',
    '600',
    '--type',
    'BRANCH',
    'CALL',
    'R_RISCV_32',
    '--out',
    out,
    '--json',
  );
  t.is(recorded.code, 0, recorded.err);
  const { vectors, ways, disagree } = JSON.parse(recorded.out) as { vectors: number; ways: number; disagree: number };
  t.true(vectors >= 8 && vectors <= ways, `${vectors} of ${ways}`);
  t.is(disagree, 0);
  const replayed = await komulator('vectors', 'replay', out);
  t.is(replayed.code, 0);
  t.regex(replayed.out, new RegExp(`riscv64 {2}${vectors} cases, all agree`));
  t.regex(
    (await komulator('port', 'record', '--exec', port('none'), '--arch', 'riscv64')).err,
    /--out FILE is missing/,
  );
});
