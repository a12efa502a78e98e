import { readFileSync } from 'node:fs';
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import {
  KERNEL_PARAM_FL_HWPARAM,
  KERNEL_PARAM_FL_UNSAFE,
  nextArg,
  type ParamDefinition,
  type ParamType,
  type ParseArgsInit,
  type ParseArgsResult,
  parameq,
  parseArgs,
} from '../../loader/params.ts';

const p = (
  name: string,
  type: ParamType | Exclude<ParamType['kind'], 'string' | 'array' | 'callback'>,
): ParamDefinition => ({
  name,
  type: typeof type === 'string' ? { kind: type } : type,
});

function parse(args: string, params: ParamDefinition[], init: Partial<ParseArgsInit> = {}): ParseArgsResult {
  return parseArgs({ module: 'mod', args, params, wordBits: 64, version: '7.2', ...init });
}

const nothing = { errno: undefined, log: [], after: undefined, asyncProbe: undefined, dyndbg: [], taintUser: false };

test('nothing given, nothing done', (t) => {
  for (const args of ['', '   ', '\n\t']) t.deepEqual(parse(args, [p('a', 'int')]), { ...nothing, values: new Map() });
});

test('each type takes its value', (t) => {
  const params = [
    p('b', 'byte'),
    p('h', 'hexint'),
    p('s', 'short'),
    p('us', 'ushort'),
    p('i', 'int'),
    p('u', 'uint'),
    p('l', 'long'),
    p('ul', 'ulong'),
    p('ull', 'ullong'),
    p('c', 'charp'),
    p('str', { kind: 'string', maxlen: 4 }),
    p('bo', 'bool'),
    p('inv', 'invbool'),
    p('bi', 'bint'),
    p('en', 'bool_enable_only'),
    p('arr', { kind: 'array', max: 3, element: { kind: 'int' } }),
  ];
  const args =
    'b=255 h=0xdeadbeef s=-32768 us=65535 i=-2147483648 u=4294967295 l=-9223372036854775808 ' +
    'ul=18446744073709551615 ull=07 c="a b" str=abc bo inv=y bi=n en=1 arr=1,-2,0x3';
  t.deepEqual(parse(args, params), {
    ...nothing,
    values: new Map<string, bigint | boolean | string | bigint[]>([
      ['b', 255n],
      ['h', 0xdead_beefn],
      ['s', -32768n],
      ['us', 65535n],
      ['i', -2147483648n],
      ['u', 4294967295n],
      ['l', -9223372036854775808n],
      ['ul', 18446744073709551615n],
      ['ull', 7n],
      ['c', 'a b'],
      ['str', 'abc'],
      ['bo', true],
      ['inv', false],
      ['bi', false],
      ['en', true],
      ['arr', [1n, -2n, 3n]],
    ]),
  });
});

for (const [kind, wordBits, lo, hi] of [
  ['byte', 64, 0n, 0xffn],
  ['short', 64, -0x8000n, 0x7fffn],
  ['ushort', 64, 0n, 0xffffn],
  ['int', 64, -0x8000_0000n, 0x7fff_ffffn],
  ['uint', 64, 0n, 0xffff_ffffn],
  ['hexint', 64, 0n, 0xffff_ffffn],
  ['long', 32, -0x8000_0000n, 0x7fff_ffffn],
  ['ulong', 32, 0n, 0xffff_ffffn],
  ['long', 64, -(1n << 63n), (1n << 63n) - 1n],
  ['ulong', 64, 0n, (1n << 64n) - 1n],
  ['ullong', 32, 0n, (1n << 64n) - 1n],
] as const) {
  test(`${kind} on ${wordBits} bits: both limits pass, one beyond is refused`, (t) => {
    for (const value of [lo, hi]) {
      const { errno, values } = parse(`x=${value}`, [p('x', kind)], { wordBits });
      t.is(errno, undefined);
      t.is(values.get('x'), value);
    }
    for (const value of [lo - 1n, hi + 1n]) {
      const { errno, log, values } = parse(`x=${value}`, [p('x', kind)], { wordBits });
      // A minus sign is no digit to the unsigned types.
      t.is(errno, value === -1n ? 'EINVAL' : 'ERANGE');
      t.deepEqual(log, [`mod: \`${value}' invalid for parameter \`x'`]);
      t.false(values.has('x'));
    }
  });
}

test('parsing goes on after an error, each is logged, the last one counts', (t) => {
  const result = parse('a=x b=99999999999 c=5 str=toolong', [
    p('a', 'int'),
    p('b', 'int'),
    p('c', 'int'),
    p('str', { kind: 'string', maxlen: 4 }),
  ]);
  t.is(result.errno, 'ENOSPC');
  t.deepEqual(result.log, [
    "mod: `x' invalid for parameter `a'",
    "mod: `99999999999' invalid for parameter `b'",
    "str: string doesn't fit in 3 chars.",
    "mod: `toolong' too large for parameter `str'",
  ]);
  t.deepEqual(result.values, new Map([['c', 5n]]));
  t.is(parse('a=x b=99999999999 c=5', [p('a', 'int'), p('b', 'int'), p('c', 'int')]).errno, 'ERANGE');
});

test('a good value after a bad one does not undo the error', (t) => {
  const { errno, values } = parse('a=x a=1', [p('a', 'int')]);
  t.is(errno, 'EINVAL');
  t.is(values.get('a'), 1n);
});

test('no value: EINVAL but for bool, bint and bool_enable_only', (t) => {
  for (const kind of ['int', 'charp', 'invbool', 'ullong'] as const) {
    const { errno, log } = parse('x', [p('x', kind)]);
    t.is(errno, 'EINVAL', kind);
    t.deepEqual(log, ["mod: `' invalid for parameter `x'"]);
  }
  for (const kind of ['bool', 'bint', 'bool_enable_only'] as const) {
    t.is(parse('x', [p('x', kind)]).values.get('x'), true, kind);
  }
  t.is(parse('x=', [p('x', 'bool')]).errno, 'EINVAL');
});

test('bool_enable_only cannot be taken back', (t) => {
  const x = p('x', 'bool_enable_only');
  t.is(parse('x=0', [x]).errno, undefined);
  t.is(parse('x=1 x=0', [x]).errno, 'EROFS');
  t.is(parse('x=0', [{ ...x, current: true }]).errno, 'EROFS');
  t.deepEqual(parse('x=0', [{ ...x, current: true }]).log, ["mod: `0' invalid for parameter `x'"]);
});

test('charp takes 1024 bytes and no more', (t) => {
  const fits = 'x'.repeat(1024);
  t.is(parse(`s=${fits}`, [p('s', 'charp')]).values.get('s'), fits);
  const { errno, log } = parse(`s=${fits}y`, [p('s', 'charp')]);
  t.is(errno, 'ENOSPC');
  t.deepEqual(log, ['s: string parameter too long', `mod: \`${fits}y' too large for parameter \`s'`]);
  t.is(parse(`s=${'é'.repeat(513)}`, [p('s', 'charp')]).errno, 'ENOSPC');
});

test('string counts its NUL', (t) => {
  const s = p('s', { kind: 'string', maxlen: 3 });
  t.is(parse('s=ab', [s]).values.get('s'), 'ab');
  t.is(parse('s=abc', [s]).errno, 'ENOSPC');
  t.deepEqual(parse('s=abc', [s]).log[0], "s: string doesn't fit in 2 chars.");
  t.is(parse('s=', [p('s', { kind: 'string', maxlen: 0 })]).log[0], "s: string doesn't fit in 4294967295 chars.");
});

test('arrays: too many elements, bad elements, and the message that shows only the first', (t) => {
  const arr = p('arr', { kind: 'array', max: 2, element: { kind: 'byte' } });
  const many = parse('arr=1,2,3', [arr]);
  t.is(many.errno, 'EINVAL');
  t.deepEqual(many.log, ['arr: can only take 2 arguments', "mod: `1' invalid for parameter `arr'"]);
  t.deepEqual(many.values.get('arr'), [1n, 2n]);

  const range = parse('arr=1,256', [arr]);
  t.is(range.errno, 'ERANGE');
  t.deepEqual(range.log, ["mod: `1' invalid for parameter `arr'"]);
  t.deepEqual(range.values.get('arr'), [1n]);

  t.is(parse('arr=1,', [arr]).errno, 'EINVAL');
  t.is(parse('arr=', [arr]).errno, 'EINVAL');
  t.is(parse('arr', [arr]).errno, 'EINVAL');
  const none = parse('arr=7,8', [p('arr', { kind: 'array', max: 0, element: { kind: 'byte' } })]);
  t.deepEqual(none.log, ['arr: can only take 0 arguments', "mod: `7,8' invalid for parameter `arr'"]);
});

test('arrays of strings and of bools', (t) => {
  const s = p('s', { kind: 'array', max: 3, element: { kind: 'charp' } });
  t.deepEqual(parse('s="a b,,c"', [s]).values.get('s'), ['a b', '', 'c']);
  const b = p('b', { kind: 'array', max: 3, element: { kind: 'bool' } });
  t.deepEqual(parse('b=y,0,on', [b]).values.get('b'), [true, false, true]);
  t.is(parse('b=y,', [b]).errno, 'EINVAL');
});

test('names: - and _ are one, the first match wins, the log has the name as typed', (t) => {
  t.true(parameq('a-b_c', 'a_b-c'));
  t.false(parameq('ab', 'a-b'));
  const params = [p('foo_bar', 'int'), p('foo-bar', 'charp')];
  t.deepEqual(parse('foo-bar=1', params).values, new Map([['foo_bar', 1n]]));
  t.deepEqual(parse('foo-bar=x', params).log, ["mod: `x' invalid for parameter `foo-bar'"]);
});

test('unknown parameters are only a warning', (t) => {
  const { errno, log } = parse('what=1 ever', []);
  t.is(errno, undefined);
  t.deepEqual(log, ["mod: unknown parameter 'what' ignored", "mod: unknown parameter 'ever' ignored"]);
});

test('async_probe, whose name knows no dash', (t) => {
  t.true(parse('async_probe', []).asyncProbe);
  t.true(parse('async_probe=1', []).asyncProbe);
  t.false(parse('async_probe=n', []).asyncProbe);
  t.true(parse('async_probe=rubbish', []).asyncProbe);
  t.true(parse('async_probe=disable', [], { version: '6.12' }).asyncProbe);
  t.false(parse('async_probe=disable', []).asyncProbe);
  t.is(parse('', []).asyncProbe, undefined);
  const dash = parse('async-probe=1', []);
  t.is(dash.asyncProbe, undefined);
  t.deepEqual(dash.log, ["mod: unknown parameter 'async-probe' ignored"]);
});

test('dyndbg with and without CONFIG_DYNAMIC_DEBUG', (t) => {
  t.deepEqual(parse('dyndbg dyndbg="func x +p" other.dyndbg=+f', []), {
    ...nothing,
    values: new Map(),
    dyndbg: ['+p', 'func x +p', '+f'],
  });
  t.deepEqual(parse('dyndbg a.dyndbg', [], { dynamicDebug: false }).log, [
    'dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds',
    "mod: unknown parameter 'a.dyndbg' ignored",
  ]);
});

test('dynamic debug cuts an unknown name at its dot', (t) => {
  t.deepEqual(parse('a.b=1', []).log, ["mod: unknown parameter 'a' ignored"]);
  t.deepEqual(parse('a.b=1', [], { dynamicDebug: false }).log, ["mod: unknown parameter 'a.b' ignored"]);
});

test('-- ends parsing; what follows is given back, unless there was an error', (t) => {
  const x = p('x', 'int');
  t.is(parse('x=1 -- y=2 z', [x]).after, 'y=2 z');
  t.is(parse('x=1 --', [x]).after, '');
  t.is(parse('x=1', [x]).after, undefined);
  const bad = parse('x=q -- y', [x]);
  t.is(bad.after, undefined);
  t.is(bad.errno, 'EINVAL');
  t.deepEqual(parse('--=1', []).log, ["mod: unknown parameter '--' ignored"]);
});

test('unsafe parameters taint, hardware parameters are refused under lockdown', (t) => {
  const unsafe = { ...p('u', 'int'), flags: KERNEL_PARAM_FL_UNSAFE };
  const tainting = parse('u=x', [unsafe]);
  t.true(tainting.taintUser);
  t.deepEqual(tainting.log, ['Setting dangerous option u - tainting kernel', "mod: `x' invalid for parameter `u'"]);

  const io = { ...p('io', 'int'), flags: KERNEL_PARAM_FL_HWPARAM | KERNEL_PARAM_FL_UNSAFE };
  t.is(parse('io=1', [io]).values.get('io'), 1n);
  const locked = parse('io=1', [io], { lockdown: 'insmod' });
  t.is(locked.errno, 'EPERM');
  t.false(locked.taintUser);
  t.deepEqual(locked.log, [
    'Lockdown: insmod: unsafe module parameters is restricted; see man kernel_lockdown.7',
    "mod: `1' invalid for parameter `io'",
  ]);
  t.is(parse('io', [io], { lockdown: 'insmod' }).errno, 'EINVAL');
});

test('a callback decides by itself, also over ENOENT', (t) => {
  const refuse = p('c', {
    kind: 'callback',
    ops: 'my_ops',
    noarg: true,
    set: (v) => (v === 'no' ? 'ENOENT' : undefined),
  });
  t.deepEqual(parse('c', [refuse]).values, new Map([['c', true]]));
  t.deepEqual(parse('c=yes', [refuse]).values, new Map([['c', 'yes']]));
  const { errno, log } = parse('c=no', [refuse]);
  t.is(errno, 'ENOENT');
  t.deepEqual(log, ["mod: Unknown parameter `c'"]);
  t.is(parse('c', [p('c', { kind: 'callback', ops: 'my_ops', noarg: false })]).errno, 'EINVAL');
});

test('a byte 0xa0 is a space to the kernel, also inside a letter', (t) => {
  const { log, values } = parse('s=à b=1', [p('s', 'charp'), p('b', 'int')]);
  t.is(values.get('s'), '\u{fffd}');
  t.is(values.get('b'), 1n);
  t.deepEqual(log, []);
  t.is(parse('s=é', [p('s', 'charp')]).values.get('s'), 'é');
  t.is(parse('s="à"', [p('s', 'charp')]).values.get('s'), 'à');
});

test('a NUL ends the arguments', (t) => {
  t.deepEqual(parse('a=1\0 b=2', [p('a', 'int'), p('b', 'int')]).values, new Map([['a', 1n]]));
});

/** Recorded from next_arg() of lib/cmdline.c compiled for the host: text, then param and value of each argument. */
type Row = [string, ...[string, string | null][]];
const { nextArg: rows } = JSON.parse(readFileSync(new URL('kernel-text.json', import.meta.url), 'utf8')) as {
  nextArg: Row[];
};

function tokens(text: string): [string, string | null][] {
  let rest = text.replace(/^[\t-\r \u{a0}]+/u, '');
  const found: [string, string | null][] = [];
  while (rest !== '') {
    const arg = nextArg(rest);
    found.push([arg.param, arg.value ?? null]);
    rest = arg.rest;
  }
  return found;
}

test("every recorded text is cut as the kernel's own code cut it", (t) => {
  t.true(rows.length > 200);
  for (const [text, ...expected] of rows) t.deepEqual(tokens(text), expected, JSON.stringify(text));
});

const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
const value = fc.stringMatching(/^[a-z0-9=,. -]{0,10}$/);

testProp('quoted arguments come back whole', [fc.array(fc.tuple(name, value), { maxLength: 5 })], (t, pairs) => {
  const inside = pairs.map(([n, v]) => `${n}="${v}"`).join(' ');
  const around = pairs.map(([n, v]) => `"${n}=${v}"`).join('\t ');
  t.deepEqual(tokens(inside), pairs);
  t.deepEqual(tokens(around), pairs);
});

testProp('every argument string ends', [fc.string({ unit: 'binary', maxLength: 60 })], (t, args) => {
  t.notThrows(() => parse(args, [p('a', 'int'), p('b', 'bool')]));
});
