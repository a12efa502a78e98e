/** LoadOptions.inPlace: the same module, without a copy of its file. */
import test from 'ava';
import { insmod } from '../../loader/load.ts';
import { kernelOf, moduleFor, snapshot, versions } from './bench.ts';

for (const version of versions) {
  test(`${version}: a load in place, from the middle of a buffer, makes the same module`, (t) => {
    const file = moduleFor(version);
    const original = file.slice();
    const copied = kernelOf(version);
    insmod(copied, file);
    t.deepEqual(file, original, 'otherwise the file is left alone');

    const buffer = new Uint8Array(file.length + 4096).fill(0xa5);
    buffer.set(file, 1024);
    const inPlace = kernelOf(version);
    insmod(inPlace, buffer.subarray(1024, 1024 + file.length), { inPlace: true });
    t.deepEqual(snapshot(inPlace), snapshot(copied));
    t.true(
      buffer.subarray(0, 1024).every((byte) => byte === 0xa5),
      'what lies around it is not touched',
    );
    t.true(buffer.subarray(1024 + file.length).every((byte) => byte === 0xa5));
  });

  test(`${version}: the names of a module outlast the buffer that it was loaded from`, (t) => {
    const buffer = moduleFor(version, { symbols: [{ name: 'outlasts', section: '.text' }], sections: [TEXT] });
    const m = insmod(kernelOf(version), buffer, { inPlace: true });
    buffer.fill(0xa5);
    const names = Array.from({ length: m.symtab!.count }, (_, i) => m.symtab!.name(i));
    t.true(names.includes('outlasts'), names.join(' '));
  });
}

const TEXT = { name: '.text', flags: 6, size: 16 };
