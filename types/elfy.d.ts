// elfy 1.0.0 publishes no types. Declared as it behaves, defects included: see the guarding wrapper in loader/.
// It is CommonJS without detectable named exports: import it as `import elfy from 'elfy'`.

declare module 'elfy' {
  const elfy: {
    /**
     * Parses a whole ELF file. Throws Error, TypeError, RangeError or AssertionError on bad input, and only some of it.
     * Never trust it with bounds.
     */
    parse(buf: elfy.Bytes): elfy.File;
  };

  namespace elfy {
    /** What the parser asks of its input. A Node Buffer has it; a plain Uint8Array does not. */
    interface Bytes {
      readonly length: number;
      readonly [index: number]: number;
      /** A view, not a copy; ends past the input are cut in silence. */
      slice(start: number, end: number): Bytes;
      /** UTF-8 text of all the bytes. */
      toString(): string;
      readUInt8(offset: number): number;
      readInt8(offset: number): number;
      readUInt16LE(offset: number): number;
      readUInt16BE(offset: number): number;
      readInt16LE(offset: number): number;
      readInt16BE(offset: number): number;
      readUInt32LE(offset: number): number;
      readUInt32BE(offset: number): number;
      readInt32LE(offset: number): number;
      readInt32BE(offset: number): number;
    }

    /** Names of set bits; a bit without a name appears as its decimal value. Bits 31 and up are lost. */
    type Flags = Readonly<Record<string, true>>;

    interface File {
      readonly class: '32' | '64';
      readonly endian: 'lsb' | 'msb';
      readonly version: number;
      /** Taken from the wrong byte. */
      readonly osabi: string | undefined;
      /** Taken from the wrong byte. */
      readonly abiversion: string | undefined;
      /** undefined when elfy has no name for it. */
      readonly type: string | undefined;
      /** undefined when elfy has no name for it: RISC-V, LoongArch, Alpha and more. */
      readonly machine: string | undefined;
      /** A double: exact only below 2^53, like every 64-bit field here. */
      readonly entry: number;
      readonly phoff: number;
      readonly shoff: number;
      readonly flags: number;
      readonly ehsize: number;
      readonly phentsize: number;
      readonly phnum: number;
      readonly shentsize: number;
      readonly shnum: number;
      readonly shstrndx: number;
      readonly body: { readonly programs: readonly Program[]; readonly sections: readonly Section[] };
    }

    interface Program {
      readonly type: string | undefined;
      readonly offset: number;
      readonly vaddr: number;
      readonly paddr: number;
      readonly filesz: number;
      readonly memsz: number;
      readonly flags: Flags;
      readonly align: number;
      readonly data: Bytes;
    }

    interface Section {
      readonly name: string;
      /** elfy's name of the type, or the number where it has none. */
      readonly type: string | number;
      readonly flags: Flags;
      readonly addr: number;
      readonly off: number;
      readonly size: number;
      readonly link: number;
      readonly info: number;
      /** Wrong for ELF64: read two bytes early. */
      readonly addralign: number;
      /** Wrong for ELF64: read two bytes early. */
      readonly entsize: number;
      /** File bytes even for SHT_NOBITS. */
      readonly data: Bytes;
    }
  }

  export = elfy;
}
