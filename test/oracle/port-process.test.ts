import test from 'ava';
import { PortError, PortProcess } from '../../oracle/port-process.ts';
import { type PortCase, packCase, PortProtocolError, unpackOutcome } from '../../oracle/port-protocol.ts';

/** Does what `flags` of a case say. All cases have one size, so that it need not understand them. */
const script = `
const size = Number(process.argv[1]);
let held = Buffer.alloc(0);
const answer = (c, ret, stage, crash, log) => {
  const head = Buffer.alloc(28);
  [0x324d4f4b, c.readUInt32LE(4), ret >>> 0, stage, crash, 2, log.length].forEach((n, i) => head.writeUInt32LE(n, 4 * i));
  const tail = Buffer.alloc(12 + 3 + 4);
  [1, 5, 3].forEach((n, i) => tail.writeUInt32LE(n, 4 * i));
  tail.set([7, 8, 9], 12);
  return Buffer.concat([head, Buffer.from(log), tail]);
};
process.stdin.on('data', (data) => {
  held = Buffer.concat([held, data]);
  for (; held.length >= size; held = held.subarray(size)) {
    const c = held.subarray(0, size);
    const say = (bytes) => require('node:fs').writeSync(1, bytes);
    switch (c.readUInt32LE(8)) {
      case 0: say(answer(c, 0, 0, 0, '')); break;
      case 1: say(answer(c, -8, 3, 0, 'fix: no\\n')); break;
      case 2: say(answer(c, 0, 0, 1, '')); break;
      case 3: say(answer(c, 0, 0, 256 + 11, 'last words')); break;
      case 4: process.kill(process.pid, 'SIGSEGV'); for (;;); break;
      case 5: for (;;); break;
      case 6: { const zeros = Buffer.alloc(1 << 16); const head = answer(c, 0, 0, 0, ''); head.writeUInt32LE(0x7fffffff, 24); say(head); for (;;) say(zeros); break; }
      case 7: say('Hello, world, this is no outcome'); break;
      case 8: console.error('out of paper'); process.exit(3); break;
      case 9: process.exit(139); break;
      case 10: say(answer(c, 0, 0, 0, '')); process.exit(0); break;
      case 11: process.exit(0); break;
    }
  }
});
`;

const aCase = (flags: number): PortCase => ({
  flags,
  mem: { text: { base: 0x2000_0000n, size: 4096 } },
  places: new Map([[1, 0x2000_0000n]]),
  symbols: new Map([[3, 0xffff_ffff_8000_0000n]]),
  elf: new Uint8Array(8),
});

const size = String(packCase(aCase(0), 0).length);
const port = (options: { timeLimit?: number; outputLimit?: number; batch?: number } = {}): PortProcess =>
  new PortProcess({ command: [process.execPath, '-e', script, size], timeLimit: 20_000, ...options });
const crashes = async (p: PortProcess, flags: readonly number[]): Promise<(string | undefined)[]> =>
  (await p.run(flags.map(aCase))).map((outcome) => outcome.crash);

test('a case has the bytes of docs/port-protocol.md', (t) => {
  const bytes = packCase({ ...aCase(2), dp: 0x500000n }, 7);
  const view = new DataView(bytes.buffer);
  t.is(new TextDecoder().decode(bytes.subarray(0, 4)), 'KOM1');
  t.is(view.getUint32(4, true), 7);
  t.is(view.getUint32(8, true), 2);
  t.is(view.getBigUint64(12, true), 0x500000n);
  t.is(view.getBigUint64(20, true), 0x2000_0000n, 'base of text');
  t.is(view.getBigUint64(28, true), 4096n, 'size of text');
  t.is(view.getUint32(20 + 112, true), 1, 'one place');
  t.is(view.getUint32(20 + 116, true), 1, 'of section 1');
  t.is(view.getBigUint64(20 + 120, true), 0x2000_0000n);
  t.is(view.getUint32(20 + 128, true), 1, 'one symbol');
  t.is(view.getUint32(20 + 132, true), 3);
  t.is(view.getBigUint64(20 + 136, true), 0xffff_ffff_8000_0000n);
  t.is(view.getUint32(20 + 144, true), 8, 'length of the file');
  t.is(bytes.length, 20 + 148 + 8);
});

test('outcomes come in the order of the cases, with what the port said', async (t) => {
  await using p = port();
  const [loaded, refused, bug, caught] = await p.run([0, 1, 2, 3].map(aCase));
  t.like(loaded, { ret: 0, stage: undefined, crash: undefined, warns: 2, log: '' });
  t.deepEqual(loaded?.sections, new Map([[5, new Uint8Array([7, 8, 9])]]));
  t.like(refused, { ret: -8, stage: 'relocate', crash: undefined, log: 'fix: no\n' });
  t.like(bug, { ret: 'crash', stage: undefined, crash: 'BUG' });
  t.like(caught, { ret: 'crash', stage: undefined, crash: 'signal 11', log: 'last words' });
});

test('the case a port dies in has the signal as its outcome, and the others have theirs', async (t) => {
  await using p = port();
  t.deepEqual(await crashes(p, [0, 4, 0, 4, 4, 0]), [
    undefined,
    'signal 11',
    undefined,
    'signal 11',
    'signal 11',
    undefined,
  ]);
});

test('128 + n is a signal as shells and emulators pass it on', async (t) => {
  await using p = port();
  t.deepEqual(await crashes(p, [0, 9, 0]), [undefined, 'signal 11', undefined]);
});

test('a port that leaves between two cases is started again for the next', async (t) => {
  await using p = port();
  t.deepEqual(await crashes(p, [10, 10, 0, 10]), [undefined, undefined, undefined, undefined]);
});

test('a port that hangs is killed after the time limit', async (t) => {
  await using p = port({ timeLimit: 1500 });
  t.deepEqual(await crashes(p, [0, 5, 0]), [undefined, 'timeout', undefined]);
});

test('a port that floods its output is killed at the limit', async (t) => {
  await using p = port({ outputLimit: 1 << 20 });
  t.deepEqual(await crashes(p, [0, 6, 0]), [undefined, 'flood', undefined]);
});

test('batches of one give the same outcomes', async (t) => {
  await using p = port({ batch: 1 });
  t.deepEqual(await crashes(p, [0, 2, 4, 0]), [undefined, 'BUG', 'signal 11', undefined]);
});

test('what is no outcome is shown', async (t) => {
  await using p = port();
  await t.throwsAsync(p.run([aCase(7)]), { instanceOf: PortError, message: /no outcome, but "Hello, world/ });
});

test('another exit code breaks the run, with what the port said on stderr', async (t) => {
  await using p = port();
  const error = await t.throwsAsync(p.run([aCase(0), aCase(8)]), { instanceOf: PortError, message: /exit code 3/ });
  t.regex(error?.message ?? '', /out of paper/);
});

test('a port that always leaves without an outcome is broken', async (t) => {
  await using p = port();
  await t.throwsAsync(p.run([aCase(11)]), { instanceOf: PortError, message: /ended before it answered/ });
});

test('a port that dies in every case before its first outcome is broken', async (t) => {
  const cases = Array.from({ length: 12 }, () => aCase(0));
  await using p = new PortProcess({ command: ['/bin/sh', '-c', 'kill -SEGV $$'] });
  await t.throwsAsync(p.run(cases), { instanceOf: PortError, message: /dies in every case \(SIGSEGV\)/ });
});

test('a command that does not exist is named', async (t) => {
  await using p = new PortProcess({ command: ['/no/such/port'] });
  await t.throwsAsync(p.run([aCase(0)]), { instanceOf: PortError, message: /\/no\/such\/port/ });
});

test('an outcome is read when all of it is there, and only of the case that is due', (t) => {
  const bytes = new Uint8Array(4 * 9);
  const view = new DataView(bytes.buffer);
  [0x324d4f4b, 5, -2 >>> 0, 2, 0, 0, 0, 0, 0].forEach((n, i) => view.setUint32(4 * i, n, true));
  for (let length = 0; length < bytes.length; length++) {
    t.is(unpackOutcome(bytes.subarray(0, length), 5), undefined, `${length} bytes`);
  }
  t.like(unpackOutcome(bytes, 5), { length: 36, outcome: { ret: -2, stage: 'symbols' } });
  t.throws(() => unpackOutcome(bytes, 6), {
    instanceOf: PortProtocolError,
    message: 'outcome of case 5 where 6 was due',
  });
});

test('a port that answered while we were busy has not hung', async (t) => {
  await using p = port({ timeLimit: 300, batch: 1 });
  t.is((await p.run([aCase(0)]))[0]!.ret, 0);
  const asked = p.run([aCase(1)]);
  await new Promise((resolve) => setImmediate(resolve));
  for (const until = performance.now() + 1000; performance.now() < until; );
  t.is((await asked)[0]!.ret, -8);
});
