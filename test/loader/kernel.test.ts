import test from 'ava';
import { arches } from '../../arch/index.ts';
import { InputError } from '../../loader/input-error.ts';
import { Kernel } from '../../loader/kernel.ts';

for (const [name, last, first, message] of [
  ['ia64', '6.1', '6.12', 'Linux 6.12 has no ia64 (last in 6.1)'],
  ['loongarch32', '7.2', '6.12', 'Linux 6.12 has no loongarch32 (first in 6.19)'],
] as const) {
  test(`${name} is there in ${last} and not in ${first}`, (t) => {
    const arch = arches.find((a) => a.name === name)!;
    t.is(new Kernel({ arch, version: last }).arch, arch);
    t.throws(() => new Kernel({ arch, version: first }), { instanceOf: InputError, message });
  });
}
