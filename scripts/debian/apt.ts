/**
 * apt over a suite and an architecture that are not the system's: its own sources list and state folder in the cache.
 * Nothing is installed, and the system's lists are not touched.
 */

import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, isCode, Unavailable, withLock } from './cache.ts';
import type { Mirrors } from './pick.ts';
import { parseStanza, pickMirrors } from './pick.ts';

/** A package as the mirror has it now. */
export interface PackageInfo {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

/** Where progress lines go. */
export type Log = (line: string) => void;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** apt for one suite and architecture; `Apt.open` refreshes its lists. */
export class Apt {
  /** What `apt-get update` complained about; older lists, or the other archive's, are then used. */
  readonly warnings: readonly string[];
  readonly #dir: string;
  readonly #options: readonly string[];

  private constructor(dir: string, options: readonly string[], warnings: readonly string[]) {
    this.#dir = dir;
    this.#options = options;
    this.warnings = warnings;
  }

  /** Prepares the state folder and updates the lists. Throws Unavailable when there is neither network nor old list. */
  static async open(suite: string, arch: string, log: Log): Promise<Apt> {
    const dir = cacheDir('apt', `${suite}-${arch}`);
    return withLock(`${dir}.lock`, async () => {
      await mkdir(join(dir, 'state/lists/partial'), { recursive: true });
      await mkdir(join(dir, 'cache/archives/partial'), { recursive: true });
      await mkdir(join(dir, 'parts'), { recursive: true });
      await writeFile(join(dir, 'status'), '');
      await writeFile(join(dir, 'sources.list'), sourcesList(suite, await mirrors(), await exists(KEYRING)));
      const options = aptOptions(dir, arch);
      log(`${suite}/${arch}: apt-get update`);
      const update = await run('apt-get', [...options, 'update']);
      const lists = await readdir(join(dir, 'state/lists'));
      if (!lists.some((name) => name.includes('_Packages'))) {
        throw new Unavailable(`no package list for ${suite}/${arch}: offline? apt-get update said:\n${update.stderr}`);
      }
      return new Apt(
        dir,
        options,
        update.stderr.split('\n').filter((line) => /^[EW]:/.test(line)),
      );
    });
  }

  /** Names that start with `prefix`; some may be mentioned by other packages only and have no version. */
  async names(prefix: string): Promise<string[]> {
    const { stdout } = await this.#need('apt-cache', ['pkgnames', prefix]);
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** The newest version of package `name`, or undefined when the mirror has none. */
  async info(name: string): Promise<PackageInfo | undefined> {
    return (await this.versions(name))[0];
  }

  /** Every version of package `name` that the mirror lists, newest first. */
  async versions(name: string): Promise<PackageInfo[]> {
    const { stdout } = await run('apt-cache', [...this.#options, 'show', name]);
    return stdout
      .split('\n\n')
      .map(parseStanza)
      .flatMap(({ Version, SHA256 }) =>
        Version === undefined ? [] : [{ name, version: Version, sha256: SHA256 ?? '' }],
      );
  }

  /** Package `name` and the shared libraries it needs, transitively. */
  async withLibraries(name: string): Promise<string[]> {
    const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((k) => `--no-${k}`);
    const { stdout } = await this.#need('apt-cache', ['depends', '--recurse', ...without, name]);
    return [...new Set(stdout.split('\n').filter((line) => line === name || /^lib\S+$/.test(line)))];
  }

  /** Downloads packages into folder `to`, emptied first; gives the paths of the .deb files. */
  async download(names: readonly string[], to: string): Promise<string[]> {
    await rm(to, { recursive: true, force: true });
    await mkdir(to, { recursive: true });
    await this.#need('apt-get', ['download', ...names], to);
    const debs = (await readdir(to)).filter((file) => file.endsWith('.deb')).map((file) => join(to, file));
    if (debs.length < names.length) throw new Unavailable(`apt-get download left out some of: ${names.join(' ')}`);
    return debs;
  }

  async #need(program: string, args: readonly string[], cwd: string = this.#dir): Promise<Output> {
    const output = await run(program, [...this.#options, ...args], cwd);
    if (output.code !== 0) {
      throw new Unavailable(`${program} ${args.join(' ')} failed:\n${output.stderr.trim()}`);
    }
    return output;
  }
}

/** Unpacks a .deb into folder `to`. */
export async function unpackDeb(deb: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await need('dpkg-deb', ['-x', deb, to]);
}

/** This machine's Debian architecture. */
export async function hostArch(): Promise<string> {
  return (await need('dpkg', ['--print-architecture'])).trim();
}

/** Exit code and text of a finished program. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Throws Unavailable only when the program does not exist. */
export function run(program: string, args: readonly string[], cwd?: string): Promise<Output> {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, env, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (isCode(error, 'ENOENT')) {
        reject(new Unavailable(`${program} not found: this needs Debian's apt and dpkg`));
        return;
      }
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs a program and gives its output. Throws Unavailable with its words when it fails. */
export async function need(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const output = await run(program, args, cwd);
  if (output.code !== 0) throw new Unavailable(`${program} ${args.join(' ')} failed:\n${output.stderr.trim()}`);
  return output.stdout;
}

/** Whether a file or folder is there. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function aptOptions(dir: string, arch: string): string[] {
  const settings = [
    `APT::Architecture=${arch}`,
    `APT::Architectures=${arch}`,
    `APT::Architectures::=${arch}`,
    `Dir::Etc::sourcelist=${dir}/sources.list`,
    `Dir::Etc::sourceparts=${dir}/parts`,
    `Dir::State=${dir}/state`,
    `Dir::State::status=${dir}/status`,
    `Dir::Cache=${dir}/cache`,
    // The unprivileged download user cannot write into a home folder.
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=3',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}

function sourcesList(suite: string, { main, security }: Mirrors, keyring: boolean): string {
  const signed = keyring ? ` [signed-by=${KEYRING}]` : '';
  const lines = [`deb${signed} ${main} ${suite} main`];
  // sid gets no separate security uploads.
  if (security !== undefined && suite !== 'sid') lines.push(`deb${signed} ${security} ${suite}-security main`);
  return `${lines.join('\n')}\n`;
}

async function mirrors(): Promise<Mirrors> {
  const main = process.env['KOMULATOR_DEBIAN_MIRROR'];
  if (main !== undefined && main !== '') {
    return { main, security: process.env['KOMULATOR_DEBIAN_SECURITY_MIRROR'] };
  }
  const format = '$(REPO_URI) $(RELEASE)';
  const targets = await need('apt-get', ['indextargets', '--format', format, 'Identifier: Packages']);
  const found = pickMirrors(targets.split('\n'));
  if (found === undefined) {
    throw new Unavailable('this machine has no Debian archive in its apt sources: set KOMULATOR_DEBIAN_MIRROR');
  }
  return found;
}
