/** `komulator port run`: cases from files, at the reference and at a port, side by side. */
import { readFile } from 'node:fs/promises';
import { type CaseFile, CaseFileError, parseCaseFile } from '../../oracle/case-file.ts';
import { type ChangedBytes, changedBytes } from '../../oracle/changed-bytes.ts';
import { relocationFacts } from '../../oracle/relocation-facts.ts';
import { type CaseRun, runCase } from '../../oracle/run-case.ts';
import { InputError } from '../../loader/input-error.ts';
import { type Version, versions } from '../../relocs/module-view.ts';
import { fileError } from '../file-error.ts';
import { type Exit, exit, hex, type Io, toJson } from '../io.ts';
import { withFailures } from './failure.ts';
import { type OpenPort, openPort, type PortOptions } from './open.ts';
import { ending, relocationLines, shown } from './reporters.ts';

export interface RunCommand extends PortOptions {
  readonly json?: boolean;
}

export const portRun = (files: readonly string[], options: RunCommand, io: Io): Promise<Exit> =>
  withFailures(options.json === true, io, async () => {
    let well = true;
    const documents: unknown[] = [];
    for (const file of files) {
      const c = await read(file);
      const port =
        options.kernelTree === undefined && options.exec === undefined
          ? undefined
          : await openPort({ ...options, arch: c.arch }, io);
      try {
        const version = port?.range.version ?? options.kernel ?? newest(c);
        const ran = await attempt(file, () => runCase(c, version, port?.process));
        const good =
          ran.differences.length === 0 && (ran.unlike?.reference.length ?? 0) + (ran.unlike?.port.length ?? 0) === 0;
        well &&= good;
        if (options.json === true) documents.push(documentOf(file, c, version, port, ran));
        else for (const line of lines(file, c, version, port, ran, io)) io.print(line);
      } finally {
        await port?.process.close();
      }
    }
    if (options.json === true) io.print(toJson({ cases: documents }));
    return well ? exit.well : exit.findings;
  });

async function read(file: string): Promise<CaseFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(file, error);
  }
  return attempt(file, () => parseCaseFile(text));
}

/** What is wrong with a file is said with its name. */
async function attempt<T>(file: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof CaseFileError)) throw error;
    throw new InputError(`${file}: ${error.message}`, { file, cause: error });
  }
}

const newest = (c: CaseFile): Version => versions.findLast((v) => c.expect[v] !== undefined) ?? '7.2';

function lines(
  file: string,
  c: CaseFile,
  version: Version,
  port: OpenPort | undefined,
  ran: CaseRun,
  io: Io,
): string[] {
  const { vector, outcome, differences } = ran;
  const { ret, stage, crash, warns, log } = outcome;
  const { expect } = vector;
  const relocations = relocationFacts(vector, outcome);
  const wrong = [
    ...(ran.unlike?.reference ?? []).map((line) => `reference: ${line}`),
    ...(ran.unlike?.port ?? []).map((line) => `port: ${line}`),
  ];
  return [
    io.paint('bold', `${c.arch} ${version}: ${c.title}`),
    ...relocations.flatMap((r, i) => relocationLines(r, i, port !== undefined)),
    ...changedBytes(vector, outcome, relocations).map((found) => changedLine(found, port !== undefined)),
    ...ending('reference', { ret, stage, crash, warns, log }),
    ...(port === undefined
      ? []
      : [
          ...ending('port', {
            ret: expect.ret,
            stage: expect.stage,
            crash: expect.crash,
            warns: expect.warns ?? 0,
            log: expect.log ?? '',
          }),
          `             ${port.what}`,
        ]),
    ...differences.map((d) => io.paint('red', `  ${d.what}: reference ${shown(d.actual)}, port ${shown(d.expected)}`)),
    ...(ran.unlike === undefined
      ? [`  ${file} says nothing of ${version}`]
      : wrong.length === 0
        ? [io.paint('green', `  as ${file} says of ${version}`)]
        : wrong.map((line) => io.paint('red', `  not as ${file} says of ${version}: ${line}`))),
  ];
}

/** Of a longer run that many bytes are shown. */
const SHOWN = 32;

const hexOf = (b: Uint8Array): string => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');

const shownBytes = (b: Uint8Array | undefined): string => {
  if (b === undefined) return '(not told)';
  if (b.length === 0) return '(none)';
  const text = hexOf(b.subarray(0, SHOWN));
  return b.length > SHOWN ? `${text}… (${b.length} bytes)` : text;
};

/** What no relocation names, and changed. */
const changedLine = ({ section, offset, before, reference, port }: ChangedBytes, told: boolean): string =>
  `  also changed: ${section}+${hex(offset)}  before ${shownBytes(before)}  reference ${shownBytes(reference)}${told ? `  port ${shownBytes(port)}` : ''}`;

const documentOf = (
  file: string,
  c: CaseFile,
  kernel: Version,
  port: OpenPort | undefined,
  { vector, outcome, differences, unlike }: CaseRun,
): unknown => ({
  file,
  title: c.title,
  arch: c.arch,
  kernel,
  reference: { ret: outcome.ret, stage: outcome.stage, crash: outcome.crash, warns: outcome.warns, log: outcome.log },
  port: port === undefined ? null : { what: port.what, ...vector.expect },
  alsoChanged: changedBytes(vector, outcome, relocationFacts(vector, outcome)).map((found) => ({
    section: found.section,
    offset: found.offset,
    before: hexOf(found.before),
    reference: found.reference === undefined ? null : hexOf(found.reference),
    port: port === undefined || found.port === undefined ? null : hexOf(found.port),
  })),
  differences,
  unlike: unlike ?? null,
});
