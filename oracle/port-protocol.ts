/** Cases and outcomes as bytes: docs/port-protocol.md. */

/** mem[] of struct module, in the order of enum mod_mem_type. A kernel with two blobs takes text and init_text. */
export const portRegions = [
  'text',
  'data',
  'rodata',
  'ro_after_init',
  'init_text',
  'init_data',
  'init_rodata',
] as const;
export type PortRegion = (typeof portRegions)[number];

/** Where a case that did not load ended. */
export type PortStage = 'frob' | 'symbols' | 'relocate' | 'finalize';

/** 'BUG', 'WARN' (of objects that cannot go on after one), 'signal 11', 'timeout', 'flood'. */
export type PortCrash = string;

/** One module to be linked, and everything the outcome depends on. */
export interface PortCase {
  /** The architecture's variant, as `variant` of a recorded vector. Default 0. */
  readonly flags?: number;
  /** Whether module_finalize() runs after the relocations. Default false. */
  readonly finalize?: boolean;
  /** parisc: r27. Default 0. */
  readonly dp?: bigint;
  /** Base and size of the module's memory. */
  readonly mem: Readonly<Partial<Record<PortRegion, { readonly base: bigint; readonly size: number }>>>;
  /** Section number → final address, of every SHF_ALLOC section. `.data..percpu`: what its symbols are relative to. */
  readonly places: ReadonlyMap<number, bigint>;
  /** Symbol number → value, of every SHN_UNDEF symbol that is found. */
  readonly symbols: ReadonlyMap<number, bigint>;
  readonly elf: Uint8Array;
}

/** What a port made of a case. */
export interface PortOutcome {
  /** 0, a negative errno, or 'crash'. */
  readonly ret: number | 'crash';
  /** Undefined when ret is 0 or 'crash'. */
  readonly stage: PortStage | undefined;
  /** Set when ret is 'crash'. */
  readonly crash: PortCrash | undefined;
  /** WARN_ONs. */
  readonly warns: number;
  /** Level prefixes stripped, newlines kept. */
  readonly log: string;
  /** Section number → bytes of every SHF_ALLOC section after the case; empty after a crash and after stage 'frob'. */
  readonly sections: ReadonlyMap<number, Uint8Array>;
  /** '#mem.text.head', 'SECTION#stubs' → bytes. */
  readonly extra: ReadonlyMap<string, Uint8Array>;
  /** Addresses of what ran for the first time in this child, by a port that counts its blocks. */
  readonly reached?: readonly bigint[];
}

/** The name among the extras under which a port tells what ran. */
export const REACHED = '#reached';

/** u64 after u64. */
function addresses(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 3 }, (_, i) => view.getBigUint64(8 * i, true));
}

/** The port said something that is no outcome. */
export class PortProtocolError extends Error {
  override readonly name: string = 'PortProtocolError';
}

const MAGIC_CASE = 0x314d4f4b;
const MAGIC_OUTCOME = 0x324d4f4b;
/** Among the flags of a case; the others are the variant. */
export const FLAG_FINALIZE = 0x8000_0000;
const STAGES: readonly (PortStage | undefined)[] = [undefined, 'frob', 'symbols', 'relocate', 'finalize'];
/** A crash of this value and more is a signal that the port caught: value minus this. */
const CAUGHT = 0x100;

/** `sequence` is given back with the outcome. */
export function packCase(c: PortCase, sequence: number): Uint8Array {
  const tables = 4 + c.places.size * 12 + 4 + c.symbols.size * 12;
  const bytes = new Uint8Array(20 + portRegions.length * 16 + tables + 4 + c.elf.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const u64 = (value: bigint): void => {
    view.setBigUint64(at, value, true);
    at += 8;
  };
  u32(MAGIC_CASE);
  u32(sequence);
  u32(((c.flags ?? 0) | (c.finalize === true ? FLAG_FINALIZE : 0)) >>> 0);
  u64(c.dp ?? 0n);
  for (const region of portRegions) {
    const { base, size } = c.mem[region] ?? { base: 0n, size: 0 };
    u64(base);
    u64(BigInt(size));
  }
  for (const table of [c.places, c.symbols]) {
    u32(table.size);
    for (const [number, value] of table) {
      u32(number);
      u64(value);
    }
  }
  u32(c.elf.length);
  bytes.set(c.elf, at);
  return bytes;
}

/** The bytes of an outcome end before it does. */
class Short extends Error {}

/** Reads one outcome from the front of `bytes`: undefined when more bytes are needed. Throws PortProtocolError. */
export function unpackOutcome(
  bytes: Uint8Array,
  sequence: number,
): { readonly outcome: PortOutcome; readonly length: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (size: number): number => {
    if (size > bytes.length - at) throw new Short();
    at += size;
    return at - size;
  };
  const u32 = (): number => view.getUint32(take(4), true);
  const blob = (): Uint8Array => {
    const start = take(u32());
    // A copy, and no Buffer: slice() of one shares its memory.
    return new Uint8Array(bytes.subarray(start, at));
  };
  try {
    const magic = u32();
    if (magic !== MAGIC_OUTCOME) throw new PortProtocolError(`no outcome, but ${quote(bytes)}`);
    const number = u32();
    if (number !== sequence) throw new PortProtocolError(`outcome of case ${number} where ${sequence} was due`);
    const ret = u32() | 0;
    const stage = STAGES[u32()];
    const crash = u32();
    const warns = u32();
    const log = new TextDecoder().decode(blob());
    const sections = new Map<number, Uint8Array>();
    for (let n = u32(); n > 0; n--) sections.set(u32(), blob());
    const extra = new Map<string, Uint8Array>();
    for (let n = u32(); n > 0; n--) extra.set(new TextDecoder().decode(blob()), blob());
    const told = extra.get(REACHED);
    extra.delete(REACHED);
    const reached = told === undefined ? {} : { reached: addresses(told) };
    const outcome: PortOutcome =
      crash === 0
        ? { ret, stage: ret === 0 ? undefined : stage, crash: undefined, warns, log, sections, extra, ...reached }
        : {
            ret: 'crash',
            stage: undefined,
            crash: crash >= CAUGHT ? `signal ${crash - CAUGHT}` : crash === 2 ? 'WARN' : 'BUG',
            warns,
            log,
            sections,
            extra,
            ...reached,
          };
    return { outcome, length: at };
  } catch (error) {
    if (error instanceof Short) return undefined;
    throw error;
  }
}

const quote = (bytes: Uint8Array): string => JSON.stringify(new TextDecoder('latin1').decode(bytes.subarray(0, 48)));
