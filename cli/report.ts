/** What became of the modules, for people and as JSON. */
import { errnos, insmodError } from '../loader/errors.ts';
import type { Kernel } from '../loader/kernel.ts';
import type { Module } from '../loader/module.ts';
import { procLine } from '../loader/proc.ts';
import type { ModuleSignature } from '../loader/signature.ts';
import { SIGNATURE_MARKER } from '../loader/signature.ts';
import type { Attempt } from './attempt.ts';
import { count, type Io } from './io.ts';
import type { OpenKernel } from './open-kernel.ts';
import type { Plan, Planned } from './plan.ts';
import { type PlacedRegion, placedRegions, placedSections } from './sections.ts';

/** A module that is LIVE, and what was done to get it there. */
export function loadedLines(done: Attempt, io: Io): string[] {
  const m = done.module!;
  const lines = [io.paint('green', procLine(m))];
  const relocations = done.load?.relocations ?? 0;
  const owners = [...done.references].map(([owner, n]) => `${owner === '' ? 'kernel' : owner} ${n}`).join(', ');
  const total = [...done.references.values()].reduce((sum, n) => sum + n, 0);
  const resolved = total === 0 ? 'no reference to resolve' : `${count(total, 'reference')} resolved (${owners})`;
  lines.push(`    ${count(relocations, 'relocation')} applied; ${resolved}; ${signatureText(done)}`);
  for (const r of placedRegions(m)) lines.push(`    ${regionText(r, m)}`);
  if (m.params.size > 0)
    lines.push(`    parameters: ${[...m.params].map(([name, value]) => `${name}=${paramText(value)}`).join(' ')}`);
  return [...lines, ...dmesg(done)];
}

/** "text          0xffffffffc0000000    4096" */
export function regionText({ region, base, size, freed }: PlacedRegion, m: Module): string {
  const digits = m.format.is64 ? 16 : 8;
  const note = freed ? '  freed after init' : region === 'percpu' ? '  for each CPU' : '';
  return `${region.padEnd(13)} 0x${base.toString(16).padStart(digits, '0')} ${String(size).padStart(8)}${note}`;
}

/** A parameter's value as /sys/module/NAME/parameters shows it. */
export function paramText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'Y' : 'N';
  if (Array.isArray(value)) return value.map(paramText).join(',');
  return String(value);
}

function signatureText({ load }: Attempt): string {
  const signature = load?.signature;
  return signature === undefined ? 'not signed' : `signature of ${signatureSize(signature)} bytes found and stripped`;
}

/** Bytes at the end of the file that belong to the signature: message, struct module_signature, marker. */
export const signatureSize = (s: ModuleSignature): number => s.sig_len + 12 + SIGNATURE_MARKER.length;

const dmesg = ({ log }: Attempt): string[] => log.map((line) => `dmesg: ${line}`);

/** What insmod prints, what dmesg shows, and a sentence for people; all but dmesg on stderr unless told otherwise. */
export function failureLines(done: Attempt, opened: OpenKernel, io: Io, say: Io['print'] = io.complain): void {
  const error = done.error!;
  const paint = say === io.print ? io.paint : io.paintError;
  say(paint('red', `insmod: ERROR: could not insert module ${done.file}: ${insmodError(error.errno)}`));
  for (const line of dmesg(done)) io.print(line);
  const step = error.step === undefined ? '' : `, ${error.step}()`;
  say(`    ${error.errno} (${error.ret}), check ${error.check}${step}: ${error.reason}`);
  if (error.crash !== undefined) say(`    a real kernel would have gone down here (${error.crash})`);
  for (const line of hints(done, opened)) say(`    ${line}`);
}

/** What the person at the keyboard can do about symbols that were not found. */
export function hints({ error, log }: Attempt, { exporters, hasSymbols }: OpenKernel): string[] {
  if (error?.step !== 'simplify_symbols') return [];
  const missing = log.flatMap((line) => /: Unknown symbol (\S+) \(err -2\)$/.exec(line)?.[1] ?? []);
  if (missing.length === 0) return [];
  if (!hasSymbols)
    return ["this kernel has no symbols: give --symvers Module.symvers (it comes with the kernel's headers)"];
  const lines: string[] = [];
  for (const symbol of missing) {
    const owner = exporters.get(symbol);
    if (owner !== undefined) lines.push(`${symbol} is exported by ${owner}: load that first, or give --modules DIR`);
  }
  return lines.slice(0, 10);
}

export interface KernelJson {
  readonly arch: string;
  readonly version: string;
  readonly vendor: string;
  readonly vermagic: string | null;
}

export const kernelJson = (k: Kernel): KernelJson => ({
  arch: k.arch.name,
  version: k.version,
  vendor: k.vendor,
  vermagic: k.vermagic ?? null,
});

/** The document of `load --json`. */
export function jsonOf(
  opened: OpenKernel,
  planned: Plan,
  done: readonly Attempt[],
  skipped: readonly Planned[],
): object {
  const { kernel } = opened;
  return {
    kernel: kernelJson(kernel),
    modules: done.filter((d) => d.error === undefined).map(moduleJson),
    failed: done.filter((d) => d.error !== undefined).map((d) => failureJson(d, opened)),
    skipped: skipped.map(({ file, name }) => ({ file, module: name })),
    notes: [...opened.notes, ...planned.notes],
    taints: kernel.taints,
    log: kernel.log,
  };
}

function moduleJson(done: Attempt): object {
  const m = done.module!;
  const signature = done.load?.signature;
  return {
    name: m.name,
    file: done.file,
    state: m.state,
    size: m.size,
    refcnt: m.refcount,
    uses: [...m.targets].map(({ name }) => name),
    usedBy: [...m.sources].map(({ name }) => name),
    taints: m.taintLetters,
    license: m.license,
    version: m.versionString ?? null,
    srcversion: m.srcversion ?? null,
    signature:
      signature === undefined ? null : { bytes: signatureSize(signature), idType: signature.id_type, verified: false },
    relocations: done.load?.relocations ?? 0,
    references: Object.fromEntries([...done.references].map(([owner, n]) => [owner === '' ? 'vmlinux' : owner, n])),
    exports: m.exports.map(({ name }) => name),
    params: Object.fromEntries([...m.params].map(([name, value]) => [name, paramText(value)])),
    regions: placedRegions(m),
    sections: placedSections(m),
    warnings: m.warnings,
  };
}

export function failureJson(done: Attempt, opened: OpenKernel): object {
  const error = done.error!;
  return {
    file: done.file,
    module: done.name ?? null,
    errno: error.errno,
    ret: -errnos[error.errno],
    check: error.check,
    step: error.step ?? null,
    crash: error.crash ?? null,
    log: done.log,
    insmod: insmodError(error.errno),
    reason: error.reason,
    hints: hints(done, opened),
  };
}
