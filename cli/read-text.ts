/** Files that are read whole, with errors for people. */
import { readFile } from 'node:fs/promises';
import { fileError } from './file-error.ts';

/** Throws InputError for a file that cannot be read. */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(file);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    throw fileError(file, error);
  }
}

export const readText = async (file: string): Promise<string> => new TextDecoder().decode(await readBytes(file));
