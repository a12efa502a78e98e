import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { parseSymvers } from '../../loader/exports.ts';
import { InputError } from '../../loader/input-error.ts';

test('a row with and without namespace', (t) => {
  const text = [
    '0x3b6ab44d\tkmalloc_trace\tvmlinux\tEXPORT_SYMBOL\t',
    '0xFFFFFFFF\tdma_buf_get\tdrivers/dma-buf/dma-buf\tEXPORT_SYMBOL_GPL\tDMA_BUF',
    '0x00000001\told\tvmlinux\tEXPORT_SYMBOL',
    '',
  ].join('\n');
  const vmlinux = { value: undefined, gplonly: false, namespace: '', owner: 'vmlinux' };
  t.deepEqual(parseSymvers(text), [
    { ...vmlinux, name: 'kmalloc_trace', crc: 0x3b6ab44d },
    {
      name: 'dma_buf_get',
      value: undefined,
      crc: 0xffff_ffff,
      gplonly: true,
      namespace: 'DMA_BUF',
      owner: 'drivers/dma-buf/dma-buf',
    },
    { ...vmlinux, name: 'old', crc: 1 },
  ]);
});

test('bytes and CRLF are read like text', (t) => {
  const text = '0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\tNS\r\n0x00000002\tb\tvmlinux\tEXPORT_SYMBOL_GPL\r\n';
  const rows = parseSymvers(new TextEncoder().encode(text));
  t.deepEqual(rows, parseSymvers(text));
  t.deepEqual(
    rows.map((row) => row.namespace),
    ['NS', ''],
  );
  t.true(rows[1]?.gplonly);
});

test('no CRC at all means a kernel without CONFIG_MODVERSIONS', (t) => {
  const off = parseSymvers('0x00000000\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000000\tb\tvmlinux\tEXPORT_SYMBOL\t\n');
  t.deepEqual(
    off.map((row) => row.crc),
    [undefined, undefined],
  );
  const on = parseSymvers('0x00000000\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000007\tb\tvmlinux\tEXPORT_SYMBOL\t\n');
  t.deepEqual(
    on.map((row) => row.crc),
    [0, 7],
  );
});

test('an empty file exports nothing', (t) => {
  t.deepEqual(parseSymvers(''), []);
});

test('a namespace of 7.2 that names modules is kept whole', (t) => {
  const [row] = parseSymvers('0x00000001\tx\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm,kvm-intel\n');
  t.is(row?.namespace, 'module:kvm,kvm-intel');
});

for (const [what, row, message] of [
  ['text', 'hello world', /line 2: expected crc, name, owner and kind of export separated by tabs/],
  ['three fields', '0x1\ta\tvmlinux', /line 2: expected crc, name, owner/],
  ['no 0x', '12345678\ta\tvmlinux\tEXPORT_SYMBOL', /line 2: the CRC '12345678' is no 0x number/],
  ['nine digits', '0x123456789\ta\tvmlinux\tEXPORT_SYMBOL', /line 2: the CRC '0x123456789'/],
  ['no digits', '0x\ta\tvmlinux\tEXPORT_SYMBOL', /line 2: the CRC '0x'/],
  ['no hex', '0x12g4\ta\tvmlinux\tEXPORT_SYMBOL', /line 2: the CRC '0x12g4'/],
  ['no name', '0x1\t\tvmlinux\tEXPORT_SYMBOL', /line 2: the name is empty/],
  ['no owner', '0x1\ta\t\tEXPORT_SYMBOL', /line 2: the owner is empty/],
  ['foreign kind', '0x1\ta\tvmlinux\tEXPORT_SYMBOL_FOO', /line 2: the kind is 'EXPORT_SYMBOL_FOO'/],
  ['same length', '0x1\ta\tvmlinux\tEXPORT_SYMBOL_XXX', /line 2: the kind is 'EXPORT_SYMBOL_XXX'/],
  ['short kind', '0x1\ta\tvmlinux\tEXPORT', /line 2: the kind is 'EXPORT'/],
  ['order of 5.4', '0x1\ta\t\tvmlinux\tEXPORT_SYMBOL', /line 2: the owner is empty/],
  ['six fields', '0x1\ta\tvmlinux\tEXPORT_SYMBOL\tNS\tmore', /line 2: more than five fields/],
] as const) {
  test(`a malformed row is an InputError with its line: ${what}`, (t) => {
    const error = t.throws(() => parseSymvers(`0x1\tgood\tvmlinux\tEXPORT_SYMBOL\n${row}\n`), {
      instanceOf: InputError,
      message,
    });
    t.is(error?.line, 2);
  });
}

test('a binary file is refused without flooding the screen', (t) => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i % 5 === 0 ? 9 : i % 31));
  const error = t.throws(() => parseSymvers(bytes), { instanceOf: InputError });
  t.true((error?.message.length ?? 0) < 160);
});

const word = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.]{0,20}$/);
const row = fc.record({
  name: word,
  value: fc.constant(undefined),
  crc: fc.integer({ min: 0, max: 0xffff_ffff }),
  gplonly: fc.boolean(),
  namespace: fc.oneof(fc.constant(''), word),
  owner: word,
});

testProp('what is written is read', [fc.array(row, { maxLength: 20 }), fc.boolean()], (t, rows, lastNewline) => {
  const text = rows
    .map(({ crc, name, owner, gplonly, namespace }) => {
      const kind = gplonly ? 'EXPORT_SYMBOL_GPL' : 'EXPORT_SYMBOL';
      return `0x${crc.toString(16).padStart(8, '0')}\t${name}\t${owner}\t${kind}\t${namespace}`;
    })
    .join('\n');
  const modversions = rows.some(({ crc }) => crc !== 0);
  t.deepEqual(
    parseSymvers(lastNewline ? `${text}\n` : text),
    modversions ? rows : rows.map((r) => ({ ...r, crc: undefined })),
  );
});

test('the time for 30,000 rows stays far under a second', (t) => {
  const text = Array.from(
    { length: 30_000 },
    (_, i) => `0x${(i * 143_165).toString(16).padStart(8, '0')}\tsymbol_number_${i}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n`,
  ).join('');
  parseSymvers(text);
  const start = performance.now();
  const rows = parseSymvers(text);
  const ms = performance.now() - start;
  t.log(`${ms.toFixed(1)} ms`);
  t.is(rows.length, 30_000);
  t.true(ms < 500, `${ms} ms`);
});
