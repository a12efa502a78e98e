/** request_module() of a scenario, and the modprobe that it starts. */
import { waitEvent } from '../loader/wait.ts';
import { systemCall } from './scenario-calls.ts';
import { type Doer, type Steps, steps } from './scenario-steps.ts';

/** modprobe(8): what a module uses first, and then itself. */
export function* loadWithDependencies(doer: Doer, name: string, seen: ReadonlySet<string>): Steps {
  const { world, p, op } = doer;
  const { modules } = world.stage.scenario;
  if (seen.has(name)) return undefined;
  for (const symbol of modules[name]?.uses ?? []) {
    const owner = Object.entries(modules).find(([, { exports = [] }]) => exports.includes(symbol))?.[0];
    const said = owner && (yield* loadWithDependencies(doer, owner, new Set([...seen, name])));
    if (said !== undefined) return said;
  }
  // kmod looks into initstate, and takes EEXIST for success.
  if (world.kernel.findModule(name)?.state === 'LIVE') return undefined;
  p.frames.push(`insert ${name}`);
  try {
    const said = yield* systemCall(world, p, 'finit', name, op);
    return said === 'EEXIST' ? undefined : said;
  } finally {
    p.frames.pop();
  }
}

/** MODULE_NAME_LEN; modprobes that run at once; and milliseconds in which more of them lose their patience. */
const [MODULE_NAME_LEN, MAX_KMOD_CONCURRENT, MAX_KMOD_ALL_BUSY_TIMEOUT] = [56, 50, 5000];

/** __request_module(): user space is asked, and waited for. */
export function* requestModule({ world, p }: Doer, name: string): Steps {
  const { modules } = world.stage.scenario;
  const found = Object.entries(modules).find(([own, { alias = [] }]) => own === name || alias.includes(name))?.[0];
  if (name.length >= MODULE_NAME_LEN) return 'ENAMETOOLONG';
  const isFree = (): boolean =>
    world.players.filter((one) => one.name.includes('/modprobe') && !one.isOver).length < MAX_KMOD_CONCURRENT;
  const free = waitEvent(world.kernel, world.exitWq, isFree, MAX_KMOD_ALL_BUSY_TIMEOUT);
  const got = yield* steps('kmod_wq', free);
  if (got === 'timeout') {
    world.kernel.printk(
      `request_module: modprobe ${name} cannot be processed, kmod busy with ${MAX_KMOD_CONCURRENT} threads for more than ${MAX_KMOD_ALL_BUSY_TIMEOUT / 1000} seconds now`,
    );
    return 'ETIME';
  }
  if (got === 'signal') return 'EINTR';
  if (found === undefined) return 'modprobe finds none';
  const helper = world.start(`${p.name}/modprobe`, (self) => world.script(self, [`modprobe ${found}`]));
  helper.isSpawned = true;
  const waits = waitEvent(world.kernel, world.exitWq, () => helper.isOver);
  const waited = yield* steps('request_module', waits);
  if (waited === 'signal') return 'EINTR';
  return world.kernel.findModule(found)?.state === 'LIVE' ? undefined : `${found} is not there`;
}
