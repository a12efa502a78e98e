/** System calls of a scenario's threads, and the code of modules that runs in them. */
import { LoadError } from '../loader/errors.ts';
import type { Idempotent } from '../loader/idempotent.ts';
import { remainsOf } from '../loader/invariants.ts';
import type { Behaviour, Code, Module } from '../loader/module.ts';
import type { LifeSteps } from './life.ts';
import type { Player } from './player.ts';
import { parts } from './scenario-language.ts';
import type { Steps } from './scenario-steps.ts';
import type { ScenarioWorld } from './scenario-world.ts';

/** A load or an unload, as the kernel of the day does it. */
export function* systemCall(
  world: ScenarioWorld,
  p: Player,
  verb: 'load' | 'finit' | 'unload',
  name: string,
  op: string,
): Steps {
  const { kernel, stage } = world;
  const file = stage.files.get(name)!;
  const code = stage.scenario.modules[name]!;
  const options = {
    behaviour: behaviourOf(world, name),
    ...(code.async_probe === true ? { params: 'async_probe' } : {}),
  };
  const isOpen = (m: Module): boolean =>
    world.players.some(({ handles }) => [...handles.values()].some(({ owner }) => owner === m));
  const steps: LifeSteps =
    verb === 'unload' ? stage.life.unload(kernel, name, { isOpen }) : stage.life[verb](kernel, file, options);
  let own: Module | undefined;
  /** It hears what another call has heard. */
  let shares = false;
  const gone = (): void => {
    if (own === undefined) return;
    world.loading.delete(own);
    world.leaving.delete(own);
    const left = remainsOf(kernel, own);
    if (left !== undefined) world.sanitizer.wrong(`${p.name}: ${op} is over, and ${left}`);
  };
  p.frames.push({ load: 'init_module', finit: 'finit_module', unload: 'delete_module' }[verb]);
  try {
    for (let next = steps.next(); !next.done; ) {
      const { step, wait, module, load } = next.value;
      own ??= module ?? load?.module;
      if (step === 'idempotent_wait_for_completion' && !shares) {
        shares = true;
        const first = kernel.idempotent.get(name);
        p.inHand = [() => resultOf(first)];
      }
      if (own !== undefined && verb !== 'unload') follow(world, own, step);
      if (own !== undefined && verb === 'unload') world.leaving.add(own);
      const told = (step === 'init' || step === 'exit') && p.saying !== undefined ? p.saying : step;
      next = steps.next(yield wait === undefined ? { step: told } : { step: told, wait });
    }
    if (verb === 'unload') gone();
    return undefined;
  } catch (error) {
    gone();
    if (!(error instanceof LoadError) || error.crash !== undefined) throw error;
    const isLive = kernel.findModule(name, true)?.state === 'LIVE';
    if (error.errno === 'EEXIST' && verb !== 'unload' && !isLive && !shares)
      world.sanitizer.wrong(`${p.name}: ${op} says EEXIST, and no ${name} is LIVE`);
    return error.errno;
  } finally {
    p.frames.pop();
    p.inHand = [];
  }
}

/** The reference that a load holds of its module. */
function follow(world: ScenarioWorld, m: Module, step: string): void {
  if (step === 'do_init_module' || m.state === 'GOING') world.loading.delete(m);
  else if (m.refcnt > 0 && !world.loading.has(m) && m.state !== 'LIVE') world.loading.add(m);
}

function behaviourOf(world: ScenarioWorld, name: string): Behaviour {
  const { init = [], exit = [] } = world.stage.scenario.modules[name]!;
  const run =
    (fn: string, ops: readonly string[]) =>
    (m: Module): Code<number> =>
      moduleCode(world, m, fn, ops);
  if (exit === null) return { init: run('init', init) };
  return { init: run('init', init), exit: (m) => run('exit', exit)(m) as Code<unknown> as Code<void> };
}

function* moduleCode(world: ScenarioWorld, m: Module, fn: string, ops: readonly string[]): Code<number> {
  const p = world.current!;
  p.frames.push(`${m.name}.${fn}`);
  try {
    for (const op of ops) {
      const { verb, name } = parts(op);
      if (verb === 'return') return Number(name);
      p.saying = `${fn}: ${op}`;
      const steps = world.operation(p, op, m);
      let next = steps.next();
      while (!next.done) next = steps.next(yield next.value.wait);
      if (next.value !== undefined) p.saying = `${fn}: ${op}: ${next.value}`;
      yield undefined;
    }
    return 0;
  } finally {
    p.saying = undefined;
    p.frames.pop();
  }
}

/** What a call that waits for another one will hear. */
function resultOf(first: Idempotent | undefined): string {
  if (first?.result === undefined) return 'nothing yet';
  return 'module' in first.result ? 'a module' : String(first.result.error);
}
