/** The threads of a check: started early, so that they are there when the tree is known. */
import { Worker } from 'node:worker_threads';
import { type Job, type Judgement, judgeModules, type JudgeTables, type Problem, scanModules } from './work.ts';
import type { Order } from './worker.ts';

type Reply =
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }
  | { readonly kind: 'judgement'; readonly judgement: Judgement }
  | { readonly kind: 'done' }
  | { readonly kind: 'bug'; readonly trace: string };

/** The same file, as source and as it is published. */
const SCRIPT = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/** Lets signals and messages in. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** This thread is one of them: with one job, or where no other can be had, it does everything. */
export class Threads {
  private readonly workers: Worker[] = [];
  private closed = false;
  private readonly dead = new Set<Worker>();
  /** Why there are fewer threads than were asked for. */
  note: string | undefined;

  constructor(jobs: number) {
    this.resize(jobs);
  }

  /** As many as there is work for; those that there are have not begun. */
  resize(jobs: number): void {
    for (const worker of this.workers.splice(Math.max(jobs - 1, 0))) void worker.terminate();
    try {
      for (let n = this.workers.length + 1; n < jobs; n++) {
        const worker = new Worker(SCRIPT, { trackUnmanagedFds: false });
        const dies = (error?: unknown): void => {
          this.dead.add(worker);
          if (error instanceof Error) this.note ??= `a thread could not go on: ${error.message}`;
        };
        worker.on('error', dies);
        worker.on('exit', () => dies());
        this.workers.push(worker);
      }
    } catch (error) {
      this.note = `fewer threads than asked for: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** Looks at every module of a job; gives those that could not be read. */
  async scan(job: Job): Promise<Problem[]> {
    const problems: Problem[] = [];
    await this.all(
      { kind: 'scan', job },
      async () => void problems.push(...(await scanModules(job, breathe))),
      (reply) => {
        if (reply.kind === 'problems') problems.push(...reply.problems);
      },
    );
    return problems;
  }

  judge(
    job: Job,
    tables: JudgeTables,
    moduleNames: readonly string[],
    indexes: readonly number[],
    tell: (judgement: Judgement) => void,
  ): Promise<void> {
    return this.all(
      { kind: 'judge', job, tables, moduleNames, indexes },
      () => judgeModules(job, tables, moduleNames, indexes, tell, breathe),
      (reply) => {
        if (reply.kind === 'judgement') tell(reply.judgement);
      },
    );
  }

  /** This thread takes its part; what threads that die have left is found missing by whoever collects. */
  private async all(order: Order, here: () => Promise<void>, hear: (reply: Reply) => void): Promise<void> {
    const others = this.workers.map((worker) => this.one(worker, order, hear));
    // Whoever called has something to do first.
    await breathe();
    if (!this.closed) await here();
    await Promise.all(others);
  }

  private one(worker: Worker, order: Order, hear: (reply: Reply) => void): Promise<void> {
    if (this.dead.has(worker)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const listen = (reply: Reply): void => {
        if (reply.kind === 'bug') return reject(new Error(reply.trace));
        if (reply.kind !== 'done') return hear(reply);
        worker.off('message', listen);
        worker.off('exit', died);
        resolve();
      };
      const died = (): void => resolve();
      worker.on('message', listen);
      worker.once('exit', died);
      worker.postMessage(order, []);
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
