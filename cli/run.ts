/** The subcommands and their options. Each is imported when it is called, so that `--help` costs next to nothing. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, Option } from 'commander';
import { type Exit, exit, type Io, toJson } from './io.ts';
import type { ArchOptions } from './arch.ts';
import type { CheckOptions } from './check.ts';
import type { ExplainOptions } from './explain.ts';
import type { ExploreOptions } from './explore.ts';
import type { LayoutOptions } from './layout.ts';
import type { LoadOptions } from './load.ts';
import { versions } from '../relocs/module-view.ts';
import { dayNames } from '../testing/history/days.ts';
import { portCommands } from './port/commands.ts';
import type { ReplayOptions } from './vectors.ts';

/** Runs the command with its arguments (without `node` and the script) and gives the exit code. Never throws. */
export async function run(args: readonly string[], io: Io): Promise<Exit> {
  let code: Exit = exit.well;
  const set = async (done: Promise<Exit>): Promise<void> => {
    code = await done;
  };
  try {
    await program(io, set).parseAsync(args, { from: 'user' });
  } catch (error) {
    io.progress();
    if (error instanceof CommanderError) {
      if (error.exitCode !== 0 && args.includes('--json'))
        io.print(toJson({ error: error.message.replace(/^error: /, '') }));
      return error.exitCode === 0 ? exit.well : exit.wrongUse;
    }
    return tell(error, io, args.includes('--json'));
  }
  io.progress();
  return code;
}

/** Wrong use and wrong input as a sentence; anything else is our fault and says so. */
function tell(error: unknown, io: Io, json: boolean): Exit {
  const known = error instanceof Error && (error.name === 'UsageError' || error.name === 'InputError');
  if (known) {
    if (json) io.print(toJson({ error: error.message }));
    io.complain(`${io.paintError('red', 'error:')} ${error.message}`);
    return exit.wrongUse;
  }
  const trace = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  io.complain(
    `${io.paintError('red', 'this is a bug in komulator')}, please report it with the command and its input:`,
  );
  io.complain(trace.split('\n').slice(0, 6).join('\n'));
  return exit.bug;
}

const EXITS = '\nExit codes: 0 all well, 1 findings (a module is refused, a case disagrees), 2 wrong use.';

function program(io: Io, done: (exit: Promise<Exit>) => Promise<void>): Command {
  const trimmed = (text: string): string => text.replace(/\n$/, '');
  const top = new Command('komulator')
    .description("the Linux kernel's module loader and linker in user space")
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', "print this, or a command's help")
    .helpCommand('help [command]', "print a command's help")
    .configureOutput({
      writeOut: (text) => io.print(trimmed(text)),
      writeErr: (text) => io.complain(trimmed(text)),
      outputError: (text, write) => write(text.replace(/^error:/, io.paintError('red', 'error:'))),
    })
    .exitOverride()
    .showHelpAfterError('(komulator COMMAND --help explains)')
    .addHelpText(
      'after',
      `${EXITS}

Example:
  $ komulator load hello.ko --symvers Module.symvers`,
    );

  kernelOptions(
    subcommand(top, 'load')
      .description('insmod: load modules into an emulated kernel')
      .argument('<file...>', 'module files (.ko, .ko.gz, .ko.xz, .ko.zst), or module names with --modules'),
  )
    .option('--place <file.json>', 'section addresses: {"MODULE": {"SECTION": "0x…"}}; "#4" for section 4')
    .option('--params <text>', 'module parameters, for the last FILE')
    .option('--dump <dir>', 'write MODULE/layout.json and the final bytes of every section')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator load hello.ko --symvers Module.symvers --symbols System.map
  $ komulator load --modules /lib/modules/6.1.0-56-amd64 --symvers Module.symvers amdgpu
  $ komulator load param.ko --params 'count=3 name=x' --dump out --json`,
    )
    .action((files: string[], options: LoadOptions) =>
      done(import('./load.ts').then((m) => m.load(files, options, io))),
    );

  profileOptions(
    subcommand(top, 'check')
      .description('would every module of a tree load on this kernel, and if not, what stops it?')
      .argument('<dir...>', 'lib/modules/VERSION, or any folder with modules in it; with --diff OLD NEW'),
  )
    .option('--symvers <file>', 'Module.symvers: what the kernel exports; default, the one in the tree')
    .option('--symbols <file>', "System.map: to tell what is built in and not exported from what isn't there")
    .option('--jobs <n>', 'threads; default, one for each core')
    .option('--shard <i/n>', 'one part of n, for a matrix in CI')
    .addOption(new Option('--reporter <name>', 'default, pretty').choices(['pretty', 'json', 'tap', 'junit', 'github']))
    .option('--json', 'the same as --reporter json')
    .option('--output <file>', 'write the report there; default, stdout')
    .option('--baseline <file>', 'findings that are known and accepted')
    .option('--write-baseline <file>', 'accept what is found now')
    .addOption(
      new Option('--graph <format>', 'print the dependencies instead').choices([
        'dot',
        'json',
        'modules.dep',
        'modules.symbols',
      ]),
    )
    .option('--diff', 'compare two builds of a tree')
    .option('--old-symvers <file>', 'with --diff, Module.symvers of the old one')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator check /lib/modules/6.1.0-56-amd64 --symvers Module.symvers
  $ komulator check out/lib/modules/6.12.1 --reporter github --baseline known.json
  $ komulator check --diff old/lib/modules/6.12.1 new/lib/modules/6.12.2`,
    )
    .action((dirs: string[], options: CheckOptions) =>
      done(import('./check.ts').then((m) => m.check(dirs, options, io))),
    );

  kernelOptions(
    subcommand(top, 'explain')
      .description('tell the load of a module as a story, step by step')
      .argument('<file>', 'module file, or a module name with --modules'),
  )
    .option('--params <text>', 'module parameters')
    .option('--step <name>', 'one step in detail: layout_and_allocate, simplify_symbols, apply_relocations, …')
    .option('--reloc <n>', 'one relocation: its number in the order applied, from 0, or SECTION:N')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator explain hello.ko --symvers Module.symvers
  $ komulator explain hello.ko --symvers Module.symvers --step simplify_symbols
  $ komulator explain hello.ko --symvers Module.symvers --reloc .text:3`,
    )
    .action((file: string, options: ExplainOptions) =>
      done(import('./explain.ts').then((m) => m.explain(file, options, io))),
    );

  profileOptions(
    subcommand(top, 'layout')
      .description('the memory map alone: regions, sections, PLT and GOT; needs no symbols')
      .argument('<file...>', 'module files'),
  )
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Example:
  $ komulator layout hello.ko --kernel 6.1`,
    )
    .action((files: string[], options: LayoutOptions) =>
      done(import('./layout.ts').then((m) => m.layout(files, options, io))),
    );

  subcommand(top, 'explore')
    .description("every interleaving of a scenario's threads, and the shortest one that breaks something")
    .argument('<scenario.json>', 'modules and threads, and what they do (docs/scenarios.md)')
    .addOption(
      new Option('--kernel <version>', "default, the scenario's own, or the newest").choices([
        ...versions,
        ...dayNames,
      ]),
    )
    .option('--states <n>', 'how many states to look at at most; default, 100000')
    .option(
      '--schedule <moves>',
      'follow this schedule instead: names of threads, separated by commas, or a file that --json gave',
    )
    .option('--random', 'random schedules instead of all, where those are too many')
    .option('--runs <n>', 'with --random: how many; default, 1000')
    .option('--seed <n>', 'with --random: the same seed finds the same schedule')
    .option('--path <path>', 'with --random and --seed: only the schedule that was found there')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator explore fixtures/scenarios/rcu-callback.json
  $ komulator explore fixtures/scenarios/three-by-three.json --random --runs 10000`,
    )
    .action((file: string, options: ExploreOptions) =>
      done(import('./explore.ts').then((m) => m.exploreScenario(file, options, io))),
    );

  subcommand(top, 'arch')
    .description('what each architecture handles: types, formula, field, range, since which kernel')
    .argument('[name]', 'one architecture in full')
    .addOption(kernelOption('only the types of this kernel'))
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator arch
  $ komulator arch riscv64 --kernel 6.1`,
    )
    .action((name: string | undefined, options: ArchOptions) =>
      done(import('./arch.ts').then((m) => m.arch(name, options, io))),
    );

  const vectors = subcommand(top, 'vectors')
    .description("recorded results of the kernel's own handlers")
    .addHelpText('after', '\nExample:\n  $ komulator vectors replay fixtures/vectors/*.jsonl.gz');
  subcommand(vectors, 'replay')
    .description('run recorded cases against the reference')
    .argument('<file...>', '.jsonl or .jsonl.gz files')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Example:
  $ komulator vectors replay fixtures/vectors/*.jsonl.gz`,
    )
    .action((files: string[], options: ReplayOptions) =>
      done(import('./vectors.ts').then((m) => m.replayFiles(files, options, io))),
    );
  portCommands(top, io, done);
  return top;
}

/** A subcommand that inherits how the program writes and ends. */
const subcommand = (parent: Command, name: string): Command =>
  parent.command(name).helpOption('-h, --help', 'print this');

const kernelOption = (description: string): Option =>
  new Option('--kernel <version>', description).choices(['6.1', '6.12', '7.2']);

const profileOptions = (command: Command): Command =>
  command
    .addOption(kernelOption("kernel profile; default, by the module's vermagic"))
    .addOption(
      new Option('--vendor <name>', "whose kernel; default, by the module's vermagic").choices(['mainline', 'debian']),
    )
    .option('--config <file>', 'the kernel\'s .config, or {"OPTION": true} as JSON');

const kernelOptions = (command: Command): Command =>
  profileOptions(command)
    .option('--symvers <file>', 'Module.symvers: what the kernel exports, with CRCs; default, the one in --modules')
    .option('--symbols <file>', 'addresses: System.map, /proc/kallsyms text or a vmlinux')
    .option('--modules <dir>', 'lib/modules/VERSION: dependencies are loaded first');

function version(): string {
  const path = fileURLToPath(import.meta.resolve('komulator/package.json'));
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
