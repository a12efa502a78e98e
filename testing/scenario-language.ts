/**
 * Scenarios of the life of modules, as data: what the modules' code and some threads do, in a word and a name each.
 * Before any of them `must`: then it is a violation when it fails.
 */
import { errnos } from '../loader/errors.ts';
import { InputError } from '../loader/input-error.ts';
import { type Version, versions } from '../relocs/module-view.ts';
import { type Day, dayNames, isDay } from './history/days.ts';

/** What a module exports and uses, and its code; `exit` null: it has none. */
export interface ScenarioModule {
  readonly exports?: readonly string[];
  readonly uses?: readonly string[];
  /** Names by which request_module() finds it, beside its own. */
  readonly alias?: readonly string[];
  readonly init?: readonly string[];
  readonly exit?: readonly string[] | null;
  /**
   * More code by name: what runs when a device or a hook of that name is used, in a thread, as a callback. `__init `
   * before a name: it lies in the init section.
   */
  readonly functions?: Readonly<Record<string, readonly string[]>>;
  /** Loaded with async_probe: nobody waits for what its init has left to run by itself. */
  readonly async_probe?: boolean;
  /** The file cannot be read. */
  readonly file?: 'empty';
}

export interface Scenario {
  readonly title: string;
  /** The kernel, where it is not chosen otherwise: a profile, or a day of history; default, the newest. */
  readonly kernel?: Version | Day;
  readonly modules: Readonly<Record<string, ScenarioModule>>;
  readonly threads: Readonly<Record<string, readonly string[]>>;
}

/** What stands behind a verb. */
type Object = 'a module' | 'a symbol' | 'a device' | 'a function' | 'a thread' | 'a number' | 'a name' | 'nothing';

interface Verb {
  readonly by: 'threads' | 'code' | 'both';
  readonly of: Object;
  /** The object may be left out. */
  readonly optional?: true;
}

/** All verbs; docs/scenarios.md says what each does. */
export const verbs: Readonly<Record<string, Verb>> = {
  load: { by: 'threads', of: 'a module' },
  finit: { by: 'threads', of: 'a module' },
  modprobe: { by: 'threads', of: 'a module' },
  unload: { by: 'threads', of: 'a module' },
  register: { by: 'code', of: 'a device' },
  unregister: { by: 'code', of: 'a device' },
  attach: { by: 'code', of: 'a function' },
  wait_objects: { by: 'code', of: 'nothing' },
  call_rcu: { by: 'code', of: 'a function', optional: true },
  kthread_run: { by: 'code', of: 'a function' },
  kthread_stop: { by: 'code', of: 'a function' },
  async_schedule: { by: 'code', of: 'a function' },
  return: { by: 'code', of: 'a number' },
  throw: { by: 'code', of: 'a name' },
  get: { by: 'both', of: 'a module' },
  put: { by: 'both', of: 'a module' },
  try_module_get: { by: 'both', of: 'a module' },
  __module_get: { by: 'both', of: 'a module' },
  module_put: { by: 'both', of: 'a module' },
  symbol_get: { by: 'both', of: 'a symbol' },
  symbol_put: { by: 'both', of: 'a symbol' },
  open: { by: 'both', of: 'a device' },
  'open-unlocked': { by: 'both', of: 'a device' },
  'open-uncounted': { by: 'both', of: 'a device' },
  call: { by: 'both', of: 'a device' },
  close: { by: 'both', of: 'a device' },
  pass: { by: 'threads', of: 'a device' },
  release: { by: 'threads', of: 'nothing' },
  request_module: { by: 'both', of: 'a name' },
  rcu_barrier: { by: 'both', of: 'nothing' },
  synchronize_rcu: { by: 'both', of: 'nothing' },
  sleep: { by: 'both', of: 'a number' },
  by: { by: 'both', of: 'a number' },
  cpu: { by: 'threads', of: 'a number' },
  kill: { by: 'threads', of: 'a thread' },
  forever: { by: 'both', of: 'nothing' },
  yield: { by: 'both', of: 'nothing' },
};

/** The thread that runs callbacks after a grace period. */
export const RCU = 'rcu';

/** An operation in its parts. */
export function parts(op: string): { must: boolean; verb: string; name: string } {
  const must = op.startsWith('must ');
  const [verb = '', name = ''] = (must ? op.slice('must '.length) : op).split(' ');
  return { must, verb, name };
}

/**
 * Reads a scenario.
 *
 * @throws InputError: not JSON, an unknown key, verb, module, function or thread, a word too many or too few
 */
export function parseScenario(text: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`a scenario is JSON: ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
  const { title = '', kernel, modules, threads, ...rest } = record(json, 'a scenario');
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new InputError(`a scenario has no "${unknown}"`);
  if (typeof title !== 'string') throw new InputError('"title" is a text');
  const known = Object.entries(record(modules, '"modules"')).map(([name, m]): [string, ScenarioModule] => [
    name,
    moduleOf(name, m),
  ]);
  const scripts = Object.entries(record(threads, '"threads"')).map(([name, ops]): [string, readonly string[]] => {
    if (!/^[^!,/:]+$/.test(name) || name === RCU) throw new InputError(`no thread can be called ${name}`);
    return [name, strings(ops, `thread ${name}`)];
  });
  if (scripts.length === 0) throw new InputError('a scenario has threads');
  const scenario: Scenario = {
    title,
    ...(kernel === undefined ? {} : { kernel: kernelOf(kernel) }),
    modules: Object.fromEntries(known),
    threads: Object.fromEntries(scripts),
  };
  for (const [name, ops] of scripts) for (const op of ops) checkOp(op, 'threads', `thread ${name}`, scenario);
  for (const [name, m] of known) checkModule(name, m, scenario);
  return scenario;
}

function kernelOf(kernel: unknown): Version | Day {
  const version = versions.find((v) => v === kernel);
  if (version !== undefined) return version;
  if (typeof kernel === 'string' && isDay(kernel)) return kernel;
  throw new InputError(`"kernel" is one of ${[...versions, ...dayNames].join(', ')}`);
}

function moduleOf(name: string, json: unknown): ScenarioModule {
  const { exports, uses, alias, init, exit, functions, async_probe, file, ...rest } = record(json, `module ${name}`);
  const [unknown] = Object.keys(rest);
  if (!/^[!-~]{1,55}$/.test(name))
    throw new InputError(`"${name}" is no name of a module: 1 to 55 characters, no blanks`);
  if (unknown !== undefined) throw new InputError(`module ${name}: there is no "${unknown}"`);
  if (async_probe !== undefined && typeof async_probe !== 'boolean')
    throw new InputError(`"async_probe" of module ${name} is true or false`);
  if (file !== undefined && file !== 'empty') throw new InputError(`"file" of module ${name} can only be "empty"`);
  const list = (what: unknown, key: string): readonly string[] =>
    what === undefined ? [] : strings(what, `"${key}" of module ${name}`);
  const symbols = (what: unknown, key: string): readonly string[] => {
    const all = list(what, key);
    const bad = all.find((symbol) => !/^[!-~]+$/.test(symbol));
    if (bad !== undefined) throw new InputError(`"${key}" of module ${name}: "${bad}" is no symbol`);
    return all;
  };
  const code = Object.entries(functions === undefined ? {} : record(functions, `"functions" of module ${name}`));
  return {
    exports: symbols(exports, 'exports'),
    uses: symbols(uses, 'uses'),
    alias: list(alias, 'alias'),
    init: list(init, 'init'),
    exit: exit === null ? null : list(exit, 'exit'),
    functions: Object.fromEntries(code.map(([key, ops]) => [key, list(ops, key)])),
    ...(async_probe === undefined ? {} : { async_probe }),
    ...(file === undefined ? {} : { file }),
  };
}

function checkModule(name: string, m: ScenarioModule, scenario: Scenario): void {
  const code = { init: m.init ?? [], exit: m.exit ?? [], ...m.functions };
  for (const [key, ops] of Object.entries(code))
    for (const op of ops) checkOp(op, 'code', `${key} of module ${name}`, scenario, m);
}

function checkOp(op: string, by: 'threads' | 'code', where: string, scenario: Scenario, m?: ScenarioModule): void {
  const { must, verb, name } = parts(op);
  const known = Object.keys(verbs).filter((one) => verbs[one]!.by === by || verbs[one]!.by === 'both');
  if (!known.includes(verb)) throw new InputError(`${where}: "${verb}" is none of ${known.join(', ')}`);
  const { of, optional = false } = verbs[verb]!;
  const args = op.split(' ').slice(must ? 2 : 1);
  const fits = of === 'nothing' ? args.length === 0 : args.length === 1 && args[0] !== '';
  if (!fits && !(optional && args.length === 0))
    throw new InputError(`${where}: "${op}": ${of === 'nothing' ? 'nothing' : 'one name'} follows ${verb}`);
  if (of === 'a number' && !/^-?\d+$/.test(name)) throw new InputError(`${where}: "${op}": not a number`);
  if (of === 'a number') checkNumber(op, verb, Number(name), where);
  if (of === 'a module' && !Object.hasOwn(scenario.modules, name))
    throw new InputError(`${where}: "${op}": the scenario has no module ${name}`);
  if (of === 'a thread' && !Object.hasOwn(scenario.threads, name))
    throw new InputError(`${where}: "${op}": the scenario has no thread ${name}`);
  if (of === 'a function' && name !== '' && m !== undefined && functionOf(m, name) === undefined)
    throw new InputError(`${where}: "${op}": the module has no function ${name}`);
}

/** Times and CPUs count from 0; init returns an errno that there is, 0, or what the loader finds suspicious. */
function checkNumber(op: string, verb: string, n: number, where: string): void {
  if (verb !== 'return') {
    if (n < 0 || !Number.isSafeInteger(n)) throw new InputError(`${where}: "${op}": ${verb} takes a number from 0 on`);
    return;
  }
  const isErrno = Object.values<number>(errnos).includes(-n);
  if (n > 0x7fff_ffff || (n < 0 && !isErrno))
    throw new InputError(`${where}: "${op}": init returns 0, a positive number or a negative errno`);
}

/** A function's operations, and whether it lies in the init section. */
export function functionOf(m: ScenarioModule, name: string): { ops: readonly string[]; init: boolean } | undefined {
  const own = (key: string): readonly string[] | undefined =>
    m.functions && Object.hasOwn(m.functions, key) ? m.functions[key] : undefined;
  const [ops, init] = [own(name), own(`__init ${name}`)];
  if (ops !== undefined) return { ops, init: false };
  return init === undefined ? undefined : { ops: init, init: true };
}

function record(json: unknown, what: string): Record<string, unknown> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return { ...json };
  throw new InputError(`${what} is an object`);
}

function strings(json: unknown, what: string): readonly string[] {
  if (Array.isArray(json) && json.every((one) => typeof one === 'string')) return json;
  throw new InputError(`${what} is a list of texts`);
}
