/** A 64-bit RELA module made by hand, without an ELF file: sections at their addresses, symbols with their values. */
import { type Arch, configOf } from '../../arch/index.ts';
import { applySection } from '../../relocs/apply.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_RELA } from '../../relocs/elf.ts';
import { Entries } from '../../relocs/entries.ts';
import type { Config, ModuleView, Version } from '../../relocs/module-view.ts';
import { Refusal } from '../../relocs/refusal.ts';
import type { Section } from '../../relocs/section.ts';
import { Symtab } from '../../relocs/symbols.ts';

/** [r_offset, type, symbol number, r_addend] */
export type Rela = readonly [offset: number | bigint, type: number, sym: number, addend?: bigint];

export interface HandMade {
  readonly arch: Arch;
  readonly version?: Version;
  readonly config?: Config;
  readonly little?: boolean;
  /** Numbered from 1 on in this order. `flags`: default SHF_ALLOC | SHF_EXECINSTR. */
  readonly sections: readonly {
    readonly name: string;
    readonly at?: bigint;
    readonly bytes?: Uint8Array;
    readonly flags?: number;
    readonly relas?: readonly Rela[];
  }[];
  /** Numbered from 1 on; no st_shndx is SHN_UNDEF. */
  readonly symbols?: readonly { readonly value: bigint; readonly shndx?: number }[];
  /** No symbol table at all. */
  readonly stripped?: boolean;
}

export interface Outcome {
  /** 'ok', an errno, or the crash. */
  readonly result: string;
  readonly log: readonly string[];
  readonly warns: number;
}

/** What a hook, or relocating, did to a module. */
export class Loading {
  readonly module: ModuleView;
  readonly arch: Arch;
  private readonly log: string[] = [];
  private warns = 0;
  private readonly places: ReadonlyMap<string, bigint>;

  constructor(spec: HandMade) {
    const little = spec.little ?? true;
    const format = { is64: true, little };
    const sections: Section[] = [section(0, '', SHT_NULL, 0, 0, new Uint8Array(0))];
    const add = (name: string, type: number, flags: number, info: number, bytes: Uint8Array): void => {
      sections.push(section(sections.length, name, type, flags, info, bytes));
    };
    for (const { name, bytes = new Uint8Array(1), flags = SHF_ALLOC | SHF_EXECINSTR } of spec.sections)
      add(name, SHT_PROGBITS, flags, 0, bytes.slice());
    for (const [i, { name, relas }] of spec.sections.entries())
      if (relas) add(`.rela${name}`, SHT_RELA, 0, i + 1, relaBytes(relas, little));

    const version = spec.version ?? '7.2';
    this.arch = spec.arch;
    this.places = new Map(spec.sections.map(({ name, at = 0n }) => [name, at]));
    const symtab = new Symtab(format, symBytes(spec.symbols ?? [], little), new Uint8Array(1));
    this.module = {
      name: 'm',
      format,
      e_machine: spec.arch.e_machine[0]!,
      e_flags: 0,
      sections,
      symtab: spec.stripped ? undefined : symtab,
      version,
      config: { ...configOf(spec.arch, version), ...spec.config },
      memory: {},
      log: (line) => this.log.push(line),
      warn: () => this.warns++,
      withinInit: (address) => sections.some((s) => s.name.startsWith('.init') && within(s, address)),
      isInitLayout: (name) => name.startsWith('.init'),
    };
  }

  section(name: string): Section {
    return this.module.sections.find((s) => s.name === name)!;
  }

  /** Instruction words of a section, as the processor reads them. */
  words(name: string): string[] {
    const { bytes } = this.section(name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length >> 2 }, (_, i) =>
      view
        .getUint32(i * 4, true)
        .toString(16)
        .padStart(8, '0'),
    );
  }

  /** module_frob_arch_sections() */
  frob(): Outcome {
    return this.outcome(() => this.arch.frobSections?.(this.module));
  }

  /** module_finalize() */
  finalize(): Outcome {
    return this.outcome(() => this.arch.finalize?.(this.module));
  }

  /** move_module(), then apply_relocate_add() of every SHT_RELA section. `place`: addresses, when not those given. */
  relocate(place?: (name: string) => bigint, apply: typeof applySection = applySection): Outcome {
    for (const s of this.module.sections) {
      const at = this.places.get(s.name);
      if (at === undefined) continue;
      s.sh_addr = place?.(s.name) ?? at;
      if (s.sh_type === SHT_NOBITS) s.bytes = new Uint8Array(s.sh_size);
    }
    return this.outcome(() => {
      const { module, arch } = this;
      for (const s of module.sections) {
        if (s.sh_type !== SHT_RELA) continue;
        const entries = new Entries(module.format, true, s.bytes);
        const target = module.sections[s.sh_info]!;
        apply({ module, rules: arch.rules, section: s, entries, target, symtab: module.symtab! });
      }
    });
  }

  private outcome(run: () => void): Outcome {
    const from = this.log.length;
    let result = 'ok';
    try {
      run();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      result = error.crash ?? error.errno;
    }
    return { result, log: this.log.slice(from), warns: this.warns };
  }
}

// biome-ignore format: what a header has
const section = (
  index: number, name: string, sh_type: number, sh_flags: number, sh_info: number, bytes: Uint8Array,
): Section => ({
  index, name, sh_name: 0, sh_type, sh_flags, sh_addr: 0n, sh_offset: 0, sh_size: bytes.length, sh_link: 0, sh_info,
  sh_addralign: 4, sh_entsize: 0n, bytes,
});

const within = (s: Section, address: bigint): boolean =>
  address >= s.sh_addr && address < s.sh_addr + BigInt(s.bytes.length);

function relaBytes(relas: readonly Rela[], little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(relas.length * 24));
  for (const [i, [offset, type, sym, addend = 0n]] of relas.entries()) {
    view.setBigUint64(i * 24, BigInt(offset), little);
    view.setBigUint64(i * 24 + 8, (BigInt(sym) << 32n) | BigInt(type), little);
    view.setBigInt64(i * 24 + 16, addend, little);
  }
  return new Uint8Array(view.buffer);
}

function symBytes(symbols: readonly { value: bigint; shndx?: number }[], little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer((symbols.length + 1) * 24));
  for (const [i, { value, shndx = 0 }] of symbols.entries()) {
    view.setUint16(i * 24 + 30, shndx, little);
    view.setBigUint64(i * 24 + 32, BigInt.asUintN(64, value), little);
  }
  return new Uint8Array(view.buffer);
}
