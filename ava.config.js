import { join } from 'node:path';

// Tests are TypeScript run by Node's own type stripping: no loader, no build.
export default {
  files: ['test/**/*.test.ts'],
  extensions: ['ts'],
  // Property tests share two cores with whatever else runs on the machine.
  timeout: '2m',
  concurrency: 2,
  // Each file compiles what it imports, and so does each command that a test starts: once is enough.
  environmentVariables: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
};
