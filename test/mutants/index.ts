/** All of them, in the order of the table. */
import type { Bug } from './bug.ts';
import { handlers } from './handlers.ts';
import { loading } from './loading.ts';
import { states } from './states.ts';

export const bugs: readonly Bug[] = [...states, ...handlers, ...loading];
