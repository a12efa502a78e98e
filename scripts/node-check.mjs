// Plain JavaScript, old syntax: this must run, and say what is wrong, on the Node that is too old for everything else.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `komulator needs Node >= 22.18 (it runs TypeScript without a build), and this is ${process.version} (${process.execPath}).\n` +
      'In a checkout, `npm ci` puts Node 24 into node_modules/.bin and every `npm run` script uses it.',
  );
  process.exit(1);
}
