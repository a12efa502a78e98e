// Compiles the package into dist/: JavaScript with rewritten imports, and types.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

rmSync(path('dist'), { recursive: true, force: true });
const tsc = spawnSync(path('node_modules/.bin/tsc'), ['-p', path('tsconfig.build.json')], { stdio: 'inherit' });
if (tsc.status !== 0) process.exit(1);

const bin = path('dist/cli/main.js');
if (!readFileSync(bin, 'utf8').startsWith('#!/usr/bin/env node\n')) {
  console.error('dist/cli/main.js must begin with "#!/usr/bin/env node": it is the komulator command');
  process.exit(1);
}
chmodSync(bin, 0o755);
