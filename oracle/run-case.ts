/** One case at the reference, and at a port. */
import { run, type Outcome } from '../testing/replay.ts';
import { toBase64, type Vector } from '../testing/vector.ts';
import type { Version } from '../relocs/module-view.ts';
import { type CaseFile, saidOfReference, unlike, vectorOfCase } from './case-file.ts';
import { type Answering, differencesOf } from './verify.ts';
import { expectOf, portCaseOf } from './vector-case.ts';
import type { Difference } from '../testing/replay.ts';

export interface CaseRun {
  /** `expect` is what the port did; without a port, what the reference did. */
  readonly vector: Vector;
  readonly outcome: Outcome;
  /** Between reference and port. */
  readonly differences: readonly Difference[];
  /** What came otherwise than the file says, at the reference and at the port. Undefined when it says nothing. */
  readonly unlike: { readonly reference: readonly string[]; readonly port: readonly string[] } | undefined;
}

/** What the reference made of a case, as a vector says it. */
function told({ ret, stage, crash, warns, log, module: m }: Outcome): Vector['expect'] {
  const region = m.memory.text === undefined ? 'core' : 'text';
  const head = m.memory[region]?.bytes;
  return {
    ret,
    ...(stage === undefined ? {} : { stage }),
    ...(crash === undefined ? {} : { crash }),
    warns,
    log,
    sections: Object.fromEntries(m.sections.map((s) => [s.name, toBase64(s.bytes.subarray(0, s.sh_size))])),
    extra: head === undefined ? {} : { [`#mem.${region}.head`]: toBase64(head) },
  };
}

/** Throws CaseFileError, and PortError when the port cannot be run. */
export async function runCase(c: CaseFile, version: Version, port?: Answering): Promise<CaseRun> {
  const given = vectorOfCase(c, version);
  const outcome = run(given, { relocation: () => {} });
  const said = c.expect[version];
  const reference = said === undefined ? [] : unlike(saidOfReference(said), told(outcome));
  if (port === undefined)
    return {
      vector: { ...given, expect: told(outcome) },
      outcome,
      differences: [],
      unlike: said && { reference, port: [] },
    };
  const [answer] = await port.run([portCaseOf(given)]);
  const vector = { ...given, expect: expectOf(given, answer!) };
  return {
    vector,
    outcome,
    differences: differencesOf(vector, outcome),
    unlike: said && { reference, port: unlike(said, vector.expect) },
  };
}
