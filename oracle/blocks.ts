/**
 * Basic blocks of the handlers, and which of them ran. The compiler calls a function of the harness at the head of each
 * (-fsanitize-coverage=trace-pc, as the kernel's KCOV has it), which keeps the addresses it was called from.
 */
import { resolve } from 'node:path';
import { execute } from './execute.ts';
import type { Toolchain } from './toolchain.ts';

/** A basic block: instructions that run from the first to the last, or not at all. */
export interface Block {
  /** Where the harness returns to when the block calls it, in hexadecimal. */
  readonly address: string;
  /** Path in the kernel tree. */
  readonly file: string;
  readonly line: number;
  /** The function of the program that it is part of. */
  readonly function: string;
}

/** Flags after those of the kernel for the files whose blocks are counted. */
export const blockFlags = (tools: Toolchain): string =>
  // A call in the place of a return would tell the address of another caller.
  `-g -gdwarf-5 -fno-optimize-sibling-calls -fsanitize-coverage=${tools.llvm ? 'bb,no-prune,' : ''}trace-pc`;

const TRACER = '__sanitizer_cov_trace_pc';

/** Handlers proper: other files that ports are made of belong to the kernel's libraries. */
export const isHandler = (source: string): boolean => /\/kernel\/module[^/]*\.c$/.test(source);

/** A file of the program whose blocks are counted. */
export interface Counted {
  /** Path in the kernel tree. */
  readonly source: string;
  /** What was compiled. */
  readonly file: string;
}

/** Blocks of a linked program, in order of address. Undefined when these tools cannot tell. */
export async function blocksOf(
  program: string,
  counted: readonly Counted[],
  tools: Toolchain,
): Promise<Block[] | undefined> {
  const sites = await callSites(program, tools);
  if (sites === undefined || sites.length === 0) return undefined;
  const addresses = sites.map((site) => `0x${site.toString(16)}`);
  const asked = await execute(tools.tool('addr2line'), ['-e', program, '-a', '-f', '-i', ...addresses]);
  if (asked.status !== 0) return undefined;
  const blocks: Block[] = [];
  for (const part of asked.text.split(/^(?=0x[0-9a-f]+$)/m)) {
    const [address = '', ...lines] = part.trimEnd().split('\n');
    // Name and place of the function, then of the one it was inlined into, and so on.
    const frames = Array.from({ length: lines.length >> 1 }, (_, i) => ({
      name: lines[2 * i] ?? '',
      place: /^(.*):(\d+)/.exec(lines[2 * i + 1] ?? ''),
    }));
    for (const { place } of frames) {
      const [, path = '', line] = place ?? [];
      const of = counted.find(
        ({ source, file }) => path.endsWith(`/${source}`) || path === source || resolve(path) === file,
      );
      if (of === undefined || Number(line) === 0) continue;
      blocks.push({
        address: `0x${BigInt(address).toString(16)}`,
        file: of.source,
        line: Number(line),
        function: frames.at(-1)?.name ?? '',
      });
      break;
    }
  }
  return blocks;
}

/** Where each call of the tracer returns to, ascending; to a few bytes. */
async function callSites(program: string, tools: Toolchain): Promise<bigint[] | undefined> {
  const listed = tools.llvm ? undefined : await fromDebugInformation(program, tools);
  const sites = listed ?? (await fromInstructions(program, tools));
  return sites?.toSorted((a, b) => (a < b ? -1 : 1));
}

/** GCC lists where calls return to, also those by way of a register. */
async function fromDebugInformation(program: string, tools: Toolchain): Promise<bigint[] | undefined> {
  const dumped = await execute(tools.tool('objdump'), ['--dwarf=info', program]);
  if (dumped.status !== 0) return undefined;
  const tracers = new Set<string>();
  const calls: { readonly origin: string; readonly back: bigint }[] = [];
  for (const entry of dumped.text.split(/^(?= *<[0-9a-f]+><[0-9a-f]+>:)/m)) {
    const [, number = ''] = /^ *<[0-9a-f]+><([0-9a-f]+)>:/.exec(entry) ?? [];
    if (entry.includes('(DW_TAG_call_site)')) {
      const [, back] = /DW_AT_call_return_pc *: (0x[0-9a-f]+)/.exec(entry) ?? [];
      const [, origin] = /DW_AT_call_origin *: <(?:0x)?([0-9a-f]+)>/.exec(entry) ?? [];
      if (back !== undefined && origin !== undefined) calls.push({ origin, back: BigInt(back) });
    } else if (entry.includes(TRACER)) tracers.add(number);
  }
  const sites = calls.filter(({ origin }) => tracers.has(origin)).map(({ back }) => back);
  return sites.length === 0 ? undefined : sites;
}

async function fromInstructions(program: string, tools: Toolchain): Promise<bigint[] | undefined> {
  const dumped = await execute(tools.tool('objdump'), ['-d', '--no-show-raw-insn', program]);
  if (dumped.status !== 0) return undefined;
  const [, start = ''] = new RegExp(`^0*([0-9a-f]+) <\\.?${TRACER}>:`, 'm').exec(dumped.text) ?? [];
  const call = new RegExp(`<\\.?${TRACER}(\\+0x[0-9a-f]+)?>$|\\bcall 0x${start}\\b`);
  const instructions = Array.from(dumped.text.matchAll(/^ *([0-9a-f]+):(.*)$/gm), ([, at, text = '']) => ({
    at: BigInt(`0x${at}`),
    text: text.trimEnd(),
  }));
  return instructions.flatMap(({ text }, i) => {
    if (!call.test(text)) return [];
    // The next instruction; of hexagon, the next packet.
    let next = i + 1;
    while (dumped.text.includes('{') && next < instructions.length && !instructions[next]!.text.includes('{')) next++;
    return instructions[next] === undefined ? [] : [instructions[next]!.at];
  });
}

/** What ran of the handlers. */
export interface BlockCoverage {
  /** Blocks of the functions that ran at all. */
  readonly total: number;
  readonly reached: number;
  /** 'arch/…/module.c:214', of functions that ran, in order. */
  readonly notReached: readonly string[];
  /** Functions that never ran, and their blocks. */
  readonly neverRun: ReadonlyMap<string, number>;
}

/** Bytes by which debug information and processor may differ about where a call returns to: ppc64 counts a nop. */
const LOOSE = 8;

/** `reached`: addresses that calls of the tracer return to. */
export function blockCoverage(blocks: readonly Block[], reached: Iterable<bigint>): BlockCoverage {
  const byAddress = new Map(blocks.map((block) => [BigInt(block.address), block]));
  const hit = new Set<Block>();
  for (const address of reached) {
    const near = Array.from({ length: LOOSE + 1 }, (_, by) => [address - BigInt(by), address + BigInt(by)]).flat();
    const at = near.find((place) => byAddress.has(place));
    if (at !== undefined) hit.add(byAddress.get(at)!);
  }
  const ran = new Set([...hit].map((block) => block.function));
  const inRun = blocks.filter((block) => ran.has(block.function));
  const missed = inRun.filter((block) => !hit.has(block));
  const neverRun = new Map<string, number>();
  for (const block of blocks)
    if (!ran.has(block.function)) neverRun.set(block.function, (neverRun.get(block.function) ?? 0) + 1);
  const lines = missed.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  return {
    total: inRun.length,
    reached: hit.size,
    notReached: [...new Set(lines.map((block) => `${block.file}:${block.line}`))],
    neverRun,
  };
}
