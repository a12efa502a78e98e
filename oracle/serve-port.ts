/** The other end of docs/port-protocol.md: what makes a function of TypeScript a port. */
import type { Readable, Writable } from 'node:stream';
import { FLAG_FINALIZE, type PortCase, type PortOutcome, portRegions, REACHED } from './port-protocol.ts';

/** What a port says of a case; it cannot tell its own death. */
export type Answer = Omit<PortOutcome, 'ret' | 'crash'> & { readonly ret: number | 'crash' };

const [MAGIC_CASE, MAGIC_OUTCOME] = [0x314d4f4b, 0x324d4f4b];
const STAGES = [undefined, 'frob', 'symbols', 'relocate', 'finalize'] as const;

/** Answers cases until `input` ends. Throws when what comes is no case. */
export async function servePort(answer: (c: PortCase) => Answer, input: Readable, output: Writable): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const data of input as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
    for (;;) {
      const read = unpackCase(rest);
      if (read === undefined) break;
      rest = rest.subarray(read.length);
      output.write(packOutcome(answer(read.given), read.number));
    }
  }
}

/** One case from the front of `bytes`: undefined when more are needed. */
function unpackCase(
  bytes: Buffer,
): { readonly given: PortCase; readonly number: number; readonly length: number } | undefined {
  let at = 0;
  const u32 = (): number => bytes.readUInt32LE((at += 4) - 4);
  const u64 = (): bigint => bytes.readBigUInt64LE((at += 8) - 8);
  try {
    if (u32() !== MAGIC_CASE) throw new Error('this is no case of the port protocol');
    const number = u32();
    const all = u32();
    const [flags, finalize] = [all & ~FLAG_FINALIZE, (all & FLAG_FINALIZE) !== 0];
    const dp = u64();
    const mem = Object.fromEntries(portRegions.map((name) => [name, { base: u64(), size: Number(u64()) }]));
    const table = (): Map<number, bigint> => {
      const map = new Map<number, bigint>();
      for (let n = u32(); n > 0; n--) map.set(u32(), u64());
      return map;
    };
    const [places, symbols] = [table(), table()];
    const size = u32();
    if (bytes.length < at + size) return undefined;
    return {
      given: { flags, finalize, dp, mem, places, symbols, elf: bytes.subarray(at, at + size) },
      number,
      length: at + size,
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function packOutcome({ ret, stage, warns, log, sections, extra, reached = [] }: Answer, number: number): Buffer {
  const parts: Buffer[] = [];
  const u32 = (...values: readonly number[]): void => {
    const buffer = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) buffer.writeUInt32LE(value >>> 0, 4 * i);
    parts.push(buffer);
  };
  const blob = (bytes: Uint8Array): void => {
    u32(bytes.length);
    parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  };
  const crashed = ret === 'crash';
  u32(MAGIC_OUTCOME, number, crashed ? 0 : ret, Math.max(STAGES.indexOf(stage), 0), crashed ? 1 : 0, warns);
  blob(Buffer.from(log));
  u32(sections.size);
  for (const [index, bytes] of sections) {
    u32(index);
    blob(bytes);
  }
  u32(extra.size + (reached.length > 0 ? 1 : 0));
  if (reached.length > 0) {
    blob(Buffer.from(REACHED));
    blob(new Uint8Array(new BigUint64Array(reached).buffer));
  }
  for (const [name, bytes] of extra) {
    blob(Buffer.from(name));
    blob(bytes);
  }
  return Buffer.concat(parts);
}
