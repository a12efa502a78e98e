// Tests are TypeScript run by Node's own type stripping: no loader, no build.
export default {
  files: ['test/**/*.test.ts'],
  extensions: ['ts'],
  // Property tests share two cores with whatever else runs on the machine.
  timeout: '2m',
  concurrency: 2,
};
