/** An initramfs that loads modules: busybox is the shell of PID 1. */

interface Entry {
  readonly name: string;
  /** With the type bits. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number. */
  readonly device?: readonly [number, number];
}

/** Lines that start with @ are for the recorder, which answers @ready when its breakpoint is set. */
const init = (names: readonly string[]): string => `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
echo 0 > /proc/sys/kernel/kptr_restrict
$b grep -w module_finalize /proc/kallsyms | while read -r address rest; do echo "@finalize $address"; done
echo @ready
read -r answer
for m in ${names.join(' ')}; do
  echo "@load $m"
  $b insmod "/modules/$m.ko"
  echo "@loaded $?"
done
echo @done
while true; do read -r answer; done
`;

/** Modules by name, in the order in which they can be loaded. */
export function initramfs(busybox: Uint8Array, modules: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const entries: Entry[] = [
    ...['bin', 'dev', 'modules', 'proc'].map((name) => ({ name, mode: 0o040755 })),
    { name: 'dev/console', mode: 0o020600, device: [5, 1] },
    { name: 'bin/busybox', mode: 0o100755, data: busybox },
    { name: 'init', mode: 0o100755, data: new TextEncoder().encode(init([...modules.keys()])) },
    ...[...modules].map(([name, data]) => ({ name: `modules/${name}.ko`, mode: 0o100644, data })),
    { name: 'TRAILER!!!', mode: 0 },
  ];
  return Buffer.concat(entries.flatMap(packed));
}

/** cpio's "newc": thirteen numbers in hex, the name, the bytes, each filled up to four. */
function packed({ name, mode, data = new Uint8Array(), device = [0, 0] }: Entry, i: number): Uint8Array[] {
  const numbers = [i + 1, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length + 1, 0];
  const head = `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return [filled(Buffer.from(head)), filled(data)];
}

function filled(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array((bytes.length + 3) & ~3);
  out.set(bytes);
  return out;
}
