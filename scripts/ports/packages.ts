/** Debian packages that building and running ports takes. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { type PortSpec, ports } from '../../oracle/ports.ts';

/** Package → one of these is there when it is installed: a program of the PATH, or a file. */
const common: Readonly<Record<string, readonly string[]>> = {
  bc: ['bc'],
  bison: ['bison'],
  flex: ['flex'],
  gcc: ['gcc'],
  'libc6-dev': ['/usr/include/stdio.h'],
  'libelf-dev': ['/usr/include/gelf.h'],
  'libssl-dev': ['/usr/include/openssl/opensslv.h'],
  'lld-19': ['ld.lld-19'],
  'llvm-19': ['llvm-nm-19'],
  make: ['make'],
  perl: ['perl'],
  python3: ['python3'],
  'xz-utils': ['xz'],
};

const compilerOf = ({ cross }: PortSpec): string => (cross.startsWith('-') ? `clang${cross}` : `${cross}gcc`);

/** What these ports take: package → its witnesses. */
export function packagesOf(names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const needed = new Map<string, readonly string[]>(Object.entries(common));
  for (const spec of names.map((name) => ports[name]!)) {
    needed.set(spec.package, [compilerOf(spec)]);
    if (spec.native !== process.arch) needed.set('qemu-user-static', [`${spec.qemu}-static`, spec.qemu]);
  }
  return needed;
}

/** Those of which no witness is there. */
export function missing(
  needed: ReadonlyMap<string, readonly string[]>,
  there: (witness: string) => boolean = isThere,
): string[] {
  return [...needed].filter(([, witnesses]) => !witnesses.some(there)).map(([name]) => name);
}

function isThere(witness: string): boolean {
  const paths = isAbsolute(witness)
    ? [witness]
    : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, witness));
  return paths.some((path) => {
    try {
      accessSync(path, isAbsolute(witness) ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Installs packages with apt-get, as root, within so many milliseconds. All at once, or one by one when that fails.
 * Gives what is still missing, with the reason; a machine that has no network or no root loses ports, not its run.
 */
export function install(
  needed: ReadonlyMap<string, readonly string[]>,
  milliseconds: number,
  log: (line: string) => void,
): string | undefined {
  const wanted = missing(needed);
  if (wanted.length === 0) return undefined;
  if (process.getuid?.() !== 0) return `not root, so not installed: ${wanted.join(' ')}`;
  const until = performance.now() + milliseconds;
  const apt = (...args: readonly string[]): string | undefined => {
    const timeout = Math.max(Math.ceil(until - performance.now()), 1);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const { status, error, stderr } = spawnSync('apt-get', args, {
      env,
      timeout,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    });
    if (status === 0) return undefined;
    const said = (stderr ?? '').split('\n').filter((line) => line.startsWith('E:'));
    return `apt-get ${args[0]}: ${said.at(-1) ?? error?.message ?? `exit ${status}`}`;
  };
  const begin = performance.now();
  log(`installing ${wanted.join(' ')}`);
  let why = apt('update', '-q');
  const options = ['install', '-yq', '--no-install-recommends'];
  const failed = apt(...options, ...wanted);
  if (failed !== undefined) for (const name of missing(needed)) why = apt(...options, name) ?? why;
  const left = missing(needed);
  log(`${wanted.length - left.length} packages installed in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  return left.length === 0 ? undefined : `not installed: ${left.join(' ')} (${why ?? 'the package lacks the program'})`;
}
