/** The explorer: it sees every schedule, finds the shortest bad one, and says what it has seen when it must stop. */
import test from 'ava';
import { explore, replaySchedule, type World } from '../../loader/explore.ts';
import type { Kernel } from '../../loader/kernel.ts';
import { Thread, type ThreadStep } from '../../loader/thread.ts';
import { waitEvent, WaitQueue, type Wake } from '../../loader/wait.ts';
import { kernelOf } from './bench.ts';

type Code = (kernel: Kernel) => Generator<ThreadStep, unknown, Wake>;

/** A world of threads that only count; `wrong` looks at what they have counted. */
const worldOf =
  (
    codes: Readonly<Record<string, Code>>,
    wrong: () => string | undefined = () => undefined,
    state: () => unknown = () => 0,
  ) =>
  (): World => {
    const kernel = kernelOf('7.2');
    const threads = Object.entries(codes).map(([name, code]) => new Thread(name, code(kernel)));
    return {
      kernel,
      threads,
      daemons: new Set(),
      violation: wrong,
      key: () => JSON.stringify([state(), threads.map((t) => [t.done, t.step, t.isRunnable, t.outcome !== undefined])]),
    };
  };

const steps = (n: number): Code =>
  function* () {
    for (let i = 1; i <= n; i++) yield { step: `step ${i}` };
  };

test('every schedule of threads that do not touch: binomials, in as many states as a grid has', (t) => {
  const found = explore(worldOf({ a: steps(2), b: steps(3) }));
  // One move more each, to come to the end: 3 and 4 moves.
  t.deepEqual(found, { states: 4 * 5, moves: 3 * 5 + 4 * 4, schedules: 35n, exhausted: true });
  t.is(explore(worldOf({ a: steps(1), b: steps(1), c: steps(1) })).schedules, 90n);
  t.is(explore(worldOf({ a: steps(0) })).schedules, 1n);
});

test('the shortest schedule to a lost update', (t) => {
  const fresh = (): World => {
    let count = 0;
    let ended = 0;
    const read: (number | undefined)[] = [];
    const add = (who: number): Code =>
      function* () {
        const before = count;
        read[who] = before;
        yield { step: 'read' };
        count = before + 1;
        ended++;
      };
    return worldOf(
      { a: add(0), b: add(1) },
      () => (ended === 2 && count !== 2 ? `two were added, and it is ${count}` : undefined),
      () => [count, ended, read],
    )();
  };
  const { violation } = explore(fresh);
  t.is(violation?.what, 'two were added, and it is 1');
  t.deepEqual(violation?.schedule, ['a', 'b', 'a', 'b']);
  t.deepEqual(
    violation?.timeline.map(({ thread, step }) => `${thread} ${step}`),
    ['a read', 'b read', 'a ends', 'b ends'],
  );
  t.deepEqual(replaySchedule(fresh, violation!.schedule), [...violation!.timeline]);
});

test('a wake-up that never comes is a deadlock; one that comes too early is lost only without a condition', (t) => {
  const broken = explore(
    worldOf({
      sleeper: function* (kernel) {
        const waits = waitEvent(kernel, new WaitQueue('nobody'), () => false);
        for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'wait', wait: next.value });
      },
      other: steps(1),
    }),
  );
  t.is(broken.violation?.what, 'deadlock: sleeper sleeps in wait');
  const mended = explore(() => {
    let woken = false;
    const queue = new WaitQueue('q');
    return worldOf({
      *sleeper(kernel) {
        const waits = waitEvent(kernel, queue, () => woken);
        for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'wait', wait: next.value });
      },
      *waker() {
        yield { step: 'soon' };
        woken = true;
        queue.wakeAll();
      },
    })();
  });
  t.is(mended.violation, undefined);
  t.true(mended.exhausted);
});

test('patience ends only when nothing else can happen', (t) => {
  const found = explore(
    worldOf({
      sleeper: function* (kernel) {
        const waits = waitEvent(kernel, new WaitQueue('nobody'), () => false, 30);
        for (let next = waits.next(); !next.done; ) next = waits.next(yield { step: 'wait', wait: next.value });
        if (kernel.now !== 30) throw new Error(`it is ${kernel.now}`);
      },
      other: steps(2),
    }),
  );
  t.deepEqual([found.violation, found.exhausted], [undefined, true]);
});

test('code that throws is a violation, endless code and too many states end with what was seen', (t) => {
  const throwing = explore(
    worldOf({
      *a() {
        yield { step: 'one' };
        throw new Error('no luck');
      },
    }),
  );
  t.is(throwing.violation?.what, 'a, after one: no luck');
  t.deepEqual(throwing.violation?.schedule, ['a', 'a']);
  const endless = explore(
    worldOf({
      *a() {
        for (;;) yield { step: 'again' };
      },
    }),
    { length: 50 },
  );
  t.deepEqual([endless.exhausted, endless.states, endless.violation], [false, 51, undefined]);
  const many = explore(worldOf({ a: steps(50), b: steps(50) }), { states: 100 });
  t.deepEqual([many.exhausted, many.states], [false, 100]);
});

test('a schedule that cannot be followed says so', (t) => {
  const make = worldOf({ a: steps(1) });
  t.throws(() => replaySchedule(make, ['b']), { message: /b cannot go on/ });
  t.throws(() => replaySchedule(make, ['a', 'a', 'a']), { message: /a cannot go on/ });
});
