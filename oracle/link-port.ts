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
  /** The handlers' own objects are in the build folder and linked as they are. */
  readonly ready: boolean;
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
    const { spec, tools, folder, work, sources, objects, ready } = this.#options;
    const linked: string[] = [];
    for (const source of sources) linked.push(await (ready ? this.#object(source) : this.#handler(source)));
    const flags = ready ? `${withoutHooks(this.#first.flags)} -DPORT_OBJECTS` : this.#first.flags;
    linked.push(await this.#compile(flags, join(harness, 'glue.c'), 'glue'));
    const patterns = tools.llvm ? '' : ' -fno-tree-loop-distribute-patterns';
    const plain = [`${flags} -ffreestanding -fno-builtin${patterns}`, ...spec.harness].join(' ');
    for (const name of ready ? [...ours, 'objects'] : ours)
      linked.push(await this.#compile(plain, join(harness, `${name}.c`), name));
    linked.push(...objects.map((object) => join(folder, object)));

    if (ready) await this.#refuseCanaries(linked.slice(0, sources.length));
    const undefinedNames = await this.#undefined(linked);
    const data = Object.entries(spec.data).filter(([name]) => undefinedNames.includes(name));
    const missing = undefinedNames.filter((name) => !(name in spec.data));
    const hook = missing.find((name) => hooks.test(name));
    if (hook !== undefined)
      throw new BuildError(
        `the objects in ${folder} call ${hook}: they are built for tracing or a sanitizer, which needs a kernel around ` +
          `them. Switch it off there (${offFor(hook)}), or have the handlers compiled, without --objects`,
      );
    const stubs = [
      '#include "port.h"',
      ...data.map(([name, size]) => `char ${name}[${size}] __attribute__((aligned(64)));`),
      ...missing.map((name) => `void ${name}(void)\n{\n\tport_missing("${name}");\n}`),
    ];
    await writeFile(join(work, 'missing.c'), `${stubs.join('\n')}\n`);
    linked.push(await this.#compile(plain, join(work, 'missing.c'), 'missing'));
    const program = join(work, 'port');
    await this.#link(program, linked);
    if (ready) return { missing, blocks: undefined };
    const counted = sources.filter(isHandler).map((source) => ({ source, file: this.#fileOf(source) }));
    return { missing, blocks: await blocksOf(program, counted, tools) };
  }

  /** Canaries that lie where only a kernel has them: in a task, behind a system register. */
  async #refuseCanaries(handlers: readonly string[]): Promise<void> {
    const { folder, tools } = this.#options;
    const listed = await execute(tools.tool('nm'), ['-u', ...handlers]);
    if (!/\b__stack_chk_fail$/m.test(listed.text) || /\b__(ref_)?stack_chk_guard$/m.test(listed.text)) return;
    throw new BuildError(
      `the objects in ${folder} have stack canaries that only a kernel can check. Switch CONFIG_STACKPROTECTOR off there, ` +
        'or have the handlers compiled, without --objects',
    );
  }

  /** An object of somebody's own build. */
  async #object(source: string): Promise<string> {
    const { spec, tools, folder, work } = this.#options;
    const object = join(folder, source.replace(/\.c$/, '.o'));
    if (spec.renamed === undefined) return object;
    const copy = join(work, `${source.replaceAll('/', '-').replace(/\.c$/, '')}.o`);
    // Patched for each case: writable.
    const rename = `${spec.renamed.join('=')},alloc,load,data,contents`;
    const made = await execute(tools.tool('objcopy'), ['--rename-section', rename, object, copy]);
    if (made.status !== 0) throw new BuildError(`${object} is no object of this architecture:\n${tail(made.text)}`);
    return copy;
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
    const { spec, tools, folder, ready } = this.#options;
    const output = ['-static', '-o', program];
    const writable = ready && spec.renamed !== undefined ? ['-N'] : [];
    const entry = ['--build-id=none', '-e', '_start', '-z', 'noexecstack', ...writable];
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

/** What compilers call by themselves at the head of functions, at memory accesses and branches. */
const hooks =
  /^(_?_?mcount|__gnu_mcount_nc|__fentry__|_mcount_\w+|__(kasan|asan|hwasan|tsan|ubsan|msan|cyg_profile)_\w+|__gcov_\w+)$/;

const offFor = (hook: string): string =>
  /mcount|fentry/.test(hook)
    ? 'CONFIG_FUNCTION_TRACER'
    : /gcov/.test(hook)
      ? 'CONFIG_GCOV_KERNEL'
      : `CONFIG_K${/asan|hwasan/.test(hook) ? 'ASAN' : /tsan/.test(hook) ? 'CSAN' : /msan/.test(hook) ? 'MSAN' : 'UBSAN'}`.replace(
          'KUBSAN',
          'UBSAN',
        );

/** Of the flags of somebody's own build, none that make the harness call such functions. */
const withoutHooks = (flags: string): string =>
  flags.replace(
    / -(pg|mfentry|mrecord-mcount|mnop-mcount|mprofile-kernel|mhotpatch=\S+|fpatchable-function-entry=\S+|fsanitize\S*=\S+|flto\S*)(?= |$)/g,
    '',
  );

const linkerDefined =
  /^(\$global\$|_GLOBAL_OFFSET_TABLE_|\.TOC\.|_gp|_gp_disp|__global_pointer\$|_DYNAMIC|_start|current_thread_info_reg)$/;
