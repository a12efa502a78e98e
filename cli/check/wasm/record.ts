/** What is told of a module: a few fixed words, then its imports, lists and exports. The fields are those of records.ts. */
import { HEAD, MODULE } from '../records';
import { alloc } from './memory';

/** Bytes taken from the heap at a time. */
const PIECE: usize = 1 << 18;

/** The record at hand, where it ends so far, and where it must have ended. */
export let record: usize = 0;
let end: usize = 0;
let limit: usize = 0;

/** Room for the first records, so that there is one for whoever finds no more. */
export function attachRecord(): void {
  end = alloc(PIECE);
  limit = end + PIECE;
}

export function beginRecord(module: i32): void {
  const bytes: usize = HEAD << 2;
  if (end + bytes > limit) {
    end = alloc(PIECE);
    limit = end + PIECE;
  }
  record = end;
  end += bytes;
  memory.fill(record, 0, bytes);
  setHead(MODULE, module);
}

export function head(field: i32): i32 {
  return load<i32>(record + ((<usize>field) << 2));
}

export function setHead(field: i32, value: i32): void {
  store<i32>(record + ((<usize>field) << 2), value);
}

/** Room for `words` more at the end of the record, which may have moved; gives where they begin. */
export function extend(words: i32): usize {
  const bytes = (<usize>words) << 2;
  if (end + bytes > limit) {
    const length = end - record;
    const size = max(PIECE, (length + bytes) * 2);
    const to = alloc(size);
    memory.copy(to, record, length);
    record = to;
    end = to + length;
    limit = to + size;
  }
  const at = end;
  end += bytes;
  return at;
}

/** Takes back whatever lies behind the first `words` words. */
export function cutTo(words: i32): void {
  end = record + ((<usize>words) << 2);
}
