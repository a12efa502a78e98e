/** The count of a module in counters of each CPU: gets and puts of what is held, and how they were added up. */
import type { Module } from '../../loader/module.ts';
import { moduleGet, modulePut } from '../../loader/refcount.ts';
import type { ThreadStep } from '../../loader/thread.ts';
import type { Wake } from '../../loader/wait.ts';
import type { Rules } from './days.ts';

const CPUS = 2;

export class Counts {
  private readonly gets = new WeakMap<Module, number[]>();
  private readonly puts = new WeakMap<Module, number[]>();

  get(m: Module, cpu: number): void {
    moduleGet(m);
    cells(this.gets, m)[cpu % CPUS]!++;
  }

  put(m: Module, cpu: number): void {
    modulePut(m);
    cells(this.puts, m)[cpu % CPUS]!++;
  }

  /** module_refcount(), one counter after the other, while others go on; in one where counts were atomic. */
  *sum(m: Module, how: Rules['counts']): Generator<ThreadStep, number, Wake> {
    if (how === undefined) return m.refcount;
    const [gets, puts] = [cells(this.gets, m), cells(this.puts, m)];
    let sum = 0;
    if (how === 'per CPU') {
      for (let cpu = 0; cpu < CPUS; cpu++) {
        sum += gets[cpu]! - puts[cpu]!;
        yield { step: `module_refcount: ${sum} up to CPU ${cpu}` };
      }
      return sum;
    }
    for (let cpu = 0; cpu < CPUS; cpu++) {
      sum -= puts[cpu]!;
      yield { step: `module_refcount: ${sum} with the puts of CPU ${cpu}` };
    }
    for (let cpu = 0; cpu < CPUS; cpu++) {
      sum += gets[cpu]!;
      yield { step: `module_refcount: ${sum} with the gets of CPU ${cpu}` };
    }
    return sum;
  }

  key(m: Module): unknown {
    return [cells(this.gets, m), cells(this.puts, m)];
  }
}

function cells(of: WeakMap<Module, number[]>, m: Module): number[] {
  const known = of.get(m) ?? Array.from({ length: CPUS }, () => 0);
  of.set(m, known);
  return known;
}
