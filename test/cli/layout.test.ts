import test from 'ava';
import { komulator, module } from './captured.ts';

interface Layouts {
  readonly layouts: readonly {
    readonly module: string;
    readonly size: number;
    readonly regions: readonly { readonly region: string; readonly base: string; readonly size: number }[];
    readonly sections: readonly {
      readonly name: string;
      readonly region: string;
      readonly offset: number;
      readonly addr: string;
      readonly size: number;
      readonly align: number;
      readonly flags: string;
    }[];
    readonly tables: readonly { readonly section: string; readonly size: number }[];
  }[];
  readonly failed: readonly { readonly errno: string }[];
}

test('the map of a module, without any symbol', async (t) => {
  const { code, out } = await komulator('layout', module('arm64', 'far'), '--json');
  t.is(code, 0);
  const { layouts, failed } = JSON.parse(out) as Layouts;
  t.deepEqual(failed, []);
  const [map] = layouts;
  t.deepEqual(
    map?.regions.map(({ region }) => region),
    ['text', 'data', 'rodata', 'init_text', 'init_data'],
  );
  for (const s of map!.sections) {
    const region = map!.regions.find((r) => r.region === s.region)!;
    t.is(BigInt(s.addr), BigInt(region.base) + BigInt(s.offset), s.name);
    t.true(s.offset + s.size <= region.size, s.name);
    if (s.align > 1) t.is(s.offset % s.align, 0, s.name);
  }
  t.deepEqual(
    map?.tables.map(({ section }) => section),
    ['.plt', '.init.plt', '.text.ftrace_trampoline', '.init.text.ftrace_trampoline'],
  );
});

test('6.1 has two regions', async (t) => {
  const { out } = await komulator('layout', module('x86_64', 'hello'), '--kernel', '6.1', '--json');
  t.deepEqual(
    (JSON.parse(out) as Layouts).layouts[0]?.regions.map(({ region }) => region),
    ['core', 'init'],
  );
});

test('for people: regions, sections with their flags, and the tables', async (t) => {
  const { code, out } = await komulator('layout', module('riscv64', 'far'), module('x86_64', 'percpu'));
  t.is(code, 0);
  t.regex(out, /^far \(.*far\.ko\) on riscv64 7\.2$/m);
  t.regex(out, /^text +0xffffffff02000000 +0x1000$/m);
  t.regex(out, /^  \.plt +\+0x80 +0x54  AX  sized by the loader$/m);
  t.regex(
    out,
    /^  PLT, GOT and trampolines: \.plt 84 bytes \(6 entries of 12 at most\), \.got 16 bytes \(1 entry of 8 at most\), /m,
  );
  t.regex(out, /^percpu +0x[0-9a-f]+ +0x[0-9a-f]+\n  \.data\.\.percpu/m);
  t.regex(out, /^  PLT, GOT and trampolines: none needed$/m);
});

test('what is refused before it has a layout: said as load says it, the others are still shown', async (t) => {
  const { code, out, err } = await komulator('layout', module('x86_64', 'hello'), new URL(import.meta.url).pathname);
  t.is(code, 1);
  t.regex(out, /^hello \(/m);
  t.regex(err, /could not insert module .*layout\.test\.ts: Invalid module format\n    ENOEXEC \(-8\), check C30/);
});
