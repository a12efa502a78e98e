import test from 'ava';
import { type ParamMemory, paramStores, readKernelParams, sizeofKernelParam } from '../../loader/kernel-param.ts';
import { parseArgs } from '../../loader/params.ts';
import type { ElfFormat } from '../../relocs/elf.ts';

const BASE = 0xc000_0000n;

/** A little memory to put structs into, in the machine's order, and the __param section that points into it. */
class Bench implements ParamMemory {
  readonly format: ElfFormat;
  readonly memory = new Uint8Array(0x1000);
  readonly section: Uint8Array;
  private readonly view = new DataView(this.memory.buffer);
  private readonly params: DataView;
  private readonly ops = new Map<bigint, string>();
  private end = 0;
  private count = 0;

  constructor(format: ElfFormat, count: number) {
    this.format = format;
    this.section = new Uint8Array(count * sizeofKernelParam(format));
    this.params = new DataView(this.section.buffer);
  }

  bytesAt(address: bigint): Uint8Array | undefined {
    return address >= BASE && address < BASE + 0x1000n ? this.memory.subarray(Number(address - BASE)) : undefined;
  }

  symbolAt(address: bigint): string | undefined {
    return this.ops.get(address);
  }

  /** Reserves room and gives its address. */
  room(size: number): bigint {
    const at = this.end;
    this.end = (at + size + 7) & ~7;
    return BASE + BigInt(at);
  }

  text(s: string): bigint {
    const at = this.room(s.length + 1);
    this.memory.set(new TextEncoder().encode(s), Number(at - BASE));
    return at;
  }

  uint(address: bigint, value: number): void {
    this.view.setUint32(Number(address - BASE), value, this.format.little);
  }

  pointer(address: bigint, value: bigint, view: DataView = this.view, base: bigint = BASE): void {
    const at = Number(address - base);
    if (this.format.is64) view.setBigUint64(at, value, this.format.little);
    else view.setUint32(at, Number(value), this.format.little);
  }

  /** Address that stands for kernel_param_ops of this name, outside of our memory. */
  opsOf(name: string): bigint {
    const address = 0x8000_0000n + BigInt(this.ops.size * 0x40);
    this.ops.set(address, name);
    return address;
  }

  param(name: string, ops: bigint, arg: bigint, perm = 0o644, flags = 0): void {
    const word = this.format.is64 ? 8 : 4;
    const at = this.count++ * sizeofKernelParam(this.format);
    this.pointer(BigInt(at), this.text(name), this.params, 0n);
    this.pointer(BigInt(at + word * 2), ops, this.params, 0n);
    this.params.setUint16(at + word * 3, perm, this.format.little);
    this.params.setInt8(at + word * 3 + 2, -1);
    this.params.setUint8(at + word * 3 + 3, flags);
    this.pointer(BigInt(at + (this.format.is64 ? 32 : 16)), arg, this.params, 0n);
  }
}

const scalar = (kind: 'short' | 'ulong' | 'bool' | 'bint' | 'charp' | 'ullong', arg: bigint) => ({
  name: kind,
  type: { kind },
  arg,
});

for (const is64 of [true, false]) {
  for (const little of [true, false]) {
    const format = { is64, little };
    const word = is64 ? 8 : 4;
    const order = (...bytes: number[]) => (little ? bytes : bytes.toReversed());
    const pad = (...bytes: number[]) => order(...bytes, ...Array.from({ length: word - 4 }, () => 0));
    const title = `${is64 ? 64 : 32} bits, ${little ? 'little' : 'big'} endian`;

    test(`struct kernel_param and what it leads to: ${title}`, (t) => {
      const b = new Bench(format, 4);
      const variable = b.room(4);
      b.param('debug', b.opsOf('param_ops_int'), variable, 0o444, 3);

      const buffer = b.room(16);
      const kps = b.room(word * 2);
      b.uint(kps, 16);
      b.pointer(kps + BigInt(word), buffer);
      b.param('path', b.opsOf('param_ops_string'), kps);

      const elem = b.room(12);
      const num = b.room(4);
      const arr = b.room(8 + word * 3);
      b.uint(arr, 3);
      b.uint(arr + 4n, 4);
      b.pointer(arr + 8n, num);
      b.pointer(arr + 8n + BigInt(word), b.opsOf('param_ops_uint'));
      b.pointer(arr + 8n + BigInt(word * 2), elem);
      b.param('irqs', b.opsOf('param_array_ops'), arr);

      const own = b.room(32);
      b.uint(own, 1);
      b.param('hook', own, 0n);

      t.deepEqual(readKernelParams(b.section, b), [
        { name: 'debug', type: { kind: 'int' }, perm: 0o444, flags: 3, arg: variable },
        { name: 'path', type: { kind: 'string', maxlen: 16, string: buffer }, perm: 0o644, flags: 0, arg: kps },
        {
          name: 'irqs',
          type: { kind: 'array', max: 3, elemsize: 4, num, elem, element: { kind: 'uint' } },
          perm: 0o644,
          flags: 0,
          arg: arr,
        },
        {
          name: 'hook',
          type: { kind: 'callback', ops: `0x${own.toString(16)}`, noarg: true },
          perm: 0o644,
          flags: 0,
          arg: 0n,
        },
      ]);
    });

    test(`what was parsed is stored where it belongs: ${title}`, (t) => {
      const params = [
        scalar('short', 0x10n),
        scalar('ulong', 0x20n),
        scalar('bool', 0x30n),
        scalar('bint', 0x40n),
        scalar('charp', 0x50n),
        scalar('ullong', 0x60n),
        { name: 'str', type: { kind: 'string', maxlen: 9, string: 0x70n }, arg: 1n },
        {
          name: 'arr',
          type: { kind: 'array', max: 4, elemsize: 2, num: 0x90n, elem: 0x80n, element: { kind: 'ushort' } },
          arg: 1n,
        },
        { name: 'cb', type: { kind: 'callback', ops: 'x', noarg: false }, arg: 1n },
      ] as const;
      const args =
        'short=-2 ulong=0x01020304 bool=y bint=y charp=hi ullong=0x0102030405060708 str=abc arr=1,0x203 cb=1';
      const { values, errno } = parseArgs({
        module: 'm',
        args,
        params,
        wordBits: is64 ? 64 : 32,
        version: '6.12',
      });
      t.is(errno, undefined);

      const allocated: string[] = [];
      const stores = params.flatMap((definition) =>
        paramStores(definition, values.get(definition.name) ?? 0n, format, (text) => {
          allocated.push(new TextDecoder().decode(text));
          return 0x0a0b_0c0dn;
        }),
      );
      t.deepEqual(
        stores.map(({ address, bytes }) => [address, [...bytes]]),
        [
          [0x10n, order(0xfe, 0xff)],
          [0x20n, pad(4, 3, 2, 1)],
          [0x30n, [1]],
          [0x40n, order(1, 0, 0, 0)],
          [0x50n, pad(0x0d, 0x0c, 0x0b, 0x0a)],
          [0x60n, order(8, 7, 6, 5, 4, 3, 2, 1)],
          [0x70n, [97, 98, 99, 0]],
          [0x80n, order(1, 0)],
          [0x82n, order(3, 2)],
          [0x90n, order(2, 0, 0, 0)],
        ],
      );
      t.deepEqual(allocated, ['hi\0']);
    });
  }
}

test('pointers that lead nowhere give nameless parameters and callbacks, never an exception', (t) => {
  const memory: ParamMemory = {
    format: { is64: true, little: true },
    bytesAt: () => undefined,
    symbolAt: (address) => (address === 0x4141_4141_4141_4141n ? 'param_array_ops' : undefined),
  };
  const params = readKernelParams(new Uint8Array(85).fill(0x41), memory);
  t.is(params.length, 2);
  t.is(params[0]?.name, '');
  t.deepEqual(params[0]?.type, { kind: 'callback', ops: 'param_array_ops', noarg: false });
});

test('an array of itself ends', (t) => {
  const memory: ParamMemory = {
    format: { is64: false, little: true },
    bytesAt: () => new Uint8Array(64),
    symbolAt: () => 'param_array_ops',
  };
  const [param] = readKernelParams(new Uint8Array(20), memory);
  t.is(param?.type.kind, 'array');
});

test('without a place to allocate, a string pointer is not written', (t) => {
  const format = { is64: true, little: true };
  t.deepEqual(paramStores({ name: 's', type: { kind: 'charp' }, arg: 8n }, 'x', format), []);
  t.deepEqual(paramStores({ name: 's', type: { kind: 'int' } }, 1n, format), []);
});
