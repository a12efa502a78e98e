/** A thread of `komulator check`: takes messages, tells what it finds. */
import { parentPort } from 'node:worker_threads';
import { type Job, judgeModules, type JudgeTables, scanModules } from './work.ts';

/** What a thread is asked to do. */
export type Order =
  | { readonly kind: 'scan'; readonly job: Job }
  | {
      readonly kind: 'judge';
      readonly job: Job;
      readonly tables: JudgeTables;
      readonly moduleNames: readonly string[];
      readonly indexes: readonly number[];
    };

parentPort?.on('message', (order: Order) => {
  void obey(order);
});

async function obey(order: Order): Promise<void> {
  try {
    if (order.kind === 'scan')
      parentPort?.postMessage({ kind: 'problems', problems: await scanModules(order.job) }, []);
    else
      await judgeModules(order.job, order.tables, order.moduleNames, order.indexes, (judgement) =>
        parentPort?.postMessage({ kind: 'judgement', judgement }, []),
      );
    parentPort?.postMessage({ kind: 'done' }, []);
  } catch (error) {
    parentPort?.postMessage({ kind: 'bug', trace: error instanceof Error ? error.stack : String(error) }, []);
  }
}
