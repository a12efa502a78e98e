/** Builds ports that differ in one file: that is compiled, and linked with what was built for all of them. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type CompileLine, compileLine, machineFlags } from '../../oracle/compile-line.ts';
import { buildPort, type Port } from '../../oracle/build.ts';
import { execute } from '../../oracle/execute.ts';
import { harness } from '../../oracle/link-port.ts';
import { type PortSpec, ports } from '../../oracle/ports.ts';
import { Toolchain } from '../../oracle/toolchain.ts';

export interface Mutant {
  readonly port: Port;
  /** The compiled file, to see whether a change is one. */
  readonly object: string;
}

export class QuickBuild {
  private readonly arch: string;
  private readonly tree: string;
  private readonly home: string;
  private readonly port: Port;
  private readonly spec: PortSpec;
  private readonly tools: Toolchain;
  /** Where compile lines are run. */
  private readonly folder: string;
  private readonly lines = new Map<string, CompileLine>();

  private constructor(arch: string, tree: string, home: string, port: Port) {
    this.arch = arch;
    this.tree = tree;
    this.home = home;
    this.port = port;
    this.spec = ports[arch]!;
    this.tools = new Toolchain(this.spec.cross);
    const builds = readdirSync(join(home, 'build')).filter((name) =>
      new RegExp(`^${port.version.replace('.', '\\.')}-${arch}-[0-9a-f]+$`).test(name),
    );
    // Whoever builds a port touches the folder.
    const age = (name: string): number => statSync(join(home, 'build', name)).mtimeMs;
    this.folder = join(home, 'build', builds.toSorted((a, b) => age(a) - age(b)).at(-1) ?? '');
  }

  /** `home`: the cache folder of these builds. */
  static async of(arch: string, tree: string, home: string): Promise<QuickBuild> {
    return new QuickBuild(arch, tree, home, await buildPort({ arch, kernelTree: tree, cache: home }));
  }

  /** With other contents of one file; undefined when they do not compile. */
  async build(file: string, source: string): Promise<Mutant | undefined> {
    const { spec, tools, folder, tree, home } = this;
    const copies = join(home, 'copies');
    mkdirSync(copies, { recursive: true });
    const copy = join(copies, basename(file));
    writeFileSync(copy, source);
    const name = `${file.replaceAll('/', '-').replace(/\.c$/, '')}.o`;
    const made = dirname(this.port.command.at(-1)!);
    const object = join(copies, name);
    const { flags } = await this.lineOf(file);
    const more = ['-w', '-fno-stack-protector', `-I${harness}`, ...spec.flags].join(' ');
    const include = `-include '${join(harness, 'redefine.h')}' -iquote '${dirname(join(tree, file))}'`;
    const compiled = await execute('sh', ['-c', `${flags} ${include} ${more} -c -o '${object}' '${copy}'`], folder);
    if (compiled.status !== 0) return undefined;
    const others = readdirSync(made).filter((other) => other.endsWith('.o') && other !== name);
    const objects = [object, ...others.map((other) => join(made, other)), ...this.kernelObjects()];
    const program = join(copies, `port-${this.arch}`);
    const entry = ['--build-id=none', '-e', '_start', '-z', 'noexecstack', ...spec.link];
    const [linker, args] = tools.llvm
      ? [`ld.lld${tools.cross}`, entry]
      : [tools.cc, [...machineFlags(flags), '-nostdlib', '-no-pie', ...entry.map((flag) => `-Wl,${flag}`)]];
    const last = spec.libgcc ? ['-lgcc'] : [];
    const linked = await execute(linker, [...args, '-static', '-o', program, ...objects, ...last], folder);
    if (linked.status !== 0) return undefined;
    const [first, ...rest] = [...this.port.command.slice(0, -1), program];
    return { port: { ...this.port, command: [first, ...rest] }, object: readFileSync(object, 'latin1') };
  }

  private async lineOf(file: string): Promise<CompileLine> {
    let line = this.lines.get(file);
    if (line === undefined) this.lines.set(file, (line = await compileLine(this.folder, file.replace(/\.c$/, '.o'))));
    return line;
  }

  /** As the kernel's own build made them. */
  private kernelObjects(): string[] {
    const options = this.port.config;
    return this.spec.objects
      .map((path) => path.split('?'))
      .filter(([, option]) => option === undefined || options[option] !== undefined)
      .map(([path = '']) => join(this.folder, path))
      .filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  }
}
