import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { prunePorts, touchPort } from '../../oracle/prune-ports.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const now = Date.now();

/** A cache with folders, each last used so many milliseconds ago; without a mark when it was never finished. */
async function cacheOf(
  entries: Readonly<Record<string, number>>,
): Promise<{ readonly cache: string; left(): Promise<string[]> } & AsyncDisposable> {
  const cache = await mkdtemp(join(tmpdir(), 'komulator-prune-'));
  for (const [path, age] of Object.entries(entries)) {
    const folder = join(cache, path);
    await mkdir(folder, { recursive: true });
    const when = new Date(now - age);
    if (!/\.\d+$/.test(path)) {
      const mark = join(folder, path.startsWith('build/') ? '.komulator' : 'port.json');
      await writeFile(mark, '');
      await utimes(mark, when, when);
    } else await utimes(folder, when, when);
  }
  return {
    cache,
    left: async () =>
      [...(await readdir(cache)), ...(await readdir(join(cache, 'build')).catch(() => [])).map((x) => `build/${x}`)]
        .filter((entry) => entry !== 'build')
        .toSorted(),
    [Symbol.asyncDispose]: () => rm(cache, { recursive: true }),
  };
}

const port = (digit: string, name = '7.2-arm'): string => `${name}-${digit.repeat(16)}`;
const build = (digit: string, name = '7.2-arm'): string => `build/${name}-${digit.repeat(10)}`;

test('the last three are kept, of ports and of build folders', async (t) => {
  await using c = await cacheOf({
    [port('a')]: 2 * HOUR,
    [port('b')]: 5 * HOUR,
    [port('c')]: 3 * HOUR,
    [port('d')]: 4 * HOUR,
    [build('1')]: 2 * HOUR,
    [build('2')]: 3 * HOUR,
    [build('3')]: 4 * HOUR,
    [build('4')]: 9 * HOUR,
  });
  const removed = await prunePorts(c.cache, '7.2-arm', now);
  t.deepEqual(removed, [join(c.cache, port('b')), join(c.cache, build('4'))]);
  t.deepEqual(await c.left(), [port('a'), port('c'), port('d'), build('1'), build('2'), build('3')].toSorted());
});

test('what was used within the hour stays, however many', async (t) => {
  const many = Object.fromEntries('abcdef'.split('').map((digit) => [port(digit), HOUR / 2]));
  await using c = await cacheOf({ ...many, [port('1')]: 2 * HOUR });
  await prunePorts(c.cache, '7.2-arm', now);
  t.deepEqual(await c.left(), Object.keys(many));
});

test('what nobody has used for 14 days goes, even the last', async (t) => {
  await using c = await cacheOf({ [port('a')]: 13.9 * DAY, [port('b')]: 14.1 * DAY });
  await prunePorts(c.cache, '7.2-arm', now);
  t.deepEqual(await c.left(), [port('a')]);
});

test('what a killed build has left goes, unless the build may be running', async (t) => {
  await using c = await cacheOf({ [`${port('a')}.4711`]: 2 * HOUR, [`${port('b')}.4712`]: HOUR / 2, [port('c')]: DAY });
  await prunePorts(c.cache, '7.2-arm', now);
  t.deepEqual(await c.left(), [`${port('b')}.4712`, port('c')]);
});

test('other architectures, versions and files are left alone', async (t) => {
  const others = {
    [port('a', '7.2-arm-thumb')]: 99 * DAY,
    [port('a', '7.2-arm64')]: 99 * DAY,
    [port('a', '6.1-arm')]: 99 * DAY,
    '7.2-arm-notes': 99 * DAY,
    [build('a', '7.2-armeb')]: 99 * DAY,
  };
  await using c = await cacheOf(others);
  t.deepEqual(await prunePorts(c.cache, '7.2-arm', now), []);
  t.deepEqual(await c.left(), Object.keys(others).toSorted());
  t.deepEqual(await prunePorts(join(c.cache, 'nosuch'), '7.2-arm', now), []);
});

test('a use is remembered', async (t) => {
  await using c = await cacheOf({ [port('a')]: 99 * DAY, [build('b')]: 99 * DAY });
  await touchPort(join(c.cache, port('a')), join(c.cache, build('b')));
  for (const mark of [join(port('a'), 'port.json'), join(build('b'), '.komulator')])
    t.true((await stat(join(c.cache, mark))).mtimeMs > now - HOUR, mark);
  await t.notThrowsAsync(touchPort(join(c.cache, 'nosuch'), join(c.cache, 'nosuch')));
});
