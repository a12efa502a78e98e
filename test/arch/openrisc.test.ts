import test from 'ava';
import { openrisc } from '../../arch/openrisc.ts';
import { acceptsHeader } from '../../arch/index.ts';
import { versions } from '../../relocs/module-view.ts';
import { one, patched } from './one.ts';

const P = 0xbc01_0008n;
const at = { arch: openrisc, P };

test('words', (t) => {
  t.is(patched(t, one({ ...at, A: 4n }, 'R_OR1K_32', 'ffffffff', 0x1234_5674n)), '12345678');
  t.is(patched(t, one(at, 'R_OR1K_32_PCREL', 'ffffffff', P - 2n)), 'fffffffe');
});

test('halves keep the opcode', (t) => {
  t.is(patched(t, one(at, 'R_OR1K_LO_16_IN_INSN', 'a8630000', 0x1234_8765n)), 'a8638765');
  t.is(patched(t, one(at, 'R_OR1K_LO_16_IN_INSN', 'ffffffff', 0x1_0000n)), 'ffff0000');
  t.is(patched(t, one(at, 'R_OR1K_HI_16_IN_INSN', '1860ffff', 0x1234_8765n)), '18601234');
  t.is(patched(t, one(at, 'R_OR1K_AHI16', '1860ffff', 0x1234_7fffn)), '18601234');
  t.is(patched(t, one(at, 'R_OR1K_AHI16', '1860ffff', 0x1234_8000n)), '18601235');
  t.is(patched(t, one(at, 'R_OR1K_AHI16', '1860ffff', 0xffff_8000n)), '18600000');
});

test("a store's half lies on both sides of a register", (t) => {
  t.is(patched(t, one(at, 'R_OR1K_SLO16', 'd4000000', 0xffffn)), 'd7e007ff');
  t.is(patched(t, one(at, 'R_OR1K_SLO16', 'ffffffff', 0x1_0000n)), 'fc1ff800');
  t.is(patched(t, one(at, 'R_OR1K_SLO16', 'd4000000', 0x0800n)), 'd4200000');
});

test('a jump of 26 bits wraps in silence', (t) => {
  t.is(patched(t, one(at, 'R_OR1K_INSN_REL_26', '04000000', P + 0x7ff_fffcn)), '05ffffff');
  t.is(patched(t, one(at, 'R_OR1K_INSN_REL_26', '04000000', P - 0x800_0000n)), '06000000');
  t.is(patched(t, one(at, 'R_OR1K_INSN_REL_26', '04000000', P + 0x1000_0000n)), '04000000');
  t.is(patched(t, one(at, 'R_OR1K_INSN_REL_26', 'ffffffff', P + 3n)), 'fc000000');
});

const unknown = (type: number, version: (typeof versions)[number]) =>
  [one({ ...at, version }, type, '12345678', 0n), [`module fix: Unknown relocation: ${type}`]] as const;

test('unknown types are logged and passed over, and the module loads', (t) => {
  for (const version of versions) {
    for (const type of [0, 2, 255]) {
      const [o, log] = unknown(type, version);
      t.is(o.errno, undefined);
      t.deepEqual(o.log, log);
      t.is(o.hex('.text').slice(16, 24), '12345678');
    }
  }
});

test('6.1 knows four types', (t) => {
  for (const type of [9, 35, 39]) {
    const [o, log] = unknown(type, '6.1');
    t.is(o.errno, undefined);
    t.deepEqual(o.log, log);
    t.deepEqual(unknown(type, '6.12')[0].log, []);
  }
  for (const type of [1, 4, 5, 6]) t.deepEqual(unknown(type, '6.1')[0].log, []);
});

test('the old machine number is taken, too', (t) => {
  const header = { is64: false, little: false, e_machine: 92, e_flags: 0, e_entry: 0n };
  t.true(acceptsHeader(openrisc, header, {}));
  t.true(acceptsHeader(openrisc, { ...header, e_machine: 0x8472 }, {}));
  t.false(acceptsHeader(openrisc, { ...header, e_machine: 93 }, {}));
});
