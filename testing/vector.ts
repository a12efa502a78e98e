/** A recorded case of ground truth: a module, where it lies, and what the kernel made of it. */

/** Values in JSON are "0x…" strings; bytes are base64. */
export interface Vector {
  readonly id: string;
  /** Informative; the ELF header decides. */
  readonly arch: string;
  readonly kernel: '6.1' | '6.12' | '7.2';
  readonly elf: string;
  readonly place: Readonly<Record<string, string>>;
  readonly symbols: Readonly<Record<string, string>>;
  readonly mem?: Readonly<Record<string, { readonly base: string; readonly size?: number }>>;
  readonly config?: string;
  /** Switches of the kernel's configuration that are not as the profile has them, without CONFIG_. */
  readonly switches?: Readonly<Record<string, boolean>>;
  readonly variant?: number;
  readonly flavour?: 'REL' | 'RELA';
  readonly dp?: string;
  readonly cls?: string;
  readonly types?: readonly number[];
  readonly layout?: Readonly<
    Record<string, { readonly region: string; readonly offset: number; readonly size: number }>
  >;
  /** module_finalize() ran after the relocations. */
  readonly finalize?: boolean;
  readonly expect: {
    readonly ret: number | 'crash';
    readonly stage?: 'frob' | 'symbols' | 'relocate' | 'finalize';
    readonly crash?: string;
    readonly warns?: number;
    readonly log?: string;
    readonly sections?: Readonly<Record<string, string>>;
    /** Bytes of memory that belongs to no section. */
    readonly extra?: Readonly<Record<string, string | { readonly addr: string; readonly data: string }>>;
  };
}

/** Reads a .jsonl text; blank lines are passed over. */
export function parseVectors(text: string): Vector[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Vector);
}

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const b of bytes) binary += String.fromCharCode(b);
  return btoa(binary);
}
