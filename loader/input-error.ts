/** What an InputError knows beside its sentence. */
export interface InputErrorPlace {
  /** Name of the input, when the reader knows it. */
  readonly file?: string;
  /** 1-based line of a text input. */
  readonly line?: number;
  readonly cause?: unknown;
}

/**
 * Input around the module that cannot be understood: a symbol list, a vmlinux, a module tree, a compressed stream.
 *
 * It is no kernel error: the kernel never reads these files. What the kernel refuses is a LoadError.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly file: string | undefined;
  readonly line: number | undefined;

  constructor(message: string, place: InputErrorPlace = {}) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause });
    this.file = place.file;
    this.line = place.line;
  }
}
