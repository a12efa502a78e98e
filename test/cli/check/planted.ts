/** A tree of small modules for the fictional kernel, most of them with one fault each. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type KoSpec,
  ko,
  MODULE_LAYOUT_CRC,
  minimalModule,
  SHF_ALLOC,
  SHF_EXECINSTR,
} from '../../../fixtures/build.ts';

const text = { name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, align: 16, size: 32 };
const CALL = 4;

/** What the kernel of the tree exports: CRC, name, kind, namespace. */
export const KERNEL: readonly (readonly [crc: number, name: string, kind: string, namespace: string])[] = [
  [MODULE_LAYOUT_CRC, 'module_layout', 'EXPORT_SYMBOL', ''],
  [0x1111_1111, '_printk', 'EXPORT_SYMBOL', ''],
  [0x2222_2222, 'gpl_only_fn', 'EXPORT_SYMBOL_GPL', ''],
  [0x3333_3333, 'spaced_fn', 'EXPORT_SYMBOL', 'ROOM'],
  [0x4444_4444, 'wanted_fn_v2', 'EXPORT_SYMBOL', ''],
];
export const GOOD_CRC = 0x5555_5555;

const crcs = new Map<string, number>([
  ...KERNEL.map(([crc, name]) => [name, crc] as const),
  ['good_fn', GOOD_CRC],
  ['a_fn', 0xa],
  ['b_fn', 0xb],
  ['lost_fn', 0xc],
]);

/** A module that calls `uses` and exports `exports`, whose __versions is right. */
export function moduleFile(
  name: string,
  uses: readonly string[],
  exports: readonly string[] = [],
  more: Partial<KoSpec> = {},
): Uint8Array {
  return ko(
    minimalModule({
      sections: [text],
      thisModule: { name },
      relocs: { '.text': uses.map((symbol, i) => ({ offset: 1 + 5 * i, type: CALL, symbol, addend: -4 })) },
      symbols: exports.map((symbol) => ({ name: symbol, section: '.text', value: 0 })),
      versions: ['module_layout', ...uses].map((symbol) => [symbol, crcs.get(symbol) ?? 0x9999] as const),
      ...(exports.length === 0
        ? {}
        : { exports: exports.map((symbol) => ({ name: symbol, crc: crcs.get(symbol) ?? 1 })) }),
      ...more,
    }),
  );
}

const good = moduleFile('good', ['_printk'], ['good_fn']);

/** The modules without a fault. */
export const HEALTHY: Readonly<Record<string, Uint8Array>> = {
  'kernel/good.ko': good,
  'kernel/user.ko': moduleFile('user', ['good_fn', '_printk', 'gpl_only_fn']),
  'kernel/room.ko': moduleFile('room', ['spaced_fn'], [], { modinfo: { import_ns: 'ROOM', name: 'room' } }),
  'kernel/own.ko': moduleFile('own', ['_printk'], [], { modinfo: { license: 'Proprietary', name: 'own' } }),
  'kernel/weak.ko': moduleFile('weak', ['_printk'], [], { symbols: [{ name: 'nowhere_fn', bind: 2 }] }),
};

/** One fault each: the errno, the cause, the symbol, and what somebody must be told. */
export interface Planted {
  readonly module: string;
  readonly file: Uint8Array;
  readonly errno: string;
  readonly cause: string;
  readonly symbol?: string;
  readonly tells: RegExp;
}

// biome-ignore format: a table
export const PLANTED: readonly Planted[] = [
  { module: 'missing', file: moduleFile('missing', ['wanted_fn']), errno: 'ENOENT', cause: 'missing-symbol', symbol: 'wanted_fn', tells: /wanted_fn_v2/ },
  { module: 'othercrc', file: moduleFile('othercrc', ['_printk'], [], { versions: [['module_layout', MODULE_LAYOUT_CRC], ['_printk', 0xbad]] }), errno: 'EINVAL', cause: 'crc', symbol: '_printk', tells: /0x11111111.*0x00000bad/ },
  { module: 'spaceless', file: moduleFile('spaceless', ['spaced_fn']), errno: 'EINVAL', cause: 'namespace', symbol: 'spaced_fn', tells: /MODULE_IMPORT_NS\("ROOM"\)/ },
  { module: 'closed', file: moduleFile('closed', ['gpl_only_fn'], [], { modinfo: { license: 'Proprietary', name: 'closed' } }), errno: 'ENOENT', cause: 'licence', symbol: 'gpl_only_fn', tells: /GPL-only/ },
  { module: 'foreign', file: moduleFile('foreign', ['_printk'], [], { modinfo: { vermagic: '7.2.0-komulator SMP mod_unload ', name: 'foreign' } }), errno: 'ENOEXEC', cause: 'vermagic', tells: /another kernel/ },
  { module: 'cut', file: good.subarray(0, good.length - 200), errno: 'ENOEXEC', cause: 'invalid-file', tells: /truncated/ },
  { module: 'fat', file: moduleFile('fat', ['_printk'], [], { thisModule: { name: 'fat', size: 2048 } }), errno: 'ENOEXEC', cause: 'struct-module', tells: /2048 bytes/ },
  { module: 'strange', file: moduleFile('strange', [], [], { relocs: { '.text': [{ offset: 1, type: 42, symbol: '.text', addend: 0 }] } }), errno: 'ENOEXEC', cause: 'relocation-type', tells: /type 42/ },
  { module: 'twice', file: moduleFile('twice', ['_printk'], ['good_fn']), errno: 'ENOEXEC', cause: 'duplicate-export', symbol: 'good_fn', tells: /good exports it already/ },
  { module: 'ring_a', file: moduleFile('ring_a', ['b_fn'], ['a_fn']), errno: 'ENOENT', cause: 'cycle', tells: /ring_a, ring_b need each other/ },
  { module: 'ring_b', file: moduleFile('ring_b', ['a_fn'], ['b_fn']), errno: 'ENOENT', cause: 'cycle', tells: /ring_a, ring_b need each other/ },
  { module: 'far', file: moduleFile('far', ['_printk'], [], { relocs: { '.text': [{ offset: 0, type: 10, symbol: '_printk', addend: 0 }] } }), errno: 'ENOEXEC', cause: 'relocation-range', tells: /R_X86_64_32/ },
];

export const symvers = (): string =>
  [
    ...KERNEL.map(
      ([crc, name, kind, ns]) => `0x${crc.toString(16).padStart(8, '0')}\t${name}\tvmlinux\t${kind}\t${ns}`,
    ),
    `0x${GOOD_CRC.toString(16)}\tgood_fn\tkernel/good\tEXPORT_SYMBOL\t`,
    '',
  ].join('\n');

/** Writes a tree with its Module.symvers. */
export function writeTree(
  dir: string,
  files: Readonly<Record<string, Uint8Array>>,
  listed: string = symvers(),
): string {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
  }
  writeFileSync(join(dir, 'Module.symvers'), listed);
  return dir;
}

/** The whole of it. */
export const plantedTree = (dir: string): string =>
  writeTree(dir, {
    ...HEALTHY,
    ...Object.fromEntries(PLANTED.map(({ module, file }) => [`kernel/${module}.ko`, file])),
  });
