/** What a kernel has made of a module, read at the entry of module_finalize(hdr, sechdrs, mod). */

import { SHF_ALLOC, SHN_UNDEF, SHT_SYMTAB } from '../../relocs/elf.ts';
import { toBase64, type Vector } from '../../testing/vector.ts';
import type { GdbStub } from './gdb-stub.ts';
import { type Shdr, stringAt, type Target } from './target.ts';

/** enum mod_mem_type */
const REGIONS = ['text', 'data', 'rodata', 'ro_after_init', 'init_text', 'init_data', 'init_rodata'];
const STB_WEAK = 2;

type Layout = NonNullable<Vector['layout']>[string];
type Recorded = Omit<Vector, 'id' | 'arch' | 'kernel' | 'elf'>;

/** A module in the middle of its load. */
export interface Stopped {
  readonly name: string;
  readonly sections: readonly Section[];
}

/** The module whose header and section headers lie at these addresses. */
export async function stoppedModule(stub: GdbStub, target: Target, hdr: bigint, sechdrs: bigint): Promise<Stopped> {
  const sections = await readSections(stub, target, hdr, sechdrs);
  const { offset, size } = sections.find(({ name }) => name === '.modinfo')!.shdr;
  const modinfo = (await stub.read(hdr + offset, size)).toString('latin1');
  return { name: /(?:^|\0)name=([^\0]*)/.exec(modinfo)?.[1] ?? '', sections };
}

/** `file` is the module as it was before. */
export async function snapshot(
  stub: GdbStub,
  target: Target,
  { sections }: Stopped,
  file: Uint8Array,
  version: Vector['kernel'],
): Promise<Recorded> {
  const place: Record<string, string> = {};
  const mem: Record<string, { base: string }> = {};
  const layout: Record<string, Layout> = {};
  const bytes: Record<string, string> = {};
  for (const { key, name, shdr } of sections) {
    if ((shdr.flags & SHF_ALLOC) === 0) continue;
    const at = version === '6.1' ? oldPlacement(target, shdr) : placement(target, shdr);
    layout[key] = { ...at, size: shdr.size };
    mem[at.region] = { base: hex(shdr.addr - BigInt(at.offset)) };
    // Of the symbol tables only where they lie is told; struct module has been filled in.
    if (name === '.symtab' || name === '.strtab') continue;
    place[key] = hex(shdr.addr);
    if (name !== '.gnu.linkonce.this_module') bytes[key] = toBase64(await stub.read(shdr.addr, shdr.size));
  }
  const symbols = await readSymbols(stub, target, sections, Buffer.from(file));
  if (symbols.percpu !== undefined) place['.data..percpu'] = hex(symbols.percpu);
  const extra = await headOfText(stub, layout, mem);
  const expect = { ret: 0, log: '', sections: bytes, ...(extra && { extra }) };
  return { place, symbols: symbols.values, mem, layout, expect };
}

interface Section {
  /** Its name, or its number where two have it. */
  readonly key: string;
  readonly name: string;
  readonly shdr: Shdr;
}

async function readSections(stub: GdbStub, target: Target, hdr: bigint, sechdrs: bigint): Promise<Section[]> {
  const ehdr = await stub.read(hdr, target.is64 ? 64 : 52);
  const e_shnum = target.half(ehdr, ehdr.length - 4);
  const e_shstrndx = target.half(ehdr, ehdr.length - 2);
  const table = await stub.read(sechdrs, e_shnum * target.shdrSize);
  const shdrs = Array.from({ length: e_shnum }, (_, i) => target.shdr(table, i * target.shdrSize));
  const shstrtab = shdrs[e_shstrndx]!;
  const strings = await stub.read(hdr + shstrtab.offset, shstrtab.size);
  const names = shdrs.map(({ name }) => stringAt(strings, name));
  return shdrs.map((shdr, i) => {
    const name = names[i]!;
    return { name, shdr, key: names.indexOf(name) === names.lastIndexOf(name) ? name : `#${i}` };
  });
}

/** sh_entsize: the type of memory in the highest four bits, the offset in the rest. */
function placement(target: Target, { entsize }: Shdr): { region: string; offset: number } {
  const bits = target.is64 ? 60 : 28;
  return { region: REGIONS[Number(entsize >> BigInt(bits))]!, offset: Number(BigInt.asUintN(bits, entsize)) };
}

/** 6.1: the highest bit says init. */
function oldPlacement(target: Target, { entsize }: Shdr): { region: string; offset: number } {
  const bits = target.is64 ? 63 : 31;
  return { region: entsize >> BigInt(bits) === 1n ? 'init' : 'core', offset: Number(BigInt.asUintN(bits, entsize)) };
}

/** s390's GOT and PLT lie in front of the first section. */
async function headOfText(
  stub: GdbStub,
  layout: Readonly<Record<string, Layout>>,
  mem: Readonly<Record<string, { base: string }>>,
): Promise<Record<string, string> | undefined> {
  const region = mem['text'] === undefined ? 'core' : 'text';
  const base = mem[region]?.base;
  const size = Math.min(...Object.values(layout).map((at) => (at.region === region ? at.offset : Infinity)));
  if (base === undefined || size === 0) return undefined;
  return { [`#mem.${region}.head`]: toBase64(await stub.read(BigInt(base), size)) };
}

/** Values that the kernel gave undefined symbols, and mod->percpu by the symbols that are relative to it. */
async function readSymbols(
  stub: GdbStub,
  target: Target,
  sections: readonly Section[],
  file: Buffer,
): Promise<{ values: Record<string, string>; percpu: bigint | undefined }> {
  const index = sections.findIndex(({ shdr }) => shdr.type === SHT_SYMTAB);
  const { shdr } = sections[index]!;
  const strtab = sections[shdr.link]!.shdr;
  const table = await stub.read(shdr.addr, shdr.size);
  const strings = await stub.read(strtab.addr, strtab.size);
  const e_shoff = Number(target.address(file, target.is64 ? 40 : 32));
  const before = Number(target.shdr(file, e_shoff + index * target.shdrSize).offset);
  const pcpu = sections.findIndex(({ name }) => name === '.data..percpu');
  const values: Record<string, string> = {};
  let percpu: bigint | undefined;
  for (let at = target.symSize; at < table.length; at += target.symSize) {
    const { name, info, shndx, value } = target.sym(table, at);
    if (pcpu > 0 && shndx === pcpu)
      percpu = BigInt.asUintN(target.is64 ? 64 : 32, value - target.sym(file, before + at).value);
    if (shndx !== SHN_UNDEF || (info >> 4 === STB_WEAK && value === 0n)) continue;
    values[stringAt(strings, name)] = hex(value);
  }
  return { values, percpu };
}

const hex = (n: bigint): string => `0x${n.toString(16)}`;
