/**
 * Speaks docs/port-protocol.md with a port: the kernel's own handlers built by `buildPort()`, or any command.
 * One child at a time; it is started again after it died, and how it died is the outcome of the case it died in.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type PortCase, PortProtocolError, packCase, type PortOutcome, unpackOutcome } from './port-protocol.ts';

export type { PortCase, PortOutcome } from './port-protocol.ts';

export interface PortOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** Milliseconds one case may take before the port is killed and the outcome is 'timeout'. Default 5000. */
  readonly timeLimit?: number;
  /** Bytes one outcome may have before the port is killed and the outcome is 'flood'. Default 16 MiB. */
  readonly outputLimit?: number;
  /** Cases given at once, so that the child never waits for us. Default 64. */
  readonly batch?: number;
  /** Working directory of the child. */
  readonly cwd?: string;
}

/** The port cannot be run at all: no such program, or it says something that is no outcome. `stderr` is the port's. */
export class PortError extends Error {
  override readonly name: string = 'PortError';
  readonly stderr: string;

  constructor(message: string, stderr = '') {
    super(stderr.trim() === '' ? message : `${message}\n${stderr.trimEnd()}`);
    this.stderr = stderr;
  }
}

/** How much of what the port writes to stderr is kept, in characters. */
const STDERR_KEPT = 16_384;
/** Children one after the other that left without an outcome, after which the port is taken for broken. */
const SPURIOUS_DEATHS = 3;
/** Children that died of a signal before there was any outcome at all, after which the port is taken for broken. */
const STILLBORN = 10;

/** Milliseconds that the first case of a child may take longer, for starting it on a machine that has much to do. */
const START_LIMIT = 10_000;

/** Milliseconds by which a timer is late when nothing keeps us from it. */
const LATE = 50;

/** What a running child is waiting for. */
interface Running {
  readonly child: ChildProcess;
  /** Bytes of the outcome that is being read. */
  buffer: Buffer;
  /** Resolves the wait for more bytes, an end, or nothing within the time limit. */
  wake: () => void;
  ended: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  failure: Error | undefined;
  /** It has given an outcome, so it is up. */
  answered: boolean;
}

export class PortProcess {
  readonly #options: Required<Omit<PortOptions, 'cwd'>> & { readonly cwd: string | undefined };
  #running: Running | undefined;
  #stderr = '';
  #sequence = 0;
  #answered = false;
  #stillborn = 0;

  constructor(options: PortOptions) {
    const { command, timeLimit = 5000, outputLimit = 16 * 1024 * 1024, batch = 64, cwd } = options;
    this.#options = { command, timeLimit, outputLimit, batch, cwd };
  }

  /** The end of what the port has written to stderr. */
  get stderr(): string {
    return this.#stderr;
  }

  /**
   * Runs cases in order and gives an outcome for each. A crash, a hang or a flood of one case is its outcome; the
   * following cases run in a fresh child. Throws PortError when no port can be had.
   */
  async run(cases: readonly PortCase[]): Promise<PortOutcome[]> {
    const outcomes: PortOutcome[] = [];
    while (outcomes.length < cases.length) {
      const batch = cases.slice(outcomes.length, outcomes.length + this.#options.batch);
      const done = await this.#runBatch(batch);
      outcomes.push(...done);
    }
    return outcomes;
  }

  /** Ends the child. The next `run()` starts another. */
  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined || running.ended !== undefined) return;
    running.child.stdin?.end();
    await this.#end(running, 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Gives outcomes of the first cases of the batch: all of them, or up to and with the one that ended the child. */
  async #runBatch(cases: readonly PortCase[]): Promise<PortOutcome[]> {
    for (let deaths = 0; ; deaths++) {
      const running = await this.#start();
      const first = this.#sequence;
      this.#sequence = (this.#sequence + cases.length) >>> 0;
      running.child.stdin?.write(Buffer.concat(cases.map((c, i) => packCase(c, (first + i) >>> 0))));
      const outcomes: PortOutcome[] = [];
      for (const [i] of cases.entries()) {
        const outcome = await this.#outcome(running, (first + i) >>> 0);
        // It left in peace between two cases: the case was not looked at.
        if (outcome === undefined) break;
        outcomes.push(outcome);
        if (this.#running === undefined) break;
      }
      if (outcomes.length > 0) return outcomes;
      if (deaths + 1 >= SPURIOUS_DEATHS) {
        throw new PortError(`the port ended before it answered: ${this.#options.command.join(' ')}`, this.#stderr);
      }
    }
  }

  /** The next outcome, or undefined when the child ended by exit() without one. */
  async #outcome(running: Running, sequence: number): Promise<PortOutcome | undefined> {
    const { timeLimit, outputLimit } = this.#options;
    let deadline = performance.now() + timeLimit + (running.answered ? 0 : START_LIMIT);
    for (;;) {
      const read = this.#read(running, sequence);
      if (read !== undefined) {
        running.answered = true;
        return read;
      }
      if (running.failure !== undefined) throw running.failure;
      if (running.buffer.length > outputLimit) return this.#kill(running, 'flood');
      if (running.ended !== undefined) return this.#death(running);
      const left = deadline - performance.now();
      if (left <= 0) return this.#kill(running, 'timeout');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          // We have been busy ourselves, and what it said may lie there to be read: that time is not its own.
          const late = performance.now() - deadline;
          if (late > LATE) deadline += late + LATE;
          resolve();
        }, left);
        running.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #read(running: Running, sequence: number): PortOutcome | undefined {
    try {
      const read = unpackOutcome(running.buffer, sequence);
      if (read === undefined) return undefined;
      running.buffer = running.buffer.subarray(read.length);
      this.#answered = true;
      return read.outcome;
    } catch (error) {
      if (!(error instanceof PortProtocolError)) throw error;
      this.#drop(running);
      throw new PortError(error.message, this.#stderr);
    }
  }

  #death(running: Running): PortOutcome | undefined {
    this.#running = undefined;
    const { code, signal } = running.ended ?? { code: null, signal: null };
    if (!this.#answered && code !== 0 && ++this.#stillborn === STILLBORN) {
      const how = signal ?? `exit code ${code}`;
      throw new PortError(`the port dies in every case (${how}): ${this.#options.command.join(' ')}`, this.#stderr);
    }
    if (signal !== null) return died(`signal ${constants.signals[signal]}`);
    // A shell, or qemu-user in some builds, turns the signal of its child into 128 + number.
    if (code !== null && code > 128) return died(`signal ${code - 128}`);
    if (code === 0) return undefined;
    throw new PortError(`the port ended with exit code ${code}: ${this.#options.command.join(' ')}`, this.#stderr);
  }

  async #kill(running: Running, why: 'timeout' | 'flood'): Promise<PortOutcome> {
    this.#drop(running);
    await this.#end(running, 0);
    return died(why);
  }

  #drop(running: Running): void {
    this.#running = undefined;
    if (running.ended === undefined) running.child.kill('SIGKILL');
  }

  /** Waits for the end of a child, killing it after `grace` milliseconds. */
  async #end(running: Running, grace: number): Promise<void> {
    const { child, ended } = running;
    if (ended !== undefined || child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), grace);
    // Nobody reads on, so nobody would see the end of its output.
    child.stdout?.destroy();
    await new Promise<void>((resolve) => child.once('exit', () => resolve()));
    clearTimeout(timer);
  }

  async #start(): Promise<Running> {
    if (this.#running !== undefined && this.#running.ended === undefined) return this.#running;
    // qemu-user writes a core file for each signal of its guest, unless told otherwise.
    const args = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...this.#options.command];
    const child = spawn('/bin/sh', args, { cwd: this.#options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    const running: Running = {
      child,
      buffer: Buffer.alloc(0),
      wake: () => {},
      ended: undefined,
      failure: undefined,
      answered: false,
    };
    child.on('error', (error) => {
      running.failure = new PortError(`cannot start the port: ${error.message}`);
      running.wake();
    });
    child.on('close', (code, signal) => {
      running.ended = { code, signal };
      running.wake();
    });
    // EPIPE: it died while we wrote; its end tells how.
    child.stdin?.on('error', () => {});
    child.stdout?.on('data', (data: Buffer) => {
      running.buffer = running.buffer.length === 0 ? data : Buffer.concat([running.buffer, data]);
      if (running.buffer.length > this.#options.outputLimit) child.stdout?.pause();
      running.wake();
    });
    child.stderr?.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString()).slice(-STDERR_KEPT);
    });
    this.#running = running;
    return running;
  }
}

/** The outcome of a case that the port did not live to tell. */
const died = (crash: string): PortOutcome => ({
  ret: 'crash',
  stage: undefined,
  crash,
  warns: 0,
  log: '',
  sections: new Map(),
  extra: new Map(),
});
