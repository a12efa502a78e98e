/** Boots a kernel under qemu-system and stops it at every module_finalize(). */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { GdbStub } from './gdb-stub.ts';
import type { Machine } from './machines.ts';
import type { Target } from './target.ts';

export interface Boot {
  readonly machine: Machine;
  readonly target: Target;
  readonly image: string;
  /** A file; what qemu needs besides is made next to it. */
  readonly initrd: string;
  /** Seconds after which it is given up. */
  readonly limit: number;
  /** The machine stands still in module_finalize(), whose first two arguments these are. */
  stopped(stub: GdbStub, hdr: bigint, sechdrs: bigint): Promise<void>;
}

/** Lines of the console, and the end of the machine as an error. */
class Console {
  readonly #lines: string[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(qemu: ChildProcess) {
    createInterface({ input: qemu.stdout! }).on('line', (line) => {
      this.#lines.push(line.trimEnd());
      this.#wake();
    });
    let words = '';
    qemu.stderr!.setEncoding('utf8').on('data', (text: string) => (words += text));
    qemu.on('error', (error) => this.fail(error));
    qemu.on('exit', () => this.fail(new Error(`qemu has ended: ${words.trim()}`)));
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async next(): Promise<string> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Loads the modules of the initramfs. Gives the names of those that insmod was told to load, and its exit code. */
export async function boot(asked: Boot): Promise<Map<string, number>> {
  const { machine, image, initrd, limit } = asked;
  const socket = `${initrd}.gdb`;
  rmSync(socket, { force: true });
  const append = `console=${machine.console} nokaslr quiet loglevel=0 panic=-1`;
  const plain = '-m 2048 -smp 1 -nic none -display none -serial stdio -monitor none -no-reboot -gdb chardev:gdb0';
  const qemu = spawn(
    `qemu-system-${machine.qemu}`,
    plain
      .split(' ')
      .concat(machine.args, [
        '-kernel',
        image,
        '-initrd',
        initrd,
        '-append',
        append,
        '-chardev',
        `socket,path=${socket},server=on,wait=off,id=gdb0`,
      ]),
  );
  const gone = once(qemu, 'close');
  const terminal = new Console(qemu);
  const timer = setTimeout(() => terminal.fail(new Error(`not done after ${limit} s`)), limit * 1000);
  const loads = new Map<string, number>();
  let stub: GdbStub | undefined;
  try {
    const address = await finalizeAddress(terminal);
    stub = await GdbStub.connect(socket);
    const entry = address + BigInt(machine.entry ?? 0);
    await stub.setBreakpoint(entry);
    qemu.stdin.write('\n');
    void stops(stub, entry, asked).catch((error: unknown) =>
      terminal.fail(error instanceof Error ? error : new Error(String(error))),
    );
    let module = '';
    for (;;) {
      const [, word, text] = /^@(loaded|load|done) ?(.*)$/.exec(await terminal.next()) ?? [];
      if (word === 'load') module = text!;
      else if (word === 'loaded') loads.set(module, Number(text));
      else if (word === 'done') return loads;
    }
  } finally {
    clearTimeout(timer);
    stub?.close();
    qemu.kill('SIGKILL');
    await gone;
  }
}

async function finalizeAddress(terminal: Console): Promise<bigint> {
  let address = 0n;
  for (;;) {
    const line = await terminal.next();
    const found = /@finalize ([0-9a-f]+)/.exec(line)?.[1];
    if (found !== undefined) address = BigInt(`0x${found}`);
    if (!line.includes('@ready')) continue;
    if (address === 0n) throw new Error('/proc/kallsyms has no module_finalize');
    return address;
  }
}

/** Never ends by itself. */
async function stops(stub: GdbStub, entry: bigint, { machine, target, stopped }: Boot): Promise<never> {
  const [hdr, sechdrs] = machine.registers;
  for (;;) {
    await stub.resume();
    await stopped(stub, target.register(await stub.register(hdr)), target.register(await stub.register(sechdrs)));
    await stub.stepOver(entry);
  }
}
