/**
 * Names as numbers, shared between threads: every symbol, namespace and module name of a tree is kept once, in memory that
 * they share, and compared as bytes. Nothing is decoded until somebody prints it.
 */
import { type Arena, Trap } from './arena.ts';

/** No more room: a tree with more names than it was sized for. */
export class NamesFull extends Error {
  override readonly name = 'NamesFull';
}

/** In the order of their numbers in well-known.ts, from 1. */
export const WELL_KNOWN: readonly string[] = [
  '.modinfo',
  '.gnu.linkonce.this_module',
  '__versions',
  '__version_ext_crcs',
  '__version_ext_names',
  '.data..percpu',
  '__ksymtab',
  '__ksymtab_gpl',
  '__kcrctab',
  '__kcrctab_gpl',
  '__kflagstab',
  '.ctors',
  '.init_array',
  '__param',
  '.plt',
  '.init.plt',
  '.got',
  '.got.plt',
  '.plt.idx',
  '.text.ftrace_trampoline',
  '.init.text.ftrace_trampoline',
  '.ftrace_trampoline',
  '.data..ro_after_init',
  '__jump_table',
  '.static_call_sites',
  'module_layout',
  'ndiswrapper',
  'driverloader',
  'lve',
  'vmlinux',
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
];

const latin1 = new TextDecoder('latin1');

/** The names in an arena. */
export class Names {
  private readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  /** Names so far, the empty one among them; a few numbers may be nobody's. */
  get count(): number {
    return this.arena.core.nameCount();
  }

  /** The number of a text, one byte a character. Throws NamesFull. */
  of(name: string): number {
    const { arena } = this;
    const at = arena.room(name.length);
    const bytes = arena.bytes(at, name.length);
    for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
    return this.orFull(() => arena.core.intern(at, name.length));
  }

  /** The name of a number. */
  name(id: number): string {
    const { core } = this.arena;
    return latin1.decode(this.arena.bytes(core.nameAt(id), core.nameLength(id)).slice());
  }

  /** What `work` gives; NamesFull where a name found no room. */
  orFull<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof Trap && this.arena.core.namesFull() !== 0) throw new NamesFull('too many names');
      throw error;
    }
  }
}
