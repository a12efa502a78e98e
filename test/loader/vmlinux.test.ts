import test from 'ava';
import { type KernelExport, parseVmlinux } from '../../loader/exports.ts';
import { InputError } from '../../loader/input-error.ts';
import type { ElfFormat } from '../../relocs/elf.ts';

const formats = [true, false].flatMap((is64) => [true, false].map((little) => ({ is64, little })));
const title = ({ is64, little }: ElfFormat) => `${is64 ? 64 : 32} bits, ${little ? 'little' : 'big'} endian`;

/** Numbers into bytes: the tables of these tests are lists of [value, size]. */
function packed(format: ElfFormat, fields: readonly (readonly [bigint | number, number])[]): Uint8Array {
  const parts = fields.map(([value, size]) => {
    const bytes = Array.from({ length: size }, (_, i) => Number(BigInt.asUintN(8, BigInt(value) >> BigInt(8 * i))));
    return format.little ? bytes : bytes.toReversed();
  });
  return Uint8Array.from(parts.flat());
}

interface Part {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly addr?: bigint;
  readonly type?: number;
  readonly link?: number;
}

/** A linked ELF file of these sections; index 0 and .shstrtab are added. */
function elf(format: ElfFormat, parts: readonly Part[], e_type = 2): Uint8Array {
  const { is64 } = format;
  const all: Part[] = [{ name: '', bytes: new Uint8Array(0), type: 0 }, ...parts];
  const names = [...all.map(({ name }) => name), '.shstrtab'].join('\0').concat('\0');
  all.push({ name: '.shstrtab', bytes: new TextEncoder().encode(names), type: 3 });
  const [word, header, shdr] = is64 ? [8, 64, 64] : [4, 52, 40];
  let offset = header;
  let nameAt = 0;
  const headers = all.map(({ name, bytes, addr = 0n, type = 1, link = 0 }) => {
    const flags = addr === 0n ? 0 : 2;
    const row = packed(format, [
      [nameAt, 4],
      [type, 4],
      [flags, word],
      [addr, word],
      [offset, word],
      [bytes.length, word],
      [link, 4],
      [0, 4],
      [1, word],
      [0, word],
    ]);
    nameAt += name.length + 1;
    offset += bytes.length;
    return [...row];
  });
  const ident = [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, format.little ? 1 : 2, 1, ...Array.from({ length: 9 }, () => 0)];
  const rest = packed(format, [
    [e_type, 2],
    [0, 2],
    [1, 4],
    [0, word],
    [0, word],
    [offset, word],
    [0, 4],
    [header, 2],
    [0, 2],
    [0, 2],
    [shdr, 2],
    [all.length, 2],
    [all.length - 1, 2],
  ]);
  return Uint8Array.from([...ident, ...rest, ...all.flatMap(({ bytes }) => [...bytes]), ...headers.flat()]);
}

/** A symbol table with its strings as the sections `at` and `at + 1`. */
function symtab(format: ElfFormat, at: number, symbols: readonly (readonly [string, bigint, number])[]): Part[] {
  const strings = ['', ...symbols.map(([name]) => name)].join('\0').concat('\0');
  let nameAt = 1;
  const rows = symbols.map(([name, value, bind]): readonly (readonly [bigint | number, number])[] => {
    const st_name = nameAt;
    nameAt += name.length + 1;
    const info = bind << 4;
    return format.is64
      ? [
          [st_name, 4],
          [info, 1],
          [0, 1],
          [1, 2],
          [value, 8],
          [0, 8],
        ]
      : [
          [st_name, 4],
          [value, 4],
          [0, 4],
          [info, 1],
          [0, 1],
          [1, 2],
        ];
  });
  const empty = packed(format, [[0, format.is64 ? 24 : 16]]);
  return [
    { name: '.symtab', type: 2, link: at + 1, bytes: Uint8Array.from([...empty, ...packed(format, rows.flat())]) },
    { name: '.strtab', type: 3, bytes: new TextEncoder().encode(strings) },
  ];
}

/** Where the sections of the examples lie: in the upper half, as in a kernel. */
const at = (format: ElfFormat, low: number): bigint =>
  (format.is64 ? 0xffff_ffff_8000_0000n : 0x8000_0000n) + BigInt(low);

/** Strings at 0x3000: `_printk`, the empty namespace, `kill_pid`, `NS`. */
const strings = (format: ElfFormat): Part => ({
  name: '__ksymtab_strings',
  addr: at(format, 0x3000),
  bytes: new TextEncoder().encode('_printk\0\0kill_pid\0NS\0'),
});
const [PRINTK, EMPTY, KILL_PID, NS] = [0x3000, 0x3008, 0x3009, 0x3012];

function absolute(format: ElfFormat, name: string, low: number, entries: readonly (readonly number[])[]): Part {
  const word = format.is64 ? 8 : 4;
  const fields = entries.flat().map((target) => [target === 0 ? 0n : at(format, target), word] as const);
  return { name, addr: at(format, low), bytes: packed(format, fields) };
}

function prel32(format: ElfFormat, name: string, low: number, entries: readonly (readonly number[])[]): Part {
  const fields = entries.flat().map((target, i) => [target === 0 ? 0 : target - (low + i * 4), 4] as const);
  return { name, addr: at(format, low), bytes: packed(format, fields) };
}

const printk = (format: ElfFormat): KernelExport => ({
  name: '_printk',
  value: at(format, 0x100),
  crc: 0x1122_3344,
  gplonly: false,
  namespace: '',
  owner: 'vmlinux',
});
const killPid = (format: ElfFormat): KernelExport => ({
  name: 'kill_pid',
  value: at(format, 0x200),
  crc: 0xfedc_ba98,
  gplonly: true,
  namespace: 'NS',
  owner: 'vmlinux',
});

for (const format of formats) {
  const crc = (name: string, low: number, ...crcs: number[]): Part => ({
    name,
    addr: at(format, low),
    bytes: packed(
      format,
      crcs.map((value) => [value, 4] as const),
    ),
  });

  for (const [form, table] of [
    ['absolute', absolute],
    ['PREL32', prel32],
  ] as const) {
    test(`6.x, two tables, ${form}: ${title(format)}`, (t) => {
      const bytes = elf(format, [
        { name: '.text', addr: at(format, 0), bytes: new Uint8Array(0x300) },
        table(format, '__ksymtab', 0x1000, [[0x100, PRINTK, EMPTY]]),
        table(format, '__ksymtab_gpl', 0x1100, [[0x200, KILL_PID, NS]]),
        crc('__kcrctab', 0x2000, 0x1122_3344),
        crc('__kcrctab_gpl', 0x2100, 0xfedc_ba98),
        strings(format),
      ]);
      t.deepEqual(parseVmlinux(bytes), [printk(format), killPid(format)]);
    });

    test(`7.2, one table with flags, ${form}: ${title(format)}`, (t) => {
      const sections = [
        table(format, '__ksymtab', 0x1000, [
          [0x100, PRINTK, 0],
          [0x200, KILL_PID, NS],
        ]),
        { name: '__kflagstab', addr: at(format, 0x2800), bytes: Uint8Array.of(0xfe, 1) },
        strings(format),
      ];
      const plain = parseVmlinux(elf(format, sections, 3));
      t.deepEqual(plain, [
        { ...printk(format), crc: undefined },
        { ...killPid(format), crc: undefined },
      ]);
      const crcs = crc('__kcrctab', 0x2000, 0x1122_3344, 0xfedc_ba98);
      t.deepEqual(parseVmlinux(elf(format, [...sections, crcs])), [printk(format), killPid(format)]);
    });
  }

  test(`a relocatable kernel whose tables are still zero is read by its symbols: ${title(format)}`, (t) => {
    const word = format.is64 ? 8 : 4;
    const bytes = elf(
      format,
      [
        { name: '__ksymtab', addr: at(format, 0x1000), bytes: new Uint8Array(6 * word) },
        crc('__kcrctab', 0x2000, 0x1122_3344, 0xfedc_ba98),
        { name: '__kflagstab', addr: at(format, 0x2800), bytes: Uint8Array.of(0, 1) },
        strings(format),
        ...symtab(format, 5, [
          ['__ksymtab_kill_pid', at(format, 0x1000 + 3 * word), 0],
          ['__ksymtab__printk', at(format, 0x1000), 0],
          ['__kstrtabns_kill_pid', at(format, NS), 0],
          ['__kstrtabns__printk', at(format, EMPTY), 0],
          ['__ksymtab_elsewhere', at(format, 0), 0],
          ['kill_pid', at(format, 0x999), 0],
          ['kill_pid', at(format, 0x200), 1],
          ['_printk', at(format, 0x100), 1],
        ]),
      ],
      3,
    );
    t.deepEqual(parseVmlinux(bytes), [killPid(format), printk(format)]);
  });

  test(`without export sections every global symbol counts: ${title(format)}`, (t) => {
    const bytes = elf(
      format,
      symtab(format, 1, [
        ['local', at(format, 1), 0],
        ['_printk', at(format, 0x100), 1],
        ['weak', at(format, 2), 2],
      ]),
    );
    const row = { crc: undefined, gplonly: false, namespace: '', owner: 'vmlinux' };
    t.deepEqual(parseVmlinux(bytes), [
      { ...row, name: '_printk', value: at(format, 0x100) },
      { ...row, name: 'weak', value: at(format, 2) },
    ]);
  });

  test(`every truncation is an InputError or what was there: ${title(format)}`, (t) => {
    const whole = elf(format, [absolute(format, '__ksymtab', 0x1000, [[0x100, PRINTK, EMPTY]]), strings(format)]);
    for (let size = 0; size < whole.length; size++) {
      t.throws(() => parseVmlinux(whole.subarray(0, size)), { instanceOf: InputError }, `${size} of ${whole.length}`);
    }
    t.is(parseVmlinux(whole).length, 1);
  });
}

const le64 = { is64: true, little: true };
const table = absolute(le64, '__ksymtab', 0x1000, [[0x100, PRINTK, EMPTY]]);

for (const [what, bytes, message] of [
  ['empty', new Uint8Array(0), /no ELF file/],
  ['text', new TextEncoder().encode('ffffffff81000000 T _text\n'), /no ELF file/],
  [
    'bzImage',
    Uint8Array.from({ length: 0x400 }, (_, i) => [0x48, 0x64, 0x72, 0x53][i - 0x202] ?? 0),
    /bzImage.*extract-vmlinux/,
  ],
  ['module', elf(le64, [], 1), /relocatable object/],
  ['stripped', elf(le64, []), /neither export sections nor a symbol table/],
  ['zero tables', elf(le64, [{ ...table, bytes: new Uint8Array(24) }]), /no pointers/],
  [
    'CRCs of another length',
    elf(le64, [table, strings(le64), { name: '__kcrctab', addr: 0x5000n, bytes: new Uint8Array(8) }]),
    /__ksymtab has 1 entries, its CRC table 2/,
  ],
  [
    'flags of another length',
    elf(le64, [table, strings(le64), { name: '__kflagstab', addr: 0x5000n, bytes: new Uint8Array(3) }]),
    /__ksymtab has 1 entries, __kflagstab 3/,
  ],
] as const) {
  test(`what is no vmlinux is told so: ${what}`, (t) => {
    t.throws(() => parseVmlinux(bytes), { instanceOf: InputError, message });
  });
}

test('flipped bytes never raise anything but InputError', (t) => {
  const whole = elf(le64, [table, strings(le64), ...symtab(le64, 3, [['_printk', 1n, 1]])]);
  for (let i = 0; i < whole.length; i++) {
    for (const byte of [0, 0x7f, 0xff]) {
      const broken = whole.slice();
      broken[i] = byte;
      try {
        parseVmlinux(broken);
      } catch (error) {
        if (!(error instanceof InputError)) t.fail(`byte ${i} = ${byte}: ${String(error)}`);
      }
    }
  }
  t.pass();
});

test('thousands of symbols that share one long name cost neither time nor memory', (t) => {
  const [symbols, names] = symtab(le64, 1, [['x'.repeat(1 << 20), 1n, 1]]);
  if (symbols === undefined || names === undefined) return t.fail();
  const rows = new Uint8Array(24 * 20_000);
  for (let i = 0; i < 20_000; i++) rows.set(symbols.bytes.subarray(24), i * 24);
  const start = performance.now();
  t.is(parseVmlinux(elf(le64, [{ ...symbols, bytes: rows }, names])).length, 1);
  t.true(performance.now() - start < 5000);
});
