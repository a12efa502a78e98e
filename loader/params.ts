/**
 * Module parameters: parse_args() of kernel/params.c with next_arg() of lib/cmdline.c and the standard param_set_*()
 * functions. Text is handled as the kernel does, byte by byte: its isspace() takes byte 0xa0 for a space, so some
 * UTF-8 letters end an argument.
 */

import type { Version } from '../relocs/module-view.ts';
import type { Errno } from '../relocs/refusal.ts';
import { kstrtobool, kstrtos, kstrtou, kstrtoull } from './kstrtox.ts';

/** The standard kernel_param_ops that hold one number or truth value. */
export type NumberKind = 'byte' | 'hexint' | 'short' | 'ushort' | 'int' | 'uint' | 'long' | 'ulong' | 'ullong';
export type BoolKind = 'bool' | 'bool_enable_only' | 'invbool' | 'bint';

/** What a parameter's kernel_param_ops does with its value. Addresses are there when read from a module. */
export type ParamType =
  | { readonly kind: NumberKind | BoolKind | 'charp' }
  /** param_ops_string: struct kparam_string, maxlen bytes with the NUL. */
  | { readonly kind: 'string'; readonly maxlen: number; readonly string?: bigint }
  /** param_array_ops: struct kparam_array. */
  | {
      readonly kind: 'array';
      readonly max: number;
      readonly element: ParamType;
      readonly elemsize?: number;
      readonly elem?: bigint;
      /** Where the count goes; 0n when the module does not ask for it. */
      readonly num?: bigint;
    }
  /** module_param_cb() with ops of the module's own. */
  | {
      readonly kind: 'callback';
      /** Name of the ops symbol, or its address. */
      readonly ops: string;
      /** KERNEL_PARAM_OPS_FL_NOARG: the parameter may stand without a value. */
      readonly noarg: boolean;
      /** The module's set(); undefined accepts everything. Returns the errno or undefined. */
      readonly set?: (value: string | undefined) => Errno | undefined;
    };

/** Numbers are bigint, bool kinds boolean (bint too), strings text, callbacks the text they were given. */
export type ParamValue = bigint | boolean | string | readonly ParamValue[];

/** struct kernel_param, as far as parsing needs it. */
export interface ParamDefinition {
  readonly name: string;
  readonly type: ParamType;
  /** KERNEL_PARAM_FL_UNSAFE taints when set, KERNEL_PARAM_FL_HWPARAM is refused under lockdown. */
  readonly flags?: number;
  /** sysfs mode; 0 for none. */
  readonly perm?: number;
  /** The value before, which bool_enable_only looks at. */
  readonly current?: ParamValue;
  /** Address in the union: the variable, or the kparam_string or kparam_array. */
  readonly arg?: bigint;
}

export const KERNEL_PARAM_FL_UNSAFE = 1;
export const KERNEL_PARAM_FL_HWPARAM = 2;

/** What parseArgs() is called with. */
export interface ParseArgsInit {
  /** mod->name, which starts most log lines. */
  readonly module: string;
  readonly args: string;
  readonly params: readonly ParamDefinition[];
  readonly wordBits: 32 | 64;
  readonly version: Version;
  /** CONFIG_DYNAMIC_DEBUG: dyndbg queries are taken; default true. */
  readonly dynamicDebug?: boolean;
  /** Lockdown at integrity level or above; names the process (`insmod`) that the log line tells. */
  readonly lockdown?: string;
}

/** What parse_args() did. */
export interface ParseArgsResult {
  /** The last error: earlier ones are only logged. The load fails when there is one. */
  readonly errno: Errno | undefined;
  readonly log: readonly string[];
  /** By the name in the definition: what the last assignment left in memory, also a half filled array. */
  readonly values: ReadonlyMap<string, ParamValue>;
  /**
   * Text after a bare `--`; undefined without one and after an error. load_module() then warns
   * `%s: parameters '%s' after `--' ignored`, for empty text too.
   */
  readonly after: string | undefined;
  /** Undefined when async_probe was not given. */
  readonly asyncProbe: boolean | undefined;
  /** Queries given with dyndbg. */
  readonly dyndbg: readonly string[];
  /** A parameter marked unsafe was set: TAINT_USER. */
  readonly taintUser: boolean;
}

/** One argument cut off by nextArg(), and what is left. */
export interface Arg {
  readonly param: string;
  /** Undefined where there is no `=`. */
  readonly value: string | undefined;
  readonly rest: string;
}

interface State {
  readonly init: ParseArgsInit;
  readonly log: string[];
  readonly values: Map<string, ParamValue>;
  readonly dyndbg: string[];
  asyncProbe: boolean | undefined;
  taintUser: boolean;
}

/** What a set() did: an error, or a value, or (arrays) both; `shown` is the value as later messages still see it. */
interface Outcome {
  readonly errno?: Errno;
  readonly value?: ParamValue;
  readonly shown?: string;
}

/** parse_args() as load_module() calls it, unknown_module_param_cb() included. */
export function parseArgs(init: ParseArgsInit): ParseArgsResult {
  const state: State = {
    init,
    log: [],
    values: new Map(),
    dyndbg: [],
    asyncProbe: undefined,
    taintUser: false,
  };
  const module = toBytes(init.module);
  let errno: Errno | undefined;
  let after: string | undefined;
  let args = skipSpaces(cString(toBytes(init.args)));
  while (args !== '') {
    const { param, value, rest } = nextArg(args);
    args = rest;
    if (value === undefined && param === '--') {
      if (errno === undefined) after = fromBytes(args);
      break;
    }
    const outcome = parseOne(state, param, value);
    if (outcome.errno === undefined) continue;
    errno = outcome.errno;
    state.log.push(errorLine(module, param, outcome.shown ?? value ?? '', errno));
  }
  const { log, values, asyncProbe, dyndbg, taintUser } = state;
  return { errno, log: log.map(fromBytes), values, after, asyncProbe, dyndbg, taintUser };
}

/**
 * next_arg(): cuts `param` or `param=value` off a string without leading spaces. Double quotes keep spaces together,
 * around a value or around the whole; they cannot be escaped. An `=` in first place is none.
 */
export function nextArg(text: string): Arg {
  const quoted = text.startsWith('"');
  const args = quoted ? text.slice(1) : text;
  let inQuote = quoted;
  let equals = 0;
  let i = 0;
  for (; i < args.length; i++) {
    const c = args.charAt(i);
    if (isSpace(c) && !inQuote) break;
    if (equals === 0 && c === '=') equals = i;
    if (c === '"') inQuote = !inQuote;
  }

  // A closing quote belongs to the value's own opening quote or to the one around it all, and goes only once.
  const valueQuoted = equals !== 0 && args.charAt(equals + 1) === '"' && equals + 1 < i;
  const start = valueQuoted ? equals + 2 : equals + 1;
  const end = (quoted || valueQuoted) && i > 0 && args.charAt(i - 1) === '"' ? i - 1 : i;
  const rest = skipSpaces(args.slice(i + 1));
  if (equals === 0) return { param: args.slice(0, end), value: undefined, rest };
  return { param: args.slice(0, equals), value: args.slice(start, Math.max(start, end)), rest };
}

/** parameq(): names are equal where - and _ count as one. */
export function parameq(a: string, b: string): boolean {
  return a.replaceAll('-', '_') === b.replaceAll('-', '_');
}

function parseOne(state: State, param: string, value: string | undefined): Outcome {
  const definition = state.init.params.find((candidate) => parameq(param, toBytes(candidate.name)));
  if (definition === undefined) return unknownParam(state, param, value);
  const { name, type, flags = 0 } = definition;
  if (value === undefined && !isNoarg(type)) return { errno: 'EINVAL' };
  if ((flags & KERNEL_PARAM_FL_HWPARAM) !== 0 && state.init.lockdown !== undefined) {
    const who = toBytes(state.init.lockdown);
    state.log.push(`Lockdown: ${who}: unsafe module parameters is restricted; see man kernel_lockdown.7`);
    return { errno: 'EPERM' };
  }
  if ((flags & KERNEL_PARAM_FL_UNSAFE) !== 0) {
    state.log.push(`Setting dangerous option ${toBytes(name)} - tainting kernel`);
    state.taintUser = true;
  }
  const current = state.values.get(name) ?? definition.current;
  const outcome = setParam(state, toBytes(name), type, value, current);
  if (outcome.value !== undefined) state.values.set(name, outcome.value);
  return outcome;
}

/** The switch at the end of parse_args(). */
function errorLine(module: string, param: string, value: string, errno: Errno): string {
  switch (errno) {
    case 'ENOENT':
      return `${module}: Unknown parameter \`${param}'`;
    case 'ENOSPC':
      return `${module}: \`${value}' too large for parameter \`${param}'`;
    default:
      return `${module}: \`${value}' invalid for parameter \`${param}'`;
  }
}

/** unknown_module_param_cb() and ddebug_dyndbg_module_param_cb(): an unknown parameter never fails a load. */
function unknownParam(state: State, param: string, value: string | undefined): Outcome {
  const { version, dynamicDebug = true } = state.init;
  if (param === 'async_probe') {
    const parsed = value === undefined ? 'EINVAL' : kstrtobool(value, version);
    state.asyncProbe = parsed === 'EINVAL' ? true : parsed;
    return {};
  }
  // Dynamic debug cuts `module.dyndbg` at the dot in place, so the warning below shows what is left.
  const dot = dynamicDebug ? param.indexOf('.') : -1;
  if (param.slice(dot + 1) === 'dyndbg') {
    if (dynamicDebug) state.dyndbg.push(fromBytes(value ?? '+p'));
    else state.log.push('dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds');
    return {};
  }
  const shown = dot < 0 ? param : param.slice(0, dot);
  state.log.push(`${toBytes(state.init.module)}: unknown parameter '${shown}' ignored`);
  return {};
}

/** KERNEL_PARAM_OPS_FL_NOARG: of the standard types only these; invbool is not among them. */
function isNoarg(type: ParamType): boolean {
  if (type.kind === 'callback') return type.noarg;
  return type.kind === 'bool' || type.kind === 'bool_enable_only' || type.kind === 'bint';
}

/** ops->set(). `value` is undefined only for types that may stand alone. */
function setParam(
  state: State,
  name: string,
  type: ParamType,
  value: string | undefined,
  current: ParamValue | undefined,
): Outcome {
  const { wordBits, version } = state.init;
  const text = value ?? '';
  switch (type.kind) {
    case 'byte':
      return numeric(kstrtou(text, 8));
    case 'short':
      return numeric(kstrtos(text, 16));
    case 'ushort':
      return numeric(kstrtou(text, 16));
    case 'int':
      return numeric(kstrtos(text, 32));
    case 'uint':
    case 'hexint':
      return numeric(kstrtou(text, 32));
    case 'long':
      return numeric(kstrtos(text, wordBits));
    case 'ulong':
      return numeric(kstrtou(text, wordBits));
    case 'ullong':
      return numeric(kstrtoull(text));
    case 'bool':
    case 'bint':
    case 'invbool': {
      const parsed = kstrtobool(value ?? '1', version);
      if (parsed === 'EINVAL') return { errno: 'EINVAL' };
      return { value: type.kind === 'invbool' ? !parsed : parsed };
    }
    case 'bool_enable_only': {
      const parsed = kstrtobool(value ?? '1', version);
      if (parsed === 'EINVAL') return { errno: 'EINVAL' };
      if (parsed) return { value: true };
      return current === true ? { errno: 'EROFS' } : {};
    }
    case 'charp':
      if (text.length <= 1024) return { value: fromBytes(text) };
      state.log.push(`${name}: string parameter too long`);
      return { errno: 'ENOSPC' };
    case 'string':
      if (text.length < type.maxlen) return { value: fromBytes(text) };
      state.log.push(`${name}: string doesn't fit in ${(type.maxlen - 1) >>> 0} chars.`);
      return { errno: 'ENOSPC' };
    case 'array':
      return setArray(state, name, type, text);
  }
  // module_param_cb(): what set() means is the module's own affair.
  const given = value === undefined ? undefined : fromBytes(value);
  const errno = type.set?.(given);
  return errno === undefined ? { value: given ?? true } : { errno };
}

function numeric(parsed: bigint | 'EINVAL' | 'ERANGE'): Outcome {
  return typeof parsed === 'bigint' ? { value: parsed } : { errno: parsed };
}

/**
 * param_array(): stops at the first bad element and keeps those before it. The kernel cuts the list at the commas in
 * place and never mends it, so later messages show the first element only.
 */
function setArray(state: State, name: string, type: ParamType & { kind: 'array' }, text: string): Outcome {
  const elements = text.split(',');
  const [shown = ''] = elements;
  const value: ParamValue[] = [];
  for (const element of elements) {
    if (value.length === type.max) {
      state.log.push(`${name}: can only take ${type.max | 0} arguments`);
      return { errno: 'EINVAL', value, shown: value.length === 0 ? text : shown };
    }
    const outcome = setParam(state, name, type.element, element, undefined);
    if (outcome.errno !== undefined) return { errno: outcome.errno, value, shown };
    if (outcome.value !== undefined) value.push(outcome.value);
  }
  return { value };
}

/** isspace() of the kernel's Latin-1 table: \t \n \v \f \r, space, and 0xa0. */
function isSpace(c: string): boolean {
  return (c >= '\t' && c <= '\r') || c === ' ' || c === '\u{a0}';
}

function skipSpaces(text: string): string {
  let at = 0;
  while (at < text.length && isSpace(text.charAt(at))) at++;
  return text.slice(at);
}

function cString(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** Text as the kernel sees it: its UTF-8 bytes, one a character. */
function toBytes(text: string): string {
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

function fromBytes(bytes: string): string {
  const codes = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(codes);
}
