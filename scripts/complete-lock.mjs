// npm leaves out of package-lock.json the optional packages (biome for macOS, oxlint for musl …) that the registry at hand
// does not carry, and `npm ci` then refuses the file. This writes them in, by name and version: run it after `npm install`.
import { readFileSync, writeFileSync } from 'node:fs';

const OS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const CPU = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64', 'wasm32'];
const LIBC = { gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' };

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = [];
for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (lock.packages[path]) continue;
    if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`${name}: not an exact version: ${version}`);
    const words = name.split('/').at(-1).split('-');
    const os = words.find((word) => OS.includes(word));
    const cpu = words.find((word) => CPU.includes(word));
    if (!os || !cpu) throw new Error(`${name}: cannot tell its platform from its name`);
    const libc = words.map((word) => LIBC[word]).find(Boolean);
    lock.packages[path] = {
      version,
      cpu: [cpu],
      ...(owner.dev && { dev: true }),
      ...(libc && { libc: [libc] }),
      license: owner.license,
      optional: true,
      os: [os],
    };
    added.push(`${name}@${version}`);
  }
}
const [[root, project], ...rest] = Object.entries(lock.packages);
lock.packages = { [root]: project, ...Object.fromEntries(rest.toSorted(([a], [b]) => a.localeCompare(b, 'en'))) };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added.length} platform packages added`);
