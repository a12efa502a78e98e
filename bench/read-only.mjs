/**
 * What Node needs to read a tree and do nothing with it, on two threads: `node bench/read-only.mjs DIR`. No check can
 * be quicker. JavaScript, so that nothing is spent on types.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

/** As much as the largest module has. */
const buffer = new Uint8Array(1 << 26);

function read({ paths, next }) {
  const turn = new Int32Array(next);
  for (let i = Atomics.add(turn, 0, 1); i < paths.length; i = Atomics.add(turn, 0, 1)) {
    const file = openSync(paths[i]);
    while (readSync(file, buffer) === buffer.length);
    closeSync(file);
  }
}

function* files(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory()) yield* files(path);
    else if (entry.name.endsWith('.ko')) yield path;
  }
}

if (isMainThread) {
  const work = { paths: [...files(process.argv[2] ?? '')], next: new SharedArrayBuffer(4) };
  const other = new Worker(new URL(import.meta.url), { workerData: work });
  other.on('error', (error) => {
    throw error;
  });
  read(work);
} else read(workerData);
