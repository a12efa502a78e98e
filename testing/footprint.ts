/**
 * What moves touch of a kernel, noted by those who are touched: each module by its name, exports, sleepers' queues and
 * loads in flight. With that the explorer tells moves that do not concern each other.
 */
import type { Footprint } from '../loader/world.ts';
import type { Kernel } from '../loader/kernel.ts';
import type { Module, State } from '../loader/module.ts';

/** Who wants to know of a module in the list. */
export interface Watcher {
  linked(m: Module): void;
  changed(m: Module, before: State): void;
  /** A reference was dropped. */
  dropped(m: Module): void;
}

/** Watches a kernel that has just been made. */
export function watch(kernel: Kernel, { reads, writes }: Footprint, watcher: Watcher): void {
  const { findModule, link, unlink } = kernel;
  kernel.findModule = (name, evenUnformed) => {
    reads.add(`module ${name}`);
    return findModule.call(kernel, name, evenUnformed);
  };
  kernel.link = (m) => {
    writes.add(`module ${m.name}`);
    watcher.linked(m);
    watchField(m, 'state', `module ${m.name}`, { reads, writes }, (before) => watcher.changed(m, before));
    watchField(m, 'refcnt', `module ${m.name}`, { reads, writes }, (before) => {
      if (m.refcnt < before) watcher.dropped(m);
    });
    link.call(kernel, m);
  };
  kernel.unlink = (m) => {
    writes.add(`module ${m.name}`);
    unlink.call(kernel, m);
  };
  watchMap(kernel.moduleExports, 'export', { reads, writes });
  watchMap(kernel.idempotent, 'file', { reads, writes });
  watchField(kernel.moduleWq, 'wakes', 'module_wq', { reads, writes });
  watchField(kernel.async, 'pending', 'async', { reads, writes });
  watchRcu(kernel, { reads, writes });
}

function watchRcu({ rcu }: Kernel, footprint: Footprint): void {
  const [lock, unlock, readers] = [rcu.lock.bind(rcu), rcu.unlock.bind(rcu), rcu.readers.bind(rcu)];
  rcu.lock = (name) => {
    footprint.writes.add('rcu');
    return lock(name);
  };
  rcu.unlock = (reader) => {
    footprint.writes.add('rcu');
    unlock(reader);
  };
  rcu.readers = () => {
    footprint.reads.add('rcu');
    return readers();
  };
  watchField(rcu.done, 'wakes', 'rcu', footprint);
}

function watchField<T extends object, K extends keyof T>(
  of: T,
  field: K,
  name: string,
  footprint: Footprint,
  then: (before: T[K]) => void = () => undefined,
): void {
  let value = of[field];
  Object.defineProperty(of, field, {
    get() {
      footprint.reads.add(name);
      return value;
    },
    set(next: T[K]) {
      footprint.writes.add(name);
      const before = value;
      value = next;
      then(before);
    },
  });
}

function watchMap<K, V>(map: Map<K, V>, name: string, { reads, writes }: Footprint): void {
  const own = map.get.bind(map);
  const set = map.set.bind(map);
  const remove = map.delete.bind(map);
  const of = (key: K): string => `${name} ${String(key)}`;
  map.get = (key) => {
    reads.add(of(key));
    return own(key);
  };
  map.set = (key, value) => {
    writes.add(of(key));
    return set(key, value);
  };
  map.delete = (key) => {
    writes.add(of(key));
    return remove(key);
  };
}
