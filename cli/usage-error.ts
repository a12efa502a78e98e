/** Wrong use of the command: a sentence for people, exit 2. */
import { closest } from './suggest.ts';

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** "unknown step 'aply'; did you mean apply_relocations?", else what there is. */
export function unknown(kind: string, word: string, names: Iterable<string>): UsageError {
  const all = [...names];
  const near = closest(word, all);
  const hint =
    near.length > 0
      ? `; did you mean ${near.join(', ')}?`
      : all.length === 0
        ? ''
        : `; there ${all.length === 1 ? 'is' : 'are'} ${all.length <= 40 ? all.join(', ') : `${all.slice(0, 40).join(', ')}, …`}`;
  return new UsageError(`unknown ${kind} '${word}'${hint}`);
}
