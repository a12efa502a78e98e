/**
 * Builds a port out of a kernel tree: configuration and headers by the kernel's own make, its handlers unmodified but
 * for what BUG, WARN and kmalloc mean (port/redefine.h), and the harness, all with the compile line of the kernel.
 * What was built is kept in the user's cache folder, by the contents of everything that went in.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PortOptions, PortProcess } from './port-process.ts';
import { type PortSpec, ports } from './ports.ts';

export interface BuildOptions {
  /** Folder of a kernel tree. */
  readonly kernelTree: string;
  /** A name of `ports`. */
  readonly arch: string;
  /** Prefix of compiler and binutils instead of Debian's, '-' at its end; '-19': LLVM's programs with this suffix. */
  readonly cc?: string;
  /** A build folder (make O=) that is configured and has been built in: taken as it is, nothing is configured. */
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
}

/** A port cannot be built here; the message says why and what to do. */
export class BuildError extends Error {
  override readonly name: string = 'BuildError';
}

const harness = join(import.meta.dirname, 'port');
/** Parts of the harness that need nothing of the kernel but its ABI, in the order of the link. */
const ours = ['main', 'runtime', 'system'] as const;

/** Not in any port: what no case shall depend on, or what makes handlers larger without making them more interesting. */
const disabled =
  'FTRACE STACKPROTECTOR KASAN KCSAN UBSAN KCOV MODULE_SIG GCC_PLUGINS WERROR CFI FORTIFY_SOURCE DYNAMIC_DEBUG ' +
  'KALLSYMS LIVEPATCH MODVERSIONS RANDSTRUCT GCOV_KERNEL DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT DEBUG_INFO DEBUG_VM ' +
  'MEM_ALLOC_PROFILING LTO_CLANG';
const enabled = 'MODULES MODULE_UNLOAD DEBUG_INFO_NONE';
const commonConfig: readonly string[] = [
  ...disabled.split(' ').flatMap((option) => ['-d', option]),
  ...enabled.split(' ').flatMap((option) => ['-e', option]),
];

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

class Build {
  readonly options: BuildOptions;
  readonly spec: PortSpec;
  readonly tree: string;
  /** Prefix of GCC and binutils, or '-VERSION' of LLVM. */
  readonly cross: string;
  readonly cc: string;
  readonly nm: string;
  readonly cache: string;
  readonly log: (line: string) => void;

  constructor(options: BuildOptions, spec: PortSpec) {
    this.options = options;
    this.spec = spec;
    this.tree = resolve(options.kernelTree);
    this.cross = options.cc ?? spec.cross;
    const llvm = this.cross.startsWith('-');
    this.cc = llvm ? `clang${this.cross}` : `${this.cross}gcc`;
    this.nm = llvm ? `llvm-nm${this.cross}` : `${this.cross}nm`;
    this.cache = options.cache ?? defaultCache();
    this.log = options.log ?? (() => {});
  }

  async run(): Promise<Port> {
    const version = await this.#version();
    const compiler = await this.#compiler();
    const emulator = await this.#emulator();
    const { arch, defconfig, flags, harness: own, link, libgcc, data } = this.spec;
    const set = [...commonConfig, ...this.spec.config, ...(this.spec.versions[version] ?? [])];
    const id = digest(this.tree, version, compiler, this.cross, JSON.stringify([arch, defconfig, set])).slice(0, 10);
    const folder =
      this.options.objects === undefined
        ? join(this.cache, 'build', `${version}-${this.options.arch}-${id}`)
        : resolve(this.options.objects);
    const locked = <T>(work: () => Promise<T>): Promise<T> => withLock(join(this.cache, 'build', `${id}.lock`), work);
    await locked(() => this.#configure(folder, set));
    const config = await readConfig(join(folder, '.config'));
    const sources = await this.#present(this.spec.sources, config);
    if (sources.length === 0) throw new BuildError(`${this.tree} has none of ${this.spec.sources.join(', ')}`);
    const objects = await this.#present(this.spec.objects, config);
    const targets = [...sources.map((path) => path.replace(/\.c$/, '.o')), ...objects];
    const absent = await firstAbsent(targets.map((target) => join(folder, commandFile(target))));
    if (absent !== undefined) await locked(() => this.#makeObjects(folder, targets, absent));
    const salt = JSON.stringify([id, emulator, flags, own, link, libgcc, data]);
    const homeOf = async (): Promise<readonly [ReadonlyMap<string, CompileLine>, string, string]> => {
      const lines = new Map<string, CompileLine>();
      for (const target of targets) lines.set(target, await compileLine(folder, target));
      const key = await this.#key(folder, lines, salt);
      return [lines, key, join(this.cache, `${version}-${this.options.arch}-${key.slice(0, 16)}`)];
    };
    let [lines, key, home] = await homeOf();
    // The tree may have changed since its objects were made.
    if (absent === undefined && this.options.replace === undefined && !(await exists(join(home, 'port.json')))) {
      await locked(() => this.#makeObjects(folder, targets));
      [lines, key, home] = await homeOf();
    }
    const manifest = join(home, 'port.json');
    if (await exists(manifest)) return JSON.parse(await readFile(manifest, 'utf8')) as Port;

    this.log(`${this.options.arch} ${version}: compiling the handlers`);
    const work = `${home}.${process.pid}`;
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    try {
      const missing = await this.#compileAndLink(folder, work, sources, objects, lines);
      const program = join(home, 'port');
      const [first, ...rest] = emulator;
      const command = first === undefined ? ([program] as const) : ([first, ...rest, program] as const);
      const port: Port = { arch: this.options.arch, version, compiler, key, command, missing, config };
      await writeFile(join(work, 'port.json'), `${JSON.stringify(port, null, 2)}\n`);
      await rm(home, { recursive: true, force: true });
      await rename(work, home);
      return port;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #version(): Promise<string> {
    const makefile = await readFile(join(this.tree, 'Makefile'), 'utf8').catch(() => '');
    const field = (name: string): string | undefined => new RegExp(`^${name} = (\\d+)$`, 'm').exec(makefile)?.[1];
    const major = field('VERSION');
    const minor = field('PATCHLEVEL');
    if (major === undefined || minor === undefined || !(await exists(join(this.tree, 'kernel/module')))) {
      throw new BuildError(`${this.tree} is no kernel tree: no Makefile with a VERSION, or no kernel/module`);
    }
    return `${major}.${minor}`;
  }

  async #compiler(): Promise<string> {
    const program = this.cc;
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

  /**
   * Those whose source the tree has: hooks move between files from version to version. With '?OPTION' behind it, a
   * file belongs to a configuration that has the option.
   */
  async #present(paths: readonly string[], config: Readonly<Record<string, string>>): Promise<string[]> {
    const found: string[] = [];
    for (const conditional of paths) {
      const [path = '', option] = conditional.split('?');
      if (option !== undefined && config[option] === undefined) continue;
      const stem = join(this.tree, path.replace(/\.[co]$/, ''));
      if ((await exists(`${stem}.c`)) || (await exists(`${stem}.S`))) found.push(path);
    }
    return found;
  }

  async #make(folder: string, ...goals: readonly string[]): Promise<void> {
    const tools = this.cross.startsWith('-') ? `LLVM=${this.cross}` : `CROSS_COMPILE=${this.cross}`;
    const args = ['-n', '10', 'make', '-s', '-j2', `O=${folder}`, `ARCH=${this.spec.arch}`, tools, ...goals];
    const made = await execute('nice', args, this.tree);
    if (made.status !== 0) throw new BuildError(`make ${goals.join(' ')} failed:\n${tail(made.text)}`);
  }

  async #configure(folder: string, set: readonly string[]): Promise<void> {
    const done = join(folder, this.options.objects === undefined ? '.komulator' : '.config');
    if (await exists(done)) return;
    if (this.options.objects !== undefined) throw new BuildError(`${folder} is no build folder: it has no .config`);
    const { defconfig } = this.spec;
    this.log(`${this.options.arch}: configuring (${defconfig}) in ${folder}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await this.#make(folder, ...defconfig.split(' '));
    const script = join(this.tree, 'scripts/config');
    const configured = await execute(script, ['--file', join(folder, '.config'), ...set], this.tree);
    if (configured.status !== 0) throw new BuildError(`scripts/config failed:\n${tail(configured.text)}`);
    await this.#make(folder, 'olddefconfig');
    await writeFile(done, '');
  }

  async #makeObjects(folder: string, targets: readonly string[], absent?: string): Promise<void> {
    if (this.options.objects !== undefined) {
      if (absent === undefined) return;
      const goals = targets.join(' ');
      throw new BuildError(`there is no ${absent}: build the modules' handlers in ${folder} first (make O=… ${goals})`);
    }
    this.log(`${this.options.arch}: building ${targets.join(' ')}`);
    await this.#make(folder, ...targets);
  }

  /** Digest of every file that a compile reads, of the flags, and of the harness. */
  async #key(folder: string, lines: ReadonlyMap<string, CompileLine>, id: string): Promise<string> {
    const hash = createHash('sha256').update(id);
    const seen = new Set<string>();
    for (const [target, line] of lines) {
      hash.update(`${target}\0${line.flags}\0`);
      for (const path of line.reads) seen.add(resolve(folder, path));
    }
    for (const name of (await readdir(harness)).toSorted()) seen.add(join(harness, name));
    seen.add(import.meta.filename);
    for (const path of Object.values(this.options.replace ?? {})) seen.add(resolve(path));
    for (const path of [...seen].toSorted()) {
      hash.update(path).update(await readFile(path).catch(() => ''));
    }
    return hash.update(JSON.stringify(this.options.replace ?? {})).digest('hex');
  }

  async #compileAndLink(
    folder: string,
    work: string,
    sources: readonly string[],
    objects: readonly string[],
    lines: ReadonlyMap<string, CompileLine>,
  ): Promise<string[]> {
    const first = lines.get((sources[0] ?? '').replace(/\.c$/, '.o'));
    if (first === undefined) throw new BuildError('no compile line');
    const extra = ['-w', '-fno-stack-protector', `-I${harness}`, ...this.spec.flags].join(' ');
    const compile = async (flags: string, source: string, name: string): Promise<string> => {
      const output = join(work, `${name}.o`);
      const made = await execute(
        'nice',
        ['-n', '10', 'sh', '-c', `${flags} ${extra} -c -o '${output}' '${source}'`],
        folder,
      );
      if (made.status !== 0) throw new BuildError(`${source} does not compile:\n${tail(made.text)}`);
      return output;
    };
    const linked: string[] = [];
    for (const source of sources) {
      const target = source.replace(/\.c$/, '.o');
      const flags = `${lines.get(target)?.flags ?? first.flags} -include '${join(harness, 'redefine.h')}'`;
      const file = resolve(this.options.replace?.[source] ?? join(this.tree, source));
      // Headers next to a file are found next to the file it stands for.
      const near = `-iquote '${dirname(join(this.tree, source))}'`;
      linked.push(await compile(`${flags} ${near}`, file, source.replaceAll('/', '-').replace(/\.c$/, '')));
    }
    linked.push(await compile(first.flags, join(harness, 'glue.c'), 'glue'));
    const patterns = this.cross.startsWith('-') ? '' : ' -fno-tree-loop-distribute-patterns';
    const plain = [`${first.flags} -ffreestanding -fno-builtin${patterns}`, ...this.spec.harness].join(' ');
    for (const name of ours) linked.push(await compile(plain, join(harness, `${name}.c`), name));
    linked.push(...objects.map((object) => join(folder, object)));

    const missing = await this.#undefined(linked, first);
    const data = Object.entries(this.spec.data).filter(([name]) => missing.includes(name));
    const functions = missing.filter((name) => !(name in this.spec.data));
    const stubs = [
      '#include "port.h"',
      ...data.map(([name, size]) => `char ${name}[${size}] __attribute__((aligned(64)));`),
      ...functions.map((name) => `void ${name}(void)\n{\n\tport_missing("${name}");\n}`),
    ];
    await writeFile(join(work, 'missing.c'), `${stubs.join('\n')}\n`);
    linked.push(await compile(plain, join(work, 'missing.c'), 'missing'));

    const output = ['-static', '-o', join(work, 'port')];
    const entry = ['--build-id=none', '-e', '_start', '-z', 'noexecstack'];
    // LLVM's linker is called by itself: clang has other ideas about it for each target.
    const made = this.cross.startsWith('-')
      ? await execute(`ld.lld${this.cross}`, [...entry, ...this.spec.link, ...output, ...linked], folder)
      : await execute(
          this.cc,
          [
            ...machineFlags(first.flags),
            '-nostdlib',
            '-no-pie',
            ...[...entry, ...this.spec.link].map((flag) => `-Wl,${flag}`),
            ...output,
            ...linked,
            ...(this.spec.libgcc ? ['-lgcc'] : []),
          ],
          folder,
        );
    if (made.status !== 0) throw new BuildError(`the port does not link:\n${tail(made.text)}`);
    return functions;
  }

  /** Symbols that none of the objects, nor libgcc, nor the linker defines. */
  async #undefined(objects: readonly string[], line: CompileLine): Promise<string[]> {
    const listed = await execute(this.nm, ['-g', ...objects]);
    if (listed.status !== 0) throw new BuildError(`nm failed:\n${tail(listed.text)}`);
    const defined = new Set<string>();
    const wanted = new Set<string>();
    for (const row of listed.text.split('\n')) {
      const match = /^(?:[0-9a-f]+)?\s+([A-Za-z])\s+(\S+)$/.exec(row);
      if (match === null) continue;
      if (match[1] === 'U') wanted.add(match[2] ?? '');
      else if (!/[vw]/.test(match[1] ?? '')) defined.add(match[2] ?? '');
    }
    if (this.spec.libgcc) {
      const where = await execute(this.cc, [...machineFlags(line.flags), '-print-libgcc-file-name']);
      const library = await execute(this.nm, ['-g', '--defined-only', where.text.trim()]);
      for (const row of library.text.split('\n')) defined.add(row.split(' ')[2] ?? '');
    }
    const absent = [...wanted].filter((name) => !defined.has(name) && !linkerDefined.test(name));
    // A dot is the code of a function, its name without one the descriptor: C defines both at once.
    return [...new Set(absent.map((name) => name.replace(/^\./, '')))].toSorted();
  }
}

const linkerDefined =
  /^(\$global\$|_GLOBAL_OFFSET_TABLE_|\.TOC\.|_gp|_gp_disp|__global_pointer\$|_DYNAMIC|_start|current_thread_info_reg)$/;

/** How the kernel's make compiled one object. */
interface CompileLine {
  /** Compiler and flags, quoted for a shell, without input, output and dependency file. Relative to the build folder. */
  readonly flags: string;
  /** Every file that was read. */
  readonly reads: readonly string[];
}

const commandFile = (target: string): string =>
  join(dirname(target), `.${target.slice(target.lastIndexOf('/') + 1)}.cmd`);

async function compileLine(folder: string, target: string): Promise<CompileLine> {
  const text = await readFile(join(folder, commandFile(target)), 'utf8');
  const command = /^(?:saved)?cmd_\S+ := (.*)$/m.exec(text)?.[1];
  if (command === undefined) throw new BuildError(`${join(folder, commandFile(target))} holds no command`);
  const [compile = ''] = command.split(' ; ');
  const source = /^source_\S+ := (.*)$/m.exec(text)?.[1] ?? '';
  const reads = [...text.matchAll(/^ {2}(\S+) \\$/gm)]
    .map((match) => match[1] ?? '')
    .filter((path) => !path.startsWith('$('));
  const flags = compile
    .replace(/ -Wp,-MM?D,\S+/, '')
    .replace(/ -c -o \S+ \S+\s*$/, '')
    .trim();
  return { flags, reads: [source, ...reads] };
}

/** Of a compile line, what decides about ABI, word size and byte order: the link needs the same. */
function machineFlags(flags: string): string[] {
  return flags
    .split(' ')
    .filter((flag) =>
      /^-(-target=|m(abi|arch|32|64|cpu|tune|be$|le$|b$|l$|big|little|el$|eb$)|E[BL]$|march)/.test(flag),
    );
}

async function readConfig(path: string): Promise<Record<string, string>> {
  const config: Record<string, string> = {};
  for (const match of (await readFile(path, 'utf8')).matchAll(/^CONFIG_(\w+)=(.*)$/gm)) {
    config[match[1] ?? ''] = match[2] ?? '';
  }
  return config;
}

interface Executed {
  readonly status: number;
  readonly missing: boolean;
  readonly text: string;
}

function execute(program: string, args: readonly string[], cwd?: string): Promise<Executed> {
  return new Promise((resolveWith) => {
    const settings = { cwd, maxBuffer: 1 << 28, env: { ...process.env, LC_ALL: 'C' } };
    execFile(program, args, settings, (error, stdout, stderr) => {
      const code = error?.code as number | string | undefined;
      resolveWith({
        status: error === null ? 0 : typeof code === 'number' ? code : 1,
        missing: code === 'ENOENT',
        text: error === null ? stdout : `${stdout}${stderr}`,
      });
    });
  });
}

/** One process at a time configures a build folder. The lock of a process that has died is taken over. */
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true });
    else await sleep(200);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The end of a long text: compilers say what matters last, or at least all of it within this. */
const tail = (text: string): string => text.trimEnd().split('\n').slice(-40).join('\n');

const digest = (...parts: readonly string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex');

const exists = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

async function firstAbsent(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (!(await exists(path))) return path;
  return undefined;
}

function defaultCache(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'komulator', 'ports');
}
