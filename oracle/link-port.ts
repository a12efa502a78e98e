/** Compiles handlers and harness with the kernel's own compile lines, and links them. */
import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Block, blockFlags, blocksOf, isHandler } from './blocks.ts';
import { BuildError } from './build-error.ts';
import { type CompileLine, machineFlags } from './compile-line.ts';
import { execute, tail } from './execute.ts';
import type { PortSpec } from './ports.ts';
import type { Toolchain } from './toolchain.ts';

/** Folder of the harness. */
export const harness: string = join(import.meta.dirname, 'port');
/** Parts of the harness that need nothing of the kernel but its ABI, in the order of the link. */
const ours = ['main', 'blocks', 'runtime', 'system'] as const;

export interface LinkOptions {
  readonly spec: PortSpec;
  readonly tools: Toolchain;
  readonly tree: string;
  /** The build folder, where compile lines are run. */
  readonly folder: string;
  /** Folder for what is made: the program is `port` in it. */
  readonly work: string;
  /** Handlers, as paths in the tree. */
  readonly sources: readonly string[];
  /** Objects of the build folder that are linked as they are. */
  readonly objects: readonly string[];
  /** Compile lines of all of them, by object. */
  readonly lines: ReadonlyMap<string, CompileLine>;
  /** Path in the tree → path of the file that is compiled instead. */
  readonly replace: Readonly<Record<string, string>>;
}

export interface Linked {
  /** Functions that handlers refer to and nobody wrote a stub for. */
  readonly missing: readonly string[];
  /** Undefined when the compiler cannot count blocks. */
  readonly blocks: readonly Block[] | undefined;
}

/** Throws BuildError with the compiler's words. */
export function linkPort(options: LinkOptions): Promise<Linked> {
  return new Link(options).run();
}

class Link {
  readonly #options: LinkOptions;
  /** Of the first handler: what the harness is compiled with. */
  readonly #first: CompileLine;

  constructor(options: LinkOptions) {
    this.#options = options;
    const first = options.lines.get((options.sources[0] ?? '').replace(/\.c$/, '.o'));
    if (first === undefined) throw new BuildError('no compile line');
    this.#first = first;
  }

  async run(): Promise<Linked> {
    const { spec, tools, folder, work, sources, objects } = this.#options;
    const linked: string[] = [];
    for (const source of sources) linked.push(await this.#handler(source));
    linked.push(await this.#compile(this.#first.flags, join(harness, 'glue.c'), 'glue'));
    const patterns = tools.llvm ? '' : ' -fno-tree-loop-distribute-patterns';
    const plain = [`${this.#first.flags} -ffreestanding -fno-builtin${patterns}`, ...spec.harness].join(' ');
    for (const name of ours) linked.push(await this.#compile(plain, join(harness, `${name}.c`), name));
    linked.push(...objects.map((object) => join(folder, object)));

    const undefinedNames = await this.#undefined(linked);
    const data = Object.entries(spec.data).filter(([name]) => undefinedNames.includes(name));
    const missing = undefinedNames.filter((name) => !(name in spec.data));
    const stubs = [
      '#include "port.h"',
      ...data.map(([name, size]) => `char ${name}[${size}] __attribute__((aligned(64)));`),
      ...missing.map((name) => `void ${name}(void)\n{\n\tport_missing("${name}");\n}`),
    ];
    await writeFile(join(work, 'missing.c'), `${stubs.join('\n')}\n`);
    linked.push(await this.#compile(plain, join(work, 'missing.c'), 'missing'));
    const program = join(work, 'port');
    await this.#link(program, linked);
    const counted = sources.filter(isHandler).map((source) => ({ source, file: this.#fileOf(source) }));
    return { missing, blocks: await blocksOf(program, counted, tools) };
  }

  #fileOf(source: string): string {
    const { replace, tree } = this.#options;
    return resolve(replace[source] ?? join(tree, source));
  }

  #handler(source: string): Promise<string> {
    const { lines, tree, tools } = this.#options;
    const target = source.replace(/\.c$/, '.o');
    const flags = [
      lines.get(target)?.flags ?? this.#first.flags,
      `-include '${join(harness, 'redefine.h')}'`,
      // Headers next to a file are found next to the file it stands for.
      `-iquote '${dirname(join(tree, source))}'`,
      ...(isHandler(source) ? [blockFlags(tools)] : []),
    ];
    return this.#compile(flags.join(' '), this.#fileOf(source), source.replaceAll('/', '-').replace(/\.c$/, ''));
  }

  async #compile(flags: string, source: string, name: string): Promise<string> {
    const { work, folder, spec } = this.#options;
    const output = join(work, `${name}.o`);
    const extra = ['-w', '-fno-stack-protector', `-I${harness}`, ...spec.flags].join(' ');
    const command = `${flags} ${extra} -c -o '${output}' '${source}'`;
    const made = await execute('nice', ['-n', '10', 'sh', '-c', command], folder);
    if (made.status !== 0) throw new BuildError(`${source} does not compile:\n${tail(made.text)}`);
    return output;
  }

  async #link(program: string, linked: readonly string[]): Promise<void> {
    const { spec, tools, folder } = this.#options;
    const output = ['-static', '-o', program];
    const entry = ['--build-id=none', '-e', '_start', '-z', 'noexecstack'];
    // LLVM's linker is called by itself: clang has other ideas about it for each target.
    const made = tools.llvm
      ? await execute(`ld.lld${tools.cross}`, [...entry, ...spec.link, ...output, ...linked], folder)
      : await execute(
          tools.cc,
          [
            ...machineFlags(this.#first.flags),
            '-nostdlib',
            '-no-pie',
            ...[...entry, ...spec.link].map((flag) => `-Wl,${flag}`),
            ...output,
            ...linked,
            ...(spec.libgcc ? ['-lgcc'] : []),
          ],
          folder,
        );
    if (made.status !== 0) throw new BuildError(`the port does not link:\n${tail(made.text)}`);
  }

  /** Symbols that none of the objects, nor libgcc, nor the linker defines. */
  async #undefined(objects: readonly string[]): Promise<string[]> {
    const { spec, tools } = this.#options;
    const listed = await execute(tools.tool('nm'), ['-g', ...objects]);
    if (listed.status !== 0) throw new BuildError(`nm failed:\n${tail(listed.text)}`);
    const defined = new Set<string>();
    const wanted = new Set<string>();
    for (const row of listed.text.split('\n')) {
      const match = /^(?:[0-9a-f]+)?\s+([A-Za-z])\s+(\S+)$/.exec(row);
      if (match === null) continue;
      if (match[1] === 'U') wanted.add(match[2] ?? '');
      else if (!/[vw]/.test(match[1] ?? '')) defined.add(match[2] ?? '');
    }
    if (spec.libgcc) {
      const where = await execute(tools.cc, [...machineFlags(this.#first.flags), '-print-libgcc-file-name']);
      const library = await execute(tools.tool('nm'), ['-g', '--defined-only', where.text.trim()]);
      for (const row of library.text.split('\n')) defined.add(row.split(' ')[2] ?? '');
    }
    const absent = [...wanted].filter((name) => !defined.has(name) && !linkerDefined.test(name));
    // A dot is the code of a function, its name without one the descriptor: C defines both at once.
    return [...new Set(absent.map((name) => name.replace(/^\./, '')))].toSorted();
  }
}

const linkerDefined =
  /^(\$global\$|_GLOBAL_OFFSET_TABLE_|\.TOC\.|_gp|_gp_disp|__global_pointer\$|_DYNAMIC|_start|current_thread_info_reg)$/;
