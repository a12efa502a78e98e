// The main job on the bundled modules of every architecture: what `npm start` shows.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const byArch = Map.groupBy(globSync('fixtures/ko/*/*.ko', { cwd: root }).toSorted(), dirname);
if (byArch.size === 0) {
  console.error('no modules under fixtures/ko: nothing to load');
  process.exit(1);
}
for (const [dir, modules] of byArch) {
  console.log(`\n== ${dir}`);
  for (const module of modules) {
    spawnSync(process.execPath, ['cli/main.ts', 'load', module], { cwd: root, stdio: 'inherit' });
  }
}
