/** Packets of a scenario, which come by the hooks of modules that nobody counts; and waiting until they have left. */
import { waitEvent } from '../loader/wait.ts';
import type { Player } from './player.ts';
import { type Doer, holding, sleep, type Steps } from './scenario-steps.ts';

/** A packet comes by a hook: under rcu_read_lock(), without a reference. */
export function* pass(doer: Doer, name: string): Steps {
  const { world, p } = doer;
  p.reading++;
  p.readings++;
  try {
    const owner = world.registry.get(name);
    if (owner === undefined) return 'no hook';
    yield* holding(doer, owner, { step: `${name} found` });
    yield* world.call(p, owner, name, name);
    return undefined;
  } finally {
    p.reading--;
    world.rcuWq.wakeAll();
  }
}

/** Packets go, and with each what modules have attached to it. */
export function* release({ world, p }: Doer): Steps {
  if (p.objects.length === 0) return 'has nothing';
  for (let one = p.objects[0]; one !== undefined; one = p.objects[0]) {
    yield* world.call(p, one.owner, one.destructor, one.destructor);
    p.objects.shift();
    world.exitWq.wakeAll();
  }
  return undefined;
}

/** synchronize_rcu(): until all who are reading now have ended that. */
export function* synchronizeRcu({ world, p }: Doer): Steps {
  const readers = world.players
    .filter(({ reading }) => reading > 0)
    .map((reader): [Player, number] => [reader, reader.readings]);
  const left = (): string[] =>
    readers.filter(([r, began]) => r.reading > 0 && r.readings === began).map(([{ name }]) => name);
  const waits = waitEvent(world.kernel, world.rcuWq, () => left().length === 0);
  p.inHand = [() => left().join()];
  yield* sleep('synchronize_rcu', waits);
  return undefined;
}
