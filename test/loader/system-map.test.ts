import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { exportsOfSymbols, parseSymvers, parseSystemMap, withAddresses } from '../../loader/exports.ts';
import { InputError } from '../../loader/input-error.ts';

const MAP = `\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81234567 t helper
ffffffff82000000 R __start___ksymtab
ffffffff82000000 r __ksymtab__printk
ffffffff8200000c R __start___ksymtab_gpl
ffffffff8200000c r __ksymtab_kill_pid
ffffffff82000018 R __stop___ksymtab_gpl
ffffffff81100010 T _printk
ffffffff81100020 T kill_pid
`;

test('symbols with their addresses, exact to the last bit', (t) => {
  const { symbols } = parseSystemMap(MAP);
  t.is(symbols.get('_text'), 0xffff_ffff_8100_0000n);
  t.is(symbols.get('helper'), 0xffff_ffff_8123_4567n);
  t.is(symbols.get('fixed_percpu_data'), 0n);
  t.is(symbols.size, 10);
});

test('32-bit addresses, upper case digits, CRLF, bytes', (t) => {
  const { symbols } = parseSystemMap(new TextEncoder().encode('C0008000 T stext\r\nc0DE0001 W weak\r\n'));
  t.deepEqual(
    symbols,
    new Map([
      ['stext', 0xc000_8000n],
      ['weak', 0xc0de_0001n],
    ]),
  );
});

test('__ksymtab_ entries tell exports and, before 7.2, which are GPL-only', (t) => {
  const list = parseSystemMap(MAP);
  t.deepEqual(list.exported, new Set(['_printk', 'kill_pid']));
  t.deepEqual(list.gplonly, new Set(['kill_pid']));
  t.deepEqual(exportsOfSymbols(list), [
    {
      name: '_printk',
      value: 0xffff_ffff_8110_0010n,
      crc: undefined,
      gplonly: false,
      namespace: '',
      owner: 'vmlinux',
    },
    {
      name: 'kill_pid',
      value: 0xffff_ffff_8110_0020n,
      crc: undefined,
      gplonly: true,
      namespace: '',
      owner: 'vmlinux',
    },
  ]);
});

test('without __ksymtab_ entries nothing is known about exports, and every symbol may be one', (t) => {
  const list = parseSystemMap('ffffffff81000000 T _text\nffffffff81000010 t x\n');
  t.is(list.exported, undefined);
  t.is(list.gplonly, undefined);
  t.deepEqual(
    exportsOfSymbols(list).map(({ name }) => name),
    ['_text', 'x'],
  );
});

test('of several symbols with one name the first global wins, else the first', (t) => {
  const { symbols } = parseSystemMap(
    '01 t twice\n02 T twice\n03 T twice\n04 t twice\n05 t local\n06 d local\n07 W weak\n08 T weak\n',
  );
  t.is(symbols.get('twice'), 2n);
  t.is(symbols.get('local'), 5n);
  t.is(symbols.get('weak'), 7n);
});

test('absolute __crc_ symbols are CRCs, others are addresses', (t) => {
  const { crcs } = parseSystemMap('00000000deadbeef A __crc_a\nffffffff82000000 r __crc_b\n');
  t.deepEqual(crcs, new Map([['a', 0xdead_beef]]));
});

test('kallsyms: symbols of modules are kept apart', (t) => {
  const list = parseSystemMap(
    'ffffffff81000000 T init\n' +
      'ffffffffc0001000 t init\t[ext4]\nffffffffc0002000 T ext4_get\t[ext4]\n' +
      'ffffffffc0003000 r __ksymtab_ext4_get\t[ext4]\nffffffffc0100000 t prog\t[bpf]\n',
  );
  t.deepEqual(list.symbols, new Map([['init', 0xffff_ffff_8100_0000n]]));
  t.is(list.exported, undefined);
  t.deepEqual([...list.modules.keys()], ['ext4', 'bpf']);
  const ext4 = list.modules.get('ext4');
  t.is(ext4?.symbols.get('init'), 0xffff_ffff_c000_1000n);
  t.deepEqual(ext4?.exported, new Set(['ext4_get']));
});

test('undefined symbols of nm are passed over', (t) => {
  const { symbols } = parseSystemMap('                 w __weak\nffffffff81000000 T _text\n\n');
  t.deepEqual([...symbols.keys()], ['_text']);
});

test('addresses hidden by the kernel are recognised', (t) => {
  t.throws(() => parseSystemMap('0000000000000000 T _text\n0000000000000000 t x\t[ext4]\n'), {
    instanceOf: InputError,
    message: /kptr_restrict.*as root/,
  });
  t.is(parseSystemMap('').symbols.size, 0);
});

test("a packager's stub is recognised", (t) => {
  const stub = 'ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n';
  t.throws(() => parseSystemMap(stub), { instanceOf: InputError, message: /stub without symbols/ });
});

for (const bad of [
  'hello world',
  'ffffffff81000000',
  'ffffffff81000000 T ',
  'ffffffff81000000 T',
  'ffffffff81000000\tT name',
  'ffffffff81000000 TT name',
  'ffffffff81000000 1 name',
  '0ffffffff81000000 T name',
  'ffffffff81000000 T name more',
  'ffffffff81000000 T name\t[open',
  '\x7fELF',
]) {
  test(`a malformed line is an InputError with its number: ${JSON.stringify(bad)}`, (t) => {
    const error = t.throws(() => parseSystemMap(`01 T good\n${bad}\n`), {
      instanceOf: InputError,
      message: /symbol list, line 2: expected address, type and name/,
    });
    t.is(error?.line, 2);
  });
}

test('addresses are put to the exports of vmlinux only', (t) => {
  const exports = parseSymvers(
    '0x1\t_printk\tvmlinux\tEXPORT_SYMBOL\n0x2\tabsent\tvmlinux\tEXPORT_SYMBOL\n0x3\tkill_pid\tfs/x\tEXPORT_SYMBOL\n',
  );
  t.deepEqual(
    withAddresses(exports, parseSystemMap(MAP)).map(({ value, crc }) => [value, crc]),
    [
      [0xffff_ffff_8110_0010n, 1],
      [undefined, 2],
      [undefined, 3],
    ],
  );
});

testProp(
  'every 64-bit address survives',
  [fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 1, maxLength: 10 }), fc.boolean()],
  (t, addresses, padded) => {
    const text = addresses.map((a, i) => `${a.toString(16).padStart(padded ? 16 : 1, '0')} T s${i}`).join('\n');
    fc.pre(addresses.some((a) => a !== 0n));
    t.deepEqual([...parseSystemMap(text).symbols.values()], addresses);
  },
);
