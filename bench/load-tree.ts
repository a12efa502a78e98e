/** One process that loads one whole tree on one core and tells its peak memory: `node bench/load-tree.ts amd64`. */

import { debianKernel } from '../scripts/debian/fetch.ts';
import { loadTree, openTree } from '../scripts/kernels/tree.ts';

const tree = await openTree(await debianKernel(process.argv[2] ?? 'amd64'));
let modules = 0;
let relocations = 0;
const begin = performance.now();
await loadTree(tree, {
  step: ({ step, load }) => {
    if (step === 'apply_relocations') relocations += load.relocations;
  },
  loaded: () => {
    modules++;
  },
  failed: (error) => {
    throw error;
  },
});
const milliseconds = performance.now() - begin;
console.log(JSON.stringify({ modules, relocations, milliseconds, peakKilobytes: process.resourceUsage().maxRSS }));
