/** What `port verify` and `port record` ask: a port built from a kernel tree, or any command, and cases it can take. */
import { type Arch, arches } from '../../arch/index.ts';
import type { Block } from '../../oracle/blocks.ts';
import { BuildError, buildPort, type Port } from '../../oracle/build.ts';
import { archOfPort } from '../../oracle/case-file.ts';
import { PortProcess } from '../../oracle/port-process.ts';
import type { PortRange } from '../../oracle/verify.ts';
import { type PortSpec, ports, withoutPort } from '../../oracle/ports.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import type { Io } from '../io.ts';
import { UsageError, unknown } from '../usage-error.ts';

/** Options that say which port. */
export interface PortOptions {
  readonly arch?: string;
  readonly kernelTree?: string;
  readonly exec?: string;
  readonly kernel?: Version;
  readonly endian?: 'little' | 'big';
  readonly cc?: string;
  readonly objects?: string;
  readonly timeLimit?: string;
  readonly type?: readonly string[];
}

export interface OpenPort {
  /** As the port is called: 'mipsel'. */
  readonly name: string;
  readonly process: PortProcess;
  readonly range: PortRange;
  /** What is run, for people. */
  readonly what: string;
  /** The options to say the same again. */
  readonly again: string;
  /** Basic blocks of the handlers, when the port was built here and counts them. */
  readonly blocks: readonly Block[] | undefined;
}

/** Names that --arch takes. */
const names = (): string[] => [...new Set([...Object.keys(ports), ...arches.map((a) => a.name)])];

/** Milliseconds without an answer after which a port hangs. */
const TIME_LIMIT = 5000;

const LOW: readonly bigint[] = [0x2000_0000n, 0x3000_0000n];

/** Throws UsageError, BuildError. */
export async function openPort(options: PortOptions, io: Io): Promise<OpenPort> {
  const { exec, kernelTree } = options;
  if (options.arch === undefined) throw new UsageError('--arch NAME is missing: which architecture is it?');
  const arch = archOfPort(options.arch);
  if (arch === undefined) throw unknown('architecture', options.arch, names());
  if ((exec === undefined) === (kernelTree === undefined))
    throw new UsageError("give either --kernel-tree DIR, to build the kernel's own handlers, or --exec CMD");
  const spec = ports[options.arch];
  const timeLimit = positive('--time-limit', options.timeLimit, TIME_LIMIT);
  // A build takes its time: what is wrong with the call is said before.
  const types = options.type?.map((type) => typeNumber(arch, type));
  const little = littleOf(options, arch, spec);
  const { command, version, what, blocks, config } =
    exec === undefined
      ? await built(options, options.arch, kernelTree!, io)
      : {
          command: ['sh', '-c', `exec ${exec}`] as const,
          version: options.kernel ?? '7.2',
          what: exec,
          config: undefined,
          blocks: undefined,
        };
  const range: PortRange = {
    arch,
    version,
    little,
    bases: spec?.arenas ?? LOW,
    ...(options.arch.includes('mips64') && { form: 'RELA' }),
    ...(spec !== undefined && spec.variants.length > 0 && { variants: variantsOf(spec, config) }),
    // A kernel that traces makes more of it than the reference knows.
    ...(exec === undefined && { finalize: config?.['DYNAMIC_FTRACE'] !== 'y' }),
    ...(options.objects !== undefined && config !== undefined && { switches: switchesOf(config) }),
    ...(spec?.dp !== undefined && { dp: spec.dp }),
    ...(spec?.told !== undefined && { config: spec.told }),
    ...(types !== undefined && { types }),
  };
  const again = [
    exec === undefined ? `--kernel-tree ${quote(kernelTree!)}` : `--exec ${quote(exec)}`,
    `--arch ${options.arch} --kernel ${version}`,
    ...(options.endian === undefined ? [] : [`--endian ${options.endian}`]),
    ...(options.cc === undefined ? [] : [`--cc ${quote(options.cc)}`]),
    ...(options.objects === undefined ? [] : [`--objects ${quote(options.objects)}`]),
    ...(timeLimit === TIME_LIMIT ? [] : [`--time-limit ${timeLimit}`]),
    ...(options.type === undefined ? [] : [`--type ${options.type.join(' ')}`]),
  ].join(' ');
  return { name: options.arch, process: new PortProcess({ command, timeLimit }), range, what, again, blocks };
}

async function built(
  options: PortOptions,
  arch: string,
  kernelTree: string,
  io: Io,
): Promise<
  { command: readonly [string, ...string[]]; version: Version; what: string } & Pick<Port, 'blocks' | 'config'>
> {
  const port = await build({ ...options, arch, kernelTree }, io);
  const version = options.kernel ?? versions.find((v) => v === port.version);
  if (version === undefined)
    throw new UsageError(
      `${kernelTree} is ${port.version}, of which there is no profile: --kernel chooses ${versions.join(', ')} to compare it with`,
    );
  const { command, blocks, config } = port;
  return {
    command,
    version,
    ...(blocks !== undefined && { blocks }),
    config,
    what: `the handlers of ${kernelTree} (${port.compiler})`,
  };
}

/** Options of a configuration that decide about relocations, and that the reference takes from its profile otherwise. */
const TOLD = ['MODULE_SECTIONS', 'CMODEL_MEDLOW', 'ARM_MODULE_PLTS', 'ARM64_MODULE_PLTS'];

/** What objects of somebody's own build have been configured to. */
const switchesOf = (config: Port['config']): Readonly<Record<string, boolean>> =>
  Object.fromEntries(TOLD.map((option) => [option, config[option] === 'y']));

/** A capability that the kernel is not configured for cannot be had. */
const variantsOf = (spec: PortSpec, config: Port['config'] | undefined): readonly number[] =>
  spec.capability === undefined || config === undefined || config[spec.capability] === 'y' ? spec.variants : [0];

/** buildPort() with words for people. */
export async function build(
  options: Pick<PortOptions, 'cc' | 'objects'> & { readonly arch: string; readonly kernelTree: string },
  io: Io,
): ReturnType<typeof buildPort> {
  const { arch, kernelTree, cc, objects } = options;
  if (ports[arch] === undefined) {
    const why = withoutPort[arch];
    if (why !== undefined) throw new BuildError(`no port of ${arch}: ${why}. --exec CMD takes one of your own`);
    throw unknown('port', arch, Object.keys(ports));
  }
  return buildPort({
    arch,
    kernelTree,
    ...(cc !== undefined && { cc }),
    ...(objects !== undefined && { objects }),
    log: (line) => io.complain(line),
  });
}

function littleOf({ endian, arch: name }: PortOptions, arch: Arch, spec: PortSpec | undefined): boolean {
  if (endian === undefined) return spec?.little ?? arch.orders[0] === 'little';
  if (!arch.orders.includes(endian))
    throw new UsageError(`--endian ${endian}: ${name} is ${arch.orders.join(' or ')}-endian`);
  return endian === 'little';
}

/** A type by number, or by name with or without its prefix. */
function typeNumber(arch: Arch, wanted: string): number {
  const all = [...arch.rules.rows.values()].flat();
  const upper = wanted.toUpperCase();
  const found = all.find(
    ({ type, name }) => String(type) === wanted || name === upper || name.replace(/^R_[A-Z0-9]+?_/, '') === upper,
  );
  if (found !== undefined) return found.type;
  throw unknown(`relocation type of ${arch.name}`, wanted, new Set(all.map((row) => row.name)));
}

/** A whole number of an option. */
export function whole(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,10}$/.test(text)) throw new UsageError(`${option} ${text}: is no whole number`);
  return Number(text);
}

/** A whole number from 1 on. */
export function positive(option: string, text: string | undefined, otherwise: number): number {
  const n = whole(option, text) ?? otherwise;
  if (n < 1) throw new UsageError(`${option} ${text}: is less than 1`);
  return n;
}

/** For a shell. */
export const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
