/** What went wrong with a file, as a sentence for people. */

import { InputError } from '../loader/input-error.ts';

const sentences: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EIO: 'input/output error',
  EEXIST: 'is there already, and is no folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  ERR_FS_FILE_TOO_LARGE: 'is larger than 2 GiB',
};

/** The code of a system error (`ENOENT`), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Makes an InputError of what node:fs threw; an InputError passes. */
export function fileError(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  const code = errnoOf(error);
  const why = (code === undefined ? undefined : sentences[code]) ?? (error instanceof Error ? error.message : 'failed');
  return new InputError(`${path}: ${why}`, { file: path, cause: error });
}
