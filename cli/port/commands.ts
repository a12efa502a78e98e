/** The subcommands of `komulator port` and their options. */
import { type Command, Option } from 'commander';
import type { Exit, Io } from '../io.ts';
import type { BuildCommand } from './build.ts';
import type { RecordCommand } from './record.ts';
import type { RunCommand } from './run.ts';
import { reporterNames } from './reporters.ts';
import type { VerifyCommand } from './verify.ts';

const EXITS =
  '\nExit codes: 0 all well, 1 port and reference disagree, 2 wrong use, 3 no compiler, no emulator, no port.';
const TREE = '/usr/src/linux-source-7.2';

/** Adds `port` and what is below it. */
export function portCommands(top: Command, io: Io, done: (exit: Promise<Exit>) => Promise<void>): void {
  const below = (parent: Command, name: string): Command => parent.command(name).helpOption('-h, --help', 'print this');
  const port = below(top, 'port')
    .description("relocation code from elsewhere, held against the reference: the kernel's own handlers, or your port")
    .addHelpText('after', `\nExample:\n  $ komulator port verify --kernel-tree ${TREE} --arch riscv64`);

  const tree = (command: Command, named = true): Command =>
    (named
      ? command.option('--arch <name>', "the port's architecture (komulator arch lists them; mipsel, mips64el)")
      : command
    )
      .option('--kernel-tree <dir>', 'kernel sources: build and run their own arch/*/kernel/module*.c')
      .option('--cc <prefix>', "prefix of compiler and binutils; default, Debian's cross compiler")
      .option('--objects <dir>', 'build folder (make O=) in which the handlers have been built');
  const kernel = (text: string): Option => new Option('--kernel <version>', text).choices(['6.1', '6.12', '7.2']);
  const choice = (command: Command): Command =>
    tree(command)
      .option('--exec <cmd>', 'any program that speaks docs/port-protocol.md')
      .addOption(kernel("profile to compare with; default, the tree's version, else 7.2"))
      .addOption(new Option('--endian <order>', 'of an architecture that has both').choices(['little', 'big']))
      .option('--type <name...>', 'only these relocation types: numbers or names')
      .option('--time-limit <ms>', 'for one case, after which the port is taken for hanging', '5000')
      .option('--seed <n>', 'where the cases begin')
      .option('--runs <n>', 'how many cases');

  choice(
    below(port, 'verify').description(
      'generate cases, run reference and port, shrink and explain the first disagreement',
    ),
  )
    .option('--path <path>', 'one case of a seed, as an earlier run has printed it')
    .option('--save <file>', 'write the disagreement as a vector (.jsonl, .jsonl.gz)')
    .addOption(new Option('--reporter <name>', 'how to say it').choices([...reporterNames]))
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}

Examples:
  $ komulator port verify --kernel-tree ${TREE} --arch riscv64 --runs 100000
  $ komulator port verify --exec ./my-port --arch loongarch64 --type B26 PCALA_HI20
  $ komulator port verify --exec ./my-port --arch riscv64 --seed 1 --path 17:0:3 --save case.jsonl`,
    )
    .action((options: VerifyCommand) => done(import('./verify.ts').then((m) => m.portVerify(options, io))));

  tree(below(port, 'run <file...>').description('cases from files, at the reference, and at a port beside it'), false)
    .option('--exec <cmd>', 'any program that speaks docs/port-protocol.md')
    .addOption(kernel("profile to compare with; default, the tree's version, else the newest in the file"))
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}\n\nExample:\n  $ komulator port run fixtures/findings/riscv-sum-alone.json --kernel-tree ${TREE}`,
    )
    .action((files: readonly string[], options: RunCommand) =>
      done(import('./run.ts').then((m) => m.portRun(files, options, io))),
    );

  choice(
    below(port, 'record').description('record what a port does: a small set of vectors, every way through every row'),
  )
    .option('--out <file>', 'where to (.jsonl, .jsonl.gz)')
    .option('--most <n>', 'most vectors', '300')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `${EXITS}\n\nExample:\n  $ komulator port record --kernel-tree ${TREE} --arch s390x --out s390x.jsonl.gz`,
    )
    .action((options: RecordCommand) => done(import('./record.ts').then((m) => m.portRecord(options, io))));

  tree(below(port, 'build').description("build the kernel's own handlers, and print where the program is"))
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', `${EXITS}\n\nExample:\n  $ komulator port build --kernel-tree ${TREE} --arch arm64`)
    .action((options: BuildCommand) => done(import('./build.ts').then((m) => m.portBuild(options, io))));
}
