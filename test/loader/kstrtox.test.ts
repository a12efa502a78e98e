import { readFileSync } from 'node:fs';
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { kstrtobool, kstrtoll, kstrtos, kstrtou, kstrtoull } from '../../loader/kstrtox.ts';

/** Recorded from lib/kstrtox.c compiled for the host: text, kstrtobool of 6.1 and 7.2, then u8 … ull. */
type Row = [string, boolean | string, boolean | string, ...string[]];

const { kstrto } = JSON.parse(readFileSync(new URL('kernel-text.json', import.meta.url), 'utf8')) as { kstrto: Row[] };

test("every recorded text gives what the kernel's own code gave", (t) => {
  t.true(kstrto.length > 200);
  for (const [text, bool61, bool72, ...numbers] of kstrto) {
    t.deepEqual([kstrtobool(text, '6.1'), kstrtobool(text, '6.12'), kstrtobool(text, '7.2')], [bool61, bool61, bool72]);
    const ours = [
      kstrtou(text, 8),
      kstrtos(text, 16),
      kstrtou(text, 16),
      kstrtos(text, 32),
      kstrtou(text, 32),
      kstrtoll(text),
      kstrtoull(text),
    ];
    t.deepEqual(ours.map(String), numbers, JSON.stringify(text));
  }
});

for (const bits of [8, 16, 32, 64]) {
  const top = (1n << BigInt(bits)) - 1n;
  test(`unsigned ${bits} bits: both limits and one beyond`, (t) => {
    t.is(kstrtou('0', bits), 0n);
    t.is(kstrtou(`${top}`, bits), top);
    t.is(kstrtou(`${top + 1n}`, bits), 'ERANGE');
    t.is(kstrtou('-1', bits), 'EINVAL');
    t.is(kstrtou('-0', bits), 'EINVAL');
  });

  const half = 1n << BigInt(bits - 1);
  test(`signed ${bits} bits: both limits and one beyond`, (t) => {
    t.is(kstrtos(`${half - 1n}`, bits), half - 1n);
    t.is(kstrtos(`${half}`, bits), 'ERANGE');
    t.is(kstrtos(`${-half}`, bits), -half);
    t.is(kstrtos(`${-half - 1n}`, bits), 'ERANGE');
    t.is(kstrtos('-0', bits), 0n);
  });
}

test('bases by prefix', (t) => {
  t.is(kstrtoull('10'), 10n);
  t.is(kstrtoull('010'), 8n);
  t.is(kstrtoull('0x10'), 16n);
  t.is(kstrtoull('0XfF'), 255n);
  t.is(kstrtoull('08'), 'EINVAL');
  t.is(kstrtoull('0x'), 'EINVAL');
  t.is(kstrtoull('0xg'), 'EINVAL');
  t.is(kstrtoull('ff'), 'EINVAL');
  t.is(kstrtos('-0x80', 8), -128n);
});

test('one sign, one newline, nothing else', (t) => {
  t.is(kstrtoull('+5\n'), 5n);
  for (const text of ['', '\n', '+', '-', '++5', '-+5', '5\n\n', '5 ', ' 5', '5k'])
    t.is(kstrtoll(text), 'EINVAL', text);
});

test('overflow is told before what follows the digits', (t) => {
  t.is(kstrtoull('18446744073709551616x'), 'ERANGE');
  t.is(kstrtoull('18446744073709551615x'), 'EINVAL');
});

test('a very long number is refused quickly', (t) => {
  t.is(kstrtoull('9'.repeat(1_000_000)), 'ERANGE');
  t.is(kstrtoull(`${'0'.repeat(1_000_000)}7`), 7n);
});

test('kstrtobool looks at one or two characters, and 7.2 knows two words more', (t) => {
  for (const text of ['y', 'Yes', 't', 'TRUE', '1', '1x', 'on', 'ON']) t.true(kstrtobool(text, '6.1'), text);
  for (const text of ['n', 'No', 'f', 'false', '0', '01', 'of', 'off']) t.false(kstrtobool(text, '6.1'), text);
  for (const text of ['', 'o', 'oh', '2', ' y', '-1']) t.is(kstrtobool(text, '7.2'), 'EINVAL', text);
  t.is(kstrtobool('enable', '6.12'), 'EINVAL');
  t.is(kstrtobool('disable', '6.12'), 'EINVAL');
  t.true(kstrtobool('enable', '7.2'));
  t.false(kstrtobool('Disable', '7.2'));
});

testProp('a number in any base comes back', [fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })], (t, value) => {
  for (const text of [`${value}`, `0${value.toString(8)}`, `0x${value.toString(16)}`]) t.is(kstrtoull(text), value);
});
