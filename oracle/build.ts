/**
 * Builds a port out of a kernel tree: configuration and headers by the kernel's own make, its handlers unmodified but
 * for what BUG, WARN and kmalloc mean (port/redefine.h), and the harness, all with the compile line of the kernel.
 * What was built is kept in the user's cache folder, by the contents of everything that went in.
 */
import { createHash } from 'node:crypto';
import { constants, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Block } from './blocks.ts';
import { BuildError } from './build-error.ts';
import { type CompileLine, compileLine } from './compile-line.ts';
import { execute, exists } from './execute.ts';
import { configArguments, KernelBuild, treeVersion } from './kernel-build.ts';
import { harness, linkPort } from './link-port.ts';
import { defaultCache, makeFolder, withLock } from './port-cache.ts';
import { type PortOptions, PortProcess } from './port-process.ts';
import { type PortSpec, ports } from './ports.ts';
import { prunePorts, touchPort } from './prune-ports.ts';
import { Toolchain } from './toolchain.ts';

export { BuildError } from './build-error.ts';

export interface BuildOptions {
  /** Folder of a kernel tree. */
  readonly kernelTree: string;
  /** A name of `ports`. */
  readonly arch: string;
  /** Prefix of compiler and binutils instead of Debian's, '-' at its end; '-19': LLVM's programs with this suffix. */
  readonly cc?: string;
  /**
   * A build folder (make O=) of the tree, with the handlers' objects: they are linked as they are. Nothing is configured or
   * made there, and only the harness is compiled.
   */
  readonly objects?: string;
  /** Other files to be compiled instead of the tree's: path in the tree → path of the file. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Folder for what is built. Default: ports in the user's cache. */
  readonly cache?: string;
  /** Command that emulates the CPU instead of qemu-user from the PATH. */
  readonly emulator?: readonly string[];
  /** Called with a line when a longer step begins. */
  readonly log?: (line: string) => void;
}

/** A port that was built and can be started. Its `port.json` holds the same. */
export interface Port {
  /** A name of `ports`. */
  readonly arch: string;
  /** VERSION.PATCHLEVEL of the tree: a profile of the reference, when it has one. */
  readonly version: string;
  /** First line of what the compiler calls itself. */
  readonly compiler: string;
  /** Digest of everything that went in. */
  readonly key: string;
  /** Emulator and program. */
  readonly command: readonly [string, ...string[]];
  /** Functions that handlers refer to and nobody wrote a stub for: a call ends the port, naming it. */
  readonly missing: readonly string[];
  /** Options of the configuration the handlers were built with, without CONFIG_. */
  readonly config: Readonly<Record<string, string>>;
  /** Basic blocks of the handlers, which outcomes tell about. Absent when compiler or binutils cannot tell. */
  readonly blocks?: readonly Block[];
}

/** Builds, or finds in the cache. Throws BuildError. */
export async function buildPort(options: BuildOptions): Promise<Port> {
  const spec = ports[options.arch];
  if (spec === undefined) {
    throw new BuildError(`no port named ${options.arch}: choose from ${Object.keys(ports).join(' ')}`);
  }
  const build = new Build(options, spec);
  return build.run();
}

/** Starts a port that was built. */
export function startPort(port: Port, options: Omit<PortOptions, 'command'> = {}): PortProcess {
  return new PortProcess({ ...options, command: port.command });
}

/** Files whose contents decide what is made of a tree. */
const makers = ['blocks', 'compile-line', 'link-port'].map((name) =>
  import.meta.filename.replace(/build(\.[jt]s)$/, `${name}$1`),
);

class Build {
  readonly options: BuildOptions;
  readonly spec: PortSpec;
  readonly tree: string;
  readonly tools: Toolchain;
  readonly cache: string;
  readonly log: (line: string) => void;

  constructor(options: BuildOptions, spec: PortSpec) {
    this.options = options;
    this.spec = spec;
    this.tree = resolve(options.kernelTree);
    this.tools = new Toolchain(options.cc ?? spec.cross);
    this.cache = options.cache ?? defaultCache();
    this.log = options.log ?? (() => {});
  }

  async run(): Promise<Port> {
    const version = await treeVersion(this.tree);
    const compiler = await this.#compiler();
    const emulator = await this.#emulator();
    const { arch, defconfig, flags, harness: own, link, libgcc, data } = this.spec;
    const name = this.options.arch;
    const set = configArguments(this.spec, version);
    const id = digest(this.tree, version, compiler, this.tools.cross, JSON.stringify([arch, defconfig, set])).slice(
      0,
      10,
    );
    const foreign = this.options.objects !== undefined;
    const folder =
      this.options.objects === undefined
        ? join(this.cache, 'build', `${version}-${name}-${id}`)
        : resolve(this.options.objects);
    const { tree, spec, tools, log } = this;
    const kernel = new KernelBuild({ tree, folder, spec, tools, foreign, name, log });
    const locked = <T>(work: () => Promise<T>): Promise<T> => withLock(join(this.cache, 'build', `${id}.lock`), work);
    await locked(() => kernel.configure(set));
    const config = await kernel.config();
    if (foreign) await kernel.checkForeign(config, version);
    const sources = await kernel.present(spec.sources, config);
    if (sources.length === 0) throw new BuildError(`${tree} has none of ${spec.sources.join(', ')}`);
    const objects = await kernel.present(spec.objects, config);
    const targets = [...sources.map((path) => path.replace(/\.c$/, '.o')), ...objects];
    const absent = await kernel.unmade(targets);
    if (absent !== undefined && foreign) {
      const goals = targets.join(' ');
      throw new BuildError(`there is no ${absent}: build the modules' handlers in ${folder} first (make O=… ${goals})`);
    }
    if (absent !== undefined) await locked(() => kernel.makeObjects(targets));
    const salt = JSON.stringify([id, emulator, flags, own, link, libgcc, data, foreign]);
    const homeOf = async (): Promise<readonly [ReadonlyMap<string, CompileLine>, string, string]> => {
      const lines = new Map<string, CompileLine>();
      for (const target of targets) lines.set(target, await compileLine(folder, target));
      const key = await this.#key(folder, lines, salt, foreign ? targets : objects);
      return [lines, key, join(this.cache, `${version}-${name}-${key.slice(0, 16)}`)];
    };
    let [lines, key, home] = await homeOf();
    // The tree may have changed since its objects were made.
    const stale = absent === undefined && !foreign && this.options.replace === undefined;
    if (stale && !(await exists(join(home, 'port.json')))) {
      await locked(() => kernel.makeObjects(targets));
      [lines, key, home] = await homeOf();
    }
    const manifest = join(home, 'port.json');
    if (await exists(manifest)) {
      await touchPort(home, folder);
      return JSON.parse(await readFile(manifest, 'utf8')) as Port;
    }

    log(`${name} ${version}: compiling the handlers`);
    const work = `${home}.${process.pid}`;
    await rm(work, { recursive: true, force: true });
    await makeFolder(work);
    try {
      const { replace = {} } = this.options;
      const { missing, blocks } = await linkPort({
        spec,
        tools,
        tree,
        folder,
        work,
        sources,
        objects,
        lines,
        ready: foreign,
        replace,
      });
      const program = join(home, 'port');
      const [first, ...rest] = emulator;
      const command = first === undefined ? ([program] as const) : ([first, ...rest, program] as const);
      const told = blocks === undefined ? {} : { blocks };
      const port: Port = { arch: name, version, compiler, key, command, missing, config, ...told };
      await writeFile(join(work, 'port.json'), `${JSON.stringify(port, null, 2)}\n`);
      await rm(home, { recursive: true, force: true });
      await rename(work, home);
      await touchPort(home, folder);
      await prunePorts(this.cache, `${version}-${name}`);
      return port;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #compiler(): Promise<string> {
    const program = this.tools.cc;
    const asked = await execute(program, ['--version']);
    if (asked.missing) {
      throw new BuildError(`no compiler: ${program} is not installed (Debian: apt-get install ${this.spec.package})`);
    }
    if (asked.status !== 0) throw new BuildError(`${program} --version failed:\n${asked.text.trimEnd()}`);
    return asked.text.split('\n')[0] ?? program;
  }

  async #emulator(): Promise<readonly string[]> {
    if (this.options.emulator !== undefined) return this.options.emulator;
    const { qemu, cpu, native } = this.spec;
    if (native === process.arch && process.platform === 'linux') return [];
    const beside = join(dirname(this.cache), 'tools');
    for (const folder of [join(beside, 'qemu-user', 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)]) {
      for (const name of [`${qemu}-static`, qemu]) {
        const path = join(folder, name);
        if (!isAbsolute(path) || !(await exists(path, constants.X_OK))) continue;
        return cpu === undefined ? [path] : [path, '-cpu', cpu];
      }
    }
    throw new BuildError(`no emulator: neither ${qemu}-static nor ${qemu} is installed (Debian: qemu-user-static)`);
  }

  /** Digest of every file that a compile reads, of the flags, and of the harness. */
  async #key(
    folder: string,
    lines: ReadonlyMap<string, CompileLine>,
    id: string,
    linked: readonly string[],
  ): Promise<string> {
    const hash = createHash('sha256').update(id);
    const seen = new Set<string>(makers);
    for (const target of linked) seen.add(resolve(folder, target));
    for (const [target, line] of lines) {
      hash.update(`${target}\0${line.flags}\0`);
      for (const path of line.reads) seen.add(resolve(folder, path));
    }
    for (const name of (await readdir(harness)).toSorted()) seen.add(join(harness, name));
    for (const path of Object.values(this.options.replace ?? {})) seen.add(resolve(path));
    // Where this program lies makes no other port.
    const named = [...seen].map((path) => [path.replace(`${import.meta.dirname}/`, ''), path] as const);
    for (const [name, path] of named.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(name).update(await readFile(path).catch(() => ''));
    }
    return hash.update(JSON.stringify(this.options.replace ?? {})).digest('hex');
  }
}

const digest = (...parts: readonly string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex');
