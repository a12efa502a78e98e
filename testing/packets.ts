/** Packets of a scenario, which come by the hooks of modules that nobody counts; and waiting until they have left. */
import { synchronizeRcu } from '../loader/rcu.ts';
import { type Doer, holding, sleep, type Steps } from './scenario-steps.ts';

/** A packet comes by a hook: under rcu_read_lock(), without a reference. */
export function* pass(doer: Doer, name: string): Steps {
  const { world, p } = doer;
  const { rcu } = world.kernel;
  const reader = rcu.lock(p.name);
  try {
    const owner = world.registry.get(name);
    if (owner === undefined) return 'no hook';
    yield* holding(doer, owner, { step: `${name} found` });
    yield* world.call(p, owner, name, name);
    return undefined;
  } finally {
    rcu.unlock(reader);
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
export function* synchronize({ world }: Doer): Steps {
  yield* sleep('synchronize_rcu', synchronizeRcu(world.kernel));
  return undefined;
}
