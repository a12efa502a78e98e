/**
 * ld.lld as an oracle: a module's final bytes at given addresses, by a linker that has never heard of the kernel.
 *
 * Where the two differ by design: a call beyond reach becomes a thunk here and a PLT entry in the kernel; a GOT or PLT
 * the module asks for (s390, loongarch, mips gp-relative code) lies at `spare`; what lld does not know (R_PPC64_ENTRY)
 * stays as it is in the file.
 */

import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { openElfImage } from '../loader/elf-image.ts';
import { linkerScript, relinkable } from './relink.ts';

/** What is to be linked, and where. */
export interface LinkRequest {
  /** The ET_REL file, decompressed. */
  readonly ko: Uint8Array;
  /** Final address by section number; sections that are not listed are left out. */
  readonly addresses: ReadonlyMap<number, bigint>;
  /** Values of undefined symbols; names that the module does not ask for are ignored. */
  readonly symbols: ReadonlyMap<string, bigint>;
  /** Path of ld.lld; `findLld()` unless given. */
  readonly lld?: string;
  /** Where the linker may put a GOT or PLT of its own, in reach of the module; the page after the highest section unless given. */
  readonly spare?: bigint;
  /** Relocation types that are left out of the link; for ld.lld refuses a file with one it does not know. */
  readonly without?: readonly number[];
  /** Options beside those that are always given. */
  readonly options?: readonly string[];
}

/** What the linker made. */
export interface LinkResult {
  /** Final bytes by section number: those of `addresses` that have bytes in the file and are not empty. */
  readonly sections: ReadonlyMap<number, Uint8Array>;
  /** Sections to which the linker appended thunks: their calls differ from the kernel's by design. */
  readonly thunks: readonly number[];
  /** Those thunks: the bytes behind each of these sections. */
  readonly appended: ReadonlyMap<number, Uint8Array>;
  /** What the linker built by itself (GOT, PLT), when it did. */
  readonly spare: { readonly address: bigint; readonly size: number; readonly bytes: Uint8Array } | undefined;
  /** Everything ld.lld said, one message each: out of range, undefined symbol, misaligned. It linked all the same. */
  readonly messages: readonly string[];
}

/** ld.lld could not link at all (not found, crashed, refused the file). */
export class LinkError extends Error {
  override readonly name: string = 'LinkError';
}

/**
 * Links one module with `ld.lld -O0 --no-relax` so that section i lies at `addresses.get(i)` and undefined symbols have
 * the values in `symbols`. Relocations that do not fit are reported in `messages` and written cut off, as a processor
 * would see them. Throws LinkError when there is no output.
 */
export async function linkAtAddresses(request: LinkRequest): Promise<LinkResult> {
  const lld = request.lld ?? (await findLld());
  if (lld === undefined) throw new LinkError('ld.lld not found: apt-get install lld, or set KOMULATOR_LLD');
  const { ko, addresses, symbols } = request;
  const copy = relinkable(ko, addresses, request.without);
  const sections = new Map<number, Uint8Array>();
  if (copy.placed.length === 0) return { sections, thunks: [], appended: new Map(), spare: undefined, messages: [] };

  const dir = await mkdtemp(join(tmpdir(), 'komulator-lld-'));
  try {
    const object = join(dir, 'module.o');
    const script = join(dir, 'module.ld');
    const output = join(dir, 'module');
    const end = copy.placed.reduce((highest, s) => max(highest, s.address + BigInt(s.size)), 0n);
    const spare = request.spare ?? ((end + 0xfffn) >> 12n) << 12n;
    await writeFile(object, copy.bytes);
    await writeFile(script, linkerScript(copy, symbols, BigInt.asUintN(64, spare)));
    const stderr = await runLld(lld, [...OPTIONS, ...(request.options ?? []), '-T', script, '-o', output, object]);
    const linked = await readFile(output).catch(() => undefined);
    if (linked === undefined) throw new LinkError(`ld.lld made no output:\n${stderr}`);
    const image = openElfImage(linked);
    const appended = new Map<number, Uint8Array>();
    for (const { index, name, address, size, nobits } of copy.placed) {
      const section = image.section(name);
      if (section === undefined || section.sh_addr !== address) {
        throw new LinkError(`ld.lld put section ${index} at 0x${section?.sh_addr.toString(16)}\n${stderr}`);
      }
      if (section.bytes.length > size) appended.set(index, section.bytes.slice(size));
      if (!nobits && section.bytes.length < size) throw new LinkError(`ld.lld shrank section ${index}\n${stderr}`);
      if (!nobits) sections.set(index, section.bytes.slice(0, size));
    }
    const own = image.section('.spare');
    return {
      sections,
      thunks: [...appended.keys()],
      appended,
      spare: own && { address: own.sh_addr, size: own.bytes.length, bytes: own.bytes },
      messages: stderr
        .split(/^(?=\S*ld\.lld\S*: )/m)
        .map((message) => message.trim())
        .filter((m) => m !== ''),
    };
  } finally {
    await rm(dir, { recursive: true });
  }
}

/**
 * Path of an ld.lld, or undefined: `$KOMULATOR_LLD`, the one that `node scripts/debian/tools.ts lld` unpacked, or the
 * newest of the search path.
 */
export async function findLld(): Promise<string | undefined> {
  const { KOMULATOR_LLD, XDG_CACHE_HOME, PATH } = process.env;
  const cache = XDG_CACHE_HOME === undefined || XDG_CACHE_HOME === '' ? join(homedir(), '.cache') : XDG_CACHE_HOME;
  const folders = (PATH ?? '').split(delimiter);
  const versioned = Array.from({ length: 16 }, (_, i) => `ld.lld-${30 - i}`);
  const candidates = [
    ...(KOMULATOR_LLD === undefined || KOMULATOR_LLD === '' ? [] : [KOMULATOR_LLD]),
    join(cache, 'komulator/tools/lld/bin/ld.lld'),
    ...[...versioned, 'ld.lld'].flatMap((program) => folders.map((folder) => join(folder, program))),
  ];
  for (const path of candidates) {
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}

const OPTIONS = [
  '-static',
  '-O0',
  '--no-relax',
  '--no-gc-sections',
  '--build-id=none',
  // Sections may overlap: addresses of per-CPU data are offsets.
  '--no-check-sections',
  '--nmagic',
  '-z',
  'norelro',
  '-z',
  'nognustack',
  '--strip-all',
  '--entry=0',
  '--threads=1',
  '--error-limit=0',
  // A value that does not fit becomes a warning: whether it may is the caller's question.
  '--noinhibit-exec',
];

function runLld(lld: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(lld, args, { maxBuffer: 1 << 28 }, (error, _stdout, stderr) => {
      if (error !== null) reject(new LinkError(`${lld} failed: ${stderr === '' ? error.message : stderr}`));
      else resolve(stderr);
    });
  });
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
