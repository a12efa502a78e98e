/** A build folder of a kernel tree (make O=): configured, and with the objects whose compile lines ports need. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from './build-error.ts';
import { commandFile } from './compile-line.ts';
import { execute, exists, tail } from './execute.ts';
import { makeFolder } from './port-cache.ts';
import type { PortSpec } from './ports.ts';
import type { Toolchain } from './toolchain.ts';

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

/** VERSION.PATCHLEVEL of a kernel tree. Throws BuildError when it is none. */
export async function treeVersion(tree: string): Promise<string> {
  const makefile = await readFile(join(tree, 'Makefile'), 'utf8').catch(() => '');
  const field = (name: string): string | undefined => new RegExp(`^${name} = (\\d+)$`, 'm').exec(makefile)?.[1];
  const major = field('VERSION');
  const minor = field('PATCHLEVEL');
  if (major === undefined || minor === undefined || !(await exists(join(tree, 'kernel/module')))) {
    throw new BuildError(`${tree} is no kernel tree: no Makefile with a VERSION, or no kernel/module`);
  }
  return `${major}.${minor}`;
}

/** Arguments of scripts/config for a port. */
export const configArguments = (spec: PortSpec, version: string): readonly string[] => [
  ...commonConfig,
  ...spec.config,
  ...(spec.versions[version] ?? []),
];

/** Options whose objects need registers or memory that only a kernel has. */
const unusable: readonly (readonly [option: string, why: string])[] = [
  ['KASAN', 'shadow memory'],
  ['KCSAN', 'its runtime'],
  ['KMSAN', 'shadow memory'],
  ['LTO_CLANG', 'objects without machine code'],
];

/** The folder below arch/ of an ARCH of make. */
const sourceArch = (arch: string): string =>
  arch
    .replace(/^(i386|x86_64)$/, 'x86')
    .replace(/^sparc(32|64)$/, 'sparc')
    .replace(/^parisc64$/, 'parisc');

export interface KernelBuildOptions {
  readonly tree: string;
  readonly folder: string;
  readonly spec: PortSpec;
  readonly tools: Toolchain;
  /** The folder is somebody's own: nothing is configured or built in it. */
  readonly foreign: boolean;
  /** The port's name, for log lines. */
  readonly name: string;
  readonly log: (line: string) => void;
}

export class KernelBuild {
  readonly #options: KernelBuildOptions;

  constructor(options: KernelBuildOptions) {
    this.#options = options;
  }

  /** Configures the folder, unless that was done. Throws BuildError. */
  async configure(set: readonly string[]): Promise<void> {
    const { folder, foreign, tree, name, log } = this.#options;
    const done = join(folder, foreign ? '.config' : '.komulator');
    if (await exists(done)) return;
    if (foreign) throw new BuildError(`${folder} is no build folder: it has no .config`);
    const defconfig = await this.#defconfig();
    log(`${name}: configuring (${defconfig.join(' ')}) in ${folder}`);
    await rm(folder, { recursive: true, force: true });
    await makeFolder(folder);
    await this.#make(...defconfig);
    const script = join(tree, 'scripts/config');
    const configured = await execute(script, ['--file', join(folder, '.config'), ...set], tree);
    if (configured.status !== 0) throw new BuildError(`scripts/config failed:\n${tail(configured.text)}`);
    await this.#make('olddefconfig');
    await writeFile(done, '');
  }

  /** Configuration targets; of alternatives, the first that the tree has. */
  async #defconfig(): Promise<string[]> {
    const { tree, spec } = this.#options;
    const targets: string[] = [];
    for (const either of spec.defconfig.split(' ')) {
      const names = either.split('|');
      while (names.length > 1 && !(await exists(join(tree, 'arch', spec.arch, 'configs', names[0]!)))) names.shift();
      targets.push(names[0]!);
    }
    return targets;
  }

  /** Options that are set, without CONFIG_. */
  async config(): Promise<Record<string, string>> {
    const config: Record<string, string> = {};
    const text = await readFile(join(this.#options.folder, '.config'), 'utf8');
    for (const match of text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)) config[match[1] ?? ''] = match[2] ?? '';
    return config;
  }

  /**
   * Those whose source the tree has: hooks move between files from version to version. With '?OPTION' behind it, a
   * file belongs to a configuration that has the option.
   */
  async present(paths: readonly string[], config: Readonly<Record<string, string>>): Promise<string[]> {
    const found: string[] = [];
    for (const conditional of paths) {
      const [path = '', option] = conditional.split('?');
      if (option !== undefined && config[option] === undefined) continue;
      const stem = join(this.#options.tree, path.replace(/\.[co]$/, ''));
      if ((await exists(`${stem}.c`)) || (await exists(`${stem}.S`))) found.push(path);
    }
    return found;
  }

  /** The first of the objects that has never been made: its path, or that of its .cmd file. */
  async unmade(targets: readonly string[]): Promise<string | undefined> {
    const { folder, foreign } = this.#options;
    for (const target of targets) {
      for (const path of [...(foreign ? [target] : []), commandFile(target)].map((file) => join(folder, file)))
        if (!(await exists(path))) return path;
    }
    return undefined;
  }

  /** Throws BuildError when somebody's own build folder is of another architecture or version, or cannot be run. */
  async checkForeign(config: Readonly<Record<string, string>>, version: string): Promise<void> {
    const { folder, spec, tree, name } = this.#options;
    const text = await readFile(join(folder, '.config'), 'utf8');
    const [, arch, built] = /^# Linux\/(\S+) (\d+\.\d+)\S* /m.exec(text) ?? [];
    if (arch !== undefined && sourceArch(arch) !== sourceArch(spec.arch))
      throw new BuildError(`${folder} is no build folder of ${name}: its configuration is of ${arch}`);
    if (built !== undefined && built !== version)
      throw new BuildError(
        `${folder} is no build folder of ${tree}: its configuration is of ${built}, the tree is ${version}`,
      );
    for (const [option, why] of unusable)
      if (config[option] === 'y')
        throw new BuildError(
          `the objects in ${folder} cannot be run in user space: CONFIG_${option} (${why}). Switch it off there, or ` +
            'have the handlers compiled, without --objects',
        );
  }

  /** Makes objects by the kernel's own make. Throws BuildError. */
  async makeObjects(targets: readonly string[]): Promise<void> {
    this.#options.log(`${this.#options.name}: building ${targets.join(' ')}`);
    await this.#make(...targets);
  }

  async #make(...goals: readonly string[]): Promise<void> {
    const { folder, tree, spec, tools } = this.#options;
    const args = ['-n', '10', 'make', '-s', '-j2', `O=${folder}`, `ARCH=${spec.arch}`, tools.makeVariable, ...goals];
    const made = await execute('nice', args, tree);
    // nice says 127 when there is no make.
    if (made.missing || made.status === 127)
      throw new BuildError(
        `no ${made.missing ? 'nice (Debian: apt-get install coreutils)' : 'make (Debian: apt-get install make)'}`,
      );
    if (made.status !== 0) throw new BuildError(`make ${goals.join(' ')} failed:\n${tail(made.text)}`);
  }
}
