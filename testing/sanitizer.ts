/**
 * Memory of modules that is used after it was freed, and references that are dropped below zero: with both stacks, as
 * KASAN shows them.
 */
import type { Kernel } from '../loader/kernel.ts';
import type { Module } from '../loader/module.ts';
import type { Footprint, Stack } from '../loader/world.ts';
import type { Region } from '../relocs/module-view.ts';

/** Who is where: functions and operations, the thread first. */
type Frames = readonly [thread: string, ...string[]];

/** What of a module is used: what stays, or what goes when init is done. */
type Part = 'module' | 'init section';

const regions: Readonly<Record<Part, readonly Region[]>> = {
  module: ['text', 'core'],
  'init section': ['init_text', 'init'],
};

export class Sanitizer {
  /** The first thing that was wrong. */
  violation: string | undefined;
  stacks: readonly Stack[] = [];
  private readonly now: () => Frames;
  private readonly freed = new Map<Module, Map<Region, Frames>>();
  private readonly drops = new Map<Module, Frames>();

  private readonly modules = new Set<Module>();
  private readonly touch: (m: Module, how: keyof Footprint) => void;

  /** `now` tells where the thread is that runs. */
  constructor(now: () => Frames, touch: (m: Module, how: keyof Footprint) => void) {
    this.now = now;
    this.touch = touch;
  }

  /** Knows of a module. */
  add(m: Module): void {
    this.modules.add(m);
  }

  /** Sees what is freed in a kernel. */
  watch(kernel: Kernel): void {
    const { free } = kernel.memory;
    kernel.memory.free = (base) => {
      for (const m of this.modules)
        for (const region of Object.keys(m.memory) as Region[])
          if (m.memory[region]?.base === base) this.freeing(m, region);
      free.call(kernel.memory, base);
    };
  }

  private freeing(m: Module, region: Region): void {
    const frames = this.freed.get(m) ?? new Map<Region, Frames>();
    // Init memory is left to a work queue.
    frames.set(region, m.state === 'LIVE' ? ['kworker', 'do_free_init'] : [...this.now(), 'free_module']);
    this.freed.set(m, frames);
    this.touch(m, 'writes');
  }

  isGone(m: Module, part: Part = 'module'): boolean {
    return !regions[part].some((region) => m.memory[region] !== undefined);
  }

  /** Code or memory of a module is used, as `what` says: it must be there. */
  use(m: Module, what: string, part: Part = 'module'): void {
    this.touch(m, 'reads');
    if (!this.isGone(m, part)) return;
    const frames = this.freed.get(m);
    const by = regions[part].map((region) => frames?.get(region)).find((one) => one !== undefined);
    const of = part === 'module' ? m.name : `the ${part} of ${m.name}`;
    this.wrong(`use after free: ${what}, and ${of} was freed by ${by === undefined ? 'somebody' : inShort(by)}`, {
      used: this.now(),
      ...(by === undefined ? {} : { freed: by }),
    });
  }

  /** A reference of a module has been dropped. */
  dropped(m: Module): void {
    this.drops.set(m, this.now());
  }

  /** A reference is dropped that nobody has. */
  underflow(m: Module, what: string): void {
    const last = this.drops.get(m);
    this.wrong(`underflow: ${what}${last === undefined ? '' : `; the last was dropped by ${inShort(last)}`}`, {
      dropped: this.now(),
      ...(last === undefined ? {} : { 'dropped before': last }),
    });
  }

  /** Something else is wrong where the thread is now. */
  wrong(what: string, stacks: Readonly<Record<string, Frames>> = { there: this.now() }): void {
    if (this.violation !== undefined) return;
    this.violation = what;
    this.stacks = Object.entries(stacks).map(([of, frames]) => ({ of, frames: frames.toReversed() }));
  }
}

/** "admin in unload driver" */
const inShort = ([thread, op]: Frames): string => (op === undefined ? thread : `${thread} in ${op}`);
